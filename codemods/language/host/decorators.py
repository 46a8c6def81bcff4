"""Decorators of kernels, and ``nki.jit`` as a function.

What is left is ``@nki.jit`` on kernels that the host launches; functions that only kernels call are plain
functions in the new language.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...model import Edit, ReplaceCode, ReplaceLines, Wrap
from ..reasons import Change, Reason, Work
from ..translate.names import BETA1
from .kernels import BRIDGES, HARNESSES, JIT, NKI_CALLS, TORCH_JITS, TRACE, Kernels, mode, wrapped

CODE, HARNESS = "NKL107", "NKL101"
_MEASURED = frozenset({"baremetal", "benchmark", "simulation"})
_HINTS = frozenset(
    f"{BETA1}.compiler.{name}"
    for name in ("skip_middle_end_transformations", "enable_stack_allocator", "force_auto_alloc")
)
_PLATFORM = "platform_target"


def decorators(kernels: Kernels) -> Work:
    """What becomes of the decorators of a file's kernels."""
    work = Work()
    inner = {name for name, function in kernels.module.functions.items() if function.callers}
    for name, node in kernels.functions.items():
        own = Work()
        for decorator in node.decorator_list:
            own += _decorator(kernels, node, decorator, sub=name in inner)
        work += own
        if name in inner and own.changes:
            work += _launched_here(kernels, name)
    for call in _jits(kernels):
        work += _wrapper(kernels, call)
    return work


def _decorator(kernels: Kernels, node: ast.FunctionDef, decorator: ast.expr, sub: bool) -> Work:
    maker = decorator.func if isinstance(decorator, ast.Call) else decorator
    qualified = kernels.names.qualified(maker)
    if qualified in TORCH_JITS:
        plain = _jit(kernels, maker)
        edit = _replaced(kernels, decorator, plain)
        return Work((Change(decorator, CODE, f"`{edit.old}` is `{plain}` now", (edit,)),))
    if qualified in _HINTS:
        return Work((_removed(kernels, decorator, CODE, f"`{kernels.ctx.segment(maker)}` is gone"),))
    traced = qualified == TRACE or (qualified == JIT and mode(decorator) == "trace")
    if traced and not sub and kernels.is_used(kernels.name_of(node)):
        plain = _jit(kernels, maker)
        text = f"a kernel that the host launches is `@{plain}` now"
        return Work((Change(decorator, CODE, text, (_replaced(kernels, decorator, plain),)),))
    if traced or (qualified == JIT and sub):
        text = "a function that kernels call has no decorator now"
        return Work((_removed(kernels, decorator, CODE, text),))
    if qualified in HARNESSES:
        return _measured(kernels, decorator, _jit(kernels, maker))
    if qualified != JIT or not isinstance(decorator, ast.Call):
        return Work()
    plain = kernels.ctx.segment(maker)
    if mode(decorator) in _MEASURED:
        return _measured(kernels, decorator, plain)
    change = Change(
        decorator, CODE, "`nki.jit` takes no options now", (_replaced(kernels, decorator, plain),)
    )
    return Work((change,), notes=_platform(decorator))


def _measured(kernels: Kernels, place: ast.expr, plain: str) -> Work:
    text = f"`{kernels.ctx.segment(place).splitlines()[0]}` is `{plain}` now"
    change = Change(place, HARNESS, text, (_replaced(kernels, place, plain),))
    return Work((change,), notes=(Reason(place, "M-HARNESS"), *_platform(place)))


def _platform(place: ast.expr) -> tuple[Reason, ...]:
    given = isinstance(place, ast.Call) and any(k.arg == _PLATFORM for k in place.keywords)
    return (Reason(place, "M-PLATFORM"),) if given else ()


def _jit(kernels: Kernels, maker: ast.expr) -> str:
    """``nki.jit`` as it is spelled beside ``nki.benchmark``."""
    ours = kernels.names.qualified(maker) not in TORCH_JITS
    if ours and isinstance(maker, ast.Attribute) and isinstance(maker.value, ast.Name):
        return f"{kernels.ctx.segment(maker.value)}.jit"
    kernels.module.import_name("nki")
    return "nki.jit"


def _replaced(kernels: Kernels, node: ast.expr, code: str) -> ReplaceCode:
    return ReplaceCode(kernels.ctx.source.span(node), kernels.ctx.segment(node), code)


