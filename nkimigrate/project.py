"""Analysis of many files that use each other: again, until no module exports anything new."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias, TypeVar, overload

from .codemods.analyse import Analysis, Place, World
from .codemods.analysis.values import Value
from .codemods.elsewhere import UNSEEN, Kernel, Seen
from .codemods.model import Finding
from .codemods.record import fresh, record, replace
from .modules import module_name, prefixes
from .report.model import Problem
from .spool import Kept, Spool
from .tasks import Job, Task

Made = TypeVar("Made")
Tasks: TypeAlias = "_Made[Task]"
Analyse = Callable[[Tasks], Iterable[Analysis | Problem]]
_ALONE = World()
_MAX_TIMES = 12
"""How often a file is analysed at most, should two of them never agree on what they export."""


_NONE: Kept[tuple[Finding, ...]] = Kept((), 0)
_FINDING = 400
"""About how many bytes a finding takes."""


def kept(findings: tuple[Finding, ...], spool: Spool) -> Kept[tuple[Finding, ...]]:
    """The findings of one file, out of the way."""
    return spool.keep(findings, _FINDING * len(findings)) if findings else _NONE


@record(frozen=False)
class Candidate:
    """A file that may have something to change, with what is known about it so far.

    Attributes:
        text: its bytes.
        result: what its analysis gave, without the findings: these are kept apart.
        edited: whether any finding has an edit.
        times: how often it has been analysed.
    """

    path: str
    kind: str
    text: Kept[bytes]
    place: Place = fresh(factory=lambda: Place(""))
    world: World = _ALONE
    result: Analysis | Problem | None = None
    times: int = 0
    findings: Kept[tuple[Finding, ...]] = _NONE
    edited: bool = False

    def task(self, survey: bool = False) -> Task:
        return Task(self.text.get(), self.place, self.kind, self.world, survey)

    def take(self, result: Analysis | Problem, spool: Spool) -> None:
        """Remember the outcome of one more analysis."""
        self.times += 1
        self.findings, self.edited = _NONE, False
        if isinstance(result, Analysis) and result.findings:
            self.findings = kept(result.findings, spool)
            self.edited = any(finding.edits for finding in result.findings)
            result = replace(result, findings=())
        self.result = result

    @property
    def surveyed(self) -> bool:
        """Whether it is known what others see of it, and not yet what becomes of it."""
        return isinstance(self.result, Analysis) and self.result.surveyed


class _Made(Sequence[Made]):
    """What is made of candidates, each when it is asked for, since it has the file's text with it."""

    def __init__(self, candidates: Sequence[Candidate], make: Callable[[Candidate], Made]) -> None:
        self._candidates = candidates
        self._make = make

    @property
    def sizes(self) -> list[int]:
        """How many bytes the texts have, about."""
        return [candidate.text.size for candidate in self._candidates]

    def __len__(self) -> int:
        return len(self._candidates)

    @overload
    def __getitem__(self, index: int) -> Made: ...
    @overload
    def __getitem__(self, index: slice) -> list[Made]: ...
    def __getitem__(self, index: int | slice) -> Made | list[Made]:
        chosen = self._candidates[index]
        return [self._make(c) for c in chosen] if isinstance(chosen, Sequence) else self._make(chosen)


def tasks(candidates: Sequence[Candidate], survey: bool = False) -> Tasks:
    """The analyses of candidates."""
    return _Made(candidates, lambda candidate: candidate.task(survey))


def jobs(candidates: Sequence[Candidate]) -> _Made[Job]:
    """The edits of candidates."""
    return _Made(candidates, lambda candidate: Job(candidate.task(), candidate.findings.get()))


