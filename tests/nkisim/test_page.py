"""docs/nkisim.md: its code runs, and it names what there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nkisim
from nkisim.core.context import GENERATIONS
from nkisim.core.watch import MODES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "nkisim.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def run(code: str, where: Path) -> subprocess.CompletedProcess[str]:
    file = where / "page.py"
    file.write_text(code, encoding="utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NKI")}
    env = {**clean, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, str(file)], cwd=where, env=env, capture_output=True, text=True, check=False
    )


def test_the_code_runs(tmp_path: Path) -> None:
    """All of it; the launch that the page says has a race is an error when races are looked for."""
    race = next(block for block in BLOCKS if "races()" in block)
    harmless = race.replace("nkisim.races()", "nkisim.strict()")
    done = run("\n".join(harmless if block is race else block for block in BLOCKS), tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "trace.json").exists()
    assert (tmp_path / "timeline.html").exists()
    assert "262144" in done.stdout.replace(",", "")  # bytes of HBM written: 128 · 512 · 4
    raced = run("\n".join([BLOCKS[0], "import nkisim", race]), tmp_path)
    assert "races in scaled_sum" in raced.stderr


@pytest.mark.parametrize(
    "variable", [*(mode[0] for mode in MODES.values()), "NKI_SIMULATOR", "NKI_PRECISE_FP"]
)
def test_every_variable_is_there(variable: str) -> None:
    assert f"| `{variable}=" in PAGE


def test_every_target_is_there() -> None:
    assert not [name for name in GENERATIONS if f"`{name}`" not in PAGE]


@pytest.mark.parametrize(
    "name", ["install", "strict", "races", "interleave", "trace", "SimulationError", "StrictWarning"]
)
def test_what_the_page_names_is_there(name: str) -> None:
    assert f"nkisim.{name}" in PAGE
    assert callable(getattr(nkisim, name))
