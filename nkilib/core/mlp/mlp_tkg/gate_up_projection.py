"""Gate and up projections of token generation: ``m = act(clamp(x·Wg·sg + bg)) · clamp(x·Wu·su + bu)``.

Both arrangements give ``[128, I/128, T]``, column ``128 j + p`` of I in (p, j), so that what follows the
products works on all partitions: with the tokens stationary the products ``[T, I]`` are transposed.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.activation import activate, clamp
from ....blocks.lnc import Cores, sum_over_cores
from ....blocks.matmul import transpose
from ....blocks.memory import PARTITIONS, Scratch, scratch
from ....blocks.projection import accumulate, affine, bank_planes, columns_at_once, plane_sums, row_sums
from ....blocks.tiles import as_tile, as_view, load_column, tiles_of
from ...utils.allocator import SbufManager
from ...utils.interleave_copy import interleave_copy
from ...utils.tensor_view import TensorView
from ..mlp_parameters import MLPParameters, mlpp_has_gate_projection


class Projection(nl.NKIObject):
    """One of the two.

    Attributes:
        weight: HBM, this core's rows ``[H/lnc, I]``.
        scale: STATIC, fp32 ``[128, 1]``. factors: ROW, ``[128, I/128]``. shift: the bias, ``[128, I/128]``.
            In SBUF; None without.
        upper, lower: limits, or None.
    """

    weight: TensorView
    scale: Any
    factors: Any
    shift: Any
    upper: float | None
    lower: float | None


def project_gate_up(
    middle: nl.ndarray, x: TensorView, params: MLPParameters, here: Cores, sbm: SbufManager
) -> None:
    """Fill ``middle`` ``[128, ⌈I/128⌉, T]`` from this core's ``x`` ``[128, H/128/lnc, T]``, both in SBUF."""
    work = scratch(sbm, name="gate_up")
    projections = [_up(params, here, work)]
    if mlpp_has_gate_projection(params):
        projections.append(_gate(params, here, work))
    inner = params.intermediate_size
    step = columns_at_once(x.shape[2])
    for start in range(0, inner, step):
        end = min(start + step, inner)
        _project_columns(middle, x, projections, (start, end), params, here, sbm)
    work.close()


def _gate(params: MLPParameters, here: Cores, work: Scratch) -> Projection:
    projection = _projection(
        params.gate_proj_weights_tensor, params.quant_params.gate_w_scale, params, here, work
    )
    projection.shift = _column(params.bias_params.gate_proj_bias_tensor, work)
    projection.upper, projection.lower = params.gate_clamp_upper_limit, params.gate_clamp_lower_limit
    return projection


def _up(params: MLPParameters, here: Cores, work: Scratch) -> Projection:
    projection = _projection(
        params.up_proj_weights_tensor, params.quant_params.up_w_scale, params, here, work
    )
    projection.shift = _column(params.bias_params.up_proj_bias_tensor, work)
    projection.upper, projection.lower = params.up_clamp_upper_limit, params.up_clamp_lower_limit
    return projection


def _projection(
    weight: nl.ndarray, scale: Any, params: MLPParameters, here: Cores, work: Scratch
) -> Projection:
    """Without bias and limits."""
    one, factors = _scales(scale, params, work)
    rows = _own_rows(weight, here)
    return Projection(weight=rows, scale=one, factors=factors, shift=None, upper=None, lower=None)


def _own_rows(weight: nl.ndarray, here: Cores) -> TensorView:
    size = weight.shape[0] // here.count
    return as_view(weight).slice(0, here.index * size, (here.index + 1) * size)


def _scales(scale: Any, params: MLPParameters, work: Scratch) -> tuple[Any, Any]:
    """``(scale, factors)`` of a :class:`Projection`."""
    if params.quant_params.is_quant_static():
        tile = work.tile((PARTITIONS, 1), nl.float32)
        nisa.dma_copy(dst=tile, src=as_tile(scale))
        return tile, None
    if params.quant_params.is_quant_row():
        return None, _column(as_view(scale).slice(0, 0, 1), work)
    return None, None


