"""The command: reads what is asked for, runs the engine, and says what happened."""

from __future__ import annotations

import codecs
import os
import sys

from . import arguments
from .errors import UsageError
from .report.view import USAGE
from .terminal import UNENCODABLE, clean, spelled_out, wants_colour

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import click

    from .config import Options
    from .report.result import Report
    from .settings import Settings

INTERRUPTED = 130
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
    for name in ("stdout", "stderr"):
        _make_writable(name)
    try:
        return _main(words)
    except UsageError as error:
        return _say("nkimigrate: " + "\n".join(map(clean, str(error).split("\n"))))
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        return _interrupted()
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # in a descriptor's __set_name__, before 3.12
            return _interrupted()
        from .codemods.rule import BadRule

        return _say(f"nkimigrate: {error}") if isinstance(error, BadRule) else _internal_error(error, words)


def _interrupted() -> int:
    print("nkimigrate: interrupted; each file is either as it was or completely rewritten", file=sys.stderr)
    return INTERRUPTED


def _main(words: Sequence[str]) -> int:
    try:
        os.getcwd()
    except OSError as error:
        raise UsageError(f"the current folder: {(error.strerror or str(error)).lower()}") from None
    if words[:1] in (["verify"], ("verify",)) and arguments.COMPLETE_VARIABLE not in os.environ:
        from .verify.command import main as verify

        return verify(words[1:])
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
    from .output import show
    from .settings import Settings, options

    settings = Settings(given)
    if not settings.values["paths"]:
        if not given.get("check") and not given.get("diff"):
            return _no_paths(given)
        settings.values["paths"] = (".",)
    _check_output(settings)
    asked = options(settings, given)
    if settings.stdin:
        asked.stdin = _standard_input()
    if settings.flag("interactive"):
        return _interactive(settings, asked)
    report = _run(settings, asked, "" if given["paths"] else settings.file.path)
    if settings.mode == "check" and settings.text("baseline"):
        _compare(settings, report)
    code = show(settings, report, asked.stdin)
    return _verified(settings, report, code) if settings.flag("verify") and report.changes else code


def _verified(settings: Settings, report: Report, code: int) -> int:
    """``--verify``: the exit code of the run, or the verification's when it is the greater one."""
    from .verify.command import Asked, after_a_run

    taken = settings.mode == "diff" or settings.text("output_format", "text") != "text"
    quiet, verbose = settings.flag("quiet"), settings.flag("verbose")
    asked = Asked(quiet=quiet, verbose=verbose, aside=taken, optional=True)
    return max(code, after_a_run(settings.values["paths"], report, asked))


def _interactive(settings: Settings, asked: Options) -> int:
    """Ask about each place; then the summary and exit code of a check of what is left."""
    from .discovery import PathError
    from .interactive import Session, on_terminal
    from .output import print_lines
    from .report.text import summary
    from .report.view import View

    if sys.stdin is None:
        raise UsageError("standard input is closed: there is nobody to ask")
    session = Session(
        asked, lambda line: print_lines(sys.stdout, [line]), on_terminal, wants_colour(sys.stdout)
    )
    try:
        view = View(session.walk(), "interactive", exit_zero=settings.flag("exit_zero"))
    except PathError as error:
        raise UsageError(str(error)) from None
    print_lines(sys.stdout, summary(view))
    return view.exit_code


def _compare(settings: Settings, report: Report) -> None:
    """Leave out what the baseline lists, after it was written if that is what was asked for."""
    from . import baseline

    path = settings.text("baseline")
    if settings.flag("write_baseline"):
        baseline.write(report.findings, path)
    report.findings, report.known, report.gone = baseline.without_known(report.findings, path)


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise UsageError("standard input is closed")
    return sys.stdin.buffer.read()


def _no_paths(given: dict[str, Any]) -> int:
    """Nothing is rewritten that was not named."""
    if any(value for key, value in given.items() if key != "paths"):
        raise UsageError(
            "no PATH is given; `nkimigrate .` rewrites the current folder, --diff only shows how"
        )
    sys.stderr.write(_NOTHING_TO_DO)
    return USAGE


def _check_output(settings: Settings) -> None:
    """A report that cannot be written is better known before files are; and it takes no code's place."""
    from .output import require_writable

    for key in ("output", "report", "baseline"):
        if settings.values.get(key) == "":
            raise UsageError(f"--{key}: the name of the file is empty")
    written = ("output", "report", *(("baseline",) if settings.flag("write_baseline") else ()))
    paths: dict[str, str] = {}
    for key in filter(settings.values.__contains__, written):
        path = settings.text(key)
        require_writable(key, path)
        other = paths.setdefault(os.path.realpath(path), key)
        if other != key and not _takes_both(path):
            raise UsageError(f"--{key} {path}: --{other} writes that file, too; name another one")


def _takes_both(path: str) -> bool:
    """Whether a path is a terminal, a pipe or the like, which reports follow each other in."""
    return os.path.exists(path) and not os.path.isfile(path)


def _run(settings: Settings, asked: Options, named_by: str) -> Report:
    """The work itself; ``named_by`` is the configuration file if the paths are from there."""
    from .discovery import PathError
    from .engine import run
    from .progress import Bar

    watched = sys.stderr.isatty() and not settings.flag("quiet")
    try:
        with Bar(watched) as bar:
            return run(asked, bar)
    except PathError as error:
        from .configfile import shown

        source = f"{shown(named_by)}: `paths`: " if named_by else ""
        raise UsageError(f"{source}{error}{_mistaken(error.path)}") from None


def _mistaken(path: str) -> str:
    meant = f"--{path}" if f"--{path}" in _flags() else path.replace("\\", "/")
    return (
        f"; did you mean {meant}?"
        if meant.startswith("--") or (meant != path and os.path.exists(meant))
        else ""
    )


def _flags() -> list[str]:
    return [flag for argument in arguments.ARGUMENTS for flag in argument.flags]


# -- about the rules ----------------------------------------------------------------------------------


def _about(given: dict[str, Any]) -> int:
    from . import ruledocs
    from .output import print_lines

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
    print_lines(sys.stdout, lines)
    return 0


# -- when something goes wrong ------------------------------------------------------------------------


def _make_writable(name: str) -> None:
    """A stream that the caller closed (``>&-``) takes everything and shows nothing; none fails to encode."""
    if getattr(sys, name) is None:
        setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
    reconfigure = getattr(getattr(sys, name), "reconfigure", None)
    if reconfigure is not None:
        codecs.register_error(UNENCODABLE, spelled_out)
        reconfigure(errors=UNENCODABLE)


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
