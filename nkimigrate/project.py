"""Analysis of many files that use each other: again, until no module exports anything new.

What files tell each other lies out of memory. It is read file by file, and only names are held that somebody
exports and somebody else's import can mean.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache

from .candidates import ALONE, ANALYSED, EXPORTS, KERNELS, PINS, SURVEYED, Candidates
from .codemods.analyse import Analysis, World
from .codemods.analysis import values as v
from .codemods.analysis.values import Value
from .codemods.elsewhere import UNSEEN, Kernel, Seen
from .codemods.record import replace
from .links import Launched, Links, Owned
from .mentions import in_imports
from .met import Met
from .modules import climbed, prefixes
from .nearest import Nearest
from .report.model import Problem
from .tasks import Job, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias, TypeVar, overload

    Made = TypeVar("Made")
Tasks: TypeAlias = "_Made[Task]"
Numbers: TypeAlias = "Sequence[int]"
Analyse = Callable[[Tasks], Iterable[Analysis | Problem]]
Spellings: TypeAlias = "Mapping[str, Sequence[Owned]]"
"""Every name under which something is imported → whose it may be."""
_RECENT = 4096
_MAX_TIMES = 12
"""How often a file is analysed at most in each of the two stages, should two of them never agree on what they
export.
"""


class _Made(Sequence["Made"]):
    """What is made of files, each when it is asked for, since it has the file's text with it."""

    def __init__(self, files: Candidates, numbers: Numbers, make: Callable[[int], Made]) -> None:
        self._files = files
        self._numbers = numbers
        self._make = make

    @property
    def sizes(self) -> Sequence[int]:
        """How many bytes the texts have, about."""
        return array("Q", (self._files.sizes[number] for number in self._numbers))

    def only(self, indices: Iterable[int]) -> _Made[Made]:
        """Some of them."""
        return _Made(self._files, array("L", (self._numbers[index] for index in indices)), self._make)

    def __len__(self) -> int:
        return len(self._numbers)

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, index: int) -> Made: ...
        @overload
        def __getitem__(self, index: slice) -> list[Made]: ...

    def __getitem__(self, index: int | slice) -> Made | list[Made]:
        if isinstance(index, slice):
            return [self._make(number) for number in self._numbers[index]]
        return self._make(self._numbers[index])


def tasks(files: Candidates, numbers: Numbers, survey: bool = False, apart: Set[int] = frozenset()) -> Tasks:
    """The analyses of files; of some it is known that no survey of them is of use to others."""
    return _Made(files, numbers, lambda number: _task(files, number, survey and number not in apart))


def jobs(files: Candidates, numbers: Numbers) -> _Made[Job]:
    """The edits of files."""
    return _Made(files, numbers, lambda number: Job(_task(files, number), files.findings[-1][number]))


def _task(files: Candidates, number: int, survey: bool = False) -> Task:
    place, world = files.place_of(number), files.worlds[number]
    return Task(files.text(number), place, files.kinds[number], world, survey)


def analyse_all(
    files: Candidates,
    roots: tuple[str, ...],
    analyse: Analyse,
    more: Callable[[Iterable[str]], None] | None,
    alone: bool = False,
) -> None:
    """Fill in what becomes of every file; ``more`` adds files that only these names, which other modules
    export, make relevant; None: there are no others.

    ``alone``: the one file that is given is all that there is.

    Walking through kernels takes long, and what becomes of a file depends on the kernels of other files that
    it launches. So files with kernels are only surveyed until nobody exports or launches anything new, and
    then analysed once each, behind those that they use. Files that do not seem to import each other are not
    surveyed: should one do so all the same, it is analysed again as soon as it sees something else.
    """
    files.begin()
    files.place(roots)
    project = _Project(files)
    pending: Numbers = range(len(files))
    apart = frozenset[int]() if alone else _apart(files)
    for survey in (False,) if alone else (True, False):
        if not survey:
            project.most += _MAX_TIMES
            pending = pending or project.ready()
        while pending:
            offered: set[str] = set()
            for number, result in zip(pending, analyse(tasks(files, pending, survey, apart)), strict=True):
                if more is not None:
                    offered |= _new(files, number, result)
                project.take(number, result)
            if more is not None and offered:
                more(offered)
                files.place(roots)
            pending, apart = project.outdated(), frozenset()
            if not survey:
                unsurveyed = (number for number in pending if not files.has(number, SURVEYED))
                pending = array("L", [*unsurveyed, *project.ready()])


