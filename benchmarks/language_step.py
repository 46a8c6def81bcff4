"""Migrate kernels from the legacy NKI language, and compare each before and after on the simulator.

``language_step.py NAME=CHECKOUT[@REVISION] …``. A checkout is a clone, of which a revision is laid out, or a
plain folder. What is in it is copied, nkimigrate runs on the copy, then again. Where NAME is one of the code
bases in ``language_specs/``, ``nkimigrate verify`` then compares every kernel of the files that were
migrated, with the inputs in ``language_specs/NAME.toml``.

Prints Markdown: a row for each kernel (migrated whole or not, and why; equal or not, and the largest
error), and sums; ``--sums`` leaves out the rows. Exits with 1 if anything failed in a way that a user must
never see: an exception, a file that does not parse any more, a second run that changes something, a kernel
that is different or that only runs before its migration.
"""

from __future__ import annotations

import argparse
import ast
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import corpus

from nkimigrate.verify import spec as specs
from nkimigrate.verify.model import CLOSE, CURRENT, DIFFERENT, IDENTICAL, LEGACY, Case, Result
from nkimigrate.verify.pairs import Side
from nkimigrate.verify.plan import plan
from nkimigrate.verify.run import run_all
from nkimigrate.verify.trees import Tree, named

SPECS = Path(__file__).parent / "language_specs"
PARTS = {
    "samples": ("src", "contributed", "test"),
    "tutorials": ("nki/examples",),
    "api": ("nki/test",),
    "nxdi": ("src",),
}
"""Code base → the folders of its checkout that count. One folder alone becomes the root."""
EVERYTHING = ("",)
"""The folders of any other."""
DEFECTS = ("NKM904", "NKM906", "NKM908")


@dataclass
class Row:
    """A kernel: whether its file was migrated, codes of what stands in the way, and what its runs gave."""

    file: str
    kernel: str
    migrated: bool
    codes: Counter[str] = field(default_factory=Counter)
    results: list[Result] = field(default_factory=list)
    skipped: str = ""

    @property
    def verdict(self) -> str:
        if not self.results:
            return self.skipped or "–"
        return "; ".join(dict.fromkeys(_said(result) for result in self.results))

    @property
    def equal(self) -> bool:
        return bool(self.results) and all(r.verdict in (IDENTICAL, CLOSE) for r in self.results)

    @property
    def broken(self) -> bool:
        """Whether a result is another one, or there is none any more."""
        return any(r.verdict == DIFFERENT or r.side == "new" for r in self.results)


def _said(result: Result) -> str:
    if result.verdict == IDENTICAL:
        return "bit by bit"
    if result.verdict == CLOSE:
        return f"within {max(output.relative for output in result.outputs):.1e}"
    reasons = [result.reason] if result.reason else [o.reason for o in result.outputs if o.reason]
    text = reasons[0].splitlines()[0].replace("|", "/")
    return f"**{'different' if result.verdict == DIFFERENT else 'not run'}**: {text}"


def laid_out(name: str, checkout: str, work: Path) -> tuple[Path, Path]:
    """The code base before, and a copy to migrate."""
    place, _, revision = checkout.partition("@")
    source = Path(place)
    if revision:
        source = corpus.checkout(place, revision, work / name / "checkout")
    old, new = work / name / "old", work / name / "new"
    for target in (old, new):
        shutil.rmtree(target, ignore_errors=True)
        parts = PARTS.get(name, EVERYTHING)
        if len(parts) == 1:
            shutil.copytree(source / parts[0], target, symlinks=True)
        else:
            for part in parts:
                shutil.copytree(source / part, target / part)
    return old, new


def migrate(folder: Path, options: list[str]) -> dict[str, Any]:
    """Run nkimigrate on a folder; its report. Exits when it fails."""
    command = [sys.executable, "-m", "nkimigrate", "--isolated", "--no-cache", "--output-format", "json"]
    done = subprocess.run([*command, *options, "."], cwd=folder, capture_output=True, text=True)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        sys.exit(f"nkimigrate failed on {folder} (exit code {done.returncode}):\n{done.stderr}")
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.py"))}


def wrong(
    before: dict[str, bytes], after: dict[str, bytes], again: dict[str, bytes], report: dict[str, Any]
) -> list[str]:
    """What must never happen."""
    found = [f"{p['path']}: {p['code']} {p['message']}" for p in report["problems"] if p["code"] in DEFECTS]
    found += [f"{path}: a second run changes it" for path in after if again[path] != after[path]]
    for path, data in after.items():
        if data != before[path]:
            try:
                ast.parse(data)
            except SyntaxError as error:
                found.append(f"{path}: does not parse any more: {error}")
    return found


def rows(old: Side, new: Side, report: dict[str, Any], spec: specs.Spec) -> list[Row]:
    """A row for each kernel of the old tree that is launched, and those that the spec file names."""
    named_too = {(entry.file, entry.name) for entry in spec.entries}
    skipped = {(entry.file, entry.name): entry.skip for entry in spec.entries if entry.skip}
    needs: dict[str, list[dict[str, Any]]] = {}
    for finding in report["findings"]:
        if finding["outcome"] == "needs-you":
            needs.setdefault(finding["path"].removeprefix("./"), []).append(finding)
    found = []
    for file in old.tree.files.values():
        source = old.source(file)
        if source.language != LEGACY:
            continue
        for name, kernel in source.kernels.items():
            if (kernel.jit and not kernel.inner) or (file, name) in named_too:
                after = new.source(file)
                migrated = name in after.kernels and after.language_of(name) == CURRENT
                row = Row(file, name, migrated, skipped=skipped.get((file, name), ""))
                row.codes = Counter() if migrated else _codes(needs.get(file, []), kernel.line, kernel.last)
                found.append(row)
    return found


