"""How time and memory of a check grow with a tree: 1,000 to 100,000 files, 1, 10 and 100 % with a hit.

``growth.py [--sizes N …] [--shares PERCENT …]`` prints a Markdown table; ``make bench-growth`` runs it. The
files are hard links to a hundred generated ones, in folders of a thousand. CPU seconds, child processes
included, and the memory of the largest process, of one run in one process.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from measure import cost, tool
from peers import HIT

PLAIN = "".join(
    f"def step_{number}(values, limit={number}):\n"
    f'    """Adds up what is below a limit."""\n'
    f"    return sum(value for value in values if value < limit)\n\n\n"
    for number in range(60)
)
"""A file without a hit, as long as those of libraries are on average (9 kB)."""
TEMPLATES = 100


def grown(folder: Path, files: int, share: int) -> Path:
    """A tree of so many files, so many per cent of them with a hit."""
    shutil.rmtree(folder, ignore_errors=True)
    templates, tree = folder / "templates", folder / "tree"
    templates.mkdir(parents=True)
    for number in range(TEMPLATES):
        hit = number < share * TEMPLATES // 100
        (templates / f"{number}.py").write_text(HIT.format(number=number) if hit else PLAIN)
    for number in range(files):
        place = tree / f"package_{number // 1000}"
        place.mkdir(parents=True, exist_ok=True)
        os.link(templates / f"{number % TEMPLATES}.py", place / f"module_{number}.py")
    return tree


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/bench/growth"))
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--shares", type=int, nargs="*", default=[1, 10, 100])
    options = parser.parse_args()
    print("| files | with a hit | CPU | a thousand files | memory |\n|---|---|---|---|---|")
    for share in options.shares:
        for files in options.sizes:
            tree = grown(options.work.resolve(), files, share)
            command = [
                tool("nkimigrate"),
                "--check",
                "--isolated",
                "--no-cache",
                "--jobs",
                "1",
                "--quiet",
                ".",
            ]
            found = cost(command, str(tree), runs=1)
            each = found.seconds / files * 1000
            cells = (f"{files:,}", f"{share} %", f"{found.seconds:.2f} s", f"{each:.3f} s")
            print(f"| {' | '.join(cells)} | {found.megabytes:.0f} MB |", flush=True)
    shutil.rmtree(options.work)


if __name__ == "__main__":
    main()
