"""dma_copy and dma_compute against explicit loops over flat memory."""

from __future__ import annotations

import itertools
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiles import got, hbm, psum, raw, sbuf, tile

from nkisim import isa as nisa
from nkisim import language as nl
from nkisim.core.context import state
from nkisim.core.errors import SimulationError
from nkisim.core.registers import Register

RNG = np.random.default_rng(3)
SKIP = nisa.oob_mode.skip


def walked(pattern: list[tuple[int, int]], offset: int) -> list[int]:
    """The flat element numbers of a pattern, by explicit loops."""
    ranges = [range(count) for _, count in pattern]
    steps = [step for step, _ in pattern]
    return [offset + sum(s * i for s, i in zip(steps, at, strict=True)) for at in itertools.product(*ranges)]


# -- plain copies ----


@pytest.mark.parametrize(
    "kind", [d.name for d in (nl.float32, nl.bfloat16, nl.float16, nl.float8_e5m2, nl.int32)]
)
@pytest.mark.parametrize(
    ("source", "target"),
    [((4, 6), (4, 6)), ((24,), (4, 6)), ((2, 12), (8, 3)), ((4, 6), (4, 2, 3)), ((1, 1), (1,))],
)
def test_order_is_row_major_on_both_sides(
    kind: str, source: tuple[int, ...], target: tuple[int, ...]
) -> None:
    values = RNG.integers(-8, 9, source)
    dst = sbuf(target, kind)
    nisa.dma_copy(dst, hbm(values, kind))
    assert got(dst).reshape(-1).tolist() == values.reshape(-1).tolist()


def test_equal_types_keep_every_bit() -> None:
    bits = np.array([[0x7FC1, 0xFFFF, 0x8000, 0x0001]], np.uint16)
    dst = sbuf((1, 4), "bfloat16")
    nisa.dma_copy(dst, hbm(bits.view(ml_dtypes.bfloat16)))
    assert raw(dst).view(np.uint16).tolist() == bits.tolist()


@pytest.mark.parametrize(
    ("source", "target", "values", "expected"),
    [
        ("float32", "bfloat16", [1.00390625, 1.01171875], [1.0, 1.015625]),  # ties go to the even neighbour
        ("float32", "int32", [0.5, 1.5, 2.5, -0.5, 2.7], [0, 2, 2, 0, 3]),
        ("int32", "float32", [2**24 + 1, -7], [2.0**24, -7.0]),
        ("int32", "int16", [2**24 + 1, 40000, -40000], [32767, 32767, -32768]),
        ("int32", "uint32", [2**24 + 3], [2**24 + 4]),  # through float32
        ("float32", "float8_e4m3", [240.0, 1000.0, 0.3], [240.0, np.inf, 0.3125]),
        ("float32", "uint8", [-3.0, 300.0], [0, 255]),
    ],
)
def test_other_types_go_through_float32(
    source: str, target: str, values: list[float], expected: list[float]
) -> None:
    dst = sbuf((1, len(values)), target)
    nisa.dma_copy(dst, hbm(np.array([values]), source))
    assert raw(dst).astype(np.float64).reshape(-1).tolist() == expected


def test_one_element() -> None:
    dst = sbuf((2, 2))
    dst.write(np.zeros((2, 2), np.float32))
    source = hbm(np.array([[1, 2], [3, 4]], np.float32))
    nisa.dma_copy(dst[1, 0], source[0, 1])
    assert got(dst).tolist() == [[0, 0], [2, 0]]


def test_views_on_both_sides() -> None:
    values = RNG.standard_normal((6, 10)).astype(np.float32)
    dst = tile(np.zeros((6, 10), np.float32))
    nisa.dma_copy(dst[1:5:2, 0:9:3], hbm(values)[2:4, 1:7:2])
    expected = np.zeros((6, 10), np.float32)
    for row, column in itertools.product(range(2), range(3)):
        expected[1 + 2 * row, 3 * column] = values[2 + row, 1 + 2 * column]
    assert np.array_equal(got(dst), expected)


