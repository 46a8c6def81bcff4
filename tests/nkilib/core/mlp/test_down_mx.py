"""Down projections with MX weights: sizes, cores, biases, where things lie; and the sizes of the configuration."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, in_hbm, in_sbuf, per_core
from kernels import cast, check_close, launch, rejected
from mxs import E2M1, E4M3, E5M2, Operand, columns_of, cores, drawn_mx, on_partitions, own, scales_in_sbuf
from numpy_ref import mx_dequant, mx_quantize

import nkisim
from nkilib.core.mlp.mlp_tkg import projection_mx_constants as constants
from nkilib.core.mlp.mlp_tkg.down_projection_mx_shard_H import (
    down_projection_mx_shard_H,
    down_projection_mx_tp_shard_H,
)
from nkilib.core.mlp.mlp_tkg.projection_mx_constants import ProjConfig

RTOL = 2**-8
"""One rounding to bfloat16; the quantisation is in the expected values, too."""
GARBAGE = 6767.0
"""Where an intermediate has no columns."""


def kernel(inter: Any, w: Any, ws: Any, bias: Any, inner: int, tp: bool, loaded: bool, options: Any) -> Any:
    """``inter`` ``[128, tiles, T, 4]``; ``loaded``: weights in SBUF."""
    cfg = ProjConfig(w.shape[2], inner, inter.shape[2], *cores(), **options)
    if loaded:
        w, ws = in_sbuf(own(w, 2)), scales_in_sbuf(own(ws, 2))
    bias = None if bias is None else in_sbuf(own(bias, 1))
    project = down_projection_mx_tp_shard_H if tp else down_projection_mx_shard_H
    out = project(in_sbuf(inter), w, ws, bias, cfg)
    if tp:
        return per_core(out)
    # Partitions without a token are undefined.
    off, size = cfg.out_p_offset, min(128, cfg.BxS)
    rows = [min(128, cfg.BxS - 128 * tile) for tile in range(out.shape[1])]
    return [per_core(out[off : off + min(size, count), tile]) for tile, count in enumerate(rows)]


class Case:
    """Inputs, and what is expected, ``[T, H]`` in float64."""

    def __init__(self, T: int, H: int, inner: int, dtype: str = E2M1, biased: bool = True) -> None:
        rows, tiles = min(128, inner // 4), -(-inner // 512)
        self.w = drawn_mx(rows, tiles, H, dtype)
        m = cast(np.random.default_rng(1).normal(size=(T, inner)), BF16)
        self.inter = on_partitions(m, GARBAGE).astype(BF16)
        self.inner, self.T, self.H = inner, T, H
        self.bias = cast(np.random.default_rng(2).normal(size=H), BF16) if biased else None
        self.y = np.zeros((T, H))
        for tile, columns in enumerate(columns_of(inner)):
            size = len(columns)
            x = m[:, columns].transpose(1, 0, 2).reshape(size, -1).astype(np.float32)
            quantised = mx_dequant(*mx_quantize(x)).reshape(size, T, 4)
            self.y += np.einsum("ptl,phl->th", quantised, self.w.values[:size, tile])
        if biased:
            self.y += self.bias.astype(np.float64)

    def tokens(self, lnc: int = 1, loaded: bool = False, bias: Any = None, **options: Any) -> Any:
        """``[cores, T, H]``."""
        if bias is None and self.bias is not None:
            bias = self.bias[None]
        return np.concatenate(self.run(bias, False, loaded, options, lnc), 1)

    def hidden(self, lnc: int = 1, loaded: bool = False) -> Any:
        """``[cores, T, H]`` of the kernel with H on the partitions."""
        bias = None if self.bias is None else self.bias.reshape(-1, 128).T.copy()
        got = self.run(bias, True, loaded, {}, lnc)
        return got.transpose(0, 3, 2, 1).reshape(lnc, self.T, self.H)

    def run(self, bias: Any, tp: bool, loaded: bool, options: Any, lnc: int) -> Any:
        w = whole(self.w) if loaded else self.w
        return launch(
            kernel, self.inter, w.raw, w.scales, bias, self.inner, tp, loaded, options, lnc=lnc, target="trn3"
        )


def whole(operand: Operand) -> Operand:
    """With zeros up to 128 partitions."""
    grow = [(0, 128 - len(operand.raw)), (0, 0), (0, 0)]
    scale_grow = [(0, 16 - len(operand.scales)), (0, 0), (0, 0)]
    return Operand(operand.values, np.pad(operand.raw.view(np.uint16), grow).view(operand.raw.dtype), np.pad(operand.scales, scale_grow))  # fmt: skip


CASES = [
    # lnc, T, H, I
    (1, 4, 1024, 512),
    (2, 4, 1024, 512),
    (2, 4, 1024, 192),
    (2, 4, 1024, 768),
    (1, 3, 512, 64),
    (2, 1, 1024, 160),
    (2, 128, 1024, 128),
    (1, 16, 2560, 32),
    (2, 16, 3072, 1056),
]


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("tp", [True, False], ids=["hidden on partitions", "tokens on partitions"])
@pytest.mark.parametrize(("lnc", "T", "H", "inner"), CASES, ids=str)
def test_values(lnc: int, T: int, H: int, inner: int, tp: bool, biased: bool) -> None:
    case = Case(T, H, inner, biased=biased)
    for core in case.hidden(lnc) if tp else case.tokens(lnc):
        check_close(core, case.y, RTOL)


@pytest.mark.parametrize("shuffled", [True, False])
@pytest.mark.parametrize("T", [130, 256, 301])
def test_many_tokens(T: int, shuffled: bool) -> None:
    case = Case(T, 1024, 192)
    for core in case.tokens(2, use_stream_shuffle_broadcast=shuffled):
        check_close(core, case.y, RTOL)


@pytest.mark.parametrize("shuffled", [True, False])
def test_how_a_bias_gets_onto_all_partitions(shuffled: bool) -> None:
    """By shuffles of Vector Engine, or by matmuls (of rank 1) of Tensor Engine."""
    case = Case(4, 1024, 64)
    with nkisim.trace() as trace:
        case.tokens(use_stream_shuffle_broadcast=shuffled)
    counts = trace.instructions()
    assert counts["vector"].get("nc_stream_shuffle", 0) == (1 if shuffled else 0)
    assert counts["tensor"].get("nc_matmul", 0) == (0 if shuffled else 2)


@pytest.mark.slow
@pytest.mark.parametrize(("T", "inner"), [(2048, 192), (256, 384), (2048, 384), (4, 768), (4, 1536)])
def test_large(T: int, inner: int) -> None:
    case = Case(T, 3072, inner)
    for core in case.tokens(2):
        check_close(core, case.y, RTOL)


@pytest.mark.parametrize("tp", [True, False])
@pytest.mark.parametrize("dtype", [E4M3, E5M2])
def test_types_of_weights(dtype: str, tp: bool) -> None:
    case = Case(4, 1024, 192, dtype)
    for core in case.hidden(2) if tp else case.tokens(2):
        check_close(core, case.y, RTOL)


@pytest.mark.parametrize("shuffled", [True, False])
@pytest.mark.parametrize(("offset", "T"), [(32, 4), (64, 64), (96, 31)])
def test_first_partition_of_the_result(offset: int, T: int, shuffled: bool) -> None:
    case = Case(T, 1024, 192)
    options = {"out_p_offset": offset, "use_stream_shuffle_broadcast": shuffled}
    for core in case.tokens(2, **options):
        check_close(core, case.y, RTOL)


@pytest.mark.parametrize("lnc", [1, 2])
def test_a_bias_on_all_partitions(lnc: int) -> None:
    """Each partition has the token's own here, so that it shows which one is used."""
    case = Case(128, 1024, 64)
    bias = cast(np.random.default_rng(3).normal(size=(128, 1024)), BF16)
    want = case.y - case.bias.astype(np.float64) + bias.astype(np.float64)
    for core in case.tokens(lnc, bias=bias):
        check_close(core, want, RTOL)


