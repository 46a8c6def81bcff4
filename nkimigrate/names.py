"""Many texts, such as the paths of a run, in little memory."""

from __future__ import annotations

TYPE_CHECKING = False  # typing stays unloaded on the path of a tree without a hit
if TYPE_CHECKING:
    from collections.abc import Iterator


class Names:
    """Texts without NUL characters, such as paths, at a byte for each character.

    They are unpacked a thousand at a time: best read in order.
    """

    _TOGETHER = 1024

    def __init__(self) -> None:
        self._packed: list[bytes] = []
        self._last: list[str] = []
        self._unpacked: tuple[int, list[str]] = (-1, [])

    def append(self, name: str) -> None:
        """Add a text at the end."""
        self._last.append(name)
        if len(self._last) == self._TOGETHER:
            self._packed.append("\0".join(self._last).encode("utf-8", "surrogatepass"))
            self._last = []

    def __len__(self) -> int:
        return len(self._packed) * self._TOGETHER + len(self._last)

    def __getitem__(self, index: int) -> str:
        block, at = divmod(index, self._TOGETHER)
        if block != self._unpacked[0]:
            if block == len(self._packed):
                return self._last[at]
            self._unpacked = block, self._block(block)
        return self._unpacked[1][at]

    def __iter__(self) -> Iterator[str]:
        return self.between(0, len(self))

    def between(self, start: int, stop: int) -> Iterator[str]:
        """The texts of some numbers in a row, unpacked for nobody else."""
        while start < stop:
            block, at = divmod(start, self._TOGETHER)
            whole = self._last if block == len(self._packed) else self._block(block)
            yield from whole[at : at + stop - start]
            start += len(whole) - at

    def _block(self, number: int) -> list[str]:
        return self._packed[number].decode("utf-8", "surrogatepass").split("\0")

    def in_order(self) -> Iterator[int]:
        """The numbers in the order of their texts. They are found in order already, but for a few runs."""
        if len(runs := list(self._runs())) == 1:
            return iter(range(*runs[0]))
        from heapq import merge

        sorted_runs = (zip(self.between(*run), range(*run), strict=True) for run in runs)
        return (number for _, number in merge(*sorted_runs))

    def _runs(self) -> Iterator[tuple[int, int]]:
        """From where to where the texts rise."""
        start, before = 0, ""
        for number, name in enumerate(self):
            if name < before:
                yield start, number
                start = number
            before = name
        if len(self):
            yield start, len(self)
