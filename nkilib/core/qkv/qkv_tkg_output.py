"""The products of :mod:`.qkv_tkg`, and where they go."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.lnc import Cores, exchange, split, sum_over_cores
from ...blocks.memory import Scratch, scratch
from ...blocks.projection import accumulate, columns_at_once, row_sums, spread_columns
from ...blocks.tiles import as_tile, as_view
from ..subkernels.norm_tkg_utils import rows_of
from ..utils.allocator import SbufManager
from ..utils.tensor_view import TensorView
from .products import by_head, leave


class Projection(nl.NKIObject):
    """What the products are made of.

    Attributes:
        x: SBUF ``[128, H1s, T]``, a contraction-major view. weight: HBM ``[H/lnc, I]``, this core's rows.
        bias: HBM ``[1, I]``, or None; added by one core. scales: see :class:`.products.Scales`, or None.
        dtype: of the result.
    """

    x: TensorView
    weight: TensorView
    bias: Any
    scales: Any
    dtype: Any


def project(
    hidden: nl.ndarray, projection: Projection, depth: int, in_sbuf: bool, here: Cores, sbm: SbufManager
) -> nl.ndarray:
    """The result, by blocks of columns; heads of ``depth`` come first in HBM unless it is 0."""
    tokens, width = projection.x.shape[2], projection.weight.shape[1]
    output = _result(hidden, projection, depth, in_sbuf)
    step = columns_at_once(tokens)
    if depth > 0:
        step = step // depth * depth
    for start in range(0, width, step):
        end = min(start + step, width)
        work = scratch(sbm, name="columns")
        if in_sbuf:
            part = as_view(output).slice(1, start, end)
        else:
            part = as_view(work.tile((tokens, end - start), projection.dtype))
        _project_columns(part, projection, start, 0 if in_sbuf else max(1, depth), here, work, sbm)
        if not in_sbuf:
            _store_columns(output, part, start, depth, here)
        work.close()
    return output


def _result(hidden: nl.ndarray, projection: Projection, depth: int, in_sbuf: bool) -> nl.ndarray:
    """The tensor to fill."""
    tokens, width = projection.x.shape[2], projection.weight.shape[1]
    if in_sbuf:
        return nl.ndarray((tokens, width), dtype=projection.dtype, buffer=nl.sbuf)
    batch, sequence, _ = hidden.shape
    shape: tuple[int, ...] = (batch, sequence, width)
    if depth > 0:
        shape = (width // depth, batch, sequence, depth)
    return nl.ndarray(shape, dtype=projection.dtype, buffer=nl.shared_hbm)


def _project_columns(
    dst: TensorView,
    projection: Projection,
    first: int,
    unit: int,
    here: Cores,
    work: Scratch,
    sbm: SbufManager,
) -> None:
    """Columns from ``first`` on, summed over the cores, in SBUF ``[T, N]``.

    ``unit``: each core needs only its share of the columns, divided in units of it; 0: all of them.
    """
    tokens, width = dst.shape
    bias = spread_columns(projection.bias, tokens, first, first + width, work, sbm)
    sums = row_sums(tokens, width)
    columns = projection.weight.slice(1, first, first + width)
    accumulate(sums, projection.x, columns, sbm, by_partition=True)
    mine = dst
    if here.count == 2:
        mine = as_view(work.tile((tokens, width), nl.float32))
    leave(mine, sums.banks[0], bias, projection.scales, first, sbm)
    if here.count == 2 and unit > 0 and width % (2 * unit) == 0:
        _sum_own_half(dst, mine, here, sbm)
    elif here.count == 2:
        sum_over_cores(as_tile(mine), here, sbm, dst=dst)


def _sum_own_half(dst: TensorView, mine: TensorView, here: Cores, sbm: SbufManager) -> None:
    """This core's half of the columns, fp32 ``[T, N]``, summed over the cores; only halves travel."""
    tokens, width = mine.shape
    half = width // 2
    own, other = here.index * half, (1 - here.index) * half
    work = scratch(sbm, name="half")
    received = work.tile((tokens, half), nl.float32)
    exchange(received, mine.slice(1, other, other + half), here)
    nisa.tensor_tensor(
        dst=dst.slice(1, own, own + half).get_view(),
        data1=mine.slice(1, own, own + half).get_view(),
        data2=received,
        op=nl.add,
    )
    work.close()


def _store_columns(output: nl.ndarray, part: TensorView, first: int, depth: int, here: Cores) -> None:
    """This core's half of the heads, or of the columns, of SBUF ``[T, N]`` into HBM."""
    unit = max(1, depth)
    start, size = split(part.shape[1], here, unit)
    if size == 0:
        return
    source = part.slice(1, start, start + size)
    if depth == 0:
        target = rows_of(as_view(output)).slice(1, first + start, first + start + size)
    else:
        head = (first + start) // depth
        heads = as_view(output).flatten_dims(1, 2).permute((1, 0, 2))
        target = heads.slice(1, head, head + size // depth)
        source = by_head(source, depth)
    nisa.dma_copy(dst=target.get_view(), src=source.get_view())
