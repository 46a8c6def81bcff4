"""What the block-wise kernels do around their blocks: outputs of zeros, sums of cores' outputs, loops."""

import nki.isa as nisa
import nki.language as nl

from ....blocks.indirect import gather_or_zero
from ....blocks.lnc import Cores, barrier, cores, split
from ....blocks.memory import PARTITIONS, scratch
from ....blocks.tiles import as_view, tile_rows, tiles_of
from ...utils.allocator import SbufManager
from ...utils.tensor_view import TensorView
from ..experts import inner_size
from .block_marks import load_marks
from .block_process import process_block
from .block_task import Share, Task


def fill_with_zeros(rows: TensorView, first: int, count: int, sbm: SbufManager) -> None:
    """Zero rows ``first`` to ``first + count - 1`` of HBM ``[R, F]``, the last tile of 128 perhaps ragged."""
    if count == 0:
        return
    work = scratch(sbm, name="zeros")
    zeros = work.tile((min(count, PARTITIONS), rows.shape[1]), rows.dtype)
    nisa.memset(dst=zeros, value=0.0, engine=nisa.gpsimd_engine)
    for start in range(first, first + count, PARTITIONS):
        size = min(PARTITIONS, first + count - start)
        nisa.dma_copy(dst=rows.slice(0, start, start + size).get_view(), src=zeros[0:size, :])
    work.close()


def add_up(
    task: Task, slots: tuple[TensorView, TensorView], offset: int, here: Cores, sbm: SbufManager
) -> None:
    """``slots[0] = slots[0] + slots[1]``, then ``slots[1] = 0``; each core does its share of the rows.

    slots: the cores' sums, ``[R, H]`` each, of which rows without a mark are not read. offset: elements of
    ``task.output`` from a row of the first to the same row of the second.
    """
    rows, hidden = slots[0].shape
    first, count = split(rows, here, PARTITIONS)
    if count == 0:
        return
    held = scratch(sbm, name="marks")
    marks = []
    for slot in range(2):
        marks.append(load_marks(task.marks, slot * rows + first, count, held))
    work = scratch(sbm, name="add_up", places=2)
    for tile in range(tiles_of(count)):
        start, size = first + tile * PARTITIONS, tile_rows(count, tile)
        parts = []
        for slot in range(2):
            parts.append(work.tile((size, hidden), task.output.dtype))
            numbers = marks[slot][0:size, tile : tile + 1]
            gather_or_zero(parts[slot], task.output, numbers, slot * offset)
        nisa.tensor_tensor(dst=parts[0], data1=parts[0], data2=parts[1], op=nl.add)
        nisa.dma_copy(dst=slots[0].slice(0, start, start + size).get_view(), src=parts[0])
        work.turn()
    work.close()
    held.close()
    fill_with_zeros(slots[1], first, count, sbm)


def process_while(
    task: Task, share: Share, conditions: nl.ndarray, first: int, step: int, shared: bool, sbm: SbufManager
) -> None:
    """Blocks ``first``, ``first + step``, … as long as their conditions are not 0, known when it runs.

    conditions: int32, of which an element behind the last block is 0. shared: both cores do each block, and
    wait for each other.
    """
    work = scratch(sbm, name="process_while")
    number = work.tile((1, 1), nl.int32)
    nisa.memset(dst=number, value=first)
    flag = work.tile((1, 1), nl.int32)
    flags = as_view(conditions.reshape((conditions.shape[0], 1)))
    nisa.dma_copy(dst=flag, src=flags.select(0, first).expand_dim(0).get_view())
    going = nisa.register_alloc(flag)
    while going:
        process_block(task, share, number, sbm)
        if shared:
            barrier(task.output, share.here)
        nisa.tensor_scalar(dst=number, data=number, op0=nl.add, operand0=step)
        nisa.dma_copy(dst=flag, src=flags.select(0, number).expand_dim(0).get_view())
        nisa.register_load(dst=going, src=flag)
    work.close()


def run_shared(task: Task, count: int, unit: int, sbm: SbufManager) -> Share:
    """Fill ``[R, H]`` with zeros, then blocks 0 to ``count - 1``; the cores divide I in units of ``unit``.

    Each core delivers half of a block's tokens; the next block waits for both. Returns the share, for more.
    """
    here = cores()
    rows, hidden = task.hidden.shape
    share = Share(
        here=here,
        hidden=(0, hidden),
        inner=split(inner_size(task.experts), here, unit),
        sums_down=True,
    )
    first, size = split(rows, here)
    fill_with_zeros(as_view(task.output), first, size, sbm)
    barrier(task.output, here)
    for number in range(count):
        process_block(task, share, number, sbm, first_one=number == 0)
        barrier(task.output, here)
    return share
