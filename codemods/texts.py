"""Files that are not Python: configuration and packaging text.

Text is handled as bytes, so that any encoding that extends ASCII comes back as it was. What a name in it
means is told from what stands around it: a dotted path, a folder of a checkout, a URL, or a bare word.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from . import dotted
from .edit.refusal import EditRefused
from .edit.splices import Splice, ordered, splice
from .folders import folder_step, is_upstream, pinned, url_step
from .model import Edit, Finding, Outcome, ReplaceText, Span
from .patterns import pattern
from .release import Release
from .source import Source

CODE = "NKM110"
_NO_COMMENTS = (".json",)
_IMPORT_NAMES = pattern(r"known[_-](first|third)[_-]party|\[mypy-|--cov\b|known[_-]local")
_SPELLED = pattern(r"(?<![\w./-])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*[.:][A-Za-z_]\w*", re.ASCII)
_COMMENT = pattern(r"(?:^|(?<=\s))#|^\s*;")
_LONGEST = 1000
_REPORT = pattern(
    rb"""\{"version":\ \d+,\ "findings":\ \[\n
    | \{\s+"schema_version":\ \d+,\s+"version":\ "[^"]*",\s+"releases":
    | \[\s+\{\s+"description":\ "NK[LM]\d
    | \{\s+"\$schema":\ "[^"]*",\s+"version":\ "[^"]*",
        \s+"runs":\ \[\s+\{\s+"tool":\ \{\s+"driver":\ \{\s+"name":\ "nkimigrate\"""",
    re.VERBOSE,
)
"""How a baseline, and what ``--output-format`` json, gitlab and sarif write, begin."""
_WORD = pattern(r"[^\s\"'`,;=\[\]{}()<>|]+")


def analyse_text(data: bytes, path: str, release: Release) -> Iterable[Finding]:
    """The affected places of a file that is not Python. Reports and baselines quote names of other files."""
    return () if _REPORT.match(data) else list(_TextFile(data, path, release).findings())


def edit_text(data: bytes, edits: Iterable[Edit]) -> bytes:
    """The file with all :class:`ReplaceText` carried out; every other byte stays.

    Raises:
        EditRefused: an edit of another kind, two that overlap, or one whose ``old`` is not what stands there.
    """
    return splice(data, (0, len(data)), ordered(_checked(data, edit) for edit in dict.fromkeys(edits)))


def _checked(data: bytes, edit: Edit) -> Splice:
    if not isinstance(edit, ReplaceText):
        raise EditRefused(edit, "the file is not Python")
    start, end = edit.span
    if data[start:end] != edit.old.encode():
        raise EditRefused(edit, f"the text there is {data[start:end]!r}, not {edit.old!r}")
    return Splice(edit.span, edit.new.encode(), edit)


def named_paths(data: bytes) -> frozenset[str]:
    """The dotted paths that a text spells, a colon before the last part counting as a dot."""
    return frozenset(match[0].replace(":", ".") for match in _SPELLED.finditer(data.decode("latin-1")))


class _TextFile:
    """One file under analysis; ``text`` has one character for each byte: offsets are those of bytes."""

    def __init__(self, data: bytes, path: str, release: Release) -> None:
        self.text = data.decode("latin-1")
        self.path = path
        self.release = release
        self._places = Source(data, "", "latin-1", False, data)
        self._bare_names = _bare_names(release)
        self._comment = -1, 0

    def findings(self) -> Iterator[Finding]:
        urls: set[int] = set()
        for match in _names(self.release, self._bare_names).finditer(self.text):
            if self._in_comment(match.start()):
                continue
            found = self._bare(match) if match["bare"] else self._path(match, urls)
            if found is not None:
                yield found
        yield from self._references(urls)

    # -- what a match is --------------------------------------------------------------------------------

    def _path(self, match: re.Match[str], urls: set[int]) -> Finding | None:
        word = self._word(match.start())
        if "://" in word[1]:
            urls.add(word[0])
            legacy = match["top"] in self.release.gone_tops or pinned(self.release, word[1])
            return self._url(word) if legacy else None
        if {
            self.text[match.start() - 1 : match.start()],
            self.text[match.end("top") : match.end("top") + 1],
        } & {"/", "\\"}:
            return self._folder(match, word)
        return self._dotted(match)

    def _dotted(self, match: re.Match[str]) -> Finding | None:
        old = match["path"]
        if old == match["top"]:
            return self._top(match) if old in self.release.gone_tops else None
        found = dotted.resolve(self.release, old)
        if found is None:
            return None
        if not found.new:
            return self._needs_you(match.span("path"), f"`{old}` has no successor", found.step)
        return self._replace(match.span("path"), found.new)

    def _top(self, match: re.Match[str]) -> Finding | None:
        """A legacy top-level package alone: the name of an import, or of anything else."""
        pattern = self.text[match.end() : match.end() + 2] == ".*"
        if pattern or _IMPORT_NAMES.search(self._logical_line(match.start())):
            return self._replace(match.span("path"), self.release.root)
        step = (
            f"Write `{self.release.root}` if it names the import, the folder's new name if it names a folder."
        )
        return self._needs_you(match.span("path"), f"`{match['path']}` is gone", step)

    def _folder(self, match: re.Match[str], word: tuple[int, str]) -> Finding | None:
        top = match["top"]
        new = self.release.folders.get(top)
        if new is None:
            return None
        if is_upstream(word[1], match.start() - word[0]):
            return self._replace(match.span("top"), new)
        message = f"the folder `{top}` has another name now"
        return self._needs_you(match.span("top"), message, folder_step(self.release))

    def _bare(self, match: re.Match[str]) -> Finding:
        name = match["bare"]
        new = self._bare_names[name]
        step = (
            f"Write `{new}` if this is the name in {self.release.product}; leave it if it is one of your own."
        )
        return self._needs_you(match.span("bare"), f"`{name}` is `{new}` now", step)

    def _references(self, seen: set[int]) -> Iterator[Finding]:
        """URLs of the product's repository at the old release."""
        if not self.release.repository:
            return
        for match in re.finditer(re.escape(self.release.repository), self.text):
            word = self._word(match.start())
            if word[0] not in seen and pinned(self.release, word[1]) and not self._in_comment(match.start()):
                seen.add(word[0])
                yield self._url(word)

    def _url(self, word: tuple[int, str]) -> Finding:
        release = self.release
        span = (word[0], word[0] + len(word[1]))
        return self._needs_you(span, f"`{word[1]}` refers to {release.old}", url_step(release))

    # -- what stands around -----------------------------------------------------------------------------

    def _beside(self, span: Span) -> set[str]:
        """The characters on both sides."""
        return {self.text[max(span[0] - 1, 0) : span[0]], self.text[span[1] : span[1] + 1]}

    def _word(self, offset: int) -> tuple[int, str]:
        """Where the unbroken run of characters around an offset starts, and the run."""
        before = self.text[max(0, offset - _LONGEST) : offset]
        start = offset - len(before.rsplit(None, 1)[-1]) if before and not before[-1].isspace() else offset
        match = next(m for m in _WORD.finditer(self.text, start) if m.end() > offset)
        return match.start(), match[0]

    def _line_start(self, offset: int) -> int:
        starts = self._places.line_starts
        return starts[bisect_right(starts, offset) - 1]

    def _line_end(self, start: int) -> int:
        starts = self._places.line_starts
        behind = bisect_right(starts, start)
        return starts[behind] if behind < len(starts) else len(self.text)

    def _logical_line(self, offset: int) -> str:
        """The line up to an offset, and what an open bracket or indentation joins to it from above."""
        start = self._line_start(offset)
        head = self.text[start:offset]
        opened = self.text.rfind("[", max(0, offset - 2000), offset)
        if opened > self.text.rfind("]", max(0, offset - 2000), offset):
            return self.text[self._line_start(opened) : offset]
        if head[:1].isspace() and start:
            above = re.findall(r"^[^\s#][^\r\n]*", self.text[max(0, start - 2000) : start], re.MULTILINE)
            return above[-1] + head if above else head
        return head

    def _in_comment(self, offset: int) -> bool:
        if self.path.endswith(_NO_COMMENTS):
            return False
        start = self._line_start(offset)
        if start != self._comment[0]:  # matches come line by line
            self._comment = start, self._comment_start(start)
        return offset > self._comment[1]

    def _comment_start(self, start: int) -> int:
        """Where a line has its comment; behind everything when it has none."""
        quotes, at = [0, 0], start
        for match in _COMMENT.finditer(self.text[start : self._line_end(start)]):
            for kind, quote in enumerate("\"'"):
                quotes[kind] += self.text.count(quote, at, start + match.start())
            at = start + match.start()
            if not any(count % 2 for count in quotes):
                return start + match.end() - 1
        return len(self.text)

    # -- what is reported -------------------------------------------------------------------------------

    def _replace(self, span: Span, new: str) -> Finding:
        old = self.text[slice(*span)]
        return self._finding(
            span, Outcome.REWRITTEN, f"`{old}` is `{new}` now", "", (ReplaceText(span, old, new),)
        )

    def _needs_you(self, span: Span, message: str, step: str) -> Finding:
        return self._finding(span, Outcome.NEEDS_YOU, message, step, ())

    def _finding(
        self, span: Span, outcome: Outcome, message: str, step: str, edits: tuple[Edit, ...]
    ) -> Finding:
        start, end = self._places.position(span[0]), self._places.position(span[1])
        return Finding(CODE, self.path, *start, *end, outcome, message, step, edits)


def _names(release: Release, bare_names: Iterable[str]) -> re.Pattern[str]:
    """Paths that start at one of the library's roots, and renamed names that stand alone as a value."""
    tops = "|".join(sorted({release.root, *release.legacy_tops}, key=len, reverse=True))
    bare = "|".join(sorted(map(re.escape, bare_names), key=len, reverse=True)) or r"(?!)"
    before = r"(?<![\w.])(?:(?<!-)|(?<=\[mypy-))"
    path = rf"(?P<path>(?P<top>{tops})(?![\w-])(?:\.\w+)*(?::[A-Za-z_]\w*(?:\.\w+)*)?)"
    alone = rf"(?<=[\s\"'=\[,])(?<![\r\n])(?P<bare>{bare})(?=[\s\"'\],]|\Z)(?!\s*[=:])"
    return re.compile(f"{before}{path}|{alone}", re.ASCII)


def _bare_names(release: Release) -> dict[str, str]:
    """Last parts of renamed symbols, old → new, that are nobody's name any more."""
    pairs = {old.rpartition(".")[2]: new.rpartition(".")[2] for old, new in release.new_symbol.items()}
    return {
        old: new for old, new in pairs.items() if old != new and len(old) > 4 and old not in pairs.values()
    }
