"""Softmax over keys that come in parts: each may raise the maximum, older sums are then scaled down.

For a row of scores s with scale c: ``m = max c·s``, ``Z = Σ exp(c·s - m)``, result ``Σ exp(c·s - m)·v / Z``.
The weights ``exp(c·s - m)`` are rounded to their tile's dtype, Z sums them before that, in fp32.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from .masks import MASKED
from .memory import Scratch, psum_tile
from .tiles import as_view


class RunningSoftmax(nl.NKIObject):
    """What is known of up to 128 rows after the parts that :func:`weigh` has seen.

    Attributes:
        total: fp32 ``[P, 1]``, Z; the caller's, undefined before the first part.
        negated_max: fp32 ``[P, 1]``, -m; None before the first part.
        factor: fp32 ``[P, 1]`` by which the last part scales down whatever was summed with earlier weights,
            None for a first part.
    """

    total: Any
    negated_max: Any = None
    factor: Any = None


def begin_with_sink(state: RunningSoftmax, negated_sink: Any) -> None:
    """Begin with one logit that has no value: it only enters the maximum and the sum; ``[P, 1]``, negated."""
    state.negated_max = negated_sink
    nisa.memset(dst=state.total, value=1.0)


def row_max(dst: Any, scores: Any) -> None:
    """``dst[p, 0] = max_n scores[p, n]``."""
    nisa.tensor_reduce(dst=dst, op=nl.maximum, data=scores, axis=1)


def weigh(state: RunningSoftmax, dst: Any, scores: Any, largest: Any, scale: float, work: Scratch) -> None:
    """``dst = exp(scale·scores - m)`` with m over this and all earlier parts; ``state`` takes the part in.

    Args:
        dst: SBUF ``[P, N]``, any float dtype. scores: fp32 ``[P, N]``, SBUF or PSUM.
        largest: fp32 ``[P, 1]``, the maximum of each row of scores. scale: positive.
        work: where tiles come from that live as long as ``state``.

    What was summed with the weights of earlier parts must then be multiplied by ``state.factor``.
    """
    rows = scores.shape[0]
    before = state.negated_max
    negated = work.tile((rows, 1), nl.float32)
    if before is None:
        nisa.tensor_scalar(dst=negated, data=largest, op0=nl.multiply, operand0=-scale)
        _exponentials(dst, scores, negated, scale, state.total)
    else:
        nisa.tensor_scalar(
            dst=negated, data=largest, op0=nl.multiply, operand0=-scale, op1=nl.minimum, operand1=before
        )
        sums = work.tile((rows, 1), nl.float32)
        _exponentials(dst, scores, negated, scale, sums)
        state.factor = work.tile((rows, 1), nl.float32)
        nisa.activation(dst=state.factor, op=nl.exp, data=before, scale=-1.0, bias=negated)
        nisa.scalar_tensor_tensor(
            dst=state.total,
            data=state.total,
            op0=nl.multiply,
            operand0=state.factor,
            op1=nl.add,
            operand1=sums,
        )
    state.negated_max = negated


def _exponentials(dst: Any, scores: Any, negated: Any, scale: float, sums: Any) -> None:
    nisa.activation(
        dst=dst,
        op=nl.exp,
        data=scores,
        bias=negated,
        scale=scale,
        reduce_op=nl.add,
        reduce_res=sums,
        reduce_cmd=nisa.reduce_cmd.reset_reduce,
    )


def add_part(dst: Any, part: Any, state: RunningSoftmax, first: bool) -> None:
    """Sum weighted values in fp32: ``dst = dst·factor + part``, or ``dst = part`` for a first; ``[P, F]``."""
    if first:
        nisa.tensor_copy(dst=dst, src=part)
    else:
        nisa.scalar_tensor_tensor(
            dst=dst, data=dst, op0=nl.multiply, operand0=state.factor, op1=nl.add, operand1=part
        )


# -- keys on the partitions -----------------------------------------------------------------------------


def column_max(dst: nl.ndarray, scores: nl.ndarray, work: Scratch) -> None:
    """``dst[c, 0] = max over p, i of scores[p, i, c]``, at least the lowest finite float32.

    Args:
        dst: SBUF fp32 ``[C, 1]``. scores: SBUF fp32 ``[128, n, C ≤ 128]``, finite or -∞.
    """
    rows, columns = scores.shape[0], scores.shape[2]
    largest = work.tile((rows, columns), nl.float32)
    nisa.tensor_reduce(dst=largest, op=nl.maximum, data=as_view(scores).permute((0, 2, 1)).get_view(), axis=1)
    nisa.tensor_scalar(dst=largest, data=largest, op0=nl.maximum, operand0=MASKED)
    flipped = psum_tile((columns, rows))
    nisa.nc_transpose(dst=flipped, data=largest, engine=nisa.tensor_engine)
    nisa.tensor_reduce(dst=dst, op=nl.maximum, data=flipped, axis=1)


def spread_column(column: nl.ndarray, partitions: int) -> nl.ndarray:
    """A column ``[C, 1]`` of SBUF as a row on all partitions: PSUM ``[partitions, C]``."""
    spread = psum_tile((partitions, column.shape[0]))
    nisa.nc_transpose(
        dst=spread, data=as_view(column).broadcast(1, partitions).get_view(), engine=nisa.tensor_engine
    )
    return spread


def weigh_columns(dst: nl.ndarray, scores: nl.ndarray, largest: nl.ndarray, sums: nl.ndarray) -> None:
    """``dst = exp(scores - largest)``, and ``sums[p, c] = Σ_i dst[p, i, c]`` of the rounded weights.

    Args:
        dst: SBUF ``[P, n, C]``, any float dtype. scores: SBUF fp32 ``[P, n, C]``, changed.
        largest, sums: SBUF fp32 ``[P, C]``.
    """
    spread = as_view(largest).expand_dim(1).broadcast(1, scores.shape[1])
    nisa.tensor_tensor(dst=scores, data1=scores, data2=spread.get_view(), op=nl.subtract)
    nisa.activation(dst=dst, op=nl.exp, data=scores)
    nisa.tensor_reduce(dst=sums, op=nl.add, data=as_view(dst).permute((0, 2, 1)).get_view(), axis=1)
