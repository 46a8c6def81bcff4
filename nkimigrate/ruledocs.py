"""The documentation of rules and problems: found by code or name, shown in plain text or Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Protocol

from .terminal import painter

_FEW = 6
_GROUPS = ("NKL", "NKM")
"""What the codes of rules begin with; these are known without loading any."""
# A line at the margin with indented text below it.
_HEADING = re.compile(r"^(\S.*)\n(?=    )", re.MULTILINE)
_MARGIN = re.compile(r"^ {4}", re.MULTILINE)
# Lines of code inside a section, and the name of the file they are from where the text before names one.
_CODE = re.compile(r"(?:\.(?P<suffix>\w+)``:\n\n)?(?P<code>^ {4}.*(?:\n+ {4}.*)*)", re.MULTILINE)
_LANGUAGES = {"ipynb": "json", "yaml": "yaml"}


class Documented(Protocol):
    """What rules and kinds of problems have in common."""

    @property
    def code(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def doc(self) -> str: ...


class UnknownCode(Exception):
    """No rule has this code; the text says which ones are close."""


def everything() -> tuple[Documented, ...]:
    """All rules and kinds of problems, sorted by code."""
    from .codemods.rules import all_rules
    from .problems import all_problems

    return tuple(sorted((*all_rules(), *all_problems()), key=lambda item: item.code))


def find(wanted: str) -> Documented:
    """The rule or problem with this code or name; raises :class:`UnknownCode`."""
    for item in everything():
        if wanted.upper() == item.code or wanted.lower().replace("_", "-") == item.name:
            return item
    raise UnknownCode(f"no rule has the code {wanted!r}{suggest(wanted, everything())}")


def prefix(wanted: str) -> str:
    """A rule code or prefix as written by a user, in its canonical form: upper case, names resolved, ``ALL``.

    Raises :class:`UnknownCode` when no rule's code starts with it.
    """
    code = wanted.strip().upper()
    if code == "ALL":
        return ""
    if code in _GROUPS:
        return code
    from .codemods.rules import all_rules
    from .problems import all_problems

    rules = all_rules()
    if code and any(rule.code.startswith(code) for rule in rules):
        return code
    named = [rule.code for rule in rules if rule.name == wanted.strip().lower().replace("_", "-")]
    if named:
        return named[0]
    if any(problem.code == code for problem in all_problems()):
        raise UnknownCode(
            f"{code} is not a rule: it says why a file could not be handled; "
            "to leave files out, use --extend-exclude"
        )
    raise UnknownCode(f"no rule's code starts with {wanted!r}{suggest(wanted, rules)}")


def suggest(wanted: str, items: Sequence[Documented]) -> str:
    """The end of a message about an unknown code: what was probably meant, or how to see all codes."""
    close = _close(wanted.strip(), items)
    named = f"; did you mean {' or '.join(close)}?" if close else ""
    return f"{named} (--list-rules shows all of them)"


def _close(wanted: str, items: Sequence[Documented]) -> list[str]:
    from difflib import get_close_matches

    codes = [item.code for item in items]
    start = wanted.upper()
    while len(start) > len("NKM"):
        sharing = [code for code in codes if code.startswith(start)]
        if sharing:
            return sharing[:_FEW]
        start = start[:-1]
    named = {item.name: f"{item.name} ({item.code})" for item in items}
    by_name = [named[name] for name in get_close_matches(wanted.lower(), list(named), 3, 0.6)]
    return by_name or get_close_matches(wanted.upper(), codes, 3, 0.8)


def sections(doc: str) -> Iterator[tuple[str, str]]:
    """``(heading, text)`` of a documentation; the summary comes first, with an empty heading."""
    first, *rest = _HEADING.split(doc)
    yield "", first.strip()
    for heading, body in zip(rest[::2], rest[1::2], strict=True):
        yield heading, _MARGIN.sub("", body).strip("\n").rstrip()


def explanation(item: Documented, colour: bool) -> Iterator[str]:
    """A documentation as it is shown to people, line by line."""
    paint = painter(colour)
    yield f"{paint('bold', item.code)} {item.name}"
    for heading, body in sections(item.doc):
        yield ""
        if heading:
            yield paint("bold", heading)
        yield from textwrap.indent(body.replace("``", "`"), "    " if heading else "").splitlines()
    if silencing(item):
        yield ""
        yield paint("bold", SILENCE)
        yield from textwrap.indent(silencing(item), "    ").splitlines()


SILENCE = "How to silence it"
_PROBLEMS = "NKM9"
"""How codes begin that say why a file could not be handled."""


def silencing(item: Documented) -> str:
    """How a rule is switched off, from a line to everything; "" for what is no rule."""
    if item.code.startswith(_PROBLEMS):
        return ""
    return (
        f"`# nkimigrate: skip[{item.code}]` at the end of a line keeps that line, "
        f"`# nkimigrate: skip-file[{item.code}]` the file.\n"
        f"`--ignore {item.code}`, or `ignore` in the configuration, silences the rule, "
        "`--baseline FILE` what is there today."
    )


def as_markdown(item: Documented, level: int = 2) -> str:
    """The documentation in Markdown, without a title; ``level`` is that of its headings."""
    parts = [
        f"{'#' * level} {heading}\n\n{_CODE.sub(_fenced, body)}" if heading else body
        for heading, body in sections(item.doc)
    ]
    return "\n\n".join(parts) + "\n"


def _fenced(block: re.Match[str]) -> str:
    """Indented code as Markdown's fenced code, with its language."""
    before = block[0][: block.start("code") - block.start()]
    language = _LANGUAGES.get(block["suffix"] or "", "python")
    return f"{before}```{language}\n{_MARGIN.sub('', block['code'])}\n```"


def listing(colour: bool) -> Iterator[str]:
    """All rules and problems, a line for each, or a table where there is colour."""
    if colour:
        yield _table()
        return
    items = everything()
    width = max(len(item.name) for item in items)
    for item in items:
        yield f"{item.code}  {item.name:<{width}}  {_plain_summary(item)}"


def _table() -> str:
    from rich.console import Console
    from rich.table import Table

    table = Table("Code", "Name", "Summary", box=None, pad_edge=False, header_style="bold")
    for item in everything():
        table.add_row(f"[cyan]{item.code}[/]", item.name, _plain_summary(item))
    console = Console(force_terminal=True)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip("\n")


def listing_json() -> Iterator[str]:
    """All rules and problems as a JSON array."""
    import json

    from .problems import all_problems

    problems = {problem.code for problem in all_problems()}
    rows = [
        {
            "code": item.code,
            "name": item.name,
            "summary": _plain_summary(item),
            "kind": "problem" if item.code in problems else "rule",
            "documentation": as_markdown(item),
        }
        for item in everything()
    ]
    yield json.dumps(rows, indent=2)


def _plain_summary(item: Documented) -> str:
    return item.summary.replace("``", "`")
