"""Run a checkout's integration tests of kernels on nkisim: ``conformance.py CHECKOUT [--sample N]``.

The checkout is a release of a kernel library whose tests know a simulation mode (``--test-mode simulation``).
A random sample of the cases of each test function runs in a process of its own, with the checkout's kernels
and goldens as they are. Prints how many passed by family, and the reason of every case that did not. Nothing
of the checkout is copied or changed. Beside nkisim it needs what those tests import: torch, scipy, attrs,
pytest-html, pytest-metadata, pytest-xdist, allpairspy, filelock.
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

HERE = Path(__file__).resolve().parent
NOT_OURS = ("skipped", "late", "memory")
"""Outcomes that say nothing about the simulator: skipped by the test, out of time, out of memory."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path)
    parser.add_argument("paths", nargs="*", default=["test/integration"], help="below the checkout")
    parser.add_argument("--sample", type=int, default=1, help="cases of each test function")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--seconds", type=int, default=60, help="time of one case")
    parser.add_argument("--target", default="", help="trn1, trn2 or trn3 for all cases")
    parser.add_argument("--keyword", "-k", default="", help="as pytest's -k")
    parser.add_argument("--results", type=Path, help="keep the results here, a line of JSON for each case")
    parser.add_argument("--minimum", type=float, default=0.99, help="part that has to pass for exit code 0")
    return parser.parse_args()


def environment(options: argparse.Namespace, results: Path) -> dict[str, str]:
    """What the plugin and the tests read; one BLAS thread, since more are slower on tiles."""
    checkout = options.checkout.resolve()
    paths = [HERE, HERE.parent, checkout, checkout / "src", checkout / "src" / "nkilib_src"]
    found = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*map(str, paths), os.environ.get("PYTHONPATH", "")]).rstrip(
            os.pathsep
        ),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CONFORMANCE_SAMPLE": str(options.sample),
        "CONFORMANCE_SEED": options.seed,
        "CONFORMANCE_SECONDS": str(options.seconds),
        "CONFORMANCE_RESULTS": str(results),
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }
    if options.target:
        found["NEURON_PLATFORM_TARGET_OVERRIDE"] = options.target
    return found


def run(options: argparse.Namespace, results: Path) -> int:
    """Run pytest in the checkout; its exit code."""
    command = [sys.executable, "-m", "pytest", "-p", "conformance_plugin", "--test-mode", "simulation"]
    command += [
        "-q",
        "-p",
        "no:cacheprovider",
        "--continue-on-collection-errors",
        "--tb=short",
        "--no-header",
    ]
    command += ["-k", options.keyword] if options.keyword else []
    command += [str(options.checkout.resolve() / path) for path in options.paths]
    with tempfile.TemporaryDirectory() as elsewhere:
        log = results.with_suffix(".log")
        with log.open("w", encoding="utf-8") as file:
            return subprocess.run(
                [*command, "--basetemp", elsewhere],
                cwd=options.checkout,
                env=environment(options, results),
                stdout=file,
                stderr=subprocess.STDOUT,
            ).returncode


def family(case: str) -> str:
    """The test file without its folders and prefix."""
    return Path(case.partition("::")[0]).stem.removeprefix("test_")


def summary(found: list[dict[str, Any]]) -> float:
    """Print the results by family and what did not pass; the part that passed of what counts."""
    families: dict[str, Counter[str]] = {}
    for result in found:
        families.setdefault(family(result["case"]), Counter())[result["outcome"]] += 1
    for name, counts in sorted(families.items()):
        print(f"{name:40s} " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())))
    for result in found:
        if result["outcome"] not in ("passed", "skipped"):
            print(
                f"\n{result['outcome']} {result['case']} ({result['seconds']} s)\n    {result['error'][:400]}"
            )
    passed = sum(result["outcome"] == "passed" for result in found)
    counted = sum(result["outcome"] not in NOT_OURS for result in found)
    print(f"\n{passed} of {counted} passed; {len(found) - counted} were skipped, late or out of memory")
    return passed / counted if counted else 0.0


def main() -> int:
    """Exit code 0 when enough passed."""
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        results = options.results or Path(folder) / "results.jsonl"
        results.unlink(missing_ok=True)
        code = run(options, results)
        lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
        if not lines:
            print(results.with_suffix(".log").read_text(encoding="utf-8")[-4000:])
            return code or 1
        return 0 if summary([json.loads(line) for line in lines]) >= options.minimum else 1


if __name__ == "__main__":
    sys.exit(main())
