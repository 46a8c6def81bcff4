"""Asks git which files changed since a revision.

A repository's own configuration can name programs that git runs (a file system monitor, filters, drivers for
differences). They are switched off: looking at somebody's code must not run it.
"""

from __future__ import annotations

import os
import subprocess

from .errors import UsageError


def changed_since(revision: str, folder: str = ".") -> frozenset[str]:
    """Real paths of the files that differ from where ``revision`` and the current commit parted.

    Files that git does not know yet count, deleted ones do not.

    Raises UsageError: no git, no repository, no such revision.
    """
    top = os.fsdecode(_git(folder, "rev-parse", "--show-toplevel").rstrip(b"\n"))
    base = _merge_base(folder, _commit(folder, revision))
    without = ("--no-renames", "--diff-filter=d", "--no-ext-diff", "--no-textconv", "--ignore-submodules")
    names = _git(top, *_without_filters(top), "diff", "--name-only", "-z", *without, base)
    names += _git(top, "ls-files", "-z", "--others", "--exclude-standard")
    return frozenset(
        os.path.realpath(os.path.join(top, os.fsdecode(name))) for name in names.split(b"\0") if name
    )


def _commit(folder: str, revision: str) -> str:
    done = _run(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if done.returncode == 0:
        return done.stdout.decode().strip()
    shallow = _run(folder, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
    hint = "; the clone is shallow, `git fetch --unshallow` completes it" if shallow else ""
    raise UsageError(f"--since {revision or repr(revision)}: git does not know this revision{hint}")


def _merge_base(folder: str, commit: str) -> str:
    """Where the histories parted; the commit itself where they never met (a shallow clone)."""
    done = _run(folder, "merge-base", commit, "HEAD")
    return done.stdout.decode().strip() if done.returncode == 0 else commit


def _without_filters(folder: str) -> list[str]:
    """Options that switch off each filter of the repository's own configuration."""
    listed = _run(
        folder, "config", "--local", "--includes", "-z", "--name-only", "--get-regexp", r"^filter\."
    )
    names = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    return [
        word for name in names for word in ("-c", f"{name}={'false' if name.endswith('.required') else ''}")
    ]


def _git(folder: str, *words: str) -> bytes:
    done = _run(folder, *words)
    if done.returncode:
        said = os.fsdecode(done.stderr).partition("fatal: ")  # warnings come before, advice comes after
        why = " ".join((said[2] or said[0]).split())
        raise UsageError(f"--since: {why or f'git {words[0]} failed'}")
    return done.stdout


_SAFE = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "--no-pager")


def _run(folder: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = ["git", *_SAFE, "-C", folder, *words]
    try:
        return subprocess.run(
            command,
            capture_output=True,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise UsageError("--since: git is not installed") from None
