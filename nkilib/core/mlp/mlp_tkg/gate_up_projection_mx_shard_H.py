"""Gate and up projections with MX operands: ``y[t, i] = Σ_h x[t, h]·W[h, i] + b[i]``, H divided by the cores.

    x    SBUF x4   [128, H/512/cores, T]      W   x4 [128, H/512, I], in HBM, or this core's tiles in SBUF
    y    SBUF bf16 [128, ⌈I/512⌉, T, 4]       b   SBUF [128, ⌈I/512⌉, 4]

x and W may have H in any order, the same for both; core c has the c-th part of the tiles. Scales lie beside
their values, in HBM ``[16, tiles, N]`` (see :mod:`nkilib.blocks.mx`). The result has I on the partitions, as
the down projection takes it: with ``c = min(512, I - 512 k)`` columns in tile k,

    y[p, k, t, q] = y[t, 512 k + q·c/4 + p]    for p < c/4, and 0 behind

Each core's part of the sum is rounded to bfloat16 and exchanged; the first one's has the bias. Both cores get
the sum. Where the activation follows at once, the parts stay float32.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.activation import gated
from ....blocks.lnc import sum_over_cores
from ....blocks.memory import PARTITIONS, Scratch, manager, scratch
from ....blocks.mx import LANES, TILE, MxOperand, place_scales
from ....blocks.mx_ragged import mx_tiles_of, project_lanes, rest
from ....blocks.tiles import as_view
from ...utils.kernel_assert import assert_shape, kernel_assert
from ...utils.tensor_view import TensorView
from ..mlp_parameters import MLPParameters
from ..predicates import gating_of
from .projection_mx_constants import GATE_FUSED_IDX, UP_FUSED_IDX, ProjConfig, cores_of


def gate_up_projection_mx_tp_shard_H(
    hidden_qtz_sb: Any,
    hidden_scale_sb: Any,
    weight_qtz: Any,
    weight_scale: Any,
    bias_sb: Any,
    cfg: ProjConfig,
) -> Any:
    """One of the two projections; returns y, SBUF bfloat16 ``[128, ⌈I/512⌉, BxS, 4]``, on both cores.

    Args:
        hidden_qtz_sb: x, SBUF ``[128, n, BxS]`` with n = H/512/cores. hidden_scale_sb: uint8, the same shape.
        weight_qtz: W, HBM ``[128, H/512, I]`` or SBUF ``[128, n, I]``.
        weight_scale: HBM ``[16, H/512, I]`` or SBUF ``[128, n, I]``.
        bias_sb: b, or both projections' ``[128, 2, ⌈I/512⌉, 4]`` (``cfg.bias_t_shared_between_gate_up``), or
            None; of a ragged last tile only the partitions in use are read.

    Tensors or TensorViews. With ``cfg.dbg_hidden`` or ``cfg.dbg_weight`` it returns that operand's (values,
    scales) in SBUF. Raises AssertionError when a shape does not fit.
    """
    hidden = MxOperand(values=as_view(hidden_qtz_sb), scales=as_view(hidden_scale_sb))
    shape = (PARTITIONS, cfg.n_H512_tile_sharded, cfg.BxS)
    assert_shape(hidden.values, shape, "hidden_qtz_sb", "It is (128, H/512/cores, BxS).")
    assert_shape(hidden.scales, shape, "hidden_scale_sb", "It is that of the values.")
    if cfg.dbg_hidden:
        return hidden_qtz_sb, hidden_scale_sb
    sbm = manager()
    work = scratch(sbm, name="gate_up_mx")
    weight = _own_weight(as_view(weight_qtz), as_view(weight_scale), cfg, work)
    if cfg.dbg_weight:
        work.close()
        return weight.values, weight.scales
    out = nl.ndarray((PARTITIONS, cfg.n_total_I512_tile, cfg.BxS, LANES), dtype=nl.bfloat16, buffer=nl.sbuf)
    project_lanes(as_view(out), hidden, weight, _bias_of(bias_sb, cfg), cfg.I, sbm)
    sum_over_cores(out, cores_of(cfg), sbm)
    work.close()
    return out


def _own_tiles(tensor: TensorView, dim: int, cfg: ProjConfig) -> TensorView:
    """This core's part of the tiles of H."""
    size = cfg.n_H512_tile_sharded
    return tensor.slice(dim, cfg.prg_id * size, (cfg.prg_id + 1) * size)


