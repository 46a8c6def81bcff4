"""RMSNorm with quantisation: values, scales and their packing, options, division of rows, and checks."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP8, FP16, FP32, drawn
from kernels import check_close, launch, rejected
from numpy_cases import CASES
from numpy_ref import rmsnorm_quant_ref

import nkisim
from nkilib.core.rmsnorm.rmsnorm_quant import RmsNormQuantKernelArgs, rmsnorm_quant_kernel
from nkilib.core.rmsnorm.rmsnorm_quant_constants import build_rms_norm_quant_constants
from nkilib.core.rmsnorm.rmsnorm_quant_tile_info import build_rms_norm_quant_tile_info
from nkilib.core.utils.common_types import NormType, QuantizationType

ROW, STATIC = QuantizationType.ROW, QuantizationType.STATIC
VALUES_RTOL, SCALES_RTOL = 0.072, 0.007


def options(**changes: Any) -> Any:
    return RmsNormQuantKernelArgs(**changes)


def scales(value: float) -> Any:
    return np.full((128, 1), value, np.float32)


def unpacked(packed: Any) -> tuple[Any, Any]:
    """Quantised values, and each row's scale from the four bytes behind them."""
    raw = np.ascontiguousarray(packed[..., -4:]).view(np.uint8)
    return packed[..., :-4], raw.view("<f4")


def check_rows(got: Any, q: Any, scale: Any) -> None:
    values, found = unpacked(got)
    check_close(values, q, VALUES_RTOL, 1e-5)
    check_close(found, scale, SCALES_RTOL, 0)


NO_NORM = NormType.NO_NORM
CASE_OPTIONS = {
    "RQ-01": ({}, None), "RQ-02": ({}, None), "RQ-03": ({"norm_type": NO_NORM}, None), "RQ-04": ({"lower_bound": 0.5}, None),
    "RQ-05": ({}, None), "RQ-06": ({"quantization_type": STATIC}, 0.5),
    "RQ-07": ({"quantization_type": STATIC, "norm_type": NO_NORM}, 0.01),
}  # fmt: skip


@pytest.mark.parametrize("lnc", [0, 1, 2])
@pytest.mark.parametrize("case", CASE_OPTIONS)
def test_cases(case: str, lnc: int) -> None:
    given, want = CASES[case]()
    changes, scale = CASE_OPTIONS[case]
    x, gamma = given["x"].astype(BF16), given["gamma"].astype(BF16)
    got = launch(rmsnorm_quant_kernel, x, gamma, options(**changes), scale and scales(scale), lnc=lnc)
    assert got.dtype == FP8
    if scale is None:
        check_rows(got, want["q"], want["scale"])
    else:
        check_close(got, want["q"], VALUES_RTOL, 1e-5)


@pytest.mark.parametrize("dtype", [BF16, FP16, FP32])
@pytest.mark.parametrize("bound", [0.0, 0.5])
def test_types(dtype: Any, bound: float) -> None:
    x, gamma = drawn((2, 130, 300), dtype), drawn((300,), dtype, 1)
    got = launch(rmsnorm_quant_kernel, x, gamma, options(lower_bound=bound), lnc=2)
    check_rows(got, *rmsnorm_quant_ref(x, gamma, lower_bound=bound))


def test_ones() -> None:
    got = launch(rmsnorm_quant_kernel, np.ones((1, 160, 1024), BF16), np.ones(1024, BF16), options(), lnc=2)
    values, scale = unpacked(got)
    assert (values.astype(FP32) == 240).all()
    assert np.array_equal(scale, np.full((1, 160, 1), np.float32(1 / 240) * np.float32(1), FP32))


def test_a_row_of_zeros() -> None:
    x = drawn((3, 256))
    x[1] = 0
    values, scale = unpacked(launch(rmsnorm_quant_kernel, x, np.ones(256, BF16), options()))
    assert (values[1].astype(FP32) == 0).all()
    assert scale[1] == np.float32(1e-6)
    assert np.abs(values[[0, 2]].astype(FP32)).max() == 240


def test_equal_rows_give_equal_results() -> None:
    x = np.repeat(drawn((1, 512)), 150, 0)
    got = launch(rmsnorm_quant_kernel, x, drawn((512,), seed=1), options(), lnc=2).view(np.uint8)
    assert (got == got[0]).all()


def test_rows_that_do_not_divide() -> None:
    x, gamma = drawn((5, 256)), drawn((256,), seed=1)
    one, two = (launch(rmsnorm_quant_kernel, x, gamma, options(), lnc=lnc).tobytes() for lnc in (1, 2))
    assert one == two


def test_both_shapes_of_gamma() -> None:
    x, gamma = drawn((5, 256)), drawn((256,), seed=1)
    flat, row = (launch(rmsnorm_quant_kernel, x, g, options()).tobytes() for g in (gamma, gamma[None]))
    assert flat == row