@st.composite
def patterns(draw: Any, size: int) -> tuple[list[tuple[int, int]], int]:
    """A pattern that stays in ``size`` elements, with steps of 0 among them."""
    offset = draw(st.integers(0, size - 1))
    left, pattern = size - 1 - offset, []
    for _ in range(draw(st.integers(1, 4))):
        count = draw(st.integers(1, 4))
        step = draw(st.integers(0, left // (count - 1))) if count > 1 else draw(st.integers(0, 9))
        left -= step * (count - 1)
        pattern.append((step, count))
    return pattern, offset


@given(patterns(60))
@settings(max_examples=150, deadline=None)
def test_pattern_in_hbm(drawn: tuple[list[tuple[int, int]], int]) -> None:
    pattern, offset = drawn
    values = np.arange(60, dtype=np.float32)
    count = int(np.prod([n for _, n in pattern]))
    dst = hbm(np.zeros(count, np.float32))
    nisa.dma_copy(dst, hbm(values.reshape(5, 12)).ap(pattern, offset=offset))
    assert got(dst).tolist() == [values[at] for at in walked(pattern, offset)]


@given(patterns(12), st.integers(1, 5), st.integers(0, 2))
@settings(max_examples=150, deadline=None)
def test_pattern_on_chip(drawn: tuple[list[tuple[int, int]], int], rows: int, first: int) -> None:
    """The outermost step is the partition's; the rest stays within one."""
    inner, offset = drawn
    rows = min(rows, 5 - first)
    pattern, start = [(12, rows), *inner], first * 12 + offset
    values = np.arange(60, dtype=np.float32)
    dst = hbm(np.zeros(rows * int(np.prod([n for _, n in inner])), np.float32))
    nisa.dma_copy(dst, tile(values.reshape(5, 12)).ap(pattern, offset=start))
    assert got(dst).tolist() == [values[at] for at in walked(pattern, start)]


@given(patterns(60))
@settings(max_examples=100, deadline=None)
def test_pattern_as_destination(drawn: tuple[list[tuple[int, int]], int]) -> None:
    pattern, offset = drawn
    places = walked(pattern, offset)
    if len(set(places)) < len(places):
        return
    values = np.arange(1, len(places) + 1, dtype=np.float32)
    dst = hbm(np.zeros(60, np.float32))
    nisa.dma_copy(dst.ap(pattern, offset=offset), hbm(values))
    expected = np.zeros(60, np.float32)
    for place, value in zip(places, values, strict=True):
        expected[place] = value
    assert np.array_equal(got(dst), expected)


# -- dynamic addresses ----


@pytest.mark.parametrize("offset", ["tensor", "register"])
@pytest.mark.parametrize("row", [0, 3, 6])
def test_scalar_offset_as_source(row: int, offset: str) -> None:
    values = RNG.standard_normal((7, 5)).astype(np.float32)
    where = Register(row) if offset == "register" else tile(np.array([[row]], np.int32))
    dst = sbuf((1, 5))
    nisa.dma_copy(dst, hbm(values).ap([[5, 1], [1, 5]], scalar_offset=where, indirect_dim=0))
    assert np.array_equal(got(dst)[0], values[row])


def test_scalar_offset_in_an_inner_dimension() -> None:
    values = RNG.standard_normal((4, 6, 2)).astype(np.float32)
    dst = sbuf((4, 2))
    nisa.dma_copy(dst, hbm(values).ap([[12, 4], [1, 2]], scalar_offset=Register(5), indirect_dim=1))
    assert np.array_equal(got(dst), values[:, 5, :])


def test_scalar_offset_as_destination() -> None:
    dst = hbm(np.zeros((4, 3), np.float32))
    nisa.dma_copy(
        dst.ap([[3, 1], [1, 3]], scalar_offset=Register(2)), tile(np.array([[7, 8, 9]], np.float32))
    )
    assert got(dst).tolist() == [[0, 0, 0], [0, 0, 0], [7, 8, 9], [0, 0, 0]]


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_gather(rows: int) -> None:
    values = RNG.standard_normal((9, 4)).astype(np.float32)
    index = RNG.integers(0, 9, (rows, 1)).astype(np.int32)
    dst = sbuf((rows, 4))
    nisa.dma_copy(dst, hbm(values).ap([[4, rows], [1, 4]], vector_offset=tile(index), indirect_dim=0))
    expected = [values[int(i)].tolist() for i in index[:, 0]]
    assert got(dst).tolist() == expected


def test_gather_of_parts_of_rows_with_an_offset() -> None:
    values = np.arange(40, dtype=np.float32).reshape(5, 8)
    index = np.array([[4], [0], [2]], np.int32)
    dst = sbuf((3, 3))
    nisa.dma_copy(dst, hbm(values).ap([[8, 3], [2, 3]], offset=1, vector_offset=tile(index)))
    assert got(dst).tolist() == [[values[int(i), 1 + 2 * k] for k in range(3)] for i in index[:, 0]]


@pytest.mark.parametrize("bad", [-1, 9, 0x7FFFFFFF])
def test_gather_skips_rows_out_of_range(bad: int) -> None:
    values = RNG.standard_normal((9, 4)).astype(np.float32)
    dst = tile(np.full((3, 4), 5, np.float32))
    source = hbm(values).ap([[4, 3], [1, 4]], vector_offset=tile(np.array([[8], [bad], [1]], np.int32)))
    nisa.dma_copy(dst, source, oob_mode=SKIP)
    assert np.array_equal(got(dst), np.stack([values[8], np.full(4, 5, np.float32), values[1]]))


def test_unsigned_index_for_nothing_is_skipped() -> None:
    dst = tile(np.zeros((2, 2), np.float32))
    index = tile(np.array([[0xFFFFFFFF], [1]], np.uint32))
    nisa.dma_copy(
        dst, hbm(np.ones((3, 2), np.float32)).ap([[2, 2], [1, 2]], vector_offset=index), oob_mode=SKIP
    )
    assert got(dst).tolist() == [[0, 0], [1, 1]]


def test_gather_with_conversion_keeps_skipped_rows() -> None:
    dst = tile(np.full((2, 2), 9, np.int32))
    index = tile(np.array([[5], [0]], np.int32))
    source = hbm(np.array([[1.5, 2.5]], np.float32)).ap([[2, 2], [1, 2]], vector_offset=index)
    nisa.dma_copy(dst, source, oob_mode=SKIP)
    assert raw(dst).tolist() == [[9, 9], [2, 2]]


def test_scatter() -> None:
    values = RNG.standard_normal((3, 4)).astype(np.float32)
    dst = hbm(np.zeros((6, 4), np.float32))
    index = np.array([[5], [0], [3]], np.int32)
    nisa.dma_copy(dst.ap([[4, 3], [1, 4]], vector_offset=tile(index)), tile(values))
    expected = np.zeros((6, 4), np.float32)
    for row, at in enumerate(index[:, 0]):
        expected[at] = values[row]
    assert np.array_equal(got(dst), expected)


def test_scatter_drops_rows_out_of_range() -> None:
    dst = hbm(np.zeros((2, 1), np.float32))
    index = tile(np.array([[7], [1]], np.int32))
    nisa.dma_copy(
        dst.ap([[1, 2], [1, 1]], vector_offset=index), tile(np.array([[4], [6]], np.float32)), oob_mode=SKIP
    )
    assert got(dst).tolist() == [[0], [6]]


def test_scatter_adds_repeated_rows_one_after_the_other() -> None:
    values = RNG.standard_normal((5, 3)).astype(np.float32)
    dst = hbm(np.ones((4, 3), np.float32))
    index = np.array([[2], [0], [2], [2], [0]], np.int32)
    nisa.dma_copy(
        dst.ap([[3, 5], [1, 3]], vector_offset=tile(index)),
        tile(values),
        dst_rmw_op=nl.add,
        unique_indices=False,
    )
    expected = np.ones((4, 3), np.float32)
    for row, at in enumerate(index[:, 0]):
        expected[at] = expected[at] + values[row]
    assert np.array_equal(got(dst), expected)


def test_gather_and_scatter_in_one_copy() -> None:
    source, dst = np.arange(20, dtype=np.float32).reshape(5, 4), np.full((6, 4), -1, np.float32)
    rows, places = [4, 9, 0], [5, 1, 8]
    into = hbm(dst)
    nisa.dma_copy(rows_of(into, places), rows_of(hbm(source), rows), oob_mode=SKIP)
    for row, place in zip(rows, places, strict=True):
        if row < 5 and place < 6:
            dst[place] = source[row]
    assert np.array_equal(got(into), dst)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0), (2, 2)])