def _apart(files: Candidates) -> frozenset[int]:
    """Modules that neither seem to import others of the files nor to be imported by them."""
    names: dict[int, bytes] = {}
    for number in range(len(files)):
        place = files.place_of(number)
        if place.module and not place.package:  # what a package's own file has may come in under any name
            names[number] = os.fsencode(place.module.rpartition(".")[2])
    known, imported, apart = frozenset(names.values()), set[bytes](), set[int]()
    for number, name in names.items():
        others = (in_imports(files.text(number)) & known) - {name}
        imported |= others
        if not others:
            apart.add(number)
    return frozenset(number for number in apart if names[number] not in imported)


def _new(files: Candidates, number: int, result: Analysis | Problem) -> set[str]:
    """What others can see of a file that its last analysis did not have."""
    if isinstance(result, Problem):
        return set()
    names = {*result.exports, *result.kernels}
    if names and files.has(number, ANALYSED):
        before = files.known(number)
        names -= {*before.exports, *before.kernels}
    return names


class _Project:
    """What the files of a project tell each other.

    Attributes:
        asked: every path that an import may mean. around: every package that such a path lies in.
        most: how often a file may have been analysed by now.
    """

    def __init__(self, files: Candidates) -> None:
        self.files = files
        self.asked = Met()
        self.around = Met()
        self.most = _MAX_TIMES
        self._recent: set[str] = set()
        self._nearest = Nearest()
        self._links: Links | None = Links(0, {}, {})
        self._place = lru_cache(_RECENT)(files.place_of)
        # Paths may be relative: what is above them is so in this run.
        self._prefixes = lru_cache(_RECENT)(prefixes)
        self._climbed = lru_cache(_RECENT)(climbed)
        self._turn: list[int] | None = None

    def take(self, number: int, result: Analysis | Problem) -> None:
        """Remember the outcome of one more analysis of a file."""
        if self._links is not None:
            before = self.files.known(number) if self.files.has(number, ANALYSED) else None
            if not self._links.take(number, before, result):
                self._links = None
        self.files.take(number, result)
        if isinstance(result, Analysis):
            for _, spelled in self._meant(number, result.imports):
                self._ask(spelled)

    def _ask(self, path: str) -> None:
        if path in self._recent:  # most files import what others import
            return
        if len(self._recent) >= _RECENT:
            self._recent.clear()
        self._recent.add(path)
        self.asked.add(path)
        for package in _around(path):
            self.around.add(package)

    # -- whose turn it is ---------------------------------------------------------------------------------

    def outdated(self) -> array[int]:
        """Files that must be analysed (again). Each then has the world it is to be analysed in.

        When nothing has changed since the last time but what becomes of kernels, only files that launch those
        are looked at.
        """
        if self._links is not None and self._links.count == len(self.files):
            found = array("L", self._relaunching(self._links))
        else:
            found, self._turn = self._all_outdated(), None
        return array("L", (number for number in found if self.files.times[number] < self.most))

    def _relaunching(self, links: Links) -> Iterator[int]:
        """Those that see something else of the kernels that they launch."""
        for number in links.launching():
            world = replace(self.files.worlds[number], kernels=links.seen(number))
            if self._differs(number, world):
                yield number
            self.files.meet(number, world)
            if self._turn is not None:
                self._turn.append(number)

    def _all_outdated(self) -> array[int]:
        files = self.files
        exported: dict[Owned, Value] = {}
        kernels: dict[Owned, Kernel] = {}
        spellings = self._spellings(exported)
        exported = _followed(exported, spellings)
        launched = self._launched(self._kernel_spellings(kernels, KERNELS))
        self._links = links = Links(len(files), launched, kernels)
        pinned = self._pinned()
        for names in launched.values():
            for _, name in names.values():
                module, _, own = name.rpartition(".")
                pinned[module] = pinned.get(module, frozenset()) | {own}
        launches = self._launches(launched)
        below = _below(spellings)
        nothing = not (spellings or launched or pinned)
        found = array("L")
        for number in range(len(files)):
            if nothing and number not in files.worlds:
                if not files.times[number]:
                    found.append(number)
                continue
            outside = {key: exported[owned] for key, owned in self._seen(number, spellings, below)}
            module = self._place(number).module
            rest = pinned.get(module, frozenset()), links.seen(number), launches.get(number, {})
            world = World(outside, *rest) if outside or any(rest) else ALONE
            if not files.times[number] or (files.has(number, ANALYSED) and self._differs(number, world)):
                found.append(number)
            files.meet(number, world)
        return found

    def _differs(self, number: int, world: World) -> bool:
        """Whether a world is another one than a file was analysed in, as far as it matters.

        What others see of a file does not depend on how they launch its kernels, nor on what names of it they
        use when it launches nothing of theirs.
        """
        before = self.files.worlds[number]
        if not self.files.has(number, SURVEYED):
            return world != before
        pinned = world.pinned != before.pinned and bool(world.kernels)
        return pinned or (world.outside, world.kernels) != (before.outside, before.kernels)

    def ready(self) -> array[int]:
        """The surveyed files that use no kernel of another one; all of them when they use each other's."""
        assert self._links is not None
        asked = self.files.those(SURVEYED) if self._turn is None else self._turn
        ready = [n for n in asked if self.files.has(n, SURVEYED) and not self._waits(n, self._links)]
        self._turn = []
        return array("L", ready) or array("L", self.files.those(SURVEYED))

    def _waits(self, number: int, links: Links) -> bool:
        """Whether a file launches kernels of surveyed ones."""
        return any(self.files.has(owner, SURVEYED | KERNELS) for owner in links.owners(number))

    # -- what somebody exports and somebody else imports --------------------------------------------------

    def _spellings(self, exported: dict[Owned, Value]) -> Spellings:
        """Every name under which something exported is imported. The values go into ``exported``."""
        found: dict[str, tuple[Owned, ...]] = {}
        for number in self.files.those(EXPORTS):
            exports = self.files.known(number).exports
            for spelled, name in self._asked_for(number, exports):
                if spelled in self.asked or spelled in self.around or self._asked_above(spelled):
                    found[spelled] = (*found.get(spelled, ()), (number, name))
                    exported[number, name] = exports[name]
        return found

    def _kernel_spellings(self, kernels: dict[Owned, Kernel], which: int) -> Spellings:
        """Every name under which a kernel of such files is imported; ``kernels``: what became of it."""
        found: dict[str, tuple[Owned, ...]] = {}
        for number in self.files.those(which):
            own = self.files.known(number).kernels
            for spelled, name in self._asked_for(number, own):
                if spelled in self.asked or self._asked_above(spelled):
                    found[spelled] = (*found.get(spelled, ()), (number, name))
                    kernels[number, name] = own[name]
        return found

    def _asked_above(self, spelled: str) -> bool:
        return any(package in self.asked for package in _around(spelled))

    def _asked_for(self, number: int, names: Collection[str]) -> Iterator[tuple[str, str]]:
        """Those of :meth:`_spelled` whose outermost package somebody imports."""
        for spelled, name in self._spelled(number, names):
            top = spelled.partition(".")[0]
            if top in self.around or top in self.asked:
                yield spelled, name

    def _spelled(self, number: int, names: Collection[str]) -> Iterator[tuple[str, str]]:
        """``(as others may import it, name)`` of names of a file."""
        place = self._place(number)
        for prefix in self._prefixes(place.path, place.module, place.package):
            for name in names:
                yield prefix + name, name

    def _meant(self, number: int, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
        """``(path as a file spells it, path that it may mean)``: itself, or one in the file's own folder."""
        parent = self._place(number).module.rpartition(".")[0]
        for path in paths:
            yield path, path
            yield path, f"{parent}.{path}" if parent else ""

    def _seen(
        self, number: int, spellings: Spellings, below: Mapping[str, list[str]]
    ) -> Iterator[tuple[str, Owned]]:
        """``(name as spelled, what it is)`` of everything that others export and a file's imports can see."""
        if not spellings or not self.files.has(number, ANALYSED):
            return
        for path, spelled in self._meant(number, self.files.known(number).imports):
            for name in below.get(spelled, ()):
                for owned in self._visible(number, name, spellings[name]):
                    yield path + name[len(spelled) :], owned
            for package in filter(spellings.__contains__, _around(spelled)):
                for owned in self._visible(number, package, spellings[package]):
                    yield package, owned

    def _visible(self, number: int, spelled: str, owners: Iterable[Owned]) -> Iterator[Owned]:
        """Those of others' names, all spelled alike, that an import in a file can mean."""
        return (owned for owned in owners if owned[0] != number and not self._hidden(number, spelled, *owned))

    def _hidden(self, number: int, spelled: str, owner: int, name: str) -> bool:
        """Whether a file that imports a name so gets something nearer than its owner's."""
        folder = os.path.dirname(os.path.abspath(self._place(number).path))
        place = self._place(owner)
        module = spelled.removesuffix(name) + place.module
        return self._nearest.hides(folder, self._climbed(place.path, module, place.package), module)

    # -- kernels ------------------------------------------------------------------------------------------

    def _launched(self, spellings: Spellings) -> Launched:
        """For each file the kernels of others that it imports, by the names that its imports give."""
        if not spellings:
            return {}
        below = _below(spellings)
        given = self.files.those(ANALYSED)
        found = ((number, dict(self._launched_by(number, spellings, below))) for number in given)
        return {number: names for number, names in found if names}

    def _launched_by(
        self, number: int, spellings: Spellings, below: Mapping[str, list[str]]
    ) -> Iterator[tuple[str, Owned]]:
        for path, spelled in self._meant(number, self.files.known(number).imports):
            for name in below.get(spelled, ()):
                for owned in self._visible(number, name, spellings[name]):
                    yield path + name[len(spelled) :], owned

    def _launches(self, launched: Launched) -> dict[int, dict[str, frozenset[Seen]]]:
        """For each file its kernels that other files can see, with how these launch them."""
        found: dict[int, dict[str, frozenset[Seen]]] = {}
        for number, names in launched.items():
            launches = self.files.known(number).launches
            for spelled, (owner, qualified) in names.items():
                name = qualified.rpartition(".")[2]
                own = found.setdefault(owner, {})
                own[name] = own.get(name, frozenset()) | launches.get(spelled, frozenset({UNSEEN}))
        return found

    # -- names that others rely on ------------------------------------------------------------------------

    def _pinned(self) -> dict[str, frozenset[str]]:
        """Module → its names that other files rely on."""
        pins = [(number, pin) for number in self.files.those(PINS) for pin in self._pins(number)]
        modules = self._modules({pin.rpartition(".")[0] for _, pin in pins}) if pins else {}
        found: dict[str, set[str]] = {}
        for number, pin in pins:
            path, _, name = pin.rpartition(".")
            own = self._place(number).module
            module = modules.get(path, own)
            if module != own:
                found.setdefault(module, set()).add(name)
        return {module: frozenset(names) for module, names in found.items()}

    def _pins(self, number: int) -> Iterator[str]:
        return (spelled for _, spelled in self._meant(number, self.files.known(number).pins))

    def _modules(self, wanted: set[str]) -> dict[str, str]:
        """Each of these names under which a file can be imported → its module name."""
        found: dict[str, str] = {}
        for number in range(len(self.files)):
            module = self._place(number).module
            found.update((s, module) for s, _ in self._spelled(number, (module,)) if s in wanted)
        return found


def _followed(exported: Mapping[Owned, Value], spellings: Spellings) -> dict[Owned, Value]:
    """Each name with what it denotes in the end: modules that import it from each other, before it was known
    that somebody exports it, have told each other the names that they have for it.
    """

    def options(value: Value, seen: set[Owned]) -> Iterator[Value]:
        for option in v.options(value):
            owners = spellings.get(option.name, ()) if isinstance(option, v.Symbol) else ()
            if not owners:
                yield option
            for owned in owners:
                if owned not in seen:
                    seen.add(owned)
                    yield from options(exported[owned], seen)

    found: dict[Owned, Value] = {}
    for owned, value in exported.items():
        named = any(isinstance(o, v.Symbol) and o.name in spellings for o in v.options(value))
        found[owned] = (v.one_of([*options(value, {owned})]) if named else None) or value
    return found


def _around(path: str) -> Iterator[str]:
    """The packages that a path lies in, innermost first."""
    while path := path.rpartition(".")[0]:
        yield path


def _below(spellings: Iterable[str]) -> dict[str, list[str]]:
    """Every dotted prefix of a name → the names under it (itself included)."""
    found: dict[str, list[str]] = {}
    for name in spellings:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            found.setdefault(".".join(parts[:length]), []).append(name)
    return found
