"""On-chip memory: where tiles come from, and how long temporary ones live."""

from typing import Any

import nki.language as nl

from ..core.utils.allocator import SbufManager, create_auto_alloc_manager
from ..core.utils.logging import LogLevel, get_logger
from .arguments import assert_object

PARTITIONS = 128
"""Partitions of SBUF and PSUM; most rows of a tile, most rows and columns of a stationary matmul operand."""

PSUM_COLUMNS = 512
"""float32 elements of a partition in one PSUM bank; most columns of a moving matmul operand."""

PSUM_BANK_BYTES = 2048


class Scratch(nl.NKIObject):
    """Temporary SBUF tiles that end together; made by :func:`scratch`, ended by :meth:`close`."""

    sbm: SbufManager
    on_heap: bool = False
    held: int = 0

    def tile(self, shape: tuple[int, ...], dtype: Any, name: str | None = None) -> nl.ndarray:
        """A new tile ``[partitions ≤ 128, …]``; what it holds is undefined."""
        if self.on_heap:
            self.held = self.held + 1
            return self.sbm.alloc_heap(shape, dtype, name=name)
        return self.sbm.alloc_stack(shape, dtype, name=name)

    def turn(self) -> None:
        """Go on to the other places of a scratch that has several; what lies in them ends."""
        self.sbm.increment_section()

    def close(self) -> None:
        """End the life of the tiles. Scratches close in the reverse order of their opening."""
        if not self.on_heap:
            self.sbm.close_scope()
        for _ in range(self.held):
            self.sbm.pop_heap()
        self.held = 0


def manager(sbm: SbufManager | None = None) -> SbufManager:
    """The caller's manager, or one that leaves addresses to the compiler and reports only problems."""
    if sbm is None:
        return create_auto_alloc_manager(get_logger("SBM", LogLevel.WARN))
    assert_object(sbm, SbufManager, "sbm")
    return sbm


def scratch(sbm: SbufManager, on_heap: bool = False, name: str = "", places: int = 1) -> Scratch:
    """Room for temporary tiles: a scope of the stack, or, with ``on_heap``, the heap side.

    On the stack a loop may alternate between ``places``, with ``turn()`` after each iteration, so that one
    loads while the other is in use.
    """
    if not on_heap:
        sbm.open_scope(interleave_degree=places, name=name)
    return Scratch(sbm=sbm, on_heap=on_heap, held=0)


def psum_tile(shape: tuple[int, ...], dtype: Any = nl.float32, bank: int | None = None) -> nl.ndarray:
    """A PSUM tile ``[partitions ≤ 128, …]``, usually of at most 2048 bytes a partition (512 float32): a bank.

    The first matmul into an element overwrites it, later ones add to it: take a new tile for each sum.
    A matmul stays within one bank; Vector and Scalar Engine also take a tile of several banks at once.
    At most 8 banks are alive at a time. ``bank`` fixes the bank, 0 to 7; without it the compiler places it.
    """
    if bank is None:
        return nl.ndarray(shape, dtype=dtype, buffer=nl.psum)
    return nl.ndarray(shape, dtype=dtype, buffer=nl.psum, address=(0, bank * PSUM_BANK_BYTES))
