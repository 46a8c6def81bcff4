"""SBUF tiles that take turns in a fixed number of buffers, at addresses worked out by hand."""

from typing import Any

import nki.language as nl

from .allocator import align_to as round_up
from .allocator import num_elts, sizeinbytes
from .kernel_assert import kernel_assert


class ModularAllocator(nl.NKIObject):
    """Hands out addresses (bytes in a partition) one after the other; nothing is freed, no end is checked."""

    def __init__(self, initial_address: int = 0) -> None:
        self._current_address = initial_address

    def get_current_address(self) -> int:
        return self._current_address

    def set_current_address(self, address: int) -> None:
        self._current_address = address

    def alloc_sbuf_tensor(
        self,
        shape: tuple[int, ...],
        dtype: Any,
        block_dim: list[int] | None = None,
        num_free_tiles: list[int] | None = None,
        base_partition: int = 0,
        align_to: int | None = None,
    ) -> Any:
        """One tensor, or lists of tensors nested as ``block_dim`` says.

        Args:
            shape: of one tensor; dimension 0 is the partition.
            block_dim: lengths of the lists, outermost first; None or empty for a single tensor.
            num_free_tiles: buffers for each length: index i lies in buffer ``i % num_free_tiles``. None: as
                many as ``block_dim``.
            base_partition: first partition of the tensors.
            align_to: multiple for the first address.

        Raises AssertionError unless ``block_dim`` and ``num_free_tiles`` are equally long.
        """
        lengths = block_dim if block_dim is not None else []
        buffers = num_free_tiles if num_free_tiles is not None else lengths
        kernel_assert(
            len(lengths) == len(buffers),
            f"block_dim has {len(lengths)} entries and num_free_tiles {len(buffers)}: they must be as many",
        )
        if align_to is not None:
            self._current_address = round_up(self._current_address, align_to)
        tile = num_elts(shape[1:]) * sizeinbytes(dtype)
        first = (base_partition, self._current_address)
        self._current_address += tile * num_elts(buffers)
        return _tiles(shape, dtype, lengths, buffers, first, tile)


def _tiles(
    shape: tuple[int, ...],
    dtype: Any,
    lengths: list[int],
    buffers: list[int],
    first: tuple[int, int],
    tile: int,
) -> Any:
    """The tensors below one index of the outer lists, whose buffers start at ``first``."""
    if len(lengths) == 0:
        return nl.ndarray(shape, dtype, buffer=nl.sbuf, address=first)
    pitch = tile * num_elts(buffers[1:])
    made = []
    for index in range(lengths[0]):
        address = (first[0], first[1] + index % buffers[0] * pitch)
        made.append(_tiles(shape, dtype, lengths[1:], buffers[1:], address, tile))
    return made
