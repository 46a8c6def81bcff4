"""Kernels that JAX's ``nki_call`` hands outputs to, as kernels of the same language that return them.

The rest of the step then has ordinary kernels and launches before it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from ..analysis.scopes import Use
from ..record import record
from .host import kernels_of
from .host.extents import extents, inside, passes
from .host.grids import bindings
from .host.kernels import NKI_CALLS, Kernels, Launch
from .plain.lines import Line, Text
from .translate.layout import flat
from .translate.names import BETA1
from .translate.plan import LanguageModule

_SHAPE = "jax.ShapeDtypeStruct"
_DTYPES = frozenset(("bfloat16", "float16", "float32", "int8", "int16", "int32", "uint8", "uint16", "uint32"))
_LIBRARIES = ("jax.numpy.", "numpy.", f"{BETA1}.language.")

_Edit = tuple[int, int, list[Line]]
"""Lines that come in the place of others: see :meth:`Text.replaced`."""


@record
class _Call:
    """``nki_call(kernel, *inputs, grid=…, out_shape=…)``, in the chain of ``use``."""

    node: ast.Call
    use: Use
    kernel: str

    @property
    def options(self) -> dict[str, ast.expr]:
        return {k.arg: k.value for k in self.node.keywords if k.arg}

    @property
    def launch(self) -> Launch:
        """The call of the kernel with its inputs."""
        call = ast.Call(self.node.args[0], self.node.args[1:], [])
        return Launch(call, None, frozenset({self.kernel}), self.use)


def returning(module: LanguageModule) -> Text | None:
    """The file with kernels that return their outputs; None where there is none of which all is known."""
    kernels = kernels_of(module)
    calls = (
        list(_calls(kernels))
        if any(kernels.ctx.target(b) in NKI_CALLS for b in kernels.ctx.module.imports)
        else []
    )
    language = _module(kernels, f"{BETA1}.language")
    nki = _module(kernels, BETA1)
    if not calls or language is None or (nki is None and "nki" in kernels.ctx.module.names):
        return None
    edits: list[_Edit] = []
    text = Text.of(kernels.ctx.source.text)
    for name in dict.fromkeys(call.kernel for call in calls):
        mine = [call for call in calls if call.kernel == name]
        outputs = {_outputs(kernels, call, language[0]) for call in mine}
        if len(outputs) != 1 or not (sole := outputs.pop()) or not _is_clear(kernels, name, mine):
            return None
        edits += _kernel(text, kernels, name, sole, nki[0] if nki else "nki")
        edits += [_launch(text, call) for call in mine]
    edits += _imports(text, kernels, language[1], nki is None)
    edits.sort(key=lambda edit: edit[:2])
    if any(one[1] >= two[0] for one, two in pairwise(edits)):
        return None  # two of them share a line
    for first, last, lines in reversed(edits):
        text = text.replaced(first, last, lines)
    return text


def _calls(kernels: Kernels) -> Iterator[_Call]:
    """Calls with a kernel of the file; none of another form is left to others."""
    for use in kernels.ctx.module.uses:
        for link in use.links:
            if isinstance(link, ast.Call) and kernels.names.qualified(link.func) in NKI_CALLS and link.args:
                names = kernels.denoted(link.args[0])
                if len(names) == 1 and isinstance(link.args[0], ast.Name):
                    yield _Call(link, use, next(iter(names)))


def _module(kernels: Kernels, path: str) -> tuple[str, ast.stmt] | None:
    """The name that a module is imported under at the top of the file, and the import."""
    found = (b for same in kernels.ctx.module.top.bindings.values() for b in same if b.kind == "import")
    return next(
        ((b.name, b.node) for b in found if kernels.ctx.target(b) == path and isinstance(b.node, ast.stmt)),
        None,
    )


def _is_clear(kernels: Kernels, name: str, calls: list[_Call]) -> bool:
    """Whether nothing else uses the kernel, and it is written as such kernels are."""
    node = kernels.functions.get(name)
    if node is None or node not in kernels.ctx.tree.body or name in kernels.ctx.pinned:
        return False
    uses = kernels.ctx.module.by_name.get(name, ())
    return (
        not node.decorator_list
        and node.returns is None
        and not any(isinstance(inner, ast.Return) for inner in kernels.nodes[name])
        and node.body[0].lineno == node.lineno + 1
        and "#" not in kernels.ctx.source.lines[node.lineno - 1]
        and {id(use.links[0]) for use in uses} == {id(call.node.args[0]) for call in calls}
    )


def _outputs(kernels: Kernels, call: _Call, language: str) -> tuple[tuple[str, str], ...]:
    """Shape and dtype of each output in terms of the kernel's parameters; none where one is not known."""
    node, given = kernels.functions.get(call.kernel), call.options.get("out_shape")
    if node is None or given is None or not set(call.options) <= {"out_shape", "grid"}:
        return ()
    listed = given.elts if isinstance(given, ast.Tuple | ast.List) else [given]
    parameters = [*node.args.posonlyargs, *node.args.args]
    others = (*node.args.kwonlyargs, *node.args.defaults, node.args.vararg, node.args.kwarg)
    inputs = call.node.args[1:]
    if any(others) or len(parameters) != len(inputs) + len(listed) or not inputs:
        return ()
    if any(isinstance(a, ast.Starred) for a in inputs) or len(call.options) < len(call.node.keywords):
        return ()
    found = [_output(kernels, call, node, each, language) for each in listed]
    return tuple(each for each in found if each) if all(found) else ()


