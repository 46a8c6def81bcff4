"""The files that the language step's speed is measured with are what the table says they are."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
bench = pytest.importorskip("language_speed")


def test_every_generated_kernel_is_migrated(tmp_path: Path) -> None:
    file = tmp_path / "kernels.py"
    file.write_text(bench.generated(3))
    report = bench.migrating([file], check=False)()
    assert bench.kernels_in([file]) == 3
    assert [f.message for f in report.findings if f.code == "NKL200"] == [
        f"`scaled_rows_{number}` is in the new language" for number in range(3)
    ]
    assert b"neuronxcc" not in report.changes[0].new


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("samples=clones/x@v1", "samples"),
        ("clones/samples@v1", "samples"),
        ("mirror/owner+samples/repo@v1", "owner+samples"),
        ("repo@v1", Path.cwd().name),
    ],
)
def test_a_row_has_the_name_that_its_checkout_is_given(given: str, name: str) -> None:
    assert bench.corpus.parse_spec(given)[0] == name
