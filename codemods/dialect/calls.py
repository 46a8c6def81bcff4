"""Names and calls of ``nki`` in kernels: what is not there, does not bind, or means something else."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator

from ..language.step import LanguageStep
from ..record import record
from ..signature import Signature
from .checker import Function, Module, nodes
from .kernels import Kernels
from .rule import Scope

_ROOTS = ("nki.language.", "nki.isa.", "nki.collectives.")
_PARSED = {
    "nki.isa.tensor_copy": {"dtype"},
    "nki.isa.scalar_tensor_tensor": {"dtype"},
    "nki.isa.sendrecv": {"use_gpsimd_dma"},
}
"""Parameters that are not documented and that the NKI Library's own kernels of the release pass."""
_OPTIONAL = {"nki.isa.iota": {"offset"}, "nki.isa.affine_select": {"offset"}}
"""Parameters that are documented without a default and that those kernels leave out."""


@record
class Found:
    """A place, what is wrong there, and what to do."""

    node: ast.AST
    message: str
    step: str


def unknown_names(module: Module, step: LanguageStep) -> Iterator[Found]:
    """Attributes and imports of ``nki``'s modules, and modules, that the release does not have."""
    scope = Scope(module.imports, module.bound)
    guarded = {
        id(inner) for node in ast.walk(module.tree) if isinstance(node, ast.Try) for inner in ast.walk(node)
    }
    ours = any(_in_modules(name, step) for name in module.imports.values())
    for node in ast.walk(module.tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Attribute):
            yield from _unknown_name(node, scope.qualified(node), step)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from _unknown_imports(node, step, ours)


def _unknown_name(node: ast.AST, name: str, step: LanguageStep) -> Iterator[Found]:
    """The finding for a name of the language that the release does not have."""
    former = step.names.get(f"{step.old_root}{name.removeprefix(step.root)}")
    owner = name.rpartition(".")[0]
    inside = name.startswith(_ROOTS) and name.count(".") == 2
    gone = owner == step.root and former is not None  # the root has names that no document lists
    if (inside or gone) and not _known(name, step):
        yield Found(node, f"`{name}` is not in NKI of {step.new}", _instead(former.by if former else ()))


def _unknown_imports(node: ast.Import | ast.ImportFrom, step: LanguageStep, ours: bool) -> Iterator[Found]:
    """Imports of modules and names that are not there. ``ours``: the file imports the language, and not
    another package of that name.
    """
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _unknown_module(alias, alias.name, step, ours)
    elif node.level == 0 and node.module is not None:
        missing = [*_unknown_module(node, node.module, step, ours, [alias.name for alias in node.names])]
        yield from missing
        for alias in () if missing else node.names:
            yield from _unknown_name(alias, f"{node.module}.{alias.name}", step)


def _unknown_module(
    node: ast.AST, name: str, step: LanguageStep, ours: bool, wanted: Iterable[str] = ()
) -> Iterator[Found]:
    """The finding for a module that the release does not have; ``wanted`` are the names that come from it."""
    if not name.startswith(f"{step.root}.") or name in step.modules:
        return
    above = name
    while above not in step.modules and above:
        above = above.rpartition(".")[0]
    if not above and not ours:
        return
    known = [f"{above}.{last}" for last in wanted if f"{above}.{last}" in step.new_names]
    yield Found(node, f"NKI of {step.new} has no module `{name}`", _instead(tuple(known)))


def _in_modules(name: str, step: LanguageStep) -> bool:
    """Whether an imported name is a module of the language or comes from one."""
    return name in step.modules or name.rpartition(".")[0] in step.modules


def _known(name: str, step: LanguageStep) -> bool:
    return name in step.new_names or name in step.modules or name.endswith(".*")


def _instead(by: tuple[str, ...]) -> str:
    if not by:
        return "See the API reference of the release for what does this work now."
    return f"Use {', '.join(f'`{name}`' for name in by)}."


def unfit_calls(function: Function, module: Module, step: LanguageStep) -> Iterator[Found]:
    """Calls that do not bind to the release's signature."""
    scope = Scope(module.imports, module.bound)
    for node in nodes(function):
        if not isinstance(node, ast.Call):
            continue
        name = scope.qualified(node.func)
        new = step.new_names.get(name)
        if name.startswith("nki.isa.") and new is not None and new.signature is not None:
            why = _unfit(node, new.signature, name)
            if why:
                yield Found(node, f"`{name}` {why}", f"Its parameters are {new.signature.text}.")


def _unfit(call: ast.Call, signature: Signature, name: str) -> str:
    """Why a call does not bind; "" if it does, or if that cannot be seen."""
    if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
        return ""
    if len(call.args) > len(signature.positional) and not signature.open_positional:
        return f"takes {len(signature.positional)} arguments by position, {len(call.args)} are given"
    given = [*signature.positional[: len(call.args)], *(k.arg or "" for k in call.keywords)]
    unknown = [n for n in given if n not in signature.names and n not in _PARSED.get(name, ())]
    if unknown and not signature.open_keywords:
        return f"has no parameter {', '.join(f'`{n}`' for n in unknown)}"
    missing = [n for n in signature.required if n not in given and n not in _OPTIONAL.get(name, ())]
    if missing:
        return f"lacks {', '.join(f'`{n}`' for n in missing)}"
    return ""


