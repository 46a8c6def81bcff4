"""Views made by their constructor in the old release, and how they are made now."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from .analysis import values as v
from .analysis.containers import is_former
from .analysis.context import FileContext, once
from .evidence import may_be_none
from .record import record
from .sites import PARTIAL
from .templates import TemplateCall, template_calls
from .trees import is_none

_PURE = (
    ast.Name, ast.Constant, ast.Attribute, ast.BinOp, ast.UnaryOp, ast.List, ast.Tuple,
    ast.operator, ast.unaryop, ast.expr_context,
)  # fmt: skip
_COPY = "_copy"
_STRIDES = "get_trivial_strides"


@record
class ViewCopy:
    """A constructor call with more than the base tensor.

    ``template`` is wrapped around the call with its base alone, with the expressions ``parts`` in it; "" when
    it is left to a person, and then ``problem`` says why.
    """

    call: TemplateCall
    template: str
    problem: str
    parts: tuple[ast.expr, ...] = ()

    @property
    def rest(self) -> tuple[str, ...]:
        """The parameters that go, by their old names."""
        return tuple(name for name in self.call.given if name != self.call.form.signature.positional[0])


@once
def view_copies(ctx: FileContext) -> list[ViewCopy]:
    """All such calls of a file."""
    return [copy for call in template_calls(ctx, "view-copy") for copy in _view_copy(ctx, call)]


def _view_copy(ctx: FileContext, call: TemplateCall) -> Iterator[ViewCopy]:
    base = call.form.signature.positional[0]
    given = {name: node for name, node in call.given.items() if name != base}
    if not given and (call.given or not call.problem):
        return
    problem = call.problem or _problem(ctx, call, base, given)
    if problem:
        yield ViewCopy(call, "", problem)
        return
    parts: list[ast.expr] = []
    kept = [(name, node) for name, node in given.items() if not is_none(node)]
    written = sorted(kept, key=lambda pair: _position(pair[1]))
    keywords = [text for name, node in written for text in _keywords(ctx, call, name, node, parts)]
    yield ViewCopy(call, f"{{}}.{_COPY}({', '.join(keywords)})" if keywords else "{}", "", tuple(parts))


def _problem(ctx: FileContext, call: TemplateCall, base: str, given: Mapping[str, ast.expr]) -> str:
    if call.call.callee == PARTIAL or isinstance(call.call.callee, v.Partial):
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


def _size(call: TemplateCall, given: Mapping[str, ast.expr]) -> ast.expr | None:
    """The argument for the sizes: the first one behind the base."""
    node = given.get(call.form.signature.positional[1])
    return None if is_none(node) else node


def _needs_strides(call: TemplateCall, given: Mapping[str, ast.expr]) -> bool:
    strides = given.get(call.form.signature.positional[2])
    return _size(call, given) is not None and (strides is None or is_none(strides))


def _keywords(
    ctx: FileContext, call: TemplateCall, name: str, node: ast.expr, parts: list[ast.expr]
) -> Iterator[str]:
    """The keyword arguments that one argument becomes; what they are made of is added to ``parts``."""
    size, strides, *_ = call.form.signature.positional[1:]
    new = ctx.release.types[call.change.name].attributes.get(name, name)
    if name not in (size, strides):
        yield f"{new}={_part(node, parts)}"
        return
    sequence = _sequence(node, parts)
    yield f"{new}={sequence if _is_tuple(ctx, call, node) else f'tuple({sequence})'}"
    if name == size and _needs_strides(call, call.given):
        keyword = f"{new}=" if ctx.all_keywords else ""
        yield f"{strides}={_part(call.node.func, parts)}.{_STRIDES}({keyword}{sequence})"


def _is_tuple(ctx: FileContext, call: TemplateCall, node: ast.expr) -> bool:
    """Whether what stands for an argument is a tuple: a display, or a view's own attribute or part of it."""
    if isinstance(node, ast.List | ast.Tuple):
        return True
    inner = node.value if isinstance(node, ast.Subscript) else node
    return isinstance(inner, ast.Attribute) and is_former(ctx.evaluator.at(node, call.call.use))


def _sequence(node: ast.expr, parts: list[ast.expr]) -> str:
    """A placeholder for a sequence; a list display as a tuple of placeholders."""
    if not isinstance(node, ast.List):
        return _part(node, parts)
    items = [
        f"*{_part(e.value, parts)}" if isinstance(e, ast.Starred) else _part(e, parts) for e in node.elts
    ]
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def _part(node: ast.expr, parts: list[ast.expr]) -> str:
    parts.append(node)
    return f"{{{len(parts) - 1}}}"
