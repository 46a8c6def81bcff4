"""All rules applied to a file until none has anything to do."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..translate.plan import LanguageModule
from . import functions, scopes
from .lines import Text

_GRIDS = ("nl.arange", "nl.mgrid")
_ROUNDS = 40
_ODD = (*scopes.COMPREHENSIONS, ast.Lambda)


def plainer(module: LanguageModule) -> Text | None:
    """The file in plainer Python; None when its kernels are plain already."""
    chosen = {name for name, function in module.functions.items() if _odd(function.node)}
    if not chosen or "\f" in module.ctx.source.text:
        return None
    start = text = Text.of(module.ctx.source.text)
    if len(text.lines) != len(ast_lines(module)):
        return None  # the interpreter counts lines in another way than text does
    taken, grids = scopes.all_names(text.tree), _grids(module)
    for _ in range(_ROUNDS):
        before = text
        for name, top in [*_definitions(text.tree, chosen)][::-1]:
            text = functions.moved_out(text, name, top, taken, grids) or text
        if text is before:
            break
        chosen |= {
            n.name
            for n in text.tree.body
            if isinstance(n, ast.FunctionDef) and n.name in taken - _names(start)
        }
    return None if text is start else text


def ast_lines(module: LanguageModule) -> tuple[int, ...]:
    """Where the interpreter's lines start, without an empty one at the end."""
    starts = module.ctx.source.line_starts
    return starts[:-1] if starts[-1] == len(module.ctx.source.utf8) else starts


def _names(text: Text) -> set[str]:
    return {n.name for n in text.tree.body if isinstance(n, ast.FunctionDef)}


def _odd(node: ast.FunctionDef) -> bool:
    return any(isinstance(n, ast.FunctionDef) and n is not node for n in ast.walk(node))


def _definitions(tree: ast.Module, chosen: set[str]) -> Iterator[tuple[ast.FunctionDef, ast.stmt]]:
    """The chosen functions that have others inside, and the statements at the top of the file they are in."""
    for top in tree.body:
        pending = [top]
        while pending:
            node = pending.pop()
            if isinstance(node, ast.FunctionDef):
                if node.name in chosen and _odd(node):
                    yield node, top
            elif isinstance(node, ast.If | ast.Try | ast.ClassDef | ast.With):
                pending += [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)]


def _grids(module: LanguageModule) -> set[str]:
    """How the file spells what makes index tiles."""
    return {
        ast.unparse(node)
        for node in ast.walk(module.ctx.tree)
        if isinstance(node, ast.Attribute | ast.Name) and module.names.short(node) in _GRIDS
    }
