"""Tiles so large that instructions work on a few partitions at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from isatiles import rounded
from tiles import got, sbuf, tile

from nkisim.core import operators as nl
from nkisim.core.context import Core, state
from nkisim.core.errors import SimulationError
from nkisim.isa import elementwise, reduction
from nkisim.isa.activation import activation, activation_reduce
from nkisim.isa.blocks import BLOCK, in_blocks
from nkisim.isa.constants import reduce_cmd

ROWS, COLUMNS = 100, 1500
RANDOM = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def _as_in_a_launch() -> Any:
    state.core = Core(0, 1, ())
    with np.errstate(all="ignore"):
        yield
    state.core = None


def values(*shape: int) -> Any:
    return RANDOM.uniform(-5, 5, shape).astype(np.float32)


def test_blocks_cover_every_partition_once() -> None:
    dst, data = sbuf((ROWS, COLUMNS), "bfloat16"), tile(values(ROWS, COLUMNS), "bfloat16")
    blocks = list(in_blocks(dst, data, 2.0, None))
    assert len(blocks) > 1
    assert all(part.shape[0] * COLUMNS <= BLOCK for part, *_ in blocks)
    assert sum(part.shape[0] for part, *_ in blocks) == ROWS
    for part, source, *others in blocks:
        assert part.shape == source.shape
        assert others == [2.0, None]


@pytest.mark.parametrize("out", ["float32", "bfloat16", "float8_e4m3"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("op", [nl.add, nl.less])
def test_two_tiles(op: Any, dtype: str, out: str) -> None:
    a, b = (rounded(values(ROWS, COLUMNS), dtype) for _ in range(2))
    dst = sbuf((ROWS, COLUMNS), out)
    elementwise.tensor_tensor(dst, tile(a, dtype), tile(b, dtype), op)
    want = a + b if op is nl.add else (a < b).astype(np.float32)
    np.testing.assert_array_equal(got(dst), rounded(want, out))


@pytest.mark.parametrize(
    ("into", "source"), [(np.s_[:, 1:], np.s_[:, : COLUMNS - 1]), (np.s_[1:], np.s_[: ROWS - 1])]
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_tile_may_be_shifted_within_itself(dtype: str, into: Any, source: Any) -> None:
    """All of the operand counts as read before anything is written."""
    a = rounded(values(ROWS, COLUMNS), dtype)
    both = tile(a, dtype)
    elementwise.tensor_scalar(both[into], both[source], nl.multiply, 2.0)
    want = a.copy()
    want[into] = a[source] * 2
    np.testing.assert_array_equal(got(both), want)


def test_a_tile_may_be_its_own_result() -> None:
    a, b = values(ROWS, COLUMNS), values(ROWS + 5, 1)
    both = tile(a, "float32")
    elementwise.scalar_tensor_tensor(both, both, nl.multiply, tile(b, "float32"), nl.add, both)
    np.testing.assert_array_equal(got(both), a * b[:ROWS] + a)


def test_an_operand_may_lie_in_the_result() -> None:
    a = values(ROWS, COLUMNS)
    both = tile(a, "float32")
    elementwise.tensor_scalar(both, both, nl.multiply, both[:, 0:1], op1=nl.add, operand1=both[:, 1:2])
    np.testing.assert_array_equal(got(both), a * a[:, 0:1] + a[:, 1:2])


def test_partitions_must_match_in_large_tiles_too() -> None:
    dst, data = sbuf((ROWS, COLUMNS), "float32"), tile(values(ROWS + 1, COLUMNS), "float32")
    with pytest.raises(SimulationError, match="partitions"):
        elementwise.tensor_scalar(dst, data, nl.multiply, 2.0)


@pytest.mark.parametrize("function", [nl.exp, nl.silu, nl.relu, nl.rsqrt, nl.sigmoid])
def test_activation_and_its_running_sums(function: Any) -> None:
    a, scale, bias = np.abs(values(ROWS, COLUMNS)), values(ROWS, 1) / 5, np.float32(6) + values(ROWS, 1) / 5
    dst, sums = sbuf((ROWS, COLUMNS), "bfloat16"), sbuf((ROWS, 1), "float32")
    data = tile(a, "float32")
    options: Any = {"bias": tile(bias, "float32"), "scale": tile(scale, "float32"), "reduce_op": nl.add}
    activation(dst, function, data, reduce_cmd=reduce_cmd.reset_reduce, **options)
    activation(dst, function, data, reduce_cmd=reduce_cmd.reduce, reduce_res=sums, **options)
    x = (a * scale + bias).astype(np.float64)
    want = {
        "exp": np.exp(x), "silu": x / (1 + np.exp(-x)), "relu": np.maximum(x, 0),
        "rsqrt": x**-0.5, "sigmoid": 1 / (1 + np.exp(-x)),
    }[function.name]  # fmt: skip
    np.testing.assert_allclose(got(dst), want, rtol=1e-2)
    np.testing.assert_allclose(got(sums)[:, 0], 2 * want.sum(axis=1), rtol=1e-4)


def test_sums_of_a_result_that_is_not_kept() -> None:
    """A destination whose elements are all one is what kernels use that want the sum only."""
    a = values(ROWS, COLUMNS)
    one, sums = sbuf((ROWS, 1), "float32"), sbuf((ROWS, 1), "float32")
    nowhere = one.ap([[1, ROWS], [0, COLUMNS]])
    activation_reduce(nowhere, nl.square, tile(a, "float32"), nl.add, sums)
    np.testing.assert_allclose(got(sums)[:, 0], (a * a).sum(axis=1), rtol=1e-5)
    reduction.tensor_scalar_reduce(nowhere, tile(a, "float32"), nl.multiply, 2.0, nl.maximum, sums)
    np.testing.assert_array_equal(got(sums)[:, 0], 2 * a.max(axis=1))


def test_a_part_written_first_leaves_the_rest_unwritten() -> None:
    dst = sbuf((ROWS, 2 * COLUMNS), "bfloat16")
    a = rounded(values(ROWS, COLUMNS), "bfloat16")
    elementwise.tensor_scalar(dst[:, :COLUMNS], tile(a, "float32"), nl.add, 0.0)
    np.testing.assert_array_equal(got(dst)[:, :COLUMNS], a)
    assert np.isnan(got(dst)[:, COLUMNS:]).all()


def test_what_a_caller_has_of_a_tile_outlives_the_tile() -> None:
    a = values(ROWS, COLUMNS)
    kept = tile(a, "float32").read_raw()
    after = [tile(values(ROWS, COLUMNS) + 100, "float32") for _ in range(3)]
    np.testing.assert_array_equal(kept, a)
    assert len(after) == 3


def test_memory_of_a_tile_that_is_gone_reads_as_unwritten() -> None:
    gone = tile(values(ROWS, COLUMNS), "float32")
    del gone
    assert np.isnan(got(sbuf((ROWS, COLUMNS), "float32"))).all()
