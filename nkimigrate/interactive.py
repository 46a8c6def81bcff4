"""Go through the findings one by one: a person says what becomes of each.

Nothing is written before a file's last finding is answered; a file is then written once, as in any run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from .codemods.model import Finding
from .codemods.suppress import with_comment
from .config import Options
from .discovery import kind_of
from .engine import run
from .report.diff import coloured, unified
from .report.lines import split
from .report.model import Change, Problem
from .report.result import Report
from .report.text import plural, position
from .report.view import NEEDS_YOU, by_path, kind
from .tasks import edited_alone
from .terminal import clean, clean_line, painter
from .writer import write_all

Ask = Callable[[str], str]
_CONTEXT = 2
_KEYS = {
    "a": "apply",
    "s": "skip",
    "k": "keep: add a comment that silences it",
    "e": "open in $EDITOR",
    "f": "apply all the rest in this file",
    "q": "stop here",
    "?": "explain the rule",
}


@dataclass
class Session:
    """A walk through the findings.

    Attributes:
        options: what the engine is asked; the mode is overruled.
        say: prints a line. ask: shows a question and returns the answer, "" at the end of input.
        colour: whether what is printed may hold colours.
    """

    options: Options
    say: Callable[[str], None]
    ask: Ask
    colour: bool = False
    applied: int = 0
    kept: int = 0
    written: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    stopped: bool = False

    def walk(self) -> Report:
        """Ask about every finding; the report says what is left."""
        paint = painter(self.colour)
        met: set[str] = set()
        while not self.stopped:
            report = self._look()
            todo = {
                p: found for p, found in by_path(report.findings) if p not in met and any(map(_asks, found))
            }
            if not todo:
                break
            path, findings = next(iter(todo.items()))
            places = plural(sum(map(_asks, findings)), "place")
            self.say("")
            self.say(paint("heading", f"{clean(path)} ({places}, {plural(len(todo), 'file')} left)"))
            if self._file(path, report.texts[path], findings):
                met.add(path)
        left = self._look()
        left.problems += self.problems
        files = plural(len(set(self.written)), "file")
        self.say("")
        self.say(f"{plural(self.applied, 'place')} rewritten and {self.kept} kept in {files}")
        return left

    def _look(self) -> Report:
        self.options.mode = "check"
        self.options.texts = True
        return run(self.options)

    # -- one file ---------------------------------------------------------------------------------------

    def _file(self, path: str, data: bytes, findings: Sequence[Finding]) -> bool:
        """Ask about a file's findings, then write it; False if it is to be looked at again."""
        chosen: list[Finding] = []
        kept: list[Finding] = []
        everything = False
        for finding in filter(_asks, findings):
            if finding in chosen or self.stopped:
                continue
            together = _together(finding, findings)
            answer = (
                "a"
                if everything and finding.edits
                else ""
                if everything
                else self._answer(path, data, together)
            )
            if answer == "e":
                self._edit(path, finding)
                return False
            everything = everything or answer == "f"
            if answer in ("a", "f") and finding.edits:
                chosen += together
            elif answer == "k":
                kept.append(finding)
            self.stopped = self.stopped or answer == "q"
        self._write(path, data, chosen, kept)
        return True

    def _answer(self, path: str, data: bytes, together: Sequence[Finding]) -> str:
        self._show(path, data, together)
        allowed = [key for key in _KEYS if key not in "af" or together[0].edits]
        allowed = [key for key in allowed if key != "k" or path.endswith((".py", ".pyi"))]
        while True:
            answer = self.ask(f"[{','.join(allowed)}] (h for help) ").strip().lower()[:1]
            if answer == "?":
                self._explain(together[0])
            elif answer in allowed:
                return answer
            elif answer == "":
                return "q"
            else:
                for key in allowed:
                    self.say(f"  {key}  {_KEYS[key]}")

    def _show(self, path: str, data: bytes, together: Sequence[Finding]) -> None:
        paint = painter(self.colour)
        for finding in together:
            self.say("")
            code = paint("red" if kind(finding) == NEEDS_YOU else "green", finding.code)
            self.say(f"{paint('bold', clean(path))}:{position(finding)} {code} {clean(finding.message)}")
            for line in finding.step.rstrip().splitlines():
                self.say(f"    {clean_line(line)}")
        for line in self._picture(path, data, together):
            self.say(line)

    def _picture(self, path: str, data: bytes, together: Sequence[Finding]) -> Iterator[str]:
        """The change as a diff, or the lines of what needs a person."""
        new = _made(path, data, together) if together[0].edits else None
        if new is not None:
            change = Change(path, data, new)
            plain = split(unified(change))
            yield from list(coloured(change) if self.colour else map(clean_line, plain))[2:]
        elif together[0].cell is None:
            lines = split(data)
            first = max(together[0].line - 1 - _CONTEXT, 0)
            for number in range(first, min(together[0].end_line + _CONTEXT, len(lines))):
                here = together[0].line <= number + 1 <= together[0].end_line
                yield f"{'>' if here else ' '} {number + 1:>5}  {clean_line(lines[number])}"

    def _explain(self, finding: Finding) -> None:
        from . import ruledocs

        for line in ruledocs.explanation(ruledocs.find(finding.code), self.colour):
            self.say(line)

    def _edit(self, path: str, finding: Finding) -> None:
        import click

        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        self.say(f"Opening {clean(path)}, line {finding.line}")
        try:
            click.edit(filename=path, editor=editor)
        except click.ClickException as error:
            self.say(error.format_message())

    # -- what was said ----------------------------------------------------------------------------------

    def _write(self, path: str, data: bytes, chosen: Sequence[Finding], kept: Sequence[Finding]) -> None:
        commented, silenced = data, 0
        for finding in kept:
            new = with_comment(commented, finding)
            if new is None:
                self.say(f"{clean(path)}:{position(finding)}: no comment can stand there; left as it is")
            else:
                commented, silenced = new, silenced + 1
        new = _made(path, commented, self._again(path, commented, chosen)) if chosen else commented
        if new is None or new == data:
            return
        done = write_all(
            [Change(path, data, new)],
            lambda p, why: self.problems.append(Problem("NKM907", p, why)),
            within=self.options.paths,
        )
        if done:
            self.written.append(path)
            self.applied += len(chosen)
            self.kept += silenced

    def _again(self, path: str, data: bytes, chosen: Sequence[Finding]) -> Sequence[Finding]:
        """The chosen findings in the text with comments, which moved no code."""
        from copy import copy

        asked = copy(self.options)
        asked.overlay = {os.path.realpath(path): data}
        places = {_place(finding) for finding in chosen}
        return [f for f in run(asked).findings if f.path == path and f.edits and _place(f) in places]


def _asks(finding: Finding) -> bool:
    """Whether there is something to decide: notes without an edit are not asked about."""
    return bool(finding.edits) or kind(finding) == NEEDS_YOU


def _place(finding: Finding) -> tuple[object, ...]:
    return finding.code, finding.cell, finding.line, finding.column, finding.message


def _together(finding: Finding, findings: Sequence[Finding]) -> list[Finding]:
    """The finding, and those that are only made together with it."""
    others = [f for f in findings if finding.group and f.group == finding.group and f != finding]
    return [finding, *others]


def _made(path: str, data: bytes, findings: Sequence[Finding]) -> bytes | None:
    """The text after these findings' edits; None where they cannot be made."""
    kind = kind_of(os.path.basename(path), documents=True) or "python"
    return edited_alone(path, kind, data, tuple(findings))


def on_terminal(question: str) -> str:
    """Ask on the terminal; "" at the end of input."""
    sys.stdout.write(question)
    sys.stdout.flush()
    return sys.stdin.readline()
