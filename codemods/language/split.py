"""A file of which only some parts can be migrated: those are, and the others keep the old language.

The parts that go keep the clean names (``nl``, ``nisa``, ``nki``): they are what is read and written from now
on. What stays imports the old language under names of its own (``legacy_nl``), so that no name means both.

What happens to the parts that go is found out by the ordinary step on a copy of the file in which the names
of the old language are strangers wherever they stay; every place of the copy is where it is in the file, so
that its edits are those of the file.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, product
from keyword import iskeyword

from ..analysis.context import FileContext
from ..analysis.scopes import Binding, Use
from ..model import Rename, ReplaceLines, Span
from ..naming import certain, imported, is_free, looks_names_up
from ..record import cached_property, replace
from ..source import Source
from ..trees import walk
from .host import kernels_of
from .host.imports import is_kernel
from .host.revived import CODE, PREFIX
from .parts import Parts, Unit, is_old
from .reasons import Change, Reason, Work
from .translate.module import language_module
from .translate.plan import LanguageModule, Staying

_CLEAN = frozenset({"nki", "nl", "nisa"})
_LETTERS = "zyxwvutsrqponmlkjihgfedcba"

Step = Callable[[LanguageModule], Work]


def split(module: LanguageModule, whole: Work, step: Step) -> Work | None:
    """What becomes of a file that cannot be migrated as a whole; None when nothing of it can, or when it is
    not clear what belongs to what.

    Args:
        whole: what the step would do to all of it, with reasons against. step: does it to a module.
    """
    if not _is_clear(module):
        return None
    parts = Parts(kernels_of(module), whole)
    staying: frozenset[Unit] = frozenset()
    work = whole
    while work.reasons:
        found = [parts.parts(reason.node) for reason in work.reasons]
        before, staying = staying, staying.union(*found)
        if staying == before or not all(found) or not parts.kernels(parts.all - staying):
            return None  # what stays and is still a reason would be one for ever
        sides = _Sides(module, parts, staying)
        if not sides.is_possible():
            return None
        work = step(sides.going())
    if not sides.leaves_alone(work):
        return None
    return _together(sides, work, whole.reasons)


def _is_clear(module: LanguageModule) -> bool:
    """Whether every name of the old language is imported once, at the top, and means nothing else."""
    ctx = module.ctx
    old = [b for b in ctx.module.imports if is_old(ctx.target(b)) and not is_kernel(ctx.target(b))]
    declared = {name for scope in ctx.module.scope_of.values() for name in scope.declared}
    defined = [node.name for node in ctx.tree.body if isinstance(node, ast.FunctionDef)]
    return not (
        any(is_old(path) for _, path in ctx.stars)
        or looks_names_up(ctx)
        or len(set(defined)) < len(defined)
        or any((*f.around, f.node)[0] not in ctx.tree.body for f in module.functions.values())
        or any(b.name in declared or not _is_plain(ctx, b) for b in old)
        or any(re.search(rf"\b{re.escape(b.name)}\b", text) for text in _annotations(ctx) for b in old)
    )


def _annotations(ctx: FileContext) -> Iterator[str]:
    """Strings in annotations, which are code."""
    for node in ctx.module.nodes:
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            inner = walk(part) if part is not None else ()
            yield from (n.value for n in inner if isinstance(n, ast.Constant) and isinstance(n.value, str))


def _is_plain(ctx: FileContext, binding: Binding) -> bool:
    """Whether an import at the top of the file is the only thing that its name can mean."""
    same = binding.scope.bindings[binding.name]
    alone = len(same) == 1 or (_is_dotted(binding) and all(map(_is_dotted, same)))
    at_top = binding.scope is ctx.module.top and binding.node in ctx.tree.body
    return alone and at_top


def _is_dotted(binding: Binding) -> bool:
    """Whether an import gives its whole path: ``import a.b.c``."""
    return isinstance(binding.node, ast.Import) and binding.alias is not None and not binding.alias.asname


class _Sides:
    """A file in which some parts stay as they are."""

    def __init__(self, module: LanguageModule, parts: Parts, staying: frozenset[Unit]) -> None:
        self.module = module
        self.ctx = module.ctx
        self.parts = parts
        self.staying = staying
        self.kept: list[tuple[Use, Binding]] = []
        self.gone: list[tuple[Use, Binding]] = []
        for use, binding in parts.uses:
            owners = parts.parts(use.links[0])
            (self.kept if owners and owners <= staying else self.gone).append((use, binding))
        self.kernels = parts.kernels(staying)

    # -- imports --------------------------------------------------------------------------------------

    @cached_property
    def kinds(self) -> dict[Binding, Staying | None]:
        """What becomes of the imports that code which stays uses; None for those that both sides use."""
        shared = {binding for _, binding in self.gone} | {
            b for b in self.parts.imports if b.name in self.ctx.pinned
        }
        found: dict[Binding, Staying | None] = {}
        for _, binding in self.kept:
            alone = binding not in shared
            if alone and (binding.name not in _CLEAN or _is_dotted(binding)):
                found[binding] = Staying.KEPT
            else:
                found[binding] = Staying.OTHER_NAME if alone else None
        return found

    @cached_property
    def names(self) -> dict[Binding, str]:
        """The names that code which stays has for imports whose names go."""
        renamed = (b for b, kind in self.kinds.items() if kind in (Staying.OTHER_NAME, None))
        return {binding: f"{PREFIX}{binding.name}" for binding in renamed}

    def is_possible(self) -> bool:
        """Whether the new names are free, and every place that gets them is known for certain."""
        names = self.names.values()
        free = all(is_free(self.ctx, name) and not name.startswith(PREFIX * 2) for name in names)
        paths = any(_is_dotted(binding) for binding in self.names)
        return bool(self.kept) and free and not paths and all(certain(self.ctx, u) for u, _ in self.kept)

    # -- a copy of the file -----------------------------------------------------------------------------

    def going(self) -> LanguageModule:
        """The file with what stays out of sight."""
        ctx = self.ctx
        data = bytearray(ctx.source.utf8)
        for use, _ in self.kept:
            start, end = ctx.source.span(use.links[0])
            data[start:end] = self._strangers[use.name]
        source = Source.decode(ctx.source.encode(data.decode("utf-8")))
        copy = FileContext(
            ctx.path, source, ast.parse(source.text), ctx.release, ctx.name, ctx.package, pinned=ctx.pinned
        )
        module = language_module(copy, self.module.step)
        elsewhere = self.module.elsewhere
        module.elsewhere = {name: k for name, k in elsewhere.items() if name not in self.kernels}
        module.staying = {(b.name, b.alias.name): k for b, k in self.kinds.items() if k and b.alias}
        module.launches = self.module.launches
        return module

    @cached_property
    def _strangers(self) -> dict[str, bytes]:
        """For each name of the old language one of the same length that means nothing in the file."""
        known = set(re.findall(r"\w+", self.ctx.source.text))
        found: dict[str, bytes] = {}
        for name in dict.fromkeys(binding.name for binding in self.parts.imports):
            words = ("".join(letters) for letters in product(_LETTERS, repeat=len(name.encode())))
            word = next(word for word in words if word not in known and not iskeyword(word))
            known.add(word)
            found[name] = word.encode()
        return found

    # -- what stays -----------------------------------------------------------------------------------

    def leaves_alone(self, work: Work) -> bool:
        """Whether edits touch nothing of what stays, nor of what that uses."""
        spans = [self.ctx.source.span(use.links[0]) for use, _ in self.kept] + self.parts.needed(self.staying)
        edits = [edit for change in work.changes for edit in change.edits]
        places = [getattr(edit, "span", (0, 0)) for edit in edits]
        if overlap(places, spans):
            return False
        words = {word.decode() for word in self._strangers.values()}
        return not any(words & set(re.findall(r"\w+", repr(edit))) for edit in edits)

    def renames(self) -> Iterator[Change]:
        """Uses with their other names, for each unit of the file together."""
        found: dict[Unit, list[Use]] = {}
        for use, binding in self.kept:
            unit = self.parts.unit(use.links[0])
            if binding in self.names and unit is not None:
                found.setdefault(unit, []).append(use)
        names = {binding.name: name for binding, name in self.names.items()}
        for unit, uses in found.items():
            span = self.ctx.source.span
            edits = tuple(Rename(span(u.links[0]), u.name, names[u.name]) for u in uses)
            what = f"`{unit.kernel}`" if unit.kernel else "this"
            said = ", ".join(f"`{names[name]}`" for name in dict.fromkeys(u.name for u in uses))
            text = f"{what} stays in the old language, which is {said} here"
            yield Change(kernels_of(self.module).lines(unit.extent), CODE, text, edits)

    def imports(self) -> Change | None:
        """The old language under its other names, behind the last of its imports."""
        if not self.names:
            return None
        code: list[str] = []
        modules: dict[str, list[str]] = {}
        for binding in sorted(self.names, key=lambda b: b.order):
            node, alias = binding.node, binding.alias
            assert alias is not None
            name = imported(alias.name, self.names[binding])
            if isinstance(node, ast.ImportFrom):
                modules.setdefault(node.module or "", []).append(name)
            else:
                code.append(f"import {name}")
        code += [f"from {module} import {', '.join(names)}" for module, names in modules.items()]
        last = max(self.names, key=lambda b: b.order).node
        assert isinstance(last, ast.stmt)
        starts = (*self.ctx.source.line_starts, len(self.ctx.source.utf8))
        end = starts[last.end_lineno or last.lineno]
        edit = ReplaceLines((end, end), "".join(f"{line}\n" for line in code))
        said = ", ".join(f"`{name}`" for name in self.names.values())
        text = f"the old language is {said} for what stays"
        return Change(last, CODE, text, (edit,))


def overlap(places: Iterable[Span], spans: Iterable[Span]) -> bool:
    """Whether one of some places lies in one of some spans, or they have something in common."""
    ordered = sorted(spans)
    ends = [*accumulate((end for _, end in ordered), max)]
    starts = [start for start, _ in ordered]
    before = ((start, bisect_left(starts, end)) for start, end in places)
    return any(count and start < ends[count - 1] for start, count in before)


def _together(sides: _Sides, work: Work, reasons: tuple[Reason, ...]) -> Work | None:
    """The work on the parts that go, and for what stays its other names and the reasons."""
    added = sides.imports()
    place = added.node if added is not None else sides.kept[0][1].node
    renamed = (use.links[0] for use, binding in sides.kept if binding in sides.names)
    if any(name.lineno <= getattr(place, "lineno", 0) for name in renamed):
        return None
    kept = sorted(sides.kernels & sides.module.functions.keys())
    fields = {"kernels": ", ".join(f"`{name}`" for name in kept) or "some of the host's code"}
    notes = (*work.notes, Reason(place, "M-SPLIT", fields))
    changes = (*work.changes, *sides.renames(), *((added,) if added is not None else ()))
    return replace(
        work, changes=changes, notes=notes, left=(*work.left, *reasons), staying=work.staying | sides.kernels
    )