def _own_weight(values: TensorView, scales: TensorView, cfg: ProjConfig, work: Scratch) -> MxOperand:
    """This core's tiles ``[128, n, I]`` in SBUF: as they are there, or loaded."""
    tiles = cfg.n_H512_tile_sharded
    here, whole = (PARTITIONS, tiles, cfg.I), (PARTITIONS, cfg.n_H512_tile, cfg.I)
    if values.is_sbuf():
        assert_shape(values, here, "weight_qtz", "In SBUF it is (128, H/512/cores, I).")
        held = values
    else:
        assert_shape(values, whole, "weight_qtz", "In HBM it is (128, H/512, I).")
        held = as_view(work.tile(here, values.dtype))
        nisa.dma_copy(dst=held.get_view(), src=_own_tiles(values, 1, cfg).get_view())
    if scales.is_sbuf():
        assert_shape(scales, here, "weight_scale", "In SBUF it is (128, H/512/cores, I).")
        return MxOperand(values=held, scales=scales)
    assert_shape(scales, (16, cfg.n_H512_tile, cfg.I), "weight_scale", "In HBM it is (16, H/512, I).")
    placed = work.tile(here, scales.dtype)
    place_scales(placed, _own_tiles(scales, 1, cfg))
    return MxOperand(values=held, scales=as_view(placed))


def _bias_of(bias: Any, cfg: ProjConfig) -> Any:
    """The bias ``[128, ⌈I/512⌉, 4]`` that this core adds, or None."""
    if bias is None:
        return None
    chosen, shape = as_view(bias), (PARTITIONS, cfg.n_total_I512_tile, LANES)
    if cfg.bias_t_shared_between_gate_up:
        both = (PARTITIONS, 2, cfg.n_total_I512_tile, LANES)
        assert_shape(chosen, both, "bias_sb", "Shared, it is (128, 2, ceil(I/512), 4).")
        chosen = chosen.select(1, GATE_FUSED_IDX if cfg.bias_t_shared_base_offset == 0 else UP_FUSED_IDX)
    assert_shape(chosen, shape, "bias_sb", "It is (128, ceil(I/512), 4).")
    return chosen if cfg.prg_id == 0 else None


# -- both, with their activation ------------------------------------------------------------------------


def process_fused_gate_up_projection_mxfp4(
    hidden: Any,
    hidden_scale: Any,
    gate_up_weights: Any,
    gate_up_scale: Any,
    gate_up_bias: Any,
    p_idx_vector: Any,
    gate_up_scale_sb: Any,
    output: Any,
    attrs: MLPParameters,
    dims: Any,
    gate_up_weights_E_offset: Any,
    gate_up_bias_E_offset: Any,
) -> None:
    """``output = act(clamp(gate))·clamp(up)`` of one expert, on both cores; a clamp is min, then max.

    Args:
        hidden, hidden_scale: SBUF ``[128, n, T]``, this core's tiles of H, or all of them.
        gate_up_weights: HBM x4 ``[128, 2, H/512, I]``, or ``[E, …]`` with an offset.
        gate_up_scale: HBM uint8 ``[E, 16, 2, H/512, I]``.
        gate_up_bias: HBM ``[P, 2, ⌈I/512⌉, 4]``, or ``[E, …]`` with an offset, P = min(128, I/4); or None.
        p_idx_vector: SBUF int32 ``[128, 1]``: the row of the ``16·E`` rows of scales that belongs on each
            partition; none where it is out of range.
        gate_up_scale_sb: SBUF uint8 ``[128, 2, n, I]`` of zeros, receives the scales.
        output: SBUF bfloat16 ``[128, ⌈I/512⌉, T, 4]``, laid out as the module says.
        attrs: its ``activation_fn``, clamps, and ``shard_on_h_disabled``: each core for itself, n = H/512.
        dims: its T, I, num_shards and shard_id.
        gate_up_weights_E_offset, gate_up_bias_E_offset: SBUF int32 ``[1, 1]``, the expert; or None.

    Raises AssertionError when a shape does not fit.
    """
    cfg = _config(gate_up_weights, gate_up_weights_E_offset, attrs, dims)
    tiles, inner = cfg.n_H512_tile_sharded, cfg.n_total_I512_tile
    assert_shape(gate_up_scale_sb, (PARTITIONS, 2, tiles, cfg.I), "gate_up_scale_sb", "Both projections'.")
    assert_shape(output, (PARTITIONS, inner, cfg.BxS, LANES), "output", "It is (128, ceil(I/512), T, 4).")
    sbm = manager()
    work = scratch(sbm, name="fused_gate_up_mx")
    x = _own_hidden(as_view(hidden), as_view(hidden_scale), cfg)
    weights = as_view(work.tile((PARTITIONS, 2, tiles, cfg.I), gate_up_weights.dtype))
    source = _expert(gate_up_weights, gate_up_weights_E_offset)
    nisa.dma_copy(dst=weights.get_view(), src=_own_tiles(source, 2, cfg).get_view())
    _gather_scales(gate_up_scale_sb, gate_up_scale, p_idx_vector, cfg)
    bias = _load_bias(gate_up_bias, gate_up_bias_E_offset, cfg, work)
    both = work.tile((PARTITIONS, 2, inner, cfg.BxS, LANES), nl.float32)
    for index in range(2):
        weight = MxOperand(values=weights.select(1, index), scales=as_view(gate_up_scale_sb).select(1, index))
        added = None if bias is None else bias.select(1, index)
        project_lanes(as_view(both).select(1, index), x, weight, added, cfg.I, sbm)
    sum_over_cores(both, cores_of(cfg), sbm)
    gated(output, both[:, GATE_FUSED_IDX], both[:, UP_FUSED_IDX], gating_of(attrs))
    work.close()