def _output(
    kernels: Kernels, call: _Call, node: ast.FunctionDef, given: ast.expr, language: str
) -> tuple[str, str] | None:
    if isinstance(given, ast.Name):
        sole = bindings(kernels, given)
        value = sole[0].value if len(sole) == 1 and sole[0].kind == "assign" and not sole[0].path else None
        given = value or given
    if not isinstance(given, ast.Call) or kernels.names.qualified(given.func) != _SHAPE:
        return None
    named: dict[str | None, ast.expr] = dict(zip(("shape", "dtype"), given.args, strict=False))
    named.update((k.arg, k.value) for k in given.keywords)
    if set(named) != {"shape", "dtype"}:
        return None
    shape = _shape(kernels, call, node, named["shape"])
    dtype = _dtype(kernels, call, node, named["dtype"], language)
    return (shape, dtype) if shape and dtype else None


def _shape(kernels: Kernels, call: _Call, node: ast.FunctionDef, given: ast.expr) -> str:
    if isinstance(given, ast.Tuple | ast.List):
        sizes = inside(node, extents(kernels, call.launch, tuple(given.elts)))
        return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})" if sizes else ""
    return _attribute(kernels, call, node, given, "shape")


def _dtype(kernels: Kernels, call: _Call, node: ast.FunctionDef, given: ast.expr, language: str) -> str:
    qualified = kernels.names.qualified(given)
    name = qualified.rpartition(".")[2]
    if qualified.startswith(_LIBRARIES) and name in _DTYPES:
        return f"{language}.{name}"
    return _attribute(kernels, call, node, given, "dtype")


def _attribute(kernels: Kernels, call: _Call, node: ast.FunctionDef, given: ast.expr, name: str) -> str:
    """``x.shape`` of an input, in terms of its parameter."""
    if not isinstance(given, ast.Attribute) or given.attr != name or not isinstance(given.value, ast.Name):
        return ""
    place = passes(kernels, call.launch, given.value)
    parameters = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    return "" if place is None else f"{parameters[place]}.{name}"


# -- the new text -------------------------------------------------------------------------------------


def _kernel(
    text: Text, kernels: Kernels, name: str, outputs: tuple[tuple[str, str], ...], nki: str
) -> Iterator[_Edit]:
    """A decorator, no parameters for the outputs, their allocations, and a return statement."""
    node = kernels.functions[name]
    parameters = [*node.args.posonlyargs, *node.args.args]
    kept, gone = parameters[: -len(outputs)], [p.arg for p in parameters[-len(outputs) :]]
    origin = text.origin(node.lineno)
    given = ", ".join(flat(kernels.ctx.segment(p)) for p in kept)
    yield node.lineno, node.lineno, [(f"@{nki}.jit", origin), (f"def {name}({given}):", origin)]
    first = node.body[1] if len(node.body) > 1 and isinstance(node.body[0], ast.Expr) else node.body[0]
    at, indent = text.above(first.lineno), text.indentation(first)
    alias = _module(kernels, f"{BETA1}.language")
    lines = [
        (f"{indent}{out} = {alias[0]}.ndarray({shape}, dtype={dtype}, buffer={alias[0]}.shared_hbm)", origin)
        for out, (shape, dtype) in zip(gone, outputs, strict=True)
        if alias
    ]
    yield at, at - 1, lines
    end = node.end_lineno or node.lineno
    yield end + 1, end, [(f"{indent}return {', '.join(gone)}", text.origin(end))]


def _launch(text: Text, call: _Call) -> _Edit:
    """``kernel[grid](*inputs)``."""
    node = call.node
    first, last = node.lineno, node.end_lineno or node.lineno
    head = text.line(first).encode()[: node.col_offset].decode()
    tail = text.line(last).encode()[node.end_col_offset :].decode()
    grid = call.options.get("grid")
    brackets = f"[{flat(text.segment(grid))}]" if grid is not None else ""
    inputs = ", ".join(flat(text.segment(a)) for a in node.args[1:])
    return first, last, [(f"{head}{call.kernel}{brackets}({inputs}){tail}", text.origin(first))]


def _imports(text: Text, kernels: Kernels, behind: ast.stmt, needed: bool) -> Iterator[_Edit]:
    """Without ``nki_call``; with ``nki``."""
    for binding in kernels.ctx.module.imports:
        node = binding.node
        if (
            kernels.ctx.target(binding) in NKI_CALLS
            and isinstance(node, ast.ImportFrom)
            and len(node.names) == 1
        ):
            yield node.lineno, node.end_lineno or node.lineno, []
    if needed:
        end = behind.end_lineno or behind.lineno
        yield end + 1, end, [("from neuronxcc import nki", text.origin(end))]
