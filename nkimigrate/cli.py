"""The command: reads what is asked for, runs the engine, and says what happened."""

from __future__ import annotations

import os
import sys

from . import arguments
from .errors import UsageError
from .report.view import USAGE
from .terminal import clean, wants_colour

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import IO, Any, NoReturn

    import click

    from .report.result import Report
    from .report.view import View
    from .settings import Settings

INTERRUPTED = 130
_MODULES = {"json": "json_"}
_NOTHING_TO_DO = """\
nkimigrate takes code that uses the AWS Neuron NKI Library from one release to the next. Name what to migrate:

  nkimigrate --diff PATH     show what would change
  nkimigrate PATH            rewrite the files in place, and list what needs a person
  nkimigrate --check PATH    for continuous integration: fail when something is left

PATH is a file, a folder, or - for standard input. `nkimigrate --help` shows all options.
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; no exception leaves this function."""
    words = sys.argv[1:] if words is None else words
    for stream in (sys.stdout, sys.stderr):
        _never_fail_to_encode(stream)
    try:
        return _main(words)
    except UsageError as error:
        return _say("nkimigrate: " + "\n".join(map(clean, str(error).split("\n"))))
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        print(
            "nkimigrate: interrupted; each file is either as it was or completely rewritten", file=sys.stderr
        )
        return INTERRUPTED
    except Exception as error:
        return _internal_error(error, words)


def _main(words: Sequence[str]) -> int:
    given = None if arguments.COMPLETE_VARIABLE in os.environ else arguments.plain(words)
    given = _with_click(words) if given is None else given
    if given is None:
        return 0
    if "explain" in given or given.get("list_rules"):
        return _about(given)
    return _migrate(given)


def _with_click(words: Sequence[str]) -> dict[str, Any] | None:
    """Let click read the command line: whatever is unusual about it, it explains."""
    import click

    from .command import parse

    try:
        return parse(words)
    except click.ClickException as error:
        raise UsageError(f"{_explained(error)}\n`nkimigrate --help` shows all options.") from None


def _explained(error: click.ClickException) -> str:
    from difflib import get_close_matches

    from click import NoSuchOption

    if not isinstance(error, NoSuchOption):
        text = error.format_message().rstrip(".")
        return text[:1].lower() + text[1:]
    close = get_close_matches(error.option_name, _flags(), 2, 0.7)
    return f"no such option: {error.option_name}" + (f"; did you mean {' or '.join(close)}?" if close else "")


# -- migrating ----------------------------------------------------------------------------------------


def _migrate(given: dict[str, Any]) -> int:
    from .settings import Settings, options

    settings = Settings(given)
    if not settings.values["paths"]:
        if not given.get("check") and not given.get("diff"):
            return _no_paths(given)
        settings.values["paths"] = (".",)
    _check_output(settings)
    stdin = sys.stdin.buffer.read() if settings.stdin else None
    report = _run(settings, options(settings, given, stdin))
    return _show(settings, report, stdin)


def _no_paths(given: dict[str, Any]) -> int:
    """Nothing is rewritten that was not named."""
    if any(value for key, value in given.items() if key != "paths"):
        raise UsageError(
            "no PATH is given; `nkimigrate .` rewrites the current folder, --diff only shows how"
        )
    sys.stderr.write(_NOTHING_TO_DO)
    return USAGE


def _check_output(settings: Settings) -> None:
    """A report that cannot be written is better known before files are."""
    path = settings.text("output")
    if path and (os.path.isdir(path) or not os.path.isdir(os.path.dirname(path) or ".")):
        raise UsageError(f"--output {path}: not a file in an existing folder")


def _run(settings: Settings, options: Any) -> Report:
    from .discovery import PathError
    from .engine import run
    from .progress import Bar

    watched = sys.stderr.isatty() and not settings.flag("quiet")
    try:
        with Bar(watched) as bar:
            return run(options, bar)
    except PathError as error:
        raise UsageError(f"{error}{_mistaken(error.path)}") from None


def _mistaken(path: str) -> str:
    return f"; did you mean --{path}?" if f"--{path}" in _flags() else ""


def _flags() -> list[str]:
    return [flag for argument in arguments.ARGUMENTS for flag in argument.flags]


