"""Migrates a copy of the example package and checks what the demonstration says.

Usage: demo.py NKIMIGRATE FOLDER

NKIMIGRATE is the command to run; the copy goes to FOLDER/llama_trn, which is made anew. Exits with 0 only if
everything that is said at the end is true.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent / "llama_trn"
TELLING = ("fused_residual_add", "output_dtype=hidden.dtype", "import mlp")
UNPARSABLE = "scripts/dump_weights.py"
SOME_FILES_FAILED = 3


def main(command: str, folder: str) -> str:
    """Run the demonstration; returns what went wrong, or nothing."""
    copy = fresh_copy(Path(folder))
    original = contents(copy)

    diff = run(command, copy, "--diff", show=False)
    headline("Before anything is written: a few of the changes")
    say(f"$ nkimigrate --diff {copy.name}\n{telling_hunks(diff.stdout) or diff.stderr}")
    preview = contents(copy)

    headline("The migration")
    first = run(command, copy)
    migrated = contents(copy)

    headline("The same again")
    second = run(command, copy, show=False)
    summary = "\n".join(second.stdout.splitlines()[-3:])
    say(f"$ nkimigrate {copy.name} | tail -n 3\n{summary}{second.stderr}")
    again = contents(copy)

    promises = {
        "--diff wrote nothing": preview == original,
        "the migration changed files": migrated != original,
        "every Python file that parsed before parses now": parsing(original) == parsing(migrated),
        "the one that never parsed was left alone": migrated[UNPARSABLE] == original[UNPARSABLE],
        "a second run changed nothing": again == migrated,
        f"each run ended with exit code {SOME_FILES_FAILED}: one file could not be parsed": (
            [diff.returncode, first.returncode, second.returncode] == [SOME_FILES_FAILED] * 3
        ),
    }
    headline("What happened")
    for promise, kept in promises.items():
        say(f"{'yes' if kept else 'NO '}  {promise}")
    say(f"\nCompare: diff -r {shlex.quote(str(EXAMPLE))} {shlex.quote(str(copy))}")
    return "" if all(promises.values()) else "the demonstration did not do what it promises"


def fresh_copy(folder: Path) -> Path:
    copy = folder / EXAMPLE.name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__", ".nkimigrate_cache"))
    return copy


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and not hidden(path.relative_to(folder)))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def parsing(files: dict[str, bytes]) -> set[str]:
    return {name for name, data in files.items() if name.endswith(".py") and parses(data)}


def parses(data: bytes) -> bool:
    try:
        ast.parse(data)
    except SyntaxError:
        return False
    return True


def run(command: str, copy: Path, *options: str, show: bool = True) -> subprocess.CompletedProcess[str]:
    """Run nkimigrate beside the copy, so that paths are short; the terminal gets its output if ``show``."""
    words = [*options, copy.name]
    if show:
        say(f"$ nkimigrate {shlex.join(words)}")
    output = None if show else subprocess.PIPE
    return subprocess.run(
        [Path(command).absolute(), *words], cwd=copy.parent, stdout=output, stderr=output, encoding="utf-8"
    )


def telling_hunks(diff: str) -> str:
    """The hunks of a unified diff that add one of the telling texts, each under its file's name."""
    found = [f"{name}\n{hunk}" for name, hunk in hunks(diff) if any(t in added(hunk) for t in TELLING)]
    return "\n".join(found)


def hunks(diff: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^(?=--- )", diff, flags=re.MULTILINE):
        head, *rest = re.split(r"^(?=@@ )", part, flags=re.MULTILINE)
        for hunk in rest:
            yield head.rstrip("\n"), hunk


def added(hunk: str) -> str:
    return "\n".join(line for line in hunk.splitlines() if line.startswith("+"))


def headline(text: str) -> None:
    say(f"\n== {text}")


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or 0)
