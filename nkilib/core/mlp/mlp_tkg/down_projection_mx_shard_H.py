"""Down projections with MX weights: ``y[t, h] = Σ_i m[t, i]·W[i, h] + b[h]``; each core has its part of H.

    m    SBUF bf16 [128, ⌈I/512⌉, T, 4]     quantised on chip to e4m3, in groups of 8 partitions × 4 lanes
    W    x4        [P, ⌈I/512⌉, H]          P = min(128, I/4); its scales uint8 [P/8, ⌈I/512⌉, H]

Lane q of (partition p, tile k) of W is against ``m[p, k, t, q]``; for the result of the gate/up projection
that is column ``512 k + q·c/4 + p`` of the intermediate, with ``c = min(512, I - 512 k)``. Of a ragged last
tile only the c/4 partitions are read. Sums are fp32, rounded once, with the bias, to bfloat16.
"""

from typing import Any

import nki.language as nl

from ....blocks.lnc import gather
from ....blocks.matmul import broadcast_row
from ....blocks.memory import PARTITIONS, PSUM_COLUMNS, Scratch, manager, psum_tile, scratch
from ....blocks.mx import LANES, TILE, MxOperand, mx_columns, mx_operand
from ....blocks.mx_ragged import (
    GROUP,
    contract_mx_tiles,
    load_mx_scales,
    load_mx_values,
    quantize_tiles,
    rest,
)
from ....blocks.projection import affine
from ....blocks.tiles import as_view, tiles_of
from ...utils.allocator import SbufManager
from ...utils.kernel_assert import assert_shape, kernel_assert
from ...utils.stream_shuffle_broadcast import stream_shuffle_broadcast
from ...utils.tensor_view import TensorView
from .projection_mx_constants import ProjConfig, cores_of

BANKS = 4
"""Banks of PSUM that are emptied at once; the other half is for the sums that follow."""


def down_projection_mx_tp_shard_H(
    inter_sb: Any, weight: Any, weight_scale: Any, bias_sb: Any, cfg: ProjConfig
) -> Any:
    """The hidden dimension on the partitions: SBUF bfloat16 ``[128, H/128, BxS]``, on both cores.

    ``out[p, c·H1s + j, t] = y[t, c·H_sharded + 128 j + p]`` with ``H1s = H_sharded / 128`` of core c.

    Args:
        inter_sb: m. weight, weight_scale: HBM, as the module says, or this core's columns in SBUF, ``[128,
            ⌈I/512⌉, H_sharded]`` each, zero behind I.
        bias_sb: this core's b, SBUF ``[128, H1s]``, ``b[c·H_sharded + 128 j + p]``, or None.

    Raises AssertionError for more than 128 tokens, and when a shape does not fit.
    """
    kernel_assert(cfg.BxS <= PARTITIONS, f"at most 128 tokens, there are {cfg.BxS}")
    planes, tokens = cfg.H1_sharded, cfg.BxS
    if bias_sb is not None:
        assert_shape(bias_sb, (PARTITIONS, planes), "bias_sb", "It is (128, H/128/cores).")
    sbm = manager()
    work = scratch(sbm, name="down_mx_tp")
    middle, weights = _operands(inter_sb, weight, weight_scale, cfg, work, sbm)
    out = nl.ndarray((PARTITIONS, cfg.n_prgs * planes, tokens), dtype=nl.bfloat16, buffer=nl.sbuf)
    own = as_view(out).slice(1, cfg.prg_id * planes, (cfg.prg_id + 1) * planes)
    group = PSUM_COLUMNS // tokens
    for first in range(0, planes, group):
        last = min(first + group, planes)
        sums = psum_tile((PARTITIONS, last - first, tokens))
        for plane in range(first, last):
            columns = mx_columns(weights, plane * PARTITIONS, (plane + 1) * PARTITIONS)
            contract_mx_tiles(sums[:, plane - first, :], columns, mx_columns(middle, 0, tokens), cfg.I)
        shift = None
        if bias_sb is not None:
            shift = as_view(bias_sb).slice(1, first, last).expand_dim(2).broadcast(2, tokens)
        affine(own.slice(1, first, last), sums, sbm, shift=shift)
    gather(out, 1, cores_of(cfg))
    work.close()
    return out


def down_projection_mx_shard_H(
    inter_sb: Any, weight: Any, weight_scale: Any, bias_sb: Any, cfg: ProjConfig
) -> Any:
    """Tokens on the partitions: SBUF bfloat16 ``[128, ⌈BxS/128⌉, H]``, token ``128 b + p`` at (p, b).

    Both cores have all of it. Partitions without a token are undefined. With ``cfg.out_p_offset`` token t is
    on partition ``out_p_offset + t``.

    Args:
        inter_sb, weight, weight_scale: as for :func:`down_projection_mx_tp_shard_H`.
        bias_sb: this core's b, SBUF ``[1, H_sharded]``, or on each partition, ``[128, H_sharded]``; or None.

    Raises AssertionError when a shape does not fit.
    """
    sbm = manager()
    work = scratch(sbm, name="down_mx")
    bias = _spread_bias(bias_sb, cfg, work, sbm)
    middle, weights = _operands(inter_sb, weight, weight_scale, cfg, work, sbm)
    count, width, first = tiles_of(cfg.BxS), cfg.H_sharded, cfg.out_p_offset
    out = nl.ndarray((PARTITIONS, count, cfg.n_prgs * width), dtype=nl.bfloat16, buffer=nl.sbuf)
    own = as_view(out).slice(2, cfg.prg_id * width, (cfg.prg_id + 1) * width)
    for tile in range(count):
        start = tile * PARTITIONS
        rows = min(PARTITIONS, cfg.BxS - start)
        into = own.slice(0, first, first + rows).select(1, tile)
        _project_rows(into, mx_columns(middle, start, start + rows + rows % 2), weights, bias, cfg, sbm)
    gather(out, 2, cores_of(cfg))
    work.close()
    return out


