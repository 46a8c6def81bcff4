"""Which parts of a file change together: kernels, what they call, and what they share.

A file falls into *units*: its functions, the methods of its classes, and its other statements at the top.
Units are joined

- with what they call or name, if they are written in the language: kernels with helpers, and with constants
  that are made with names of the language;
- with each other, if the host uses the language in a way that serves several of them at once.

What is the same in both languages joins nothing: helpers in plain Python, and sizes such as
``nl.tile_size.pmax``.
"""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from ..analysis.scopes import Binding, Use
from ..model import Span
from ..record import cached_property, record
from ..trees import children
from .host.imports import is_kernel
from .host.kernels import Kernels
from .reasons import Work
from .translate.names import BETA1

_NUMBERS = f"{BETA1}.language.tile_size."


@record(frozen=False)
class Unit:
    """A function, a method, or another statement at the top of a file.

    Attributes:
        spans: where it is: the statement, without methods that are units of their own.
        kernel: name of the function of the language that it is, or of the kernel of another file.
        inner: names of kernels that it defines.
        carries: whether it is written in the language, so that it changes with what it uses.
    """

    spans: tuple[Span, ...]
    kernel: str = ""
    carries: bool = False
    inner: tuple[str, ...] = ()

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def kernels(self) -> tuple[str, ...]:
        """The names of what is written in the language in it."""
        return (self.kernel, *self.inner) if self.kernel else self.inner

    @property
    def extent(self) -> Span:
        """From where it starts to where it ends."""
        return self.spans[0][0], self.spans[-1][1]


