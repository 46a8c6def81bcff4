"""Helpers of the output projection that kernels of one's own can use, also by their old names."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import numpy as np
import oldcode
import pytest
from blockcheck import in_hbm
from kernels import launch, rejected

from nkilib.core.output_projection.output_projection_cte.output_projection_cte_parameters import (
    validate_output_projection_inputs,
)
from nkilib.core.output_projection.output_projection_cte.output_projection_cte_tensor_io import (
    get_zero_bias_vector_sbuf,
    invert_static_quant_scales,
    load_static_quant_input_scales,
    load_static_quant_weight_scales,
)

PACKAGE = "nkilib.core.output_projection.output_projection_cte"
FITS: dict[str, Any] = {
    "b_size": 1, "n_size": 17, "d_size": 128, "s_size": 131072, "h_size": 20704, "n_prgs": 2,
    "attention_dtype": nl.bfloat16, "weight_dtype": nl.float8_e4m3,
}  # fmt: skip


def scales(weight, given):
    """What a quantised product is multiplied with, and what its operand is."""
    loaded = load_static_quant_input_scales(given)
    product = load_static_quant_weight_scales(weight, loaded)
    inverse = invert_static_quant_scales(loaded)
    return in_hbm(product), in_hbm(inverse), in_hbm(loaded)


def test_scales() -> None:
    draw = np.random.default_rng(0)
    weight, given = draw.uniform(0.1, 2, (2, 128, 1)).astype(np.float32)
    product, inverse, loaded = launch(scales, weight, given)
    np.testing.assert_allclose(product, weight * given, rtol=1e-6)
    np.testing.assert_allclose(inverse, 1 / given, rtol=1e-6)
    assert np.array_equal(loaded, inverse)


@pytest.mark.parametrize(("size", "dtype"), [(128, nl.float32), (7, nl.bfloat16)])
def test_zeros(size: int, dtype: Any) -> None:
    got = launch(lambda: in_hbm(get_zero_bias_vector_sbuf(size, dtype)))
    assert got.shape == (size, 1)
    assert not got.any()
    assert launch(lambda: in_hbm(get_zero_bias_vector_sbuf(size))).dtype == np.float32


def test_old_names() -> None:
    names = [
        "get_zero_bias_vector_sbuf",
        "invert_static_quant_scales",
        "load_static_quant_input_scales",
        "load_static_quant_weight_scales",
    ]
    ran = oldcode.run(f"""
import {PACKAGE}.output_projection_cte_tensor_io as home
from nkilib_standalone.{PACKAGE} import {", ".join(names)}
result = [{", ".join(f"{name} is home.{name}" for name in names)}]
""")
    oldcode.stop()
    assert (ran.error, ran.result) == ("", [True] * 4)


def test_what_fits() -> None:
    validate_output_projection_inputs(**FITS)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("s_size", 131073, "B·S must be at most 131072, it is 131073"),
        ("n_size", 18, "N must be at most 17, it is 18"),
        ("d_size", 129, "D must be at most 128, it is 129"),
        ("h_size", 20706, "H must be at most 20705, it is 20706"),
        ("h_size", 20705, "must divide by the 2 cores"),
        ("attention_dtype", nl.float8_e4m3, "attention must be bfloat16, float16 or float32"),
        ("weight_dtype", nl.int32, "weight must be bfloat16, float16, float32 or float8_e4m3"),
    ],
)
def test_what_does_not(name: str, value: Any, words: str) -> None:
    with rejected(words):
        validate_output_projection_inputs(**{**FITS, name: value})
