"""Tile sizes and limits of the context-encoding output projection, and its checks."""

from typing import Any

from .... import insides
from ....blocks.arguments import assert_layout
from ....blocks.dtypes import FLOATS, is_fp8, is_one_of
from ...utils.kernel_assert import kernel_assert
from ..projection import validate_operands

__getattr__ = insides.named(__name__)

P_MAX = 128
"""Tokens of a tile: the partitions of a result."""
F_MAX = 512
"""Tokens that are loaded at a time, and columns of one PSUM bank."""

_MAX_VALIDATED_H_SIZE = 16384 + 4321
_MAX_VALIDATED_B_TIMES_S_SIZE = 128 * 1024
_MAX_VALIDATED_N_SIZE = 17


def validate_shapes(attention: Any, weight: Any, bias: Any, cores: int) -> None:
    """Attention ``[B, N, D, S]``, weight ``[N·D, H]``, bias ``[1, H]`` or None. Raises AssertionError."""
    kernel_assert(len(attention.shape) == 4, f"attention must be [B, N, D, S], it is {attention.shape}")
    batch, heads, head_dim, sequence = attention.shape
    assert_layout(weight, 2, "[N·D, H]", "weight")
    hidden = weight.shape[1]
    validate_output_projection_inputs(
        b_size=batch, n_size=heads, d_size=head_dim, s_size=sequence, h_size=hidden, n_prgs=cores,
        attention_dtype=attention.dtype, weight_dtype=weight.dtype,
    )  # fmt: skip
    validate_operands(heads * head_dim, weight, bias)


def validate_output_projection_inputs(
    b_size: int,
    n_size: int,
    d_size: int,
    s_size: int,
    h_size: int,
    n_prgs: int,
    attention_dtype: Any,
    weight_dtype: Any,
) -> None:
    """Sizes of B, N, D, S and H, the number of cores, and dtypes. Raises AssertionError beyond a limit."""
    most = _MAX_VALIDATED_B_TIMES_S_SIZE
    kernel_assert(b_size * s_size <= most, f"B·S must be at most {most}, it is {b_size * s_size}")
    kernel_assert(d_size <= P_MAX, f"D must be at most {P_MAX}, it is {d_size}")
    most = _MAX_VALIDATED_H_SIZE
    kernel_assert(h_size <= most, f"H must be at most {most}, it is {h_size}")
    most = _MAX_VALIDATED_N_SIZE
    kernel_assert(n_size <= most, f"N must be at most {most}, it is {n_size}")
    kernel_assert(h_size % n_prgs == 0, f"H = {h_size} must divide by the {n_prgs} cores of the launch")
    known = is_one_of(attention_dtype, FLOATS)
    kernel_assert(known, f"attention must be bfloat16, float16 or float32, it is {attention_dtype}")
    known = is_one_of(weight_dtype, FLOATS) or is_fp8(weight_dtype)
    kernel_assert(known, f"weight must be bfloat16, float16, float32 or float8_e4m3, it is {weight_dtype}")
