"""The files of a run that may have something to change, and what is known about them: a few dozen bytes of
memory for each, the rest lies in the spool.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from .codemods.analyse import Analysis, Place, World
from .codemods.model import Finding, mixed
from .codemods.record import replace
from .modules import module_name
from .names import Names
from .report.model import Problem
from .spool import Column, Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .discovery import Kind

ALONE = World()
"""What a file is analysed with that uses nothing of others."""
_FINDING = 400
"""About how many bytes a finding takes."""
_FACTS = 1000
"""About how many bytes the facts about a file take, without names."""
_NAME = 100
"""About how many bytes a name takes."""

ANALYSED, SURVEYED, EDITED, EXPORTS, KERNELS, PINS, SUPPRESSED, PACKAGE = (1 << bit for bit in range(8))
"""What is known of a file without a look at its facts: that it has been analysed; that it is known what
others see of it, and not yet what becomes of it; that a finding has an edit; that there are exports, kernels,
pins, suppressed findings; that it is the ``__init__`` of a package.
"""


class Candidates:
    """Files by number, in the order in which they were found.

    Attributes:
        paths, kinds: of the files. sizes: of their texts, in bytes.
        texts: as they were found. new: as they became, where that is something else.
        facts: what the last analysis gave, without the findings: these are kept apart.
        worlds: what the rest of the project contributed to that.
        findings: for each step between releases, those of each file.
        problems: of files that could not be handled in this step.
        times: how often a file has been analysed in this step.
        mixed: those of which something would be rewritten and something needs a person in this step.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.paths = Names()
        self.kinds: list[Kind] = []
        self.sizes = array("Q")
        self.texts: Column[bytes] = Column(spool, b"")
        self.new: Column[bytes | None] = Column(spool, None)
        self.facts: Column[Analysis | None] = Column(spool, None)
        self.worlds: Column[World] = Column(spool, ALONE)
        self.findings: list[Column[tuple[Finding, ...]]] = []
        self.problems: dict[int, Problem] = {}
        self.times = bytearray()
        self.mixed: set[int] = set()
        self._modules = Names()
        self._state = bytearray()

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def spilled(self) -> bool:
        """Whether anything is out of memory."""
        return self._spool.spilled

    def add(self, path: str, kind: Kind, text: bytes) -> None:
        """One more file."""
        self.texts.put(len(self), text, len(text))
        self.paths.append(path)
        self.kinds.append(kind)
        self.sizes.append(len(text))

    # -- a step between two releases ----------------------------------------------------------------------

    def begin(self) -> None:
        """Nothing is known any more but the texts and the findings of former steps."""
        for number in range(len(self._state)):
            self.facts.drop(number)
            self.worlds.drop(number)
        self.problems.clear()
        self.mixed.clear()
        self.findings.append(Column(self._spool, ()))
        self.times = bytearray()
        self._state = bytearray()
        self._modules = Names()

    def place(self, roots: tuple[str, ...]) -> None:
        """Say where the files that have no place yet stand in the project."""
        start = len(self._state)
        for number, path in enumerate(self.paths.between(start, len(self)), start):
            python = self.kinds[number] == "python"
            module, package = module_name(path, roots) if python else ("", False)
            self._modules.append(module)
            self._state.append(PACKAGE if package else 0)
            self.times.append(0)

    def place_of(self, number: int) -> Place:
        """Where a file stands."""
        return Place(self.paths[number], self._modules[number], self.has(number, PACKAGE))

    def text(self, number: int) -> bytes:
        """The text as it is by now."""
        new = self.new[number]
        return self.texts[number] if new is None else new

    def take(self, number: int, result: Analysis | Problem) -> None:
        """Remember the outcome of one more analysis."""
        self.times[number] += 1
        self.problems.pop(number, None)
        if isinstance(result, Problem):
            self.problems[number] = result
            self._state[number] &= PACKAGE
            self.facts.drop(number)
            self.keep_findings(number, ())
            return
        self.keep_findings(number, result.findings)
        self._state[number] = self._state[number] & PACKAGE | _bits(result)
        names = len(result.imports) + len(result.exports) + len(result.pins) + len(result.kernels)
        self.facts.put(number, replace(result, findings=()), _FACTS + _NAME * names)

    def keep_findings(self, number: int, findings: tuple[Finding, ...]) -> None:
        """Remember the findings of a file in this step."""
        self.mixed.discard(number)
        if mixed(findings):
            self.mixed.add(number)
        if findings:
            self.findings[-1].put(number, findings, _FINDING * len(findings))
        else:
            self.findings[-1].drop(number)

    def meet(self, number: int, world: World) -> None:
        """Remember what a file is to be analysed with."""
        if world is ALONE:
            self.worlds.drop(number)
        else:
            names = len(world.outside) + len(world.pinned) + len(world.kernels) + len(world.launches)
            self.worlds.put(number, world, _NAME * names)

    def leave_out(self, number: int) -> None:
        """Whatever was found out about a file in this step is not for the report."""
        self.problems.pop(number, None)
        self.keep_findings(number, ())
        self._state[number] &= PACKAGE

    # -- which files --------------------------------------------------------------------------------------

    def has(self, number: int, what: int) -> bool:
        """Whether all of this is known of a file."""
        return self._state[number] & what == what

    def those(self, what: int) -> Iterator[int]:
        """The files of which all of this is known."""
        return (number for number, state in enumerate(self._state) if state & what == what)

    def any(self, what: int) -> bool:
        """Whether all of this is known of any file."""
        return any(True for _ in self.those(what))

    def known(self, number: int) -> Analysis:
        """The facts about a file that has been analysed."""
        facts = self.facts[number]
        assert facts is not None
        return facts

    @property
    def suppressed(self) -> int:
        """How many findings comments silenced in this step."""
        return sum(self.known(number).suppressed for number in self.those(SUPPRESSED))


def _bits(result: Analysis) -> int:
    known = ANALYSED
    known |= SURVEYED if result.surveyed else 0
    known |= EDITED if any(finding.edits for finding in result.findings) else 0
    known |= EXPORTS if result.exports else 0
    known |= KERNELS if result.kernels else 0
    known |= PINS if result.pins else 0
    return known | (SUPPRESSED if result.suppressed else 0)
