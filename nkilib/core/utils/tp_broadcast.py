"""A column of a tile, as a row on many partitions."""

import nki.isa as nisa
import nki.language as nl

from .allocator import num_elts
from .kernel_assert import kernel_assert


def tp_broadcast(
    src: nl.ndarray, dst: nl.ndarray, src_offset: int, psum_address: tuple[int, int] | None = None
) -> None:
    """``dst[b, p] = src[p, src_offset]`` for every partition b of ``dst``; exact between equal types.

    TensorE transposes the column, read once for each partition of ``dst``, and the result is copied.

    Args:
        src: SBUF ``[P ≤ 128, F]``, a whole tensor, no slice.
        dst: SBUF ``[B ≤ 128, P]``; may have another type.
        src_offset: the column.
        psum_address: partition and byte of a PSUM tile ``[B, P]``; None leaves it to the compiler.

    Raises AssertionError unless ``dst.shape[1] == src.shape[0]``.
    """
    copies, length = dst.shape
    kernel_assert(
        length == src.shape[0],
        f"tp_broadcast: dst {dst.shape} must have an element for each partition of src {src.shape}",
    )
    repeated = src.ap(pattern=[[num_elts(src.shape[1:]), length], [0, copies]], offset=src_offset)
    if psum_address is None:
        between = nl.ndarray((copies, length), dtype=src.dtype, buffer=nl.psum)
    else:
        between = nl.ndarray((copies, length), dtype=src.dtype, buffer=nl.psum, address=psum_address)
    nisa.nc_transpose(dst=between, data=repeated, engine=nisa.engine.tensor)
    nisa.tensor_copy(dst=dst, src=between)