@pytest.mark.parametrize("inner", [192, 768, 512])
@pytest.mark.parametrize("lnc", [1, 2])
def test_weights_in_sbuf(lnc: int, inner: int) -> None:
    case = Case(4, 1024, inner)
    assert np.array_equal(case.tokens(lnc, loaded=True), case.tokens(lnc))
    assert np.array_equal(case.hidden(lnc, loaded=True), case.hidden(lnc))


def test_what_lies_behind_a_ragged_tile_is_not_used() -> None:
    """Neither of the intermediate, nor of weights and scales that have 128 partitions."""
    case = Case(4, 1024, 768)
    want = case.tokens(2)
    rest = (768 - 512) // 4
    case.inter[rest:, 1] = np.nan
    case.w.raw[rest:, 1] = case.w.raw[:rest, 0]
    case.w.scales[rest // 8 :, 1] = 254
    assert np.array_equal(case.tokens(2), want)
    assert np.isfinite(want.astype(np.float32)).all()


def test_runs_are_equal() -> None:
    case = Case(4, 1024, 192)
    assert np.array_equal(case.tokens(2), case.tokens(2))
    assert np.array_equal(case.hidden(2), case.hidden(2))


@pytest.mark.parametrize(
    ("T", "H", "inner", "lnc", "tp", "text"),
    [
        (129, 1024, 64, 1, True, "at most 128 tokens, there are 129"),
        (4, 1536, 64, 2, False, "H must be a multiple of 512, it is 768"),
    ],
)
def test_sizes_that_do_not_fit(T: int, H: int, inner: int, lnc: int, tp: bool, text: str) -> None:
    case = Case(T, H, inner)
    with rejected(text):
        case.hidden(lnc) if tp else case.tokens(lnc)


@pytest.mark.parametrize(
    ("changed", "shape", "text"),
    [
        (0, (128, 1, 3, 4), "inter_sb must have shape (128, 1, 4, 4)"),
        (1, (128, 1, 1024), "weight must have shape (48, 1, 1024)"),
        (2, (16, 1, 1024), "weight_scale must have shape (6, 1, 1024)"),
        (3, (1, 1023), "bias_sb must have shape (1, 1024)"),
        (3, (128, 1023), "bias_sb must have shape (128, 1024)"),
    ],
)
@pytest.mark.parametrize("tp", [True, False])
def test_shapes_that_do_not_fit(changed: int, shape: tuple[int, ...], text: str, tp: bool) -> None:
    case = Case(4, 1024, 192)
    inputs = [case.inter, case.w.raw, case.w.scales, case.bias[None]]
    inputs[changed] = np.zeros(shape, inputs[changed].dtype)

    def checked(inter: Any, w: Any, ws: Any, bias: Any) -> Any:
        project = down_projection_mx_tp_shard_H if tp else down_projection_mx_shard_H
        bias = None if tp and changed < 3 else in_sbuf(bias)
        return in_hbm(project(in_sbuf(inter), w, ws, bias, ProjConfig(1024, 192, 4, 1, 0)))

    with rejected("bias_sb must have shape (128, 8)" if tp and changed == 3 else text):
        launch(checked, *inputs, target="trn3")


@pytest.mark.parametrize("changed", [1, 2])
def test_weights_in_sbuf_of_another_shape(changed: int) -> None:
    case = Case(4, 1024, 192)
    held = whole(case.w)
    inputs = [case.inter, held.raw, held.scales]
    inputs[changed] = inputs[changed][..., 1:].copy()

    def checked(inter: Any, w: Any, ws: Any) -> Any:
        operands = in_sbuf(inter), in_sbuf(w), scales_in_sbuf(ws)
        return in_hbm(down_projection_mx_shard_H(*operands, None, ProjConfig(1024, 192, 4, 1, 0)))

    with rejected(f"{('weight', 'weight_scale')[changed - 1]} must have shape (128, 1, 1024)"):
        launch(checked, *inputs, target="trn3")


# -- the configuration ---------------------------------------------------------------------------------------


def test_sizes_of_a_configuration() -> None:
    cfg = ProjConfig(3072, 384, 4, 2, 0)
    found = {name: getattr(cfg, name) for name in SIZES}
    assert found == SIZES


SIZES = {
    "H0": 128, "H1": 24, "H1_sharded": 12, "H_sharded": 1536, "n_H512_tile": 6, "n_H512_tile_sharded": 3,
    "n_I512_tile": 0, "r_I512_tile": 384, "n_total_I512_tile": 1, "n_par_r_I512_tile": 96, "BxS_tile_sz": 4,
    "H_tile_size": 512, "n_H_tile_sharded": 3,
}  # fmt: skip


def test_more_sizes() -> None:
    cfg = ProjConfig(4096, 1184, 300, 2, 1)
    assert (cfg.H_tile_size, cfg.n_H_tile_sharded, cfg.BxS_tile_sz) == (1024, 2, 256)
    assert (cfg.n_I512_tile, cfg.r_I512_tile, cfg.n_total_I512_tile, cfg.n_par_r_I512_tile) == (2, 160, 3, 40)


def test_a_configuration_of_one_core() -> None:
    cfg = ProjConfig(3072, 384, 4, 2, 1, force_lnc1=True)
    assert (cfg.n_prgs, cfg.prg_id, cfg.n_H512_tile_sharded, cfg.H_sharded) == (1, 0, 6, 3072)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((1000, 384, 4, 2, 0), "H must be a multiple of 128, it is 1000"),
        ((384, 384, 4, 2, 0), "H / 128 = 3 must divide by 2 cores"),
        ((1024, 384, 4, 4, 0), "a core's part of H must be a multiple of 512, it is 256"),
        ((1024, 528, 4, 1, 0), "I must be a multiple of 32, it is 528"),
        ((1024, 384, 4, 1, 0, False, False, 0, 16), "out_p_offset must be 0, 32, 64 or 96, it is 16"),
        ((1024, 384, 4, 1, 0, False, False, 0, 128), "out_p_offset must be 0, 32, 64 or 96, it is 128"),
        ((1024, 384, 64, 1, 0, False, False, 0, 96), "64 tokens from partition 96 on do not fit"),
    ],
)
def test_configurations_that_cannot_be(arguments: tuple[Any, ...], text: str) -> None:
    with rejected(text):
        ProjConfig(*arguments)


