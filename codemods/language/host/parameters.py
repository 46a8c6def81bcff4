"""Parameters of kernels: annotations of the old language, markers, and outputs that are passed in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ...analysis.reaching import reaching
from ...edit.lines import line_start, next_line
from ...elsewhere import UNSEEN, argument
from ...model import ReplaceCode, ReplaceLines, Span
from ...record import replace
from ...trees import walk
from ..reasons import Change, Reason, Work
from ..translate.names import BETA1
from .kernels import Kernels, Launch

CODE, INOUT = "NKL108", "NKL104"
_TYPING = f"{BETA1}.typing."
_ANNOTATIONS = (_TYPING, f"{BETA1}.tensor")
_MUTABLE = frozenset({f"{_TYPING}mutable_tensor", f"{_TYPING}mutable"})
# Callee → the argument that is written: its position, and its name.
_WRITERS = {
    f"{BETA1}.language.store": (0, "dst"),
    f"{BETA1}.language.atomic_rmw": (0, "dst"),
    f"{BETA1}.isa.dma_copy": (-1, "dst"),
}
_VIEWS = frozenset({"reshape", "view"})
_DEPTH = 8
_EXTRA = re.compile(rb"(?:,[ \t\r\n\f]*)?\*\*[ \t]*\Z")
_STAR = re.compile(rb"\*[ \t\f]*,[ \t\f]*")


def parameters(kernels: Kernels) -> Work:
    """What becomes of the signatures of a file's functions, and of outputs that are passed in."""
    work = Work()
    written = _written(kernels)
    for name, node in kernels.functions.items():
        work += Work(tuple(_annotations(kernels, node)))
        work += _markers(kernels, node)
        if kernels.launched(name):
            work += _outputs(kernels, name, node, written[name])
    return work + in_place(kernels)


# -- annotations and markers --------------------------------------------------------------------------


def _annotations(kernels: Kernels, node: ast.FunctionDef) -> Iterator[Change]:
    args = node.args
    for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg):
        if arg is not None and arg.annotation is not None and _is_typing(kernels, arg.annotation):
            start = kernels.ctx.source.offset(arg.lineno, arg.col_offset) + len(arg.arg.encode())
            yield _without(kernels, arg, start, arg.annotation, f"`{arg.arg}` has no annotation now")
    if node.returns is not None and _is_typing(kernels, node.returns):
        end = kernels.ctx.source.span(node.returns)[0]
        start = kernels.ctx.source.utf8.rindex(b")", 0, end) + 1
        yield _without(kernels, node.returns, start, node.returns, f"`{node.name}` has no annotation now")


def _is_typing(kernels: Kernels, annotation: ast.expr) -> bool:
    inner = (n for n in walk(annotation) if isinstance(n, ast.Name | ast.Attribute))
    return any(f"{kernels.names.qualified(n)}".startswith(_ANNOTATIONS) for n in inner)


def _without(kernels: Kernels, place: ast.AST, start: int, annotation: ast.expr, text: str) -> Change:
    span = (start, kernels.ctx.source.span(annotation)[1])
    old = kernels.ctx.source.utf8[slice(*span)].decode("utf-8")
    return Change(place, CODE, text, (ReplaceCode(span, old, ""),))


def _markers(kernels: Kernels, node: ast.FunctionDef) -> Work:
    """``*`` between parameters goes, and ``**kwargs`` that nothing reads; others are a person's."""
    args = node.args
    unread = _unread(kernels, node)
    starred = [
        a for a in (args.vararg, args.kwarg) if a is not None and not (unread.changes and a is args.kwarg)
    ]
    fields = {"x": "a variable number of parameters"}
    work = Work(reasons=tuple(Reason(a, "M-PY", fields) for a in starred)) + unread
    if args.vararg is not None or not args.kwonlyargs:
        return work
    span = _star(kernels, node)
    if span is None:
        return work
    old = kernels.ctx.source.utf8[slice(*span)].decode("utf-8")
    if _needs_order(args):
        return work + Work(reasons=(Reason(args.kwonlyargs[0], "M-ORDER", {}),))
    text = "`*` between parameters is not in the language"
    return work + Work((Change(node.args.kwonlyargs[0], CODE, text, (ReplaceCode(span, old, ""),)),))


