"""Strings that name a module or symbol of the library.

What it does
    Rewrites string constants that are a dotted path, with a colon before the symbol or without: arguments of
    ``import_module``, ``find_spec``, ``mock.patch``, ``monkeypatch.setattr`` and the like, entries of
    dispatch tables, annotations in quotes, f-strings and sums of constants, and the folders of a checkout.

Why
    Such a string fails when it is used, often in a test or behind a flag: the old root is gone, modules moved
    and functions have other names.

Before
        from importlib import import_module

        rmsnorm = import_module("nkilib_standalone.nkilib.core.subkernels.rmsnorm_tkg")

After
        from importlib import import_module

        rmsnorm = import_module("nkilib.core.subkernels.rmsnorm_tkg")

When it stays silent
    In docstrings, comments, prose and code held in strings, and for paths of your own modules, whose names
    stay valid. What names nothing that the library has, patches of a name that is looked up elsewhere
    now, a name that stands in a table beside the path of the module that has lost it, and a legacy top-level
    package alone are reported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .. import dotted
from ..analysis.context import FileContext
from ..analysis.scopes import Text
from ..beside_modules import Beside, beside_modules
from ..dunder_import import dunder_imports
from ..folders import folder_step, pinned, renamed_folders, url_step
from ..joined_strings import Joined, edit, joined_strings, settled
from ..model import Finding, Outcome, ReplaceString, Span
from ..path_strings import Part, folder_strings, path_strings, taken_apart
from ..patterns import pattern

CODE = "NKM109"
_PATH = pattern(r"[A-Za-z_]\w*(?:\.\w+)+(?::[A-Za-z_]\w*(?:\.\w+)*)?")


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each string."""
    handled: set[ast.AST] = set()
    for found, nodes in dunder_imports(ctx, CODE):
        handled |= nodes
        yield found
    for text, part in path_strings(ctx):
        if text.node not in handled:
            yield from _SPECIAL.get(part, _path)(ctx, text, part)
    seen: set[ast.AST] = set()
    for each in beside_modules(ctx):
        if each.node not in seen and each.node not in handled:
            seen.add(each.node)
            yield _beside_its_module(ctx, each)
    for text in folder_strings(ctx):
        yield from _folder(ctx, text)
    for joined in joined_strings(ctx, (ctx.release.root, *ctx.release.legacy_tops)):
        yield from _joined(ctx, joined)


def _path(ctx: FileContext, text: Text, part: Part) -> Iterator[Finding]:
    value = text.value.removesuffix(".")
    if value in ctx.release.gone_tops:
        yield _top(ctx, text, part)
        return
    found = dotted.resolve(ctx.release, value)
    if found is None:
        return
    objection = _objection(ctx, text, part, found)
    if not found.new:
        yield ctx.needs_you(CODE, text.node, f"`{value}` has no successor", found.step)
    elif objection:
        yield ctx.needs_you(CODE, text.node, f"`{value}` is `{found.new}` now", objection)
    else:
        yield _replace(ctx, text, text.value.replace(value, found.new))


def _beside_its_module(ctx: FileContext, each: Beside) -> Finding:
    new = each.found.new
    message = f"`{each.name}` stands beside `{each.module}`, which has no such name in {ctx.release.new}"
    step = f"If it is looked up there, name `{new}`." if new else each.found.step
    return ctx.needs_you(CODE, each.node, message, step)


def _objection(ctx: FileContext, text: Text, part: Part, found: dotted.Path) -> str:
    """Why a path is not simply replaced by its successor; "" when it is."""
    if part is Part.PATCH and found.moved:
        return "Patch the module that looks it up in the new release, or drop the patch."
    if _beside_itself(text, found.new):
        return "The new path stands beside it already: drop one of the two."
    if taken_apart(ctx, text):
        return "This string is taken apart by other code; write the new path if that still fits."
    return ""


def _beside_itself(text: Text, new: str) -> bool:
    """Whether the same list, set or table of keys has the new path already."""
    inside = text.inside
    near: list[ast.expr | None] = []
    if isinstance(inside, ast.Dict) and text.node in inside.keys:
        near += inside.keys
    elif isinstance(inside, ast.List | ast.Tuple | ast.Set):
        near += inside.elts
    return any(isinstance(node, ast.Constant) and node.value == new for node in near)


def _top(ctx: FileContext, text: Text, part: Part) -> Finding:
    root = ctx.release.root
    if part is Part.PROBE:
        return _replace(ctx, text, root)
    step = f"Write `{root}` where the package itself is meant, and drop the part of the path that follows it."
    return ctx.needs_you(CODE, text.node, f"the package `{text.value}` is gone", step)


def _replace(ctx: FileContext, text: Text, new: str) -> Finding:
    change = ReplaceString(ctx.source.span(text.node), text.value, new)
    return ctx.finding(CODE, text.node, f"`{text.value}` is `{new}` now", edits=[change])


def _annotation(ctx: FileContext, text: Text, _part: Part) -> Iterator[Finding]:
    """An annotation in quotes may name several things, an entry point has its own name in front."""
    new = _PATH.sub(lambda match: _successor(ctx, match[0]), text.value)
    if new != text.value:
        yield _replace(ctx, text, new)


def _successor(ctx: FileContext, path: str) -> str:
    found = dotted.resolve(ctx.release, path)
    return found.new if found and found.new else path


def _folder(ctx: FileContext, text: Text) -> Iterator[Finding]:
    value = text.value
    if pinned(ctx.release, value):
        message = f"`{value}` refers to {ctx.release.old}"
        yield ctx.needs_you(CODE, text.node, message, url_step(ctx.release))
    if "://" in value:
        return
    new = renamed_folders(ctx.release, value)
    if new:
        yield _replace(ctx, text, new)
    elif new is not None:
        yield ctx.needs_you(CODE, text.node, f"`{value}` may be gone", folder_step(ctx.release))


def _joined(ctx: FileContext, joined: Joined) -> Iterator[Finding]:
    if not joined.known:
        first = joined.pieces[0]
        if first.span and first.value:
            yield from _root_alone(ctx, joined.node, first.value, first.span)
        return
    found = dotted.resolve(ctx.release, joined.value)
    if found is None or settled(joined, found.new):
        return
    change = edit(joined, found.new) if found.new else None
    if change is not None:
        yield ctx.finding(CODE, joined.node, f"`{joined.value}` is `{found.new}` now", edits=[change])
    else:
        step = found.step or f"Make it `{found.new}`."
        yield ctx.needs_you(CODE, joined.node, f"`{joined.value}` is put together from several strings", step)


def _template(ctx: FileContext, text: Text, _part: Part) -> Iterator[Finding]:
    yield from _root_alone(ctx, text.node, text.value, ctx.source.span(text.node))


def _root_alone(ctx: FileContext, node: ast.expr, value: str, span: Span) -> Iterator[Finding]:
    """A path whose end is chosen at run time, with a legacy root at its start."""
    root = ctx.release.legacy_root(value)
    if root:
        change = ReplaceString(span, value, ctx.release.root + value[len(root) :])
        step = "The rest of the path is chosen at run time: see that it names something of the new release."
        message = f"`{root}` is `{ctx.release.root}` now"
        yield ctx.finding(CODE, node, message, outcome=Outcome.NOTED, step=step, edits=[change])


_SPECIAL = {Part.ANNOTATION: _annotation, Part.ENTRY: _annotation, Part.TEMPLATE: _template}
