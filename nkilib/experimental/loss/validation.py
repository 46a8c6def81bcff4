"""What a cross entropy and its gradient take; each message begins with the kernel's name."""

import nki.language as nl

from ...core.loss.validation import (
    F_MAX,
    MAX_ALLOCATION_BYTES,
    P_MAX,
    validate_cross_entropy_forward_inputs,
    validate_float,
)
from ...core.utils.kernel_assert import kernel_assert

__all__ = [
    "F_MAX",
    "MAX_ALLOCATION_BYTES",
    "P_MAX",
    "validate_cross_entropy_backward_inputs",
    "validate_cross_entropy_forward_inputs",
]


def validate_cross_entropy_backward_inputs(
    logits_hbm: nl.ndarray,
    targets_hbm: nl.ndarray,
    lse_state_hbm: nl.ndarray,
    positions_per_batch: int,
    chunk_size: int,
    reduction: str = "mean",
    func_name: str = "cross_entropy_backward",
) -> None:
    """Raise AssertionError unless the backward pass can take these."""
    known = reduction == "mean" or reduction == "sum"
    kernel_assert(known, f"{func_name}: reduction must be 'mean' or 'sum', it is '{reduction}'")
    validate_cross_entropy_forward_inputs(logits_hbm, targets_hbm, positions_per_batch, chunk_size, func_name)
    shape = tuple(lse_state_hbm.shape)
    kernel_assert(len(shape) == 1, f"{func_name}: lse_state must be [N], its shape is {shape}")
    kernel_assert(
        shape[0] == logits_hbm.shape[0],
        f"{func_name}: there are {logits_hbm.shape[0]} rows of logits and {shape[0]} entries of lse_state",
    )
    validate_float(lse_state_hbm.dtype, "lse_state", func_name)