def _around(kernels: Kernels, node: ast.expr, kept: ast.expr, before: str, after: str) -> tuple[Edit, ...]:
    """What stands around a part of an expression is replaced; the part has changes of its own."""
    data = kernels.ctx.source.utf8
    (start, end), (first, last) = kernels.ctx.source.span(node), kernels.ctx.source.span(kept)
    spans = (((start, first), before), ((last, end), after))
    return tuple(ReplaceCode(span, data[slice(*span)].decode(), new) for span, new in spans)


def _removed(kernels: Kernels, decorator: ast.expr, code: str, text: str) -> Change:
    """Without the decorator's lines."""
    starts = kernels.ctx.source.line_starts
    first, last = decorator.lineno, decorator.end_lineno or decorator.lineno
    end = starts[last] if last < len(starts) else len(kernels.ctx.source.utf8)
    return Change(decorator, code, text, (ReplaceLines((starts[first - 1], end), ""),))


def _launched_here(kernels: Kernels, name: str) -> Work:
    """A function that kernels call is compiled where the host launches it."""
    places = {}
    for launch in kernels.launches:
        if launch.kernels == {name}:
            target = launch.subscript.value if launch.subscript is not None else launch.call.func
            places[target] = launch
    changes = []
    for target, launch in places.items():
        if isinstance(target, ast.Name):
            text = f"`{name}` is compiled here: it has no decorator of its own now"
            edit = Wrap(kernels.ctx.source.span(target), "nki.jit({})")
            changes.append(Change(launch.call, CODE, text, (edit,)))
    if len(changes) < len(places) or kernels.escapes(name):
        return Work(reasons=(Reason(kernels.functions[name], "M-SUBKERNEL", {"name": name}),))
    return Work(tuple(changes))


def _jits(kernels: Kernels) -> Iterator[ast.Call]:
    """Calls of ``nki.jit`` and the harnesses with a kernel, other than as decorators."""
    decorators = {id(d) for f in kernels.functions.values() for d in f.decorator_list}
    for use in kernels.ctx.module.uses:
        for link in use.links:
            if isinstance(link, ast.Call) and id(link) not in decorators and kernels.denoted(link):
                maker = link.func.func if isinstance(link.func, ast.Call) else link.func
                if kernels.names.qualified(maker) in HARNESSES | {JIT, TRACE} | BRIDGES:
                    yield link


def _wrapper(kernels: Kernels, call: ast.Call) -> Work:
    """``nki.benchmark(…)(k)`` and ``nki.jit(k, mode=…)``: ``k`` itself when it is a kernel already."""
    outer = call.func if isinstance(call.func, ast.Call) else call
    maker = outer.func
    qualified = kernels.names.qualified(maker)
    kernel = wrapped(call)[0]
    if qualified in NKI_CALLS:
        return Work(reasons=(Reason(call, "M-BRIDGE", {"name": qualified.rpartition(".")[2]}),))
    if qualified == JIT and not outer.keywords and outer is call:
        return Work()
    waiting = kernels.waiting(kernel)
    if waiting:
        return Work(reasons=(Reason(call, "M-WAITS", {"name": waiting}),))
    compiled = all(_is_compiled(kernels, name) for name in kernels.denoted(kernel))
    jit = "" if compiled else kernels.ctx.segment(maker) if qualified == JIT else _jit(kernels, maker)
    ends = (f"{jit}(", ")") if jit else ("", "")
    measured = qualified in HARNESSES or mode(outer) in _MEASURED
    text = f"`{kernels.ctx.segment(call.func)}` gives `{ends[0]}{kernels.ctx.segment(kernel)}{ends[1]}` now"
    change = Change(call, HARNESS if measured else CODE, text, _around(kernels, call, kernel, *ends))
    notes = (Reason(call, "M-HARNESS"),) if measured else ()
    return Work((change,), notes=(*notes, *_platform(outer)))


def _is_compiled(kernels: Kernels, name: str) -> bool:
    """Whether a kernel will be decorated with ``nki.jit`` itself."""
    node = kernels.functions.get(name)
    if node is None:
        return True
    makers = (d.func if isinstance(d, ast.Call) else d for d in node.decorator_list)
    return any(kernels.names.qualified(m) in HARNESSES | TORCH_JITS | {JIT} for m in makers)
