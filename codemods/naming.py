"""Renaming names safely: what an import becomes, and which local names may change with it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .analysis.context import FileContext, Import
from .analysis.scopes import Use
from .model import Edit, Finding, Rename, Wrap


def spelled(alias: ast.alias) -> str:
    """An imported name exactly as its statement has it."""
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def imported(name: str, local: str) -> str:
    """How to import ``name`` so that it is bound to ``local``."""
    return name if name == local else f"{name} as {local}"


def import_line(module: str, name: str, local: str) -> str:
    """A whole statement that binds ``local`` to ``module.name`` (to the top-level module when there is no
    dot).
    """
    return f"from {module} import {imported(name, local)}" if module else f"import {imported(name, local)}"


def import_module_line(path: str, local: str) -> str:
    """A whole statement that binds ``local`` to the module at ``path``."""
    parent, _, last = path.rpartition(".")
    return import_line(parent, last, local)


def rename_uses(ctx: FileContext, found: Import, new: str) -> list[tuple[ast.expr, Edit]] | None:
    """The edits that rename an imported local name where it is used; None when the name must stay.

    It stays when other files or strings rely on it, when it is bound to anything else too, or when the new
    name already means something in this file.
    """
    old = found.local
    if new == old:
        return []
    if _must_stay(ctx, found, old) or new in ctx.module.names or new in ctx.module.by_name:
        return None
    edits: list[tuple[ast.expr, Edit]] = []
    for use in ctx.module.by_name.get(old, ()):
        owner = ctx.module.lookup(old, use.scope)
        if owner is None or owner[0] is not found.binding.scope:
            continue
        span = ctx.source.span(use.links[0])
        if ctx.source.utf8[span[0] : span[1]] != old.encode():
            return None
        edits.append((use.links[0], Rename(span, old, new)))
    return edits


def _must_stay(ctx: FileContext, found: Import, name: str) -> bool:
    if found.binding.scope is ctx.module.top and (ctx.package or name in ctx.pinned):
        return True
    if any(_names(t.value, name) for t in ctx.module.texts):
        return True
    symbol = ctx.evaluator.binding(found.binding)
    same = found.binding.scope.bindings[name]
    if any(b.kind != "import" or ctx.evaluator.binding(b) != symbol for b in same):
        return True
    return any(name in scope.declared for scope in ctx.module.scope_of.values())


def _names(text: str, name: str) -> bool:
    """Whether a dotted string or a string annotation mentions a local name."""
    return (
        name in text
        and len(text) < 300
        and "\n" not in text
        and bool(re.search(rf"\b{re.escape(name)}\b", text))
    )


def dotted_prefixes(use: Use) -> Iterator[tuple[ast.expr, str]]:
    """``(node, dotted text)`` for the name and each plain attribute that follows it."""
    base = use.links[0]
    assert isinstance(base, ast.Name)
    text = base.id
    yield base, text
    for link in use.links[1:]:
        if not isinstance(link, ast.Attribute):
            return
        text = f"{text}.{link.attr}"
        yield link, text


def chain_edits(ctx: FileContext, found: Import, old: str, new: str) -> list[tuple[ast.expr, Edit]]:
    """Rewrite the dotted path ``old`` to ``new`` in all chains that start at a plain ``import a.b.c``."""
    edits: list[tuple[ast.expr, Edit]] = []
    for use in ctx.module.by_name.get(found.local, ()):
        owner = ctx.module.lookup(found.local, use.scope)
        if owner is None or owner[0] is not found.binding.scope:
            continue
        for node, text in dotted_prefixes(use):
            if text == old:
                edits.append((node, Wrap(ctx.source.span(node), new)))
    return edits


def loose_uses(ctx: FileContext, found: Import, path: str) -> list[Use]:
    """Uses of a plain import's top-level name that do not go through the dotted ``path``."""
    return [
        use
        for use in ctx.module.by_name.get(found.local, ())
        if (owner := ctx.module.lookup(found.local, use.scope))
        and owner[0] is found.binding.scope
        and not any(text == path for _, text in dotted_prefixes(use))
    ]


def last_part(ctx: FileContext, node: ast.Attribute | ast.Name) -> tuple[int, int]:
    """The span of a name, or of an attribute's own identifier."""
    end = ctx.source.span(node)[1]
    name = node.attr if isinstance(node, ast.Attribute) else node.id
    return end - len(name.encode()), end


def together(
    ctx: FileContext, code: str, found: Import, message: str, edit: Edit, uses: list[tuple[ast.expr, Edit]]
) -> Iterator[Finding]:
    """A finding for an import and one for each of its uses, to be carried out together."""
    group = f"{code}:{found.local}" if uses else ""
    yield ctx.finding(code, found.alias, message, edits=[edit], group=group)
    for node, change in uses:
        yield ctx.finding(code, node, message, edits=[change], group=group)
