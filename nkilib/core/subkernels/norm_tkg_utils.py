"""What the decode norms share: checks, loads, and how tokens are divided between cores.

Activations are ``[128, B·S, H/128]`` on chip, with the hidden dimension over the partitions; with L shards of
it, element (p, t, l·H1/L + j) is ``x[t, l·H/L + p·H1/L + j]``, where ``H1 = H/128``; transposed
(``hidden_dim_tp``), element (p, t, j) is ``x[t, 128 j + p]``.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.lnc import Cores, gather, split
from ...blocks.memory import PARTITIONS, Scratch
from ...blocks.tiles import as_view, load_hidden, load_hidden_row
from ..utils.kernel_assert import assert_shape, kernel_assert
from ..utils.tensor_view import TensorView

TOKEN_TILES = (64, 32, 16, 8)


def validate_shapes(
    input_view: TensorView, gamma_view: TensorView | None, output_view: TensorView
) -> tuple[int, int, int, int]:
    """Check a decode norm's operands; returns ``(B·S, H, 128, H/128)``.

    Args:
        input_view: HBM ``[B, S, H]``, or SBUF ``[128, B·S, H/128]``.
        gamma_view: ``[1, H]``, or None.
        output_view: ``[128, B·S, H/128]``.
    """
    shape = tuple(input_view.shape)
    kernel_assert(len(shape) == 3, f"input must have 3 dimensions, its shape is {shape}")
    if input_view.is_sbuf():
        kernel_assert(shape[0] == PARTITIONS, f"input in SBUF must have 128 partitions, its shape is {shape}")
        tokens, hidden = shape[1], shape[2] * PARTITIONS
    else:
        tokens, hidden = shape[0] * shape[1], shape[2]
        kernel_assert(hidden % PARTITIONS == 0, f"H must be a multiple of 128, the input is {shape}")
    width = hidden // PARTITIONS
    kernel_assert(tokens > 0 and width > 0, f"input must not be empty, its shape is {shape}")
    assert_shape(output_view, (PARTITIONS, tokens, width), "output", "It is (128, B*S, H/128).")
    if gamma_view is not None:
        assert_shape(gamma_view, (1, hidden), "gamma", "It is (1, H).")
    return tokens, hidden, PARTITIONS, width


def load_input_to_sbuf(
    input_hbm: TensorView, input_sb: TensorView, num_H_shards: int, hidden_dim_tp: bool = False
) -> TensorView:
    """HBM ``[T, H]`` → SBUF ``[128, T, H/128]``; returns ``input_sb``. Transposed means one shard."""
    load_hidden(input_sb, input_hbm, num_H_shards, hidden_dim_tp)
    return input_sb


def load_gamma_to_sbuf(
    gamma_hbm: TensorView, gamma_sb: TensorView, num_H_shards: int, hidden_dim_tp: bool = False
) -> TensorView:
    """HBM ``[1, H]`` → SBUF ``[128, H/128]`` in the layout of the input; returns ``gamma_sb``."""
    load_hidden_row(gamma_sb, gamma_hbm, num_H_shards, hidden_dim_tp)
    return gamma_sb


def own_tokens(view: TensorView, share: Cores) -> TensorView:
    """This core's tokens of a spread tensor ``[128, T, H/128]``, in HBM or SBUF."""
    start, size = split(view.shape[1], share)
    return view.slice(1, start, start + size)


def own_input(view: TensorView, share: Cores) -> TensorView:
    """This core's tokens of an input: HBM ``[B, S, H]`` as ``[t, H]``, SBUF ``[128, t, H/128]``."""
    if view.is_sbuf():
        return own_tokens(view, share)
    rows = rows_of(view)
    start, size = split(rows.shape[0], share)
    return rows.slice(0, start, start + size)


def rows_of(view: TensorView) -> TensorView:
    """HBM ``[B, S, H]`` as ``[B·S, H]``."""
    if view.shape[0] == 1:
        return view.select(0, 0)
    return view.flatten_dims(0, 1)


def result_buffer(output: TensorView, dtype: Any, work: Scratch) -> TensorView:
    """Where a core's tokens are normalised: the output if it is in SBUF, else a tile of the input's dtype."""
    if output.is_sbuf():
        return output
    return as_view(work.tile(tuple(output.shape), dtype))


def deliver(output: TensorView, result: TensorView, share: Cores) -> None:
    """Complete an output in SBUF with the other core's tokens, or store this core's to HBM."""
    if output.is_sbuf():
        gather(output, 1, share)
    else:
        nisa.dma_copy(dst=own_tokens(output, share).get_view(), src=result.get_view())


def get_token_tile_size(num_tokens: int) -> int:
    """The largest of 64, 32, 16 and 8 that divides ``num_tokens``; ``num_tokens`` itself if none does."""
    for size in TOKEN_TILES:
        if num_tokens % size == 0:
            return size
    return num_tokens


def validate_shapes_quantize_mx(
    input_shape: tuple[int, ...],
    gamma_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    output_quant_shape: tuple[int, ...],
    output_scale_shape: tuple[int, ...],
    output_dtype: Any,
    hidden_dim_tp: bool,
    is_residual_add: bool,
    residual_shape: tuple[int, ...] | None = None,
    output_residual_shape: tuple[int, ...] | None = None,
) -> tuple[int, int, int, int, int, int, int]:
    """Check the operands of ``rmsnorm_mx_quantize_tkg``; returns ``(B, S, H, 128, H/128, B·S, H // 512)``.

    ``input_shape`` is ``(B, S, H)``. The shapes of the quantised output and of its scales are not checked.
    """
    batch, sequence, hidden = input_shape
    tokens, width = batch * sequence, hidden // PARTITIONS
    kernel_assert(hidden % 512 == 0, f"H must be a multiple of 512, the input is {input_shape}")
    _same_shape("gamma", gamma_shape, (1, hidden))
    kernel_assert(hidden_dim_tp, "quantisation needs the transposed hidden layout: pass hidden_dim_tp=True")
    _same_shape("output", output_shape, (PARTITIONS, tokens, width))
    narrow = output_dtype == nl.float16 or output_dtype == nl.bfloat16
    kernel_assert(narrow, f"output must be float16 or bfloat16, it is {output_dtype}")
    if is_residual_add:
        _check_residual(input_shape, residual_shape, output_residual_shape)
    return batch, sequence, hidden, PARTITIONS, width, tokens, hidden // 512


def _check_residual(
    input_shape: tuple[int, ...],
    residual_shape: tuple[int, ...] | None,
    output_residual_shape: tuple[int, ...] | None,
) -> None:
    batch, sequence, hidden = input_shape
    tokens, width = batch * sequence, hidden // PARTITIONS
    kernel_assert(residual_shape is not None, "a residual add needs residual")
    _same_shape("residual", residual_shape, input_shape)
    kernel_assert(output_residual_shape is not None, "a residual add needs output_residual")
    _same_shape("output_residual", output_residual_shape, (tokens, hidden))
    kernel_assert(width % 8 == 0, f"with a residual H/128 must be a multiple of 8, it is {width}")
    kernel_assert(tokens >= 256, f"with a residual B*S must be at least 256, it is {tokens}")


def _same_shape(name: str, shape: tuple[int, ...] | None, expected: tuple[int, ...]) -> None:
    found = tuple(shape or ())
    kernel_assert(found == tuple(expected), f"{name} must have shape {expected}, it has {found}")
