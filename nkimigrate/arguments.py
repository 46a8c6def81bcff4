"""Every option, once: command line, help, configuration file and documentation follow from this.

Free of imports: reading a plain command line costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, Literal

    Kind = Literal["flag", "text", "list", "number", "action"]

FORMATS = ("text", "json", "github", "gitlab", "sarif", "junit")
COMPLETE_VARIABLE = "_NKIMIGRATE_COMPLETE"
"""Set by the scripts that complete commands in a shell."""


class Argument:
    """An option.

    Attributes:
        name: as in the configuration file; ``key`` is the same with underscores.
        flags: how it is written on a command line.
        kind: ``flag``; ``text``, ``number`` (0 or more) or ``list`` (comma-separated, repeatable), which take
            a value; ``action``: does something else than migrating.
        negative: the flag that takes back what the configuration file says.
        choices: the texts allowed; empty for any.
        in_file: whether it may stand in the configuration file.
    """

    def __init__(
        self,
        flags: str,
        kind: Kind,
        help: str,
        *,
        metavar: str = "",
        negative: str = "",
        choices: tuple[str, ...] = (),
        in_file: bool = True,
    ) -> None:
        self.flags = tuple(flags.split())
        self.name = self.flags[-1].removeprefix("--")
        self.key = self.name.replace("-", "_")
        self.kind = kind
        self.help = help
        self.metavar = metavar
        self.negative = negative
        self.choices = choices
        self.in_file = in_file


GROUPS: dict[str, tuple[Argument, ...]] = {
    "What to do (without either: rewrite the files)": (
        Argument(
            "--check",
            "flag",
            "Write nothing; exit with 1 if anything would change or needs a person.",
            in_file=False,
        ),
        Argument("--diff", "flag", "Write nothing; print what would change as a diff.", in_file=False),
        Argument(
            "--interactive",
            "flag",
            "Ask about each place: apply, skip, silence, open in an editor.",
            in_file=False,
        ),
        Argument(
            "--verify",
            "flag",
            "Run the kernels of changed files before and after, and compare. This runs your code.",
            in_file=False,
        ),
        Argument("--from", "text", "Release the code is written for (default: 2.27).", metavar="RELEASE"),
        Argument("--to", "text", "Release to take it to (default: 2.28).", metavar="RELEASE"),
        Argument(
            "--partial",
            "flag",
            "Migrate kernels as far as possible and mark by comments what needs a person.",
            in_file=False,
        ),
        Argument(
            "--all-keywords",
            "flag",
            "Give every argument that can have one its keyword, not only those that must.",
            negative="--no-all-keywords",
        ),
    ),
    "Which rules and files": (
        Argument(
            "--select",
            "list",
            "Apply only these rules: codes or beginnings of codes, as in NKM1,NKM201.",
            metavar="CODES",
        ),
        Argument("--ignore", "list", "Leave out these rules.", metavar="CODES"),
        Argument(
            "--exclude",
            "list",
            "Leave out what matches, as in .gitignore, instead of .venv/, build/, vendor/, ...",
            metavar="PATTERNS",
        ),
        Argument("--extend-exclude", "list", "Leave out what matches, too.", metavar="PATTERNS"),
        Argument("--no-gitignore", "flag", "Do not leave out what git ignores.", negative="--gitignore"),
        Argument(
            "--tables",
            "list",
            "Apply these release tables of your own libraries, too.",
            metavar="FILES",
        ),
        Argument(
            "--docs",
            "flag",
            "Take the Python in code blocks of Markdown and reStructuredText, too.",
            negative="--no-docs",
        ),
        Argument(
            "--since",
            "text",
            "Report on, and rewrite, only files changed since this git revision.",
            metavar="REVISION",
            in_file=False,
        ),
        Argument(
            "--baseline",
            "text",
            "With --check: leave out the findings that this file lists.",
            metavar="FILE",
        ),
        Argument(
            "--write-baseline",
            "flag",
            "Make the baseline list today's findings, and exit with 0.",
            in_file=False,
        ),
        Argument(
            "--stdin-filename",
            "text",
            "Name under which code read from standard input (PATH -) is reported.",
            metavar="FILE",
            in_file=False,
        ),
    ),
    "The report": (
        Argument(
            "--output-format",
            "text",
            "Format of the report: text (default), json, github, gitlab, sarif or junit.",
            metavar="FORMAT",
            choices=FORMATS,
        ),
        Argument("--output", "text", "Write the report to a file.", metavar="FILE", in_file=False),
        Argument(
            "--report",
            "text",
            "Write a page for people, too: each change side by side, each next step.",
            metavar="FILE",
            in_file=False,
        ),
        Argument("--statistics", "flag", "Show how often each rule applied.", negative="--no-statistics"),
        Argument(
            "-q --quiet",
            "flag",
            "Show only what makes the exit code differ from 0.",
            negative="--no-quiet",
        ),
        Argument(
            "-v --verbose",
            "flag",
            "Show each rewritten place, and how the run went.",
            negative="--no-verbose",
        ),
        Argument("--exit-zero", "flag", "Exit with 0 in spite of findings.", negative="--no-exit-zero"),
    ),
    "Running": (
        Argument(
            "--config",
            "text",
            "Read the configuration from this file instead of the nearest pyproject.toml.",
            metavar="FILE",
            in_file=False,
        ),
        Argument("--isolated", "flag", "Read no configuration.", in_file=False),
        Argument("--jobs", "number", "Processes to use (default, 0: as many as pay).", metavar="N"),
        Argument(
            "--executor",
            "text",
            "Do the work on a cluster: dask:ADDRESS of a Dask scheduler.",
            metavar="WHERE",
            in_file=False,  # a repository must not choose who gets its reader's files
        ),
        Argument("--no-cache", "flag", "Do not remember what earlier runs found out.", negative="--cache"),
    ),
    "About": (
        Argument("--explain", "text", "Show a rule's documentation and exit.", metavar="CODE", in_file=False),
        Argument("--list-rules", "flag", "Show all rules and exit.", in_file=False),
        Argument("--version", "action", "Show the version and exit.", in_file=False),
        Argument("-h --help", "action", "Show this text and exit.", in_file=False),
    ),
}
ARGUMENTS = tuple(argument for group in GROUPS.values() for argument in group)


def plain(words: Sequence[str]) -> dict[str, Any] | None:
    """The values of a command line that holds nothing but paths and known options; None: click is to read it.

    Most command lines are of that kind, and importing click takes longer than looking at 1,000 files.
    """
    by_flag = {flag: argument for argument in ARGUMENTS for flag in (*argument.flags, argument.negative)}
    values: dict[str, Any] = {"paths": ()}
    rest = list(reversed(words))
    while rest:
        word, equals, value = rest.pop().partition("=")
        argument = by_flag.get(word)
        if not word.startswith("-") or word == "-":
            values["paths"] += (word + equals + value,)
        elif argument is None or argument.kind == "action" or (equals and not word.startswith("--")):
            return None
        elif argument.kind == "flag":
            if equals:
                return None
            values[argument.key] = word != argument.negative
        else:
            if not equals:
                value = rest.pop() if rest else "-"
            if not _take(argument, value, values):
                return None
    return values


def _take(argument: Argument, value: str, values: dict[str, Any]) -> bool:
    """Add an option's value; False if something about it is unusual."""
    if value.startswith("-") or (argument.choices and value not in argument.choices):
        return False
    if argument.kind == "list":
        values[argument.key] = (*values.get(argument.key, ()), value)
    elif argument.kind == "number":
        if not (value.isascii() and value.isdigit()):
            return False
        values[argument.key] = int(value)
    else:
        values[argument.key] = value
    return True


def parts(texts: Iterable[str]) -> tuple[str, ...]:
    """The items of a comma-separated, repeated option."""
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())
