"""The gradient of a cross entropy, in one pass over the logits.

    grad[i, v] = s·(exp(x[i, v] - lse[i]) - [v = target[i]])        s = 1/N, or 1

Positions are on the partitions, the vocabulary passes by in chunks. Each core takes a contiguous share of the
positions.
"""

from typing import Any

import nki
import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_classes
from ...blocks.lnc import cores, split
from ...blocks.memory import Scratch, manager, scratch
from ...core.loss.cross_entropy import chunk_elements, cross_entropy_forward, load_numbers
from ...core.loss.validation import validate_float
from ...core.utils.allocator import SbufManager
from .validation import validate_cross_entropy_backward_inputs

__all__ = ["cross_entropy_backward", "cross_entropy_forward"]


@nki.jit(platform_target="trn2")
def cross_entropy_backward(
    logits_hbm: nl.ndarray,
    targets_hbm: nl.ndarray,
    lse_state_hbm: nl.ndarray,
    reduction: str = "mean",
    positions_per_batch: int = 32,
    chunk_size: int = 32768,
    dtype: Any = nl.bfloat16,
    inplace: bool = True,
) -> nl.ndarray:
    """The gradient of the mean, or the sum, of all losses with respect to the logits.

    Args:
        logits_hbm: HBM ``[N, V]``, bfloat16 or float32; they are rounded to ``dtype`` first.
        targets_hbm: HBM int32 ``[N]``, 0 to V - 1, which is not checked.
        lse_state_hbm: HBM ``[N]`` of the forward pass, bfloat16 or float32.
        reduction: "mean" or "sum".
        positions_per_batch: positions at a time, 1 to 128.
        chunk_size: elements of the vocabulary at a time, at most; at most V and 65536.
        dtype: of the arithmetic's results and the gradient, bfloat16 or float32.
        inplace: write the gradient over the logits, in their dtype, and return these.

    Returns:
        HBM ``[N, V]``.

    Raises AssertionError when a limit is not met.
    """
    assert_classes(
        tensors=((logits_hbm, "logits_hbm"), (targets_hbm, "targets_hbm"), (lse_state_hbm, "lse_state_hbm")),
        flags=((inplace, "inplace"),),
    )
    validate_cross_entropy_backward_inputs(
        logits_hbm, targets_hbm, lse_state_hbm, positions_per_batch, chunk_size, reduction
    )
    validate_float(dtype, "results", "cross_entropy_backward")
    positions = logits_hbm.shape[0]
    grad = logits_hbm
    if not inplace:
        grad = nl.ndarray(logits_hbm.shape, dtype=dtype, buffer=nl.shared_hbm)
    scale = 1.0 / positions if reduction == "mean" else 1.0
    step = chunk_elements(chunk_size, dtype)
    sbm = manager()
    work = scratch(sbm, name="cross_entropy_backward")
    numbers = work.tile((min(positions, positions_per_batch), step), nl.float32)
    nisa.iota(dst=numbers, pattern=[[1, step]], offset=0, channel_multiplier=0)
    start, size = split(positions, cores())
    for first in range(start, start + size, positions_per_batch):
        rows = (first, min(first + positions_per_batch, start + size))
        inner = scratch(sbm, name="positions")
        target = load_numbers(targets_hbm, rows, inner)
        negated = load_numbers(lse_state_hbm, rows, inner)
        nisa.tensor_scalar(dst=negated, data=negated, op0=nl.multiply, operand0=-1.0)
        _differentiate(grad, logits_hbm, target, negated, numbers, rows, scale, dtype, sbm)
        inner.close()
    work.close()
    return grad


def _differentiate(
    grad: nl.ndarray,
    logits: nl.ndarray,
    target: nl.ndarray,
    negated: nl.ndarray,
    numbers: nl.ndarray,
    rows: tuple[int, int],
    scale: float,
    dtype: Any,
    sbm: SbufManager,
) -> None:
    """Rows of the gradient, chunk by chunk.

    Args:
        target, negated: fp32 ``[rows, 1]``, targets and -lse. numbers: fp32 ``[≥ rows, step]``, 0, 1, ….
    """
    count, step, vocabulary = target.shape[0], numbers.shape[1], logits.shape[1]
    chunks = scratch(sbm, name="chunks", places=2)
    for start in range(0, vocabulary, step):
        end = min(start + step, vocabulary)
        held = chunks.tile((count, end - start), dtype)
        nisa.dma_copy(dst=held, src=logits[rows[0] : rows[1], start:end])
        nisa.activation(dst=held, op=nl.exp, data=held, bias=negated)
        _subtract_target(held, target, numbers[0:count, 0 : end - start], start, chunks)
        if scale != 1.0:
            nisa.activation(dst=held, op=nl.copy, data=held, scale=scale)
        nisa.dma_copy(dst=grad[rows[0] : rows[1], start:end], src=held)
        chunks.turn()
    chunks.close()


def _subtract_target(
    held: nl.ndarray, target: nl.ndarray, numbers: nl.ndarray, start: int, work: Scratch
) -> None:
    """Take 1 from column ``target[p] - start`` of each row, if this chunk has it."""
    wanted = work.tile((held.shape[0], 1), nl.float32)
    nisa.tensor_scalar(dst=wanted, data=target, op0=nl.add, operand0=-float(start))
    nisa.scalar_tensor_tensor(
        dst=held,
        data=numbers,
        op0=nl.equal,
        operand0=wanted,
        op1=nl.subtract,
        operand1=held,
        reverse1=True,
    )
