"""What :func:`.indexed_flatten.indexed_flatten` computes, on torch tensors, for rows that do not overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def indexed_flatten_torch_ref(
    input_tensor: torch.Tensor,
    f_len: int,
    output_len: int,
    row_offsets: torch.Tensor,
    padding_val: int = -1,
) -> torch.Tensor:
    """Scatter rows ``[E, T]`` into ``[output_len]``; blocks outside of it are left out, later rows win."""
    out = input_tensor.new_full((output_len // f_len, f_len), padding_val)
    for row, offset in zip(input_tensor, row_offsets.tolist(), strict=True):
        blocks = row.reshape(-1, f_len)
        first, last = max(0, -offset), min(len(blocks), len(out) - offset)
        if last > first:
            out[offset + first : offset + last] = blocks[first:last]
    return out.reshape(output_len)
