"""Helper functions that new code calls, put in front of the first function that may need them."""

from __future__ import annotations

import ast

from ...model import ReplaceLines
from ..lowering.helpers import HELPERS
from ..plain.lines import first_line
from ..reasons import Change, Work
from .plan import LanguageModule

CODE = "NKL200"


def added(module: LanguageModule) -> Work:
    """The helpers, once for a file, those that others call first."""
    names: list[str] = []
    for name in list(module.helpers):
        _collect(name, names)
    if not names or not module.functions:
        return Work()
    for name in names:
        module.helper(name)
    place = _first(module)
    line = _above_comments(module, _above_text(module, place))
    start = module.ctx.source.line_starts[line - 1]
    code = "".join(f"{_source(module, name)}\n\n" for name in names)
    if {"nl.", "nisa."} & {word for word in ("nl.", "nisa.") if word in code}:
        module.needs |= {word.rstrip(".") for word in ("nl.", "nisa.") if word in code}
    said = ", ".join(f"`{module.helper(name)}`" for name in names)
    verb = "are" if len(names) > 1 else "is"
    change = Change(place, CODE, f"{said} {verb} added for new code", (ReplaceLines((start, start), code),))
    return Work((change,))


def _collect(name: str, names: list[str]) -> None:
    for other in HELPERS[name].needs:
        _collect(other, names)
    if name not in names:
        names.append(name)


def _first(module: LanguageModule) -> ast.stmt:
    """The statement at the top of the file that holds the first function."""
    lines = [function.node.lineno for function in module.functions.values()]
    return next(s for s in module.ctx.tree.body if s.lineno <= min(lines) <= (s.end_lineno or s.lineno))


def _above_text(module: LanguageModule, place: ast.stmt) -> int:
    """The first line of a statement, or that of the strings in front of it that describe it."""
    body = module.ctx.tree.body
    index = body.index(place)
    while index > 1 and _is_text(body[index - 1]):
        index -= 1
    return first_line(body[index])


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _above_comments(module: LanguageModule, line: int) -> int:
    """The first of the comment lines right above a line."""
    lines = module.ctx.source.lines
    while line > 1 and lines[line - 2].startswith("#"):
        line -= 1
    return line


def _source(module: LanguageModule, name: str) -> str:
    """The helper's text under the names and in the indentation of the file."""
    source = HELPERS[name].source
    for other in (name, *HELPERS[name].needs):
        own = module.helper(other)
        if own != other:
            source = source.replace(f"{other}(", f"{own}(")
    unit = module.unit
    if unit == "    ":
        return source
    return "\n".join(_indented(line, unit) for line in source.split("\n"))


def _indented(line: str, unit: str) -> str:
    bare = line.lstrip(" ")
    return unit * ((len(line) - len(bare)) // 4) + bare
