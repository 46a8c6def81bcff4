"""Ignore patterns, read and applied as git does (gitignore(5)).

A tree of 10,000 files meets these patterns 10,000 times, and nearly always none of them matches. So the
patterns of one file are first screened together (a set lookup, ``str.endswith``, one joined regular
expression); only a name that passes the screen is held against the patterns one by one, last one first.
Matching is by characters, where git matches by bytes: ``?`` takes a whole ``é`` here.
"""

from __future__ import annotations

from itertools import count

TYPE_CHECKING = False  # importing typing would cost more than 1,000 files do
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable

_WILD = frozenset("*?[\\")
_NEVER = "(?!)"
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": " \\t\\n\\r\\f\\v",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


class Pattern:
    """One line of an ignore file: what it matches, and whether a match ignores or re-includes.

    Attributes:
        negative: a match re-includes (``!`` in front).
        directory: matches folders only (``/`` at the end).
        anchored: held against the path from the ignore file's folder, not against the bare name.
        text: the pattern without those marks.
    """

    __slots__ = ("anchored", "directory", "negative", "regex", "suffix", "text", "wild")

    def __init__(self, line: str) -> None:
        self.negative = line.startswith("!")
        line = line[self.negative :]
        self.directory = line.endswith("/")
        line = line[: len(line) - self.directory]
        self.anchored = "/" in line
        self.text = line.removeprefix("/")
        self.wild = not _WILD.isdisjoint(self.text)
        plain_tail = self.wild and self.text[0] == "*" and _WILD.isdisjoint(self.text[1:])
        self.suffix = self.text[1:] if plain_tail and not self.anchored else None
        self.regex = translate(self.text) if self.wild and self.suffix is None else None

    def matches(self, subject: str) -> bool:
        """Whether the pattern takes ``subject``: the path if ``anchored``, else the name."""
        if self.suffix is not None:
            return subject.endswith(self.suffix)
        if self.regex is None:
            return subject == self.text
        import re

        return re.fullmatch(self.regex, subject, re.DOTALL) is not None


class Patterns:
    """The patterns of one ignore file, in its order; the last one that matches decides."""

    __slots__ = (
        "_name_regex",
        "_names",
        "_path_regex",
        "_paths",
        "_patterns",
        "_suffixes",
        "anchored",
        "any_file",
    )

    def __init__(self, lines: Iterable[str]) -> None:
        self._patterns = [Pattern(text) for line in lines if (text := _significant(line))]
        loose = [p for p in self._patterns if not p.anchored]
        anchored = [p for p in self._patterns if p.anchored]
        self._names = frozenset(p.text for p in loose if not p.wild)
        self._paths = frozenset(p.text for p in anchored if not p.wild)
        self._suffixes = tuple(p.suffix for p in loose if p.suffix is not None)
        self._name_regex = _joined(loose)
        self._path_regex = _joined(anchored)
        self.anchored = bool(anchored)
        self.any_file = any(not p.directory for p in self._patterns)

    def verdict(self, name: str, prefix: str, directory: bool) -> bool | None:
        """True: ignored; False: re-included; None: no pattern matches.

        ``prefix`` is the path from the ignore file's folder to the one that holds ``name``: "" or "a/b/".
        """
        path = prefix + name
        if not self._may_match(name, path):
            return None
        for pattern in reversed(self._patterns):
            if pattern.directory and not directory:
                continue
            if pattern.matches(path if pattern.anchored else name):
                return not pattern.negative
        return None

    def _may_match(self, name: str, path: str) -> bool:
        return (
            name in self._names
            or path in self._paths
            or name.endswith(self._suffixes)
            or (self._name_regex is not None and self._name_regex(name) is not None)
            or (self._path_regex is not None and self._path_regex(path) is not None)
        )


class Rules:
    """All ignore files that govern one folder; the deepest one that has an opinion decides."""

    __slots__ = ("_anchored", "_sources", "any_file")

    def __init__(self, sources: tuple[tuple[Patterns, str], ...] = ()) -> None:
        self._sources = sources  # deepest first, each with the path from its folder to the governed one
        self._anchored = any(patterns.anchored for patterns, _ in sources)
        self.any_file = any(patterns.any_file for patterns, _ in sources)

    def plus(self, patterns: Patterns, prefix: str = "") -> Rules:
        """These rules and, stronger, ``patterns`` from a file ``prefix`` above the governed folder."""
        return Rules(((patterns, prefix), *self._sources))

    def below(self, name: str) -> Rules:
        """The rules as they govern the subfolder ``name``."""
        if not self._anchored:
            return self
        return Rules(tuple((patterns, f"{prefix}{name}/") for patterns, prefix in self._sources))

    def ignore(self, name: str, directory: bool) -> bool:
        """Whether the entry ``name`` of the governed folder is ignored."""
        if not (directory or self.any_file):
            return False
        for patterns, prefix in self._sources:
            verdict = patterns.verdict(name, prefix, directory)
            if verdict is not None:
                return verdict
        return False


def lines_of(data: bytes) -> list[str]:
    """The lines of an ignore file; names that are not UTF-8 survive as ``os.fsdecode`` would have them."""
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    return [line.removesuffix("\r") for line in text.split("\n")]


