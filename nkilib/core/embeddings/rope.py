"""Rotary position embedding with heads on the partitions.

Pair i of a head of size d is turned by one angle for each sequence position::

    even'[i] = even[i]·cos[i] - odd[i]·sin[i]
    odd'[i]  = odd[i]·cos[i] + even[i]·sin[i]

Contiguous layout: ``even = x[:d/2]``, ``odd = x[d/2:]``. Interleaved: ``even = x[0::2]``, ``odd = x[1::2]``.
The result has the layout of the input. Products are rounded to the input's dtype, and so is their sum.
"""

from typing import Any

import nki
import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_classes
from ...blocks.dtypes import FLOATS, assert_dtype
from ...blocks.lnc import Cores, cores, split
from ...blocks.memory import PSUM_COLUMNS, Scratch, manager, psum_tile, scratch
from ...blocks.rope import negate_half, rotate_spread
from ...blocks.tiles import as_tile, as_view
from ..utils.allocator import SbufManager, sizeinbytes
from ..utils.kernel_assert import assert_shape, kernel_assert
from ..utils.tensor_view import TensorView

WHOLE_BYTES = 160 * 1024
"""Bytes of a partition up to which everything is turned at once: four tiles for the heads, and two tables."""
TILE_BYTES = 16 * 1024
"""Otherwise, bytes of one of these tiles: there is room for the next piece to be loaded meanwhile."""