def test_copy_within_a_tensor(first: int, second: int) -> None:
    values = np.arange(15, dtype=np.float32).reshape(5, 3)
    both = tile(values)
    nisa.dma_copy(both[second : second + 3], both[first : first + 3])
    expected = values.tolist()
    expected[second : second + 3] = values.tolist()[first : first + 3]
    assert got(both).tolist() == expected


def test_view_of_other_memory_order() -> None:
    """An access pattern that transposes, as both source and destination."""
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    dst = hbm(np.zeros((3, 4), np.float32))
    nisa.dma_copy(dst.ap([[1, 4], [4, 3]]), hbm(values).ap([[1, 4], [4, 3]]))
    assert np.array_equal(got(dst), values)


def test_sum_into_low_precision_rounds_once() -> None:
    dst = hbm(np.array([1.0, 256.0]), "bfloat16")
    nisa.dma_copy(dst, tile(np.array([[0.00390625 * 1.5, 1.0]], np.float32)), dst_rmw_op=nl.add)
    expected = (np.array([1.0, 256.0]) + np.array([0.00390625 * 1.5, 1.0])).astype(ml_dtypes.bfloat16)
    assert raw(dst).tolist() == expected.tolist()


# -- checks ----


def rows_of(tensor: Any, index: list[int]) -> Any:
    array = np.array(index, np.int32).reshape(-1, 1)
    return tensor.ap([[4, len(index)], [1, 4]], vector_offset=tile(array))