def _column(row: Any, work: Scratch) -> Any:
    """A row ``[1, I]`` of HBM down the partitions, ``[128, ⌈I/128⌉]``, zero behind its end; or None."""
    if row is None:
        return None
    size = row.shape[1]
    tile = work.tile((PARTITIONS, tiles_of(size)), row.dtype)
    if size % PARTITIONS != 0:
        nisa.memset(dst=tile[:, size // PARTITIONS : tiles_of(size)], value=0.0)
    load_column(tile, row)
    return tile


def _project_columns(
    middle: nl.ndarray,
    x: TensorView,
    projections: list[Projection],
    columns: tuple[int, int],
    params: MLPParameters,
    here: Cores,
    sbm: SbufManager,
) -> None:
    """Columns ``(start, end)`` of I, ``start`` a multiple of 128."""
    size, tokens = columns[1] - columns[0], x.shape[2]
    first, planes = columns[0] // PARTITIONS, tiles_of(size)
    work = scratch(sbm, name="columns")
    partial = work.tile((PARTITIONS, len(projections), planes, tokens), nl.float32)
    held = as_view(partial)
    if size % PARTITIONS != 0:
        nisa.memset(dst=held.slice(2, planes - 1, planes).get_view(), value=0.0)
    for index in range(len(projections)):
        weight = projections[index].weight.slice(1, columns[0], columns[1])
        into = held.select(1, index)
        if params.use_tkg_gate_up_proj_column_tiling:
            _moving_weights(into, x, weight, sbm)
        else:
            _moving_tokens(into, x, weight, sbm)
    sum_over_cores(partial, here, sbm)
    for index in range(len(projections)):
        _finish(held.select(1, index), projections[index], first, sbm)
    part = as_view(middle).slice(1, first, first + planes)
    _multiply(part, held, params)
    work.close()


def _moving_weights(into: TensorView, x: TensorView, weight: TensorView, sbm: SbufManager) -> None:
    """``into[p, j, t]`` = column ``128 j + p`` of ``x·weight``, through ``[T, columns]``."""
    tokens, columns = x.shape[2], weight.shape[1]
    work = scratch(sbm, name="moving_weights")
    rows = work.tile((tokens, columns), nl.float32)
    sums = row_sums(tokens, columns)
    accumulate(sums, x, weight, sbm, by_partition=True)
    for index in range(len(sums.pieces)):
        piece = sums.pieces[index]
        interleave_copy(rows[:, piece.columns[0] : piece.columns[1]], piece.product, index=index)
    transpose(into, rows)
    work.close()


def _moving_tokens(into: TensorView, x: TensorView, weight: TensorView, sbm: SbufManager) -> None:
    """The same, straight out of PSUM."""
    tokens, columns = x.shape[2], weight.shape[1]
    sums = plane_sums(tokens, columns)
    accumulate(sums, x, weight, sbm, by_partition=True)
    whole = columns // PARTITIONS
    for bank in range(len(sums.banks)):
        first, count = bank_planes(sums, bank)
        filled = min(count, whole - first)
        if filled > 0:
            target = into.slice(1, first, first + filled)
            interleave_copy(target.get_view(), sums.banks[bank][:, 0:filled, :], index=bank)
    if columns > whole * PARTITIONS:
        last = sums.pieces[whole].product
        nisa.tensor_copy(
            dst=into.select(1, whole).slice(0, 0, columns - whole * PARTITIONS).get_view(), src=last
        )


def _finish(values: TensorView, projection: Projection, first: int, sbm: SbufManager) -> None:
    """Scales, bias and limits, in place; ``first`` is the first plane of I in ``values``."""
    factors = _repeated(projection.factors, values, first)
    shift = _repeated(projection.shift, values, first)
    if projection.scale is not None or factors is not None or shift is not None:
        affine(values, values, sbm, projection.scale, factors, shift)
    if projection.upper is not None or projection.lower is not None:
        clamp(values.get_view(), values.get_view(), projection.upper, projection.lower)


def _repeated(column: Any, values: TensorView, first: int) -> Any:
    """Planes of ``[128, I/128]``, the same for all tokens; None stays None."""
    if column is None:
        return None
    planes = as_view(column).slice(1, first, first + values.shape[1])
    return planes.expand_dim(2).broadcast(2, values.shape[2])


def _multiply(middle: TensorView, values: TensorView, params: MLPParameters) -> None:
    """``middle = act(gate)·up``, or ``act(up)``; ``values`` has up, then gate."""
    up = values.select(1, 0).get_view()
    if values.shape[1] == 1:
        activate(middle.get_view(), up, params.activation_fn)
        return
    gate = values.select(1, 1).get_view()
    activate(gate, gate, params.activation_fn)
    nisa.tensor_tensor(dst=middle.get_view(), data1=gate, data2=up, op=nl.multiply)
