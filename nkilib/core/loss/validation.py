"""What a cross entropy takes; each message begins with the kernel's name."""

from typing import Any

import nki.language as nl

from ...blocks.arguments import assert_integer
from ..utils.allocator import sizeinbytes
from ..utils.kernel_assert import kernel_assert

P_MAX = 128
F_MAX = 65536
MAX_ALLOCATION_BYTES = 24 * 1024 * 1024
"""Of the logits of a batch of positions in one chunk of the vocabulary."""


def validate_cross_entropy_forward_inputs(
    logits_hbm: nl.ndarray,
    targets_hbm: nl.ndarray,
    positions_per_batch: int,
    chunk_size: int,
    func_name: str = "cross_entropy_forward",
) -> None:
    """Raise AssertionError unless the forward pass can take these."""
    shape, targets = tuple(logits_hbm.shape), tuple(targets_hbm.shape)
    kernel_assert(len(shape) == 2, f"{func_name}: logits must be [N, V], their shape is {shape}")
    kernel_assert(len(targets) == 1, f"{func_name}: targets must be [N], their shape is {targets}")
    kernel_assert(
        shape[0] == targets[0], f"{func_name}: there are {shape[0]} rows of logits and {targets[0]} targets"
    )
    kernel_assert(
        targets_hbm.dtype == nl.int32, f"{func_name}: targets must be int32, they are {targets_hbm.dtype}"
    )
    validate_float(logits_hbm.dtype, "logits", func_name)
    kernel_assert(shape[0] > 0 and shape[1] > 0, f"{func_name}: logits must not be empty, they are {shape}")
    assert_integer(chunk_size, f"{func_name}: chunk_size")
    assert_integer(positions_per_batch, f"{func_name}: positions_per_batch")
    kernel_assert(chunk_size > 0, f"{func_name}: chunk_size must be positive, it is {chunk_size}")
    kernel_assert(
        chunk_size <= shape[1], f"{func_name}: chunk_size must be at most V = {shape[1]}, it is {chunk_size}"
    )
    kernel_assert(chunk_size <= F_MAX, f"{func_name}: chunk_size must be at most {F_MAX}, it is {chunk_size}")
    kernel_assert(
        0 < positions_per_batch <= P_MAX,
        f"{func_name}: positions_per_batch must be 1 to {P_MAX}, it is {positions_per_batch}",
    )
    held = positions_per_batch * chunk_size * sizeinbytes(logits_hbm.dtype)
    kernel_assert(
        held <= MAX_ALLOCATION_BYTES,
        f"{func_name}: positions_per_batch times chunk_size takes {held} bytes, of {MAX_ALLOCATION_BYTES}",
    )


def validate_float(dtype: Any, what: str, func_name: str) -> None:
    """bfloat16 or float32."""
    known = dtype == nl.bfloat16 or dtype == nl.float32
    kernel_assert(known, f"{func_name}: {what} must be bfloat16 or float32, the dtype is {dtype}")
