"""Value-returning instructions against NumPy: what they compute, its type, shape and memory, and masks."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import nkisim.beta1 as nki
import nkisim.beta1.isa as nisa
import nkisim.beta1.language as nl
from nkisim.core.dtypes import dtype_of
from nkisim.core.errors import SimulationError


def kernel_of(body, *arrays, platform=""):
    """What a body gives, tile for tile, stored to HBM."""

    @nki.jit(platform_target=platform)
    def kernel(*tensors):
        results = body(*(nl.load(tensor) for tensor in tensors))
        stored = []
        for tile in results if isinstance(results, tuple) else (results,):
            out = nl.ndarray(tile.shape, dtype=tile.dtype, buffer=nl.shared_hbm)
            nl.store(out, tile)
            stored.append(out)
        return tuple(stored)

    found = kernel(*arrays)
    return found if len(found) > 1 else found[0]


@pytest.fixture
def x(rng):
    return rng.uniform(-2, 2, (16, 24)).astype(np.float32)


@pytest.fixture
def column(rng):
    return rng.uniform(0.5, 2, (16, 1)).astype(np.float32)


def test_activation(x, column):
    found = kernel_of(lambda t, c: nisa.activation(op=nl.exp, data=t, bias=c, scale=0.5), x, column)
    np.testing.assert_allclose(found, np.exp(x.astype(np.float64) * 0.5 + column), rtol=2e-6)
    found = kernel_of(lambda t: nisa.activation(np.tanh, t, dtype=nl.bfloat16), x)
    np.testing.assert_array_equal(found, np.tanh(x).astype(ml_dtypes.bfloat16))


def test_activation_sums(x):
    def body(t):
        total = nl.ndarray((16, 1), nl.float32)
        powers = nisa.activation_reduce(np.exp, t, reduce_op=np.add, reduce_res=total[:, 0])
        again = nl.ndarray((16, 3), nl.float32)
        for part in range(3):
            nisa.activation(
                np.exp,
                t[:, part * 8 : (part + 1) * 8],
                reduce_op=np.add,
                reduce_cmd=nisa.reduce_cmd.reset_reduce if part == 0 else nisa.reduce_cmd.reduce,
                reduce_res=again[nl.arange(16)[:, None], part],
            )
        return powers, total, again

    powers, total, again = kernel_of(body, x)
    exact = np.exp(x.astype(np.float64))
    np.testing.assert_allclose(powers, exact, rtol=2e-6)
    np.testing.assert_allclose(total[:, 0], exact.sum(axis=1), rtol=2e-6)
    np.testing.assert_allclose(again, exact.reshape(16, 3, 8).sum(2).cumsum(1), rtol=2e-6)


def test_tensor_scalar(x, column):
    body = lambda t, c: nisa.tensor_scalar(t, np.subtract, 1.0, True, op1=nl.multiply, operand1=c)  # noqa: E731
    np.testing.assert_allclose(kernel_of(body, x, column), (1 - x) * column, rtol=1e-6, atol=1e-7)
    found = kernel_of(lambda t: nisa.tensor_scalar(t, np.add, 1.2), x.astype(np.float16))
    assert found.dtype == np.float16  # unlike nl.add, it keeps the type of data


def test_tensor_tensor(x, rng):
    y = rng.uniform(-2, 2, (16, 24)).astype(ml_dtypes.bfloat16)
    found = kernel_of(lambda t, u: nisa.tensor_tensor(t, u, np.maximum), x.astype(np.float16), y)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(
        found, np.maximum(x.astype(np.float16).astype(np.float32), y.astype(np.float32))
    )
    big = np.array([[2**24 + 1, 5]], np.int32)
    np.testing.assert_array_equal(kernel_of(lambda t: nisa.tensor_tensor(t, t, nl.add), big), big + big)
    with pytest.raises(SimulationError, match="do not broadcast to one shape"):
        kernel_of(lambda t: nisa.tensor_tensor(t, t[:, 0:5], nl.add), x)


def test_scalar_tensor_tensor(x, column):
    def body(t, c):
        return nisa.scalar_tensor_tensor(
            data=t, op0=np.multiply, operand0=c, op1=np.subtract, operand1=t, reverse1=True
        )

    np.testing.assert_allclose(kernel_of(body, x, column), x - x * column, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("axis", "numpy"), [(1, (1,)), ([1], (1,)), ([2], (2,)), ([1, 2], (1, 2))])
def test_tensor_reduce(axis, numpy, rng):
    x = rng.uniform(-2, 2, (8, 4, 6)).astype(np.float32)
    found = kernel_of(lambda t: nisa.tensor_reduce(np.max, t, axis, negate=True), x)
    expected = -x.max(axis=numpy)
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    assert kernel_of(lambda t: nisa.tensor_reduce(np.max, t, axis, keepdims=True), x).ndim == 3


def test_tensor_scalar_reduce(x, column):
    def body(t, c):
        largest = nl.ndarray((16, 1), nl.float32)
        result = nisa.tensor_scalar_reduce(
            data=t, op0=np.multiply, operand0=c, reduce_op=np.max, reduce_res=largest[:, 0]
        )
        return result, largest

    result, largest = kernel_of(body, x, column)
    np.testing.assert_array_equal(result, x * column)
    np.testing.assert_array_equal(largest[:, 0], (x * column).max(axis=1))


def test_tensor_partition_reduce(x):
    found = kernel_of(lambda t: nisa.tensor_partition_reduce(np.add, t), x)
    np.testing.assert_allclose(found, x.astype(np.float64).sum(axis=0, keepdims=True), rtol=1e-5, atol=1e-5)
    found = kernel_of(lambda t: nisa.tensor_partition_reduce(np.max, t, mask=nl.arange(16)[:, None] < 5), x)
    np.testing.assert_array_equal(found, x[:5].max(axis=0, keepdims=True))


def test_tensor_tensor_scan(rng, column):
    a, b = (rng.uniform(0, 1, (16, 40)).astype(np.float32) for _ in range(2))

    def body(t, u, c):
        out = nl.ndarray((16, 40), nl.float32)
        out[:, 0:20] = nisa.tensor_tensor_scan(t[:, 0:20], u[:, 0:20], c, np.multiply, np.add)
        out[:, 20:40] = nisa.tensor_tensor_scan(t[:, 20:40], u[:, 20:40], out[:, 19], np.multiply, np.add)
        return out

    expected, state = np.empty((16, 40)), column[:, 0].astype(np.float64)
    for i in range(40):
        state = expected[:, i] = a[:, i] * state + b[:, i]
    np.testing.assert_allclose(kernel_of(body, a, b, column), expected, rtol=1e-5)


def test_reciprocal_and_copies(x, column):
    np.testing.assert_array_equal(kernel_of(nisa.reciprocal, column), np.float32(1) / column)
    np.testing.assert_array_equal(kernel_of(lambda t: nisa.tensor_copy(t, engine=nisa.gpsimd_engine), x), x)
    found = kernel_of(lambda: nisa.memset((4, 5), 0.25, nl.bfloat16))
    np.testing.assert_array_equal(found, np.full((4, 5), 0.25, ml_dtypes.bfloat16))
    found = kernel_of(lambda: nisa.memset((4, 5), 2, nl.int32, mask=nl.arange(4)[:, None] < 3))
    np.testing.assert_array_equal(found[:3], np.full((3, 5), 2))
    assert (found[3] != 2).all()


def test_copies_to_and_from_positions_in_tiles(x):
    offsets = np.array([[3, 11, 0]], np.int32)

    def body(t, places):
        out = nl.zeros((16, 24), nl.float32)
        i, j = nl.mgrid[0:16, 0:4]
        for k in nl.affine_range(3):
            part = nisa.tensor_copy_dynamic_src(t[i, places[0, k] + j])
            nisa.tensor_copy_dynamic_dst(dst=out[i, places[0, k] + j], src=part)
        return out

    expected = np.zeros_like(x)
    for place in offsets[0]:
        expected[:, place : place + 4] = x[:, place : place + 4]
    np.testing.assert_array_equal(kernel_of(body, x, offsets), expected)


def test_tensor_copy_predicated(x):
    flags = x > 0

    def body(t, test):
        out = nl.full((16, 24), 7.0, nl.float32)
        i, j = nl.mgrid[0:16, 0:24]
        nisa.tensor_copy_predicated(src=t, dst=out[i, j], predicate=test, mask=i < 8)
        return out

    expected = np.full_like(x, 7)
    expected[:8] = np.where(flags, x, 7)[:8]
    np.testing.assert_array_equal(kernel_of(body, x, flags), expected)


def test_iota():
    i, j = nl.arange(8)[:, None], nl.arange(6)[None, :]
    found = kernel_of(lambda: nisa.iota(5 + 2 * i - j, dtype=nl.int32))
    np.testing.assert_array_equal(found, 5 + 2 * np.arange(8)[:, None] - np.arange(6))
    found = kernel_of(lambda: nisa.iota(i * 3, dtype=nl.float32, mask=i >= 2))
    np.testing.assert_array_equal(found[2:, 0], np.arange(2, 8) * 3)
    assert np.isnan(found[:2]).all()
    with pytest.raises(SimulationError, match="no affine expression"):
        kernel_of(lambda: nisa.iota(i // 3, dtype=nl.int32))


@pytest.mark.parametrize("test", ["greater_equal", "greater", "less", "less_equal", "equal", "not_equal"])
def test_affine_select(test, x):
    i, j = nl.mgrid[0:16, 0:24]
    mine = {
        "greater_equal": i + 3 >= j,
        "greater": i > j,
        "less": 2 * i < j,
        "less_equal": i <= j,
        "equal": i == j,
        "not_equal": i != j,
    }
    p, f = np.mgrid[0:16, 0:24]
    theirs = {
        "greater_equal": p + 3 >= f,
        "greater": p > f,
        "less": 2 * p < f,
        "less_equal": p <= f,
        "equal": p == f,
        "not_equal": p != f,
    }
    found = kernel_of(lambda t: nisa.affine_select(mine[test], t, -5.0), x)
    np.testing.assert_array_equal(found, np.where(theirs[test], x, np.float32(-5)))


def test_affine_select_from_psum_with_bounds(rng):
    x = rng.standard_normal((16, 16)).astype(np.float32)
    i, j = nl.mgrid[0:16, 0:16]

    def body(t):
        return nisa.affine_select(
            i >= j, nl.matmul(t, t, transpose_x=True), nl.fp32.min, mask=(i >= 4) & (j < 9)
        )

    found = kernel_of(body, x)[4:, :9]
    p, f = np.mgrid[4:16, 0:9]
    exact = np.where(p >= f, (x.T.astype(np.float64) @ x)[4:, :9], np.finfo(np.float32).min)
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-5)
    with pytest.raises(SimulationError, match="must be one comparison"):
        kernel_of(lambda t: nisa.affine_select((i >= j) & (i < 3), t, 0.0), x)


def test_range_select(x):
    low, high = np.full((16, 1), 5, np.float32), np.arange(8, 24, dtype=np.float32)[:, None]

    def body(t, one, other):
        largest = nl.ndarray((16, 1), nl.float32)
        options = {"comp_op0": np.greater_equal, "comp_op1": np.less, "bound0": one, "bound1": other}
        first = nisa.range_select(on_true_tile=t, reduce_cmd=nisa.reduce_cmd.reset_reduce, **options)
        nisa.range_select(
            on_true_tile=t, reduce_cmd=nisa.reduce_cmd.reduce, reduce_res=largest, range_start=-4, **options
        )
        return first, largest

    first, largest = kernel_of(body, x, low, high)
    lowest = np.finfo(np.float32).min
    at = np.arange(24, dtype=np.float32)
    expected = np.where((at >= low) & (at < high), x, lowest)
    np.testing.assert_array_equal(first, expected)
    shifted = np.where((at - 4 >= low) & (at - 4 < high), x, lowest)
    np.testing.assert_array_equal(largest[:, 0], np.maximum(expected.max(1), shifted.max(1)))
    with pytest.raises(SimulationError, match="on_false_value is -1"):
        kernel_of(
            lambda t, a, b: nisa.range_select(
                on_true_tile=t, comp_op0=np.less, comp_op1=np.less, bound0=a, bound1=b, on_false_value=-1
            ),
            x,
            low,
            high,
        )


def test_select_reduce(x, column):
    flags = (x > 0).astype(np.uint8)

    def body(t, test, other):
        out, largest = nl.ndarray((16, 24), nl.float32), nl.ndarray((16, 1), nl.float32)
        nisa.select_reduce(
            dst=out,
            predicate=test,
            on_true=t,
            on_false=other,
            reduce_cmd=nisa.reduce_cmd.reset_reduce,
            reduce_res=largest,
        )
        return out, largest

    out, largest = kernel_of(body, x, flags, column)
    np.testing.assert_array_equal(out, np.where(flags, x, column))
    np.testing.assert_array_equal(largest[:, 0], np.where(flags, x, column).max(axis=1))


def test_top_8(rng):
    x = rng.permutation(16 * 40).reshape(16, 40).astype(np.float32)

    def body(t):
        places = nl.ndarray((16, 8), nl.uint32)
        largest = nisa.max8(src=t)
        i, j = nl.mgrid[0:16, 0:8]
        rest = nisa.nc_match_replace8(data=t, vals=largest, imm=-1.0, dst_idx=places[i, j])
        return largest, nisa.nc_find_index8(data=t, vals=largest), rest, places

    largest, found, rest, places = kernel_of(body, x)
    order = np.argsort(-x, axis=1)[:, :8]
    np.testing.assert_array_equal(largest, np.take_along_axis(x, order, 1))
    np.testing.assert_array_equal(found, order)
    np.testing.assert_array_equal(places, order)
    expected = x.copy()
    np.put_along_axis(expected, order, -1, 1)
    np.testing.assert_array_equal(rest, expected)


@pytest.mark.parametrize(
    "bound", [lambda i, j: j < 20, lambda i, j: (i < 9) & (j >= 10), lambda i, j: i + j < 30]
)
def test_top_8_of_some_lanes(bound, rng):
    x = rng.permutation(16 * 40).reshape(16, 40).astype(np.float32)
    keep = np.broadcast_to(bound(*np.mgrid[0:16, 0:40]), x.shape)
    rows = keep.any(axis=1)
    found = kernel_of(lambda t: nisa.max8(src=t, mask=bound(*nl.mgrid[0:16, 0:40])), x)
    expected = -np.sort(-np.where(keep, x, -np.inf), axis=1)[:, :8]
    np.testing.assert_array_equal(found[rows], expected[rows])


def test_bn_stats(rng):
    x = rng.standard_normal((16, 60)).astype(np.float32)

    def body(t):
        stats = nl.ndarray((16, 12), nl.float32)
        stats[:, 0:6] = nisa.bn_stats(t[:, 0:40])
        stats[:, 6:12] = nisa.bn_stats(t[:, 40:60])
        return nisa.bn_aggr(stats)

    found = kernel_of(body, x)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(found, np.stack([wide.mean(1), wide.var(1)], 1), rtol=1e-5, atol=1e-6)


def test_sequence_bounds():
    ids = np.array([[0, 3, 3, 3, 5, 5, 0, 7]], np.float32)
    found = kernel_of(lambda t: nisa.sequence_bounds(segment_ids=t), ids)
    np.testing.assert_array_equal(found[0], [[8, 1, 1, 1, 4, 4, 8, 7], [-1, 4, 4, 4, 6, 6, -1, 8]])


def test_shuffles_and_gathers(rng):
    x = rng.standard_normal((64, 12)).astype(np.float32)

    def body(t):
        out = nl.zeros((64, 12), nl.float32)
        nisa.nc_stream_shuffle(t, out, [(i - 1) % 32 for i in range(32)])
        return out

    expected = np.roll(x.reshape(2, 32, 12), 1, axis=1).reshape(64, 12)
    np.testing.assert_array_equal(kernel_of(body, x), expected)
    index = rng.integers(0, 12, (64, 2)).astype(np.uint16)
    found = kernel_of(lambda t, u: nisa.local_gather(t, u), x, index)
    flat = index.reshape(4, 16, 2).transpose(0, 2, 1).reshape(4, 32)
    np.testing.assert_array_equal(found, np.take_along_axis(x, np.repeat(flat, 16, 0).astype(int), 1))


def test_dropout(x):
    assert (kernel_of(lambda t: nisa.dropout(t, 1.0), x) == 0).all()
    np.testing.assert_array_equal(
        kernel_of(lambda t: nisa.dropout(t, 0.0, dtype=nl.bfloat16), x), x.astype(ml_dtypes.bfloat16)
    )
    found = kernel_of(lambda t: nisa.dropout(t, prob=0.5), np.ones((128, 512), np.float32))
    assert abs(found.mean() - 0.5) < 0.01
    assert set(np.unique(found)) == {0, 1}


def test_dma_transpose(rng):
    x = rng.standard_normal((6, 4, 3, 5)).astype(np.float32)
    np.testing.assert_array_equal(kernel_of(nisa.dma_transpose, x), x.transpose(3, 1, 2, 0))
    np.testing.assert_array_equal(kernel_of(nisa.dma_transpose, x[:, :, 0]), x[:, :, 0].transpose(2, 1, 0))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            lambda t: nisa.activation(nl.add, t),
            r"nisa\.activation: op is nl\.add; it must be an activation function",
        ),
        (lambda t: nisa.activation(nl.ceil, t), r"nisa\.activation: op is nl\.ceil"),
        (lambda t: nisa.activation(print, t), r"op is <built-in function print>; it must be an operator"),
        (
            lambda t: nisa.tensor_scalar(3.0, np.add, 1.0),
            r"nisa\.tensor_scalar: data must be a tile, it is a float",
        ),
        (lambda t: nisa.tensor_reduce(np.add, t, axis=0), r"nisa\.tensor_reduce: axis is 0"),
        (lambda t: nisa.max8(src=t[:, 0:5]), r"nisa\.max8: src has 5 elements in a partition; allowed: 8"),
        (lambda t: nisa.tensor_copy(t, engine=nisa.tensor_engine), r"does not run it"),
        (lambda t: nisa.builtin_custom_op("f", "lib", {}, {}, [], []), r"cannot be simulated"),
        (lambda t: nisa.nc_match_replace8(data=t, vals=t, imm=0.0), r"vals is a"),
    ],
)
def test_errors_name_line_instruction_and_operand(body, text, x):
    with pytest.raises(SimulationError, match=rf"test_instructions\.py:\d+: .*{text}"):
        kernel_of(body, x)


def test_generations(x):
    column = np.zeros((16, 1), np.float32)

    def body(t, c):
        return nisa.range_select(on_true_tile=t, comp_op0=np.less, comp_op1=np.less, bound0=c, bound1=c)

    with pytest.raises(SimulationError, match="needs gen3 or newer, the target is gen2"):
        kernel_of(body, x, column, platform="trn1")
    assert dtype_of("float32") == nl.float32


def test_tensor_tensor_broadcasts(x, column):
    exact = x.astype(np.float64) * column
    np.testing.assert_allclose(
        kernel_of(lambda t, c: nisa.tensor_tensor(t, c, nl.multiply), x, column), exact, rtol=1e-6
    )
    np.testing.assert_allclose(
        kernel_of(lambda t, c: nisa.tensor_tensor(c, t, nl.multiply), x, column), exact, rtol=1e-6
    )
    rows = nl.arange(16)[:, None] < 5

    def masked(t, c):
        out = nl.zeros((16, 24), nl.float32)
        out[...] = nisa.tensor_tensor(t, c, nl.multiply, mask=rows)
        return out

    exact[5:] = 0
    np.testing.assert_allclose(kernel_of(masked, x, column), exact, rtol=1e-6)
