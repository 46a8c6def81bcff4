"""Where everything goes: code, diffs, reports, summaries; to standard output, standard error, or a file."""

from __future__ import annotations

import os
import sys
from itertools import islice

from .errors import UsageError
from .report import text
from .report.view import USAGE, View
from .terminal import clean, wants_colour

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO, NoReturn

    from .report.result import Report
    from .settings import Settings

_AT_ONCE = 1_000
_MODULES = {"json": "json_"}


def show(settings: Settings, report: Report, stdin: bytes | None) -> int:
    """Print what was asked for, and return the exit code.

    A diff, or migrated standard input, takes the output; the report then goes to standard error.
    """
    taken = settings.mode == "diff" or (settings.mode == "write" and stdin is not None)
    stream = sys.stderr if taken else sys.stdout
    view = _view(settings, report, stream)
    if settings.text("output"):
        _save("output", settings.text("output"), _rendered(settings.text("output_format", "text"), view))
    if settings.text("report"):
        _save("report", settings.text("report"), _rendered("page", view))
    try:
        if settings.mode == "diff":
            _print_diffs(report)
        elif taken and stdin is not None:
            _write(sys.stdout, report.changes[0].new if report.changes else stdin)
        _print_report(settings, view, stream)
    except BrokenPipeError:
        pass  # the reader has seen enough; the work is done all the same
    return view.exit_code


def _view(settings: Settings, report: Report, stream: IO[str]) -> View:
    return View(
        report,
        settings.mode,
        exit_zero=settings.flag("exit_zero"),
        quiet=settings.flag("quiet"),
        verbose=settings.flag("verbose"),
        statistics=settings.flag("statistics"),
        colour=not settings.text("output") and wants_colour(stream),
    )


def _print_diffs(report: Report) -> None:
    from .report.diff import coloured, unified

    for change in report.changes:
        if wants_colour(sys.stdout):
            print_lines(sys.stdout, coloured(change))
        else:
            _write(sys.stdout, unified(change))


def _print_report(settings: Settings, view: View, stream: IO[str]) -> None:
    if settings.text("output"):
        if not view.quiet:
            print_lines(stream, text.summary(view))
    elif settings.text("output_format", "text") != "text":
        for piece in _rendered(settings.text("output_format"), view):
            _write(stream, piece)
    elif view.findings or view.report.problems or view.verbose or not settings.stdin:
        if view.verbose and settings.file.path:
            print_lines(stream, [f"Configuration: {clean(settings.file.path)}"])
        print_lines(stream, text.render(view))


def _rendered(name: str, view: View) -> Iterator[bytes]:
    """A report in pieces of many lines, of which only one is in memory at a time."""
    from importlib import import_module

    module = import_module(f".report.{_MODULES.get(name, name)}", __package__)
    rest = iter(module.render(view))
    while lines := list(islice(rest, _AT_ONCE)):
        yield "".join(f"{line}\n" for line in lines).encode("utf-8")


def require_writable(option: str, path: str) -> None:
    """Raises UsageError where a report cannot be written, or would take the place of code."""
    from .discovery import kind_of

    folder = os.path.dirname(path) or "."
    if kind_of(os.path.basename(path)) in ("python", "notebook"):
        raise UsageError(f"--{option} {path}: a report does not go into a file of code; name another one")
    if os.path.isdir(path) or not os.path.isdir(folder):
        raise UsageError(f"--{option} {path}: not a file in an existing folder")
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise UsageError(f"--{option} {path}: permission denied")


def _save(option: str, path: str, pieces: Iterable[bytes]) -> None:
    try:
        with open(path, "wb") as file:
            file.writelines(pieces)
    except OSError as error:
        raise UsageError(f"--{option} {path}: {(error.strerror or str(error)).lower()}") from None


def print_lines(stream: IO[str], lines: Iterable[str]) -> None:
    """Print lines, many at once. Raises BrokenPipeError when the reader left, UsageError on a full disk."""
    rest = iter(lines)
    while True:
        content = "".join(f"{line}\n" for line in islice(rest, _AT_ONCE))
        try:
            stream.write(content)
            stream.flush()
        except OSError as error:
            lost(stream, error)
        if not content:
            return


def _write(stream: IO[str], data: bytes) -> None:
    try:
        stream.flush()
        stream.buffer.write(data)  # type: ignore[attr-defined]
        stream.buffer.flush()  # type: ignore[attr-defined]
    except OSError as error:
        lost(stream, error)


def unwritten(stream: IO[str], error: OSError) -> int:
    """As :func:`lost`, for those that catch nothing: says it, and gives the exit code."""
    try:
        lost(stream, error)
    except BrokenPipeError:
        return 0
    except UsageError as problem:
        print(f"nkimigrate: {problem}", file=sys.stderr)
        return USAGE


def lost(stream: IO[str], error: OSError) -> NoReturn:
    """BrokenPipeError when the reader left, else UsageError that says why; what cannot be written now is not
    tried again when Python ends.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if isinstance(error, BrokenPipeError):
        raise error
    raise UsageError(f"cannot write the output: {(error.strerror or str(error)).lower()}") from None