@pytest.mark.parametrize(
    ("copy", "message"),
    [
        (lambda: nisa.dma_copy(psum((2, 4)), hbm(np.ones((2, 4), np.float32))), "dst is a psum tensor"),
        (lambda: nisa.dma_copy(sbuf((2, 4)), psum((2, 4))), "src is a psum tensor"),
        (lambda: nisa.dma_copy(sbuf((2, 4)), 3), "src must be a tensor"),
        (lambda: nisa.dma_copy(sbuf((2, 4)), hbm(np.ones((2, 5), np.float32))), "of 10 elements"),
        (
            lambda: nisa.dma_copy(sbuf((1, 4)), hbm(np.ones(4, np.float32)), dst_rmw_op=nl.maximum),
            "only nl.add",
        ),
        (
            lambda: nisa.dma_copy(
                sbuf((1, 4)), hbm(np.ones(4, np.float32)), dst_rmw_op=nl.add, oob_mode=SKIP
            ),
            "oob_mode.error only",
        ),
        (
            lambda: nisa.dma_copy(sbuf((1, 4)), rows_of(hbm(np.ones((3, 4), np.float32)), [3])),
            "offset 3 is outside 0..2",
        ),
        (
            lambda: nisa.dma_copy(
                rows_of(hbm(np.ones((3, 4), np.float32)), [-1]), tile(np.ones((1, 4), np.float32))
            ),
            "outside 0..2",
        ),
        (
            lambda: nisa.dma_copy(sbuf((1, 4)), hbm(np.ones((3, 4), np.float32)).ap([[4, 4], [1, 1]])),
            "runs out of",
        ),
        (
            lambda: nisa.dma_copy(sbuf((1, 4), "float8_e4m3fn_x4"), hbm(np.ones((1, 4), np.float32))),
            "packed types are not converted",
        ),
        (
            lambda: nisa.dma_copy(
                sbuf((1, 4)), rows_of(hbm(np.ones((3, 4), np.float32)), [0]), dge_mode=nisa.dge_mode.hwdge
            ),
            "needs dge_mode.swdge",
        ),
    ],
)
def test_refused_copies(copy: Any, message: str) -> None:
    with pytest.raises(SimulationError, match=message) as caught:
        copy()
    assert f"{__file__}:" in str(caught.value)


