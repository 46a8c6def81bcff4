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

SOFTMAX_COLUMNS = 11
"""Columns of SBUF that :class:`RunningSoftmax` needs."""

_MAX, _FACTOR, _SUMS, _LARGEST = 0, 2, 6, 10
"""The first column of two, four, four, and one; parts take them in turns."""


class RunningSoftmax(nl.NKIObject):
    """What is known of up to 128 rows after the parts that :func:`weigh` has seen.

    Attributes:
        total: Z, fp32 ``[rows, 1]`` of the caller's; undefined before the first part.
        columns: fp32 SBUF ``[128, SOFTMAX_COLUMNS]`` of the caller's, for nothing else.
        rows: how many rows there are.
        parts: how many parts were seen.
        negated_max: ``[rows, 1]``, -m; None before the first part.
    """

    total: Any
    columns: Any
    rows: int
    parts: int = 0
    negated_max: Any = None


class Part(nl.NKIObject):
    """What :func:`weigh` says of a part; valid until the fourth part after it.

    Attributes:
        factor: ``[rows, 1]``, what earlier sums must be multiplied by; None when there are none.
        sums: ``[rows, 1]``, Σ of the part's weights.
    """

    factor: Any = None
    sums: Any = None


def _column(state: RunningSoftmax, which: int) -> nl.ndarray:
    return state.columns[0 : state.rows, which : which + 1]


def largest(state: RunningSoftmax) -> nl.ndarray:
    """Where the maximum of each row of the next part belongs, ``[rows, 1]``."""
    return _column(state, _LARGEST)


def begin_with_sink(state: RunningSoftmax, negated_sink: Any) -> None:
    """Begin with a logit that has no value: it only enters the maximum and the sum; ``[P, 1]``, negated."""
    state.negated_max = negated_sink
    nisa.memset(dst=state.total, value=1.0)


def row_max(state: RunningSoftmax, scores: Any) -> None:
    """Take the maximum of each row of a part, fp32 ``[rows, N]``."""
    nisa.tensor_reduce(dst=largest(state), op=nl.maximum, data=scores, axis=1)


def weigh(state: RunningSoftmax, dst: Any, scores: Any, scale: float) -> Part:
    """``dst = exp(scale·scores - m)`` with m over this and all earlier parts.

    Args:
        dst: SBUF ``[rows, N]``, any float dtype.
        scores: fp32 ``[rows, N]``, SBUF or PSUM, finite or -∞, whose maxima are in :func:`largest`.
        scale: positive.

    :func:`settle` must follow for each part, in their order, before ``state.total`` is used.
    """
    before, turn = state.negated_max, state.parts % 4
    negated = _column(state, _MAX + state.parts % 2)
    state.negated_max = negated
    state.parts += 1
    if before is None:
        nisa.tensor_scalar(
            dst=negated,
            data=largest(state),
            op0=nl.multiply,
            operand0=-scale,
            op1=nl.minimum,
            operand1=-MASKED,  # of nothing but -∞ the weights are 0, not those of -∞ + ∞
        )
        _exponentials(dst, scores, negated, scale, state.total)
        return Part(sums=state.total)
    nisa.tensor_scalar(
        dst=negated, data=largest(state), op0=nl.multiply, operand0=-scale, op1=nl.minimum, operand1=before
    )
    part = Part(factor=_column(state, _FACTOR + turn), sums=_column(state, _SUMS + turn))
    _exponentials(dst, scores, negated, scale, part.sums)
    nisa.activation(dst=part.factor, op=nl.exp, data=before, scale=-1.0, bias=negated)
    return part


def settle(state: RunningSoftmax, part: Part) -> None:
    """``Z = Z·factor + Σ weights``. Apart from :func:`weigh`, so that other work can be issued in between."""
    if part.factor is not None:
        nisa.scalar_tensor_tensor(
            dst=state.total,
            data=state.total,
            op0=nl.multiply,
            operand0=part.factor,
            op1=nl.add,
            operand1=part.sums,
        )


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


def add_part(dst: Any, values: Any, part: Part, first: bool) -> None:
    """Sum weighted values in fp32: ``dst = dst·factor + values``, ``dst = values`` at first; ``[P, F]``."""
    if first:
        nisa.tensor_copy(dst=dst, src=values)
    else:
        nisa.scalar_tensor_tensor(
            dst=dst, data=dst, op0=nl.multiply, operand0=part.factor, op1=nl.add, operand1=values
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