# -- showing ------------------------------------------------------------------------------------------


def _show(settings: Settings, report: Report, stdin: bytes | None) -> int:
    """Print code or diffs if asked for, and the report: on standard error when those take the output."""
    from .report.view import View

    taken = settings.mode == "diff" or (settings.mode == "write" and stdin is not None)
    stream = sys.stderr if taken else sys.stdout
    to_file = settings.text("output")
    view = View(
        report,
        settings.mode,
        exit_zero=settings.flag("exit_zero"),
        quiet=settings.flag("quiet"),
        verbose=settings.flag("verbose"),
        statistics=settings.flag("statistics"),
        colour=not to_file and wants_colour(stream),
    )
    try:
        if settings.mode == "diff":
            _print_diffs(report)
        elif taken and stdin is not None:
            _write(sys.stdout, report.changes[0].new if report.changes else stdin)
        _print_report(settings, view, stream, to_file)
    except BrokenPipeError:
        pass  # the reader has seen enough; the work is done all the same
    return view.exit_code


def _print_diffs(report: Report) -> None:
    from .report.diff import coloured, unified

    for change in report.changes:
        if wants_colour(sys.stdout):
            _print_lines(sys.stdout, coloured(change))
        else:
            _write(sys.stdout, unified(change))


def _print_report(settings: Settings, view: View, stream: IO[str], to_file: str) -> None:
    from .report import text

    format_ = settings.text("output_format", "text")
    if to_file:
        _save(to_file, _rendered(format_, view))
        if not view.quiet:
            _print_lines(stream, text.summary(view))
    elif format_ == "text":
        if view.verbose and settings.file.path:
            _print_lines(stream, [f"Configuration: {clean(settings.file.path)}"])
        if settings.stdin and not (view.findings or view.report.problems or view.verbose):
            return
        _print_lines(stream, text.render(view))
    else:
        _write(stream, _rendered(format_, view))


def _rendered(format_: str, view: View) -> bytes:
    from importlib import import_module

    module = import_module(f".report.{_MODULES.get(format_, format_)}", __package__)
    return "".join(f"{line}\n" for line in module.render(view)).encode("utf-8")


def _save(path: str, data: bytes) -> None:
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise UsageError(f"--output {path}: {(error.strerror or str(error)).lower()}") from None


def _print_lines(stream: IO[str], lines: Iterable[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _lost(stream, error)


def _write(stream: IO[str], data: bytes) -> None:
    try:
        stream.flush()
        stream.buffer.write(data)  # type: ignore[attr-defined]
        stream.buffer.flush()  # type: ignore[attr-defined]
    except OSError as error:
        _lost(stream, error)


def _lost(stream: IO[str], error: OSError) -> NoReturn:
    """What cannot be written now must not be tried again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if isinstance(error, BrokenPipeError):
        raise error
    raise UsageError(f"cannot write the output: {(error.strerror or str(error)).lower()}") from None


# -- about the rules ----------------------------------------------------------------------------------


def _about(given: dict[str, Any]) -> int:
    from . import ruledocs

    colour = wants_colour(sys.stdout)
    if "explain" in given:
        try:
            item = ruledocs.find(given["explain"])
        except ruledocs.UnknownCode as error:
            raise UsageError(str(error)) from None
        lines = ruledocs.explanation(item, colour)
    elif given.get("output_format") == "json":
        lines = ruledocs.listing_json()
    else:
        lines = ruledocs.listing(colour)
    _print_lines(sys.stdout, lines)
    return 0


# -- when something goes wrong ------------------------------------------------------------------------


def _never_fail_to_encode(stream: object) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _say(message: str) -> int:
    print(message, file=sys.stderr)
    return USAGE


def _internal_error(error: Exception, words: Sequence[str]) -> int:
    if {"-v", "--verbose"} & set(words):
        import traceback

        traceback.print_exc()
        return _say("nkimigrate: internal error; please report it with the lines above")
    return _say(
        f"nkimigrate: internal error ({type(error).__name__}: {clean(str(error))})\n"
        "This is a bug in nkimigrate. Please report it with the command line and what --verbose adds to it."
    )