def _unread(kernels: Kernels, node: ast.FunctionDef) -> Work:
    """``**kwargs`` goes where the body does not read it and no call in the file passes more than there is."""
    extra, source = node.args.kwarg, kernels.ctx.source
    if extra is None or any(
        isinstance(n, ast.Name) and n.id == extra.arg for n in kernels.nodes[kernels.name_of(node)]
    ):
        return Work()
    calls = [*kernels.module.functions[kernels.name_of(node)].callers]
    calls += [launch.call for launch in kernels.launches_of[kernels.name_of(node)]]
    if any(keyword.arg not in _parameters(node) for call in calls for keyword in call.keywords):
        return Work()
    start, end = source.span(extra)
    found = _EXTRA.search(source.utf8[:start])
    if found is None or _in_comment(source.utf8, found.start()):
        return Work()
    span = (found.start(), end)
    edit = ReplaceCode(span, source.utf8[slice(*span)].decode("utf-8"), "")
    text = f"`**{extra.arg}`, which nothing reads, is not in the language"
    notes = (
        ()
        if calls and not kernels.escapes(kernels.name_of(node))
        else (Reason(extra, "M-EXTRA", {"p": extra.arg}),)
    )
    return Work((Change(extra, CODE, text, (edit,)),), notes=notes)


def _needs_order(args: ast.arguments) -> bool:
    """Whether a parameter without a default would follow one with."""
    missing = any(default is None for default in args.kw_defaults)
    some_before = bool(args.defaults) or any(d is not None for d in args.kw_defaults[:-1])
    return missing and some_before


def _star(kernels: Kernels, node: ast.FunctionDef) -> Span | None:
    """Where the marker stands, with its line when it has one for itself; None when it is not found."""
    source, args = kernels.ctx.source, node.args
    before = [*args.posonlyargs, *args.args, *args.defaults]
    start = max((source.span(n)[1] for n in before), default=source.utf8.index(b"(", source.span(node)[0]))
    end = source.offset(args.kwonlyargs[0].lineno, args.kwonlyargs[0].col_offset)
    found = [m for m in _STAR.finditer(source.utf8, start, end) if not _in_comment(source.utf8, m.start())]
    if len(found) != 1:
        return None
    at, after = found[0].span()
    blank = not source.utf8[line_start(source.utf8, at) : at].strip()
    if source.utf8[after : after + 1] not in (b"\n", b"\r"):
        return at, after
    if blank:
        return line_start(source.utf8, at), next_line(source.utf8, after)
    return start + len(source.utf8[start:at].rstrip()), after


def _in_comment(data: bytes, offset: int) -> bool:
    return b"#" in data[line_start(data, offset) : offset]


# -- outputs that are passed in -----------------------------------------------------------------------


def _written(kernels: Kernels) -> dict[str, frozenset[str]]:
    """For each function the parameters that it, or a function it calls, writes to."""
    found = {name: frozenset(_directly(kernels, node)) for name, node in kernels.functions.items()}
    handed = {name: [*_handed(kernels, node)] for name, node in kernels.functions.items()}
    grown = True
    while grown:
        grown = False
        for name in found:
            through = (own for callee, parameter, own in handed[name] if parameter in found[callee])
            more = found[name].union(*through)
            grown |= more != found[name]
            found[name] = more
    return found


def _parameters(node: ast.FunctionDef) -> list[str]:
    return [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]


def _directly(kernels: Kernels, node: ast.FunctionDef) -> Iterator[str]:
    for inner in kernels.nodes[kernels.name_of(node)]:
        targets: list[ast.expr] = []
        if isinstance(inner, ast.Call):
            place = _WRITERS.get(kernels.names.qualified(inner.func))
            targets += _argument(inner, place) if place else []
        elif isinstance(inner, ast.Assign | ast.AugAssign):
            listed = inner.targets if isinstance(inner, ast.Assign) else [inner.target]
            targets += [t for t in listed if isinstance(t, ast.Subscript)]
        for target in targets:
            yield from _viewed(kernels, node, target)
    for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
        names = walk(arg.annotation) if arg.annotation is not None else ()
        if any(kernels.names.qualified(n) in _MUTABLE for n in names):
            yield arg.arg


