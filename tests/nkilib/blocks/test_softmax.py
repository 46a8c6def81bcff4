"""Softmax over keys in parts against float64, whichever part has the maximum."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP32, in_hbm, in_sbuf
from kernels import check_close, launch

from nkilib.blocks.memory import manager, scratch
from nkilib.blocks.softmax import (
    SOFTMAX_COLUMNS,
    RunningSoftmax,
    add_part,
    begin_with_sink,
    column_max,
    row_max,
    settle,
    spread_column,
    weigh,
    weigh_columns,
)

ROWS, COLUMNS = 70, 96
RANDOM = np.random.default_rng(8)


def attention(parts: Any, values: Any, scale: float, sink: Any = None) -> Any:
    """Run it: (Σ of the weighted values without 1/Z, Z, -m) for scores in parts, weighting ``values`` row by row.

    The weighted values are the first columns of the weights times ``values``, so that no matmul is needed.
    """

    def kernel(parts: Any, values: Any, sink: Any) -> Any:
        work = scratch(manager())
        total = work.tile((128, 2), FP32)
        columns = work.tile((128, SOFTMAX_COLUMNS), FP32)
        state = RunningSoftmax(total=total[0:ROWS, 1:2], columns=columns, rows=ROWS)
        if sink is not None:
            begin_with_sink(state, in_sbuf(sink))
        sums = work.tile((ROWS, COLUMNS), FP32)
        for index in range(len(parts)):
            scores = in_sbuf(parts[index])
            row_max(state, scores)
            weights = work.tile((ROWS, COLUMNS), FP32)
            part = weigh(state, weights, scores, scale)
            assert (part.factor is None) == (index == 0 and sink is None)
            weighted = work.tile((ROWS, COLUMNS), FP32)
            nisa.tensor_tensor(dst=weighted, data1=weights, data2=in_sbuf(values), op=nl.multiply)
            settle(state, part)
            add_part(sums, weighted, part, index == 0)
        kept = work.tile((ROWS, 1), FP32)
        nisa.tensor_copy(dst=kept, src=state.total)
        return in_hbm(sums), in_hbm(kept), in_hbm(state.negated_max)

    return launch(kernel, list(parts), values, sink)


def expected(parts: Any, values: Any, scale: float, sink: Any = None) -> Any:
    scores = scale * np.stack(parts).astype(np.float64)
    logits = np.concatenate(list(scores), axis=1)
    if sink is not None:
        logits = np.concatenate([logits, -sink.astype(np.float64)], axis=1)
    largest = logits.max(axis=1, keepdims=True)
    total = np.exp(logits - largest).sum(axis=1, keepdims=True)
    weighted = (np.exp(scores - largest) * values).sum(axis=0)
    return weighted, total, -largest


def scores(count: int) -> list[Any]:
    return [RANDOM.normal(size=(ROWS, COLUMNS)).astype(np.float32) * 4 for _ in range(count)]


VALUES = RANDOM.normal(size=(ROWS, COLUMNS)).astype(np.float32)


def check(parts: Any, scale: float, sink: Any = None) -> None:
    for got, want in zip(
        attention(parts, VALUES, scale, sink), expected(parts, VALUES, scale, sink), strict=True
    ):
        check_close(got, want, 1e-5, 1e-6)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("scale", [1.0, 0.3, 2.5])
def test_parts(count: int, scale: float) -> None:
    check(scores(count), scale)


@pytest.mark.parametrize("raised", [0, 1, 2])
def test_the_maximum_may_be_in_any_part(raised: int) -> None:
    parts = scores(3)
    parts[raised] += 60.0
    check(parts, 1.0)


@pytest.mark.parametrize("level", [-30.0, 5.0, 40.0])
def test_sink(level: float) -> None:
    check(scores(2), 0.5, np.full((ROWS, 1), -level, np.float32))


def test_a_part_without_any_key_is_wiped_by_a_later_one() -> None:
    """Masked scores are the lowest float32: weights of 1 that a factor of 0 removes."""
    parts = scores(2)
    masked = np.full((ROWS, COLUMNS), np.finfo(np.float32).min, np.float32)
    for order in ([masked, *parts], [*parts, masked]):
        for got, want in zip(attention(order, VALUES, 1.0), expected(parts, VALUES, 1.0), strict=True):
            check_close(got, want, 1e-5, 1e-6)


def test_weights_are_rounded_but_their_sum_is_not() -> None:
    part = scores(1)[0]

    def kernel(part: Any) -> Any:
        work = scratch(manager())
        total = work.tile((ROWS, 1), FP32)
        columns = work.tile((ROWS, SOFTMAX_COLUMNS), FP32)
        state = RunningSoftmax(total=total, columns=columns, rows=ROWS)
        held = in_sbuf(part)
        row_max(state, held)
        weights = work.tile((ROWS, COLUMNS), BF16)
        settle(state, weigh(state, weights, held, 1.0))
        return in_hbm(weights), in_hbm(total)

    weights, total = launch(kernel, part)
    exact = np.exp(part.astype(np.float64) - part.max(axis=1, keepdims=True))
    assert str(weights.dtype) == "bfloat16"
    check_close(total, exact.sum(axis=1, keepdims=True), 1e-6)
    check_close(weights, exact, 4e-3)
    assert np.abs(weights.astype(np.float64).sum(axis=1) - exact.sum(axis=1)).max() > 1e-4


# -- keys on the partitions -----------------------------------------------------------------------------


@pytest.mark.parametrize(("tiles", "columns"), [(1, 1), (3, 128), (7, 20)])
def test_columns(tiles: int, columns: int) -> None:
    """The maximum of each column of all tiles and partitions; some see few keys, the first one none."""
    scores = RANDOM.normal(size=(128, tiles, columns)).astype(np.float32) * 5
    scores[RANDOM.uniform(size=scores.shape) < 0.5] = -np.inf
    scores[:, :, 0] = -np.inf

    def kernel(scores: Any) -> Any:
        work = scratch(manager())
        held = in_sbuf(scores)
        column = work.tile((columns, 1), FP32)
        column_max(column, held, work)
        largest = work.tile((128, columns), FP32)
        nisa.tensor_copy(dst=largest, src=spread_column(column, 128))
        weights, sums = work.tile(scores.shape, BF16), work.tile((128, columns), FP32)
        weigh_columns(weights, held, largest, sums)
        work.close()
        return in_hbm(column), in_hbm(largest), in_hbm(weights), in_hbm(sums)

    column, largest, weights, sums = launch(kernel, scores)
    lowest = np.finfo(np.float32).min
    want = np.maximum(scores.max((0, 1)), lowest)
    assert want[0] == lowest
    assert np.array_equal(column[:, 0], want)
    assert np.array_equal(largest, np.broadcast_to(want, (128, columns)))
    check_close(weights, np.exp(scores.astype(np.float64) - want), 4e-3, 0)
    rounded = np.asarray(weights).astype(np.float64)
    assert not rounded[:, :, 0].any()
    check_close(sums, rounded.sum(1), 1e-6, 0)
