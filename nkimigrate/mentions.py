"""Which files may use what other modules export, told from their bytes alone.

A file without a marker is parsed only when it spells an exported name, as a whole word, and the module it
comes from: by the last part of the module's name, or as a relative import that leaves it out. A class that
holds what is exported counts as a name of its module, and for packages, which may offer it under another
name, the module as one of its package. A module that is loaded by a string may be asked for any name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from itertools import groupby

from .codemods.patterns import pattern

# No word boundary in front: patterns that begin with a literal are searched ten times as fast.
_RELATIVE = pattern(rb"from\s*\.+\s*import\b")
_LOADS = (b"import_module", b"importorskip", b"__import__", b"sys.modules")
_STAR = pattern(rb"import\s*(?:\\\s*)?\*")


_IMPORT = pattern(rb"^[ \t]*(?:from|import)\b(?!\s+neuronxcc\b)([^\n#]*)", re.MULTILINE)
_WORD = pattern(rb"\w+")
_DEEP = 40
"""How far groups are nested: compiling a pattern takes some frames for each."""


def any_of(words: Iterable[bytes], depth: int = 0) -> bytes:
    """A pattern that finds something where one of the words, which are sorted, stands.

    Each beginning that words share is in it once: thousands of words are searched faster, and compiled in
    less memory. A word that another one begins with is enough for both.
    """
    if depth == _DEEP:
        return b"|".join(map(re.escape, words))
    found = []
    for _, alike in groupby(words, key=lambda word: word[:1]):
        group = list(alike)
        start = _shared(group[0], group[-1])
        rest = b"" if start == group[0] else any_of([word[len(start) :] for word in group], depth + 1)
        found.append(re.escape(start) + (b"(?:" + rest + b")" if rest else b""))
    return b"|".join(found)


def _shared(one: bytes, other: bytes) -> bytes:
    """What both begin with."""
    differing = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return one[: next(differing, min(len(one), len(other)))]


class Mentions:
    """Looks for exported qualified names in the bytes of files."""

    def __init__(self, exported: Iterable[str]) -> None:
        self._modules: dict[bytes, set[bytes]] = {}
        self._packages: dict[bytes, set[bytes]] = {}
        for qualified in exported:
            module, _, name = qualified.rpartition(".")
            _add(self._modules, module, name)
            while (last := module.rpartition(".")[2])[:1].isupper():
                module = module.removesuffix(last).rstrip(".")
                _add(self._modules, module, last)
            if "." not in module:
                _add(self._packages, module, module)
            while module:
                module, _, name = module.rpartition(".")
                _add(self._packages, module, name)
        for tail, names in self._modules.items():
            self._packages.setdefault(tail, set()).update(names)
        self._tails = [re.compile(any_of(sorted(found))) for found in (self._modules, self._packages)]
        self._quoted = re.compile(rb"(?:" + any_of(sorted(filter(None, self._modules))) + rb")\w*['\"]")
        self._names = [frozenset().union(*found.values()) for found in (self._modules, self._packages)]

    def within(self, data: bytes, package: bool = False) -> bool:
        """Whether the text may import, or name in a string, anything exported; ``package``: it is of one."""
        modules = self._packages if package else self._modules
        if not modules:
            return False
        star = _STAR.search(data) is not None
        if self._tails[package].search(data) and (
            any(tail in data and (star or _has_word(data, names)) for tail, names in modules.items())
            or self._loaded(data)
        ):
            return True
        return _RELATIVE.search(data) is not None and (star or _has_word(data, self._names[package]))

    def _loaded(self, data: bytes) -> bool:
        """Whether a string may name a module of these to load it by."""
        return any(load in data for load in _LOADS) and any(
            not _in_word(data[match.start() - 1 : match.start()]) for match in self._quoted.finditer(data)
        )


def in_imports(data: bytes) -> set[bytes]:
    """The words in lines that seem to import from anything but the compiler."""
    return {word for line in _IMPORT.findall(data) for word in _WORD.findall(line)}


def _add(found: dict[bytes, set[bytes]], module: str, name: str) -> None:
    """A name under the last part of its module's."""
    if module:
        found.setdefault(os.fsencode(module.rpartition(".")[2]), set()).add(os.fsencode(name))


def _has_word(data: bytes, words: Iterable[bytes]) -> bool:
    return any(word in data and _stands_alone(data, word) for word in words)


def _stands_alone(data: bytes, word: bytes) -> bool:
    """Whether ``word`` occurs other than as a part of a longer word."""
    at = data.find(word)
    while at >= 0:
        end = at + len(word)
        if not _in_word(data[at - 1 : at]) and not _in_word(data[end : end + 1]):
            return True
        at = data.find(word, at + 1)
    return False


def _in_word(byte: bytes) -> bool:
    return byte.isalnum() or byte == b"_"
