"""The report as one HTML page to hand to a team: what changed side by side, why, and what is left to do.

It needs nothing but itself: style and script are in it, nothing is loaded, the file system is enough.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .. import __version__, ruledocs
from ..codemods.model import Finding
from ..terminal import clean_line
from .lines import Change as Lines
from .lines import changes, hunks, split
from .model import Change, Problem
from .text import plural, position
from .view import KINDS, NEEDS_YOU, REWRITTEN, View, by_code, counts, files, kind, label

_CONTEXT = 3
_QUOTED = re.compile("``?([^`]+)``?")
_CLASSES = dict(zip(KINDS, ("rewritten", "rewritten-noted", "noted", "needs-you"), strict=True))


@dataclass(frozen=True)
class Row:
    """A line on the left, on the right, or on both sides; numbers are 1-based, None where nothing stands."""

    old_number: int | None
    old: str
    new_number: int | None
    new: str
    mark: str  # "" unchanged, "changed", "removed", "added", "here" for a place that needs a person


@dataclass
class Block:
    """Neighbouring lines of a file, and the findings that stand in them."""

    rows: list[Row]
    findings: list[Finding] = field(default_factory=list)

    @property
    def kinds(self) -> str:
        """The classes of its findings; lines that changed for findings elsewhere count as rewritten."""
        return " ".join(dict.fromkeys(_CLASSES[kind(f)] for f in self.findings)) or _CLASSES[REWRITTEN]

    @property
    def two_sided(self) -> bool:
        return any(row.mark not in ("", "here") for row in self.rows)


@dataclass(frozen=True)
class File:
    """One affected file of the page."""

    path: str
    blocks: Sequence[Block]
    counts: Sequence[tuple[str, str, int]]
    problems: Sequence[Problem]


def render(view: View) -> Iterator[str]:
    """The page, line by line without newlines."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("nkimigrate.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(position=position, plural=plural, kind=kind, classes=_CLASSES)
    environment.filters.update(clean=clean_line, marked=_marked)
    page = environment.get_template("page.html.jinja").render(**_values(view))
    return iter(page.splitlines())


def _marked(text: str) -> str:
    """A line of prose as HTML, with what stands in backquotes as code."""
    from markupsafe import Markup

    parts = enumerate(_QUOTED.split(clean_line(text)))
    return Markup("").join(Markup("<code>{}</code>" if at % 2 else "{}").format(part) for at, part in parts)


def _values(view: View) -> dict[str, object]:
    """What the template shows."""
    numbers = {code: sum(found.values()) for code, found in by_code(view.findings).items()}
    return {
        "version": __version__,
        "report": view.report,
        "mode": view.mode,
        "totals": _totals(view.findings, view.mode),
        "files": list(_files(view)),
        "rules": [
            (item, number, list(ruledocs.sections(item.doc)))
            for item in ruledocs.everything()
            if (number := numbers.get(item.code))
        ],
        "problem_count": len({problem.path for problem in view.report.problems}),
        "needs_you": NEEDS_YOU,
    }


def _totals(findings: Sequence[Finding], mode: str) -> list[tuple[str, str, int]]:
    """``(class, label, number)`` for each kind of finding."""
    found = counts(findings)
    return [(_CLASSES[k], label(k, mode, found[k]), found[k]) for k in KINDS]


def _files(view: View) -> Iterator[File]:
    changed = {change.path: change for change in view.report.changes}
    for path, findings, problems in files(view):
        yield File(path, _blocks(path, findings, changed, view), _totals(findings, view.mode), problems)


def _blocks(path: str, findings: Sequence[Finding], changed: dict[str, Change], view: View) -> list[Block]:
    """The changes of a file with the findings behind them, then the lines around everything else."""
    old = changed[path].old if path in changed else view.report.texts.get(path, b"")
    new = changed[path].new if path in changed else old
    before, after = split(old), split(new)
    in_cells = [f for f in findings if f.cell is not None]
    in_lines = [f for f in findings if f.cell is None]
    shown = list(hunks(changes(before, after), _CONTEXT))
    blocks = [Block(list(_side_by_side(before, after, hunk))) for hunk in shown]
    starts = [max(hunk[0][0] - _CONTEXT, 0) for hunk in shown]
    alone = []
    for finding in in_lines:
        at = bisect_right(starts, finding.line - 1) - 1
        inside = at >= 0 and finding.line - 1 < shown[at][-1][1] + _CONTEXT
        if inside or (finding.edits and shown):
            blocks[max(at, 0)].findings.append(finding)
        else:
            alone.append(finding)
    placed = [
        (start, block) for start, block in zip(starts, blocks, strict=True) if block.findings or block.rows
    ]
    placed += [(f.line - 1, Block(list(_around(before, f)), [f])) for f in alone]
    placed.sort(key=lambda pair: pair[0])
    return [block for _, block in placed] + [Block([], [f]) for f in in_cells]


def _side_by_side(old: Sequence[str], new: Sequence[str], hunk: Sequence[Lines]) -> Iterator[Row]:
    at = max(hunk[0][0] - _CONTEXT, 0)
    other = hunk[0][2] - (hunk[0][0] - at)
    for old_start, old_end, new_start, new_end in hunk:
        yield from _same(old, at, old_start, other)
        yield from _different(old[old_start:old_end], old_start, new[new_start:new_end], new_start)
        at, other = old_end, new_end
    yield from _same(old, at, min(at + _CONTEXT, len(old)), other)


def _same(lines: Sequence[str], start: int, end: int, other: int) -> Iterator[Row]:
    for index in range(start, end):
        yield Row(index + 1, lines[index], other + index - start + 1, lines[index], "")


def _different(old: Sequence[str], at: int, new: Sequence[str], other: int) -> Iterator[Row]:
    for index in range(max(len(old), len(new))):
        left, right = index < len(old), index < len(new)
        mark = "changed" if left and right else "removed" if left else "added"
        yield Row(
            at + index + 1 if left else None,
            old[index] if left else "",
            other + index + 1 if right else None,
            new[index] if right else "",
            mark,
        )


def _around(lines: Sequence[str], finding: Finding) -> Iterator[Row]:
    """The lines of a finding, with some before and after."""
    first, last = finding.line - 1, max(finding.end_line, finding.line) - 1
    for index in range(max(first - _CONTEXT, 0), min(last + _CONTEXT + 1, len(lines))):
        yield Row(index + 1, lines[index], None, "", "here" if first <= index <= last else "")