def _project_rows(
    dst: TensorView, tokens: MxOperand, weights: MxOperand, bias: Any, cfg: ProjConfig, sbm: SbufManager
) -> None:
    """``dst`` ``[T ≤ 128, H_sharded]``; tokens are T, or one more that is not stored."""
    rows, width = dst.shape
    stationary = tokens.values.shape[2]
    step = BANKS * PSUM_COLUMNS
    for start in range(0, width, step):
        end = min(start + step, width)
        sums = psum_tile((stationary, end - start))
        for column in range(start, end, PSUM_COLUMNS):
            part = sums[:, column - start : column - start + PSUM_COLUMNS]
            contract_mx_tiles(part, tokens, mx_columns(weights, column, column + PSUM_COLUMNS), cfg.I)
        shift = None if bias is None else as_view(bias).slice(0, 0, rows).slice(1, start, end)
        affine(dst.slice(1, start, end), sums[0:rows, :], sbm, shift=shift)


def _operands(
    inter_sb: Any, weight: Any, weight_scale: Any, cfg: ProjConfig, work: Scratch, sbm: SbufManager
) -> tuple[MxOperand, MxOperand]:
    """m, quantised, with an even number of columns, as stationary operands have; this core's columns of W."""
    tiles, tokens = cfg.n_total_I512_tile, cfg.BxS
    shape = (PARTITIONS, tiles, tokens, LANES)
    assert_shape(inter_sb, shape, "inter_sb", "It is (128, ceil(I/512), BxS, 4).")
    weights = _own_weight(as_view(weight), as_view(weight_scale), cfg, work)
    middle = mx_operand(tiles, tokens + tokens % 2, nl.float8_e4m3fn_x4, work)
    quantize_tiles(mx_columns(middle, 0, tokens), inter_sb, cfg.I, sbm)
    if tokens % 2 != 0:
        again = as_view(inter_sb).slice(2, 0, 1)
        quantize_tiles(mx_columns(middle, tokens, tokens + 1), again, cfg.I, sbm)
    return middle, weights


def _own_weight(values: TensorView, scales: TensorView, cfg: ProjConfig, work: Scratch) -> MxOperand:
    """This core's columns ``[128, ⌈I/512⌉, H_sharded]`` in SBUF: as they are there, or loaded."""
    tiles, width = cfg.n_total_I512_tile, cfg.H_sharded
    rows = PARTITIONS if cfg.I >= TILE else rest(cfg.I)
    here, hidden = (PARTITIONS, tiles, width), cfg.n_prgs * width
    start = cfg.prg_id * width
    held = MxOperand(values=values, scales=scales)
    if values.is_sbuf():
        assert_shape(values, here, "weight", "In SBUF it is (128, ceil(I/512), H/cores).")
    else:
        assert_shape(values, (rows, tiles, hidden), "weight", "In HBM it is (min(128, I/4), ceil(I/512), H).")
        held.values = as_view(work.tile(here, values.dtype))
        load_mx_values(held, values.slice(2, start, start + width), cfg.I)
    if scales.is_sbuf():
        assert_shape(scales, here, "weight_scale", "In SBUF it is (128, ceil(I/512), H/cores).")
    else:
        shape = (rows // GROUP, tiles, hidden)
        assert_shape(scales, shape, "weight_scale", "In HBM it is (min(16, I/32), ceil(I/512), H).")
        held.scales = as_view(work.tile(here, scales.dtype))
        load_mx_scales(held, scales.slice(2, start, start + width), cfg.I)
    return held


def _spread_bias(bias: Any, cfg: ProjConfig, work: Scratch, sbm: SbufManager) -> Any:
    """The bias on all partitions that may have tokens, ``[min(128, BxS), H_sharded]``; None stays None."""
    if bias is None or bias.shape[0] == PARTITIONS:
        _check_bias(bias, PARTITIONS, cfg)
        return bias
    _check_bias(bias, 1, cfg)
    spread = work.tile((min(PARTITIONS, cfg.BxS), cfg.H_sharded), bias.dtype)
    if cfg.use_stream_shuffle_broadcast:
        stream_shuffle_broadcast(bias, spread)
    else:
        broadcast_row(spread, bias, sbm)
    return spread


def _check_bias(bias: Any, rows: int, cfg: ProjConfig) -> None:
    if bias is not None:
        assert_shape(bias, (rows, cfg.H_sharded), "bias_sb", "It is (1 or 128, H/cores).")