@nki.jit
def RoPE(
    x_in: nl.ndarray,
    cos: nl.ndarray,
    sin: nl.ndarray,
    lnc_shard: bool = False,
    contiguous_layout: bool = True,
    relayout_in_sbuf: bool = False,
) -> nl.ndarray:
    """Turn all heads by the angles of their positions.

    Args:
        x_in: HBM ``[d, B, N, S]``, d 64 or 128: head size, batch, heads, sequence. It is bfloat16,
            float16 or float32.
        cos, sin: HBM ``[d/2, B, S]`` of one dtype, for all heads.
        lnc_shard: each core takes its S / cores positions, which must be whole; otherwise each does all.
        contiguous_layout: the halves of a head are the members of its pairs; otherwise every other row is.
        relayout_in_sbuf: bring interleaved rows into halves by TensorE, for at most 512 elements ``B·N·S``,
            instead of by DMAs with a stride. The result is the same.

    Returns:
        HBM of the shape and dtype of ``x_in``.

    Raises AssertionError when a shape or a dtype is another.
    """
    assert_classes(
        tensors=((x_in, "x_in"), (cos, "cos"), (sin, "sin")),
        flags=(
            (lnc_shard, "lnc_shard"), (contiguous_layout, "contiguous_layout"),
            (relayout_in_sbuf, "relayout_in_sbuf"),
        ),
    )  # fmt: skip
    _validate(x_in, cos, sin)
    here = cores(alone=not lnc_shard)
    length = x_in.shape[3]
    kernel_assert(length % here.count == 0, f"S = {length} must divide by the {here.count} cores")
    out = nl.ndarray(x_in.shape, dtype=x_in.dtype, buffer=nl.shared_hbm)
    sbm = manager()
    fits = x_in.shape[1] * x_in.shape[2] * length <= PSUM_COLUMNS
    relayout = relayout_in_sbuf and not contiguous_layout and fits
    strided = not contiguous_layout and not relayout
    source, target = _share(x_in, here, 3), _share(out, here, 3)
    cosines, sines = _share(cos, here, 2), _share(sin, here, 2)
    _, batch, heads, positions = source.shape
    size = max(sizeinbytes(x_in.dtype), sizeinbytes(cos.dtype))
    at_once = _columns_at_once(batch, heads, positions, size)
    span = min(positions, at_once)
    group = min(heads, max(1, at_once // span))
    rows = min(batch, max(1, at_once // (span * group)))
    for first in range(0, batch, rows):
        for start in range(0, positions, span):
            work = scratch(sbm, name="rope")
            piece = (first, min(batch, first + rows))
            columns = (start, min(positions, start + span))
            cosine = _load_table(_cut(cosines, piece, columns), False, work)
            sine = _load_table(_cut(sines, piece, columns), True, work)
            for head in range(0, heads, group):
                last = min(heads, head + group)
                part = _cut(source, piece, columns).slice(2, head, last)
                into = _cut(target, piece, columns).slice(2, head, last)
                _turn(into, part, sine, cosine, strided, relayout, sbm)
            work.close()
    return out


def RoPE_sbuf(
    x_in_sb: nl.ndarray,
    cos_sb: nl.ndarray,
    sin_sb: nl.ndarray,
    x_out_sb: nl.ndarray,
    convert_from_interleaved: bool = False,
) -> nl.ndarray:
    """As :func:`RoPE`, on tiles in SBUF.

    Args:
        x_in_sb: ``[d, B, N, S]``. cos_sb, sin_sb: ``[d/2, B, S]``.
        x_out_sb: as ``x_in_sb``, of its dtype; filled and returned.
        convert_from_interleaved: both are interleaved; needs ``B·N·S ≤ 512``.

    Raises AssertionError when a shape or a dtype is another.
    """
    assert_classes(
        tensors=((x_in_sb, "x_in_sb"), (cos_sb, "cos_sb"), (sin_sb, "sin_sb"), (x_out_sb, "x_out_sb")),
        flags=((convert_from_interleaved, "convert_from_interleaved"),),
    )
    shape = tuple(x_in_sb.shape)
    _validate(x_in_sb, cos_sb, sin_sb)
    assert_shape(x_out_sb, shape, "x_out_sb")
    kernel_assert(
        x_in_sb.dtype == x_out_sb.dtype,
        f"x_out_sb must have the dtype of x_in_sb, {x_in_sb.dtype}, it has {x_out_sb.dtype}",
    )
    columns = shape[1] * shape[2] * shape[3]
    kernel_assert(
        not convert_from_interleaved or columns <= PSUM_COLUMNS,
        f"convert_from_interleaved takes at most {PSUM_COLUMNS} elements B·N·S, they are {columns}",
    )
    sbm = manager()
    work = scratch(sbm, name="rope_sbuf")
    cosine, sine = _doubled(cos_sb, False, work), _doubled(sin_sb, True, work)
    _turn_tile(x_out_sb, x_in_sb, sine, cosine, convert_from_interleaved, work)
    work.close()
    return x_out_sb


def _columns_at_once(batch: int, heads: int, positions: int, size: int) -> int:
    """Elements of a partition that are turned together, each of ``size`` bytes."""
    if batch * positions * (4 * heads + 2) * size <= WHOLE_BYTES:
        return batch * heads * positions
    return TILE_BYTES // size


def _share(tensor: nl.ndarray, here: Cores, dim: int) -> TensorView:
    """The positions of this core."""
    start, size = split(tensor.shape[dim], here)
    return as_view(tensor).slice(dim, start, start + size)


def _cut(view: TensorView, batch: tuple[int, int], positions: tuple[int, int]) -> TensorView:
    """Batch rows and positions of ``[d, B, …, S]``."""
    return view.slice(1, batch[0], batch[1]).slice(view.get_dim() - 1, positions[0], positions[1])


def _load_table(table: TensorView, negated: bool, work: Scratch) -> nl.ndarray:
    """HBM ``[d/2, b, s]`` on both halves of the partitions, ``[d, b, s]``; the second perhaps negative."""
    half, batch, positions = table.shape
    both = work.tile((2 * half, batch, positions), table.dtype)
    nisa.dma_copy(dst=both[0:half], src=table.get_view())
    _repeat(both, both[0:half], negated)
    return both


def _doubled(table: nl.ndarray, negated: bool, work: Scratch) -> nl.ndarray:
    """SBUF ``[d/2, B, S]`` as :func:`_load_table` has it."""
    half, batch, positions = table.shape
    both = work.tile((2 * half, batch, positions), table.dtype)
    nisa.tensor_copy(dst=both[0:half], src=table)
    _repeat(both, table, negated)
    return both


def _repeat(both: nl.ndarray, table: nl.ndarray, negated: bool) -> None:
    half = table.shape[0]
    if negated:
        negate_half(both, table)
    else:
        nisa.tensor_copy(dst=both[half : 2 * half], src=table)


def _turn(
    dst: TensorView,
    src: TensorView,
    sine: nl.ndarray,
    cosine: nl.ndarray,
    strided: bool,
    relayout: bool,
    sbm: SbufManager,
) -> None:
    """HBM ``[d, b, n, s]`` to the same; ``strided``: every other row of HBM is a half on chip."""
    work = scratch(sbm, name="turn")
    held = work.tile(tuple(src.shape), src.dtype)
    turned = work.tile(tuple(src.shape), src.dtype)
    half = src.shape[0] // 2
    if strided:
        for part in range(2):
            rows = held[part * half : (part + 1) * half]
            nisa.dma_copy(dst=rows, src=src.slice(0, part, 2 * half, 2).get_view())
    else:
        nisa.dma_copy(dst=held, src=src.get_view())
    _turn_tile(turned, held, sine, cosine, relayout, work)
    if strided:
        for part in range(2):
            rows = turned[part * half : (part + 1) * half]
            nisa.dma_copy(dst=dst.slice(0, part, 2 * half, 2).get_view(), src=rows)
    else:
        nisa.dma_copy(dst=dst.get_view(), src=turned)
    work.close()


def _turn_tile(
    dst: nl.ndarray, src: nl.ndarray, sine: nl.ndarray, cosine: nl.ndarray, relayout: bool, work: Scratch
) -> None:
    """SBUF ``[d, b, n, s]``; ``relayout``: both are interleaved, at most 512 columns."""
    heads = src.shape[2]
    sines = as_view(sine).expand_dim(2).broadcast(2, heads)
    cosines = as_view(cosine).expand_dim(2).broadcast(2, heads)
    if not relayout:
        rotate_spread(dst, src, sines, cosines, work, products=src.dtype)
        return
    halves = work.tile(tuple(src.shape), src.dtype)
    turned = work.tile(tuple(src.shape), src.dtype)
    _permute_rows(halves, src, True, work)
    rotate_spread(turned, halves, sines, cosines, work, products=src.dtype)
    _permute_rows(dst, turned, False, work)


def _permute_rows(dst: Any, src: Any, apart: bool, work: Scratch) -> None:
    """Rows 2i and 2i + 1 become i and d/2 + i (``apart``), or the other way round; a product with 0 and 1."""
    depth, batch, heads, positions = src.shape
    half = depth // 2
    ones = work.tile((depth, depth), src.dtype)
    choice = work.tile((depth, depth), src.dtype)
    nisa.memset(dst=ones, value=1.0)
    # Row k of the source goes to row m where k - 2·(m mod h) - m div h = 0, or k - m div 2 - h·(m mod 2) = 0.
    pattern = [[-1, 2], [-2, half]] if apart else [[-1, half], [-half, 2]]
    nisa.affine_select(
        dst=choice,
        pattern=pattern,
        offset=0,
        channel_multiplier=1,
        on_true_tile=ones,
        on_false_value=0.0,
        cmp_op=nl.equal,
    )
    moved = psum_tile((depth, batch * heads * positions))
    nisa.nc_matmul(dst=moved, stationary=choice, moving=as_tile(src))
    nisa.tensor_copy(dst=as_tile(dst), src=moved)


def _validate(x: nl.ndarray, cos: nl.ndarray, sin: nl.ndarray) -> None:
    shape = tuple(x.shape)
    kernel_assert(len(shape) == 4, f"x must be [d, B, N, S], its shape is {shape}")
    depth, batch, heads, length = shape
    kernel_assert(depth == 64 or depth == 128, f"d must be 64 or 128, it is {depth}")
    positive = batch > 0 and heads > 0 and length > 0
    kernel_assert(positive, f"B, N and S must be positive, they are {batch}, {heads} and {length}")
    assert_shape(cos, (depth // 2, batch, length), "cos")
    assert_shape(sin, (depth // 2, batch, length), "sin")
    kernel_assert(
        cos.dtype == sin.dtype, f"cos and sin must have one dtype, they have {cos.dtype} and {sin.dtype}"
    )
    assert_dtype(x, FLOATS, "x")
    assert_dtype(cos, FLOATS, "cos and sin")
