"""Integer arithmetic, launch information and properties of types."""

from typing import Any

import nki.language as nl

from .common_types import ActFnType, NormType
from .kernel_assert import kernel_assert

NUM_HW_PSUM_BANKS = 8
PSUM_BANK_SIZE = 2048
"""Bytes of a bank in one partition."""

_LARGEST = (("float8_e4m3", 240.0), ("float8e4", 240.0), ("float8_e5m2", 57344.0), ("float8e5", 57344.0))
"""Largest finite value of the 8-bit types, by each of their spellings."""


def get_ceil_quotient(numerator: int, denominator: int) -> int:
    """``numerator / denominator``, rounded up."""
    return (numerator + denominator - 1) // denominator


def get_ceil_aligned_size(size: int, alignment_multiple: int) -> int:
    """The smallest multiple that is not below ``size``."""
    return get_ceil_quotient(size, alignment_multiple) * alignment_multiple


def get_floor_quotient(numerator: int, denominator: int) -> int:
    """``numerator / denominator``, rounded down."""
    return numerator // denominator


def get_floor_aligned_size(size: int, alignment_multiple: int) -> int:
    """The largest multiple that is not above ``size``."""
    return get_floor_quotient(size, alignment_multiple) * alignment_multiple


def div_ceil(n: int, d: int) -> int:
    """``n / d``, rounded up."""
    return get_ceil_quotient(n, d)


def is_hbm_buffer(tensor: nl.ndarray) -> bool:
    """Whether a tensor lies in HBM, of any kind."""
    buffer = tensor.buffer
    return buffer == nl.hbm or buffer == nl.shared_hbm or buffer == nl.private_hbm


def get_nl_act_fn_from_type(act_fn: ActFnType) -> Any:
    """The operator that computes an activation."""
    kernel_assert(isinstance(act_fn, ActFnType), f"{act_fn} is no ActFnType")
    if act_fn == ActFnType.SiLU:
        return nl.silu
    if act_fn == ActFnType.GELU:
        return nl.gelu
    if act_fn == ActFnType.GELU_Tanh_Approx:
        return nl.gelu_apprx_tanh
    return nl.gelu_apprx_sigmoid


def is_launched_as_spmd() -> bool:
    """Whether several cores run this kernel together."""
    return get_program_sharding_info()[1] > 1


def is_rms_normalization(norm_type: NormType) -> bool:
    return norm_type == NormType.RMS_NORM or norm_type == NormType.RMS_NORM_SKIP_GAMMA


def normalization_uses_weights(norm_type: NormType) -> bool:
    return norm_type == NormType.RMS_NORM or norm_type == NormType.LAYER_NORM


def get_program_sharding_info() -> tuple[int, int, int]:
    """Dimensions of the launch grid, cores along its first one, and which of them this is.

    ``(0, 1, 0)`` without a grid, and outside a kernel.
    """
    dimensions = nl.program_ndim()
    if not dimensions:
        return (0, 1, 0)
    return (dimensions, nl.num_programs(axes=0), nl.program_id(axis=0))


def get_verified_program_sharding_info(
    kernel_name: str = "", allowed_ndims: tuple[int, ...] | None = None, max_sharding: int | None = None
) -> tuple[int, int, int]:
    """As :func:`get_program_sharding_info`; release 2.28 takes the arguments and verifies nothing."""
    return get_program_sharding_info()


def get_max_positive_value_for_dtype(dtype: Any) -> float | None:
    """The largest finite value of float8_e4m3 and float8_e5m2; None for other types."""
    for index in range(len(_LARGEST)):
        if _LARGEST[index][0] == str(dtype):
            return _LARGEST[index][1]
    return None


def reduce(op: str = "mul", input: list[Any] | None = None, initial_value: Any = None) -> Any:
    """Fold numbers from the left, starting with ``initial_value``; ``op`` is mul, add, min or max."""
    kernel_assert(initial_value is not None, "reduce needs an initial_value")
    kernel_assert(input is not None, "reduce needs an input list")
    known = op == "mul" or op == "add" or op == "min" or op == "max"
    kernel_assert(known, f"reduce knows mul, add, min and max, not {op}")
    result = initial_value
    for value in input or []:
        if op == "mul":
            result = result * value
        elif op == "add":
            result = result + value
        elif op == "min":
            result = min(result, value)
        else:
            result = max(result, value)
    return result
