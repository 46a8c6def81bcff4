"""Private kernels of the compiler package that have a home in the library.

What it does
    Rewrites the import of what is the same in the library: enumerations and helpers. Kernels are
    called differently there: their imports, calls and paths in strings are reported with the new home, what
    became of each parameter, and ready code to paste.

Why
    ``neuronxcc.nki._private_kernels``, ``_pre_prod_kernels`` and ``neuronxcc.nki.kernels`` are what code of
    that time mostly calls; they end with the old compiler's NKI.

Before
    ``from neuronxcc.nki._pre_prod_kernels.common_types import QKVOutputLayout``

After
    ``from nkilib.core.utils.common_types import QKVOutputLayout``

When it stays silent
    For ``neuronxcc.nki`` itself, its language and its instructions. Enumerations stay, reported, in a file
    that still calls private kernels, since those kernels do not recognise the library's members. A fallback
    for older releases beside an import from the library is only noted.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..analysis.context import FileContext, Import
from ..analysis.scopes import Text
from ..joined_strings import joined_strings
from ..ladders import guarding
from ..model import EditImport, Finding, Outcome, ReplaceString
from ..naming import chain_edits, import_line, import_module_line, imported, spelled, together
from ..path_strings import called
from ..private_kernels import (
    home,
    inside,
    is_enumeration,
    kernel_names,
    module_step,
    module_summary,
    private_calls,
    step,
    summary,
)
from ..release import PrivateKernel

CODE = "NKM401"
_REGISTRY = re.compile(r"import|load|register|registry|kernel", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Found:
    """An import of a private kernel, or of a module of them (``names`` is what is listed in it)."""

    place: Import
    entry: PrivateKernel
    names: dict[str, PrivateKernel]

    @property
    def kernel(self) -> bool:
        """Whether it is something that is called differently now."""
        entries = [*self.names.values()] or [self.entry]
        return any(not entry.exact and not entry.helper for entry in entries)


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each import, call and string."""
    calls = list(private_calls(ctx))
    found = [f for i in ctx.imports if (f := _found(ctx, i))]
    kernels = bool(calls) or any(f.kernel and not f.names and not _is_fallback(ctx, f) for f in found)
    yield from _imports(ctx, found, kernels, {id(entry) for call in calls for _, entry in call.kernels})
    for node, path in ctx.stars:
        if home(ctx.release, path):
            names = inside(ctx.release, path)
            yield ctx.needs_you(CODE, node, module_summary(ctx.release, path, names), module_step(names))
    for call in calls:
        message = "; ".join(summary(ctx.release, name, entry) for name, entry in call.kernels)
        advice = "\n\n".join(step(entry, snippet=True) for _, entry in call.kernels)
        yield ctx.needs_you(CODE, call.node, message, advice)
    yield from _strings(ctx, kernels)


def _found(ctx: FileContext, place: Import) -> _Found | None:
    entry = home(ctx.release, place.target)
    names = {} if place.target in ctx.release.private_by_name else inside(ctx.release, place.target)
    if all(e.helper for e in names.values()) if names else entry is None:
        return None
    return _Found(place, entry or next(iter(names.values())), dict(names))


# -- imports ------------------------------------------------------------------------------------------


def _imports(ctx: FileContext, found: list[_Found], kernels: bool, shown: set[int]) -> Iterator[Finding]:
    """``kernels``: whether the file uses one that changed; ``shown``: entries that are shown at calls."""
    same: dict[tuple[ast.AST, str], list[_Found]] = {}
    for f in found:
        if f.entry.helper and not kernels:
            continue
        if _is_fallback(ctx, f):
            yield _noted(ctx, f)
        elif f.names:
            yield from _module(ctx, f, kernels)
        elif f.entry.exact and isinstance(f.place.node, ast.ImportFrom) and _free(f.entry, kernels):
            same.setdefault((f.place.node, f.entry.new.rpartition(".")[0]), []).append(f)
        else:
            yield _by_hand(ctx, f, kernels, id(f.entry) not in shown)
    for names in same.values():
        yield _rewritten(ctx, names)


def _free(entry: PrivateKernel, kernels: bool) -> bool:
    """Whether something that is the same can change alone: members of an enumeration go to the kernels."""
    return not (kernels and is_enumeration(entry))


def _is_fallback(ctx: FileContext, found: _Found) -> bool:
    """Whether it only stands in where an import from the library, in the same ladder, fails."""
    guard = guarding(ctx, found.place.node)
    if guard is None or not guard[1].startswith("handler"):
        return False
    new = [ctx.release.canonical(i.target) for i in ctx.imports if i.node in guard[0].body]
    return any(target.startswith(ctx.release.root + ".") for target in new)


