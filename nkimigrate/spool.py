"""What is needed later, out of memory: beyond a few megabytes it lies in a file that has no name."""

from __future__ import annotations

import os
from array import array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, Generic, TypeVar

    Item = TypeVar("Item")
else:

    class Generic:
        """Stands in for that of typing, which takes longer to load than a file to check."""

        def __class_getitem__(cls, _):
            return cls


LIMIT = 4 << 20
"""Bytes that are held in memory before anything goes to the disk."""


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

    def write(self, item: object, size: int) -> tuple[int, int] | None:
        """Put a value that is about ``size`` bytes into the file: where it lies, and how long it is there.

        None: there is memory for it, or no room on the disk.
        """
        if size <= self._free:
            self._free -= size
            return None
        import pickle

        data = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
        try:
            return self._append(data), len(data)
        except OSError:
            return None

    def read(self, at: int, size: int) -> Any:
        """The value whose pickled form lies there. Raises OSError when the disk fails."""
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

    def _append(self, data: bytes) -> int:
        if self._file is None:
            import tempfile

            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # ends with the spool
        rest, at = memoryview(data), self._end
        while rest:
            written = os.pwrite(self._file.fileno(), rest, at + len(data) - len(rest))
            rest = rest[written:]
        self._end += len(data)
        return at


class Column(Generic["Item"]):
    """A value for each number: in memory, or 12 bytes that say where the spool has it.

    Args:
        nothing: the value of a number that was given none.
    """

    def __init__(self, spool: Spool, nothing: Item) -> None:
        self._spool = spool
        self._nothing = nothing
        self._held: dict[int, Item] = {}
        self._at = array("q")
        self._size = array("I")

    def put(self, number: int, item: Item, size: int) -> None:
        """Take the value, of about ``size`` bytes, of a number."""
        written = self._spool.write(item, size)
        if written is None:
            self._held[number] = item
            return
        self._held.pop(number, None)
        missing = number + 1 - len(self._at)
        if missing > 0:
            self._at.extend([0] * missing)
            self._size.extend([0] * missing)
        self._at[number], self._size[number] = written

    def drop(self, number: int) -> None:
        """Forget the value of a number."""
        self._held.pop(number, None)
        if number < len(self._size):
            self._size[number] = 0

    def __getitem__(self, number: int) -> Item:
        """The value of a number. Raises OSError when the disk fails."""
        if number in self._held:
            return self._held[number]
        if number >= len(self._size) or not self._size[number]:
            return self._nothing
        item: Item = self._spool.read(self._at[number], self._size[number])
        return item

    def __contains__(self, number: int) -> bool:
        return number in self._held or (number < len(self._size) and self._size[number] > 0)
