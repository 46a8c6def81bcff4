"""The command line of ``nkimigrate verify``, and of ``--verify``."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from ..arguments import COMPLETE_VARIABLE
from ..command import carried_out
from ..errors import UsageError
from ..output import print_lines, require_writable
from ..progress import Bar
from ..report.text import plural
from ..signals import as_interrupts
from ..terminal import wants_colour
from . import report
from .plan import Plan, plan
from .report import Verification
from .run import run_all
from .spec import NAME, Spec, nearest, read
from .template import template
from .trees import Tree, at_revision, before_and_after, named

if TYPE_CHECKING:
    from ..report.result import Report

_ABOUT = f"""Run kernels before and after their migration on the CPU, with the same inputs, and compare.

OLD and NEW are files or folders; with --git, OLD is PATH at a revision. This runs the code in them, which
nkimigrate does nowhere else: each kernel in a process of its own, with a time limit, but with all your
rights.

Inputs come from {NAME}, else from the kernel's own test or __main__ block where these
can be read."""
_EPILOG = """\b
Exit codes:
  0    all kernels are equal, bit by bit or within tolerance
  1    a kernel is different
  2    wrong usage, or an unusable spec file
  3    no kernel is different, but some could not be run, or there were none
  130  interrupted; running kernels were ended"""
_FLAG = {"is_flag": True}


class _Seconds(click.FloatRange):
    """A number above 0 that ends."""

    name = "number"  # as messages call it

    def __init__(self) -> None:
        super().__init__(min=0, max=1e9, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Raises BadParameter."""
        seconds = super().convert(value, param, ctx)
        return seconds if seconds == seconds else self.fail("nan is no number of seconds", param, ctx)


_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any], str], ...] = (
    (
        ("--git",),
        {"metavar": "REV"},
        "Compare PATH (default: .) as it was at a revision with what is there now.",
    ),
    (("--spec",), {"metavar": "FILE"}, f"Inputs (default: {NAME} in NEW, OLD or the current folder)."),
    (("--template",), _FLAG, "Run nothing; print a spec file for the kernels found."),
    (("--trace",), _FLAG, "Compare instructions, bytes moved and matmul work, too."),
    (("--kernel", "only"), {"multiple": True, "metavar": "NAME"}, "Only this kernel; may be repeated."),
    (
        ("--timeout",),
        {"type": _Seconds(), "metavar": "SECONDS"},
        "Limit for each run (default: 120).",
    ),
    (
        ("--jobs",),
        {"type": click.IntRange(min=0), "default": 0, "metavar": "N"},
        "Runs at a time (default: 2).",
    ),
    (
        ("--output-format", "format"),
        {"type": click.Choice(["text", "json"]), "default": "text"},
        "Format of the report.",
    ),
    (("--output",), {"metavar": "FILE", "default": ""}, "Write the report to a file."),
    (("-q", "--quiet"), _FLAG, "Show only what is different or could not run."),
    (("-v", "--verbose"), _FLAG, "Show every output, what the code printed, and what was left out."),
)


@dataclass(frozen=True)
class Asked:
    """How to run and report.

    Attributes:
        only: names of kernels; empty for all. timeout: seconds; None: as the spec file says, or the default.
        output: file for the report, "" for standard output; aside: for standard error.
        optional: whether it is fine when there is no kernel.
    """

    trace: bool = False
    only: frozenset[str] = field(default_factory=frozenset)
    timeout: float | None = None
    jobs: int = 0
    format: str = "text"
    output: str = ""
    quiet: bool = False
    verbose: bool = False
    aside: bool = False
    optional: bool = False


def main(words: Sequence[str]) -> int:
    """Run ``nkimigrate verify`` with these words; returns the exit code. Raises UsageError."""
    try:
        given = carried_out(_command(), words, "nkimigrate verify", COMPLETE_VARIABLE)
    except click.ClickException as error:
        text = error.format_message().rstrip(".")
        hint = "`nkimigrate verify --help` shows all options."
        raise UsageError(f"verify: {text[:1].lower()}{text[1:]}\n{hint}") from None
    return _run(**given) if isinstance(given, dict) else 0  # help was shown


def _command() -> click.Command:
    paths = click.Argument(["paths"], nargs=-1, metavar="OLD NEW")
    options = [click.Option(flags, help=text, **how) for flags, how, text in _OPTIONS]
    settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
    return click.Command("verify", settings, dict, [paths, *options], _ABOUT, _EPILOG)


