"""For tests of rules and release tables: migrate a small tree, and check what every migrated tree must pass.

`migrate` writes the files to a temporary folder and runs the engine on it. `check_transformed`, `check_noop`
and `check_reported` are for single situations; `check_sound` holds what must be true of any result.
"""

from __future__ import annotations

import difflib
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import engine
from .codemods.model import Finding, Outcome
from .config import Options
from .report.model import Problem, Report

Tree = Mapping[str, str | bytes]


@dataclass(frozen=True)
class Result:
    """A migrated tree: all bytes before and after, and the report with paths relative to the tree's root."""

    before: dict[str, bytes]
    after: dict[str, bytes]
    report: Report
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    changed: frozenset[str]
    options: Mapping[str, Any] = field(default_factory=dict)

    def text(self, path: str) -> str:
        """A file's text after the migration."""
        return self.after[path].decode()

    def at(self, path: str, line: int | None = None) -> list[Finding]:
        """The findings of a file, or those that cover one of its lines."""
        return [f for f in self.findings if f.path == path and (line is None or f.line <= line <= f.end_line)]


def migrate(files: Tree, **options: Any) -> Result:
    """Write ``files`` to an empty folder, migrate it with :class:`Options` ``options``, and read it back."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        before = {path: write(root / path, content) for path, content in files.items()}
        report = engine.run(Options(**{"paths": (str(root),), "jobs": 1, "cache": False, **options}))
        after = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    return Result(
        before,
        after,
        report,
        tuple(replace(f, path=inside(root, f.path)) for f in report.findings),
        tuple(replace(p, path=inside(root, p.path)) for p in report.problems),
        frozenset(inside(root, c.path) for c in report.changes),
        options,
    )


def write(path: Path, content: str | bytes) -> bytes:
    """Write a file, with the folders above it; returns its bytes."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data


def inside(root: Path, path: str) -> str:
    """A path relative to the tree's root, with slashes."""
    return Path(path).resolve().relative_to(root).as_posix()


# -- what must be true of every result ----------------------------------------------------------------


def check_sound(result: Result, again: bool = True) -> None:
    """Text and report agree, changed code compiles, and a second run changes nothing and loses no finding."""
    _check_report(result)
    _check_sites(result)
    for path in result.changed:
        if path.endswith(".py"):
            compile(result.after[path], path, "exec", dont_inherit=True)
    if again:
        _check_second_run(result)


def _check_report(result: Result) -> None:
    """The report says what changed on disk, and each finding is complete and lies inside its file."""
    really = {path for path, data in result.before.items() if result.after.get(path) != data}
    assert set(result.after) == set(result.before), "files appeared or vanished"
    assert really == set(result.changed)
    assert really == {f.path for f in result.findings if f.edits}
    for finding in result.findings:
        lines = len(result.before[finding.path].splitlines())
        assert 1 <= finding.line <= finding.end_line <= lines + 1, finding
        assert finding.column >= 1, finding
        assert finding.message, finding
        assert finding.step or finding.outcome is Outcome.REWRITTEN, f"no next step: {finding}"
        assert finding.outcome is not Outcome.NEEDS_YOU or not finding.edits, finding
        assert finding.outcome is not Outcome.REWRITTEN or finding.edits, finding


def _check_sites(result: Result) -> None:
    """Every line that changed or went is covered by a finding that says so."""
    for path in result.changed:
        for cell, old, new in _pieces(path, result.before[path], result.after[path]):
            for line in changed_lines(old, new):
                found = (f for at in _alike(old, line) for f in result.at(path, at) if f.cell == cell)
                assert any(f.edits for f in found), (
                    f"no finding at {path}:{line}, which changed (cell {cell})"
                )


def _pieces(path: str, old: bytes, new: bytes) -> Iterator[tuple[int | None, bytes, bytes]]:
    """The whole file, or each code cell of a notebook with its number: what lines are counted in."""
    if not path.endswith(".ipynb"):
        yield None, old, new
        return
    before, after = (
        ["".join(c["source"]).encode() for c in json.loads(data)["cells"] if c["cell_type"] == "code"]
        for data in (old, new)
    )
    assert len(before) == len(after)
    for number, (source, changed) in enumerate(zip(before, after, strict=True), 1):
        yield number, source, changed


def _alike(data: bytes, line: int) -> list[int]:
    """The numbers of the lines with the same text: which of them changed is a matter of the comparison."""
    lines = data.splitlines()
    return [number for number, text in enumerate(lines, 1) if text == lines[line - 1]]


def changed_lines(before: bytes, after: bytes) -> list[int]:
    """Numbers of the lines of ``before``, other than blank ones, that are not in ``after`` as they were."""
    old, new = before.splitlines(), after.splitlines()
    codes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    gone = [(start, end) for tag, start, end, _, _ in codes if tag in ("replace", "delete")]
    numbers = (number for start, end in gone for number in range(start, end))
    return [number + 1 for number in numbers if old[number].strip()]


def _check_second_run(result: Result) -> None:
    second = migrate(result.after, **result.options)
    assert second.after == result.after, "a second run changed something"
    rewritten = [f for f in second.findings if f.edits]
    assert not rewritten, f"a second run reports changes: {rewritten}"
    assert _left(second.findings) == _left(result.findings), "a second run needs a person elsewhere"


def _left(findings: Iterable[Finding]) -> Counter[tuple[str, str]]:
    return Counter((f.path, f.code) for f in findings if f.outcome is Outcome.NEEDS_YOU)


# -- single situations --------------------------------------------------------------------------------


def check_transformed(
    before: str, after: str, *, code: str = "NK", others: Tree | None = None, **options: Any
) -> Result:
    """``before`` becomes exactly ``after``, and some finding's code starts with ``code``."""
    compile(after, "<expected>", "exec", dont_inherit=True)
    result = migrate({**(others or {}), "app.py": before}, **options)
    assert result.text("app.py") == after
    assert any(f.code.startswith(code) and f.edits for f in result.at("app.py")), result.findings
    check_sound(result)
    return result


def check_noop(text: str, *, others: Tree | None = None, **options: Any) -> None:
    """Nothing changes and nothing is reported, except what is good to know wherever a symbol is imported."""
    compile(text, "<given>", "exec", dont_inherit=True)
    result = migrate({**(others or {}), "app.py": text}, **options)
    assert result.text("app.py") == text
    assert not [
        f for f in result.at("app.py") if not (f.code.startswith("NKM5") and f.outcome is Outcome.NOTED)
    ]
    assert not result.problems


def check_reported(
    text: str,
    code: str,
    line: int,
    contains: str,
    *,
    others: Tree | None = None,
    outcome: str = "needs-you",
    **options: Any,
) -> Finding:
    """The file stays as it is, and one finding of ``code`` starts at ``line`` and says ``contains``."""
    result = migrate({**(others or {}), "app.py": text}, **options)
    assert result.text("app.py") == text
    found = [f for f in result.at("app.py") if f.code.startswith(code) and f.line == line]
    assert len(found) == 1, result.at("app.py")
    assert found[0].outcome.value == outcome
    assert contains in f"{found[0].message}\n{found[0].step}"
    check_sound(result)
    return found[0]