def _codes(findings: list[dict[str, Any]], first: int, last: int) -> Counter[str]:
    """What stands in the kernel's own lines; in those of the rest of its file when that is nothing."""
    own = Counter(f["code"] for f in findings if first <= f["line"] <= last)
    return own or Counter(f"{f['code']} elsewhere in the file" for f in findings)


def verified(old: Tree, new: Tree, spec: specs.Spec, table: list[Row], timeout: float) -> None:
    """Run the migrated kernels, and put what they give into their rows."""
    by_place = {(row.file, row.kernel): row for row in table if row.migrated}
    made = plan(old, new, spec, timeout)
    cases = [case for case in made.cases if (case.old.file, case.old.name) in by_place]
    show = lambda _stage, done, total: print(f"\r{done} of {total} runs", end="", file=sys.stderr)  # noqa: E731
    for result in run_all(cases, str(SPECS), trace=False, jobs=2, progress=show):
        by_place[_place(result.case)].results.append(result)


def _place(case: Case) -> tuple[str, str]:
    return case.old.file, case.old.name


def table_lines(table: list[Row]) -> Iterator[str]:
    yield "| file | kernel | migrated whole | verified equal |"
    yield "|---|---|---|---|"
    for row in table:
        codes = ", ".join(f"{code} ×{n}" if n > 1 else code for code, n in row.codes.items())
        yield f"| {row.file} | {row.kernel} | {'yes' if row.migrated else f'no: {codes}'} | {row.verdict} |"


def sums(name: str, table: list[Row]) -> str:
    migrated = [row for row in table if row.migrated]
    equal = [row for row in migrated if row.equal]
    errors = [o.relative for row in equal for r in row.results for o in r.outputs]
    part = f"{len(migrated) / len(table):.0%}" if table else "–"
    largest = f"{max(errors, default=0):.1e}"
    return f"| {name} | {len(table)} | {len(migrated)} ({part}) | {len(equal)} | {largest} |"


def refused(name: str, commit: str, table: list[Row]) -> str:
    """How many kernels were migrated whole, and how many of the others each code stands in the way of."""
    waiting = [row.codes for row in table if not row.migrated]
    codes = Counter(code.partition(" ")[0] for each in waiting for code in each)
    reasons = ", ".join(f"{code} {n}" for code, n in sorted(codes.items())) or "–"
    return f"| {name} | {commit} | {len(table)} | {len(table) - len(waiting)} | {reasons} |"


def revision_of(given: str) -> str:
    """The commit that is named, and its date; "–" for a plain folder."""
    if "@" not in given:
        return "–"
    _, repository, revision = corpus.parse_spec(given)
    return " of ".join(corpus.commit(repository, revision))


def code_base(given: str, work: Path, options: argparse.Namespace) -> tuple[str, list[Row], list[str]]:
    """Migrate and verify one code base."""
    name, _, checkout = given.partition("=")
    if not checkout:
        sys.exit(f"{given}: write NAME=CHECKOUT[@REVISION]")
    old, new = laid_out(name, checkout, work)
    before = contents(new)
    report = migrate(new, options.option)
    after = contents(new)
    migrate(new, options.option)
    bad = [f"{name}: {text}" for text in wrong(before, after, contents(new), report)]
    inputs = SPECS / f"{name}.toml"
    spec = specs.read(str(inputs)) if inputs.exists() else specs.Spec()
    trees = named(str(old), str(old)), named(str(new), str(new))
    table = rows(Side(trees[0]), Side(trees[1]), report, spec)
    if name in PARTS:  # of others, nobody has said what their kernels are called with
        verified(*trees, spec, table, options.timeout)
    bad += [f"{name}: {row.file} {row.kernel}: {row.verdict}" for row in table if row.broken]
    return name, table, bad


def main() -> int:
    """0 when nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, help="where to lay out the code (default: a temporary folder)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for each run of a kernel")
    parser.add_argument("--option", action="append", default=[], help="further option of nkimigrate")
    parser.add_argument("--sums", action="store_true", help="no row for each kernel")
    parser.add_argument("code", nargs="+", metavar="NAME=CHECKOUT[@REVISION]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-language-") as place:
        work = (options.work or Path(place)).resolve()
        done = [code_base(given, work, options) for given in options.code]
    for name, table, _ in () if options.sums else done:
        print(f"\n### {name}\n")
        print("\n".join(table_lines(table)))
    if any(name in PARTS for name, _, _ in done):
        print("\n| code base | kernels | migrated whole | of these verified equal | largest error |")
        print("|---|---|---|---|---|")
    for name, table, _ in done:
        if name in PARTS:
            print(sums(name, table))
    print("\n| code base | commit | kernels | migrated whole | the others, by what is in the way |")
    print("|---|---|---|---|---|")
    for given, (name, table, _) in zip(options.code, done, strict=True):
        print(refused(name, revision_of(given), table))
    bad = [text for _, _, found in done for text in found]
    for text in bad:
        print(text, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
