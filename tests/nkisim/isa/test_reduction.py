"""Reductions, scans and statistics against NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from isatiles import rounded
from tiles import got, psum, raw, sbuf, tile

from nkisim.core import operators as nl
from nkisim.core.context import state
from nkisim.core.errors import SimulationError
from nkisim.isa import reduction as nisa
from nkisim.isa.constants import reduce_cmd

RANDOM = np.random.default_rng(13)
BINARY = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "maximum": max,
    "minimum": min,
}


@pytest.fixture(autouse=True)
def _fresh_core() -> Any:
    state.running().vector_accumulators[...] = 0
    with np.errstate(all="ignore"):
        yield


def values(*shape: int) -> Any:
    return RANDOM.uniform(-2, 2, shape).astype(np.float32)


@pytest.mark.parametrize(("op", "function"), [
    (nl.add, np.sum), (nl.multiply, np.prod), (nl.maximum, np.max), (nl.minimum, np.min),
    (nl.logical_or, np.any), (nl.logical_and, np.all),
])  # fmt: skip
@pytest.mark.parametrize(("shape", "axis", "numpy_axis"), [
    ((4, 3, 5), [4], 2), ((4, 3, 5), [3, 4], (1, 2)), ((4, 6), [4], 1),
    ((128, 1), 1, 1), ((5, 9), 1, 1), ((5, 9), [1], 1), ((5, 9), -1, 1),
    ((4, 3, 6), 1, 2), ((4, 3, 6), 2, 2), ((4, 3, 6), [2], 2), ((4, 3, 6), (1, 2), (1, 2)),
    ((3, 2, 2, 2, 5), [4], 4), ((3, 2, 2, 2, 5), [1, 2], (3, 4)),
    ((3, 2, 2, 2, 5), [1, 2, 3, 4], (1, 2, 3, 4)),
])  # fmt: skip
def test_tensor_reduce(shape: Any, axis: Any, numpy_axis: Any, op: Any, function: Any) -> None:
    a = values(*shape) * (RANDOM.random(shape) > 0.4).astype(np.float32)
    want = function(a.astype(np.float64), axis=numpy_axis).astype(np.float64).reshape(shape[0], -1)
    dst = sbuf(want.shape)
    nisa.tensor_reduce(dst, op, tile(a), axis)
    np.testing.assert_allclose(got(dst), want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "int32", "float8_e5m2"])
def test_tensor_reduce_in_float32_then_converted(dtype: str) -> None:
    a = np.rint(values(6, 64) * 10) if dtype == "int32" else rounded(values(6, 64), dtype)
    dst = sbuf((6, 1), "bfloat16")
    nisa.tensor_reduce(dst, nl.add, tile(a, dtype), 1, negate=True)
    np.testing.assert_array_equal(got(dst), rounded(-a.sum(1, keepdims=True), "bfloat16"))


def test_tensor_reduce_of_a_view_into_a_column() -> None:
    a = values(8, 4, 6)
    dst = tile(np.zeros((8, 3), np.float32))
    nisa.tensor_reduce(dst[2:8, 1], nl.maximum, tile(a)[2:8, 1:3, ::2], [1, 2])
    np.testing.assert_array_equal(got(dst)[2:, 1], a[2:, 1:3, ::2].max((1, 2)))
    assert (got(dst)[:, [0, 2]] == 0).all()


def test_tensor_reduce_of_bits() -> None:
    a = RANDOM.integers(0, 2**32, (4, 7), np.uint32)
    dst = sbuf((4, 1), "uint32")
    nisa.tensor_reduce(dst, nl.bitwise_xor, tile(a), 1)
    np.testing.assert_array_equal(raw(dst)[:, 0], np.bitwise_xor.reduce(a, axis=1))


@pytest.mark.parametrize(("change", "message"), [
    ({"axis": 0}, "0 is the partition"),
    ({"axis": [1, 3]}, "consecutive"),
    ({"axis": [1, 2, 3]}, "data has 2 free dimensions"),
    ({"op": nl.divide}, "no operator that reduces"),
    ({"op": nl.bitwise_or}, "needs integers"),
    ({"op": nl.exp}, "activation function"),
    ({"dst": sbuf((4, 2))}, "partitions and elements"),
    ({"dst": sbuf((3, 3))}, "partitions and elements"),
])  # fmt: skip
def test_tensor_reduce_checks(change: dict[str, Any], message: str) -> None:
    arguments = {"dst": sbuf((4, 3)), "op": nl.add, "data": tile(values(4, 3, 5)), "axis": 1, **change}
    with pytest.raises(SimulationError, match=message):
        nisa.tensor_reduce(**arguments)


def test_negate_is_for_arithmetic() -> None:
    with pytest.raises(SimulationError, match="negate works with arithmetic"):
        nisa.tensor_reduce(sbuf((4, 1), "int32"), nl.bitwise_or, sbuf((4, 3), "int32"), 1, negate=True)


@pytest.mark.parametrize(("op", "function"), [(nl.add, np.sum), (nl.maximum, np.max), (nl.minimum, np.min)])
def test_tensor_scalar_reduce(op: Any, function: Any) -> None:
    a, v = values(6, 2, 8), values(6, 1)
    dst, column = sbuf((6, 16), "bfloat16"), sbuf((6, 1))
    nisa.tensor_scalar_reduce(dst, tile(a), nl.multiply, tile(v), op, column)
    product = a.reshape(6, 16) * v
    np.testing.assert_array_equal(got(dst), rounded(product, "bfloat16"))
    np.testing.assert_allclose(
        got(column)[:, 0], function(product.astype(np.float64), axis=1), rtol=1e-5, atol=1e-6
    )


def test_tensor_scalar_reduce_checks() -> None:
    tiles = (sbuf((4, 4)), sbuf((4, 4)))
    with pytest.raises(SimulationError, match=r"reduce_op is nl\.logical_or"):
        nisa.tensor_scalar_reduce(*tiles, nl.add, 1.0, nl.logical_or, sbuf((4, 1)))
    with pytest.raises(SimulationError, match="reverse0 is not supported"):
        nisa.tensor_scalar_reduce(*tiles, nl.add, 1.0, nl.add, sbuf((4, 1)), reverse0=True)
    with pytest.raises(SimulationError, match=r"op0 is nl\.bitwise_or"):
        nisa.tensor_scalar_reduce(*tiles, nl.bitwise_or, 1, nl.add, sbuf((4, 1)))


def test_tensor_partition_reduce() -> None:
    a, bits = values(100, 7), RANDOM.integers(0, 255, (9, 4)).astype(np.uint8)
    dst = sbuf((1, 7))
    nisa.tensor_partition_reduce(dst, nl.add, tile(a))
    np.testing.assert_allclose(got(dst)[0], a.astype(np.float64).sum(0), rtol=1e-5, atol=1e-5)
    dst = sbuf((1, 4), "uint8")
    nisa.tensor_partition_reduce(dst, nl.bitwise_and, tile(bits))
    np.testing.assert_array_equal(raw(dst)[0], np.bitwise_and.reduce(bits, axis=0))
    with pytest.raises(SimulationError, match="data is a psum tensor"):
        nisa.tensor_partition_reduce(sbuf((1, 4)), nl.add, psum((9, 4)))
    with pytest.raises(SimulationError, match=r"op is nl\.multiply"):
        nisa.tensor_partition_reduce(sbuf((1, 4)), nl.multiply, sbuf((9, 4)))


@pytest.mark.parametrize("reverse", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize(
    ("op0", "op1"), [("multiply", "add"), ("subtract", "multiply"), ("maximum", "subtract")]
)
def test_tensor_tensor_scan(op0: str, op1: str, reverse: tuple[bool, bool]) -> None:
    a, b, start = values(3, 2, 5) / 2, values(3, 10) / 2, values(3, 1)
    dst = sbuf((3, 10))
    nisa.tensor_tensor_scan(dst, tile(a), tile(b), tile(start), nl.TOKENS[op0], nl.TOKENS[op1], *reverse)
    flat = a.reshape(3, 10).astype(np.float64)
    for row in range(3):
        s = float(start[row, 0])
        for i in range(10):
            x = float(flat[row, i])
            s = BINARY[op0](s, x) if reverse[0] else BINARY[op0](x, s)
            s = BINARY[op1](float(b[row, i]), s) if reverse[1] else BINARY[op1](s, float(b[row, i]))
            assert got(dst)[row, i] == pytest.approx(s, rel=1e-5, abs=1e-5)


def test_a_scan_of_ones_is_a_running_sum() -> None:
    b = values(128, 300)
    dst = sbuf((128, 300))
    nisa.tensor_tensor_scan(dst, tile(np.ones((128, 300), np.float32)), tile(b), 2.0, nl.multiply, nl.add)
    np.testing.assert_allclose(got(dst), 2 + b.astype(np.float64).cumsum(1), atol=2e-4)


def test_scan_checks() -> None:
    with pytest.raises(SimulationError, match="data0 and data1 are both in PSUM"):
        nisa.tensor_tensor_scan(sbuf((4, 4)), psum((4, 4)), psum((4, 4)), 0.0, nl.multiply, nl.add)
    with pytest.raises(SimulationError, match=r"op1 is nl\.abs; it must take 2"):
        nisa.tensor_tensor_scan(sbuf((4, 4)), sbuf((4, 4)), sbuf((4, 4)), 0.0, nl.multiply, nl.abs)
    with pytest.raises(SimulationError, match="initial is a"):
        nisa.tensor_tensor_scan(sbuf((4, 4)), sbuf((4, 4)), sbuf((4, 4)), sbuf((4, 2)), nl.multiply, nl.add)


@pytest.mark.parametrize(("name", "start"), [
    ("add", 0.0), ("subtract", 0.0), ("multiply", 1.0), ("maximum", -np.inf), ("minimum", np.inf),
])  # fmt: skip
def test_tensor_scalar_cumulative_goes_on(name: str, start: float) -> None:
    a = values(3, 12)
    dst = sbuf((3, 12))
    nisa.tensor_scalar_cumulative(dst[:, 0:7], tile(a)[:, 0:7], nl.add, nl.TOKENS[name], 0.5)
    nisa.tensor_scalar_cumulative(
        dst[:, 7:12], tile(a)[:, 7:12], nl.add, nl.TOKENS[name], 0.5, reduce_cmd=reduce_cmd.reduce
    )
    for row in range(3):
        s = start
        for i in range(12):
            s = BINARY[name](float(a[row, i]) + 0.5, s)
            assert got(dst)[row, i] == pytest.approx(s, rel=1e-5, abs=1e-5)


def test_tensor_scalar_cumulative_loads() -> None:
    a, start, v = values(5, 4), values(5, 1), values(5, 1)
    dst = sbuf((5, 4), "bfloat16")
    nisa.tensor_scalar_cumulative(
        dst, tile(a), nl.multiply, nl.add, tile(v), tile(start), reduce_cmd.load_reduce
    )
    want = start + (a * v).astype(np.float64).cumsum(1)
    np.testing.assert_allclose(got(dst), want, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(("arguments", "message"), [
    ((sbuf((4, 4)), sbuf((4, 4)), nl.add, nl.divide, 0.0), "op1 is nl.divide"),
    ((sbuf((4, 4)), sbuf((4, 4)), nl.bitwise_or, nl.add, 0), "op0 is nl.bitwise_or"),
    ((sbuf((4, 4)), sbuf((4, 4), "int32"), nl.add, nl.add, 0.0), "no 32-bit integers"),
    ((sbuf((4, 4)), sbuf((4, 4)), nl.add, nl.add, 0.0, None, reduce_cmd.load_reduce), "needs imm1"),
    ((sbuf((4, 4)), sbuf((4, 4)), nl.add, nl.add, 0.0, None, reduce_cmd.idle), "use reset_reduce"),
])  # fmt: skip
def test_tensor_scalar_cumulative_checks(arguments: Any, message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        nisa.tensor_scalar_cumulative(*arguments)


@pytest.mark.parametrize("size", [1, 2, 7, 512])
def test_bn_stats(size: int) -> None:
    a = values(5, size)
    dst = sbuf((5, 6))
    nisa.bn_stats(dst, tile(a))
    for half, part in enumerate((a[:, ::2].astype(np.float64), a[:, 1::2].astype(np.float64))):
        count = part.shape[1]
        assert (got(dst)[:, 3 * half] == count).all()
        if count:
            np.testing.assert_allclose(got(dst)[:, 3 * half + 1], part.mean(1), atol=1e-6)
            np.testing.assert_allclose(got(dst)[:, 3 * half + 2], part.var(1) * count, rtol=1e-5, atol=1e-6)


def test_bn_aggr_joins_unequal_tiles() -> None:
    a = values(6, 700) + 3
    stats, dst = sbuf((6, 2, 6)), sbuf((6, 2))
    for index, part in enumerate((a[:, :512], a[:, 512:])):
        nisa.bn_stats(stats[:, index, :], tile(part))
    nisa.bn_aggr(dst, stats)
    np.testing.assert_allclose(got(dst)[:, 0], a.astype(np.float64).mean(1), rtol=1e-6)
    np.testing.assert_allclose(got(dst)[:, 1], a.astype(np.float64).var(1), rtol=1e-5)


def test_bn_checks() -> None:
    with pytest.raises(SimulationError, match="513 elements in a partition; at most 512"):
        nisa.bn_stats(sbuf((4, 6)), sbuf((4, 513)))
    with pytest.raises(SimulationError, match="not triples"):
        nisa.bn_aggr(sbuf((4, 2)), sbuf((4, 7)))


def test_subtraction_over_several_dimensions() -> None:
    a = RANDOM.integers(-9, 9, (4, 3, 5)).astype(np.float32)
    dst = sbuf((4, 1))
    nisa.tensor_reduce(dst, nl.subtract, tile(a), [1, 2])
    flat = a.reshape(4, -1)
    np.testing.assert_array_equal(got(dst)[:, 0], flat[:, 0] - flat[:, 1:].sum(1))


@pytest.mark.parametrize(("axis", "message"), [
    (5, "data has 2 free dimensions"),
    (-3, "data has 2 free dimensions"),
    ([4, 5], "data has 2 free dimensions"),
    (None, "must be an integer, or a list"),
    ("1", "must be an integer, or a list"),
    ([], "must be an integer, or a list"),
    (1.0, "must be an integer, or a list"),
])  # fmt: skip
def test_what_tensor_reduce_takes_as_an_axis(axis: Any, message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        nisa.tensor_reduce(sbuf((4, 3)), nl.add, tile(np.ones((4, 3, 5), np.float32)), axis)


@pytest.mark.parametrize(
    ("axis", "count"), [(1, 1), ([4], 1), ([3, 4], 2), ([1, 2], 2), (-1, 1), ([-2, -1], 2)]
)
def test_the_compilers_numbers_of_dimensions(axis: Any, count: int) -> None:
    a = RANDOM.integers(-9, 9, (4, 3, 5)).astype(np.float32)
    want = a.sum(axis=2) if count == 1 else a.sum(axis=(1, 2))[:, None]
    dst = sbuf(want.shape)
    nisa.tensor_reduce(dst, nl.add, tile(a), axis)
    np.testing.assert_array_equal(got(dst), want)