class Parts:
    """The parts of a file.

    Args:
        kernels: the file. whole: what the step would do to all of it.
    """

    def __init__(self, kernels: Kernels, whole: Work) -> None:
        self._kernels = kernels
        self._ctx = kernels.ctx
        self._joined: dict[Unit, Unit] = {}
        self.units = [unit for stmt in self._ctx.tree.body for unit in self._cut(stmt)]
        spans = [(start, end, unit) for unit in self.units for start, end in unit.spans if start < end]
        self._places = sorted(spans, key=lambda place: place[0])
        self._starts = [start for start, _, _ in self._places]
        self._tops = [self._span(stmt)[0] for stmt in self._ctx.tree.body]
        self._defined = self._definitions()
        self._of_kernel: dict[str, list[Unit]] = {}
        for unit in self.units:
            unit.inner = self._defined_in(unit)
            for name in unit.kernels:
                self._of_kernel.setdefault(name, []).append(unit)
        self._mark(whole)
        self._join()

    # -- units ----------------------------------------------------------------------------------------

    def _cut(self, stmt: ast.stmt) -> Iterator[Unit]:
        own = self._span(stmt)
        if not isinstance(stmt, ast.ClassDef):
            known = isinstance(stmt, ast.FunctionDef) and self._kernels.functions.get(stmt.name) is stmt
            yield Unit((own,), kernel=stmt.name if isinstance(stmt, ast.FunctionDef) and known else "")
            return
        methods = [s for s in stmt.body if isinstance(s, ast.FunctionDef | ast.AsyncFunctionDef)]
        inner = [self._span(method) for method in methods]
        yield from (Unit((span,)) for span in inner)
        ends = [own[0], *(end for _, end in inner)]
        yield Unit(tuple(zip(ends, [*(start for start, _ in inner), own[1]], strict=True)))

    def _defined_in(self, unit: Unit) -> tuple[str, ...]:
        """The kernels that a function of the host defines."""
        functions = self._kernels.module.functions.items()
        outer = [(name, f.around[0]) for name, f in functions if f.around]
        return tuple(name for name, node in outer if unit.spans == (self._span(node),))

    def _span(self, node: ast.AST) -> Span:
        """Where a statement stands, with its decorators."""
        spans = [self._ctx.source.span(n) for n in (*getattr(node, "decorator_list", ()), node)]
        return min(start for start, _ in spans), max(end for _, end in spans)

    def _definitions(self) -> dict[str, list[Unit]]:
        """The units that a name at the top of the file may denote, or that give it its value."""
        found: dict[str, list[Unit]] = {}
        top = self._ctx.module.top
        for name, bindings in top.bindings.items():
            for binding in bindings:
                if binding.kind != "import":
                    found.setdefault(name, []).extend(self._within(self._ctx.source.span(binding.node)))
                elif self._ctx.target(binding) in self._kernels.module.elsewhere:
                    unit = Unit((), self._ctx.target(binding), carries=True)
                    self.units.append(unit)
                    found.setdefault(name, []).append(unit)
        return found

    def _within(self, span: Span) -> list[Unit]:
        first = max(bisect_right(self._starts, span[0]) - 1, 0)
        near = self._places[first : bisect_left(self._starts, span[1])]
        return [*dict.fromkeys(unit for start, end, unit in near if start < span[1] and span[0] < end)]

    def unit(self, node: ast.AST) -> Unit | None:
        """The unit that a place is in."""
        place = self._ctx.source.span(node)[0]
        number = bisect_right(self._starts, place) - 1
        _, end, unit = self._places[max(number, 0)]
        return unit if number >= 0 and place < end else None

    # -- mentions -------------------------------------------------------------------------------------

    @cached_property
    def _mentions(self) -> list[tuple[int, str]]:
        """Names of units in the file: where, and which."""
        found = []
        for name in self._defined:
            for use in self._ctx.module.by_name.get(name, ()):
                owner = self._ctx.module.lookup(name, use.scope)
                if owner is not None and owner[0] is self._ctx.module.top:
                    found.append((self._ctx.source.span(use.links[0])[0], name))
        return sorted(found)

    def _named(self, spans: Iterable[Span]) -> set[Unit]:
        found: set[Unit] = set()
        for start, end in spans:
            first, last = (bisect_left(self._mentions, (at, "")) for at in (start, end))
            found.update(u for _, name in self._mentions[first:last] for u in self._defined[name])
        return found

    def _reached(self, units: set[Unit]) -> set[Unit]:
        """The units that carry the language among some and what these name, directly or through others."""
        return {unit for unit in self._closed(units) if unit.carries}

    def _closed(self, units: set[Unit]) -> set[Unit]:
        """Some units and all that these name, directly or through others."""
        seen: set[Unit] = set()
        pending = list(units)
        while pending:
            unit = pending.pop()
            if unit not in seen:
                seen.add(unit)
                pending += self._named(unit.spans)
        return seen

    def _served(self, node: ast.AST, unit: Unit) -> set[Unit]:
        """What a place of the host's code is for: the units of the smallest expression or statement around
        it that names any; empty when only the whole unit does.
        """
        for here in self._around(self._ctx.source.span(node)):
            span = self._span(here)
            if isinstance(here, ast.stmt) and any(s >= span[0] and e <= span[1] for s, e in unit.spans):
                break
            if found := self._reached(self._named((span,))):
                return found
        return set()

    def _around(self, span: Span) -> list[ast.AST]:
        """The expressions and statements that a place stands in, innermost first."""
        found: list[ast.AST] = []
        number = max(bisect_right(self._tops, span[0]) - 1, 0)
        pending: list[ast.AST] = [*self._ctx.tree.body[number : number + 1]]
        while pending:
            node = pending.pop()
            if not hasattr(node, "lineno"):
                pending += children(node)
                continue
            start, end = self._span(node)
            if start <= span[0] and span[1] <= end:
                found.append(node)
                pending = children(node)
        return found[::-1]

    # -- names of the language ------------------------------------------------------------------------

    @cached_property
    def imports(self) -> list[Binding]:
        """Imports of the old language at the top of the file."""
        top = self._ctx.module.top
        found = [b for b in self._ctx.module.imports if b.scope is top and is_old(self._ctx.target(b))]
        return [b for b in found if not is_kernel(self._ctx.target(b))]

    @cached_property
    def uses(self) -> list[tuple[Use, Binding]]:
        """Uses of names of the old language that are imported at the top, with the import."""
        found = []
        for binding in self.imports:
            for use in self._ctx.module.by_name.get(binding.name, ()):
                owner = self._ctx.module.lookup(use.name, use.scope)
                if owner is not None and owner[0] is self._ctx.module.top and binding is owner[1][-1]:
                    found.append((use, binding))
        return found

    def is_number(self, use: Use) -> bool:
        """Whether a use is a size of the machine, which is the same number in both languages."""
        return any(f"{self._kernels.names.qualified(link)}.".startswith(_NUMBERS) for link in use.links)

    # -- joining --------------------------------------------------------------------------------------

    def _mark(self, whole: Work) -> None:
        """Find the units that carry the language."""
        spans = [getattr(edit, "span", (0, 0)) for change in whole.changes for edit in change.edits]
        affected = [span for span in spans if span[0] < span[1]]
        affected = sorted(affected + [self._ctx.source.span(reason.node) for reason in whole.reasons])
        speaking = [(u, use) for use, _ in self.uses if (u := self.unit(use.links[0])) is not None]
        for unit, _ in speaking:
            unit.carries = unit.carries or bool(unit.kernels)
        for unit in self.units:
            if unit.kernels and unit.spans:
                ((start, end),) = unit.spans
                inside = affected[bisect_left(affected, (start, 0)) : bisect_right(affected, (end, end))]
                unit.carries = unit.carries or any(e <= end for _, e in inside)
        host = [(u, use) for u, use in speaking if not u.carries and not self.is_number(use)]
        loose = [u for u, use in host if not self._served(use.links[0], u)]
        for unit in loose:
            unit.carries = True

    def _join(self) -> None:
        for unit in self.units:
            if unit.carries:
                self._together({unit} | self._reached({unit}))
        for use, _ in self.uses:
            if not self.is_number(use):
                self._together(self.owners(use.links[0]))
        for launch in self._kernels.all_launches:
            self._together({u for name in launch.kernels for u in self._of_kernel.get(name, ())})
        for subscript in self._kernels.subscripts:
            denoted = self._kernels.denoted(subscript.value)
            self._together({u for name in denoted for u in self._of_kernel.get(name, ())})
        for unit, name in [(u, name) for u in self.units for name in u.kernels]:
            for place in self._kernels.handed_on(name):
                around = self.unit(place)
                self._together({unit} | (self._reached({around}) if around is not None else set()))

    def _together(self, units: set[Unit]) -> None:
        heads = {self._head(unit) for unit in units}
        first = min(heads, key=lambda head: head.spans, default=None)
        for other in heads:
            if first is not None and other is not first:
                self._joined[other] = first

    def _head(self, unit: Unit) -> Unit:
        head = unit
        while head in self._joined:
            head = self._joined[head]
        if head is not unit:
            self._joined[unit] = head
        return head

    # -- what a place belongs to ----------------------------------------------------------------------

    def owners(self, node: ast.AST) -> set[Unit]:
        """The units that a place serves; empty when nothing of the language is behind it."""
        unit = self.unit(node)
        if unit is None:
            return set()
        if unit.kernels:
            return {unit} if unit.carries else set()
        return self._served(node, unit) or self._reached({unit})

    def parts(self, node: ast.AST) -> frozenset[Unit]:
        """The parts that a place belongs to, each by one of its units."""
        if isinstance(node, ast.Module):
            return frozenset()
        if isinstance(node, ast.alias):
            users = self._ctx.module.by_name.get(node.asname or node.name.partition(".")[0], ())
            return frozenset().union(*(self.parts(use.links[0]) for use in users))
        return frozenset(self._head(unit) for unit in self.owners(node))

    def kernels(self, parts: frozenset[Unit]) -> frozenset[str]:
        """The functions of the language in some parts, and kernels of other files that these launch."""
        return frozenset(name for u in self.units if self._head(u) in parts for name in u.kernels)

    def needed(self, parts: frozenset[Unit]) -> list[Span]:
        """Where the code is that some parts consist of or use."""
        own = {unit for unit in self.units if unit.carries and self._head(unit) in parts}
        return [span for unit in self._closed(own) for span in unit.spans]

    @property
    def all(self) -> frozenset[Unit]:
        """Every part that carries the language."""
        return frozenset(self._head(unit) for unit in self.units if unit.carries)


def is_old(target: str) -> bool:
    """Whether an import is one of the old language, or leads to it."""
    return f"{target}.".startswith(f"{BETA1}.") or target == BETA1.partition(".")[0]