def _config(weights: Any, expert: Any, attrs: MLPParameters, dims: Any) -> ProjConfig:
    shape = tuple(weights.shape) if expert is None else tuple(weights.shape)[1:]
    right = len(shape) == 4 and shape[0] == PARTITIONS and shape[1] == 2 and shape[3] == dims.I
    kernel_assert(
        right, f"gate_up_weights of one expert must be (128, 2, H/512, I) with I = {dims.I}, it is {shape}"
    )
    return ProjConfig(
        H=shape[2] * TILE,
        I=dims.I,
        BxS=dims.T,
        n_prgs=dims.num_shards,
        prg_id=dims.shard_id,
        force_lnc1=attrs.shard_on_h_disabled,
    )


def _expert(tensor: Any, index: Any) -> TensorView:
    """One expert's part of ``[E, …]``, or the tensor if there is no index."""
    return as_view(tensor) if index is None else as_view(tensor).select(0, index)


def _own_hidden(values: TensorView, scales: TensorView, cfg: ProjConfig) -> MxOperand:
    if values.shape[1] == cfg.n_H512_tile:
        values, scales = _own_tiles(values, 1, cfg), _own_tiles(scales, 1, cfg)
    shape = (PARTITIONS, cfg.n_H512_tile_sharded, cfg.BxS)
    assert_shape(values, shape, "hidden", "It is (128, H/512/cores, T).")
    assert_shape(scales, shape, "hidden_scale", "It is that of the values.")
    return MxOperand(values=values, scales=scales)


def _gather_scales(dst: Any, src: Any, numbers: Any, cfg: ProjConfig) -> None:
    """``dst[p] = this core's part of row numbers[p]``; nothing where there is no such row."""
    experts, each, both, tiles, inner = src.shape
    plane = tiles * inner
    rows = src.reshape((experts * each, both * plane))
    own = cfg.n_H512_tile_sharded * inner
    nisa.dma_copy(
        dst=dst.reshape((PARTITIONS, both, own)),
        src=rows.ap(
            pattern=[[both * plane, PARTITIONS], [plane, both], [1, own]],
            offset=cfg.prg_id * own,
            vector_offset=numbers,
        ),
        oob_mode=nisa.oob_mode.skip,
    )


def _load_bias(bias: Any, expert: Any, cfg: ProjConfig, work: Scratch) -> Any:
    """The bias ``[P, 2, ⌈I/512⌉, 4]`` in SBUF on the core that adds it; else None."""
    if bias is None or cfg.prg_id != 0:
        return None
    source = _expert(bias, expert)
    rows = PARTITIONS if cfg.I >= TILE else rest(cfg.I)
    assert_shape(
        source, (rows, 2, mx_tiles_of(cfg.I), LANES), "gate_up_bias", "It is (P, 2, ceil(I/512), 4)."
    )
    tile = as_view(work.tile(tuple(source.shape), bias.dtype))
    nisa.dma_copy(dst=tile.get_view(), src=source.get_view())
    return tile
