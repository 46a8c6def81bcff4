"""Imports of legacy private kernels: what becomes of the names, and of modules that hold them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from .analysis.context import FileContext, Import
from .analysis.scopes import Use
from .ladders import guarding
from .model import EditImport, Finding, Outcome
from .naming import chain_edits, import_line, import_module_line, imported, spelled, together
from .private_kernels import (
    home,
    inside,
    is_enumeration,
    is_free,
    module_step,
    module_summary,
    step,
    summary,
    uses_private_kernels,
)
from .record import record
from .release import PrivateKernel


@record
class _Found:
    """An import of a private kernel, or of a module of them (``names`` is what is listed in it)."""

    place: Import
    entry: PrivateKernel
    names: Mapping[str, PrivateKernel]


def private_imports(ctx: FileContext, code: str, shown: set[int]) -> Iterator[Finding]:
    """One finding for each imported name, or for the names of a statement that move together.

    ``shown`` holds the identities of the entries whose ready code stands at a call.
    """
    same: dict[tuple[ast.AST, str], list[_Found]] = {}
    for place in ctx.imports:
        f = _found(ctx, place)
        if f is None:
            continue
        if _is_fallback(ctx, f):
            yield _noted(ctx, code, f)
        elif f.names:
            yield from _module(ctx, code, f)
        elif isinstance(place.node, ast.ImportFrom) and is_free(ctx, f.entry):
            same.setdefault((place.node, f.entry.new.rpartition(".")[0]), []).append(f)
        else:
            yield _by_hand(ctx, code, f, id(f.entry) not in shown)
    for names in same.values():
        yield _rewritten(ctx, code, names)


def _found(ctx: FileContext, place: Import) -> _Found | None:
    """What an import stands for; helpers count beside a kernel, a module of nothing but helpers never."""
    entry = home(ctx.release, place.target)
    names = {} if place.target in ctx.release.private_by_name else inside(ctx.release, place.target)
    if names:
        telling = not all(e.helper for e in names.values())
        return _Found(place, entry or next(iter(names.values())), names) if telling else None
    if entry is None or (entry.helper and not uses_private_kernels(ctx)):
        return None
    return _Found(place, entry, {})


def _is_fallback(ctx: FileContext, found: _Found) -> bool:
    """Whether it only stands in where an import from the library, in the same ladder, fails."""
    guard = guarding(ctx, found.place.node)
    if guard is None or not guard[1].startswith("handler"):
        return False
    new = [ctx.release.canonical(i.target) for i in ctx.imports if i.node in guard[0].body]
    return any(target.startswith(ctx.release.root + ".") for target in new)


def _noted(ctx: FileContext, code: str, found: _Found) -> Finding:
    message = f"`{found.place.target}` only stands in where {ctx.release.product} is missing"
    advice = "Keep it while you support older releases; drop the arm afterwards."
    return ctx.finding(code, found.place.alias, message, outcome=Outcome.NOTED, step=advice)


def _by_hand(ctx: FileContext, code: str, found: _Found, snippet: bool) -> Finding:
    message = summary(ctx.release, found.place.target, found.entry)
    advice = step(found.entry, snippet and not found.entry.exact)
    if is_enumeration(found.entry) and found.entry.exact:
        advice = f"Import it from there together with the kernels that take it. {advice}"
    elif found.entry.exact:
        advice = f"It moves with the kernels that call it, when they are written with `nki`. {advice}"
    return ctx.needs_you(code, found.place.alias, message, advice)


def _rewritten(ctx: FileContext, code: str, found: list[_Found]) -> Finding:
    """Names of one statement that have the same new module; the statement's own when they are all it has."""
    statement = found[0].place.node
    assert isinstance(statement, ast.ImportFrom)
    module = found[0].entry.new.rpartition(".")[0]
    pairs = [(f.place.alias, f.entry.new.rpartition(".")[2], f.place.local) for f in found]
    whole = len(found) == len(statement.names) and all(alias.name == new for alias, new, _ in pairs)
    span = ctx.source.span(statement)
    if whole:
        edit = EditImport(span, module=(statement.module or "", module))
    else:
        names = ", ".join(imported(new, local) for _, new, local in pairs)
        line = import_line(module, names, names)
        edit = EditImport(span, names=tuple((spelled(alias), "") for alias, _, _ in pairs), also=(line,))
    said = ", ".join(f"`{alias.name}`" for alias, _, _ in pairs)
    note = next((f.entry.step for f in found if is_enumeration(f.entry)), "")
    outcome = Outcome.NOTED if note else Outcome.REWRITTEN
    message = f"{said}: from `{module}` now"
    return ctx.finding(code, statement, message, outcome=outcome, step=note, edits=[edit])


def _module(ctx: FileContext, code: str, found: _Found) -> Iterator[Finding]:
    """A whole module: rewritten when all that is used of it is the same in one module of the library."""
    used = _used(ctx, found.place)
    new = _one_home(ctx, found, used)
    if new:
        yield from _moved_module(ctx, code, found.place, new)
        return
    shown = {name: entry for name, entry in found.names.items() if name in used} or found.names
    message = module_summary(ctx.release, found.place.target, shown)
    yield ctx.needs_you(code, found.place.alias, message, module_step(shown))


def _used(ctx: FileContext, place: Import) -> set[str]:
    """The attributes of the module that the file spells; "" where the module itself is passed on."""
    start = place.target + "."
    used = {r.symbol[len(start) :].partition(".")[0] for r in ctx.references if r.symbol.startswith(start)}
    ends = [r for r in ctx.references if r.symbol == place.target]
    bare = any(not isinstance(_next(r.use, r.index), ast.Attribute) for r in ends)
    return used | ({""} if bare or place.local in ctx.pinned else set())


def _next(use: Use, index: int) -> ast.expr | None:
    return use.links[index + 1] if index + 1 < len(use.links) else None


def _one_home(ctx: FileContext, found: _Found, used: set[str]) -> str:
    """The library's module that has all that is used, under the same names; "" when there is none."""
    entries = [(name, found.names.get(name)) for name in used]
    homes = {e.new.rpartition(".")[0] if e and e.new.endswith(f".{name}") else "" for name, e in entries}
    free = all(entry and is_free(ctx, entry) for _, entry in entries)
    return homes.pop() if free and len(homes) == 1 else ""


def _moved_module(ctx: FileContext, code: str, place: Import, new: str) -> Iterator[Finding]:
    old, local = spelled(place.alias), place.alias.asname
    span = ctx.source.span(place.node)
    if isinstance(place.node, ast.ImportFrom):
        edit = EditImport(span, names=((old, ""),), also=(import_module_line(new, place.local),))
    else:
        edit = EditImport(span, names=((old, f"{new} as {local}" if local else new),))
    plain = isinstance(place.node, ast.Import) and local is None
    uses = chain_edits(ctx, place, place.alias.name, new) if plain else []
    message = f"what is used of `{place.target}` is in `{new}` now"
    yield from together(ctx, code, place, message, edit, uses)
