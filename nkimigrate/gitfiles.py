"""Asks git which files changed since a revision, and how files were at one.

A repository's own configuration can name programs that git runs (a file system monitor, filters, drivers for
differences, whatever fetches what a partial clone lacks). They are switched off: looking at somebody's code
must not run it.
"""

from __future__ import annotations

import os
import subprocess

from .errors import UsageError

_SAFE = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "--no-pager")

_OWN = ("local", "worktree")
"""Where a repository's own configuration stands, as git calls it."""


def changed_since(revision: str, folder: str) -> tuple[str, frozenset[str]]:
    """The top of a folder's repository, and its files that differ from where ``revision`` and the current
    commit parted; real paths.

    Files that git does not know yet count, deleted ones do not.

    Raises UsageError: no git, no repository, no such revision.
    """
    git = Repository("--since", folder)
    base = git.parted(git.commit(revision))
    without = ("--no-renames", "--diff-filter=d", "--no-ext-diff", "--no-textconv", "--ignore-submodules")
    names = git.said(*git.without_filters(), "diff", "--name-only", "-z", *without, base)
    names += git.said("ls-files", "-z", "--others", "--exclude-standard")
    found = (os.path.join(git.top, os.fsdecode(name)) for name in names.split(b"\0") if name)
    return os.path.realpath(git.top), frozenset(map(os.path.realpath, found))


class Repository:
    """The repository around a folder, for an option that is named when something is wrong.

    ``fetch``: whether objects that a partial clone lacks are fetched, as its configuration says.

    Raises UsageError, as its methods do: no git, no repository.
    """

    def __init__(self, option: str, folder: str, fetch: bool = False) -> None:
        self._option = option
        self._environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
        if not fetch:
            self._environment["GIT_ALLOW_PROTOCOL"] = "none"
        self.top = folder
        self.top = os.fsdecode(self.said("rev-parse", "--show-toplevel").rstrip(b"\n"))

    def commit(self, revision: str) -> str:
        """The commit that a revision means."""
        done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if done.returncode == 0:
            return done.stdout.decode().strip()
        shallow = self._run("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
        hint = "; the clone is shallow, `git fetch --unshallow` completes it" if shallow else ""
        asked = f"{self._option} {revision or repr(revision)}"
        raise UsageError(f"{asked}: git does not know this revision{hint}")

    def parted(self, commit: str) -> str:
        """Where the histories parted; the commit itself where they never met (a shallow clone)."""
        done = self._run("merge-base", commit, "HEAD")
        return done.stdout.decode().strip() if done.returncode == 0 else commit

    def lay_out(self, revision: str, into: str) -> None:
        """All files as they were at a revision, in a new folder.

        ``git archive`` would leave out what ``.gitattributes`` keeps out of archives.
        """
        commit = self.commit(revision)
        os.mkdir(into)
        self._environment["GIT_INDEX_FILE"] = os.path.abspath(into) + ".index"
        self.said("-c", "core.splitIndex=false", "read-tree", "--no-sparse-checkout", commit)
        prefix = f"--prefix={os.path.abspath(into)}{os.sep}"
        self.said(*self.without_filters(), "checkout-index", "--all", "--quiet", prefix)

    def without_filters(self) -> list[str]:
        """Options that switch off each filter of the repository's own configuration."""
        words = ("--show-scope", "--includes", "-z", "--name-only", "--get-regexp", r"^filter\.")
        listed = self._run("config", *words)
        if listed.returncode not in (0, 1):  # 1: there is none
            raise UsageError(f"{self._option}: needs git 2.26 or newer")
        fields = list(map(os.fsdecode, listed.stdout.split(b"\0")))
        names = [name for scope, name in zip(fields[::2], fields[1::2], strict=False) if scope in _OWN]
        for name in names:
            if "=" in name:  # it could not be told from its value
                raise UsageError(f"{self._option}: refuses the repository's own {name}")
        return [
            word
            for name in names
            for word in ("-c", f"{name}={'false' if name.endswith('.required') else ''}")
        ]

    def said(self, *words: str) -> bytes:
        """What git answers."""
        done = self._run(*words)
        if done.returncode:
            said = os.fsdecode(done.stderr).partition("fatal: ")  # warnings come before, advice comes after
            why = " ".join((said[2] or said[0]).split())
            raise UsageError(f"{self._option}: {why or 'git failed'}")
        return done.stdout

    def _run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = ["git", *_SAFE, "-C", self.top, *words]
        try:
            return subprocess.run(command, capture_output=True, check=False, env=self._environment)
        except FileNotFoundError:
            raise UsageError(f"{self._option}: git is not installed") from None
