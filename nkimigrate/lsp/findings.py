"""What the engine finds in a workspace whose open files may not be saved."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..codemods.model import Finding
from ..config import Options
from ..discovery import kind_of
from ..engine import run
from ..report.model import Problem
from ..settings import Settings, options
from ..tasks import edited_alone


@dataclass(frozen=True)
class Found:
    """What was found in one file, and the text it was found in."""

    data: bytes
    findings: Sequence[Finding] = ()
    problems: Sequence[Problem] = ()

    def fixed(self, path: str, findings: Sequence[Finding]) -> bytes | None:
        """The text after these findings' edits alone; None when they cannot be made."""
        kind = kind_of(os.path.basename(path)) or "python"
        return edited_alone(path, kind, self.data, tuple(findings))

    def belonging(self, finding: Finding) -> list[Finding]:
        """The finding with those that are only made together with it."""
        if not finding.group:
            return [finding]
        return [other for other in self.findings if other.group == finding.group]


def look(roots: Sequence[str], texts: Mapping[str, bytes]) -> dict[str, Found]:
    """Findings by real path of the open files ``texts``; what else is in the workspace's folders ``roots`` is
    read as it is on disk.

    Raises UsageError for a configuration that cannot be meant.
    """
    outside = [path for path in texts if not any(_inside(path, root) for root in roots)]
    paths = tuple(filter(os.path.exists, (*roots, *outside)))  # what was never saved is not there
    if not paths:
        return {path: Found(data) for path, data in texts.items()}
    report = run(_options(paths, texts))
    found = {}
    for path, data in texts.items():
        findings = [f for f in report.findings if os.path.realpath(f.path) == path]
        problems = [p for p in report.problems if os.path.realpath(p.path) == path]
        found[path] = Found(data, findings, problems)
    return found


def _options(paths: tuple[str, ...], texts: Mapping[str, bytes]) -> Options:
    given = {"paths": paths, "check": True, "jobs": 1}
    settings = Settings(given)
    asked = options(settings, given)
    asked.overlay = dict(texts)
    asked.only = frozenset(texts)
    asked.cache = False
    return asked


def _inside(path: str, root: str) -> bool:
    return path.startswith(root.rstrip(os.sep) + os.sep)
