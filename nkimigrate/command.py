"""The command line as click sees it: help, errors with suggestions, completion, and all unusual spellings."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from . import __version__
from .arguments import ARGUMENTS, COMPLETE_VARIABLE, GROUPS, Argument
from .output import lost

_ABOUT = "Take code that uses the AWS Neuron NKI Library from one release to the next."
_EXAMPLES = (
    ("nkimigrate --diff model/", "show what would change"),
    ("nkimigrate model/", "rewrite the files, and list what needs a person"),
    ("nkimigrate --check .", "for continuous integration: fail when something is left"),
    ("nkimigrate verify --git HEAD model/", "run kernels as they were and as they are, and compare"),
    ("nkimigrate --explain NKM201", "say what a rule does, and why"),
    ("nkimigrate - < old.py > new.py", "migrate standard input"),
)
_EXIT_CODES = (
    ("0", "nothing is left to do"),
    ("1", "something needs a person; with --check and --diff also: something would change"),
    ("2", "wrong usage or configuration, or an internal error"),
    ("3", "some files could not be read, parsed or written; all others were handled"),
    ("130", "interrupted; each file is either as it was or completely rewritten"),
)
_ELSEWHERE = (
    ("[tool.nkimigrate]", "in pyproject.toml: the same options; the command line wins"),
    ("--no-statistics, --cache, ...", "switch off what is switched on there"),
    ("# nkimigrate: skip[CODE]", "at the end of a line: leave it as it is (all rules without [CODE])"),
    ("# nkimigrate: skip-file", "leave the whole file as it is"),
)


class Command(click.Command):
    """A command whose help shows its options in groups, examples, and the exit codes."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, in their groups."""
        width = max(len(_spelled(argument)) for argument in ARGUMENTS)
        for title, arguments in GROUPS.items():
            rows = [(_spelled(argument).ljust(width), argument.help) for argument in arguments]
            _table(formatter, title, rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, exit codes, and where else options may stand."""
        _table(formatter, "Examples", _EXAMPLES)
        _table(formatter, "Exit codes", _EXIT_CODES)
        _table(formatter, "Configuration and exceptions", _ELSEWHERE)


def _table(formatter: click.HelpFormatter, title: str, rows: Sequence[tuple[str, str]]) -> None:
    with formatter.section(title):
        formatter.write_dl(rows, col_max=40)


def _spelled(argument: Argument) -> str:
    flags = ", ".join(argument.flags) if argument.flags[1:] else f"    {argument.flags[0]}"
    return f"{flags} {argument.metavar}".rstrip()


def parse(words: Sequence[str]) -> dict[str, Any] | None:
    """The values of a command line; None when everything is done, such as after ``--help``.

    Raises click.UsageError.
    """
    result = carried_out(_command(), words, "nkimigrate", COMPLETE_VARIABLE)
    return result if isinstance(result, dict) else None


def carried_out(command: click.Command, words: Sequence[str], name: str, completing: str) -> Any:
    """What a command makes of its words. Raises click.ClickException, and for help that cannot be written
    UsageError, or BrokenPipeError when nobody reads it.
    """
    try:
        return command.main(list(words), name, completing, standalone_mode=False)
    except OSError as error:
        lost(sys.stdout, error)
    except SystemExit:  # click is done with completing, or met a broken pipe
        if completing in os.environ:
            raise
        raise BrokenPipeError from None


def _command() -> Command:
    paths = click.Argument(["paths"], nargs=-1, metavar="[PATH]...")
    options = [_option(argument) for argument in ARGUMENTS if argument.kind != "action"]
    settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
    command = Command("nkimigrate", settings, _values, [paths, *options], _ABOUT)
    return click.version_option(__version__, message="nkimigrate %(version)s", help=_help("version"))(command)


def _help(key: str) -> str:
    return next(argument.help for argument in ARGUMENTS if argument.key == key)


def _option(argument: Argument) -> click.Option:
    names = [argument.key, *argument.flags]
    if argument.negative:
        names[-1] += f"/{argument.negative}"
    if argument.kind == "flag":
        return click.Option(names, is_flag=True, default=None, help=argument.help)
    number = click.IntRange(min=0)
    number.name = "whole number"  # as messages call it
    types = {"number": number, "text": click.Choice(argument.choices)}
    return click.Option(
        names,
        type=types[argument.kind] if argument.kind == "number" or argument.choices else str,
        multiple=argument.kind == "list",
        metavar=argument.metavar,
        help=argument.help,
    )


def _values(**values: Any) -> dict[str, Any]:
    """What was given; an option that was not is missing."""
    return {key: value for key, value in values.items() if value not in (None, ()) or key == "paths"}
