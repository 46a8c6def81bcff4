"""Speed of migrating, beside named peers in the same run.

``python benchmarks/speed.py [--work DIR] [--hits CHECKOUT@REVISION …]`` prints a Markdown table; ``make
bench`` runs it. CPU seconds (user and system, children included); each row is the median of several runs.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import corpus
from measure import cost, machine, require_regular_install, tool

PARSE = """
import ast, sys, warnings
warnings.simplefilter("ignore")
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        ast.parse(file.read())
"""


@dataclass(frozen=True)
class Row:
    """One comparison; ``bar`` is the ratio (or, without a peer, the amount) that must not be exceeded."""

    what: str
    ours: float
    peer: str
    theirs: float
    bar: float
    unit: str = "s"

    def line(self) -> str:
        ratio = self.ours / self.theirs if self.theirs else self.ours
        verdict = "yes" if ratio <= self.bar else "**no**"
        theirs = self._amount(self.theirs) if self.theirs else "–"
        shown = f"{ratio:.2f}" if self.theirs else "–"
        limit = f"{self.bar:g}" if self.theirs else f"{self.bar:g} {self.unit}"
        cells = (self.what, self._amount(self.ours), self.peer, theirs, shown, limit, verdict)
        return f"| {' | '.join(cells)} |"

    def _amount(self, number: float) -> str:
        return f"{number:.3f} s" if self.unit == "s" else f"{number:.0f} {self.unit}"


def start_up() -> list[Row]:
    ours = cost([tool("nkimigrate"), "--version"], runs=25)
    bare = cost([sys.executable, "-c", "pass"], runs=25)
    return [Row("`--version`", ours.seconds, "`python -c pass`", bare.seconds, 2)]


def without_hits(tree: Path) -> list[Row]:
    """Cold and second run on a tree that has nothing to migrate."""
    for cache in (".nkimigrate_cache", ".ruff_cache"):
        shutil.rmtree(tree / cache, ignore_errors=True)
    ruff = [tool("ruff"), "check", "--quiet", "--isolated", "--select", "NPY201", "."]
    ours = [tool("nkimigrate"), "--check", "--isolated", "."]
    cold = cost([*ours, "--no-cache"], str(tree), runs=5)
    cold_ruff = cost([*ruff, "--no-cache"], str(tree))
    for command in (ours, ruff):
        cost(command, str(tree), runs=1)
    warm, warm_ruff = cost(ours, str(tree), runs=9), cost(ruff, str(tree), runs=9)
    count, size = corpus.size(tree)
    text = f"{count:,} files without a hit ({size / 1e6:.0f} MB)"
    return [
        Row(f"`--check`, {text}", cold.seconds, "`ruff check --no-cache`", cold_ruff.seconds, 0.2),
        Row("the same, second run", warm.seconds, "`ruff check`, second run", warm_ruff.seconds, 2),
        Row("the same, memory", cold.megabytes, "–", 0, 60, "MB"),
    ]


def with_hits(tree: Path, work: Path) -> list[Row]:
    """Checking and rewriting files that name the library."""
    files = sorted(map(str, tree.glob("*.py")))
    parse = cost([sys.executable, "-c", PARSE, *files], runs=5)
    ours = [tool("nkimigrate"), "--check", "--isolated", "--no-cache"]
    check = cost([*ours, str(tree)], runs=3)
    library = cost([*ours, "--ignore", "NKL", str(tree)], runs=5)
    again = [tool("nkimigrate"), "--check", "--isolated", "."]
    shutil.rmtree(tree / ".nkimigrate_cache", ignore_errors=True)
    first, second = cost(again, str(tree), runs=1), cost(again, str(tree), runs=9)
    shutil.rmtree(tree / ".nkimigrate_cache")
    stock = cost([sys.executable, str(Path(__file__).parent / "stock_codemod.py"), *files], runs=1)
    copy = work / "rewritten"
    rewrite = cost(
        [tool("nkimigrate"), "--isolated", "--no-cache", str(copy)],
        before=lambda: (shutil.rmtree(copy, ignore_errors=True), shutil.copytree(tree, copy)),
    )
    count, size = corpus.size(tree)
    text = f"{count} files with a hit ({size / 1e6:.1f} MB)"
    return [
        Row(f"`--check`, {text}", check.seconds, "`ast.parse` of them", parse.seconds, 2),
        Row("the same, the library's rules alone", library.seconds, "`ast.parse` of them", parse.seconds, 2),
        Row("`--check` of them, remembering", first.seconds, "`--no-cache`", check.seconds, 1.1),
        Row("the same, second run", second.seconds, "`ast.parse` of them", parse.seconds, 2),
        Row("rewriting the same", rewrite.seconds, "a stock libcst codemod", stock.seconds, 0.2),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/bench"))
    parser.add_argument("--hits", nargs="*", default=[], metavar="CHECKOUT@REVISION")
    options = parser.parse_args()
    require_regular_install()
    work = options.work.resolve()
    rows = start_up() + without_hits(corpus.no_hits(work))
    if options.hits:
        specs = [corpus.parse_spec(given) for given in options.hits]
        trees = [corpus.checkout(path, at, work / f"checkout{n}") for n, (_, path, at) in enumerate(specs)]
        rows += with_hits(corpus.hits(trees, work), work)
    print(f"{machine()}\n")
    print("| what | nkimigrate | peer | peer's | ratio | at most | met |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(row.line())


if __name__ == "__main__":
    main()