def _handed(kernels: Kernels, node: ast.FunctionDef) -> Iterator[tuple[str, str, frozenset[str]]]:
    """What a function's calls of others hand over: the callee, its parameter, and the function's own ones
    that the argument may be.
    """
    for call in kernels.nodes[kernels.name_of(node)]:
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        callee = kernels.functions.get(call.func.id)
        if callee is None or callee is node:
            continue
        pairs = [*zip(_parameters(callee), call.args, strict=False)]
        pairs += [(k.arg, k.value) for k in call.keywords if k.arg]
        for parameter, given in pairs:
            if own := _viewed(kernels, node, given):
                yield callee.name, parameter, own


def _viewed(
    kernels: Kernels, node: ast.FunctionDef, expression: ast.expr, depth: int = _DEPTH
) -> frozenset[str]:
    """The function's parameters that an expression may be, or be a view of."""
    base = _base(expression)
    place = kernels.place(base) if base is not None else None
    owner = kernels.ctx.module.lookup(place[0].name, place[0].scope) if place else None
    if place is None or owner is None or owner[0].node is not node or depth == 0:
        return frozenset()
    known = kernels.views.get((place[0], depth))
    if known is not None:
        return known
    found: set[str] = set()
    for binding in reaching(owner[1], place[0], owner[0]):
        if binding.kind == "parameter":
            found.add(binding.name)
        elif binding.kind == "assign" and not binding.path and binding.value and _is_view(binding.value):
            found |= _viewed(kernels, node, binding.value, depth - 1)
    kernels.views[place[0], depth] = frozenset(found)
    return frozenset(found)


def _is_view(value: ast.expr) -> bool:
    call = isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _VIEWS
    return call or isinstance(value, ast.Name | ast.Subscript)


def _base(node: ast.expr) -> ast.Name | None:
    """The variable at the bottom of subscripts and views."""
    while True:
        if isinstance(node, ast.Subscript | ast.Attribute):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func.value
        else:
            return node if isinstance(node, ast.Name) else None


def _argument(call: ast.Call, place: tuple[int, str]) -> list[ast.expr]:
    index, name = place
    by_name = [k.value for k in call.keywords if k.arg == name]
    return by_name or (call.args[index : index + 1] if index >= 0 else [])


def _outputs(kernels: Kernels, name: str, node: ast.FunctionDef, written: frozenset[str]) -> Work:
    """The kernel returns what it writes; its callers use what it returns."""
    returned = _returned(kernels, node)
    missing = tuple(p for p in _parameters(node) if p in written and p not in returned)
    if not missing:
        return Work()
    calls = kernels.launches_of[name]
    theirs = kernels.module.launches.get(name, frozenset())
    outputs = numbered(node, missing)
    waiting = [s for s in theirs if s != UNSEEN and s.own is not None and not _takes(s.own, outputs)]
    unseen = UNSEEN in theirs or (name in kernels.ctx.pinned and name not in kernels.module.launches)
    away = kernels.is_handed_on(name) or kernels.is_renamed(name)
    hidden = away or unseen or bool(waiting)
    lines = ", ".join(f"line {launch.use.links[0].lineno}" for launch in calls)
    callers = [lines or "none in this file", *(["outside this file"] if hidden else [])]
    fields = {"p": ", ".join(missing), "callers": " and ".join(callers)}
    place = next(
        a for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs) if a.arg in missing
    )
    if waiting or any(isinstance(inner, ast.Return) for inner in kernels.nodes[name]):
        return Work(reasons=(Reason(place, "M-INOUT", fields),))
    work = Work((_with_return(kernels, node, place, missing),))
    function = kernels.module.functions[name]
    function.plan = replace(function.plan, outputs=missing)
    for launch in kernels.launches:
        if name in launch.kernels:
            work += _caller(kernels, launch, outputs)
    if hidden or not (calls or theirs):
        work += Work(notes=(Reason(place, "M-INOUT", fields),))
    return work