def _run(
    paths: Sequence[str], git: str | None, spec: str | None, template: bool, only: Sequence[str], **given: Any
) -> int:
    asked = Asked(only=frozenset(only), **given)
    if asked.quiet and asked.verbose:
        raise UsageError("verify: --quiet and --verbose exclude each other")
    if asked.output:
        require_writable("output", asked.output)
    with _workplace() as folder:
        old, new, places = _trees(paths, git, folder)
        if template:
            _print_template(old, new)
            return 0
        return verify(old, new, read(spec) if spec else nearest(places), asked)


@contextmanager
def _workplace() -> Iterator[str]:
    """A folder that goes, with all that runs, however the command ends. Raises UsageError when it is full."""
    try:
        with as_interrupts(), tempfile.TemporaryDirectory(prefix="nkimigrate-verify-") as folder:
            yield folder
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        where = f"the temporary folder {tempfile.gettempdir()} (TMPDIR names another one)"
        raise UsageError(f"{where}: {os.strerror(error.errno).lower()}") from None


def _print_template(old: Tree, new: Tree) -> None:
    print_lines(sys.stdout, template(old, new))


def _trees(paths: Sequence[str], revision: str | None, folder: str) -> tuple[Tree, Tree, list[str]]:
    """Both sides, and the folders in which a spec file may be."""
    if revision is not None:
        if len(paths) > 1:
            raise UsageError("verify --git REV takes one PATH: its old state comes from git")
        path = paths[0] if paths else "."
        old, new = at_revision(path, revision, folder)
        return old, new, [_folder(path), new.root, "."]
    if len(paths) != 2:
        raise UsageError("verify needs OLD and NEW (or --git REV): nkimigrate verify old/ new/")
    before, after = paths
    old, new = named(before), named(after)
    if os.path.isdir(before) != os.path.isdir(after):
        raise UsageError("OLD and NEW must be two files or two folders")
    return old, new, [_folder(after), _folder(before), "."]


def _folder(path: str) -> str:
    return path if os.path.isdir(path) else os.path.dirname(path) or "."


def verify(old: Tree, new: Tree, spec: Spec, asked: Asked) -> int:
    """Run and report. Returns the exit code; raises UsageError."""
    made = _chosen(plan(old, new, spec, asked.timeout), asked.only)
    watched = not asked.quiet
    if asked.optional and not made.cases:
        if watched:
            print_lines(sys.stderr if asked.aside else sys.stdout, ["No kernels in the changed files."])
        return report.CLEAN
    if made.cases and watched:
        kernels = plural(len(made.cases), "kernel")
        print(f"Running your code: {kernels}, old and new (Ctrl-C stops)", file=sys.stderr, flush=True)
    with Bar(sys.stderr.isatty() and watched) as bar:
        folder = os.path.abspath(os.path.dirname(spec.path)) if spec.path else os.getcwd()
        results = run_all(made.cases, folder, trace=asked.trace, jobs=asked.jobs, progress=bar)
    return _show(Verification(results, made.left_out), asked)


def _chosen(made: Plan, only: frozenset[str]) -> Plan:
    """The part of a plan that ``--kernel`` asks for."""
    if not only:
        return made
    unknown = only - {name for case in made.cases for name in (case.old.name, case.new.name)}
    if unknown:
        raise UsageError(f"--kernel: no kernel {', '.join(sorted(unknown))} on both sides")
    return Plan([case for case in made.cases if {case.old.name, case.new.name} & only])


def _show(found: Verification, asked: Asked) -> int:
    stream = sys.stderr if asked.aside else sys.stdout
    colour = not asked.output and wants_colour(stream)
    if asked.format == "json":
        lines = report.as_json(found)
    else:
        lines = report.text(found, colour=colour, quiet=asked.quiet, verbose=asked.verbose)
    if asked.output:
        _save(asked.output, lines)
        lines = iter([]) if asked.quiet else report.summary(found)
    print_lines(stream, lines)
    return found.exit_code


def _save(path: str, lines: Any) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise UsageError(f"--output {path}: {(error.strerror or str(error)).lower()}") from None


def after_a_run(paths: Sequence[str], report: Report, asked: Asked) -> int:
    """``--verify``: compare the kernels of the files that a run changed. Returns the exit code."""
    with _workplace() as folder:
        old, new = before_and_after(paths, report.changes, report.written, folder)
        spec = nearest([*map(_folder, paths), "."])
        return verify(old, new, spec, asked)
