"""Only files that changed since a revision."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from nkimigrate import cli

OLD = "from nkilib.core.mlp.mlp import mlp_kernel\n\ny = mlp_kernel(1)\n"


def git(folder: Path, *words: str) -> str:
    name = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two old files on main; a branch that changes one, re-exports a kernel, and has an untracked file."""
    git(tmp_path, "init", "-q", ".")
    (tmp_path / "old.py").write_text(OLD)
    (tmp_path / "touched.py").write_text(OLD)
    (tmp_path / "kernels.py").write_text("from nkilib.core.mlp.mlp import mlp_kernel\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "old")
    git(tmp_path, "switch", "-qc", "branch")
    (tmp_path / "touched.py").write_text(OLD + "z = 1\n")
    git(tmp_path, "commit", "-qam", "touched")
    (tmp_path / "new.py").write_text("import kernels\n\ny = kernels.mlp_kernel(1)\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_changed_and_new_files_count_and_names_are_still_followed(repository: Path, capsys: Any) -> None:
    assert cli.main(["--check", ".", "--since", "main", "--isolated", "--no-cache"]) == 1
    out = capsys.readouterr().out
    assert "touched.py:1" in out
    assert "new.py:3" in out
    assert "old.py" not in out
    assert "kernels.py:" not in out


def test_the_repositories_of_the_paths_count(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Not that of the current folder."""
    other = tmp_path_factory.mktemp("other")
    git(other, "init", "-q", ".")
    git(other, "commit", "-qm", "empty", "--allow-empty")
    (other / "another.py").write_text(OLD)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    paths = [str(repository), str(repository / "new.py"), str(other)]
    assert cli.main(["--check", *paths, "--since", "main", "--isolated", "--no-cache"]) == 1
    out = capsys.readouterr().out
    assert [name in out for name in ("touched.py:1", "new.py:3", "another.py:1", "old.py")] == [True] * 3 + [
        False
    ]


def test_what_main_did_since_does_not_count(repository: Path, capsys: Any) -> None:
    git(repository, "stash", "-qu")
    git(repository, "switch", "-q", "main")
    (repository / "later.py").write_text(OLD)
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "later")
    git(repository, "switch", "-q", "branch")
    cli.main(["--check", ".", "--since", "main", "--isolated", "--no-cache"])
    assert "later.py" not in capsys.readouterr().out


def test_only_changed_files_are_rewritten(repository: Path, capsys: Any) -> None:
    cli.main([".", "--since", "main", "--isolated", "--no-cache"])
    assert (repository / "old.py").read_text() == OLD
    assert "mlp_kernel(1)" not in (repository / "touched.py").read_text()


@pytest.mark.parametrize("revision", ["nowhere", "--help", ""])
def test_a_revision_that_is_none(repository: Path, revision: str, capsys: Any) -> None:
    assert cli.main(["--check", ".", f"--since={revision}", "--isolated"]) == 2
    assert "--since" in capsys.readouterr().err


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert cli.main(["--check", ".", "--since", "HEAD", "--isolated"]) == 2
    assert "not a git repository" in capsys.readouterr().err


def test_the_revision_is_named_and_a_shallow_clone_too(
    repository: Path, tmp_path_factory: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["--check", ".", "--since", "HEAD~7", "--isolated"]) == 2
    assert capsys.readouterr().err == "nkimigrate: --since HEAD~7: git does not know this revision\n"
    clone = tmp_path_factory.mktemp("shallow") / "clone"
    git(repository, "clone", "-q", "--depth", "1", f"file://{repository}", str(clone))
    monkeypatch.chdir(clone)
    assert cli.main(["--check", ".", "--since", "HEAD~1", "--isolated"]) == 2
    assert capsys.readouterr().err == (
        "nkimigrate: --since HEAD~1: git does not know this revision; "
        "the clone is shallow, `git fetch --unshallow` completes it\n"
    )
    assert cli.main(["--check", ".", "--since", "HEAD", "--isolated", "--no-cache"]) == 0


def test_what_git_says_is_said_whole(repository: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository of another user: only the last line of git's advice was shown."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    assert cli.main(["--check", ".", "--since", "HEAD", "--isolated"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("nkimigrate: --since: detected dubious ownership in repository at ")
    assert "git config --global --add safe.directory" in said
