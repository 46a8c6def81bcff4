"""What the cores of one launch do together: ``nisa.sendrecv`` and ``nisa.core_barrier``."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core.context import state
from ..core.dtypes import Array, DType
from ..core.errors import SimulationError, fail, location
from ..core.memory import OFF_CHIP, SBUF
from ..core.tensor import Tensor
from .common import instruction, operand
from .constants import engine as engines


class _Parcel(NamedTuple):
    """What one core sends: the elements, and who it is from, for whom, and where in the kernel."""

    values: Array
    dtype: DType
    shape: tuple[int, ...]
    line: str
    sender: int
    receiver: int
    awaits: int


@instruction
def sendrecv(
    src: Any,
    dst: Any,
    send_to_rank: Any,
    recv_from_rank: Any,
    pipe_id: Any,
    name: str | None = None,
    use_gpsimd_dma: bool = False,
    dma_engine: Any = None,
) -> None:
    """Send ``src`` to one core of the launch and receive ``dst`` from one; both sides wait for each other.

    Args:
        src, dst: SBUF, of one shape and type, which are the partner's too.
        send_to_rank, recv_from_rank: cores, 0 or 1. pipe_id: exchanges pair up by it, in order.
        use_gpsimd_dma, dma_engine: change no value.

    Raises SimulationError before gen3, with one core, for another rank, buffer, shape or type (naming both
    cores' lines), and when the partner never comes (a deadlock).
    """
    operand(src, "sendrecv", "src", (SBUF,))
    operand(dst, "sendrecv", "dst", (SBUF,))
    to, sender, pipe = int(send_to_rank), int(recv_from_rank), int(pipe_id)
    core, launch = state.core, state.launch
    _check_exchange(src, dst, to, sender)
    assert core is not None
    line = ":".join(map(str, location()))
    box = launch.mail.setdefault((to, pipe), [])
    box.append(_Parcel(src.read_raw().copy(), src.dtype, _extent(src), line, core.index, to, sender))
    mine = launch.mail.setdefault((core.index, pipe), [])
    launch.wait(core, lambda: bool(mine), f"sendrecv (from core {sender}, pipe {pipe})")
    parcel = mine.pop(0)
    if parcel.sender != sender or (to == sender) != (parcel.awaits == core.index):
        raise _crossed(parcel, core.index, to, sender, line)
    _check_parcel(parcel, dst, core.index, line)
    dst.write(parcel.values)


def _extent(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape) if tensor.partitioned else (1, *tensor.shape)


def _check_exchange(src: Tensor, dst: Tensor, to: int, sender: int) -> None:
    launch = state.launch
    if state.generation < 3:
        raise fail(f"nisa.sendrecv needs gen3 or newer, the target is gen{state.generation}")
    if launch is None:
        raise fail("nisa.sendrecv needs a launch on two cores: kernel[2](...)")
    count = len(launch.cores)
    for rank, what in ((to, "send_to_rank"), (sender, "recv_from_rank")):
        if not 0 <= rank < count:
            raise fail(f"nisa.sendrecv: {what} is {rank}; the launch has cores 0..{count - 1}")
    if src.dtype is not dst.dtype or src.size != dst.size or _extent(src)[0] != _extent(dst)[0]:
        raise fail(f"nisa.sendrecv: src is a {src!r}, dst a {dst!r}; shape and type must be the same")


def _crossed(parcel: _Parcel, core: int, to: int, sender: int, line: str) -> SimulationError:
    return fail(
        f"nisa.sendrecv: the cores do not mean each other. Core {core} sends to {to} and receives from "
        f"{sender} ({line}); core {parcel.sender} sends to {parcel.receiver} and receives from "
        f"{parcel.awaits} ({parcel.line})"
    )


def _check_parcel(parcel: _Parcel, dst: Tensor, core: int, line: str) -> None:
    extent = _extent(dst)
    fits = parcel.shape[0] == extent[0] and parcel.values.size == dst.size
    if parcel.dtype is not dst.dtype or not fits:
        raise fail(
            f"nisa.sendrecv: core {parcel.sender} sends {list(parcel.shape)} {parcel.dtype} ({parcel.line}), "
            f"core {core} receives {list(extent)} {dst.dtype} ({line}); shape and type must be the same"
        )


@instruction
def core_barrier(data: Any, cores: Any, engine: Any = engines.unknown, name: str | None = None) -> None:
    """Wait until all of ``cores`` are here. With one core it does nothing.

    Args:
        data: what the cores wrote; documented as shared HBM, SBUF is taken too, as kernels in use pass it.
        cores: ``(0, 1)``, or the core itself. engine: no effect.

    Raises SimulationError for other cores than the launch's, for another buffer, before gen3 with two cores,
    and when a core never comes (a deadlock).
    """
    core, launch = state.core, state.launch
    group = tuple(sorted({int(rank) for rank in np.atleast_1d(cores)}))
    if launch is None or core is None:
        return
    operand(data, "core_barrier", "data", (*OFF_CHIP, SBUF))
    count = len(launch.cores)
    if not group or core.index not in group or group[-1] >= count or group[0] < 0:
        raise fail(f"nisa.core_barrier: cores are {group}, on core {core.index} of a launch with {count}")
    if state.generation < 3:
        raise fail(f"nisa.core_barrier needs gen3 or newer, the target is gen{state.generation}")
    arrivals = launch.mail.setdefault(("barrier", group), [0] * count)
    arrivals[core.index] += 1
    number = arrivals[core.index]
    launch.wait(
        core, lambda: all(arrivals[rank] >= number for rank in group), f"core_barrier of {list(group)}"
    )