def test_constants() -> None:
    found = {name: getattr(constants, name) for name in CONSTANTS}
    assert found == CONSTANTS
    assert nl.uint8 == constants.MX_SCALE_DTYPE


CONSTANTS = {
    "NUM_QUADRANTS_IN_SBUF": 4, "SBUF_QUADRANT_SIZE": 32, "_q_height": 8, "_q_width": 4,
    "MX_DTYPES": [nl.float4_e2m1fn_x4, nl.float8_e4m3fn_x4, nl.float8_e5m2_x4],
    "SUPPORTED_QMX_INPUT_DTYPES": [nl.float16, nl.bfloat16],
    "SUPPORTED_QMX_OUTPUT_DTYPES": [nl.float8_e4m3fn_x4], "SUPPORTED_QMX_OUTPUT_F_DIMS": [128, 512],
    "SCALE_P_ELEM_PER_QUADRANT": 4, "ALLOWED_P_SCALE_IDX_OFFSETS": [0, 4, 8, 12],
    "ALLOWED_P_DIM_MX": [32, 64, 128], "ALLOWED_UNPACKED_P_DIM_MX": [128, 256, 512],
    "GATE_FUSED_IDX": 0, "UP_FUSED_IDX": 1, "_pmax": 128, "_psum_fmax": 512, "_psum_bmax": 8,
}  # fmt: skip
