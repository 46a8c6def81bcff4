"""Marks of the rows of an output that hold sums, so that it need not be filled with zeros before them.

marks   HBM int32 [cores · R, 1], of core c from row c·R: r where the core has delivered row r, else -1

What is gathered by a mark is a number for :func:`~...blocks.indirect.gather_or_zero`.
"""

import nki.isa as nisa
import nki.language as nl

from ....blocks.indirect import gather_rows, scatter_rows
from ....blocks.lnc import Cores
from ....blocks.memory import PARTITIONS, Scratch, scratch
from ....blocks.tiles import as_view, load_column, tiles_of
from ...utils.allocator import SbufManager

NONE = -1


def unmarked(rows: int, here: Cores, sbm: SbufManager) -> nl.ndarray:
    """Marks of ``rows`` rows for each core; those of this core are set to none."""
    marks = nl.ndarray((here.count * rows, 1), dtype=nl.int32, buffer=nl.shared_hbm)
    work = scratch(sbm, name="unmarked")
    none = work.tile((1, rows), nl.int32)
    nisa.memset(dst=none, value=NONE)
    start = here.index * rows
    nisa.dma_copy(dst=as_view(marks).slice(0, start, start + rows).permute((1, 0)).get_view(), src=none)
    work.close()
    return marks


def take_marks(marks: nl.ndarray, ids: nl.ndarray, start: int, work: Scratch) -> nl.ndarray:
    """Marks of rows ``ids``, int32 ``[128, J]``, in a tile of ``work``; those of padding are none.

    ``start``: this core's first row of the marks.
    """
    taken = work.tile(tuple(ids.shape), nl.int32)
    nisa.memset(dst=taken, value=NONE)
    for tile in range(ids.shape[1]):
        gather_rows(taken[:, tile : tile + 1], marks, ids[:, tile : tile + 1], start, skip=True)
    return taken


def set_marks(marks: nl.ndarray, ids: nl.ndarray, start: int) -> None:
    """Mark rows ``ids``, int32 ``[128, J]``; padding is not marked."""
    for tile in range(ids.shape[1]):
        own = ids[:, tile : tile + 1]
        scatter_rows(marks, own, own, start, skip=True)


def load_marks(marks: nl.ndarray, first: int, count: int, work: Scratch) -> nl.ndarray:
    """Rows ``first`` to ``first + count - 1`` of the marks; that of ``first + 128 i + p`` at (p, i)."""
    loaded = work.tile((PARTITIONS, tiles_of(count)), nl.int32)
    load_column(loaded, as_view(marks).slice(0, first, first + count).permute((1, 0)))
    return loaded
