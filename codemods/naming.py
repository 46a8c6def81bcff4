"""Renaming names safely: what an import becomes, and which local names may change with it."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterator

from .analysis.context import FileContext, Import
from .analysis.scopes import Use
from .model import Edit, Finding, Rename, Wrap
from .trees import walk


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
    if _must_stay(ctx, found, old) or not is_free(ctx, new):
        return None
    edits: list[tuple[ast.expr, Edit]] = []
    for use in ctx.module.by_name.get(old, ()):
        owner = ctx.module.lookup(old, use.scope)
        if owner is None or owner[0] is not found.binding.scope:
            continue
        if not certain(ctx, use):
            return None
        edits.append((use.links[0], Rename(ctx.source.span(use.links[0]), old, new)))
    return edits


def is_free(ctx: FileContext, name: str) -> bool:
    """Whether a name means nothing in the file, and no other star import may give it a meaning."""
    if name in ctx.module.names or name in ctx.module.by_name:
        return False
    own = f"{ctx.release.root}."
    return all(
        ctx.release.canonical(ctx.evaluator.absolute(node)).startswith(own) for node in ctx.module.stars
    )


def certain(ctx: FileContext, use: Use) -> bool:
    """Whether it is known where a use's name stands: before Python 3.12 not always inside an f-string."""
    name = use.links[0]
    start, end = ctx.source.span(name)
    if ctx.source.utf8[start:end] != use.name.encode():
        return False
    places = walk(use.stmt) if _EARLIER and ctx.module.formats else ()
    strings = (s for s in places if isinstance(s, ast.JoinedStr))
    repeating = (s for s in strings if ctx.segment(s).count(use.name) > 1)
    return not any(part is name for string in repeating for part in ast.walk(string))


_EARLIER = sys.version_info < (3, 12)


def _must_stay(ctx: FileContext, found: Import, name: str) -> bool:
    scope = found.binding.scope
    if scope.kind == "class" or (scope is ctx.module.top and (ctx.package or name in ctx.pinned)):
        return True
    if is_mentioned(ctx, name) or looks_names_up(ctx):
        return True
    symbol = ctx.evaluator.binding(found.binding)
    same = found.binding.scope.bindings[name]
    if any(b.kind != "import" or ctx.evaluator.binding(b) != symbol for b in same):
        return True
    return any(
        name in scope.declared
        or (scope.kind == "class" and name in scope.bindings)  # until it is bound there
        for scope in ctx.module.scope_of.values()
    )


def is_mentioned(ctx: FileContext, name: str) -> bool:
    """Whether a string that is a path, an annotation or other code mentions a name; prose does not count."""
    return any(name in text.value and _names(text.value, name) for text in ctx.module.texts)


def _names(text: str, name: str) -> bool:
    if len(text) >= 300 or "\n" in text or not re.search(rf"\b{re.escape(name)}\b", text):
        return False
    return not any(map(str.isspace, text)) or _is_code(text.strip())


def _is_code(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def looks_names_up(ctx: FileContext) -> bool:
    """Whether the file may find its own names by text that is only known at run time."""
    table = ctx.module.by_name
    if any(name in table for name in ("globals", "locals", "eval", "exec")):
        return True
    if any(isinstance(use.inside, ast.Subscript) for use in table.get("__name__", ())):
        return True
    calls = (use.links[1] for use in table.get("vars", ()) if len(use.links) > 1)
    return any(isinstance(call, ast.Call) and not call.args for call in calls)


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