def analyse_all(
    candidates: list[Candidate],
    roots: tuple[str, ...],
    spool: Spool,
    analyse: Analyse,
    more: Callable[[Mapping[str, Value]], list[Candidate]],
    alone: bool = False,
) -> None:
    """Fill in every candidate's result; ``more`` finds files that only other modules' exports make relevant.

    ``candidates`` grows by those files, unless the one that is given is ``alone``.

    Walking through kernels takes long, and what becomes of a file depends on the kernels of other files that
    it launches. So files with kernels are only surveyed until nobody exports or launches anything new, and
    then analysed once each, behind those that they use.
    """
    pending = [_placed(c, roots) for c in candidates]
    known: set[str] = set()
    for survey in (False,) if alone else (True, False):
        if not survey and not pending:
            pending = _ready(candidates)
        while pending:
            for candidate, result in zip(pending, analyse(tasks(pending, survey)), strict=True):
                candidate.take(result, spool)
            exported = _exports(candidates)
            known_kernels = _kernels(candidates)
            new = {name: value for name, value in exported.items() if name not in known}
            new.update((name, None) for name in known_kernels if name not in known)
            if new:
                known.update(new)
                candidates.extend(_placed(c, roots) for c in more(new))
            pending = _outdated(candidates, exported, known_kernels)
            if not survey:
                pending = [c for c in pending if not c.surveyed] + _ready(candidates)


def _placed(candidate: Candidate, roots: tuple[str, ...]) -> Candidate:
    name, package = module_name(candidate.path, roots) if candidate.kind == "python" else ("", False)
    candidate.place, candidate.times = Place(candidate.path, name, package), 0
    return candidate


