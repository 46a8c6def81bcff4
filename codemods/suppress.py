"""Inline suppression: ``# nkimigrate: skip``, ``skip[NKM201, NKM1]`` and ``skip-file``.

A comment silences findings that start on its line or on the first line of the statement part it ends;
a code may be a prefix. Comments are told from strings by the tokenizer, which runs only in files that
contain the marker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .model import Finding
from .patterns import pattern
from .record import fresh, record
from .source import Source

_COMMENT = pattern(r"#\s*nkimigrate:\s*(skip-file|skip)\s*(?:\[([^\]]*)\])?")


@record
class Suppressions:
    """Line → code prefixes silenced there (an empty prefix silences all); ``whole`` silences the file."""

    lines: Mapping[int, tuple[str, ...]] = fresh(factory=dict)
    whole: tuple[str, ...] = ()

    @classmethod
    def read(cls, source: Source) -> Suppressions:
        """What the comments of a file silence."""
        if b"nkimigrate:" not in source.utf8:
            return cls()
        lines: dict[int, tuple[str, ...]] = {}
        whole: tuple[str, ...] = ()
        for line, text in _comments(source.text):
            match = _COMMENT.search(text)
            if match is None:
                continue
            codes = tuple(c.strip().upper() for c in (match[2] or "").split(",") if c.strip()) or ("",)
            if match[1] == "skip-file":
                whole += codes
            else:
                lines[line] = lines.get(line, ()) + codes
        return cls(lines, whole)

    def covers(self, finding: Finding) -> bool:
        """Whether a finding is silenced, for the file or at its first or last line."""
        codes = (*self.whole, *self.lines.get(finding.line, ()), *self.lines.get(finding.end_line, ()))
        return any(finding.code.startswith(code) for code in codes)


def with_comment(data: bytes, finding: Finding) -> bytes | None:
    """The file with a comment that silences a finding, at the finding's last or first line; None if neither
    can take one. No other line, and no column of code, moves.
    """
    for number in (finding.end_line, finding.line):
        lines = data.splitlines(keepends=True)
        body = lines[number - 1].rstrip(b"\r\n")
        end = lines[number - 1][len(body) :]
        lines[number - 1] = _commented(body, finding.code.encode()) + end
        new = b"".join(lines)
        if Suppressions.read(Source.decode(new)).covers(finding):
            return new
    return None


def _commented(line: bytes, code: bytes) -> bytes:
    """A line that has a list of codes gets one more, others a comment."""
    listed = re.search(rb"(#\s*nkimigrate:\s*skip\s*\[[^\]]*)\]", line)
    if listed:
        return line[: listed.end(1)] + b", " + code + line[listed.end(1) :]
    return line + b"  # nkimigrate: skip[" + code + b"]"


def _comments(text: str) -> list[tuple[int, str]]:
    import io
    import tokenize

    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text, newline=None).readline))
    except (tokenize.TokenError, SyntaxError):
        return []
    return [(t.start[0], t.string) for t in tokens if t.type == tokenize.COMMENT]
