"""The check of element types."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import numpy as np
import pytest
from kernels import rejected

from nkilib.blocks.dtypes import (
    FLOATS,
    FLOATS_AND_FP8,
    assert_dtype,
    assert_dtype_parameter,
    is_fp8,
    is_one_of,
)


class Typed:
    """What has an element type."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype


@pytest.mark.parametrize("dtype", [nl.bfloat16, nl.float16, nl.float32, "bfloat16", "float32"])
def test_what_is_allowed(dtype: Any) -> None:
    assert_dtype(Typed(dtype), FLOATS, "q")


def test_no_tensor_is_allowed() -> None:
    assert_dtype(None, FLOATS, "q")


@pytest.mark.parametrize(
    "dtype", [nl.int32, nl.uint8, nl.bool_, nl.float8_e4m3, nl.float8_e4m3fn, "float8e4"]
)
def test_what_is_refused(dtype: Any) -> None:
    with rejected(f"q must be bfloat16, float16 or float32, its dtype is {dtype} "):
        assert_dtype(Typed(dtype), FLOATS, "q")


def test_one_type_is_named_alone() -> None:
    with rejected("targets must be int32, its dtype is uint32"):
        assert_dtype(Typed(nl.uint32), [nl.int32], "targets")


@pytest.mark.parametrize("dtype", [nl.int32, nl.float8_e4m3, "int32", "rows", 3, None, ()])
def test_what_is_refused_as_an_argument(dtype: Any) -> None:
    with rejected(f"output_dtype must be bfloat16, float16 or float32, it is {dtype} "):
        assert_dtype_parameter(dtype, FLOATS, "output_dtype")


@pytest.mark.parametrize("dtype", [nl.float32, "float32", np.float32, np.dtype(np.float32)])
def test_what_is_allowed_as_an_argument(dtype: Any) -> None:
    assert_dtype_parameter(dtype, FLOATS, "output_dtype")


@pytest.mark.parametrize("dtype", [nl.float8_e4m3, nl.float8_e5m2, "float8_e4m3", "float8e4", "float8e5"])
def test_spellings_of_fp8(dtype: Any) -> None:
    assert is_fp8(dtype)
    assert is_one_of(dtype, FLOATS_AND_FP8)


@pytest.mark.parametrize("dtype", [nl.bfloat16, nl.float8_e4m3fn, nl.uint8, "float8e3"])
def test_what_is_no_fp8(dtype: Any) -> None:
    assert not is_fp8(dtype)