def _noted(ctx: FileContext, found: _Found) -> Finding:
    message = f"`{found.place.target}` only stands in where {ctx.release.product} is missing"
    advice = "Keep it while you support older releases; drop the arm afterwards."
    return ctx.finding(CODE, found.place.alias, message, outcome=Outcome.NOTED, step=advice)


def _by_hand(ctx: FileContext, found: _Found, kernels: bool, snippet: bool) -> Finding:
    message = summary(ctx.release, found.place.target, found.entry)
    advice = step(found.entry, snippet and not found.entry.exact)
    if found.entry.exact and kernels:
        advice = f"Import it from there together with the kernels that take it. {advice}"
    return ctx.needs_you(CODE, found.place.alias, message, advice)


def _rewritten(ctx: FileContext, found: list[_Found]) -> Finding:
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
    return ctx.finding(CODE, statement, message, outcome=outcome, step=note, edits=[edit])


# -- modules ------------------------------------------------------------------------------------------


def _module(ctx: FileContext, found: _Found, kernels: bool) -> Iterator[Finding]:
    """A whole module: rewritten when all that is used of it is the same in one module of the library."""
    place, used = found.place, _used(ctx, found)
    entries = {name: found.names.get(name) for name in used}
    homes = {e.new.rpartition(".")[0] for n, e in entries.items() if e and e.new.rpartition(".")[2] == n}
    exact = all(e and e.exact and _free(e, kernels) for e in entries.values())
    if exact and len(homes) == 1 and len(used) == len([e for e in entries.values() if e]):
        yield from _moved_module(ctx, place, homes.pop())
        return
    shown = {name: entry for name, entry in found.names.items() if name in used} or found.names
    message = module_summary(ctx.release, place.target, shown)
    yield ctx.needs_you(CODE, place.alias, message, module_step(shown))


def _used(ctx: FileContext, found: _Found) -> set[str]:
    """The attributes of the module that the file spells."""
    start = found.place.target + "."
    below = {r.symbol[len(start) :] for r in ctx.references if r.symbol.startswith(start)}
    return {name.partition(".")[0] for name in below}


def _moved_module(ctx: FileContext, place: Import, new: str) -> Iterator[Finding]:
    old, local = spelled(place.alias), place.alias.asname
    span = ctx.source.span(place.node)
    if isinstance(place.node, ast.ImportFrom):
        edit = EditImport(span, names=((old, ""),), also=(import_module_line(new, place.local),))
    else:
        edit = EditImport(span, names=((old, f"{new} as {local}" if local else new),))
    plain = isinstance(place.node, ast.Import) and local is None
    uses = chain_edits(ctx, place, place.alias.name, new) if plain else []
    message = f"what is used of `{place.target}` is in `{new}` now"
    yield from together(ctx, CODE, place, message, edit, uses)


# -- strings ------------------------------------------------------------------------------------------


def _strings(ctx: FileContext, kernels: bool) -> Iterator[Finding]:
    known = kernel_names(ctx.release)
    for text in ctx.texts:
        if text.value in known and _registers(text):
            name, entry = known[text.value]
            yield ctx.needs_you(
                CODE, text.node, summary(ctx.release, name, entry), step(entry, snippet=False)
            )
        elif not isinstance(text.inside, ast.Expr | ast.JoinedStr | ast.BinOp):
            yield from _string(ctx, text, kernels)
    for joined in joined_strings(ctx, ctx.release.private_packages):
        message = "which private kernel is loaded is decided at run time"
        advice = f"Look for the kernels that may be meant in {ctx.release.product}, and import them there."
        yield ctx.needs_you(CODE, joined.node, message, advice)


def _registers(text: Text) -> bool:
    """Whether a kernel's name is handed to something that loads or keeps kernels by name."""
    return isinstance(text.inside, ast.Call) and bool(_REGISTRY.search(called(text.inside)))


def _string(ctx: FileContext, text: Text, kernels: bool) -> Iterator[Finding]:
    """A path that is imported or patched by its name."""
    path = text.value.replace(":", ".")
    names = {} if path in ctx.release.private_by_name else inside(ctx.release, path)
    entry = home(ctx.release, path)
    if names and entry and path not in ctx.release.private_by_name:
        yield ctx.needs_you(CODE, text.node, module_summary(ctx.release, path, names), module_step(names))
    elif entry and entry.exact and _free(entry, kernels):
        new = entry.new if ":" not in text.value else ":".join(entry.new.rsplit(".", 1))
        edit = ReplaceString(ctx.source.span(text.node), text.value, new)
        yield ctx.finding(CODE, text.node, f"`{text.value}` is `{new}` now", edits=[edit])
    elif entry and not entry.helper:
        yield ctx.needs_you(CODE, text.node, summary(ctx.release, path, entry), step(entry, snippet=False))
