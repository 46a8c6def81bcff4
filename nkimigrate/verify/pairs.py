"""The functions of the old tree and of the new one that belong together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .. import reading
from .discover import Kernel, SourceFile
from .harness import Called
from .model import Place
from .trees import Tree


class Side:
    """A tree with its files, parsed when asked for."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._data: dict[str, bytes] = {}
        self._parsed: dict[str, SourceFile] = {}

    def data(self, file: str) -> bytes:
        """A file's content; nothing when it cannot be read. ``file``: relative to the root."""
        if file not in self._data:
            try:
                self._data[file] = reading.read(os.path.join(self.tree.root, file))
            except reading.Unreadable:
                self._data[file] = b""
        return self._data[file]

    def source(self, file: str) -> SourceFile:
        """The same, parsed when it is asked for the first time."""
        if file not in self._parsed:
            self._parsed[file] = SourceFile.parsed(self.data(file))
        return self._parsed[file]

    def place(self, file: str, kernel: Kernel, jit: bool) -> Place:
        """Where a function of a file is; ``jit``: whether it is launched as a kernel."""
        language = self.source(file).language_of(kernel.name)
        return Place(self.tree.root, file, kernel.name, language, jit, kernel.target, not kernel.jit)


@dataclass(frozen=True)
class Pair:
    """A function on both sides; ``called``: what harnesses call it with, the best first."""

    key: str
    old_file: str
    new_file: str
    old: Kernel
    new: Kernel
    called: tuple[tuple[str, Called], ...] = ()


def pairs(old: Side, new: Side, left_out: list[tuple[str, str]], named: Iterable[str] = ()) -> Iterator[Pair]:
    """The functions that both sides have.

    Args:
        left_out: gets the files that do not parse and the kernels that only the old side has, each with the
            reason.
        named: functions that are wanted though their file may have no kernel. Only files in which the text of
            one of them, or ``nki``, stands are parsed.
    """
    marks = (b"nki", *(name.encode() for name in named))
    for key, old_file in old.tree.files.items():
        new_file = new.tree.files.get(key)
        if new_file is None or not any(mark in old.data(old_file) for mark in marks):
            continue
        before, after = old.source(old_file), new.source(new_file)
        for which, source, file in (("old", before, old_file), ("new", after, new_file)):
            if source.error and (which == "new" or not after.error):
                left_out.append((file, f"{which}: {source.error}"))
        for name, kernel in before.kernels.items():
            if name in after.kernels:
                yield Pair(key, old_file, new_file, kernel, after.kernels[name])
            elif kernel.jit and not kernel.inner and not after.error:
                left_out.append((f"{old_file}::{name}", "the new file has no such function"))


def is_same(pair: Pair, sides: tuple[Side, Side]) -> bool:
    """Whether the file is the same on both sides."""
    return sides[0].data(pair.old_file) == sides[1].data(pair.new_file)


def compares(pair: Pair) -> bool:
    """Whether it is a kernel that is launched by itself."""
    return (pair.old.jit or pair.new.jit) and not (pair.old.inner and (pair.new.inner or not pair.new.jit))
