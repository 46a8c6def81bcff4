"""Cases written as diffs: a file before and after its migration, and the findings expected, all in one place.

A case file holds several cases. Its lines start with

    ``@@ title``     a new case;
    ``=== path``     the file that follows (``app.py`` when left out);
    `` ``, ``-``     a line of the file before; `` ``, ``+`` a line of the file after;
    ``!``            a finding expected at the before-line above:
                     ``! NKM201 rewritten | text in its message or step | more text``.
                     Codes are prefixes; alternatives are separated by ``/``; after ``@file`` it may
                     stand at any line of the file; the outcome ``problem`` stands for a file-level problem;
    ``#``            a remark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

OUTCOMES = {"rewritten", "noted", "needs-you", "problem"}
_EXPECTED = re.compile(
    r"! (?P<codes>[NKML0-9/]+)(?P<anywhere>@file)? (?P<outcomes>[a-z/-]+)(?P<texts>( \| .+)*)$"
)


@dataclass(frozen=True)
class Expected:
    """A finding that must be reported; ``line`` is 0 when it may stand anywhere in the file."""

    line: int
    codes: tuple[str, ...]
    outcomes: frozenset[str]
    texts: tuple[str, ...]


@dataclass
class CaseFile:
    """One file of a case."""

    path: str
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)
    touched: set[int] = field(default_factory=set)

    @property
    def old(self) -> str:
        return "".join(f"{line}\n" for line in self.before)

    @property
    def new(self) -> str:
        return "".join(f"{line}\n" for line in self.after)


@dataclass
class Case:
    """One situation: a tree of files and what becomes of it."""

    pattern: str
    title: str
    files: list[CaseFile] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.pattern}: {self.title}"

    def add(self, text: str, where: str) -> None:
        mark, rest = text[:1] or " ", text[1:]
        if text.startswith("=== "):
            self.files.append(CaseFile(text[4:].strip()))
            return
        if not self.files:
            self.files.append(CaseFile("app.py"))
        file = self.files[-1]
        if mark == "!":
            file.expected.append(_expected(text, len(file.before), where))
        elif mark in " -+":
            if mark != "+":
                file.before.append(rest)
            if mark != "-":
                file.after.append(rest)
            if mark == "-":
                file.touched.add(len(file.before))
        elif mark != "#":
            raise ValueError(f"{where}: a line starts with {mark!r}")


def _expected(text: str, line: int, where: str) -> Expected:
    found = _EXPECTED.match(text)
    if not found:
        raise ValueError(f"{where}: not an expectation: {text}")
    outcomes = frozenset(found["outcomes"].split("/"))
    if not outcomes <= OUTCOMES:
        raise ValueError(f"{where}: unknown outcome in {text}")
    texts = tuple(part.strip() for part in found["texts"].split(" | ")[1:])
    return Expected(0 if found["anywhere"] else line, tuple(found["codes"].split("/")), outcomes, texts)


def read(path: Path) -> Iterator[Case]:
    """The cases of one file; blank lines before ``@@`` belong to nobody."""
    case: Case | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("@@ "):
            if case is not None:
                yield _trimmed(case)
            case = Case(path.stem, line[3:].strip())
        elif case is not None:
            case.add(line, f"{path.name}:{number}")
        elif line and not line.startswith("#"):
            raise ValueError(f"{path.name}:{number}: text before the first case")
    if case is not None:
        yield _trimmed(case)


def _trimmed(case: Case) -> Case:
    """Blank lines at the end of a file in a case file only separate."""
    for file in case.files:
        while file.before and file.after and not file.before[-1] and not file.after[-1]:
            file.before.pop()
            file.after.pop()
    return case
