"""What is needed later, out of memory: beyond a few megabytes it lies in a file that has no name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any, Generic, TypeVar, overload

Item = TypeVar("Item")

LIMIT = 8 << 20
"""Bytes that are held in memory before anything goes to the disk."""


class Kept(Generic[Item]):
    """Something that :meth:`Spool.keep` has taken: in memory, or at a place in the file."""

    __slots__ = ("_at", "_item", "_spool", "size")

    def __init__(self, item: Item | None, size: int, spool: Spool | None = None, at: int = 0) -> None:
        self._item = item
        self.size = size
        self._spool = spool
        self._at = at

    def get(self) -> Item:
        """What was kept. Raises OSError when the disk fails."""
        if self._spool is None:
            return self._item  # type: ignore[return-value]
        item: Item = self._spool.read(self._at, self.size)
        return item


class Spool:
    """Keeps values: the first ones in memory, all others, pickled, in a file that ends with the process.

    Nobody else can name or open the file, so that what is read from it is what was written. A full disk only
    means that memory is used after all.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._free = limit
        self._file: IO[bytes] | None = None
        self._end = 0

    @property
    def spilled(self) -> bool:
        """Whether anything is in the file."""
        return self._file is not None

    def keep(self, item: Item, size: int) -> Kept[Item]:
        """Take a value that is about ``size`` bytes."""
        if size <= self._free:
            self._free -= size
            return Kept(item, size)
        import pickle

        data = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
        try:
            at = self._write(data)
        except OSError:
            return Kept(item, size)
        return Kept(None, len(data), self, at)

    def read(self, at: int, size: int) -> Any:
        """The value whose pickled form lies there."""
        import pickle

        assert self._file is not None
        pieces = bytearray()
        while len(pieces) < size:
            piece = os.pread(self._file.fileno(), size - len(pieces), at + len(pieces))
            if not piece:
                raise OSError("the temporary file has become shorter")
            pieces += piece
        return pickle.loads(pieces)

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def _write(self, data: bytes) -> int:
        if self._file is None:
            import tempfile

            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # ends with the spool
        rest, at = memoryview(data), self._end
        while rest:
            written = os.pwrite(self._file.fileno(), rest, at + len(data) - len(rest))
            rest = rest[written:]
        self._end += len(data)
        return at


class Joined(Sequence[Item]):
    """The items of many files, one file after the other, of which only one is in memory at a time.

    Args:
        files: for each file what was kept of it.
        order: what the items of a file are sorted by.
    """

    def __init__(
        self, files: Iterable[Sequence[Kept[tuple[Item, ...]]]], order: Callable[[Item], Any]
    ) -> None:
        self._files = list(files)
        self._order = order

    def __iter__(self) -> Iterator[Item]:
        for parts in self._files:
            yield from sorted((item for part in parts for item in part.get()), key=self._order)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        return list(self)[index]

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None
