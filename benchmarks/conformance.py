"""Run a checkout's integration tests of kernels on nkisim: ``conformance.py CHECKOUT [--seed S …]``.

The checkout is a release of a kernel library whose tests know a simulation mode (``--test-mode simulation``).
A random sample of the cases of each kernel family is run, with the checkout's goldens, inputs and tolerances
as they are, but for two slow places of theirs (``conformance_speed.py``), and with its kernels or with those
of our ``nkilib`` (``--kernels ours``). Nothing of the checkout is copied or changed. Prints a table by family
and the reason of every case that did not pass. A case over the limit of time or memory, or skipped
by the test itself, is listed and not counted.

Beside nkisim it needs what those tests import: torch, scipy, attrs, pytest-html, pytest-metadata,
pytest-xdist, allpairspy, filelock.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from conformance_cases import chosen, family

HERE = Path(__file__).resolve().parent
TESTS = Path("test/integration")
OUTCOMES = ("passed", "failed", "late", "memory", "skipped")
"""``killed`` (the process died) counts as failed."""
ENDED = (0, 1, 5)
"""Exit codes of a pytest that came to its end: all well, files that cannot be imported, nothing to run."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("checkout", type=Path)
    add("--kernels", choices=("upstream", "ours"), default="upstream", help="whose kernels are run")
    add(
        "--family", nargs="+", default=[], help="families whose names have one of these in them; default: all"
    )
    add("--sample", type=int, default=4, help="cases of each family, besides skipped and too large ones")
    add("--seed", nargs="+", default=["0"], help="one sample for each; whole numbers")
    add(
        "--case",
        nargs="+",
        default=[],
        help="these alone: names, or their eight digits; give their seed, too",
    )
    add(
        "--large",
        action="store_true",
        help="draw from the shapes, too, that the tests leave out in simulation",
    )
    add(
        "--target", default="", help="trn1, trn2 or trn3 for all; default: trn2, and trn3 for what trn2 skips"
    )
    add("--seconds", type=int, default=60, help="CPU time of one case")
    add("--gigabytes", type=float, default=6, help="memory of one case")
    add("--processes", type=int, default=2)
    add("--results", type=Path, default=Path("build/conformance"), help="folder for results and tracebacks")
    add("--resume", action="store_true", help="keep the results in that folder and run what is not yet there")
    add("--again", nargs="+", default=[], help="with --resume: outcomes to run again, such as failed late")
    add("--minimum", type=float, default=0.99, help="part of each family that has to pass for exit code 0")
    return parser.parse_args()


def known(options: argparse.Namespace, file: Path) -> list[dict[str, Any]]:
    """Results of earlier runs that are kept."""
    if not options.resume or not file.exists():
        return []
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["outcome"] not in options.again]


def search_path(checkout: Path) -> str:
    """PYTHONPATH of a run: this folder, the simulator's, and the checkout's tests and sources."""
    paths = [HERE, HERE.parent, checkout, checkout / "src"]
    return os.pathsep.join([*map(str, paths), *filter(None, [os.environ.get("PYTHONPATH")])])


def environment(options: argparse.Namespace, seed: str, done: dict[str, str], scratch: str) -> dict[str, str]:
    """What the plugin and the tests read; one BLAS thread, since more are slower on tiles.

    ``done``: outcomes of cases that are not run again.
    """
    names = ("kernels", "sample", "large", "target", "seconds", "gigabytes", "processes", "case")
    settings = {name: getattr(options, name) for name in names}
    settings |= {"checkout": str(options.checkout), "seed": seed, "done": done, "scratch": scratch}
    settings |= {name: str(options.results / f"{name}.{end}") for name, end in _FILES.items()}
    return {
        **os.environ,
        "CONFORMANCE_OPTIONS": json.dumps(settings),
        "PYTHONPATH": search_path(options.checkout),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "NEURON_PYTHONHASHSEED": seed,
        "NKI_SIMULATOR": "1",
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }


