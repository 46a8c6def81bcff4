"""Selections, searches and index patterns against loops and NumPy."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np
import pytest
from isatiles import rounded, target
from tiles import got, hbm, psum, raw, sbuf, tile

from nkisim import isa as nisa
from nkisim.core import operators as nl
from nkisim.core.context import state
from nkisim.core.errors import SimulationError
from nkisim.isa.constants import reduce_cmd

RANDOM = np.random.default_rng(17)
LOWEST = -3.4028234663852886e38


@pytest.fixture(autouse=True)
def _fresh_core() -> Any:
    state.running().vector_accumulators[...] = 0
    with np.errstate(all="ignore"):
        yield


def values(*shape: int) -> Any:
    return RANDOM.uniform(-2, 2, shape).astype(np.float32)


def affine(rows: int, pattern: Any, offset: int, multiplier: int) -> Any:
    """The documented loops."""
    return np.array([
        [
            offset + p * multiplier + sum(step * i for (step, _), i in zip(pattern, index, strict=True))
            for index in itertools.product(*(range(count) for _, count in pattern))
        ]
        for p in range(rows)
    ])  # fmt: skip


PATTERNS = [
    (128, [[1, 1]], 0, 1),
    (4, [[1, 8]], -3, 2),
    (5, [[-1, 3], [10, 4]], 7, -5),
    (3, [[0, 2], [1, 2], [4, 2], [-2, 3]], 1, 1),
]


@pytest.mark.parametrize("dtype", ["int32", "float32", "bfloat16"])
@pytest.mark.parametrize(("rows", "pattern", "offset", "multiplier"), PATTERNS)
def test_iota(rows: int, pattern: Any, offset: int, multiplier: int, dtype: str) -> None:
    want = affine(rows, pattern, offset, multiplier)
    dst = sbuf((rows, want.shape[1]), dtype)
    nisa.iota(dst, pattern, offset, multiplier)
    np.testing.assert_array_equal(got(dst), rounded(want, "float32" if dtype == "int32" else dtype))


def test_iota_defaults_and_full_integers() -> None:
    dst = sbuf((1, 2, 2), "int32")
    nisa.iota(dst, pattern=[[2**30, 2], [1, 2]])
    assert raw(dst).tolist() == [[[0, 1], [2**30, 2**30 + 1]]]


def test_iota_checks() -> None:
    with pytest.raises(SimulationError, match="the pattern has 6 elements"):
        nisa.iota(sbuf((4, 5)), [[1, 2], [1, 3]])
    with pytest.raises(SimulationError, match="has 5 dimensions; at most 4"):
        nisa.iota(sbuf((4, 1)), [[1, 1]] * 5)
    with pytest.raises(SimulationError, match="dst is a psum"):
        nisa.iota(psum((4, 2)), [[1, 2]])


COMPARISONS = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}


@pytest.mark.parametrize("name", sorted(COMPARISONS))
@pytest.mark.parametrize(("rows", "pattern", "offset", "multiplier"), PATTERNS)
def test_affine_select(rows: int, pattern: Any, offset: int, multiplier: int, name: str) -> None:
    index = affine(rows, pattern, offset, multiplier)
    a = rounded(values(*index.shape), "bfloat16")
    dst = sbuf(index.shape, "bfloat16")
    nisa.affine_select(dst, pattern, offset, multiplier, tile(a, "bfloat16"), -7.0, nl.TOKENS[name])
    np.testing.assert_array_equal(got(dst), np.where(COMPARISONS[name](index, 0), a, -7.0))


def test_affine_select_compares_with_equal_unless_told() -> None:
    dst = sbuf((3, 3), "int32")
    a = np.int32([[2**24 + 1] * 3] * 3)
    nisa.affine_select(dst, [[-1, 3]], channel_multiplier=1, on_true_tile=tile(a), on_false_value=0.0)
    np.testing.assert_array_equal(raw(dst), np.eye(3, dtype=np.int32) * (2**24 + 1))


def test_affine_select_checks() -> None:
    with pytest.raises(SimulationError, match="on_true_tile is a psum"):
        nisa.affine_select(sbuf((4, 4)), [[1, 4]], 0, 1, psum((4, 4)), 0.0)
    with pytest.raises(SimulationError, match=r"cmp_op is nl\.add"):
        nisa.affine_select(sbuf((4, 4)), [[1, 4]], 0, 1, sbuf((4, 4)), 0.0, nl.add)
    with pytest.raises(SimulationError, match="the pattern has 5 elements"):
        nisa.affine_select(sbuf((4, 4)), [[1, 5]], 0, 1, sbuf((4, 4)), 0.0)


@pytest.mark.parametrize("shape", [(57, 12), (4, 3, 4)])
def test_range_select(shape: Any) -> None:
    a = values(*shape)
    low, high = RANDOM.integers(0, 20, (128, 1)).astype(np.float32), np.full((128, 1), 17, np.float32)
    dst, top = sbuf(shape), sbuf((128, 1))
    nisa.range_select(
        dst,
        tile(a),
        nl.greater_equal,
        nl.less,
        tile(low),
        tile(high),
        reduce_res=top,
        range_start=8,
        reduce_op=nl.maximum,
    )
    index = 8 + np.arange(12)
    want = np.where((index >= low[: shape[0]]) & (index < 17), a.reshape(shape[0], 12), np.float32(LOWEST))
    np.testing.assert_array_equal(got(dst).reshape(shape[0], 12), want)
    np.testing.assert_array_equal(got(top)[: shape[0], 0], want.max(1))


def test_range_select_ignores_the_false_value_which_overflows_in_bfloat16() -> None:
    dst, top = sbuf((2, 4), "bfloat16"), sbuf((2, 1))
    bound = tile(np.full((2, 1), 99, np.float32))
    nisa.range_select(
        dst, tile(values(2, 4)), nl.equal, nl.equal, bound, bound, reduce_cmd.idle, top, on_false_value=0.0
    )
    assert (got(dst) == -np.inf).all()
    assert (got(top) == np.float32(LOWEST)).all()


@pytest.mark.parametrize(("change", "message"), [
    ({"comp_op0": nl.not_equal}, r"comp_op0 is nl\.not_equal"),
    ({"comp_op1": nl.add}, r"comp_op1 is nl\.add"),
    ({"reduce_op": nl.add}, "reduce_op"),
    ({"bound0": sbuf((4, 1), "int32")}, "bound0 is a"),
    ({"range_start": 0.5}, r"range_start is 0\.5"),
    ({"range_start": (1 << 24) - 3}, "range_start is 16777213"),
    ({"range_start": -(1 << 24)}, "range_start is -16777216"),
    ({"bound1": sbuf((2, 1))}, "bound1 is a"),
    ({"on_true_tile": sbuf((4, 4), "int32")}, "on_true_tile is a .* must be one of float32"),
])  # fmt: skip
def test_range_select_checks(change: dict[str, Any], message: str) -> None:
    arguments = {
        "dst": sbuf((4, 4)), "on_true_tile": sbuf((4, 4)), "comp_op0": nl.less, "comp_op1": nl.less,
        "bound0": sbuf((4, 1)), "bound1": sbuf((4, 1)), **change,
    }  # fmt: skip
    with pytest.raises(SimulationError, match=message):
        nisa.range_select(**arguments)


@pytest.mark.parametrize("start", [(1 << 24) - 4, 4 - (1 << 24), -3.0])
def test_where_a_range_may_start(start: float) -> None:
    bound = tile(np.full((4, 1), start + 2, np.float32))
    dst = sbuf((4, 4))
    nisa.range_select(
        dst, tile(np.ones((4, 4), np.float32)), nl.equal, nl.equal, bound, bound, range_start=start
    )
    assert (got(dst) == np.where(np.arange(4) == 2, np.float32(1), np.float32(LOWEST))).all()


def test_range_select_needs_gen3() -> None:
    with target(2), pytest.raises(SimulationError, match="needs gen3"):
        nisa.range_select(sbuf((4, 4)), sbuf((4, 4)), nl.less, nl.less, sbuf((4, 1)), sbuf((4, 1)))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_select_reduce_goes_on(dtype: str, reverse: bool) -> None:
    first, second, other = values(6, 5), values(6, 5) + 1, values(6, 1)
    flags = RANDOM.integers(0, 2, (2, 6, 5))
    dst, top = sbuf((6, 5), "float32"), sbuf((6, 1))
    nisa.select_reduce(
        dst,
        tile(flags[0], dtype),
        tile(first),
        tile(other),
        None,
        reduce_cmd.reset_reduce,
        reverse_pred=reverse,
    )
    want = np.where((flags[0] == 0) == reverse, first, other)
    np.testing.assert_array_equal(got(dst), want)
    nisa.select_reduce(
        dst, tile(flags[1], dtype), tile(second), -9.0, top, reduce_cmd.reduce, nl.maximum, reverse
    )
    again = np.where((flags[1] == 0) == reverse, second, -9.0)
    np.testing.assert_array_equal(got(dst), again)
    np.testing.assert_array_equal(got(top)[:, 0], np.maximum(want.max(1), again.max(1)))


def test_select_reduce_checks() -> None:
    p, a = sbuf((4, 4), "uint8"), sbuf((4, 4))
    with pytest.raises(SimulationError, match="both in PSUM"):
        nisa.select_reduce(a, psum((4, 4), "uint8"), psum((4, 4)), 0.0)
    with pytest.raises(SimulationError, match="predicate is a"):
        nisa.select_reduce(a, a, a, 0.0)
    with pytest.raises(SimulationError, match="on_true is a"):
        nisa.select_reduce(a, p, sbuf((4, 4), "int32"), 0.0)
    with pytest.raises(SimulationError, match=r"reduce_op is nl\.add"):
        nisa.select_reduce(a, p, a, 0.0, reduce_op=nl.add)
    with pytest.raises(SimulationError, match="load_reduce is not for it"):
        nisa.select_reduce(a, p, a, 0.0, reduce_cmd=reduce_cmd.load_reduce)


@pytest.mark.parametrize("shape", [(3, 8), (128, 40), (5, 4, 9)])
def test_max8_and_where_they_stand(shape: Any) -> None:
    a = RANDOM.integers(-20, 20, shape).astype(np.float32)
    top, where = sbuf((shape[0], 8)), sbuf((shape[0], 8), "uint32")
    nisa.max8(top, tile(a))
    nisa.nc_find_index8(where, tile(a), top)
    for row, found, indices in zip(a.reshape(shape[0], -1), got(top), raw(where), strict=True):
        order = sorted(range(row.size), key=lambda i: (-row[i], i))[:8]
        assert found.tolist() == [row[i] for i in order]
        assert indices.tolist() == order


@pytest.mark.parametrize("columns", [8, 700])
def test_searches_of_repeated_values(columns: int) -> None:
    rows = 12
    a = RANDOM.integers(0, 6, (rows, columns)).astype(np.float32)
    wanted = RANDOM.integers(0, 8, (rows, 8)).astype(np.float32)  # some of them are nowhere
    where, places, replaced = sbuf((rows, 8), "uint32"), sbuf((rows, 8), "uint32"), sbuf(a.shape)
    for imm in (-1.0, 5.0):  # 5 may be what a later value looks for
        nisa.nc_find_index8(where, tile(a), tile(wanted))
        nisa.nc_match_replace8(replaced, tile(a), tile(wanted), imm, places)
        for row in range(rows):
            left = a[row].tolist()
            for column, value in enumerate(wanted[row].tolist()):
                stands = [i for i, each in enumerate(a[row].tolist()) if each == value]
                before = wanted[row, :column].tolist().count(value)
                nth = stands[before] if before < len(stands) else stands[0] if stands else 0
                assert raw(where)[row, column] == nth
                place = left.index(value) if value in left else None
                assert raw(places)[row, column] == (place or 0)
                if place is not None:
                    left[place] = imm
            assert got(replaced)[row].tolist() == left


def test_find_index8_in_any_order() -> None:
    a = RANDOM.permutation(50).astype(np.float32)[None].repeat(2, 0)
    wanted = np.float32([[3, 1, 4, 15, 9, 2, 6, 5], [49, 0, 7, 8, 20, 30, 40, 10]])
    where = sbuf((2, 8), "uint16")
    nisa.nc_find_index8(where, tile(a), tile(wanted))
    assert raw(where).tolist() == [[a[0].tolist().index(v) for v in row] for row in wanted.tolist()]


@pytest.mark.parametrize("inplace", [False, True])
def test_match_replace8(inplace: bool) -> None:
    a = RANDOM.integers(0, 6, (7, 3, 10)).astype(np.float32)
    wanted = RANDOM.integers(0, 8, (7, 8)).astype(np.float32)
    data = tile(a)
    dst, places = data if inplace else sbuf((7, 3, 10)), sbuf((7, 8), "uint32")
    nisa.nc_match_replace8(dst, data, tile(wanted), -1.0, places)
    expected, indices = a.reshape(7, 30).tolist(), np.zeros((7, 8))
    for p, j in itertools.product(range(7), range(8)):
        if wanted[p, j] in expected[p]:
            indices[p, j] = expected[p].index(wanted[p, j])
            expected[p][int(indices[p, j])] = -1.0
    assert got(dst).reshape(7, 30).tolist() == expected
    np.testing.assert_array_equal(raw(places), indices)


def test_search_limits() -> None:
    with pytest.raises(SimulationError, match="src has 7 elements in a partition; allowed: 8 to 16384"):
        nisa.max8(sbuf((4, 8)), sbuf((4, 7)))
    with pytest.raises(SimulationError, match="data has 16385"):
        nisa.nc_match_replace8(sbuf((1, 16385)), sbuf((1, 16385)), sbuf((1, 8)), 0.0)
    with pytest.raises(SimulationError, match="vals is a"):
        nisa.nc_find_index8(sbuf((4, 8), "uint32"), sbuf((4, 9)), sbuf((4, 7)))
    with pytest.raises(SimulationError, match=r"dst is a .* int32"):
        nisa.nc_find_index8(sbuf((4, 8), "int32"), sbuf((4, 9)), sbuf((4, 8)))
    with pytest.raises(SimulationError, match="partitions and elements"):
        nisa.max8(sbuf((4, 9)), sbuf((4, 9)))
    with pytest.raises(SimulationError, match="src is a hbm"):
        nisa.max8(sbuf((4, 8)), hbm(values(4, 9)))


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_nonzero_with_count(dtype: str) -> None:
    a = RANDOM.integers(0, 2, (33, 8))
    a[16], a[32] = 0, 1
    dst = tile(np.full((33, 9), 77), "int32")
    nisa.nonzero_with_count(dst, tile(a, dtype), 16, -5)
    for p, row in enumerate(raw(dst).tolist()):
        found = [i + 16 for i in range(8) if a[p, i]]
        assert row == ([*found, *[-5] * (8 - len(found)), len(found)] if p % 16 == 0 else [77] * 9)


def test_nonzero_with_count_checks() -> None:
    with pytest.raises(SimulationError, match="one element more"):
        nisa.nonzero_with_count(sbuf((4, 8), "int32"), sbuf((4, 8)))
    with pytest.raises(SimulationError, match="src is a"):
        nisa.nonzero_with_count(sbuf((4, 9), "int32"), sbuf((4, 8), "bfloat16"))
    with pytest.raises(SimulationError, match="dst is a"):
        nisa.nonzero_with_count(sbuf((4, 9)), sbuf((4, 8)))
    with target(2), pytest.raises(SimulationError, match="needs gen3"):
        nisa.nonzero_with_count(sbuf((4, 9), "int32"), sbuf((4, 8)))


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_sequence_bounds(dtype: str) -> None:
    ids = [[0, 1, 1, 3, 3, 3, 0, 0, 2]]
    dst = sbuf((1, 2, 9), dtype)
    nisa.sequence_bounds(dst, tile(ids, dtype))
    assert got(dst).tolist() == [[[9, 1, 1, 3, 3, 3, 9, 9, 8], [-1, 3, 3, 6, 6, 6, -1, -1, 9]]]
    with pytest.raises(SimulationError, match="must have one partition"):
        nisa.sequence_bounds(sbuf((2, 2, 9), dtype), sbuf((2, 9), dtype))
    with pytest.raises(SimulationError, match="segment_ids is a"):
        nisa.sequence_bounds(dst, sbuf((1, 9), "int16"))


def test_select_reduce_without_a_maximum_leaves_it() -> None:
    a, flags, top = values(4, 5), RANDOM.integers(0, 2, (4, 5)).astype(np.uint8), sbuf((4, 1))
    nisa.select_reduce(sbuf((4, 5)), tile(flags), tile(a), -9.0, None, reduce_cmd.reset_reduce)
    nisa.select_reduce(sbuf((4, 5)), tile(flags), tile(a + 100), 500.0, top)
    np.testing.assert_array_equal(got(top)[:, 0], np.where(flags, a, -9.0).max(1))


def test_what_is_no_number_or_command() -> None:
    a, columns = tile(np.ones((4, 8), np.float32)), tile(np.ones((4, 1), np.float32))
    flags = tile(np.ones((4, 8), np.uint8))
    calls = {
        "on_false_value must be a number": lambda: nisa.affine_select(
            sbuf((4, 8)), [[1, 8]], 0, 0, a, None, nl.less
        ),
        "range_start must be a number": lambda: nisa.range_select(
            sbuf((4, 8)), a, nl.less, nl.less, columns, columns, range_start=None
        ),
        "imm must be a number": lambda: nisa.nc_match_replace8(sbuf((4, 8)), a, a, None),
        "None is not for it": lambda: nisa.select_reduce(sbuf((4, 8)), flags, a, 0.0, reduce_cmd=None),
        r"pattern is \[\]; it must be \[\[step, count\]": lambda: nisa.iota(sbuf((4, 8), "int32"), [], 0),
        "pattern is 8; it must be": lambda: nisa.iota(sbuf((4, 8), "int32"), 8, 0),
    }
    for message, call in calls.items():
        with pytest.raises(SimulationError, match=message):
            call()
