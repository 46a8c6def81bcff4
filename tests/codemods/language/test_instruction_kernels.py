"""Kernels whose instructions take what only their callers know: operations, shapes, numbers of elements."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import migrate
from migrated import HEAD, breaches, check_same, check_same_strictly, migrated, module

RNG = np.random.default_rng(11)


def rows(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


SELECTED = """
@nki.jit
def k(x, low, high, above, below, start):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    largest = nl.ndarray((x.shape[0], 1), dtype=x.dtype, buffer=nl.shared_hbm)
    best = nl.ndarray((x.shape[0], 1), dtype=nl.float32, buffer=nl.sbuf)
    chosen = nisa.range_select(
        on_true_tile=nl.load(x), comp_op0=above, comp_op1=below, bound0=nl.load(low), bound1=nl.load(high),
        reduce_cmd=nisa.reduce_cmd.reset_reduce, reduce_res=best, reduce_op=np.max, range_start=start,
    )
    nl.store(out, chosen)
    nl.store(largest, best)
    return out, largest
"""
LAUNCHED = """

def run(x, low, high):
    return k(x, low, high, np.greater_equal, below=np.less, start=2)
"""


def test_operations_that_launches_hand_over():
    """Their functions of NumPy become names of the language."""
    text = HEAD + SELECTED + LAUNCHED
    new, reasons = migrated(text)
    assert (reasons, breaches(new)) == ([], [])
    assert "comp_op0=above,\n        comp_op1=below," in new
    assert "k(x, low, high, nl.greater_equal, below=nl.less, start=2)" in new
    x, low, high = rows(16, 32), np.full((16, 1), 5, np.float32), np.full((16, 1), 20, np.float32)
    was, now = (module(each).run(x, low, high) for each in (text, new))
    where = np.arange(2, 34)
    expected = np.where((where >= 5) & (where < 20), x, np.float32(-3.4028235e38))
    for one, two, wanted in zip(was, now, (expected, expected.max(1, keepdims=True)), strict=True):
        np.testing.assert_array_equal(np.asarray(one), wanted)
        np.testing.assert_array_equal(np.asarray(two), wanted)


REDUCED = """
def folded(data, op):
    return nisa.tensor_reduce(op, data, axis=[1], keepdims=True)


def merged(a, b, op):
    return nisa.tensor_tensor(a, b, op)


@nki.jit
def k(x, y):
    out = nl.ndarray((x.shape[0], x.shape[1]), dtype=x.dtype, buffer=nl.shared_hbm)
    a, b = nl.load(x), nl.load(y)
    a_scale = folded(a, np.max)
    b_scale = folded(b, op=np.add)
    joined = merged(merged(a, b, np.subtract), b, op=np.multiply)
    nl.store(out, nl.add(nl.multiply(joined, a_scale), b_scale))
    return out
"""


def test_operations_that_kernels_hand_over():
    new = check_same(REDUCED, "k", rows(16, 8), rows(16, 8))
    assert "nisa.tensor_reduce(dst=reduced, op=op," in new
    assert "op=op)" in new
    assert "folded(a, nl.maximum)" in new


def test_an_operation_of_broadcast_operands():
    text = """
def merged(a, b, op):
    return nisa.tensor_tensor(a, b, op)


@nki.jit
def k(x, y):
    out = nl.ndarray((16, 8), dtype=x.dtype, buffer=nl.shared_hbm)
    a = nl.load(x[0:16, 0:8])
    column = nl.load(y[0:16, 0:1])
    nl.store(out, merged(a, column, np.subtract))
    return out
"""
    check_same(text, "k", rows(16, 8), rows(16, 1))


def test_an_operation_that_no_instruction_takes():
    assert migrated(HEAD + REDUCED.replace("np.add", "np.floor_divide"))[1] == ["M-OP"]


GATHERED = """
@nki.jit
def k(x, index, each, count, shape):
    out = nl.ndarray(shape, dtype=x.dtype, buffer=nl.shared_hbm)
    picked = nisa.local_gather(nl.load(x), nl.load(index), each, count)
    nl.store(out, picked)
    return out
