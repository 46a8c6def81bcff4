"""The benchmark of the language step, on a small code base written here."""

from __future__ import annotations

import argparse
import importlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from verified import ADD_NEW, ADD_OLD, NEW, OLD

ROOT = Path(__file__).parents[2]
CALL = "\nif __name__ == '__main__':\n    add(np.random.rand(128, 32), np.random.rand(128, 32))\n"
LEFT = "\n@nki.jit\ndef left(a):\n    return a\n"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("language_step")


@pytest.fixture
def run(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[list[Any], list[str]]]:
    """Run the benchmark on two files, of which one is migrated to a given text."""

    def run(*texts: str) -> tuple[list[Any], list[str]]:
        checkout = tmp_path / "checkout"
        folder = checkout / "nki" / "examples"
        folder.mkdir(parents=True)
        (folder / "add.py").write_text(OLD + ADD_OLD + CALL)
        (folder / "left.py").write_text(OLD + LEFT)
        versions = iter(texts)

        def migrate(place: Path, options: list[str]) -> dict[str, Any]:
            (place / "add.py").write_text(next(versions))
            needed = {"code": "NKL401", "outcome": "needs-you", "path": "left.py", "line": 8}
            return {"findings": [needed, {**needed, "line": 1}], "problems": []}

        monkeypatch.setattr(bench, "migrate", migrate)
        options = argparse.Namespace(option=[], timeout=60.0)
        _, table, bad = bench.code_base(f"tutorials={checkout}", tmp_path / "work", options)
        return table, bad

    return run


def test_a_row_for_each_kernel(bench: ModuleType, run: Callable[..., Any]) -> None:
    new = NEW + ADD_NEW + CALL
    table, bad = run(new, new)
    assert bad == []
    assert list(bench.table_lines(table))[2:] == [
        "| add.py | add | yes | bit by bit |",
        "| left.py | left | no: NKL401 | – |",
    ]
    assert bench.sums("tutorials", table) == "| tutorials | 2 | 1 (50%) | 1 | 0.0e+00 |"


def test_what_must_never_happen_is_found(run: Callable[..., Any]) -> None:
    wrong = NEW + ADD_NEW.replace("nl.add", "nl.subtract") + CALL
    _, bad = run(wrong, wrong + "# again\n")
    assert bad[0] == "tutorials: add.py: a second run changes it"
    assert bad[1].startswith("tutorials: add.py add: **different**: ")


def test_a_kernel_that_only_ran_before_is_found(run: Callable[..., Any]) -> None:
    broken = NEW + ADD_NEW.replace("op=nl.add", "op=nl.exp") + CALL
    _, (bad,) = run(broken, broken)
    assert "add.py add: **not run**: new: running it: add.py:14: nisa.tensor_tensor: op is nl.exp" in bad


def test_what_is_in_the_way_of_how_many_kernels(bench: ModuleType, run: Callable[..., Any]) -> None:
    new = NEW + ADD_NEW + CALL
    table, _ = run(new, new)
    more = [bench.Row("a.py", "k", False, Counter({"NKL401": 3, "NKL402": 1}))]
    more += [bench.Row("b.py", "k", False, Counter({"NKL402 elsewhere in the file": 2}))]
    row = bench.refused("name", "0123456789 of 2026-01-01", [*table, *more])
    assert row == "| name | 0123456789 of 2026-01-01 | 4 | 1 | NKL401 2, NKL402 2 |"
    assert bench.refused("name", "–", table[:1]) == "| name | – | 1 | 1 | – |"


def test_any_code_base_has_a_row(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "add.py").write_text(OLD + ADD_OLD)
    (checkout / "left.py").write_text(OLD + LEFT.replace("return a", "return a @ a"))
    options = argparse.Namespace(option=[], timeout=60.0)
    name, table, bad = bench.code_base(f"theirs={checkout}", tmp_path / "work", options)
    assert (name, bad) == ("theirs", [])
    assert [(row.kernel, row.migrated, row.results) for row in table] == [
        ("add", True, []),
        ("left", False, []),
    ]
