"""Statements with a body: loops, branches, scopes."""

from __future__ import annotations

import ast
from collections.abc import Callable
from textwrap import dedent

from ...trees import walk
from ..analysis import values as v
from ..analysis.refusal import Refused
from ..plain.functions import hindrance
from . import blocks, carried, chosen, expressions, facts, loops, statements
from .environment import Environment
from .layout import laid_out
from .values import PlacingFunction
from .walker import Skipped, Walker
from .writer import Goal

KINDS = (ast.For, ast.If, ast.With, ast.While, ast.Try, ast.FunctionDef, ast.ClassDef, ast.Match)


def statement(w: Walker, node: ast.stmt, indent: str) -> list[str] | None:
    """New lines; None for a statement that stays as it is."""
    handler = _HANDLERS.get(type(node))
    try:
        if handler is None:
            raise Refused("M-PY", x=_python(w, node))
        lines = handler(w, node, indent)
    except Refused as refusal:
        w.refused(node, refusal)
        return None
    except Skipped:
        return None
    old = w.lines.indentation(node)
    return None if lines == w.lines.kept(node.lineno, node.end_lineno or 0, old, indent) else lines


def header(w: Walker, node: ast.stmt, code: str, body: list[ast.stmt], indent: str) -> tuple[list[str], int]:
    """The lines of ``for …:`` and the like, and the line after which the body starts.

    ``code`` is the new header on one line, without its colon; an unchanged one stays as it is written.
    """
    last = _header_end(w, node, body[0])
    old = w.lines.indentation(node)
    if last >= body[0].lineno:  # the body stands on the header's line
        return laid_out(f"{code}:", indent, w.unit), body[0].lineno - 1
    start = w.source.offset(node.lineno, node.col_offset)
    end = w.source.line_starts[last] if last < len(w.source.line_starts) else len(w.source.utf8)
    written = w.source.utf8[start:end].decode("utf-8")
    if _flat_header(written) == code:
        return w.lines.kept(node.lineno, last, old, indent), last
    comments = [w.lines.comments[n] for n in range(node.lineno, last + 1) if n in w.lines.comments]
    lines = [indent + comment for comment in comments[:-1]]
    new = laid_out(f"{code}:", indent, w.unit)
    if comments and len(new) == 1:
        return [*lines, f"{new[0]}  {comments[-1]}"], last
    return [*lines, *([indent + comments[-1]] if comments else []), *new], last


def _header_end(w: Walker, node: ast.stmt, first: ast.stmt) -> int:
    """The number of the line that the header's colon is on."""
    parts = [getattr(node, "test", None), getattr(node, "iter", None), *getattr(node, "items", ())]
    ends = [_end(part) for part in parts if part is not None]
    line = max(ends)
    while line < first.lineno and not _code(w, line).rstrip().endswith(":"):
        line += 1
    return line


def _end(part: ast.AST) -> int:
    if isinstance(part, ast.withitem):
        part = part.optional_vars or part.context_expr
    return getattr(part, "end_lineno", 0) or 0


def _code(w: Walker, line: int) -> str:
    text = w.lines.lines[line - 1]
    comment = w.lines.comments.get(line)
    return text[: text.rindex(comment)] if comment else text


def _flat_header(written: str) -> str:
    from .layout import flat

    bare = written.rstrip()
    if "\n" not in bare:
        return bare.partition("#")[0].rstrip().removesuffix(":").rstrip()
    return flat(bare).rpartition(":")[0].rstrip()


def body(w: Walker, nodes: list[ast.stmt], after: int, indent: str) -> list[str]:
    """The lines of a body one level deeper."""
    same_line = after < nodes[0].lineno and w.lines.lines[nodes[0].lineno - 1][: nodes[0].col_offset].strip()
    if same_line:
        found: list[str] = []
        for node in nodes:
            new = statements.statement(w, node, indent)
            found += laid_out(w.segment(node), indent, w.unit) if new is None else new
        return found or [f"{indent}pass"]
    return statements.block(w, nodes, after, indent)


# -- branches -----------------------------------------------------------------------------------------


def _if(w: Walker, node: ast.If, indent: str, word: str = "if") -> list[str]:
    w.start(Goal("condition"))
    test = expressions.code(w, node.test)
    if w.writer.touched:
        raise Refused("M-PY", x="a condition on tiles")
    for name in carried.counted(w, node.test):
        w.writer.note("M-LOOP", v=name)
    w.noted(node, w.writer)
    lines, after = header(w, node, f"{word} {test}", node.body, indent)
    env = w.env
    _enter(w, env, test, True)
    facts.learn(w, node.test)
    lines += body(w, node.body, after, indent + w.unit)
    taken, w.env = w.env, env
    if node.orelse:
        _enter(w, env, test, False)
        lines += _else(w, node, indent)
    _leave(w, env, taken, test, (node.body, node.orelse))
    return [] if word == "if" and _is_empty(lines) else lines


