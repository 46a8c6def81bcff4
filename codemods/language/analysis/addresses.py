"""Where tiles lie that ``ncc.sbuf.mod_alloc`` and ``ncc.psum.mod_alloc`` place: blocks take turns in places.

The new language has ``nl.ndarray(..., address=(partition, byte))``; a bank of PSUM has 2048 bytes in each
partition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...record import record
from .facts import Facts
from .refusal import Refused
from .symbols import ZERO, Sym
from .values import Shape

BANK = 2048
"""Bytes of a bank of PSUM in each partition."""


@record
class Modular:
    """The arguments of ``mod_alloc``, those of SBUF with a bank of 0.

    Attributes:
        bank, partition, byte: where the first place is.
        bank_tiles, par_tiles, free_tiles: for each block dimension how many places there are, in banks,
            partitions and bytes; empty for one.
    """

    byte: Sym = ZERO
    bank: Sym = ZERO
    partition: Sym = ZERO
    bank_tiles: Shape = ()
    par_tiles: Shape = ()
    free_tiles: Shape = ()

    def address(self, block: Sequence[Sym], rows: Sym, size: Sym, facts: Facts) -> tuple[Sym, Sym]:
        """Partition and byte of a block of ``rows`` partitions and ``size`` bytes in each.

        ``block`` are its indexes in the dimensions in front of the partitions. Raises Refused when there are
        numbers of places for other dimensions.
        """
        partition = self.partition + _turn(block, self.par_tiles, facts) * rows
        bank = self.bank + _turn(block, self.bank_tiles, facts)
        return partition, bank * BANK + self.byte + _turn(block, self.free_tiles, facts) * size


@record
class Chosen:
    """The function that ``alloc`` is given: for a block's indexes, its partitions and its bytes in each, what
    it gives (bank, for PSUM,) partition and byte.
    """

    place: Callable[[Sequence[Sym], Sym, Sym], tuple[Sym, ...]]

    def address(self, block: Sequence[Sym], rows: Sym, size: Sym, facts: Facts) -> tuple[Sym, Sym]:
        """See :meth:`Modular.address`."""
        del facts
        *bank, partition, byte = self.place(block, rows, size)
        return partition, bank[0] * BANK + byte if bank else byte


@record
class Listed:
    """Places of few blocks without a rule: ``bytes`` is code for nested lists of them."""

    partition: Sym
    bytes: str

    def address(self, block: Sequence[Sym], rows: Sym, size: Sym, facts: Facts) -> tuple[Sym, Sym]:
        """See :meth:`Modular.address`."""
        del rows, size, facts
        return self.partition, Sym.atom(self.bytes + "".join(f"[{index.text}]" for index in block))


Place = Modular | Chosen | Listed


def _turn(block: Sequence[Sym], places: Shape, facts: Facts) -> Sym:
    """Which of the places a block has its turn in, counted row by row."""
    if not block or not places:
        return ZERO
    if len(places) != len(block):
        raise Refused("M-ALLOC", reason=f"{len(places)} numbers of places for {len(block)} block dimensions")
    found = ZERO
    for index, count in zip(block, places, strict=True):
        if count.value == 1:
            continue
        own = facts.holds_at_most(0, index) and facts.holds_below(index, count)
        found = found * count + (index if own else index % count)
    return found
