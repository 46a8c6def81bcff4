"""What of a file's text is still there once all edits are made."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from ...model import Edit, RemoveStatement, ReplaceCode, ReplaceLines, ReplaceStatement, Span, Wrap
from ...record import cached_property

_NAME = re.compile(r"(?<![\w.])[^\W\d]\w*")


class Remains:
    """The parts of a file that edits replace, and what comes in their place."""

    def __init__(self, edits: Iterable[Edit]) -> None:
        found = sorted(_replaced(edits))
        self._spans = [span for span, _ in found]
        self._codes = [code for _, code in found]

    def gone(self, span: Span) -> bool:
        """Whether an edit replaces what stands at ``span``."""
        index = bisect_right(self._spans, (span[0], 1 << 62)) - 1
        nearby = self._spans[max(0, index - 2) : index + 1]
        return any(start <= span[0] and span[1] <= end for start, end in nearby)

    def mentions(self, name: str) -> bool:
        """Whether new code contains a name."""
        return name in self._words

    @cached_property
    def _words(self) -> frozenset[str]:
        """Names in new code, other than those of attributes."""
        return frozenset(word for code in self._codes for word in _NAME.findall(code))


def _replaced(edits: Iterable[Edit]) -> Iterator[tuple[Span, str]]:
    for edit in edits:
        if isinstance(edit, ReplaceLines | ReplaceStatement):
            yield edit.span, edit.code
        elif isinstance(edit, ReplaceCode):
            yield edit.span, edit.new
        elif isinstance(edit, RemoveStatement):
            yield edit.span, ""
        elif isinstance(edit, Wrap):
            kept = "{" in edit.template
            yield (edit.span[0], edit.span[0]) if kept else edit.span, edit.template
