"""The one or two physical cores of a launch: shares of the work, and exchange of SBUF tiles."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ..core.utils.allocator import SbufManager
from ..core.utils.kernel_assert import kernel_assert
from ..core.utils.kernel_helpers import get_verified_program_sharding_info
from .memory import scratch
from .tiles import as_tile, as_view


class Cores(nl.NKIObject):
    """How many cores run the program together, and which of them runs this copy of it."""

    count: int = 1
    index: int = 0


def cores(alone: bool = False) -> Cores:
    """The cores of the launch: (1, 0) without a grid, and for ``alone``, when each core works for itself."""
    _, count, index = get_verified_program_sharding_info()
    if alone or count < 2:
        return Cores(count=1, index=0)
    return Cores(count=count, index=index)


def split(length: int, cores: Cores, unit: int = 1) -> tuple[int, int]:
    """``(start, size)`` of this core's share of ``length``.

    Shares are contiguous, in the order of the cores, of ``unit·⌊length / unit / count⌋``; the last core takes
    what remains.
    """
    share = length // unit // cores.count * unit
    start = cores.index * share
    if cores.index == cores.count - 1:
        return start, length - start
    return start, share


def sharing(tokens: int, cores: Cores, threshold: int) -> Cores:
    """The cores that divide tokens among them: two only beyond the threshold, and when halves are equal.

    With the (1, 0) that it gives otherwise, every core does all tokens, and :func:`gather` does nothing.
    """
    if cores.count == 2 and tokens > threshold and tokens % 2 == 0:
        return cores
    return Cores(count=1, index=0)


def exchange(dst: Any, src: Any, cores: Cores, pipe: int = 0, gpsimd: bool = False) -> None:
    """``dst`` = the other core's ``src``; SBUF tiles of one shape and dtype. Both cores must call it.

    ``gpsimd`` lets the GpSimd Engine move the data: less latency, on tiles that are not large.
    """
    kernel_assert(cores.count == 2, "exchange is between two cores")
    other = 1 - cores.index
    nisa.sendrecv(
        src=as_tile(src),
        dst=as_tile(dst),
        send_to_rank=other,
        recv_from_rank=other,
        pipe_id=pipe,
        use_gpsimd_dma=gpsimd,
    )


def sum_over_cores(
    mine: Any, cores: Cores, sbm: SbufManager, dst: Any = None, pipe: int = 0, gpsimd: bool = False
) -> None:
    """``dst`` = the sum of the cores' ``mine``, the same bits on each; ``dst`` is ``mine`` if omitted.

    Args:
        mine: SBUF ``[P, …]``, usually float32, since the other core's part travels in this dtype.
        dst: SBUF, as many elements, any dtype; the sum is made in float32 and rounded once.

    With one core this is a copy, or nothing without ``dst``.
    """
    into = mine if dst is None else dst
    if cores.count == 1:
        if dst is not None:
            nisa.tensor_copy(dst=as_tile(dst), src=as_tile(mine))
        return
    work = scratch(sbm, name="sum_over_cores")
    theirs = work.tile(tuple(mine.shape), mine.dtype)
    exchange(theirs, mine, cores, pipe, gpsimd)
    nisa.tensor_tensor(dst=as_tile(into), data1=as_tile(mine), data2=theirs, op=nl.add)
    work.close()


def gather(full: Any, dim: int, cores: Cores, pipe: int = 0, gpsimd: bool = False) -> None:
    """Complete a tile whose halves along ``dim`` the two cores have computed; nothing with one core.

    Args:
        full: SBUF tile or view on each core; core c has written the c-th half. dim: a free dimension (≥ 1).
    """
    if cores.count == 1:
        return
    view = as_view(full)
    kernel_assert(view.shape[dim] % 2 == 0, f"gather needs two equal halves, dimension is {view.shape[dim]}")
    half = view.shape[dim] // 2
    mine = view.slice(dim, cores.index * half, (cores.index + 1) * half)
    theirs = view.slice(dim, (1 - cores.index) * half, (2 - cores.index) * half)
    exchange(theirs, mine, cores, pipe, gpsimd)


def barrier(tensor: Any, cores: Cores) -> None:
    """Wait until both cores have written ``tensor`` (shared HBM); nothing with one core."""
    if cores.count == 2:
        nisa.core_barrier(data=tensor, cores=(0, 1))
