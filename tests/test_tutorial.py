"""The tutorial's commands, run one after the other in a shell; they print what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def test_the_tutorial(repository: Path, tmp_path: Path) -> None:
    page = (repository / "docs" / "tutorial.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 5
    (tmp_path / "examples").symlink_to(repository / "examples")
    folder = tmp_path
    for block in blocks:
        folder = walk(block, folder)


def walk(block: str, folder: Path) -> Path:
    """Run a block's commands, and find what it shows in what they print, in order; the folder they end in."""
    commands = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    script = "\n".join([*commands, "echo folder: $PWD"])
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **{
            f"GIT_{who}_{what}": "t@example.org"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    printed = iter(done.stdout.splitlines())
    for line in block.splitlines():
        if line != "[…]" and not line.startswith("$ "):
            assert any(line in found for found in printed), (
                f"{line!r} is not printed (in order):\n{done.stdout}"
            )
    return Path(done.stdout.rpartition("folder: ")[2].strip())
