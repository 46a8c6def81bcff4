"""Decode RMSNorm with MX quantisation: values, scales, the division between cores, residuals and checks."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP16, drawn, per_core
from kernels import check_close, launch, rejected
from mxs import decoded
from npref_attn import rmsnorm_mx_ref

from nkilib.core.subkernels.rmsnorm_mx_quantize_tkg import rmsnorm_mx_quantize_tkg
from nkisim.core.dtypes import dtype_of

NAMES = {np.dtype(np.float16): "fp16", BF16: "bf16"}
RTOL = {np.dtype(np.float16): 2**-10, BF16: 2**-7}
"""h·γ, y and the residual sum are rounded in the expected values, too: what differs is one step."""
ROWS = [32 * (row // 4) + row % 4 for row in range(16)]
"""Partitions of the scales."""


def outputs(x: Any, dtype: Any, hidden: int | None = None) -> list[Any]:
    tokens, hidden = x.shape[0] * x.shape[1], hidden or x.shape[2]
    shape = (128, hidden // 512, tokens)
    return [
        nl.ndarray((128, tokens, hidden // 128), dtype=dtype, buffer=nl.sbuf),
        nl.ndarray(shape, dtype=nl.float8_e4m3fn_x4, buffer=nl.sbuf),
        nl.ndarray(shape, dtype=nl.uint8, buffer=nl.sbuf),
    ]


def kernel(x: Any, gamma: Any, residual: Any = None, dtype: Any = None, **options: Any) -> Any:
    """[own tokens of the output by core, quantised by core, scales by core (without undefined ones), h?]"""
    output, quant, scale = outputs(x, dtype or x.dtype)
    nisa.memset(dst=scale, value=99)
    stored = None
    if residual is not None:
        tokens, hidden = x.shape[0] * x.shape[1], x.shape[2]
        stored = nl.ndarray((tokens, hidden), dtype=residual.dtype, buffer=nl.shared_hbm)
    got = rmsnorm_mx_quantize_tkg(x, gamma, output, quant, scale, residual, stored, **options)
    assert list(got) == [output, quant, scale] + ([] if stored is None else [stored])
    half = output.shape[1] // 2
    own = output[:, nl.program_id(0) * half : (nl.program_id(0) + 1) * half]
    return [per_core(own), per_core(quant), per_core(scale)] + ([] if stored is None else [stored])


class Case:
    def __init__(
        self, batch: int, sequence: int, hidden: int, actual: int | None = None, add: bool = False,
        dtype: Any = FP16, out_dtype: Any = None,
    ) -> None:  # fmt: skip
        self.x, self.gamma = drawn((batch, sequence, hidden), dtype), drawn((1, hidden), dtype, 1)
        self.residual = drawn((batch, sequence, hidden), dtype, 2) if add else None
        self.actual, self.out_dtype = actual, out_dtype or dtype

    def run(self, lnc: int = 2, **options: Any) -> Any:
        """Output ``[128, T, H/128]``, elements ``[cores, 128, H/512, T, 4]``, scales by core, h."""
        options = {"hidden_actual": self.actual, "dtype": dtype_of(NLNAMES[self.out_dtype])} | options
        got = launch(kernel, self.x, self.gamma, self.residual, lnc=lnc, target="trn3", **options)
        got[0] = np.concatenate(got[0], 1)
        got[1] = got[1].view(np.uint8).reshape(*got[1].shape, 4)
        return [*got, None][:4]

    def expected(self, eps: float = 1e-6) -> Any:
        name = NAMES[self.x.dtype]
        return rmsnorm_mx_ref(
            self.x, self.gamma, self.residual, eps, self.actual, NAMES[self.out_dtype], name, name
        )

    def check(self, got: Any, want: Any) -> None:
        tolerance = RTOL[self.out_dtype]
        check_close(got[0], want[0], tolerance)
        if self.residual is not None:
            check_close(got[3], want[3], 0, 0)
        y = lanes(got[0].astype(np.float64))
        scale, quantised = quantised_of(y)
        for elements, scales in zip(got[1], got[2], strict=True):
            assert np.array_equal(scales[ROWS], scale)
            assert np.array_equal(decoded(elements), quantised)
        # A group may change its scale only where its largest value lies next to a power of two.
        assert (scale != want[2][ROWS]).mean() < 1e-3


NLNAMES = {np.dtype(np.float16): "float16", BF16: "bfloat16"}


def lanes(y: Any) -> Any:
    """``[128, T, H/128]`` as ``[128, H/512, T, 4]``."""
    return y.reshape(*y.shape[:2], 4, -1).transpose(0, 3, 1, 2)


def quantised_of(y: Any) -> tuple[Any, Any]:
    """Scales ``[16, C, T]`` and element values of lanes ``[128, C, T, 4]``, from their definition."""
    groups = np.abs(y).reshape(16, 8, *y.shape[1:]).max((1, 4))
    scales = np.floor(np.log2(groups)).astype(int) + 127 - 8
    scaled = np.clip(y / 2.0 ** (scales.repeat(8, 0)[..., None] - 127), -448, 448)
    # 3 bits of mantissa, steps of 2^-9 at least; halves to even.
    _, exponent = np.frexp(scaled)
    step = 2.0 ** (np.maximum(exponent - 1, -6) - 3)
    return scales.astype(np.uint8), (np.rint(scaled / step) * step).astype(np.float32)


CASES = [
    # B, S, H, hidden_actual, with a residual
    (32, 1, 512, None, False),
    (16, 3, 3072, 2880, False),
    (32, 5, 1024, 1000, False),
    (256, 1, 1024, None, True),
    (64, 5, 1024, 960, True),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values(case: tuple[Any, ...]) -> None:
    made = Case(*case)
    made.check(made.run(), made.expected())


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        (64, 1, 512, None, False),
        (256, 1, 3072, 2880, False),
        (32, 5, 3072, 2880, False),
        (128, 5, 3072, 2880, False),
        (256, 1, 3072, 2880, True),
        (64, 5, 3072, 2880, True),
        (128, 5, 1024, 960, True),
    ],
    ids=str,
)
def test_large(case: tuple[Any, ...]) -> None:
    made = Case(*case)
    made.check(made.run(), made.expected())


def test_residual_of_two_tiles_and_a_rest() -> None:
    """T/2 = 320 = 2·128 + 64."""
    made = Case(640, 1, 1024, None, True)
    made.check(made.run(), made.expected())


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("types", [(BF16, BF16), (BF16, FP16), (FP16, BF16)], ids=str)
def test_types(types: tuple[Any, Any], add: bool) -> None:
    made = Case(256, 1, 1024, None, add, *types)
    got, want = made.run(), made.expected()
    check_close(got[0], want[0], 2**-7)
    made.check(got, [got[0], None, want[2], want[3]])


def test_only_sixteen_partitions_of_the_scales_are_written() -> None:
    _, _, scales, _ = Case(32, 1, 512).run()
    untouched = np.ones(128, bool)
    untouched[ROWS] = False
    assert (scales[:, untouched] == 99).all()
    assert not (scales[:, ~untouched] == 99).any()


def test_both_cores_have_everything_quantised() -> None:
    _, elements, scales, _ = Case(32, 1, 512).run()
    assert np.array_equal(elements[0], elements[1])
    assert np.array_equal(scales[0], scales[1])


def test_quantised_values_are_those_of_the_norm() -> None:
    """Within 2^-3 of the largest of a group."""
    made = Case(16, 3, 3072, 2880)
    _, elements, scales, _ = made.run()
    y = lanes(made.expected()[0].astype(np.float64))
    largest = np.abs(y).reshape(16, 8, *y.shape[1:]).max((1, 4)).repeat(8, 0)[..., None]
    found = decoded(elements[1]) * 2.0 ** (scales[1][ROWS].astype(int).repeat(8, 0)[..., None] - 127)
    assert (np.abs(found - y) <= 2**-3 * largest).all()


def test_padding_that_is_not_zero_counts() -> None:
    """The sum is over all of H, its divisor is hidden_actual."""
    made = Case(32, 1, 1024, 700)
    made.x[..., 700:] = 3
    got = made.run()
    made.check(got, made.expected())
    assert not np.array_equal(got[0], made.run(hidden_actual=None)[0])


def test_gamma() -> None:
    made = Case(32, 1, 512)
    with_gamma = made.run()[0]
    made.gamma = np.ones_like(made.gamma)
    got = made.run()
    made.check(got, made.expected())
    assert not np.array_equal(with_gamma, got[0])


def test_eps() -> None:
    made = Case(32, 1, 512)
    check_close(made.run(eps=3.0)[0], made.expected(3.0)[0], RTOL[made.x.dtype])


def test_the_product_with_gamma_is_rounded_first() -> None:
    """Values that the second rounding alone would give differ in many places, what is expected in none."""
    made = Case(32, 1, 1024, dtype=BF16, out_dtype=FP16)
    x, gamma = made.x.astype(np.float64).reshape(32, -1), made.gamma.astype(np.float64)
    factor = 1 / np.sqrt((x * x).mean(1, keepdims=True) + 1e-6)
    once = (x * gamma * factor).reshape(32, -1, 128).transpose(2, 0, 1)
    got = made.run()[0].astype(np.float64)
    want = made.expected()[0].astype(np.float64)
    size = np.abs(want) + 1e-6
    assert (np.abs(got - want) / size).max() < 2**-9
    assert (np.abs(got - once) / size).max() > 2**-9


def test_runs_are_equal() -> None:
    made = Case(256, 1, 1024, None, True)
    for first, again in zip(made.run()[:3], made.run()[:3], strict=True):
        assert np.array_equal(first.view(np.uint8), again.view(np.uint8))


@pytest.mark.parametrize("lnc", [0, 1])
def test_needs_two_cores(lnc: int) -> None:
    def alone(x: Any, gamma: Any) -> Any:
        rmsnorm_mx_quantize_tkg(x, gamma, *outputs(x, x.dtype))

    made = Case(32, 1, 512)
    with rejected("runs on two cores, not on 1"):
        launch(alone, made.x, made.gamma, lnc=lnc, target="trn3")


@pytest.mark.parametrize(
    ("sizes", "add", "options", "text"),
    [
        ((32, 1, 640), False, {}, "H must be a multiple of 512"),
        ((6, 1, 512), False, {}, "B*S must be a multiple of 4, it is 6"),
        ((32, 1, 512), False, {"hidden_dim_tp": False}, "pass hidden_dim_tp=True"),
        ((32, 1, 512), False, {"dtype": dtype_of("float32")}, "output must be float16 or bfloat16"),
        ((128, 1, 1024), True, {}, "B*S must be at least 256, it is 128"),
        ((256, 1, 512), True, {}, "H/128 must be a multiple of 8, it is 4"),
    ],
)
def test_rejected(sizes: tuple[int, ...], add: bool, options: Any, text: str) -> None:
    with rejected(text):
        Case(*sizes, None, add).run(**options)


@pytest.mark.parametrize("which", [1, 2], ids=["values", "scales"])
def test_outputs_of_another_shape(which: int) -> None:
    def wrong(x: Any, gamma: Any) -> Any:
        given = outputs(x, x.dtype)
        given[which] = outputs(x, x.dtype, 1024)[which]
        rmsnorm_mx_quantize_tkg(x, gamma, *given)

    made = Case(32, 1, 512)
    with rejected("quantised values and scales must be (128, 1, 32), one is (128, 2, 32)"):
        launch(wrong, made.x, made.gamma, lnc=2, target="trn3")


def test_a_residual_needs_its_output() -> None:
    def without(x: Any, gamma: Any, residual: Any) -> Any:
        rmsnorm_mx_quantize_tkg(x, gamma, *outputs(x, x.dtype), residual)

    made = Case(256, 1, 1024, None, True)
    with rejected("output_residual"):
        launch(without, made.x, made.gamma, made.residual, lnc=2, target="trn3")
