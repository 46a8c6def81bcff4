"""Cross entropy of logits over a large vocabulary, in one pass over the logits.

    lse[i] = log Σ_v exp(x[i, v])        loss[i] = lse[i] - x[i, target[i]]

Positions are on the partitions, the vocabulary passes by in chunks. Maximum and sum are fp32, and so are the
results until they are stored. Each core takes a contiguous share of the positions.
"""

from typing import Any

import nki
import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_classes
from ...blocks.lnc import cores, split
from ...blocks.memory import Scratch, manager, scratch
from ...blocks.softmax import SOFTMAX_COLUMNS, RunningSoftmax, row_max, settle, weigh
from ..utils.allocator import SbufManager, sizeinbytes
from .validation import P_MAX, validate_cross_entropy_forward_inputs, validate_float

_CHUNK_BYTES = 32 * 1024
"""Of a chunk in a partition, at most."""


@nki.jit(platform_target="trn2")
def cross_entropy_forward(
    logits_hbm: nl.ndarray,
    targets_hbm: nl.ndarray,
    positions_per_batch: int = 32,
    chunk_size: int = 32768,
    dtype: Any = nl.bfloat16,
) -> tuple[nl.ndarray, nl.ndarray]:
    """The loss of each position, and the logarithm of the sum that the gradient needs.

    Args:
        logits_hbm: HBM ``[N, V]``, bfloat16 or float32; they are rounded to ``dtype`` first.
        targets_hbm: HBM int32 ``[N]``, 0 to V - 1, which is not checked.
        positions_per_batch: positions at a time, 1 to 128.
        chunk_size: elements of the vocabulary at a time, at most; at most V and 65536.
        dtype: of the results, bfloat16 or float32.

    Returns:
        HBM ``[N]`` loss and ``[N]`` log-sum-exp.

    Raises AssertionError when a limit is not met.
    """
    assert_classes(tensors=((logits_hbm, "logits_hbm"), (targets_hbm, "targets_hbm")))
    validate_cross_entropy_forward_inputs(logits_hbm, targets_hbm, positions_per_batch, chunk_size)
    validate_float(dtype, "results", "cross_entropy_forward")
    positions = logits_hbm.shape[0]
    loss = nl.ndarray((positions,), dtype=dtype, buffer=nl.shared_hbm)
    lse = nl.ndarray((positions,), dtype=dtype, buffer=nl.shared_hbm)
    sbm = manager()
    start, size = split(positions, cores())
    for first in range(start, start + size, positions_per_batch):
        rows = (first, min(first + positions_per_batch, start + size))
        _lose(loss, lse, logits_hbm, targets_hbm, rows, chunk_elements(chunk_size, dtype), sbm)
    return loss, lse


def chunk_elements(chunk_size: int, dtype: Any) -> int:
    """Elements of a row that pass by at a time: what is asked for, or as many as there is room for."""
    return min(chunk_size, _CHUNK_BYTES // sizeinbytes(dtype))


def load_numbers(column: nl.ndarray, rows: tuple[int, int], work: Scratch) -> nl.ndarray:
    """Entries of HBM ``[N]`` as fp32 ``[rows, 1]``."""
    numbers = work.tile((rows[1] - rows[0], 1), nl.float32)
    nisa.dma_copy(dst=numbers, src=column[rows[0] : rows[1]])
    return numbers


def _lose(
    loss: nl.ndarray,
    lse: nl.ndarray,
    logits: nl.ndarray,
    targets: nl.ndarray,
    rows: tuple[int, int],
    step: int,
    sbm: SbufManager,
) -> None:
    """Both results of up to 128 positions."""
    count, vocabulary, dtype = rows[1] - rows[0], logits.shape[1], loss.dtype
    work = scratch(sbm, name="positions")
    target = load_numbers(targets, rows, work)
    picked = work.tile((count, 1), dtype)
    nisa.memset(dst=picked, value=0.0)
    state = RunningSoftmax(
        total=work.tile((count, 1), nl.float32),
        columns=work.tile((P_MAX, SOFTMAX_COLUMNS), nl.float32),
        rows=count,
        parts=0,
        negated_max=None,
    )
    chunks = scratch(sbm, name="chunks", places=2)
    for start in range(0, vocabulary, step):
        end = min(start + step, vocabulary)
        held = chunks.tile((count, end - start), dtype)
        weights = chunks.tile((count, end - start), dtype)
        nisa.dma_copy(dst=held, src=logits[rows[0] : rows[1], start:end])
        row_max(state, held)
        settle(state, weigh(state, weights, held, 1.0))
        _pick(picked, held, target, start, chunks)
        chunks.turn()
    chunks.close()
    result = work.tile((count, 2), nl.float32)
    total, difference = result[:, 0:1], result[:, 1:2]
    nisa.activation(dst=total, op=nl.log, data=state.total)
    nisa.tensor_tensor(dst=total, data1=total, data2=state.negated_max, op=nl.subtract)
    nisa.tensor_tensor(dst=difference, data1=total, data2=picked, op=nl.subtract)
    nisa.dma_copy(dst=lse[rows[0] : rows[1]], src=total)
    nisa.dma_copy(dst=loss[rows[0] : rows[1]], src=difference)
    work.close()


def _pick(picked: nl.ndarray, held: nl.ndarray, target: nl.ndarray, start: int, work: Scratch) -> None:
    """``picked[p] = held[p, target[p] - start]`` where this chunk has it."""
    count, size = held.shape
    wanted = work.tile((count, 1), nl.float32)
    nearest = work.tile((count, 1), nl.uint32)
    inside = work.tile((count, 1), nl.uint8)
    found = work.tile((count, 1), held.dtype)
    nisa.tensor_scalar(
        dst=wanted, data=target, op0=nl.add, operand0=-float(start), op1=nl.maximum, operand1=-1.0
    )
    nisa.tensor_scalar(
        dst=nearest, data=wanted, op0=nl.maximum, operand0=0.0, op1=nl.minimum, operand1=float(size - 1)
    )
    nisa.tensor_tensor(dst=inside, data1=wanted, data2=nearest, op=nl.equal)
    nisa.nc_n_gather(dst=found, data=held, indices=nearest)
    nisa.tensor_copy_predicated(dst=picked, src=found, predicate=inside)