"""


@pytest.mark.parametrize("each", [2, 4])
def test_numbers_of_elements_and_shapes_that_launches_hand_over(each):
    """``shape`` is no tensor; it has as many elements as are gathered, in other dimensions."""
    x = rows(32, 20, each)
    index = np.tile(RNG.integers(0, 20, (16, 3)) * each, (2, 1)).astype(np.uint16)
    new = check_same(GATHERED, "k", x, index, each, 40, (32, 2, 20, each))
    assert "picked = nl.ndarray((tile.shape[0], count, each), dtype=x.dtype, buffer=nl.sbuf)" in new


FOLDED = """
@nki.jit
def k(x, out):
    for i in nl.affine_range(x.shape[0]):
        total = nisa.tensor_partition_reduce(np.add, nl.load(x[i]))
        nl.store(out[i], total)
    return out
"""


@pytest.mark.parametrize("shape", [(2, 16, 8), (3, 32, 4, 5)])
def test_a_sum_over_partitions_of_as_many_dimensions_as_there_are(shape):
    x = rows(*shape)
    check_same(FOLDED, "k", x, np.zeros((shape[0], 1, *shape[2:]), np.float32))


SPREAD = """
@nki.jit
def k(x):
    out = nl.ndarray((64, 24), dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.broadcast_to(nl.load(x), shape=(64, 24)))
    return out
"""


@pytest.mark.parametrize("shape", [(1, 24), (64, 1), (1, 1), (64, 24)])
def test_a_matrix_is_repeated_along_the_dimensions_that_have_one_element(shape):
    check_same(SPREAD, "k", rows(*shape))


SEVERAL = """
@nki.jit
def k(x, y):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    scale, a, b = 2.0, nl.load(x), nl.load(y)
    a, b = nl.add(a, 1.0), nl.multiply(b, scale)
    a, b = b, nl.exp(a)
    nl.store(out, nl.subtract(a, b))
    return out
"""


def test_several_values_get_their_names():
    new = check_same(SEVERAL, "k", rows(16, 8), rows(16, 8))
    assert (
        "    a = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)\n    nisa.dma_copy(dst=a, src=x)\n" in new
    )
    assert "    scale = 2.0\n" in new
    assert "    a, b = total, product\n" in new


def test_operations_of_callers_elsewhere():
    new, reasons = migrated(HEAD + SELECTED)
    assert reasons == []
    assert "comp_op0=above" in new


NORMED = """
@nki.jit
def k(x, w, axis, n, eps):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    normed = nl.rms_norm(nl.load(x), nl.load(w), axis, n, eps)
    nl.store(out, nl.softmax(normed, axis=axis))
    return out
"""


@pytest.mark.parametrize("axis", [1, -1])
def test_an_axis_that_launches_hand_over(axis):
    new = check_same_strictly(HEAD + NORMED, rows(32, 16), rows(32, 16), axis, 16, 1e-6, rtol=1e-6)
    assert "    assert axis in [1, -1]\n" in new


@pytest.mark.parametrize(("data", "weight"), [("x", "w[0:1, 0:16]"), ("x[0:1, 0:16]", "w")])
def test_a_norm_beside_a_row_needs_to_know_how_many_rows_there_are(data, weight):
    text = NORMED.replace("nl.load(x), nl.load(w)", f"nl.load({data}), nl.load({weight})")
    assert migrated(HEAD + text)[1] == ["M-SHAPE"]


def test_a_norm_of_tiles_that_are_taken_to_be_of_one_shape_says_so():
    found = migrate({"k.py": HEAD + NORMED}).findings
    (note,) = (f for f in found if f.code == "NKL504")
    assert note.message.startswith("nl.rms_norm: ")


def test_an_axis_that_is_not_the_last_one():
    text = (
        NORMED.replace("axis, n, eps):", "n, eps):").replace("axis, n", "0, n").replace("axis=axis", "axis=0")
    )
    assert migrated(HEAD + text)[1] == ["M-RED"]


DTYPES = """
@nki.jit
def k(x, mixed=True):
    kind = np.dtype(np.float32) if mixed else x.dtype
    out = nl.ndarray(x.shape, dtype=kind, buffer=nl.shared_hbm)
    nl.store(out, nl.exp(nl.load(x), dtype=kind))
    return out