def test_hwdge_needs_gen3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "generation", 2)
    for mode in (nisa.dge_mode.hwdge, nisa.dge_mode.hwdge.value):
        with pytest.raises(SimulationError, match="hwdge needs gen3"):
            nisa.dma_copy(sbuf((1, 4)), hbm(np.ones(4, np.float32)), dge_mode=mode)


# -- dma_compute ----


@pytest.mark.parametrize("count", [1, 2, 3, 16])
@pytest.mark.parametrize("kind", ["float32", "bfloat16", "int32"])
def test_sum_of_sources(count: int, kind: str) -> None:
    values = RNG.integers(-20, 20, (count, 3, 5))
    dst = sbuf((3, 5), kind)
    nisa.dma_compute(dst, [hbm(v, kind) for v in values], [1.0] * count, nl.add)
    assert got(dst).tolist() == values.sum(0).tolist()


def test_sum_is_in_float32_from_first_to_last() -> None:
    values = RNG.standard_normal((4, 6)).astype(np.float32)
    dst = hbm(np.zeros((2, 3), np.float32))
    nisa.dma_compute(dst, [tile(v.reshape(2, 3)) for v in values], [1.0] * 4, nl.add)
    expected = ((values[0] + values[1]) + values[2]) + values[3]
    assert np.array_equal(got(dst).reshape(-1), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], nl.add), "0 sources"),
        (([hbm(np.ones(4, np.float32))] * 17, [1.0] * 17, nl.add), "17 sources"),
        (([hbm(np.ones(4, np.float32))], [2.0], nl.add), "scales are"),
        (([hbm(np.ones(4, np.float32))] * 2, [1.0], nl.add), "scales are"),
        (([hbm(np.ones(4, np.float32))], [1.0], nl.maximum), "only nl.add"),
        (
            ([hbm(np.ones(4, np.float32)), hbm(np.ones(5, np.float32))], [1.0, 1.0], nl.add),
            r"srcs\[1\] is a hbm tensor",
        ),
        (([psum((1, 4))], [1.0], nl.add), r"srcs\[0\] is a psum tensor"),
    ],
)
def test_refused_sums(arguments: Any, message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        nisa.dma_compute(sbuf((1, 4)), *arguments)


@pytest.mark.parametrize("row", [-1, 4])
def test_a_register_out_of_range_is_skipped_on_both_sides(row: int) -> None:
    values = RNG.standard_normal((4, 3)).astype(np.float32)
    table, piece = hbm(values), tile(np.zeros((1, 3), np.float32))
    place = table.ap([[3, 1], [1, 3]], scalar_offset=Register(row))
    nisa.dma_copy(piece, place, oob_mode=SKIP)
    nisa.dma_copy(place, piece, oob_mode=SKIP)
    assert (got(piece) == 0).all()
    assert np.array_equal(got(table), values)


def test_gathered_rows_out_of_range_add_nothing() -> None:
    values = RNG.standard_normal((3, 4)).astype(np.float32)
    dst, other = sbuf((2, 4)), np.ones((2, 4), np.float32)
    nisa.dma_compute(dst, [rows_of(hbm(values), [9, 1]), tile(other)], [1.0, 1.0], nl.add, oob_mode=SKIP)
    assert np.array_equal(got(dst), [other[0], values[1] + 1])


def test_a_gather_from_unwritten_memory_is_poison() -> None:
    dst = tile(np.zeros((2, 4), np.float32))
    nisa.dma_copy(dst, rows_of(sbuf((3, 4)), [2, 0]))
    assert np.isnan(got(dst)).all()


def test_hwdge_moves_what_no_index_names() -> None:
    dst = sbuf((2, 4))
    nisa.dma_copy(dst, hbm(np.ones((2, 4), np.float32)), dge_mode=nisa.dge_mode.hwdge)
    assert (got(dst) == 1).all()


def test_oob_mode_is_a_member() -> None:
    with pytest.raises(SimulationError, match="oob_mode is 'skip'; it is a member"):
        nisa.dma_copy(sbuf((4, 3)), hbm(np.ones((12,), np.float32)), oob_mode="skip")
