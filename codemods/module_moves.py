"""What the rules about moved modules share: rewriting every import form of a module path."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from .analysis import values as v
from .analysis.context import FileContext, Import
from .ladders import kept_for_old_release
from .model import EditImport, Finding
from .naming import chain_edits, dotted_prefixes, import_module_line, loose_uses, spelled, together
from .relocations import new_home


def moves(ctx: FileContext, code: str, table: Mapping[str, str], message: str) -> Iterator[Finding]:
    """Findings for every import of a module in ``table`` (old → new, under the release's own root)."""
    seen: set[ast.AST] = set()
    covered: set[ast.AST] = set()
    for found in ctx.imports:
        if kept_for_old_release(ctx, found.node):
            continue
        if isinstance(found.node, ast.Import):
            yield from _plain(ctx, code, table, message, found, covered)
            continue
        if found.node.level or new_home(ctx, found.node):
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
    yield from _through_packages(ctx, code, table, message, covered)


def _through_packages(
    ctx: FileContext, code: str, table: Mapping[str, str], message: str, covered: set[ast.AST]
) -> Iterator[Finding]:
    """Modules that are looked up on their package, which only works once something else has imported them."""
    for reference in ctx.references:
        node, owner = reference.node, reference.owner
        if isinstance(node, ast.Attribute) and isinstance(owner, v.Symbol) and node not in covered:
            new = table.get(f"{owner.name}.{node.attr}", "")
            if new:
                text = _text(ctx, message, f"{owner.name}.{node.attr}", new)
                yield ctx.needs_you(code, node, text, f"Write `import {new}` and use that here.")


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
    ctx: FileContext,
    code: str,
    table: Mapping[str, str],
    message: str,
    found: Import,
    covered: set[ast.AST],
) -> Iterator[Finding]:
    path, local = found.alias.name, found.alias.asname
    new = _moved(ctx, table, path)
    if not new:
        return
    target = f"{new} as {local}" if local else new
    uses = chain_edits(ctx, found, path, new) if local is None else []
    covered.update(node for node, _ in uses)
    also = _package(ctx, found, path) if local is None else ()
    edit = EditImport(ctx.source.span(found.node), names=((spelled(found.alias), target),), also=also)
    yield from together(ctx, code, found, _text(ctx, message, path, new), edit, uses)


def _package(ctx: FileContext, found: Import, path: str) -> tuple[str, ...]:
    """An import of the old package, where the file uses that too and does not import it otherwise."""
    package = path.rpartition(".")[0]
    others = (i.alias for i in ctx.imports if isinstance(i.node, ast.Import) and i.alias is not found.alias)
    if any(f"{alias.name}.".startswith(f"{package}.") for alias in others):
        return ()
    texts = (text for use in loose_uses(ctx, found, path) for _, text in dotted_prefixes(use))
    return (f"import {ctx.release.canonical(package)}",) if package in texts else ()


def _module_as_name(
    ctx: FileContext, code: str, table: Mapping[str, str], message: str, found: Import
) -> Iterator[Finding]:
    """``from package import module`` where the module moved."""
    new = table.get(ctx.release.canonical(found.target), "")
    if new:
        line = import_module_line(new, found.local)
        edit = EditImport(ctx.source.span(found.node), names=((spelled(found.alias), ""),), also=(line,))
        yield ctx.finding(code, found.alias, _text(ctx, message, found.target, new), edits=[edit])
