"""A team's own release table, beside the project's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from nkimigrate import cli

TABLE = """\
[release]
product = "acme"
from = "1.0"
to = "2.0"
root = "acme_kernels"
legacy_roots = []

[symbols]
"acme_kernels.attn.fused_attention" = "acme_kernels.attention.fused_attention"

[[calls]]
name = "acme_kernels.norm.rms"
signature = "(x, weight, residual=None, eps=1e-6)"

[[calls.old]]
dialect = "1.0"
signature = "(x, weight, eps=1e-6)"
rewrite = "keywords"
"""
OLD = """\
from acme_kernels.norm import rms
from acme_kernels.attn import fused_attention
from nkilib.core.mlp.mlp import mlp_kernel

y = rms(1, 2, 1e-5)
z = fused_attention(y, mlp_kernel(y, 1, 2, 3))
"""
NEW = """\
from acme_kernels.norm import rms
from acme_kernels.attention import fused_attention
from nkilib.core.mlp.mlp import mlp

y = rms(1, 2, eps=1e-5)
z = fused_attention(y, mlp(y, 1, 2, 3))
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "acme.toml").write_text(TABLE)
    (tmp_path / "model.py").write_text(OLD)
    (tmp_path / "only.py").write_text("from acme_kernels.norm import rms\n\nrms(1, 2, 3)\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("configured", [True, False])
def test_both_tables_apply_and_a_second_run_changes_nothing(
    tree: Path, configured: bool, capsys: Any
) -> None:
    words = ["model.py", "only.py", "--no-cache"]
    if configured:
        (tree / "pyproject.toml").write_text('[tool.nkimigrate]\ntables = ["tools/acme.toml"]\n')
    else:
        words += ["--tables", "tools/acme.toml", "--isolated"]
    assert cli.main(words) == 0
    assert (tree / "model.py").read_text() == NEW
    assert "eps=3" in (tree / "only.py").read_text()
    cli.main(words)
    assert (tree / "model.py").read_text() == NEW


def test_a_cache_made_without_the_table_hides_nothing(tree: Path, capsys: Any) -> None:
    for path in tree.rglob("*.py"):
        os.utime(path, (1, 1))
    assert cli.main(["--check", "only.py", ".", "--isolated"]) == 1
    assert cli.main(["--check", "only.py", "--isolated", "--tables", "tools/acme.toml"]) == 1
    assert "only.py:3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        ("[release", "not TOML"),
        ("x = " + "[" * 100_000, "not TOML"),
        ("[release]\nproduct = 'a'\n", "lacks the entry 'from'"),
        (TABLE.replace("[[calls]]", "[calls]").replace("[[calls.old]]", "[calls.old]"), "docs/releases.md"),
    ],
)
def test_a_table_that_cannot_be_used(tree: Path, content: str | None, says: str, capsys: Any) -> None:
    path = tree / "bad.toml"
    if content is not None:
        path.write_text(content)
    assert cli.main(["--check", ".", "--isolated", "--tables", "bad.toml"]) == 2
    assert says in capsys.readouterr().err


def test_a_pipe_is_not_waited_for(tree: Path, capsys: Any) -> None:
    os.mkfifo(tree / "pipe.toml")
    assert cli.main(["--check", ".", "--isolated", "--tables", "pipe.toml"]) == 2
    assert capsys.readouterr().err == "nkimigrate: release table pipe.toml: not a regular file\n"
