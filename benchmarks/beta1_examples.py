"""Run the legacy language's own examples on nkisim: ``beta1_examples.py CHECKOUT [--old TAG] [--new TAG]``.

The checkout is a clone of the Neuron SDK's documentation. From its revision ``--old`` come the examples of
the legacy API pages, with their tests, and the tutorials; from ``--new`` the matmul tutorial's kernels
rewritten in the newer language. They are unpacked into a temporary folder and run; nothing of them is kept.

Prints Markdown: the API examples by file with the reason of every one that did not pass; each tutorial's
kernels beside float64; the matmul kernels beside their rewrites, bit by bit; and what index tiles cost as
strided views and as gathers. Exits with 1 when less than 95 % of the API examples pass, or a tutorial is
wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import subprocess
import sys
import tarfile
import tempfile
import unittest
import warnings
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import beta1_tutorials
from beta1_indexing import report as indexing

import nkisim

WANTED = 0.95
NOT_NEEDED = ("torch", "scipy", "scipy.special")
"""Modules that the examples import and, but for comparing on a device, do not use."""


class Outcome(NamedTuple):
    """One example: where it is, and the last line of its error, or "" when it passed."""

    file: str
    name: str
    error: str


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--old", default="v2.26.1", help="revision of the legacy examples")
    parser.add_argument("--new", default="v2.28.1", help="revision of the rewritten matmul kernels")
    parser.add_argument("--length", type=int, default=1024, help="sequence length of the attention tutorial")
    return parser.parse_args()


def unpack(checkout: Path, revision: str, paths: tuple[str, ...], folder: Path) -> None:
    """Lay out folders of a revision."""
    command = ["git", "-C", str(checkout), "archive", revision, "--", *paths]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")


def imported(path: Path) -> ModuleType:
    """A file as a module; its folder can be imported from."""
    name = f"example_{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


def stand_in() -> None:
    """Empty modules for what is missing and not needed."""
    for name in NOT_NEEDED:
        try:
            found = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            found = None
        if found is None and name not in sys.modules:
            module = sys.modules[name] = ModuleType(name)
            module.softmax = None  # type: ignore[attr-defined]


def api_examples(folder: Path) -> list[Outcome]:
    """Run every test case of a folder."""
    found: list[Outcome] = []
    for path in sorted(folder.glob("test_*.py")):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                tests = unittest.defaultTestLoader.loadTestsFromModule(imported(path))
        except Exception as error:
            found.append(Outcome(path.name, "(import)", last_line(f"{type(error).__name__}: {error}")))
            continue
        found += [outcome(path.name, test) for suite in tests for test in suite]
    return found


def outcome(file: str, test: unittest.TestCase) -> Outcome:
    """Run one test case."""
    result = unittest.TestResult()
    with contextlib.redirect_stdout(io.StringIO()):
        test.run(result)
    wrong = [*result.failures, *result.errors]
    return Outcome(file, test.id().rpartition(".")[2], last_line(wrong[0][1]) if wrong else "")


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1] or "failed"


def main() -> int:
    """0 when enough passes."""
    given = arguments()
    warnings.simplefilter("ignore")
    nkisim.install(always=True)
    stand_in()
    with tempfile.TemporaryDirectory() as place:
        old, new = Path(place, "old"), Path(place, "new")
        unpack(given.checkout, given.old, ("nki/test", "nki/examples"), old)
        unpack(given.checkout, given.new, ("nki/examples/matrix_multiplication",), new)
        outcomes = api_examples(old / "nki" / "test")
        failed = [each for each in outcomes if each.error]
        print(f"API examples at {given.old}: {len(outcomes) - len(failed)} of {len(outcomes)} pass\n")
        for each in failed:
            print(f"* {each.file} {each.name}: {each.error}")
        same = beta1_tutorials.report(old / "nki" / "examples", new / "nki" / "examples", imported, given)
    indexing()
    return 0 if same and len(outcomes) - len(failed) >= WANTED * len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
