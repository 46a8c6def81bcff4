"""Code blocks of Markdown and reStructuredText documents."""

from __future__ import annotations

import ast
import io
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from ..model import Finding, Outcome
from ..record import cached_property
from .joined import Joined, parted, spelling

CODE = "NKM905"
_FENCE = re.compile(
    r"^(?P<indent>[ \t]*(?:>[ \t]?)*)(?P<fence>`{3,}|~{3,})(?=[^`\n]*$)[ \t]*"
    r"(?P<directive>\{(?:code|code-block|code-cell|sourcecode|testcode)\}[ \t]*)?\{?(?P<info>[\w.+-]*)"
)
_OPTION = re.compile(r"[ \t>]*:[\w-]+:")
_PROMPT = re.compile(r"[ \t]*(?:> )*(?:>>>|\.\.\.)(?: |$)")
_DIRECTIVE = re.compile(
    r"^(?P<indent>[ \t]*)\.\. (?:code|code-block|sourcecode|testcode)::[ \t]*(?:(?P<info>\w+)[ \t]*)?$"
)
_PYTHON = frozenset({"ipython", "ipython3", "py", "py3", "python", "python3"})


@dataclass(frozen=True)
class Block:
    """The lines ``first`` to ``last`` (from 0, exclusive), each behind ``indent``, hold Python.

    ``prompts``: what stands in front of each line instead, in an interactive session.
    """

    first: int
    last: int
    indent: str
    code: str
    error: str = ""
    prompts: tuple[str, ...] = ()

    def before(self, number: int) -> str:
        """What stands in front of a line, or would stand in front of one more."""
        return self.prompts[min(number, len(self.prompts) - 1)] if self.prompts else self.indent


class Document:
    """A document as a container of Python; see :class:`~nkimigrate.codemods.embedded.Container`."""

    def __init__(self, data: bytes, path: str, names: tuple[str, ...]) -> None:
        self._mark, text = parted(data)
        self._lines = io.StringIO(text, newline="").readlines()  # not at form feeds and the like
        self._path = path
        self._names = spelling(names)
        found = list(_rst(self._lines) if path.endswith(".rst") else _markdown(self._lines))
        self._blocks = [block for block in found if not block.error]
        self._broken = [block for block in found if block.error]

    @cached_property
    def joined(self) -> Joined:
        return Joined([block.code for block in self._blocks])

    @property
    def pinned(self) -> frozenset[str]:
        return frozenset()

    def placed(self, finding: Finding) -> Finding:
        index, line = self.joined.place(finding.line)
        _, last = self.joined.place(finding.end_line)
        block = self._blocks[index]
        column = finding.column + len(block.indent)
        end_column = finding.end_column + len(block.indent)
        first = block.first
        return replace(
            finding, line=first + line, end_line=first + last, column=column, end_column=end_column
        )

    def others(self) -> list[Finding]:
        return [
            Finding(
                CODE, self._path, block.first + 1, 1, block.first + 1, 1, Outcome.NEEDS_YOU,
                f"a code block does not parse: {block.error}",
                "Change by hand what it says about the library, or give the block another language.",
            )
            for block in self._broken
            if self._names.search(block.code)
        ]  # fmt: skip

    def restored(self, pieces: list[str]) -> bytes:
        lines = list(self._lines)
        for block, piece in reversed(list(zip(self._blocks, pieces, strict=True))):
            if piece != block.code:
                newline = _end(lines[block.first - 1])
                lines[block.first : block.last] = _rewritten(
                    lines[block.first : block.last], block, piece, newline
                )
        return f"{self._mark}{''.join(lines)}".encode()


def _end(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :]


