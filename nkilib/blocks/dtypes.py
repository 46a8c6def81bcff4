"""Element types that kernels take: what most of them allow, and the check; and what float32 counts."""

from typing import Any

import nki.language as nl

from ..core.utils.kernel_assert import kernel_assert

FLOATS_16 = [nl.bfloat16, nl.float16]
FLOATS = [nl.bfloat16, nl.float16, nl.float32]
FLOATS_AND_E4M3 = [nl.bfloat16, nl.float16, nl.float32, nl.float8_e4m3]
FLOATS_AND_FP8 = [nl.bfloat16, nl.float16, nl.float32, nl.float8_e4m3, nl.float8_e5m2]
PACKED_MX = [nl.float4_e2m1fn_x4, nl.float8_e4m3fn_x4, nl.float8_e5m2_x4]

EXACT = 1 << 24
"""Integers up to this are exact in float32, in which Vector Engine computes."""

_SHORT_NAMES = (("float8e4", "float8_e4m3"), ("float8e5", "float8_e5m2"))


def assert_dtype(tensor: Any, allowed: list[Any], tensor_name: str) -> None:
    """Raise AssertionError unless the tensor is None or has one of these element types.

    Most results have the type of an input: for integers they would be cut off, without a word.
    """
    if tensor is not None and not is_one_of(tensor.dtype, allowed):
        kernel_assert(False, f"{tensor_name} must be {_listed(allowed)}, its dtype is {tensor.dtype}")


def assert_dtypes(tensors: tuple[tuple[Any, str], ...], allowed: list[Any]) -> None:
    """:func:`assert_dtype` for pairs of a tensor and its name."""
    for pair in tensors:
        assert_dtype(pair[0], allowed, pair[1])


def assert_dtype_parameter(dtype: Any, allowed: list[Any], name: str) -> None:
    """Raise AssertionError unless an argument that is itself an element type is one of these."""
    if not is_one_of(dtype, allowed):
        kernel_assert(False, f"{name} must be {_listed(allowed)}, it is {dtype}")


def is_one_of(dtype: Any, allowed: list[Any]) -> bool:
    """Whether a dtype is one of these, in any spelling."""
    name = str(dtype)
    for pair in _SHORT_NAMES:
        if name == pair[0]:
            name = pair[1]
    for known in allowed:
        if dtype == known or name == str(known):
            return True
    return False


def is_fp8(dtype: Any) -> bool:
    """Whether a dtype is one of the 8-bit floats that ``double_row`` takes."""
    return is_one_of(dtype, [nl.float8_e4m3, nl.float8_e5m2])


def _listed(dtypes: list[Any]) -> str:
    """``a, b or c``."""
    text = str(dtypes[0])
    for index in range(1, len(dtypes)):
        text = text + (" or " if index == len(dtypes) - 1 else ", ") + str(dtypes[index])
    return text
