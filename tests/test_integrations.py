"""What runs nkimigrate elsewhere: the GitHub Action, the GitLab job, and the pre-commit hooks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import audit
import pytest
import yaml

from nkimigrate.discovery import kind_of

OLD = "from nkilib.core.mlp.mlp import mlp_kernel\n\ny = mlp_kernel(1, 2, 3, 4)\n"
CLEAN = "x = 1\n"


def run(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A script as a runner starts it: bash that stops at the first failing command."""
    environment = {**os.environ, **variables}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


# -- the GitHub Action --------------------------------------------------------------------------------


@pytest.fixture
def action(repository: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((repository / "action.yml").read_text("utf-8")))


def checked(action: dict[str, Any], folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """The action's check, with the command of this environment in the place of the installed one."""
    temporary = folder.parent / "runner"
    link = temporary / "nkimigrate" / "bin"
    link.mkdir(parents=True, exist_ok=True)
    if not (link / "nkimigrate").exists():
        (link / "nkimigrate").symlink_to(Path(sys.executable).parent / "nkimigrate")
    step = action["runs"]["steps"][-1]
    given = {name: value.get("default", "") for name, value in action["inputs"].items()} | inputs
    variables = {}
    for name, value in step["env"].items():
        key = value.removeprefix("${{ inputs.").removesuffix(" }}")
        variables[name] = given[key]
    return run(step["run"], folder, RUNNER_TEMP=str(temporary), **variables)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "model.py").write_text(OLD)
    (folder / "clean.py").write_text(CLEAN)
    return folder


def test_the_action_annotates_and_fails(action: dict[str, Any], tree: Path) -> None:
    done = checked(action, tree)
    assert done.returncode == 1
    assert "::warning file=model.py,line=1" in done.stdout


def test_the_action_takes_paths_options_and_files(action: dict[str, Any], tree: Path) -> None:
    assert checked(action, tree, paths="clean.py").returncode == 0
    assert checked(action, tree, options="--ignore NKM1,NKM5").returncode == 0
    done = checked(action, tree, sarif="out.sarif", report="out.html")
    assert done.returncode == 1
    assert json.loads((tree / "out.sarif").read_text())["version"] == "2.1.0"
    assert (tree / "out.html").read_text("utf-8").startswith("<!doctype html>")


def test_inputs_of_the_action_are_no_code(action: dict[str, Any], tree: Path) -> None:
    for step in action["runs"]["steps"]:
        assert "${{" not in step["run"]
    checked(action, tree, paths="$(touch bad) `touch bad` ; touch bad")
    assert not (tree / "bad").exists()


# -- the GitLab job -----------------------------------------------------------------------------------


def test_the_gitlab_job_leaves_its_reports(repository: Path, tree: Path) -> None:
    job = yaml.safe_load((repository / "templates" / "nkimigrate.gitlab-ci.yml").read_text("utf-8"))[
        "nkimigrate"
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = run(job["script"][-1], tree, PATH=path, NKIMIGRATE_OPTIONS="", NKIMIGRATE_PATHS="")
    assert done.returncode == 1
    entries = json.loads((tree / job["artifacts"]["reports"]["codequality"]).read_text())
    assert {entry["location"]["path"] for entry in entries} == {"model.py"}
    assert all((tree / path).exists() for path in job["artifacts"]["paths"])


# -- pre-commit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("documents", [False, True])
def test_the_hooks_run_for_commits_of_what_is_looked_at(documents: bool, repository: Path) -> None:
    """Commits of nothing but requirements, a Dockerfile or a .env file ran no hook."""
    hooks = yaml.safe_load((repository / ".pre-commit-hooks.yaml").read_text("utf-8"))
    names = [
        "a.py",
        "a.pyi",
        "a.ipynb",
        "a.toml",
        "a.yaml",
        "a.yml",
        "a.json",
        "setup.cfg",
        "tox.ini",
        ".env",
    ]
    names += ["requirements.txt", "requirements-dev.txt", "Dockerfile", "Dockerfile.dev", "a.md", "a.rst"]
    for name in (*names, "a.c", "a.txt", "Makefile", "py"):
        for hook in hooks:
            runs = re.search(hook["files"], f"folder/{name}") is not None
            assert runs or kind_of(name, documents) is None, name
            assert not runs or kind_of(name, True) is not None, name


@pytest.mark.slow
def test_the_hooks_in_pre_commit(repository: Path, tree: Path, tmp_path: Path) -> None:
    """pre-commit itself installs this commit and runs both hooks."""
    if shutil.which("pre-commit", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("pre-commit is not installed")
    clone = tmp_path / "clone"
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "clone", "-q", str(repository), str(clone)], check=True)
    subprocess.run([*git, "init", "-q", "."], cwd=tree, check=True)
    subprocess.run([*git, "add", "."], cwd=tree, check=True)

    def hook(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pre_commit", "try-repo", str(clone), name, "--all-files"]
        environment = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "cache")}
        return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)

    check = hook("nkimigrate-check")
    assert check.returncode == 1, check.stdout + check.stderr
    assert "NKM103" in check.stdout
    assert (tree / "model.py").read_text() == OLD
    fix = hook("nkimigrate")
    assert "files were modified by this hook" in fix.stdout
    assert (tree / "model.py").read_text() == OLD.replace("mlp_kernel", "mlp")
    assert hook("nkimigrate-check").returncode == 0


# -- the audit of dependencies --------------------------------------------------------------------------

ANSWER = """{"dependencies": [{"name": "a", "version": "1", "vulns": []},
 {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]},
 {"name": "c", "skip_reason": "not there"}], "fixes": []}"""


def test_an_audit_fails_on_known_vulnerabilities_only() -> None:
    code, lines = audit.judged(ANSWER, "", 3)
    assert code == 1
    assert lines[0] == "b 2: PYSEC-1, fixed in 3"
    assert "NOT looked up" in lines[-1]
    assert (
        audit.judged(
            ANSWER.replace('"b"', '"a"').replace('{"id": "PYSEC-1", "fix_versions": ["3"]}', ""), "", 3
        )[0]
        == 0
    )


def test_an_audit_without_an_answer_says_so_and_does_not_fail() -> None:
    code, lines = audit.judged("", "Traceback\nConnectionError: no route to host", 7)
    assert (code, "7 packages were NOT looked up" in lines[0]) == (0, True)


def test_an_audit_is_about_everything_that_an_installation_brings() -> None:
    found = audit.installed("nkimigrate", audit.EXTRAS, {})
    assert {"libcst", "rich", "markdown-it-py", "jinja2", "markupsafe"} <= set(found)
    assert "pytest" not in found
