"""A report as it is to be shown: what counts as what, and the exit code that follows.

Free of imports that a run without findings does not need.
"""

from __future__ import annotations

from itertools import groupby

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..codemods.model import Finding
    from .model import Problem
    from .result import Report

CLEAN, FINDINGS, USAGE, PROBLEMS = 0, 1, 2, 3
"""Exit codes. The greater one wins; USAGE means that nothing was done."""

REWRITTEN = "rewritten"
REWRITTEN_NOTED = "rewritten with a note"
NOTED = "noted"
NEEDS_YOU = "needs you"
KINDS = (REWRITTEN, REWRITTEN_NOTED, NOTED, NEEDS_YOU)

_NOT_WRITTEN = "NKM907"
_TO_DO = {REWRITTEN: "to rewrite", REWRITTEN_NOTED: "to rewrite with a note"}


class View:
    """A report, and how to look at it.

    Attributes:
        report: what the engine found and did.
        findings: its findings; those of files that could not be written need a person now.
        mode: ``write``, ``check`` or ``diff``.
        quiet: show only what makes the exit code differ from 0.
        verbose: show each rewritten place, and how the run went.
        statistics: show how often each rule applied.
        colour: whether the output may hold colours.
    """

    def __init__(
        self,
        report: Report,
        mode: str = "write",
        *,
        exit_zero: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        statistics: bool = False,
        colour: bool = False,
    ) -> None:
        self.report = report
        self.findings = _settled(report.findings, report.problems)
        self.mode = mode
        self.exit_zero = exit_zero
        self.quiet = quiet
        self.verbose = verbose
        self.statistics = statistics
        self.colour = colour

    @property
    def exit_code(self) -> int:
        """What the command ends with: problems over findings over clean."""
        if self.report.problems:
            return PROBLEMS
        return FINDINGS if not self.exit_zero and any(map(self.fails, self.findings)) else CLEAN

    def fails(self, finding: Finding) -> bool:
        """Whether this finding alone makes the exit code differ from 0."""
        return kind(finding) == NEEDS_YOU or (self.mode != "write" and bool(finding.edits))


def kind(finding: Finding) -> str:
    """Which of :data:`KINDS` a finding is."""
    if finding.outcome == "needs-you":
        return NEEDS_YOU
    if finding.outcome == "rewritten":
        return REWRITTEN
    return REWRITTEN_NOTED if finding.edits else NOTED


def label(kind: str, mode: str, number: int = 1) -> str:
    """What has been done about places of one kind, or what is to be done after a check."""
    if kind == NEEDS_YOU:
        return "needs you" if number == 1 else "need you"
    return kind if mode == "write" else _TO_DO.get(kind, kind)


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings there are of each of :data:`KINDS`."""
    found = dict.fromkeys(KINDS, 0)
    for finding in findings:
        found[kind(finding)] += 1
    return found


def by_code(findings: Iterable[Finding]) -> dict[str, dict[str, int]]:
    """How many findings each rule has of each of :data:`KINDS`, sorted by code."""
    found: dict[str, dict[str, int]] = {}
    for finding in findings:
        found.setdefault(finding.code, dict.fromkeys(KINDS, 0))[kind(finding)] += 1
    return dict(sorted(found.items()))


def by_path(findings: Iterable[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    """Each file with its findings, which stand together."""
    for path, found in groupby(findings, key=lambda finding: finding.path):
        yield path, list(found)


def files(view: View) -> Iterator[tuple[str, list[Finding], list[Problem]]]:
    """Each file with findings or problems, sorted by path."""
    from heapq import merge
    from operator import itemgetter

    problems: dict[str, list[Problem]] = {}
    for problem in view.report.problems:
        problems.setdefault(problem.path, []).append(problem)
    bare: Iterator[tuple[str, list[Finding]]] = ((path, []) for path in sorted(problems))
    both = merge(by_path(view.findings), bare, key=itemgetter(0))
    for path, parts in groupby(both, key=itemgetter(0)):
        yield path, [finding for _, found in parts for finding in found], problems.get(path, [])


def _settled(findings: Sequence[Finding], problems: Sequence[Problem]) -> Sequence[Finding]:
    """The findings as they turned out: where a file could not be written, nothing was rewritten."""
    unwritten = {problem.path for problem in problems if problem.code == _NOT_WRITTEN}
    if not unwritten:
        return findings
    from ..codemods.model import Outcome
    from ..codemods.record import replace

    step = "Remove what keeps the file from being written, and run nkimigrate again."
    return [
        replace(f, outcome=Outcome.NEEDS_YOU, edits=(), step=step) if f.edits and f.path in unwritten else f
        for f in findings
    ]