def _exports(candidates: Iterable[Candidate]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for candidate in candidates:
        if isinstance(candidate.result, Analysis):
            found.update(candidate.result.exports)
    return found


def _kernels(candidates: Iterable[Candidate]) -> dict[str, Kernel]:
    """Kernels of all files by their qualified names."""
    results = (c.result for c in candidates)
    return {k: v for r in results if isinstance(r, Analysis) for k, v in r.kernels.items()}


def _outdated(
    candidates: Iterable[Candidate], exported: Mapping[str, Value], kernels: Mapping[str, Kernel]
) -> list[Candidate]:
    """Candidates that must be analysed (again), with the world they are to be analysed in."""
    pinned = _pinned(candidates)
    launched = _launched(candidates, kernels)
    for names in launched.values():
        for name in names.values():
            module, _, own = name.rpartition(".")
            pinned[module] = pinned.get(module, frozenset()) | {own}
    launches = _launches(candidates, launched)
    spellings = _spellings(candidates)
    below = _below(spellings)
    found = []
    for candidate in candidates:
        outside = {key: exported[real] for key, real in _seen(candidate, spellings, below)}
        seen = {spelled: kernels[name] for spelled, name in launched.get(candidate.path, {}).items()}
        module = candidate.place.module
        rest = pinned.get(module, frozenset()), seen, launches.get(module, {})
        world = World(outside, *rest) if outside or any(rest) else _ALONE
        if candidate.result is None or (
            isinstance(candidate.result, Analysis) and _differs(candidate, world)
        ):
            found.append(candidate)
        candidate.world = world
    return [candidate for candidate in found if candidate.times < _MAX_TIMES]


def _differs(candidate: Candidate, world: World) -> bool:
    """Whether a world is another one than a file was analysed in, as far as it matters.

    What others see of a file does not depend on how they launch its kernels, nor on what names of it they use
    when it launches nothing of theirs.
    """
    before = candidate.world
    if not candidate.surveyed:
        return world != before
    pinned = world.pinned != before.pinned and bool(world.kernels)
    return pinned or (world.outside, world.kernels) != (before.outside, before.kernels)


def _ready(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The surveyed files that use no kernel of another one; all of them when they use each other's."""
    waiting = [c for c in candidates if c.surveyed]
    owners = {name: c.path for c in waiting if isinstance(c.result, Analysis) for name in c.result.kernels}
    launched = _launched(waiting, owners)
    ready = [c for c in waiting if {owners[n] for n in launched.get(c.path, {}).values()} <= {c.path}]
    return ready or waiting


def _launches(
    candidates: Iterable[Candidate], launched: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, frozenset[Seen]]]:
    """For each module its kernels that other files can see, with how these launch them."""
    found: dict[str, dict[str, frozenset[Seen]]] = {}
    for candidate in candidates:
        if isinstance(candidate.result, Analysis):
            for spelled, qualified in launched.get(candidate.path, {}).items():
                module, _, name = qualified.rpartition(".")
                own = found.setdefault(module, {})
                seen = candidate.result.launches.get(spelled, frozenset({UNSEEN}))
                own[name] = own.get(name, frozenset()) | seen
    return found


def _launched(candidates: Iterable[Candidate], kernels: Iterable[str]) -> dict[str, dict[str, str]]:
    """For each file the kernels of others that it imports, by the names that its imports give: spelled name
    → qualified name.
    """
    spellings: dict[str, str] = {}
    for candidate in candidates:
        if isinstance(candidate.result, Analysis) and candidate.result.kernels:
            for prefix in prefixes(candidate.path, candidate.place.module, candidate.place.package):
                spellings.update((prefix + name, name) for name in candidate.result.kernels)
    spellings.update((name, name) for name in kernels)
    below = _below(spellings)
    return {c.path: dict(_launched_by(c, spellings, below)) for c in candidates} if spellings else {}


def _launched_by(
    candidate: Candidate, spellings: Mapping[str, str], below: Mapping[str, list[str]]
) -> Iterator[tuple[str, str]]:
    if isinstance(candidate.result, Analysis):
        for path in candidate.result.imports:
            for spelled in (path, _sibling(candidate, path)):
                for name in below.get(spelled, ()):
                    if spellings[name] not in candidate.result.kernels:
                        yield path + name[len(spelled) :], spellings[name]


def _spellings(candidates: Iterable[Candidate]) -> dict[str, str]:
    """Every name under which something exported is imported → its exported name."""
    asked = _asked(candidates)
    around = {parent for path in asked for parent in _around(path)}
    found: dict[str, str] = {}
    real: dict[str, str] = {}
    for candidate in candidates:
        if isinstance(candidate.result, Analysis) and candidate.result.exports:
            for prefix in prefixes(candidate.path, candidate.place.module, candidate.place.package):
                for name in candidate.result.exports:
                    spelled = prefix + name
                    if spelled in asked or spelled in around or not asked.isdisjoint(_around(spelled)):
                        found[spelled] = name
                        real[name] = name
    return {**found, **real}


def _asked(candidates: Iterable[Candidate]) -> set[str]:
    """Every path that an import may mean."""
    results = ((c, c.result) for c in candidates)
    return {
        spelled
        for candidate, result in results
        if isinstance(result, Analysis)
        for path in result.imports
        for spelled in (path, _sibling(candidate, path))
    }


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


def _seen(
    candidate: Candidate, spellings: Mapping[str, str], below: Mapping[str, list[str]]
) -> Iterator[tuple[str, str]]:
    """``(name as spelled, exported name)`` of everything that others export and a file's imports can see."""
    if not isinstance(candidate.result, Analysis):
        return
    own = candidate.result.exports
    for path in candidate.result.imports:
        for spelled in (path, _sibling(candidate, path)):
            for name in below.get(spelled, ()):
                if spellings[name] not in own:
                    yield path + name[len(spelled) :], spellings[name]
            parent = spelled.rpartition(".")[0]
            while parent:
                if spellings.get(parent, parent) not in own and parent in spellings:
                    yield parent, spellings[parent]
                parent = parent.rpartition(".")[0]


def _sibling(candidate: Candidate, path: str) -> str:
    """The dotted name of a module that a script imports from its own folder."""
    parent = candidate.place.module.rpartition(".")[0]
    return f"{parent}.{path}" if parent else ""


def _pinned(candidates: Iterable[Candidate]) -> dict[str, frozenset[str]]:
    """Module → its names that other files rely on."""
    found: dict[str, set[str]] = {}
    if not any(isinstance(c.result, Analysis) and c.result.pins for c in candidates):
        return {}
    modules = _modules(candidates)
    for candidate in candidates:
        if not isinstance(candidate.result, Analysis):
            continue
        for pin in candidate.result.pins:
            for spelled in (pin, _sibling(candidate, pin)):
                path, _, name = spelled.rpartition(".")
                module = modules.get(path, candidate.place.module)
                if module != candidate.place.module:
                    found.setdefault(module, set()).add(name)
    return {module: frozenset(names) for module, names in found.items()}


def _modules(candidates: Iterable[Candidate]) -> dict[str, str]:
    """Every name under which a file can be imported → its module name."""
    return {
        prefix + c.place.module: c.place.module
        for c in candidates
        for prefix in prefixes(c.path, c.place.module, c.place.package)
    }
