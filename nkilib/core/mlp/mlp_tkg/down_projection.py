"""Down projection of token generation: ``y = m·Wd·sd + bd``, this core's columns, in fp32, rounded once."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.lnc import Cores
from ....blocks.memory import PARTITIONS, Scratch, scratch
from ....blocks.projection import (
    accumulate,
    affine,
    bank_planes,
    columns_at_once,
    plane_sums,
    row_sums,
    spread_columns,
    weigh,
)
from ....blocks.tiles import as_tile, as_view, load_hidden_row
from ...utils.allocator import SbufManager
from ...utils.tensor_view import TensorView
from ..mlp_parameters import MLPParameters


class Down(nl.NKIObject):
    """What the projection needs, for this core's columns.

    Attributes:
        weight: HBM ``[I, H/lnc]``. scale: STATIC, SBUF fp32 ``[128, 1]``. factors: ROW, shift: the bias, HBM
            ``[1, H/lnc]``. The last three are None without.
    """

    weight: TensorView
    scale: Any
    factors: Any
    shift: Any


def project_down(
    result: nl.ndarray, middle: nl.ndarray, params: MLPParameters, here: Cores, sbm: SbufManager
) -> None:
    """Fill ``result``, SBUF ``[T, H/lnc]`` or ``[128, H/128/lnc, T]``, from ``middle`` ``[128, ⌈I/128⌉, T]``.

    Raises AssertionError when the second form does not fit into PSUM.
    """
    work = scratch(sbm, name="down")
    down = _down(params, here, work)
    if params.use_tkg_down_proj_column_tiling:
        _moving_weights(as_view(result), middle, down, sbm)
    else:
        _moving_tokens(as_view(result), middle, down, params.use_tkg_down_proj_optimized_layout, sbm)
    work.close()


def add_projection(
    total: nl.ndarray,
    middle: nl.ndarray,
    params: MLPParameters,
    here: Cores,
    weight: Any,
    adding: bool,
    sbm: SbufManager,
) -> None:
    """``total = y·weight``, or with ``adding`` ``total += y·weight``, in fp32.

    Args:
        total: SBUF fp32, in one of the forms of :func:`project_down`.
        weight: of each token, SBUF fp32, or None for 1; for the first form a column ``[T, 1]``, for the
            second ``[128, T]``, the same on all partitions.
    """
    work = scratch(sbm, name="down")
    down = _down(params, here, work)
    if params.use_tkg_down_proj_column_tiling:
        _moving_weights(as_view(total), middle, down, sbm, weight, adding)
    else:
        _moving_tokens(as_view(total), middle, down, False, sbm, weight, adding)
    work.close()


def _down(params: MLPParameters, here: Cores, work: Scratch) -> Down:
    quant = params.quant_params
    scale = None
    if quant.is_quant_static():
        scale = work.tile((PARTITIONS, 1), nl.float32)
        nisa.dma_copy(dst=scale, src=as_tile(quant.down_w_scale))
    factors = None
    if quant.is_quant_row():
        factors = as_view(quant.down_w_scale).slice(0, 0, 1)
    return Down(
        weight=_own(params.down_proj_weights_tensor, here),
        scale=scale,
        factors=_own(factors, here),
        shift=_own(params.bias_params.down_proj_bias_tensor, here),
    )


def _own(tensor: Any, here: Cores) -> Any:
    """This core's columns of ``[…, H]``; None stays None."""
    if tensor is None:
        return None
    size = tensor.shape[1] // here.count
    return as_view(tensor).slice(1, here.index * size, (here.index + 1) * size)


def _moving_weights(
    result: TensorView,
    middle: nl.ndarray,
    down: Down,
    sbm: SbufManager,
    weight: Any = None,
    adding: bool = False,
) -> None:
    tokens, width = result.shape
    step = columns_at_once(tokens)
    for start in range(0, width, step):
        end = min(start + step, width)
        work = scratch(sbm, name="columns")
        factors = spread_columns(down.factors, tokens, start, end, work, sbm)
        shift = spread_columns(down.shift, tokens, start, end, work, sbm)
        scale = _for_tokens(down.scale, tokens)
        sums = row_sums(tokens, end - start)
        accumulate(sums, middle, down.weight.slice(1, start, end), sbm)
        for piece in sums.pieces:
            first, last = piece.columns[0], piece.columns[1]
            into = result.slice(1, start + first, start + last)
            multiplied, added = _cut(factors, first, last), _cut(shift, first, last)
            _add_bank(into, piece.product, scale, multiplied, added, weight, adding, sbm)
        work.close()


def _for_tokens(scale: Any, tokens: int) -> Any:
    return None if scale is None else scale[0:tokens, :]


def _cut(tile: Any, start: int, end: int) -> Any:
    return None if tile is None else tile[:, start:end]


def _moving_tokens(
    result: TensorView,
    middle: nl.ndarray,
    down: Down,
    in_planes: bool,
    sbm: SbufManager,
    weight: Any = None,
    adding: bool = False,
) -> None:
    """``in_planes``: the weight columns are in the order (j, p), not (p, j)."""
    _, planes, tokens = result.shape
    work = scratch(sbm, name="moving_tokens")
    factors = _hidden_row(down.factors, tokens, work)
    shift = _hidden_row(down.shift, tokens, work)
    sums = plane_sums(tokens, planes * PARTITIONS, strided=not in_planes)
    accumulate(sums, middle, down.weight, sbm)
    for bank in range(len(sums.banks)):
        first, count = bank_planes(sums, bank)
        into, product = result.slice(1, first, first + count), sums.banks[bank]
        multiplied, added = _slice(factors, first, count), _slice(shift, first, count)
        each = weight
        if weight is not None and tokens > 1:
            each = as_view(weight).expand_dim(1).broadcast(1, count)
        _add_bank(into, product, down.scale, multiplied, added, each, adding, sbm)
    work.close()


def _add_bank(
    into: TensorView,
    product: nl.ndarray,
    scale: Any,
    factors: Any,
    shift: Any,
    weight: Any,
    adding: bool,
    sbm: SbufManager,
) -> None:
    """``into (+)= (product·scale·factors + shift)·weight``, one bank of rows or of planes."""
    if weight is None and not adding:
        affine(into, product, sbm, scale, factors, shift)
        return
    work = scratch(sbm, name="add_bank")
    source = product
    if scale is not None or factors is not None or shift is not None:
        source = work.tile(tuple(product.shape), nl.float32)
        affine(source, product, sbm, scale, factors, shift)
    weigh(into, source, weight, adding, sbm)
    work.close()


def _hidden_row(row: Any, tokens: int, work: Scratch) -> Any:
    """A row ``[1, H/lnc]`` of HBM as ``[128, H/128/lnc, T]``, the same for all tokens; None stays None."""
    if row is None:
        return None
    tile = work.tile((PARTITIONS, row.shape[1] // PARTITIONS), row.dtype)
    load_hidden_row(tile, row)
    return as_view(tile).expand_dim(2).broadcast(2, tokens)


def _slice(view: Any, first: int, count: int) -> Any:
    return None if view is None else view.slice(1, first, first + count)
