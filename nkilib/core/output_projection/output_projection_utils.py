"""Packing heads onto the 128 partitions of a matmul operand."""

from ... import insides
from ..utils.kernel_assert import kernel_assert

__getattr__ = insides.named(__name__)


def calculate_head_packing(N: int, D: int, partition_size: int) -> tuple[int, int, int]:
    """``(N/g, D·g, g)`` for the largest divisor g of N with ``D·g ≤ partition_size``: heads in groups of g.

    Raises AssertionError when one head does not fit.
    """
    kernel_assert(0 < D <= partition_size, f"D must be 1 to {partition_size}, it is {D}")
    group = 1
    for candidate in range(1, N + 1):
        if N % candidate == 0 and candidate * D <= partition_size:
            group = candidate
    return N // group, D * group, group