def test_gamma_is_not_read_without_norm() -> None:
    x = drawn((5, 256))
    got = launch(rmsnorm_quant_kernel, x, np.full(3, np.nan, BF16), options(norm_type=NormType.NO_NORM))
    check_rows(got, *rmsnorm_quant_ref(x, None, norm="NO_NORM"))


def test_eps_counts() -> None:
    x, gamma = drawn((5, 256)), drawn((256,), seed=1)
    check_rows(
        launch(rmsnorm_quant_kernel, x, gamma, options(eps=3.0)), *rmsnorm_quant_ref(x, gamma, eps=3.0)
    )


@pytest.mark.parametrize("scale", [0.01, 0.7])
def test_static_ignores_the_bound(scale: float) -> None:
    x, gamma = drawn((2, 70, 640)), drawn((640,), seed=1)
    kargs = options(quantization_type=STATIC, lower_bound=0.5)
    got = launch(rmsnorm_quant_kernel, x, gamma, kargs, scales(scale), lnc=2)
    assert got.shape == x.shape
    check_close(got, rmsnorm_quant_ref(x, gamma, "STATIC", in_scale=scale)[0], VALUES_RTOL)


def test_widths_of_any_size() -> None:
    x, gamma = drawn((3, 5001)), drawn((5001,), seed=1)
    check_rows(launch(rmsnorm_quant_kernel, x, gamma, options()), *rmsnorm_quant_ref(x, gamma))


def test_many_leading_dimensions() -> None:
    x, gamma = drawn((2, 3, 4, 64)), drawn((64,), seed=1)
    got = launch(rmsnorm_quant_kernel, x, gamma, options())
    assert got.shape == (2, 3, 4, 68)
    check_rows(got, *rmsnorm_quant_ref(x, gamma))


@pytest.mark.slow
@pytest.mark.parametrize("quantization", [ROW, STATIC])
@pytest.mark.parametrize("sequence", [2, 160, 2048])
def test_widest(sequence: int, quantization: Any) -> None:
    x, gamma = drawn((1, sequence, 16384)), drawn((16384,), seed=1)
    kargs = options(quantization_type=quantization)
    if quantization == ROW:
        got = launch(rmsnorm_quant_kernel, x, gamma, kargs, lnc=2)
        check_rows(got, *rmsnorm_quant_ref(x, gamma))
    else:
        got = launch(rmsnorm_quant_kernel, x, gamma, kargs, scales(0.02), lnc=2)
        check_close(got, rmsnorm_quant_ref(x, gamma, "STATIC", in_scale=0.02)[0], VALUES_RTOL)


def test_input_and_output_move_once() -> None:
    x, gamma = drawn((300, 1024)), drawn((1024,), seed=1)
    with nkisim.trace() as trace:
        launch(rmsnorm_quant_kernel, x, gamma, options(), lnc=2)
    assert trace.hbm_read == x.nbytes + 2 * gamma.nbytes
    assert trace.hbm_written == 300 * 1028


def test_the_language_and_memory_are_checked() -> None:
    x, gamma = drawn((2, 130, 256)), drawn((256,), seed=1)
    with nkisim.strict():
        launch(rmsnorm_quant_kernel, x, gamma, options(lower_bound=0.5), lnc=2)
        launch(rmsnorm_quant_kernel, x, gamma, options(quantization_type=STATIC), scales(0.5), lnc=2)


def test_runs_agree_bit_by_bit() -> None:
    x, gamma = drawn((2, 130, 512)), drawn((512,), seed=1)
    first, second = (launch(rmsnorm_quant_kernel, x, gamma, options(), lnc=2).tobytes() for _ in range(2))
    assert first == second


def test_what_arguments_say() -> None:
    kargs = options()
    assert (kargs.lower_bound, kargs.norm_type, kargs.quantization_type, kargs.eps) == (
        0.0,
        NormType.RMS_NORM,
        ROW,
        1e-6,
    )
    assert (kargs.needs_rms_normalization(), kargs.is_row_quant(), kargs.is_static_quant()) == (
        True,
        True,
        False,
    )
    assert not options(norm_type=NormType.NO_NORM).needs_rms_normalization()
    assert options(quantization_type=STATIC).is_static_quant()
    bounds = [options(lower_bound=bound).has_lower_bound() for bound in (0.0, 1e-6, 1e-5, 0.5)]
    assert bounds == [False, False, True, True]
    assert RmsNormQuantKernelArgs(0.5, NormType.NO_NORM, STATIC, 1e-5).eps == 1e-5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lower_bound": -0.1}, "lower_bound"),
        ({"norm_type": NormType.LAYER_NORM}, "norm_type"),
        ({"norm_type": NormType.RMS_NORM_SKIP_GAMMA}, "norm_type"),
        ({"quantization_type": QuantizationType.NONE}, "quantization_type"),
        ({"quantization_type": QuantizationType.MX}, "quantization_type"),
        ({"eps": -1.0}, "eps"),
    ],
)
def test_arguments_are_checked(changes: Any, words: str) -> None:
    with rejected(words):
        options(**changes)