def _enter(w: Walker, env: Environment, test: str, holds: bool) -> None:
    """An arm of a branch starts."""
    w.env = env.copy()
    w.env.branches += 1
    w.env.decide(test, holds)


def _leave(
    w: Walker, env: Environment, taken: Environment, test: str, arms: tuple[list[ast.stmt], list[ast.stmt]]
) -> None:
    """Behind a branch, whose other arm has just been walked: ``env`` holds what is known there."""
    identity = env.identity(test) if "(" not in test else ""
    if not _leaves(arms[0]):
        if _leaves(arms[1]):
            w.env = taken
        else:
            w.env = env.copy() if w.env is env else w.env
            blocks.joined(w, taken)
            w.env.join(taken, identity)
    env.follow(w.env, branches=env.branches, decided=env.decided)
    w.env = env


def _is_empty(lines: list[str]) -> bool:
    """Whether nothing is left of a branch, whose condition only asks."""
    code = "\n".join(lines)
    if "#" in code or "(" in code:
        return False
    (branch,) = ast.parse(dedent(code)).body
    return all(isinstance(n, ast.If | ast.Pass) for n in walk(branch) if isinstance(n, ast.stmt))


def either(w: Walker, node: ast.stmt, indent: str) -> list[str] | None:
    """A statement with an index tile, or mask, that depends on a condition: one for each arm.

    None when it has none.
    """
    if not w.env.values.choices:
        return None
    names = (n.id for n in walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))
    test = next((test for name in names if (test := w.env.choice(name)) is not None), None)
    if test is None:
        return None
    env, inner = w.env, indent + w.unit
    _enter(w, env, test, True)
    one = _arm(w, node, inner)
    taken = w.env
    _enter(w, env, test, False)
    two = _arm(w, node, inner)
    _leave(w, env, taken, test, ([], []))
    if not (one or two):
        return []
    nothing = [f"{inner}pass"]
    return [f"{indent}if {test}:", *(one or nothing), f"{indent}else:", *(two or nothing)]


def _arm(w: Walker, node: ast.stmt, indent: str) -> list[str]:
    lines = statements.statement(w, node, indent)
    return laid_out(w.segment(node), indent, w.unit) if lines is None else lines


def _leaves(nodes: list[ast.stmt]) -> bool:
    return bool(nodes) and isinstance(nodes[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)


def _else(w: Walker, node: ast.If | ast.For, indent: str) -> list[str]:
    first = node.orelse[0]
    end = node.body[-1].end_lineno or 0
    old = w.lines.indentation(node)
    if isinstance(first, ast.If) and w.source.utf8.startswith(b"elif", w.source.span(first)[0]):
        lead = w.lines.kept(end + 1, first.lineno - 1, old, indent)
        return lead + _if(w, first, indent, "elif")
    line = next(
        n
        for n in range(end + 1, first.lineno + 1)
        if w.lines.lines[n - 1].split("#")[0].strip().startswith("else")
    )
    lead = w.lines.kept(end + 1, line, old, indent)
    if line == first.lineno:
        lead[-1] = f"{indent}else:"
    return lead + body(w, node.orelse, line, indent + w.unit)


def _with(w: Walker, node: ast.With, indent: str) -> list[str]:
    (item,) = node.items if len(node.items) == 1 else (None,)
    call = item.context_expr if item else None
    name = w.names.short(call.func) if isinstance(call, ast.Call) else ""
    if name != "ncc.no_reorder" or item is None or item.optional_vars is not None:
        raise Refused("M-PY", x="with")
    w.shared.needs.add("nl")
    lines, after = header(w, node, "with nl.no_reorder()", node.body, indent)
    return lines + body(w, node.body, after, indent + w.unit)


def _function(w: Walker, node: ast.FunctionDef, indent: str) -> list[str]:
    """A function that only ``alloc`` gets is carried out where that is called, and goes."""
    del indent
    if not chosen.only_places(w, node):
        raise Refused("M-PY", x=_python(w, node))
    w.env.bind(node.name, PlacingFunction(node.name, node))
    return []


def _python(w: Walker, node: ast.stmt) -> str:
    """What a statement is called, and why there is no other way to say it."""
    why = hindrance(w.function.node, node) if isinstance(node, ast.FunctionDef) else ""
    return f"{_PYTHON[type(node)]}{f' ({why})' if why else ''}"


_PYTHON: dict[type, str] = {
    ast.While: "while",
    ast.Try: "try",
    ast.FunctionDef: "a function inside of a kernel",
    ast.ClassDef: "a class inside of a kernel",
    ast.Match: "match",
}
_HANDLERS: dict[type, Callable[..., list[str]]] = {
    ast.If: _if,
    ast.For: loops.loop,
    ast.With: _with,
    ast.FunctionDef: _function,
}
__all__ = ["KINDS", "body", "header", "statement", "v"]
