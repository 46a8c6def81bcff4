"""What the language step's growth is measured with is migrated, or stays, as its rows say."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
bench = pytest.importorskip("language_growth")


LIBRARY = {"library", "scopes", "exports"}
"""Rows of code that calls the library."""


@pytest.mark.parametrize("name", bench.ROWS)
def test_the_input_of_a_row_is_a_kernel_of_the_language_or_calls_the_library(
    name: str, tmp_path: Path
) -> None:
    row = bench.ROWS[name]
    folder = bench.written(row.files(3), tmp_path / "tree")
    report = bench.migrating(folder, row.partial)()
    assert not report.problems
    assert any(f.code.startswith("NKM2" if name in LIBRARY else "NKL") for f in report.findings)


@pytest.mark.parametrize("name", ["statements", "helpers", "helpers-chain", "files"])
def test_rows_of_what_migrates_do(name: str, tmp_path: Path) -> None:
    files = bench.ROWS[name].files(3)
    report = bench.migrating(bench.written(files, tmp_path / "tree"), False)()
    assert len(report.changes) == len(files)
    assert not any(b"neuronxcc" in change.new for change in report.changes)
