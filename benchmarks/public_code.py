"""Migrating public code bases, with checks of what must hold for any code base.

``python benchmarks/public_code.py [--work DIR] NAME=CHECKOUT@REVISION …`` lays out each revision of a local
clone in a work folder, runs nkimigrate on it twice, and prints one row of a Markdown table for it; ``make
public-code`` runs it. It ends with 1 when

* a changed Python file does not parse, or a file changed that the report does not name (or the reverse),
* the second run changes anything, or does not leave the same places to a person as the first,
* a file was given up for another reason than that Python cannot parse it,
* the report's counts do not add up.

The work folder keeps ``NAME/old`` and ``NAME/new``: ``diff -ru NAME/old NAME/new`` shows what was rewritten.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import corpus
from measure import Cost, cost, machine, require_regular_install, tool

OUTCOMES = ("rewritten", "rewritten_with_note", "noted", "needs_you")
HEADINGS = (
    "code base", "commit", "files", "with a marker", "parsed", "changed", "places",
    "rewritten", "with a note", "noted", "need a person", "by rule", "check", "rewrite", "memory",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One run over a tree: its report (JSON) and what it took."""

    report: dict[str, Any]
    cost: Cost

    @property
    def places(self) -> Counter[tuple[str, str]]:
        """How often each outcome of each of the library's rules that leaves the text alone occurs."""
        found = (f for f in self.report["findings"] if f["code"].startswith("NKM"))
        return Counter((f["code"], f["outcome"]) for f in found if not f["changed"])

    @property
    def waiting(self) -> set[str]:
        """The files that need a person."""
        return {f["path"] for f in self.report["findings"] if f["outcome"] == "needs-you"}


def run(tree: Path, *options: str) -> Run:
    """Run nkimigrate in ``tree``."""
    output = tree.parent / "report.json"
    command = [tool("nkimigrate"), "--isolated", "--no-cache", "--output-format", "json", *options]
    taken = cost([*command, "--output", str(output), "."], str(tree), runs=1)
    return Run(json.loads(output.read_text()), taken)


def content(tree: Path) -> dict[str, bytes]:
    """Every file's bytes by its path in the tree."""
    files = (path for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink())
    return {path.relative_to(tree).as_posix(): path.read_bytes() for path in files}


def broken(old: dict[str, bytes], new: dict[str, bytes], first: Run, second: Run) -> Iterator[str]:
    """Everything that should hold and does not."""
    changed = [path for path in old if new.get(path) != old[path]]
    if old.keys() != new.keys():
        yield f"files came or went: {sorted(old.keys() ^ new.keys())[:5]}"
    if changed != sorted(first.report["changed_files"]):
        yield f"the report names other changed files than changed: {changed}"
    for path in changed:
        if path.endswith(".py") and not corpus.parses(new[path]):
            yield f"{path} does not parse any more"
    for again in second.report["changed_files"]:
        yield f"{again} changed in the second run"
    for taken in (first, second):
        yield from _given_up(taken.report, new)
        yield from _miscounted(taken.report)
    if first.places != second.places:
        yield f"only one run has {first.places - second.places} or {second.places - first.places}"
    for path in sorted(first.waiting - second.waiting):
        yield f"{path} needed a person in the first run alone"


def _given_up(report: dict[str, Any], files: dict[str, bytes]) -> Iterator[str]:
    for problem in report["problems"]:
        path, code = problem["path"], problem["code"]
        if code != "NKM901" or corpus.parses(files[path]):
            yield f"{path}: {code} {problem['message']}"


def _miscounted(report: dict[str, Any]) -> Iterator[str]:
    """The findings, the rows by rule and the summary must say the same."""
    total = report["summary"]
    kinds = Counter(_kind(finding) for finding in report["findings"])
    for outcome in OUTCOMES:
        by_rule = sum(rule[outcome] for rule in report["rules"])
        if not kinds[outcome] == by_rule == total[outcome]:
            yield f"{outcome}: {kinds[outcome]} findings, {by_rule} by rule, {total[outcome]} in the summary"
    if sum(total[outcome] for outcome in OUTCOMES) != total["places"]:
        yield f"the outcomes do not add up to {total['places']} places"


def _kind(finding: dict[str, Any]) -> str:
    if finding["outcome"] == "noted" and finding["changed"]:
        return "rewritten_with_note"
    return str(finding["outcome"]).replace("-", "_")


def row(name: str, commit: str, files: dict[str, bytes], check: Run, rewrite: Run) -> str:
    """The table's row of one code base."""
    total = rewrite.report["summary"]
    marked = sum(corpus.has_marker(data) for path, data in files.items() if path.endswith(".py"))
    cells = [
        name, commit, total["files"], marked, total["parsed_files"], total["changed_files"], total["places"],
        *(total[outcome] for outcome in OUTCOMES),
        ", ".join(f"{rule['code']} {rule['places']}" for rule in rewrite.report["rules"]) or "–",
        f"{check.cost.seconds:.2f} s", f"{rewrite.cost.seconds:.2f} s", f"{rewrite.cost.megabytes:.0f} MB",
    ]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def migrate(given: str, work: Path) -> tuple[str, list[str]]:
    """Lay out and migrate one code base: its row, and what is wrong."""
    name, repository, revision = corpus.parse_spec(given)
    old = corpus.checkout(repository, revision, work / name / "old")
    new = work / name / "new"
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(old, new, symlinks=True)
    before = content(new)
    check = run(new, "--check")
    wrong = ["--check changed files"] if content(new) != before else []
    first, second = run(new), run(new)
    wrong += broken(before, content(new), first, second)
    commit = " of ".join(corpus.commit(repository, revision))
    return row(name, commit, before, check, first), [f"{name}: {text}" for text in wrong]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/public-code"))
    parser.add_argument("code", nargs="+", metavar="NAME=CHECKOUT@REVISION")
    options = parser.parse_args()
    require_regular_install()
    print(f"{machine()}\n\n| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    wrong: list[str] = []
    for given in options.code:
        line, found = migrate(given, options.work.resolve())
        print(line, flush=True)
        wrong += found
    for text in wrong:
        print(text, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
