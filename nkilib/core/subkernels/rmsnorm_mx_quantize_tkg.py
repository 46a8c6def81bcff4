"""Decode RMSNorm, after an optional residual add, whose result is also quantised to MX; NeuronCore-v4.

    h = x + residual                                     rounded to residual's dtype; without one, x
    y = (h·γ) / √(Σ_h h² / hidden_actual + eps)          h·γ rounded to x's dtype, y to output's

Core c does the tokens ``[c·T/2, (c + 1)·T/2)``. On chip the hidden dimension is transposed, as with
``hidden_dim_tp`` of :mod:`.norm_tkg_utils`: ``output[p, t, j] = y[t, 128 j + p]``. The four lanes of a packed
element lie a quarter of H apart, ``output[p, t, q·H/512 + i]`` for tile i, and a scale belongs to 8
partitions (see :mod:`nkilib.blocks.mx`).
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_classes, assert_integers, assert_layout, assert_not_negative
from ...blocks.dtypes import FLOATS, FLOATS_16, assert_dtype
from ...blocks.lnc import Cores, cores, gather, split
from ...blocks.memory import PARTITIONS, Scratch, manager, scratch
from ...blocks.mx import MxOperand, mx_columns, quantize_spread
from ...blocks.norm import rms_norm_spread
from ...blocks.tiles import as_view, load_hidden_row, transpose_by_dma
from ..utils.allocator import SbufManager
from ..utils.kernel_assert import kernel_assert
from ..utils.tensor_view import TensorView
from .norm_tkg_utils import load_input_to_sbuf, own_input, own_tokens, validate_shapes_quantize_mx


class Sources(nl.NKIObject):
    """A core's tokens in HBM, ``[t, H]``: x, the residual, where their sum is stored; these two or None."""

    rows: TensorView
    residual: Any
    stored: Any


