"""The report of a run. Free of imports, since a run over a tree without a hit makes nothing else."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..codemods.model import Finding
    from .model import Change, Problem


class Report:
    """What a run found and did; the engine fills it in.

    Attributes:
        findings: the affected places, sorted by path and position.
        changes: the files whose text changed (or would), sorted by path; in write mode only those written,
            none in check mode, which does not make the new text.
        problems: the files that could not be handled.
        texts: the former bytes of files with findings, by path, if the run was asked to keep them.
        suppressed: number of findings that comments in the code silenced.
        known: number of findings that the baseline lists; gone: number of its entries that are no more.
        files: number of files looked at.
        candidates: number of those that were parsed.
        seconds: how long the run took.
        written: whether any file was written.
        release_from, release_to: the releases between which the code was taken.
    """

    def __init__(self, release_from: str = "", release_to: str = "") -> None:
        self.findings: Sequence[Finding] = ()
        self.changes: Sequence[Change] = ()
        self.problems: list[Problem] = []
        self.texts: Mapping[str, bytes] = {}
        self.suppressed = 0
        self.known = 0
        self.gone = 0
        self.files = 0
        self.candidates = 0
        self.seconds = 0.0
        self.written = False
        self.release_from = release_from
        self.release_to = release_to
