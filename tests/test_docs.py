"""The pages in docs/ say what the code says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nkimigrate.arguments import ARGUMENTS

PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "docs/*.md", "benchmarks/README.md")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
_FENCED = r"```{language}\n(.*?)```"


@pytest.mark.parametrize(
    ("script", "page"), [("generate.py", "rules.md"), ("generate_compat.py", "compat.md")]
)
def test_generated_page_is_up_to_date(repository: Path, script: str, page: str) -> None:
    done = subprocess.run(
        [sys.executable, repository / "docs" / script], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    written = (repository / "docs" / page).read_text(encoding="utf-8")
    assert written == done.stdout, "run `make docs`"


@pytest.mark.parametrize("pattern", PAGES)
def test_links_lead_somewhere(repository: Path, pattern: str) -> None:
    pages = sorted(repository.glob(pattern))
    assert pages
    for page in pages:
        for target in _LINK.findall(page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.fixture(scope="module")
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text(encoding="utf-8")


def fenced(text: str, language: str, heading: str) -> str:
    """The first fenced block of a language below a heading."""
    _, _, rest = text.partition(f"\n## {heading}\n")
    found = re.search(_FENCED.format(language=language), rest, re.DOTALL)
    assert found, heading
    return found[1]


def nkimigrate(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nkimigrate", "--no-cache", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8")


@pytest.mark.parametrize("flag", [flag for a in ARGUMENTS for flag in a.flags if flag.startswith("--")])
def test_readme_has_every_option(readme: str, flag: str) -> None:
    assert re.search(rf"`[^`]*{flag}\b[^`]*`", readme)


def test_configuration_in_the_readme_is_valid(readme: str, tmp_path: Path) -> None:
    for folder in ("src", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "src" / "old.py").write_text("import nkilib_standalone.nkilib.core.qkv.qkv as q\n")
    (tmp_path / "pyproject.toml").write_text(fenced(readme, "toml", "Options"))
    done = nkimigrate("--check", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "src/old.py:1:8 NKM101" in done.stdout


def test_output_in_the_readme_is_real(readme: str, repository: Path, tmp_path: Path) -> None:
    """Every line of it is printed, in this order; […] stands for lines left out."""
    shutil.copytree(repository / "examples" / "llama_trn", tmp_path / "llama_trn")
    printed = iter(nkimigrate("llama_trn", cwd=tmp_path).stdout.splitlines())
    command, *shown = fenced(readme, "", "What a run prints").splitlines()
    assert command == "$ nkimigrate llama_trn"
    for line in shown:
        assert line == "[…]" or line in printed, line


def test_kernel_in_the_readme_runs(readme: str) -> None:
    names: dict[str, Any] = {}
    exec(fenced(readme, "python", "Kernels without a device"), names)
    x, gate, up, down = (names[name].astype(np.float64) for name in ("x", "gate", "up", "down"))
    gated = x @ gate
    expected = gated / (1 + np.exp(-gated)) * (x @ up) @ down
    assert np.abs(names["y"].astype(np.float64) - expected).max() <= 2e-2 * np.abs(expected).max()