"""


def test_a_dtype_of_numpy():
    new = check_same(DTYPES, "k", rows(32, 16).astype(np.float16))
    assert "kind = nl.float32 if mixed else x.dtype" in new


def test_an_engine_by_a_name_of_its_own():
    text = """
@nki.jit
def k(x):
    out = nl.ndarray((x.shape[1], x.shape[0]), dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nisa.nc_transpose(nl.load(x), engine=nisa.tensor_engine))
    return out
"""
    assert "engine=nisa.tensor_engine)" in check_same(text, "k", rows(64, 32))


SIZED = """
class Tiling:
    def __init__(self, size):
        self.size = size


@nki.jit
def k(x, size):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tiling = Tiling(size)
    for i in range(x.shape[0] // size):
        tile = nl.load(x[i * tiling.size : (i + 1) * tiling.size, 0:8])
        nl.store(out[i * tiling.size : (i + 1) * tiling.size, 0:8], nl.exp(tile))
    return out
"""


def test_the_size_of_a_slice_between_multiples_of_an_attribute():
    new = check_same(SIZED, "k", rows(32, 8), 16)
    assert "tile = nl.ndarray((tiling.size, 8), dtype=x.dtype, buffer=nl.sbuf)" in new


CHOSEN = """
@nki.jit
def k(x, flip=False):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    op = np.add if x.shape[0] > 30 else np.multiply
    more = nisa.tensor_scalar(nl.load(x), op0=op, operand0=3.0)
    nl.store(out, nisa.tensor_tensor(more, more, np.subtract if flip else np.add))
    return out
"""


@pytest.mark.parametrize("count", [16, 32])
def test_an_operation_that_depends_on_a_size(count):
    new = check_same(CHOSEN, "k", rows(count, 8))
    assert "op = nl.add if x.shape[0] > 30 else nl.multiply" in new
    assert "op=nl.subtract if flip else nl.add" in new


def test_a_choice_of_what_is_no_operation():
    assert migrated(HEAD + CHOSEN.replace("else np.multiply", "else np.divide"))[1] == ["M-OP"]


COLUMN = """\
@nki.jit
def k(x, bias):
    n, h, w = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    columns = nl.ndarray((64, 2), dtype=nl.float32, buffer=nl.sbuf)
    for i in nl.affine_range(2):
        nisa.dma_copy(dst=columns[:, i], src=bias[i * 64:(i + 1) * 64])
        tile = nl.ndarray((64, h, w), dtype=x.dtype, buffer=nl.sbuf)
        nisa.dma_copy(dst=tile, src=x[i * 64:(i + 1) * 64])
        result = {code}
        nisa.dma_copy(dst=out[i * 64:(i + 1) * 64], src=result)
    return out
"""


@pytest.mark.parametrize(
    ("code", "function", "more"),
    [
        ("nisa.tensor_tensor(tile, columns[:, i], nl.add)", np.add, "op0=nl.add"),
        ("nl.subtract(columns[:, i:i + 1], tile)", lambda x, b: b - x, "reverse0=True"),
    ],
)
def test_a_column_beside_a_tile_of_more_dimensions_stands_for_all_of_them(code, function, more):
    x, bias = RNG.normal(size=(128, 3, 5)).astype(np.float32), RNG.normal(size=128).astype(np.float32)
    text = HEAD + COLUMN.format(code=code)
    new = check_same_strictly(text, x, bias)
    assert "nisa.tensor_scalar(\n" in new
    assert more in new
    np.testing.assert_array_equal(module(new).k(x, bias), function(x, bias[:, None, None]))


def test_that_a_tensor_is_taken_to_be_a_vector_is_said():
    text = HEAD + VECTOR.format(shape="", value="nl.add(nl.load(x), b)")
    result = migrate({"a.py": text})
    (note,) = (f for f in result.findings if f.code == "NKL504")
    assert note.message == "bias[8:40]: bias is taken to have rank 1, as nothing tells which it has"
    assert "`assert len(bias.shape) == 1`" in note.step


VECTOR = """
@nki.jit
def k(x, bias):
    {shape}out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    b = nl.load(bias[8:40])
    nl.store(out, {value})
    return out
"""


@pytest.mark.parametrize("columns", [24, 32])
@pytest.mark.parametrize(
    "value", ["nl.add(nl.load(x), b)", "b - nl.load(x)", "nl.maximum(nl.load(x[0:32, :]), b)"]
)
@pytest.mark.parametrize("shape", ["n, m = x.shape\n    assert n == 32\n    ", ""])
def test_a_vector_has_one_element_for_each_partition_of_a_tile(shape, value, columns):
    """Also where the tile has as many columns, so that a row would fit as well."""
    x, bias = (RNG.normal(size=size).astype(np.float32) for size in ((32, columns), (64,)))
    check_same_strictly(HEAD + VECTOR.format(shape=shape, value=value), x, bias)


def test_a_vector_of_maybe_another_number_of_partitions_has_no_meaning_beside_a_tile():
    text = VECTOR.format(shape="n, m = x.shape\n    ", value="nl.add(nl.load(x), b)")
    assert migrated(HEAD + text)[1] == ["M-RANKS"]


@pytest.mark.parametrize("columns", ["columns[0:32, 0:1]", "columns"])
def test_what_is_no_column_of_the_tile_has_no_meaning_beside_more_dimensions(columns):
    assert "M-RANKS" in migrated(HEAD + COLUMN.format(code=f"nl.add(tile, {columns})"))[1]


@pytest.mark.parametrize("transpose", ["nl.transpose", "nisa.nc_transpose"])
def test_vectors_are_not_transposed(transpose):
    text = f"""\
@nki.jit
def k(x):
    (n,) = x.shape
    out = nl.ndarray((1, n), dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, {transpose}(nl.load(x)))
    return out
"""
    assert migrated(HEAD + text)[1] == ["M-VECTOR"]


VIEWS = """\
@nki.jit
def k(x):
    n = x.shape[0]
    halves = x.reshape((64, n // 64))
    out = nl.ndarray(halves.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tile = nl.multiply(nl.load(halves), 2.0)
    pairs = tile.reshape((64, {size}, 2))
    nl.store(out[:, 0:n // 128], nl.max(pairs, axis=2))
    nl.store(out[:, n // 128:n // 64], nl.min(pairs, axis=2))
    out = out.reshape(x.shape)
    return out
"""


@pytest.mark.parametrize(
    ("size", "code"),
    [
        ("n / 128", "n // 128"),
        ("(n // 64) / 2", "(n // 64) // 2"),
        ("0.5 * (n // 64)", "int(0.5 * (n // 64))"),
        ("n / 64 / 2", "int(n / 64 / 2)"),
        ("n / 256 * 2", "int(n / 256 * 2)"),
        ("2 * (n / 256)", "int(2 * (n / 256))"),
    ],
)
def test_sizes_that_were_floats_and_a_shape_of_unknown_rank(size, code):
    x = RNG.normal(size=64 * 12).astype(np.float32)
    new = check_same_strictly(HEAD + VIEWS.format(size=size), x)
    assert f"tile.reshape((64, {code}, 2))" in new
    assert "out = out.reshape(x.shape)" in new
    pairs = (2 * x).reshape(64, 6, 2)
    expected = np.concatenate([pairs.max(2), pairs.min(2)], axis=1)
    np.testing.assert_array_equal(module(new).k(x), expected.reshape(-1))


@pytest.mark.parametrize(
    ("first", "engine"),
    [
        ("from neuronxcc.nki.isa.constants import engine\n\n\n", "engine.vector"),
        ("", "nki.isa.constants.engine.vector"),
        ("", "nisa.constants.engine.vector"),
    ],
)
def test_the_module_of_constants_is_one_with_that_of_instructions(first, engine):
    text = f"""\
{first}@nki.jit
def k(x):
    out = nl.ndarray((32, 32), dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nisa.nc_transpose(nl.load(x), engine={engine}))
    return out
"""
    new = check_same_strictly(HEAD + text, RNG.normal(size=(32, 32)).astype(np.float32))
    assert "engine=nisa.engine.vector)" in new
