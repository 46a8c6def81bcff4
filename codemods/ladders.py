"""Import ladders, ``try: import … except ImportError: import …`` and ``if new: import … else: import …``, and
what they mean for a migration.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .analysis.context import FileContext, Import
from .naming import loose_uses
from .trees import last_name

_FAILURES = {"ImportError", "ModuleNotFoundError", "Exception", "AttributeError", ""}


def guarding(ctx: FileContext, node: ast.stmt) -> tuple[ast.Try, str] | None:
    """The ``try`` whose arm (``body`` or ``handlerN``) holds an import, itself or in a ``with``, if it
    catches import errors.
    """
    block = ctx.module.bodies.get(node)
    if block is None or not isinstance(block.owner, ast.Try):
        return None
    if not all(_catches_import(handler) for handler in block.owner.handlers):
        return None
    return block.owner, block.arm


def _catches_import(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return all(last_name(kind) in _FAILURES for kind in kinds)


def kept_for_old_release(ctx: FileContext, node: ast.stmt) -> bool:
    """Whether an import stands in an arm of ``if`` or ``except`` that serves the old release, beside an arm
    that is new.

    Such a ladder makes the file run on both releases and stays as it is.
    """
    block = ctx.module.bodies.get(node)
    if block is not None and isinstance(block.owner, ast.If):
        arms = _arms(ctx, block.owner)
        mine = next((arm for arm in arms if node in arm), [])
        return any(
            _already_new(ctx, new, old) for old in mine for arm in arms if arm is not mine for new in arm
        )
    found = guarding(ctx, node)
    if found is None or not found[1].startswith("handler"):
        return False
    handler = found[0].handlers[int(found[1].removeprefix("handler"))]
    return any(_already_new(ctx, new, old) for old in handler.body for new in found[0].body)


def _arms(ctx: FileContext, node: ast.If) -> list[list[ast.stmt]]:
    """The arms of a whole ``if``, ``elif``, … of which one ``if`` is a part."""
    block = ctx.module.bodies[node]
    if isinstance(block.owner, ast.If) and block.owner.orelse == [node]:
        return _arms(ctx, block.owner)
    arms = [node.body]
    while len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        node = node.orelse[0]
        arms.append(node.body)
    return [*arms, node.orelse]


def runs_on_both(ctx: FileContext, node: ast.Try | ast.If) -> bool:
    """Whether an arm of the ladder serves the old release."""
    arms = (
        (handler.body for handler in node.handlers) if isinstance(node, ast.Try) else (node.body, node.orelse)
    )
    return any(kept_for_old_release(ctx, stmt) for arm in arms for stmt in arm)


def _already_new(ctx: FileContext, stmt: ast.stmt, old: ast.stmt) -> bool:
    """Whether ``stmt`` imports, under the same local name, the new spelling of what ``old`` imports."""
    mine, other = _targets(ctx, old), _targets(ctx, stmt)
    return any(
        local in mine and other[local] != mine[local] and _new(ctx, mine[local]) == other[local]
        for local in other
    )


def _targets(ctx: FileContext, stmt: ast.stmt) -> dict[str, str]:
    """Local name → canonical target, of an import statement."""
    return {i.local: ctx.release.canonical(i.target) for i in ctx.imports if i.node is stmt}


def collapsible(ctx: FileContext, node: ast.Try) -> bool:
    """Whether all arms consist of imports only and bind the same local names to the same new things."""
    if node.orelse or node.finalbody or not node.handlers or not all(map(_catches_import, node.handlers)):
        return False
    if runs_on_both(ctx, node):
        return False
    arms = [node.body, *(handler.body for handler in node.handlers)]
    meanings = [_meaning(ctx, arm) for arm in arms]
    return all(meanings) and all(meaning == meanings[0] for meaning in meanings)


def _meaning(ctx: FileContext, arm: list[ast.stmt]) -> frozenset[tuple[str, str]]:
    """``(local name, new qualified name)`` of an arm's imports; empty when it holds anything else than
    imports of the library and ladders of them.
    """
    statements: list[ast.Import | ast.ImportFrom] = []
    for stmt in _flat(ctx, arm):
        if not isinstance(stmt, ast.Import | ast.ImportFrom):
            return frozenset()
        statements.append(stmt)
    pairs = [(_local(ctx, i), i.target) for i in ctx.imports if i.node in statements]
    pairs += [("*", path) for node, path in ctx.stars if node in statements]
    moved = {(local, _new(ctx, ctx.release.canonical(target))) for local, target in pairs}
    return frozenset(moved) if len(pairs) == sum(len(stmt.names) for stmt in statements) else frozenset()


def _flat(ctx: FileContext, arm: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of an arm, with the first arm in the place of a ladder."""
    for stmt in arm:
        if isinstance(stmt, ast.Try) and collapsible(ctx, stmt):
            yield from _flat(ctx, stmt.body)
        else:
            yield stmt


def _local(ctx: FileContext, found: Import) -> str:
    """The name that an import binds in the end: a plain import of a legacy root gets another one."""
    root = ctx.release.legacy_root(found.target)
    plain = isinstance(found.node, ast.Import) and found.alias.asname is None
    return ctx.release.root if root and plain and not loose_uses(ctx, found, root) else found.local


def _new(ctx: FileContext, name: str) -> str:
    """The new name of an imported thing; a legacy private one counts when its import is rewritten."""
    from .private_kernels import home, is_free

    private = home(ctx.release, name)
    return private.new if private and is_free(ctx, private) else ctx.release.moved(name)
