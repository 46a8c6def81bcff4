"""What stays the same about a finding when lines move."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence

from .codemods.model import Finding
from .report.places import uri


def fingerprints(findings: Sequence[Finding], folder: str = ".") -> list[str]:
    """Rule, file as seen from ``folder``, message, and which of several equal ones: 32 hex digits."""
    seen = Counter[tuple[str, str, str]]()
    marks = []
    for finding in findings:
        key = (finding.code, uri(finding.path, folder), finding.message)
        seen[key] += 1
        text = "\0".join((*key, str(seen[key])))
        marks.append(hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32])
    return marks


def marked(findings: Sequence[Finding], folder: str = ".") -> Iterator[tuple[str, Finding]]:
    """Each finding with its fingerprint."""
    return zip(fingerprints(findings, folder), findings, strict=True)
