"""Statements, one by one: the lines that each becomes."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from ..analysis import values as v
from ..analysis.refusal import Refused
from ..plain.lines import first_line
from ..reasons import Reason
from ..wording import mark, waiting
from . import assignments, blocks, compound, expressions, facts, programs
from .body import Piece, joined, with_comments
from .layout import laid_out
from .values import NOTHING, Lost
from .walker import Skipped, Walker, known, text
from .writer import Goal


def block(
    w: Walker, statements: Sequence[ast.stmt], after: int, indent: str, moved: Sequence[ast.stmt] = ()
) -> list[str]:
    """The lines of a block that starts behind line ``after``.

    Statements of it that are ``moved`` are written elsewhere, with the comments above them.
    """
    pieces = []
    for group in _by_line(statements):
        first, last = _extent(group)
        after = max([after, *(end for s in moved if (end := s.end_lineno or 0) < first)])
        old = w.lines.indentation(group[0])
        lead = w.lines.kept(after + 1, first - 1, old, indent)
        count = len(w.reasons)
        new = _group(w, group, indent)
        lead += _marks(w, group, w.reasons[count:], indent)
        if new is None:
            pieces.append(Piece(lead, w.lines.kept(first, last, old, indent)))
        else:
            pieces.append(Piece(lead, new, not new, _guard(w, group, indent)))
        after = last
    return joined(pieces, indent)


def _guard(w: Walker, group: Sequence[ast.stmt], indent: str) -> str:
    """The line that the new code of a statement stands under where it depends on what a mask leaves."""
    alone = len(group) == 1 and not isinstance(group[0], compound.KINDS)
    return f"{indent}if {w.writer.condition}:" if alone and w.writer.condition else ""


def _marks(w: Walker, group: Sequence[ast.stmt], reasons: Sequence[Reason], indent: str) -> list[str]:
    """The comments of a partial migration at a place that stays as it is; none on a walk that only finds out
    what a function returns.
    """
    if not w.module.partial or w.shared.within:
        return []
    fresh = [r for r in reasons if (r.message, id(r.node)) not in w.module.marked]
    w.module.marked.update((r.message, id(r.node)) for r in fresh)
    lines = [line for r in fresh for line in mark(r, w.segment(r.node), indent)]
    return lines or (waiting(indent) if w.skipped.pop(id(group[0]), False) else [])


def _by_line(statements: Sequence[ast.stmt]) -> list[list[ast.stmt]]:
    """Statements that share a line come together."""
    groups: list[list[ast.stmt]] = []
    for statement in statements:
        if groups and statement.lineno <= (groups[-1][-1].end_lineno or 0):
            groups[-1].append(statement)
        else:
            groups.append([statement])
    return groups


def _extent(group: Sequence[ast.stmt]) -> tuple[int, int]:
    first = first_line(group[0])
    return first, group[-1].end_lineno or group[-1].lineno


def _group(w: Walker, group: Sequence[ast.stmt], indent: str) -> list[str] | None:
    if len(group) == 1:
        return statement(w, group[0], indent)
    found = [(node, statement(w, node, indent)) for node in group]
    if all(lines is None for _, lines in found):
        return None
    return [
        line
        for node, lines in found
        for line in (laid_out(w.segment(node), indent, w.unit) if lines is None else lines)
    ]


def statement(w: Walker, node: ast.stmt, indent: str) -> list[str] | None:
    """New lines, none for a statement that is not needed any more; None for one that stays as it is."""
    if isinstance(node, compound.KINDS):
        return compound.statement(w, node, indent)
    split = compound.either(w, node, indent)
    if split is not None:
        return split
    try:
        return simple(w, node, indent)
    except Refused as refusal:
        w.refused(node, refusal)
    except Skipped:
        w.skipped[id(node)] = True
    for name in w.function.nodes.stored_in([node]):
        w.env.bind(name, Lost(name))
    return None


def simple(w: Walker, node: ast.stmt, indent: str) -> list[str] | None:
    """A statement without a body."""
    writer = w.start(Goal("tile"))
    handler = _HANDLERS.get(type(node))
    if handler is None:
        raise Refused("M-PY", x=_PYTHON.get(type(node), type(node).__name__))
    line = handler(w, node)
    w.noted(node, writer)
    if line is not None and not writer.touched and _stands_there(w, node, line):
        return None
    lines = writer.lines(indent, w.unit)
    if line is not None:
        lines += laid_out(line, indent, w.unit)
    if not lines:
        return []
    last = node.end_lineno or node.lineno
    inner = [c for n in range(node.lineno, last) if (c := w.lines.comments.get(n))]
    return with_comments(lines, inner, w.lines.comments.get(last, ""), indent)


def _stands_there(w: Walker, node: ast.stmt, line: str) -> bool:
    """Whether new code is what is there, spaces (aligned assignments) aside."""
    before = w.segment(node)
    if line == before or line.replace(" ", "") != before.replace(" ", ""):
        return line == before
    return ast.dump(ast.parse(line).body[0]) == ast.dump(node)


def _expression(w: Walker, node: ast.Expr) -> str | None:
    if isinstance(node.value, ast.Constant):
        return w.segment(node)
    value = known(expressions.evaluate(w, node.value))
    made = value is NOTHING or (isinstance(value, v.Tensor) and "(" not in value.text)
    return None if made else text(value)


def _return(w: Walker, node: ast.Return) -> str | None:
    if node.value is None:
        given = programs.returned(w, "")
        return f"return {given}" if given else "return"
    w.writer.innermost.hint = "result"
    value = known(expressions.evaluate(w, node.value))
    w.returned.append(value)
    given = programs.returned(w, blocks.spelled(w, value))
    return w.respelled(node, [(node.value, given)])


def _assert(w: Walker, node: ast.Assert) -> str | None:
    if programs.is_settled(w, node.test):
        return None
    parts = [(node.test, expressions.code(w, node.test))]
    if w.writer.touched:
        raise Refused("M-PY", x="a condition on tiles")
    facts.learn(w, node.test)
    if node.msg is not None:
        parts.append((node.msg, expressions.code(w, node.msg)))
    return w.respelled(node, parts)


def _raise(w: Walker, node: ast.Raise) -> str | None:
    """An assertion that fails, with the exception's message."""
    call = node.exc
    message = ""
    if isinstance(call, ast.Call) and len(call.args) == 1 and not call.keywords:
        message = expressions.code(w, call.args[0])
    elif call is None or isinstance(call, ast.Call):
        raise Refused("M-PY", x="raise")
    return f"assert False, {message}" if message else "assert False"


def _as_it_is(w: Walker, node: ast.stmt) -> str | None:
    return w.segment(node)


def _import(w: Walker, node: ast.Import | ast.ImportFrom) -> str | None:
    """The host's side moves it to the top of the file."""
    del w, node
    return None


_PYTHON: dict[type, str] = {
    ast.Delete: "del",
    ast.Global: "global",
    ast.Nonlocal: "nonlocal",
}
_HANDLERS: dict[type, Callable[..., str | None]] = {
    ast.Assign: assignments.assign,
    ast.AnnAssign: assignments.annotated,
    ast.AugAssign: assignments.augmented,
    ast.Expr: _expression,
    ast.Return: _return,
    ast.Assert: _assert,
    ast.Raise: _raise,
    ast.Pass: _as_it_is,
    ast.Break: _as_it_is,
    ast.Continue: _as_it_is,
}
