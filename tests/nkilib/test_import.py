"""``import nkilib`` serves ``nki`` where there is no real one. Most cases are processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import nkilib

ROOT = Path(__file__).parents[2]
WHICH = "import nkilib, nki, nki.language; print(nki.language.__name__)"
WITHOUT_NKISIM = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "nkisim":
            raise ModuleNotFoundError("No module named 'nkisim'", name="nkisim")
sys.meta_path.insert(0, Hidden())
"""


def run(code: str, *paths: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "NKI_SIMULATOR"}
    env = {**clean, "PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT))), **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)


@pytest.fixture
def real(tmp_path: Path) -> Path:
    (tmp_path / "nki" / "language").mkdir(parents=True)
    (tmp_path / "nki" / "__init__.py").write_text("")
    (tmp_path / "nki" / "language" / "__init__.py").write_text("")
    return tmp_path


@pytest.fixture
def placeholder(tmp_path: Path) -> Path:
    (tmp_path / "nki").mkdir()
    (tmp_path / "nki" / "__init__.py").write_text("")
    return tmp_path


def test_nki_is_the_simulator() -> None:
    done = run(WHICH + "\nimport nki.isa as i, nkisim.isa as s; print(i is s)")
    assert done.stdout == "nkisim.language\nTrue\n", done.stderr


def test_a_placeholder_does_not_count(placeholder: Path) -> None:
    assert run(WHICH, placeholder).stdout == "nkisim.language\n"


def test_a_real_one_wins(real: Path) -> None:
    done = run(WHICH + "\nimport sys; print('numpy' in sys.modules)", real)
    assert done.stdout == "nki.language\nFalse\n", done.stderr


def test_the_environment_prefers_the_simulator(real: Path) -> None:
    assert run(WHICH, real, NKI_SIMULATOR="1").stdout == "nkisim.language\n"


def test_it_works_without_nkisim(real: Path) -> None:
    done = run(WITHOUT_NKISIM + WHICH, real)
    assert done.stdout == "nki.language\n", done.stderr


def test_without_either_nki_is_what_is_missing() -> None:
    assert "No module named 'nki'" in run(WITHOUT_NKISIM + WHICH).stderr


def test_an_nkisim_that_does_not_import_is_no_absent_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nkisim").mkdir()
    (tmp_path / "nkisim" / "__init__.py").write_text("import absent")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "nkisim"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError, match="absent"):
        nkilib._serve_nki()