def _significant(line: str) -> str:
    """The pattern in a line, or "": unescaped trailing spaces go; comments and blanks are no pattern."""
    if line.startswith("#"):
        return ""
    end = len(line.rstrip(" "))
    escapes = end - len(line[:end].rstrip("\\"))
    line = line[: end + 1] if escapes % 2 and end < len(line) else line[:end]
    return "" if line in ("!", "/", "!/") else line


def _joined(patterns: list[Pattern]) -> Callable[[str], re.Match[str] | None] | None:
    regexes = [p.regex for p in patterns if p.regex is not None]
    if not regexes:
        return None
    import re

    return re.compile("|".join(regexes), re.DOTALL).fullmatch


def translate(glob: str) -> str:
    """A regular expression (for ``fullmatch`` with DOTALL) that takes what git's glob ``glob`` takes.

    A malformed glob (an unclosed bracket, a lone backslash at the end) takes nothing, as in git.
    """
    pieces: list[str] = []
    at = 0
    while at < len(glob):
        piece, at = _STEPS.get(glob[at], _literal)(glob, at)
        if piece == _NEVER:
            return _NEVER
        pieces.append(piece)
    return _deep(pieces)


_STAR = "[^/]*"
_DEEP = "(?:.*/)?"
_groups = count()


def _deep(pieces: list[str]) -> str:
    """The pieces in a row. What stands between two ``**/`` is taken where it is found first and never again:
    without that, a pattern with many of them would be tried in more ways than there is time for.
    """
    first, *behind = _split(pieces, _DEEP)
    out = [_part(first)]
    for number, between in enumerate(behind, 1):
        if number < len(behind):
            out.append(_once(f"(?:.*?/)??{_part(between)}"))
        else:
            out.append(_DEEP + _part(between))
    return "".join(out)


def _part(pieces: list[str]) -> str:
    """The same for what stands between two stars in one part of a path."""
    return "/".join(map(_name, _split(pieces, "/")))


def _name(pieces: list[str]) -> str:
    first, *behind = map("".join, _split(pieces, _STAR))
    middle = (_once(f"[^/]*?{text}") for text in behind[:-1])
    return "".join([first, *middle, *(_STAR + text for text in behind[-1:])])


def _once(regex: str) -> str:
    """The first way to match, and no other: an atomic group, which Python has since 3.11."""
    name = f"g{next(_groups)}"  # patterns are joined, and names count once in all of them
    return f"(?=(?P<{name}>{regex}))(?P={name})"


def _split(pieces: list[str], at: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for piece in pieces:
        if piece == at:
            parts.append([])
        else:
            parts[-1].append(piece)
    return parts


def _literal(glob: str, at: int) -> tuple[str, int]:
    import re

    return re.escape(glob[at]), at + 1


def _any_one(glob: str, at: int) -> tuple[str, int]:
    return "[^/]", at + 1


def _escaped(glob: str, at: int) -> tuple[str, int]:
    return (_NEVER, at) if at + 1 == len(glob) else _literal(glob, at + 1)


def _stars(glob: str, at: int) -> tuple[str, int]:
    end = at
    while end < len(glob) and glob[end] == "*":
        end += 1
    whole_part = end - at > 1 and glob[at - 1 : at] in ("", "/") and glob[end : end + 1] in ("", "/")
    if not whole_part:
        return _STAR, end
    return (".*", end) if end == len(glob) else (_DEEP, end + 1)


def _bracket(glob: str, at: int) -> tuple[str, int]:
    """A bracket expression: ``]`` first is a member, ``!`` or ``^`` first negates, ``/`` is never matched."""
    negated = glob[at + 1 : at + 2] in ("!", "^") and glob[at + 1 : at + 2] != ""
    first = at = at + 1 + negated
    members: list[str] = []
    while at < len(glob) and (glob[at] != "]" or at == first):
        piece, at = _member(glob, at)
        if piece is None:
            return _NEVER, at
        members.append(piece)
    if at >= len(glob):
        return _NEVER, at
    inside = "".join(members)
    if negated:
        return f"[^/{inside}]", at + 1
    return (f"(?!/)[{inside}]" if inside else "(?!.)."), at + 1


def _member(glob: str, at: int) -> tuple[str | None, int]:
    """One member of a bracket expression, and where the next one starts; None when it spoils the glob."""
    if glob.startswith("[:", at):
        close = glob.find("]", at + 2)
        if close < 0:
            return None, at
        if close > at + 2 and glob[close - 1] == ":":
            return _CLASSES.get(glob[at + 2 : close - 1]), close + 1
    low, at = _member_char(glob, at)
    if low is None or not (glob.startswith("-", at) and glob[at + 1 : at + 2] not in ("", "]")):
        return _span(low, low), at
    high, at = _member_char(glob, at + 1)
    return _span(low, high), at


def _member_char(glob: str, at: int) -> tuple[str | None, int]:
    at += glob[at] == "\\"
    return (glob[at], at + 1) if at < len(glob) else (None, at)


def _span(low: str | None, high: str | None) -> str | None:
    if low is None or high is None:
        return None
    if low > high:
        return ""
    import re

    return re.escape(low) if low == high else f"{re.escape(low)}-{re.escape(high)}"


_STEPS = {"*": _stars, "?": _any_one, "[": _bracket, "\\": _escaped}
