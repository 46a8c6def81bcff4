"""Tile sizes and limits of the context-encoding output projection, and its checks."""

from typing import Any

from .... import insides
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
    hidden = weight.shape[1]
    most = _MAX_VALIDATED_B_TIMES_S_SIZE
    kernel_assert(batch * sequence <= most, f"B·S must be at most {most}, it is {batch * sequence}")
    kernel_assert(head_dim <= P_MAX, f"D must be at most {P_MAX}, it is {head_dim}")
    most = _MAX_VALIDATED_H_SIZE
    kernel_assert(hidden <= most, f"H must be at most {most}, it is {hidden}")
    most = _MAX_VALIDATED_N_SIZE
    kernel_assert(heads <= most, f"N must be at most {most}, it is {heads}")
    kernel_assert(hidden % cores == 0, f"H = {hidden} must divide by the {cores} cores of the launch")
    validate_operands(heads * head_dim, weight, bias)