def _rewritten(lines: list[str], block: Block, code: str, newline: str) -> list[str]:
    """The lines of a block with other code; those whose code stays are the very same.

    ``newline``: that of the line before.
    """
    ends = [_end(line) or newline for line in lines]
    open_end = not _end(lines[-1])  # of the document; the line may come to stand elsewhere
    lines = [*lines[:-1], lines[-1].rstrip("\r\n") + ends[-1]]
    old, new, found = block.code.split("\n"), code.split("\n"), list[str]()
    for kind, start, end, first, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            found += lines[start:end]
            continue
        for number, line in enumerate(new[first:last], start):
            before = block.before(number)
            text = f"{before}{line}" if line else before.rstrip()
            found.append(text + ends[min(number, len(ends) - 1)])
    return [*found[:-1], found[-1].rstrip("\r\n")] if open_end and found else found


def _markdown(lines: list[str]) -> Iterator[Block]:
    at = 0
    while at < len(lines):
        match = _FENCE.match(lines[at].rstrip("\r\n"))
        at += 1
        if match is None:
            continue
        first = at
        closing = re.compile(rf"^[ \t>]*{re.escape(match['fence'][0])}{{{len(match['fence'])},}}[ \t]*$")
        while at < len(lines) and not closing.match(lines[at].rstrip("\r\n")):
            at += 1
        while match["directive"] and first < at and _OPTION.match(lines[first]):
            first += 1
        prompted = list(_sessions(lines, first, at))
        if prompted:
            yield from prompted
        elif match["info"].lower() in _PYTHON and at > first:
            yield _block(lines, first, at, match["indent"])
        at += 1


def _rst(lines: list[str]) -> Iterator[Block]:
    at = seen = 0
    while at < len(lines):
        match = _DIRECTIVE.match(lines[at].rstrip("\r\n"))
        at += 1
        if match is None or (match["info"] and match["info"].lower() not in _PYTHON):
            continue
        while at < len(lines) and (not lines[at].strip() or re.match(r"\s+:[\w-]+:", lines[at])):
            at += 1
        first = at
        margin = _margin(lines[at]) if at < len(lines) else ""
        while at < len(lines) and (not lines[at].strip() or lines[at].startswith(margin)):
            at += 1
        last = at
        while last > first and not lines[last - 1].strip():
            last -= 1
        if last > first and len(margin) > len(match["indent"]) and not _PROMPT.match(lines[first]):
            yield from _sessions(lines, seen, first)
            yield _block(lines, first, last, margin)
            seen = last
    yield from _sessions(lines, seen, len(lines))


def sessions(lines: list[str]) -> list[Block]:
    """The interactive sessions in lines of text."""
    return list(_sessions(lines, 0, len(lines)))


def _sessions(lines: list[str], first: int, last: int) -> Iterator[Block]:
    """The runs of lines with prompts; what is printed between them belongs to none."""
    at = first
    while at < last:
        start = at
        found = [_PROMPT.match(lines[at].rstrip("\r\n"))]
        while found[-1] is not None:
            at += 1
            found.append(_PROMPT.match(lines[at].rstrip("\r\n")) if at < last else None)
        at = max(at, start + 1)
        prompts = tuple(match[0] for match in found if match is not None)
        if prompts and ">>>" in prompts[0]:
            bare = [lines[start + n].rstrip("\r\n")[len(p) :] for n, p in enumerate(prompts)]
            code = "\n".join(bare)
            yield Block(start, start + len(prompts), prompts[0], code, _error(code), prompts)


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _block(lines: list[str], first: int, last: int, indent: str) -> Block:
    """The code of these lines without what they are indented or quoted by."""
    bare = [line.rstrip("\r\n") for line in lines[first:last]]
    prefix = indent if all(line.startswith(indent) or not line.strip(" \t>") for line in bare) else ""
    code = "\n".join(line[len(prefix) :] if line.startswith(prefix) else "" for line in bare)
    if not prefix:
        inner = textwrap.dedent(code)
        prefix = _margin(bare[0]) if inner != code else ""
        code = inner
    return Block(first, last, prefix, code, _error(code))


def _error(code: str) -> str:
    """Why code does not parse; "" when it does."""
    try:
        ast.parse(code)
    except SyntaxError as error:
        return error.msg
    except (ValueError, RecursionError, MemoryError):
        return "the parser gave up"
    return ""