# -- what means something else than it says --------------------------------------------------------------


def _no_comparison(call: ast.Call, scope: Scope) -> str:
    """affine_select compares for equality unless it is told how."""
    return "" if "cmp_op" in _arguments(call) else "compares with `equal` unless `cmp_op` says how"


def _ignored(call: ast.Call, scope: Scope) -> str:
    """range_select's hardware path has its own values."""
    given = _arguments(call)
    reset = "nki.isa.reduce_cmd.reset_reduce"
    for name in ("reduce_cmd", "on_false_value"):
        value = given.get(name)
        known = "" if value is None else scope.qualified(value)
        other = known.startswith("nki.isa.reduce_cmd.") and known != reset
        if value is not None and (other or not _may_be_lowest(value)):
            return f"ignores `{name}`: it resets what it reduces into, and puts the lowest float32 elsewhere"
    return ""


def _numpy_operation(call: ast.Call, scope: Scope) -> str:
    for name, value in _arguments(call).items():
        if name.startswith(("op", "reduce_op", "cmp_op", "comp_op")) and scope.qualified(value).startswith(
            "numpy."
        ):
            return f"gets `{ast.unparse(value)}` as `{name}`, which is not an operation of NKI"
    return ""


def _list_axis(call: ast.Call, scope: Scope) -> str:
    """A list of axes; on an access pattern of as many dimensions as the hardware has, both ways agree."""
    axis, data = (_arguments(call).get(name) for name in ("axis", "data"))
    if not isinstance(axis, ast.List | ast.Tuple) or len(axis.elts) == 1:
        return ""
    pairs = _arguments(data).get("pattern") if isinstance(data, ast.Call) else None
    if isinstance(pairs, ast.List) and len(pairs.elts) == _DIMENSIONS:
        return ""
    return "counts axes in another way for lists in this release and the next one"


_DIMENSIONS = 5
"""Of an access pattern of the hardware, with the partitions."""


def _may_be_lowest(node: ast.expr) -> bool:
    """Whether a value is the lowest float32, or not known."""
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return True
    return isinstance(value, int | float) and value < -3.40282e38


def _arguments(call: ast.Call) -> dict[str, ast.expr]:
    return {k.arg: k.value for k in call.keywords if k.arg is not None}


_TRAPS: tuple[tuple[str, Callable[[ast.Call, Scope], str], str], ...] = (
    ("nki.isa.affine_select", _no_comparison, "Pass `cmp_op`, as in `cmp_op=nl.greater_equal`."),
    ("nki.isa.range_select", _ignored, "Leave it out, and fill or reduce with an instruction of its own."),
    ("nki.isa.tensor_reduce", _list_axis, "Reshape to two dimensions and pass `axis=1`."),
    ("nki.isa.", _numpy_operation, "Pass the operation of `nki.language`: `nl.add`, `nl.maximum`, …."),
)
"""Instruction (or the beginning of its name), a test, and what to do."""


def silent_changes(function: Function, module: Module) -> Iterator[Found]:
    """Calls that run and compute something else than they seem to."""
    scope = Scope(module.imports, module.bound)
    for node in nodes(function):
        if not isinstance(node, ast.Call):
            continue
        name = scope.qualified(node.func)
        for prefix, test, step in _TRAPS:
            if name == prefix or (prefix.endswith(".") and name.startswith(prefix)):
                why = test(node, scope)
                if why:
                    yield Found(node, f"`{name}` {why}", step)


# -- how kernels are declared and launched ---------------------------------------------------------------


_GONE_MODES = ("baremetal", "benchmark", "simulation")
_GRID_STEP = "One integer says on how many cores (1 or 2) the kernel runs; loop over the rest inside it."


def odd_launches(kernels: Kernels, module: Module) -> Iterator[Found]:
    """Modes of ``nki.jit`` and launch grids that the former language had."""
    for function in kernels.jitted:
        for decorator in function.decorator_list:
            mode = _arguments(decorator).get("mode") if isinstance(decorator, ast.Call) else None
            if isinstance(mode, ast.Constant) and mode.value in _GONE_MODES:
                yield Found(decorator, f"`nki.jit` has no mode {mode.value!r} any more", "Write `@nki.jit`.")
    names = {function.name for function in kernels.jitted}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in names:
            why = _odd_grid(node.slice)
            if why:
                yield Found(node, f"launch of `{node.value.id}`: {why}", _GRID_STEP)


def _odd_grid(grid: ast.expr) -> str:
    if isinstance(grid, ast.Tuple) and len(grid.elts) > 1:
        return f"a grid of {len(grid.elts)} dimensions"
    if isinstance(grid, ast.Constant) and isinstance(grid.value, int) and grid.value not in (1, 2):
        return f"{grid.value} programs"
    return ""
