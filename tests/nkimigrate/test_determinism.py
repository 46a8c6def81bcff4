"""The same input gives the same bytes: whatever the processes, the order of files, the locale and the Python."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import seeds

OPTIONS = ["--no-cache", "--isolated", "--docs", "--output-format", "json"]
PYTHONS = ("python3.10", "python3.11", "python3.12", "python3.13")


def texts(count: int) -> dict[str, str]:
    """Programs for a tree: cases, rules' examples and kernels; and what versions of Python read differently."""
    chosen = seeds.all_seeds()
    step = max(len(chosen) // count, 1)
    found = {f"pkg{i % 3}/m{i}.py": text for i, text in enumerate(chosen[::step])}
    found |= {
        f"case{i}.py": path.read_text(encoding="utf-8")
        for i, path in enumerate(seeds.found()[:: max(40 // count, 1)])
    }
    found["strings.py"] = (
        "import neuronxcc.nki as nki\nimport neuronxcc.nki.language as nl\n\n\n@nki.jit\ndef k(x, name):\n"
        '    """Doc \\d."""\n    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)\n'
        "    for i in range(  # open\n        2\n    ):  # why\n"
        '        print(f"{{{name!r:>{i}}}} {name}", rf"\\d{i}", f"""\n  {i}\n""")\n'
        "    nl.store(out, nl.exp(nl.load(x)))\n    return out\n"
    )
    return found


def grown(folder: Path, files: Mapping[str, str], backwards: bool = False) -> Path:
    folder.mkdir()
    for name in sorted(files, reverse=backwards):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(files[name].encode("utf-8", "surrogatepass"))
    return folder


def outcome(folder: Path, python: str, *words: str, **variables: str) -> dict[str, str]:
    """What a run leaves and says: a digest for each file, and the report."""
    command = [python, "-m", "nkimigrate", *OPTIONS, *words, "."]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    assert done.stderr == b"", done.stderr.decode()
    assert done.returncode in (0, 1, 3)
    left = {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*.py"))
    }
    return {**left, "the report": done.stdout.decode()}


CIRCUMSTANCES: dict[str, tuple[list[str], dict[str, str], bool]] = {
    "two processes, warnings that are errors": (
        ["--jobs", "2"], {"PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2"}, False,
    ),
    "another order, hash seed and locale": (
        ["--jobs", "1"], {"PYTHONHASHSEED": "77", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kolkata"}, True,
    ),
    "the C locale, without UTF-8 mode": (
        ["--jobs", "2"], {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "20"}, True,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, str]]:
    files = texts(12)
    return files, outcome(
        grown(tmp_path_factory.mktemp("usual") / "tree", files),
        sys.executable,
        "--jobs",
        "1",
        PYTHONHASHSEED="1",
    )


@pytest.mark.parametrize(
    ("words", "variables", "backwards"), CIRCUMSTANCES.values(), ids=CIRCUMSTANCES.keys()
)
def test_circumstances_make_no_difference(
    tmp_path: Path,
    usual: tuple[dict[str, str], dict[str, str]],
    words: list[str],
    variables: dict[str, str],
    backwards: bool,
) -> None:
    files, expected = usual
    assert any(f'"{kind}"' in expected["the report"] for kind in ("NKL200", "NKM101"))
    assert (
        outcome(grown(tmp_path / "tree", files, backwards), sys.executable, *words, **variables) == expected
    )


def interpreter(name: str) -> str | None:
    """From NKIMIGRATE_PYTHONS (folders, separated as in PATH), from the PATH, or from pyenv's versions, whose
    entry on the PATH only works for those that are switched on.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [
        *os.environ.get("NKIMIGRATE_PYTHONS", "").split(os.pathsep),
        *os.environ["PATH"].split(os.pathsep),
    ]
    for folder in [*filter(None, folders), *sorted(map(str, pyenv.glob("versions/*/bin")))]:
        found = shutil.which(name, path=folder)
        if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
            return found
    return None


@pytest.mark.slow
@pytest.mark.parametrize("name", PYTHONS)
def test_the_python_makes_no_difference(
    name: str, tmp_path: Path, repository: Path, usual: tuple[dict[str, str], dict[str, str]]
) -> None:
    found = interpreter(name)
    if found is None:
        pytest.skip(f"there is no {name}")
    subprocess.run([found, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv/bin/python")
    subprocess.run(
        [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "-e", str(repository)],
        check=True,
    )
    files = texts(400)
    here = outcome(grown(tmp_path / "here", files), sys.executable)
    there = outcome(grown(tmp_path / "there", files), python)
    assert {key: value for key, value in there.items() if here[key] != value} == {}
