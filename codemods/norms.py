"""The norm kernels whose output the caller allocates now: what a call says, and whether it can change."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from .analysis import values as v
from .analysis.context import FileContext
from .analysis.scopes import Use
from .edit.lines import owns_lines
from .evidence import fit, may_be_none
from .record import record
from .sites import PARTIAL
from .templates import TemplateCall

HEAP = "use_heap_memory"
MANAGER = "sbm"
_PURE = (ast.Name, ast.Constant, ast.Attribute, ast.UnaryOp, ast.expr_context, ast.unaryop)


@record
class Norm:
    """A call of a norm kernel in the old form.

    Attributes:
        output: the parameter that the new release requires. place: the one that said where to put it.
        source: the parameter that is normalised.
    """

    call: TemplateCall
    output: str
    place: str
    source: str

    @classmethod
    def of(cls, call: TemplateCall) -> Norm:
        """The call with the parameters that its two signatures tell."""
        old, new, renamed = call.form.signature, call.change.signature, call.form.renamed
        kept = {renamed.get(name, name) for name in old.names}
        output = next(name for name in new.required if name not in kept)
        place = next(name for name in old.names if renamed.get(name, name) not in new.names)
        return cls(call, output, place, old.positional[0])

    @property
    def use(self) -> Use:
        return self.call.call.use

    @property
    def in_sbuf(self) -> bool:
        return _is(self.call.given.get(self.place), True)

    @property
    def on_heap(self) -> bool:
        return _is(self.call.given.get(HEAP), True)

    @property
    def manager(self) -> ast.expr | None:
        """The allocator that an output in SBUF comes from."""
        given = self.call.given.get(MANAGER)
        return None if given is None or _is(given, None) else given


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def problem(ctx: FileContext, norm: Norm, calls: Iterable[Norm]) -> str:
    """Why one of the file's calls has to be left to a person; "" when it can be rewritten."""
    return (
        norm.call.problem
        or _callee_problem(ctx, norm)
        or _statement_problem(ctx, norm)
        or _form_problem(ctx, norm)
        or _place_problem(ctx, norm)
        or _order_problem(norm)
        or _inner_problem(norm, calls)
    )


def _callee_problem(ctx: FileContext, norm: Norm) -> str:
    call = norm.call.call
    if call.callee == PARTIAL or isinstance(call.callee, v.Partial):
        return "it is called through `functools.partial`"
    if not isinstance(call.callee, v.Symbol):
        return "it is called through `nki.jit`, a launch or another wrapper"
    func = call.node.func
    if isinstance(func, ast.Name):
        return ""
    owner = ctx.evaluator.at(func.value, call.use) if isinstance(func, ast.Attribute) else None
    return "" if isinstance(owner, v.Symbol) else "it is reached through an attribute or a container"


def _statement_problem(ctx: FileContext, norm: Norm) -> str:
    stmt, node = norm.use.stmt, norm.call.node
    if not isinstance(stmt, ast.Assign | ast.AnnAssign | ast.Return) or stmt.value is not node:
        return "its result is not the whole right side of an assignment or a return value"
    if not owns_lines(ctx.source.utf8, ctx.source.span(stmt)):
        return "the statement shares its line with another"
    target = targets(stmt)[0] if targets(stmt) else None
    if isinstance(target, ast.Name) and _compared_with_none(ctx, norm.use, target.id):
        return "the result is compared with None"
    return ""


def targets(stmt: ast.stmt) -> list[ast.expr]:
    """What a statement assigns to."""
    if isinstance(stmt, ast.Assign):
        return stmt.targets
    return [stmt.target] if isinstance(stmt, ast.AnnAssign) else []


def _compared_with_none(ctx: FileContext, use: Use, name: str) -> bool:
    alone = (u for u in ctx.module.by_name.get(name, ()) if u.scope is use.scope and len(u.links) == 1)
    parents = (ctx.parent(other.top) for other in alone)
    comparisons = (parent for parent in parents if isinstance(parent, ast.Compare))
    return any(_is(operand, None) for c in comparisons for operand in (c.left, *c.comparators))


def _form_problem(ctx: FileContext, norm: Norm) -> str:
    """Whether the argument at the place where the releases part may be the output already."""
    call = norm.call
    start = call.form.first_break(call.change.signature)
    if start is None or len(call.arguments) <= start or call.form.name != call.change.name:
        return ""
    name = call.form.signature.positional[start]
    if call.form.signature.defaults.get(name) in {None, "None"}:
        return ""
    given = [*call.arguments, *(keyword.value for keyword in call.node.keywords)]
    rates = [
        fit(ctx, norm.use, signature, call.shape, given)
        for signature in (call.form.signature, call.change.signature)
    ]
    return f"argument {start} may be `{name}` or already `{norm.output}`" if rates[0] == rates[1] else ""


def _place_problem(ctx: FileContext, norm: Norm) -> str:
    place, heap = norm.call.given.get(norm.place), norm.call.given.get(HEAP)
    if not _literal_flag(place):
        return f"`{norm.place}` is not a literal"
    if not norm.in_sbuf or norm.manager is None:
        return ""
    if not _literal_flag(heap):
        return f"`{HEAP}` is not a literal"
    if not is_plain(norm.manager):
        return f"`{MANAGER}` is not a plain name"
    if may_be_none(ctx, norm.use, norm.manager):
        return f"`{ctx.segment(norm.manager)}`, given as `{MANAGER}`, may be None"
    return ""


def _literal_flag(node: ast.expr | None) -> bool:
    return node is None or (isinstance(node, ast.Constant) and isinstance(node.value, bool))


def _order_problem(norm: Norm) -> str:
    """Whether a line in front of the call would change the order in which arguments are evaluated."""
    source = norm.call.given.get(norm.source)
    if source is None:
        return f"`{norm.source}` is not given"
    arguments = [*norm.call.node.args, *(keyword.value for keyword in norm.call.node.keywords)]
    before = arguments[: arguments.index(source)]
    if not is_plain(source) and not all(map(_pure, before)):
        return "an argument before the input would change its order of evaluation"
    others = [argument for argument in arguments if argument is not source]
    if norm.in_sbuf and norm.manager is not None and not all(map(_pure, others)):
        return "an argument would change its order of evaluation with the allocation"
    return ""


def _inner_problem(norm: Norm, calls: Iterable[Norm]) -> str:
    """Whether a call that always needs a person stands among the arguments."""
    inner = {call.call.node for call in calls} - {norm.call.node}
    found = any(part in inner for part in ast.walk(norm.call.node))
    return "an argument calls such a kernel itself" if found else ""


def _pure(node: ast.expr) -> bool:
    return all(isinstance(part, _PURE) for part in ast.walk(node))


def is_plain(node: ast.expr) -> bool:
    """Whether an expression is a name or a dotted name, which may be repeated."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)
