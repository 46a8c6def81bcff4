"""Views made by their constructor in the old release, and how they are made now."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from .analysis import values as v
from .analysis.containers import is_former
from .analysis.context import FileContext
from .calls import PARTIAL
from .evidence import is_none, may_be_none
from .templates import TemplateCall, template_calls

_PURE = (
    ast.Name, ast.Constant, ast.Attribute, ast.BinOp, ast.UnaryOp, ast.List, ast.Tuple,
    ast.operator, ast.unaryop, ast.expr_context,
)  # fmt: skip
_COPY = "_copy"
_STRIDES = "get_trivial_strides"


@dataclass(frozen=True)
class ViewCopy:
    """A constructor call with more than the base tensor.

    ``template`` is wrapped around the call with its base alone; "" when it is left to a person, and then
    ``problem`` says why. ``taken``: nodes that no other rule may change, because they stand in ``template``
    by their new name, or because a person has to write them anew.
    """

    call: TemplateCall
    template: str
    problem: str
    taken: frozenset[ast.AST]

    @property
    def rest(self) -> tuple[str, ...]:
        """The parameters that go, by their old names."""
        return tuple(name for name in self.call.given if name != self.call.form.signature.positional[0])


def view_copies(ctx: FileContext) -> list[ViewCopy]:
    """All such calls of a file (computed once)."""
    known: list[ViewCopy] | None = ctx.memory.get("view copies")  # type: ignore[assignment]
    if known is None:
        calls = template_calls(ctx, "view-copy")
        known = ctx.memory["view copies"] = [copy for call in calls for copy in _view_copy(ctx, call)]
    return known


def taken_nodes(ctx: FileContext) -> set[ast.AST]:
    """What other rules leave alone because a constructor call says it."""
    return {node for copy in view_copies(ctx) for node in copy.taken}


def _view_copy(ctx: FileContext, call: TemplateCall) -> Iterator[ViewCopy]:
    base = call.form.signature.positional[0]
    given = {name: node for name, node in call.given.items() if name != base}
    if not given and not call.problem:
        return
    problem = call.problem or _problem(ctx, call, base, given)
    if problem:
        yield ViewCopy(call, "", problem, frozenset())
        return
    inside = [(name, node) for name, node in given.items() if _changes_inside(ctx, call, node)]
    if inside:
        taken = frozenset(part for _, node in inside for part in ast.walk(node))
        yield ViewCopy(call, "", f"`{inside[0][0]}` contains attributes that have another name now", taken)
        return
    kept = {name: node for name, node in given.items() if not is_none(node)}
    parts = [part for name, node in _as_written(call, kept) for part in _parts(ctx, call, name, node, kept)]
    taken = frozenset(node for node in kept.values() if isinstance(node, ast.Attribute))
    yield ViewCopy(call, f"{{}}.{_COPY}({', '.join(parts)})" if parts else "{}", "", taken)


def _problem(ctx: FileContext, call: TemplateCall, base: str, given: dict[str, ast.expr]) -> str:
    if call.call.callee == v.Symbol(PARTIAL) or isinstance(call.call.callee, v.Partial):
        return "it is called through `functools.partial`"
    if base not in call.given:
        return f"`{base}` is not given"
    first = min(_position(node) for node in given.values()) if given else (0, 0)
    if _position(call.given[base]) > first and not _pure(call.given[base]):
        return f"`{base}` would be evaluated before the other arguments"
    for name, node in given.items():
        if may_be_none(ctx, call.call.use, node):
            return f"`{ctx.segment(node)}`, given as `{name}`, may be None"
    size = _size(call, given)
    if size is not None and len(given) > 0 and _needs_strides(call, given) and not _pure(size):
        return "the sizes would be computed twice"
    return ""


def _position(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _pure(node: ast.expr) -> bool:
    return all(isinstance(part, _PURE) for part in ast.walk(node))


def _changes_inside(ctx: FileContext, call: TemplateCall, node: ast.expr) -> bool:
    """Whether an argument needs edits of its own (other than being such an attribute as a whole)."""
    renamed = {name for kind in ctx.release.types.values() for name in kind.attributes}
    if is_former(ctx.evaluator.at(node, call.call.use)) and isinstance(node, ast.Attribute):
        return any(isinstance(n, ast.Attribute) and n.attr in renamed for n in ast.walk(node.value))
    return any(isinstance(n, ast.Attribute) and n.attr in renamed for n in ast.walk(node))


def _size(call: TemplateCall, given: dict[str, ast.expr]) -> ast.expr | None:
    """The argument for the sizes: the first one behind the base."""
    node = given.get(call.form.signature.positional[1])
    return None if is_none(node) else node


def _needs_strides(call: TemplateCall, given: dict[str, ast.expr]) -> bool:
    strides = given.get(call.form.signature.positional[2])
    return _size(call, given) is not None and (strides is None or is_none(strides))


def _as_written(call: TemplateCall, given: dict[str, ast.expr]) -> list[tuple[str, ast.expr]]:
    return sorted(given.items(), key=lambda pair: _position(pair[1]))


def _parts(
    ctx: FileContext, call: TemplateCall, name: str, node: ast.expr, given: dict[str, ast.expr]
) -> Iterator[str]:
    """The keyword arguments that one argument becomes."""
    size, strides, *_ = call.form.signature.positional[1:]
    new = ctx.release.types[call.change.name].attributes.get(name, name)
    if name not in (size, strides):
        yield f"{new}={_text(ctx, node)}"
        return
    yield f"{new}={_tuple(ctx, call, node)}"
    if name == size and _needs_strides(call, given):
        sequence = _tuple(ctx, call, node) if isinstance(node, ast.List) else _renamed(ctx, call, node)
        yield f"{strides}={_text(ctx, call.node.func)}.{_STRIDES}({sequence})"


def _tuple(ctx: FileContext, call: TemplateCall, node: ast.expr) -> str:
    if isinstance(node, ast.List):
        items = ", ".join(_text(ctx, item) for item in node.elts)
        return f"({items},)" if len(node.elts) == 1 else f"({items})"
    if is_former(ctx.evaluator.at(node, call.call.use)):
        return _renamed(ctx, call, node)
    text = _text(ctx, node)
    return text if isinstance(node, ast.Tuple) else f"tuple({text})"


def _renamed(ctx: FileContext, call: TemplateCall, node: ast.expr) -> str:
    """The text of an argument; the list of another view by its new name."""
    names = {old: new for kind in ctx.release.types.values() for old, new in kind.attributes.items()}
    former = is_former(ctx.evaluator.at(node, call.call.use))
    if former and isinstance(node, ast.Attribute) and node.attr in names:
        return f"{_text(ctx, node.value)}.{names[node.attr]}"
    return _text(ctx, node)


def _text(ctx: FileContext, node: ast.expr) -> str:
    """The text of an expression on one line, or as it would be written there."""
    text = ctx.segment(node)
    return ast.unparse(node) if "\n" in text or "\r" in text else text
