"""Integer arithmetic, launch information and properties of types."""

from __future__ import annotations

from types import SimpleNamespace

import nki.language as nl
import numpy as np
import pytest
from kernels import launch, rejected

from nkilib.core.utils import kernel_helpers as helpers
from nkilib.core.utils.common_types import ActFnType, NormType


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("get_ceil_quotient", (10, 3), 4),
        ("get_ceil_quotient", (9, 3), 3),
        ("get_ceil_quotient", (0, 5), 0),
        ("get_ceil_aligned_size", (130, 128), 256),
        ("get_ceil_aligned_size", (128, 128), 128),
        ("get_floor_aligned_size", (130, 128), 128),
        ("get_floor_aligned_size", (127, 128), 0),
        ("get_floor_quotient", (7, 2), 3),
        ("div_ceil", (1, 128), 1),
        ("div_ceil", (129, 128), 2),
    ],
)
def test_integers(function, arguments, expected) -> None:
    assert getattr(helpers, function)(*arguments) == expected


def test_constants() -> None:
    assert (helpers.NUM_HW_PSUM_BANKS, helpers.PSUM_BANK_SIZE) == (8, 2048)


@pytest.mark.parametrize(
    ("dtype", "largest"),
    [
        (nl.float8_e4m3, 240.0),
        ("float8e4", 240.0),
        (nl.float8_e5m2, 57344.0),
        (nl.bfloat16, None),
        (nl.float32, None),
    ],
)
def test_largest_values(dtype, largest) -> None:
    assert helpers.get_max_positive_value_for_dtype(dtype) == largest


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("mul", [2, 3, 4], 1), 24),
        (("add", [2, 3], 10), 15),
        (("min", [5, 2, 9], 7), 2),
        (("max", [5, 2, 9], 7), 9),
        (("max", [], 7), 7),
        (("mul", [5], 0), 0),
    ],
)
def test_reduce(arguments, expected) -> None:
    assert helpers.reduce(*arguments) == expected


def test_reduce_multiplies_by_default() -> None:
    assert helpers.reduce(input=[2, 3], initial_value=4) == 24


@pytest.mark.parametrize("arguments", [("mul", [1]), ("mul", None, 1), ("sub", [1], 1), ("sub", [], 1)])
def test_reduce_rejects(arguments) -> None:
    with rejected("reduce"):
        helpers.reduce(*arguments)


@pytest.mark.parametrize(
    ("activation", "operator"),
    [
        (ActFnType.SiLU, nl.silu),
        (ActFnType.GELU, nl.gelu),
        (ActFnType.GELU_Tanh_Approx, nl.gelu_apprx_tanh),
        (ActFnType.Swish, nl.gelu_apprx_sigmoid),
    ],
)
def test_activations(activation, operator) -> None:
    assert helpers.get_nl_act_fn_from_type(activation) is operator


@pytest.mark.parametrize("other", ["SiLU", None, 0, NormType.NO_NORM])
def test_no_activation(other) -> None:
    with rejected("ActFnType"):
        helpers.get_nl_act_fn_from_type(other)


@pytest.mark.parametrize(
    ("norm", "is_rms", "uses_weights"),
    [
        (NormType.NO_NORM, False, False),
        (NormType.RMS_NORM, True, True),
        (NormType.LAYER_NORM, False, True),
        (NormType.RMS_NORM_SKIP_GAMMA, True, False),
    ],
)
def test_norms(norm, is_rms, uses_weights) -> None:
    assert helpers.is_rms_normalization(norm) is is_rms
    assert helpers.normalization_uses_weights(norm) is uses_weights


@pytest.mark.parametrize(
    ("buffer", "expected"),
    [(nl.hbm, True), (nl.shared_hbm, True), (nl.private_hbm, True), (nl.sbuf, False), (nl.psum, False)],
)
def test_hbm(buffer, expected) -> None:
    assert helpers.is_hbm_buffer(SimpleNamespace(buffer=buffer)) is expected


def test_outside_a_kernel() -> None:
    assert helpers.get_program_sharding_info() == (0, 1, 0)
    assert helpers.is_launched_as_spmd() is False


@pytest.mark.parametrize(
    ("lnc", "expected"), [(0, {(0, 1, 0)}), (1, {(1, 1, 0)}), (2, {(1, 2, 0), (1, 2, 1)})]
)
def test_in_a_kernel(lnc, expected) -> None:
    seen, verified, together = set(), set(), set()

    def kernel(x):
        seen.add(helpers.get_program_sharding_info())
        verified.add(helpers.get_verified_program_sharding_info("k", (5,), max_sharding=0))
        together.add(helpers.is_launched_as_spmd())
        return x

    launch(kernel, np.zeros(1, np.float32), lnc=lnc)
    assert (seen, verified, together) == (expected, expected, {lnc == 2})
