"""All rules applied to a file until none has anything to do."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..translate.layout import WIDTH, laid_out
from ..translate.plan import LanguageModule
from . import comprehensions, functions, imports, loops, scopes
from .lines import Text

_GRIDS = ("nl.arange", "nl.mgrid")
_PRODUCTS = ("math.prod", "numpy.prod")
_FOLDS = ("sum", "any", "all", "prod")
_ROUNDS = 40
_ODD = (ast.FunctionDef, *scopes.COMPREHENSIONS, ast.Import, ast.ImportFrom)


def plainer(module: LanguageModule) -> Text | None:
    """The file in plainer Python; None when its kernels are plain already."""
    chosen = {name for name, function in module.functions.items() if _odd(function.node)}
    if not chosen or "\f" in module.ctx.source.text:
        return None
    start = text = Text.of(module.ctx.source.text)
    if len(text.lines) != len(ast_lines(module)):
        return None  # the interpreter counts lines in another way than text does
    taken = scopes.all_names(text.tree)
    grids, products = _spellings(module, _GRIDS), _spellings(module, _PRODUCTS)
    unit = _unit(text)
    for _ in range(_ROUNDS):
        before, done = text, set()
        for outer, top in [*_definitions(text.tree, chosen)][::-1]:
            moved = imports.moved_up(text, outer)
            if moved is not None:  # every other function stands on other lines now
                text = moved
                break
            if top not in done:
                text = _once(text, outer, top, taken, grids, products, unit) or text
                done.add(top)
        if text is before:
            break
        chosen |= _names(text) - _names(start)
    return None if text is start else _laid_out(text, start, unit)


def _laid_out(text: Text, start: Text, unit: str) -> Text:
    """With the statements broken that have become too long for a line; comments behind them come above."""
    written = {line for line, _ in start.lines}
    for node in sorted(_statements(text.tree), key=lambda n: -n.lineno):
        line = text.line(node.lineno)
        if len(line) <= WIDTH or line in written or line.lstrip().startswith("#"):
            continue
        raw = line.encode()
        indent, rest = raw[: node.col_offset], raw[node.end_col_offset :].strip()
        code = raw[node.col_offset : node.end_col_offset]
        if indent.strip() or (rest and not rest.startswith(b"#")):
            continue
        lines = [(indent + rest).decode()] if rest else []
        lines += laid_out(code.decode(), indent.decode(), unit)
        text = text.replaced(node.lineno, node.lineno, [(each, text.origin(node.lineno)) for each in lines])
    return text


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Those without a body, on one line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not hasattr(node, "body") and node.lineno == node.end_lineno:
            yield node


def _unit(text: Text) -> str:
    """What the file indents by."""
    for node in ast.walk(text.tree):
        if isinstance(node, ast.FunctionDef) and node.body[0].lineno > node.lineno:
            return " " * (node.body[0].col_offset - node.col_offset) or "    "
    return "    "


def _once(
    text: Text,
    outer: ast.FunctionDef,
    top: ast.stmt,
    taken: set[str],
    grids: set[str],
    products: set[str],
    unit: str,
) -> Text | None:
    """One thing of a function said more plainly; None when nothing is left. Lines above ``top`` stay."""
    return (
        comprehensions.unrolled(text, outer, scopes.all_names(outer), unit, products)
        or loops.one_variable(text, outer, scopes.all_names(outer), unit)
        or functions.moved_out(text, outer, top, taken, grids)
    )


def ast_lines(module: LanguageModule) -> tuple[int, ...]:
    """Where the interpreter's lines start, without an empty one at the end."""
    starts = module.ctx.source.line_starts
    return starts[:-1] if starts[-1] == len(module.ctx.source.utf8) else starts


def _names(text: Text) -> set[str]:
    return {n.name for n in text.tree.body if isinstance(n, ast.FunctionDef)}


def _odd(node: ast.FunctionDef) -> bool:
    """Whether there may be something to be said more plainly."""
    return any(
        isinstance(n, _ODD)
        or (isinstance(n, ast.Call) and ast.unparse(n.func).rpartition(".")[2] in _FOLDS)
        or (isinstance(n, ast.For) and (not isinstance(n.target, ast.Name) or _several(n.iter)))
        for n in ast.walk(node)
        if n is not node
    )


def _several(node: ast.expr) -> bool:
    name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
    return name in ("zip", "enumerate", "reversed")


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


def _spellings(module: LanguageModule, wanted: tuple[str, ...]) -> set[str]:
    """How the file spells functions of libraries."""
    return {
        ast.unparse(node)
        for node in ast.walk(module.ctx.tree)
        if isinstance(node, ast.Attribute | ast.Name) and module.names.short(node) in wanted
    }