def numbered(node: ast.FunctionDef, names: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
    """Parameters with their positions; those that are only given by name have -1."""
    positional = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    return tuple((positional.index(name) if name in positional else -1, name) for name in names)


def _takes(own: frozenset[tuple[str, str]], outputs: tuple[tuple[int, str], ...]) -> bool:
    """Whether a caller has a variable for each output."""
    places = [{argument(at), argument(name)} for at, name in outputs]
    names = [variable for places_ in places for place, variable in own if place in places_]
    return len(names) == len(outputs) == len({*names})


def own_arguments(kernels: Kernels, launch: Launch) -> frozenset[tuple[str, str]]:
    """Arguments that are variables which can take what a kernel returns, with their names."""
    statement, call = launch.use.stmt, launch.call
    starred = any(isinstance(a, ast.Starred) for a in call.args)
    if starred or not isinstance(statement, ast.Expr) or statement.value is not call:
        return frozenset()
    given = [(argument(i), a) for i, a in enumerate(call.args)]
    given += [(argument(k.arg), k.value) for k in call.keywords if k.arg]
    own = ((p, a.id) for p, a in given if isinstance(a, ast.Name) and _is_own(kernels, a, launch))
    return frozenset(own)


def in_place(kernels: Kernels) -> Work:
    """What becomes of calls of other files' kernels that return what they write to their parameters."""
    work = Work()
    for launch in kernels.launches:
        elsewhere = kernels.module.elsewhere
        found = {elsewhere[name].outputs for name in launch.kernels if name in elsewhere} - {()}
        if len(found) == 1 and len(launch.kernels) == 1:
            work += _caller(kernels, launch, found.pop())
        elif found:
            names = ", ".join(dict.fromkeys(name for each in sorted(found) for _, name in each))
            fields = {"p": names, "callers": f"line {launch.call.lineno}"}
            work += Work(reasons=(Reason(launch.call, "M-INOUT", fields),))
    return work


def _with_return(kernels: Kernels, node: ast.FunctionDef, place: ast.arg, missing: tuple[str, ...]) -> Change:
    """``return`` behind the kernel's last statement."""
    source = kernels.ctx.source
    starts = (*source.line_starts, len(source.utf8))
    last = node.end_lineno or node.lineno
    end = starts[last]
    indent = source.utf8[starts[node.body[-1].lineno - 1] :][: node.body[-1].col_offset].decode("utf-8")
    broken = source.utf8[end - 1 : end] in (b"\n", b"\r")
    code = f"{'' if broken else chr(10)}{indent}return {', '.join(missing)}\n"
    text = f"the kernel returns {', '.join(f'`{p}`' for p in missing)}, which it writes"
    return Change(place, INOUT, text, (ReplaceLines((end, end), code),))


def _returned(kernels: Kernels, node: ast.FunctionDef) -> frozenset[str]:
    """Parameters that the kernel returns already."""
    found: frozenset[str] = frozenset()
    for inner in kernels.nodes[kernels.name_of(node)]:
        if isinstance(inner, ast.Return) and inner.value is not None:
            items = inner.value.elts if isinstance(inner.value, ast.Tuple | ast.List) else [inner.value]
            found = found.union(*(_viewed(kernels, node, item) for item in items))
    return found


def _caller(kernels: Kernels, launch: Launch, outputs: tuple[tuple[int, str], ...]) -> Work:
    """``k(a, o)`` becomes ``o = k(a, o)`` where nothing else can know the old ``o``."""
    statement, own = launch.use.stmt, own_arguments(kernels, launch)
    variables = dict(own)
    places = [(argument(at), argument(name)) for at, name in outputs]
    names = [variables[p] for pair in places for p in pair if p in variables]
    if not _takes(own, outputs):
        fields = {"p": ", ".join(name for _, name in outputs), "callers": f"line {launch.call.lineno}"}
        return Work(reasons=(Reason(launch.call, "M-INOUT", fields),))
    start = kernels.ctx.source.span(statement)[0]
    assigned = f"{', '.join(names)} = "
    text = f"the kernel returns what it writes: `{assigned.rstrip()} …`"
    return Work((Change(statement, INOUT, text, (ReplaceCode((start, start), "", assigned),)),))


def _is_own(kernels: Kernels, node: ast.Name, launch: Launch) -> bool:
    """Whether a variable holds a tensor that was made where it is used and that nobody else can have."""
    place = kernels.place(node)
    owner = kernels.ctx.module.lookup(node.id, place[0].scope) if place else None
    if place is None or owner is None or owner[0] is not place[0].scope:
        return False
    made = all(b.kind == "assign" and not b.path and isinstance(b.value, ast.Call) for b in owner[1])
    uses = (u for u in kernels.ctx.module.by_name.get(node.id, ()) if u.order < launch.use.order)
    earlier = (u for u in uses if kernels.ctx.module.lookup(u.name, u.scope) == owner)
    return made and not any(len(use.links) == 1 for use in earlier)
