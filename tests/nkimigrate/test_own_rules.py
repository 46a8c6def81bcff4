"""Rules of other packages, found by their entry points; the examples of docs/own_rules.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nkimigrate.testing import check_noop, check_transformed


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "own_rules.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


@pytest.fixture
def package(page: str, tmp_path: Path) -> Path:
    """A folder as pip leaves it: the documented rule, and the metadata with its entry point."""
    folder = tmp_path / "site"
    (folder / "acme_rules").mkdir(parents=True)
    (folder / "acme_rules" / "__init__.py").write_text("")
    rule = next(block for block in blocks(page, "python") if "CODE" in block)
    (folder / "acme_rules" / "one_core.py").write_text(rule, encoding="utf-8")
    metadata = folder / "acme_rules-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[nkimigrate.rules]\none-core = acme_rules.one_core\n")
    (tmp_path / "model.py").write_text("from nkilib.core.mlp.mlp import mlp\n\ny = mlp[1](x, g, u, d)\n")
    return folder


def run(package: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(package)}
    command = [sys.executable, "-m", "nkimigrate", *words, "--isolated", "--no-cache"]
    return subprocess.run(
        command, cwd=package.parent, env=environment, capture_output=True, encoding="utf-8", check=False
    )


def test_an_installed_rule_counts_like_the_others(package: Path) -> None:
    done = run(package, "--check", "model.py")
    assert done.returncode == 1
    assert "model.py:3:5 ACM101 runs on one core" in done.stdout
    assert "Say why in a comment" in done.stdout
    assert run(package, "--check", "model.py", "--ignore", "ACM").returncode == 0
    assert "ACM101" in run(package, "--list-rules").stdout
    assert "launches of a kernel on one core" in run(package, "--explain", "ACM101").stdout
    assert "ACM101" in run(package, "--check", "model.py", "--output-format", "sarif").stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('"""Doc."""\nCODE = "NKM999"\ndef check(ctx): ...\n', "NKM"),
        ('"""Doc."""\nCODE = 3\ndef check(ctx): ...\n', "ACM101"),
        ('CODE = "ACM101"\ndef check(ctx): ...\n', "docstring"),
        ('"""Doc."""\nCODE = "ACM101"\n', "check"),
        ("raise RuntimeError('no')\n", "RuntimeError: no"),
        ("def\n", "cannot be imported"),
    ],
)
def test_a_rule_that_cannot_be_used_is_named(package: Path, text: str, says: str) -> None:
    (package / "acme_rules" / "one_core.py").write_text(text)
    done = run(package, "--check", "model.py")
    assert done.returncode == 2
    assert "one-core" in done.stderr
    assert "acme-rules" in done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_documented_table_and_its_tests(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tools").mkdir()
    table = next(block for block in blocks(page, "toml") if "[release]" in block)
    (tmp_path / "tools" / "acme_1_to_2.toml").write_text(table)
    monkeypatch.chdir(tmp_path)
    tests = next(block for block in blocks(page, "python") if "check_noop" in block)
    names: dict[str, object] = {}
    exec(compile(tests, "own_rules.md", "exec"), names)
    ran = [
        name
        for name, value in names.items()
        if name.startswith("test_") and callable(value) and value() is None
    ]
    assert len(ran) == 2
    assert names["check_transformed"] is check_transformed
    assert names["check_noop"] is check_noop
