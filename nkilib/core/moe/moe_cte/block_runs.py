"""What the block-wise kernels do around their blocks: outputs of zeros, sums of cores' outputs, loops."""

import nki.isa as nisa
import nki.language as nl

from ....blocks.lnc import Cores, barrier, cores, split
from ....blocks.memory import PARTITIONS, scratch
from ....blocks.tiles import as_view
from ...utils.allocator import SbufManager
from ...utils.tensor_view import TensorView
from ..experts import inner_size
from .block_process import process_block
from .block_task import Share, Task


def fill_with_zeros(rows: TensorView, first: int, count: int, sbm: SbufManager) -> None:
    """Zero rows ``first`` to ``first + count - 1`` of HBM ``[R, F]``, the last tile of 128 perhaps ragged."""
    if count == 0:
        return
    work = scratch(sbm, name="zeros")
    zeros = work.tile((min(count, PARTITIONS), rows.shape[1]), rows.dtype)
    nisa.memset(dst=zeros, value=0.0)
    for start in range(first, first + count, PARTITIONS):
        size = min(PARTITIONS, first + count - start)
        nisa.dma_copy(dst=rows.slice(0, start, start + size).get_view(), src=zeros[0:size, :])
    work.close()


def add_up(total: TensorView, other: TensorView, here: Cores, sbm: SbufManager) -> None:
    """``total += other``, then ``other = 0``, HBM ``[R, H]`` each; each core does its share of the rows."""
    first, count = split(total.shape[0], here, PARTITIONS)
    work = scratch(sbm, name="add_up", places=2)
    for start in range(first, first + count, PARTITIONS):
        end = min(start + PARTITIONS, first + count)
        left = work.tile((end - start, total.shape[1]), total.dtype)
        right = work.tile((end - start, total.shape[1]), total.dtype)
        nisa.dma_copy(dst=left, src=total.slice(0, start, end).get_view())
        nisa.dma_copy(dst=right, src=other.slice(0, start, end).get_view())
        nisa.tensor_tensor(dst=left, data1=left, data2=right, op=nl.add)
        nisa.dma_copy(dst=total.slice(0, start, end).get_view(), src=left)
        work.turn()
    work.close()
    fill_with_zeros(other, first, count, sbm)


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
        process_block(task, share, number, sbm)
        barrier(task.output, here)
    return share