def rmsnorm_mx_quantize_tkg(
    input: Any,
    gamma: Any,
    output: Any,
    output_quant: Any,
    output_scale: Any,
    residual: Any = None,
    output_residual: Any = None,
    eps: float = 1e-6,
    hidden_actual: int | None = None,
    hidden_dim_tp: bool = True,
) -> Any:
    """Fill the outputs; returns (output, output_quant, output_scale), and output_residual with a residual.

    Args:
        input, residual: HBM ``[B, S, H]``, bfloat16 or float16; T = B·S. gamma: HBM ``[1, H]``.
        output: SBUF float16 or bfloat16 ``[128, T, H/128]``; each core has its own tokens only.
        output_quant: SBUF float8_e4m3fn_x4 ``[128, H/512, T]``, on both cores all tokens.
        output_scale: SBUF uint8, the same shape, also complete; row r of the scales is on partition
            ``32·(r // 4) + r % 4``, other partitions are undefined.
        output_residual: HBM ``[T, H]``, receives h; needed with ``residual``.
        hidden_actual: divisor of the sum of squares, H when None.
        hidden_dim_tp: must be True.

    Raises AssertionError on other than two cores, when T is no multiple of 4, H none of 512 (with a residual
    1024), with a residual and T < 256, and when a shape does not fit.
    """
    assert_classes(
        tensors=(
            (input, "input"), (gamma, "gamma"), (output, "output"), (output_quant, "output_quant"),
            (output_scale, "output_scale"),
        ),
        optional=((residual, "residual"), (output_residual, "output_residual")),
        flags=((hidden_dim_tp, "hidden_dim_tp"),),
    )  # fmt: skip
    here = cores()
    hidden = _check(
        input, gamma, output, output_quant, output_scale, residual, output_residual, hidden_dim_tp
    )
    assert_not_negative(eps, "eps")
    assert_integers(((hidden_actual, "hidden_actual"),), 0, hidden)
    kernel_assert(here.count == 2, f"rmsnorm_mx_quantize_tkg runs on two cores, not on {here.count}")
    sbm = manager()
    work = scratch(sbm, name="rmsnorm_mx_quantize_tkg")
    weights = work.tile((PARTITIONS, hidden // PARTITIONS), gamma.dtype)
    load_hidden_row(weights, gamma, transposed=True)
    own = own_tokens(as_view(output), here)
    sources = _sources(input, residual, output_residual, here)
    quantised = MxOperand(values=output_quant, scales=output_scale)
    count = own.shape[1]
    blocks = scratch(sbm, name="blocks", places=2)
    for start in range(0, count, PARTITIONS):
        end = min(start + PARTITIONS, count)
        x = _load(sources, start, end, blocks, sbm)
        into = own.slice(1, start, end)
        rms_norm_spread(into, x, weights, eps, hidden_actual or hidden, sbm, product_dtype=input.dtype)
        first = here.index * count + start
        quantize_spread(mx_columns(quantised, first, first + end - start), into, sbm)
        blocks.turn()
    blocks.close()
    gather(output_quant, 2, here)
    gather(output_scale, 2, here)
    work.close()
    if residual is None:
        return output, output_quant, output_scale
    return output, output_quant, output_scale, output_residual


def _check(
    input: Any,
    gamma: Any,
    output: Any,
    output_quant: Any,
    output_scale: Any,
    residual: Any,
    output_residual: Any,
    hidden_dim_tp: bool,
) -> int:
    """Check the operands; returns H."""
    assert_layout(input, 3, "[B, S, H]", "input")
    _, _, hidden, _, _, tokens, tiles = validate_shapes_quantize_mx(
        tuple(input.shape),
        tuple(gamma.shape),
        tuple(output.shape),
        tuple(output_quant.shape),
        tuple(output_scale.shape),
        output.dtype,
        hidden_dim_tp,
        residual is not None,
        None if residual is None else tuple(residual.shape),
        None if output_residual is None else tuple(output_residual.shape),
    )
    expected = (PARTITIONS, tiles, tokens)
    for tensor in (output_quant, output_scale):
        found = tuple(tensor.shape)
        kernel_assert(found == expected, f"quantised values and scales must be {expected}, one is {found}")
    kernel_assert(tokens % 4 == 0, f"B*S must be a multiple of 4, it is {tokens}")
    assert_dtype(input, FLOATS_16, "input")
    assert_dtype(residual, FLOATS_16, "residual")
    assert_dtype(gamma, FLOATS, "gamma")
    return hidden


def _sources(input: Any, residual: Any, output_residual: Any, here: Cores) -> Sources:
    rows = own_input(as_view(input), here)
    if residual is None:
        return Sources(rows=rows, residual=None, stored=None)
    start, size = split(output_residual.shape[0], here)
    return Sources(
        rows=rows,
        residual=own_input(as_view(residual), here),
        stored=as_view(output_residual).slice(0, start, start + size),
    )


def _load(sources: Sources, start: int, end: int, work: Scratch, sbm: SbufManager) -> TensorView:
    """h of up to 128 tokens, ``[128, t, H/128]``."""
    rows = sources.rows.slice(0, start, end)
    tokens, hidden = rows.shape
    shape = (PARTITIONS, tokens, hidden // PARTITIONS)
    if sources.residual is None:
        x = as_view(work.tile(shape, rows.dtype))
        return load_input_to_sbuf(rows, x, 1, True)
    x = as_view(work.tile(shape, sources.residual.dtype))
    residual, stored = sources.residual.slice(0, start, end), sources.stored.slice(0, start, end)
    held = scratch(sbm, name="add_residual")
    added = held.tile((tokens, hidden), rows.dtype)
    total = held.tile((tokens, hidden), residual.dtype)
    nisa.dma_copy(dst=added, src=rows.get_view())
    nisa.dma_copy(dst=total, src=residual.get_view())
    nisa.tensor_tensor(dst=total, data1=added, data2=total, op=nl.add)
    nisa.dma_copy(dst=stored.get_view(), src=total)
    transpose_by_dma(x.permute((0, 2, 1)), total)
    held.close()
    return x
