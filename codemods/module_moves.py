"""What the rules about moved modules share: rewriting every import form of a module path."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from .analysis.context import FileContext, Import
from .model import EditImport, Finding
from .naming import chain_edits, import_module_line, spelled, together


def moves(ctx: FileContext, code: str, table: Mapping[str, str], message: str) -> Iterator[Finding]:
    """Findings for every import of a module in ``table`` (old → new, under the release's own root)."""
    seen: set[ast.AST] = set()
    for found in ctx.imports:
        if isinstance(found.node, ast.Import):
            yield from _plain(ctx, code, table, message, found)
            continue
        if found.node.level:
            continue
        module = found.node.module or ""
        new = _moved(ctx, table, module)
        if new and found.node not in seen:
            seen.add(found.node)
            edit = EditImport(ctx.source.span(found.node), module=(module, new))
            yield ctx.finding(code, found.node, _text(ctx, message, module, new), edits=[edit])
        elif not new:
            yield from _module_as_name(ctx, code, table, message, found)
    for node, path in ctx.stars:
        new = _moved(ctx, table, path)
        if new and not node.level:
            edit = EditImport(ctx.source.span(node), module=(path, new))
            yield ctx.finding(code, node, _text(ctx, message, path, new), edits=[edit])


def _text(ctx: FileContext, message: str, old: str, new: str) -> str:
    return message.format(old=ctx.release.canonical(old), new=new)


def _moved(ctx: FileContext, table: Mapping[str, str], path: str) -> str:
    """The new path of a module, or "" when the table does not move it."""
    canonical = ctx.release.canonical(path)
    for old, new in table.items():
        if canonical == old or canonical.startswith(old + "."):
            return new + canonical[len(old) :]
    return ""


def _plain(
    ctx: FileContext, code: str, table: Mapping[str, str], message: str, found: Import
) -> Iterator[Finding]:
    path, local = found.alias.name, found.alias.asname
    new = _moved(ctx, table, path)
    if not new:
        return
    target = f"{new} as {local}" if local else new
    edit = EditImport(ctx.source.span(found.node), names=((spelled(found.alias), target),))
    uses = chain_edits(ctx, found, path, new) if local is None else []
    yield from together(ctx, code, found, _text(ctx, message, path, new), edit, uses)


def _module_as_name(
    ctx: FileContext, code: str, table: Mapping[str, str], message: str, found: Import
) -> Iterator[Finding]:
    """``from package import module`` where the module moved."""
    new = table.get(ctx.release.canonical(found.target), "")
    if new:
        line = import_module_line(new, found.local)
        edit = EditImport(ctx.source.span(found.node), names=((spelled(found.alias), ""),), also=(line,))
        yield ctx.finding(code, found.alias, _text(ctx, message, found.target, new), edits=[edit])