_FILES = {"results": "jsonl", "failures": "log"}


def files(options: argparse.Namespace) -> list[str]:
    """The test files of the families."""
    found = sorted((options.checkout / TESTS).rglob("test_*.py"))
    return [str(file) for file in found if chosen(family(file.name), options.family)]


def run(options: argparse.Namespace, seed: str, done: dict[str, str]) -> int:
    """Run pytest for one seed; its exit code."""
    command = [sys.executable, "-m", "pytest", "-p", "conformance_plugin", "--test-mode", "simulation", "-q"]
    command += ["-c", str(options.checkout / "test" / "pytest.ini"), "-p", "no:cacheprovider", "--capture=no"]
    command += ["--continue-on-collection-errors", "--tb=short", "--no-header", *files(options)]
    with tempfile.TemporaryDirectory() as scratch, (options.results / f"pytest-{seed}.log").open("w") as log:
        env = environment(options, seed, done, scratch)
        return subprocess.run(
            [*command, "--basetemp", scratch + "/pytest"], cwd=scratch, env=env, stdout=log
        ).returncode


def table(found: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    """Outcomes by family."""
    families: dict[str, Counter[str]] = {}
    for result in found:
        families.setdefault(result["family"], Counter())[_column(result)] += 1
    return dict(sorted(families.items()))


def _column(result: dict[str, Any]) -> str:
    return "failed" if result["outcome"] == "killed" else str(result["outcome"])


def text(families: dict[str, Counter[str]], found: list[dict[str, Any]]) -> str:
    """The table, the sum, and one line for each case that did not pass."""
    lines = [f"| {'family':36s} | cases | " + " | ".join(OUTCOMES) + " |", "|---" * (2 + len(OUTCOMES)) + "|"]
    total = sum(families.values(), Counter[str]())
    for name, counts in [*families.items(), ("all", total)]:
        cells = [f"{counts[outcome]:>{len(outcome)}d}" for outcome in OUTCOMES]
        lines.append(f"| {name:36s} | {counts.total():5d} | " + " | ".join(cells) + " |")
    for result in sorted(found, key=lambda result: (OUTCOMES.index(_column(result)), result["case"])):
        if result["outcome"] != "passed":
            error = " ".join(result["error"].split())[:300]
            lines.append(
                f"{result['outcome']} {result['short']} (seed {result['seed']}, {result['seconds']} s)"
            )
            lines.append(f"    {result['case']}\n    {error}")
    return "\n".join(lines)


def enough(families: dict[str, Counter[str]], minimum: float) -> bool:
    """Whether in each family enough passed of what was counted."""
    return all(
        counts["passed"] >= minimum * (counts["passed"] + counts["failed"]) for counts in families.values()
    )


def main() -> int:
    """Exit code 0 when enough passed in every family."""
    options = arguments()
    options.checkout, options.results = options.checkout.resolve(), options.results.resolve()
    options.results.mkdir(parents=True, exist_ok=True)
    file = options.results / "results.jsonl"
    kept = known(options, file)
    file.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    (options.results / "failures.log").write_text("")
    complete = True
    for seed in options.seed:
        done = {line["case"]: line["outcome"] for line in kept if line["seed"] == seed}
        complete &= run(options, seed, done) in ENDED
    found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    families = table(found)
    report = text(families, found)
    (options.results / "summary.txt").write_text(report + "\n", encoding="utf-8")
    limits = {
        name: getattr(options, name)
        for name in ("kernels", "seconds", "gigabytes", "large", "sample", "seed")
    }
    (options.results / "summary.json").write_text(json.dumps({**limits, "families": families}, indent=1))
    print(report)
    print(f"\nresults and tracebacks: {options.results}")
    if not complete:
        print("A run broke off, so cases are missing: see pytest-SEED.log there, and go on with --resume.")
    return 0 if complete and found and enough(families, options.minimum) else 1


if __name__ == "__main__":
    sys.exit(main())