@pytest.mark.parametrize(
    ("shape", "gamma", "changes", "scale", "lnc", "words"),
    [
        ((256,), (256,), {}, None, 1, "at least 2 dimensions"),
        ((0, 2, 256), (256,), {}, None, 1, "empty"),
        ((2, 16385), (16385,), {}, None, 1, "16384"),
        ((1, 2, 16385), (16385,), {}, None, 1, "16384"),
        ((3, 2, 64), (64,), {}, None, 1, "batch"),
        ((1, 32769, 8), (8,), {}, None, 1, "sequence"),
        ((65537, 8), (8,), {}, None, 1, "65536 rows"),
        ((1, 1, 16385, 8), (8,), {}, None, 1, "dimension 2"),
        ((1, 64), (64,), {}, None, 2, "2 programs"),
        ((2, 64), (32,), {}, None, 1, "ln_w"),
        ((2, 64), (2, 64), {}, None, 1, "ln_w"),
        ((2, 64), (1, 1, 64), {}, None, 1, "ln_w"),
        ((2, 64), (64,), {"quantization_type": STATIC}, None, 1, "input_dequant_scale"),
        ((2, 64), (64,), {"quantization_type": STATIC}, (1, 1), 1, "input_dequant_scale"),
    ],
)
def test_inputs_are_checked(shape: Any, gamma: Any, changes: Any, scale: Any, lnc: int, words: str) -> None:
    given = None if scale is None else np.ones(scale, np.float32)
    with rejected(words):
        launch(
            rmsnorm_quant_kernel,
            np.zeros(shape, BF16),
            np.zeros(gamma, BF16),
            options(**changes),
            given,
            lnc=lnc,
        )


def test_tiles_of_rows_and_columns() -> None:
    tiles = build_rms_norm_quant_tile_info((300, 1100))
    rows, columns = tiles.outer_dim_tile, tiles.proc_dim_tile
    assert [rows.get_tile_bound(tile) for tile in range(rows.tile_count)] == [128, 128, 44]
    assert [columns.get_tile_bound(tile) for tile in range(columns.tile_count)] == [512, 512, 76]


def test_constants() -> None:
    def kernel(x: Any) -> Any:
        shape = tuple(x.shape)
        made = build_rms_norm_quant_constants(build_rms_norm_quant_tile_info(shape), 0.1, shape)
        out = []
        for tile in (
            made.outer_dim_tile_zero_bias_vector_sbuf,
            made.rmsn_eps_bias_sbuf,
            made.pe_broadcast_ones_vector_sbuf,
        ):
            stored = nl.ndarray(tile.shape, dtype=nl.float32, buffer=nl.shared_hbm)
            nisa.dma_copy(dst=stored, src=tile)
            out.append(stored)
        seen.append(made)
        return tuple(out)

    seen: list[Any] = []
    zeros, eps, ones = launch(kernel, drawn((300, 1100)))
    assert np.array_equal(zeros, np.zeros((128, 1), FP32))
    assert np.array_equal(eps, np.full((128, 1), 0.10009765625, FP32))
    assert np.array_equal(ones, np.ones((1, 128), FP32))
    (made,) = seen
    assert (made.outer_dim_size, made.proc_dim_size) == (300, 1100)
    assert (made.compute_data_type, made.quant_data_type) == (nl.bfloat16, nl.float8_e4m3)
    assert (made.quant_data_type_range, made.dequant_scale_size, made.min_dequant_scale_value) == (
        240,
        4,
        1e-6,
    )
    assert (made.num_hw_psum_banks, made.MAX_S, made.MAX_H, made.MAX_B) == (8, 32768, 16384, 2)


def test_eps_is_rounded_to_the_type_of_the_rows() -> None:
    """Rows so small that eps decides: bf16(0.3) is 0.30078125."""
    x, gamma = np.full((1, 256), 2.0**-10, BF16), np.full(256, 704, FP32)
    _, scale = unpacked(launch(rmsnorm_quant_kernel, x, gamma, options(eps=0.3)))
    rounded, exact = (
        np.array(2.0**-10 * 704 / np.sqrt(2.0**-20 + eps), BF16).astype(FP32) for eps in (0.30078125, 0.3)
    )
    assert rounded != exact
    assert abs(scale * 240 / rounded - 1) < 1e-6
