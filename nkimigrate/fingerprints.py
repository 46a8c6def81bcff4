"""What stays the same about a finding when lines move."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter

from .codemods.model import Finding
from .report.places import uri


def marked(findings: Iterable[Finding], folder: str = ".") -> Iterator[tuple[str, Finding]]:
    """Each finding with its fingerprint: rule, file as seen from ``folder``, message, and which of several
    equal ones, as 32 hex digits. The findings of a file must stand together.
    """
    for path, found in groupby(findings, key=attrgetter("path")):
        place, seen = uri(path, folder), Counter[tuple[str, str]]()
        for finding in found:
            key = finding.code, finding.message
            seen[key] += 1
            text = "\0".join((finding.code, place, finding.message, str(seen[key])))
            yield hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32], finding
