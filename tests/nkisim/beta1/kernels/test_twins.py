"""Complete kernels in the legacy language beside their twins in ``tests/nkisim/kernels``, and beside float64.

Where both do the same arithmetic in the same order, their results have the same bits.
"""

from __future__ import annotations

import importlib.util
from itertools import permutations, product
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import nkisim.beta1 as nki
import nkisim.beta1.isa as nisa
import nkisim.beta1.language as nl
from nkisim.core.running import run

RNG = np.random.default_rng(97)
NEWER = Path(__file__).parents[2] / "kernels"


def newer(name: str) -> Any:
    """A module of kernels in the newer language."""
    spec = importlib.util.spec_from_file_location(f"newer_{name}", NEWER / f"test_{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def same_bits(found: Any, twin: Any) -> None:
    assert found.dtype == twin.dtype
    assert found.shape == twin.shape
    assert found.tobytes() == twin.tobytes()


def tiles(size: int, side: int = 128) -> int:
    return -(-size // side)


# -- tiled matmul ---------------------------------------------------------------------------------------


@nki.jit
def matmul(a: Any, b: Any, order: str) -> Any:
    """``a[M, K] @ b[K, N]`` with a PSUM block for each tile of the result."""
    count = {"m": a.shape[0] // 128, "k": a.shape[1] // 128, "n": b.shape[1] // 512}
    c = nl.ndarray((a.shape[0], b.shape[1]), dtype=nl.float32, buffer=nl.shared_hbm)
    banks = nl.zeros((count["m"], count["n"], nl.par_dim(128), 512), dtype=nl.float32, buffer=nl.psum)
    i, j, wide = nl.arange(128)[:, None], nl.arange(128)[None, :], nl.arange(512)[None, :]
    for place in product(*(nl.affine_range(count[axis]) for axis in order)):
        at = dict(zip(order, place, strict=True))
        left = nl.transpose(nl.load(a[at["m"] * 128 + i, at["k"] * 128 + j]))
        right = nl.load(b[at["k"] * 128 + i, at["n"] * 512 + wide])
        banks[at["m"], at["n"], i, wide] += nisa.nc_matmul(left, right)
    for m in nl.affine_range(count["m"]):
        for n in nl.affine_range(count["n"]):
            nl.store(c[m * 128 + i, n * 512 + wide], nl.copy(banks[m, n]))
    return c


@pytest.mark.parametrize("order", ["".join(order) for order in permutations("mkn")])
@pytest.mark.parametrize("kind", [np.float32, ml_dtypes.bfloat16])
def test_tiled_matmul(order: str, kind: Any) -> None:
    a, b = RNG.standard_normal((256, 384)).astype(kind), RNG.standard_normal((384, 1024)).astype(kind)
    found = matmul(a, b, order)
    same_bits(found, run(newer("tiled_matmul").matmul_in_psum, (), (a, b, order), {}))
    np.testing.assert_allclose(found, a.astype(np.float64) @ b.astype(np.float64), rtol=1e-5, atol=1e-4)


@nki.jit
def matmul_by_programs(a: Any, b: Any) -> Any:
    """A program for each tile of the result."""
    c = nl.ndarray((a.shape[0], b.shape[1]), dtype=nl.float32, buffer=nl.shared_hbm)
    m, n = nl.program_id(0), nl.program_id(1)
    total = nl.zeros((128, 512), nl.float32, buffer=nl.psum)
    for k in nl.affine_range(a.shape[1] // 128):
        left = nl.transpose(nl.load(a[nl.ds(m * 128, 128), nl.ds(k * 128, 128)]))
        total += nl.matmul(left, nl.load(b[nl.ds(k * 128, 128), nl.ds(n * 512, 512)]), transpose_x=True)
    nl.store(c[nl.ds(m * 128, 128), nl.ds(n * 512, 512)], total)
    return c


@pytest.mark.parametrize("grid", [(2, 2), (nl.nc(2), 2), (2, nl.nc(2))], ids=str)
def test_matmul_by_programs(grid: Any) -> None:
    a, b = (RNG.standard_normal(shape).astype(np.float32) for shape in ((256, 256), (256, 1024)))
    same_bits(
        matmul_by_programs[grid](a, b), run(newer("tiled_matmul").matmul_in_psum, (), (a, b, "mnk"), {})
    )


# -- transposes -----------------------------------------------------------------------------------------


@nki.jit
def transpose(a: Any, engine: str) -> Any:
    """Tiles of a matrix of any size; masks leave out what is beyond its edges."""
    rows, columns = a.shape
    side = 32 if engine == "vector" else 128
    out = nl.ndarray((columns, rows), dtype=a.dtype, buffer=nl.shared_hbm)
    i, j = nl.mgrid[0:side, 0:side]
    for top in nl.affine_range(tiles(rows, side)):
        for left in nl.affine_range(tiles(columns, side)):
            there = (top * side + i < rows) & (left * side + j < columns)
            flipped = (top * side + j < rows) & (left * side + i < columns)
            source = a[top * side + i, left * side + j]
            if engine == "dma":
                tile = nl.load_transpose2d(source, mask=there)
            else:
                unit = nisa.vector_engine if engine == "vector" else nisa.tensor_engine
                zeroed = nl.zeros((side, side), a.dtype)
                zeroed[...] = nl.load(source, mask=there)
                tile = nisa.nc_transpose(zeroed, engine=unit)
            nl.store(out[left * side + i, top * side + j], tile, mask=flipped)
    return out


@pytest.mark.parametrize("engine", ["tensor", "vector", "dma"])
@pytest.mark.parametrize("shape", [(128, 128), (300, 77), (1, 200)])
@pytest.mark.parametrize("kind", [np.float32, ml_dtypes.bfloat16])
def test_transpose(engine: str, shape: tuple[int, int], kind: Any) -> None:
    a = RNG.standard_normal(shape).astype(kind)
    found = transpose(a, engine)
    same_bits(found, run(newer("transposes").transpose_by_tiles, (), (a, engine), {}))
    np.testing.assert_array_equal(found, a.T)


@nki.jit
def swap_free_dimensions(a: Any, first: int, second: int) -> Any:
    """``[P, F1 * F2]`` to ``[P, F2 * F1]`` through three index tiles."""
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    source = nl.load(a)
    target = nl.ndarray(a.shape, dtype=a.dtype)
    p = nl.arange(a.shape[0])[:, None, None]
    i, j = nl.arange(first)[None, :, None], nl.arange(second)[None, None, :]
    target[p, j * first + i] = nl.copy(source[p, i * second + j])
    nl.store(out, target)
    return out


@pytest.mark.parametrize("shape", [(3, 4), (1, 8), (16, 5)])
def test_swap_of_free_dimensions(shape: tuple[int, int]) -> None:
    a = RNG.standard_normal((7, shape[0] * shape[1])).astype(np.float32)
    found = swap_free_dimensions(a, *shape)
    same_bits(found, run(newer("transposes").swap_free_dimensions, (), (a, shape), {}))
    np.testing.assert_array_equal(found, a.reshape(7, *shape).transpose(0, 2, 1).reshape(7, -1))


# -- average pooling ------------------------------------------------------------------------------------


@nki.jit
def average_pool(x: Any, size: int) -> Any:
    """Windows through five index tiles."""
    channels, high, wide = x.shape
    shape = channels, high // size, wide // size
    out = nl.ndarray(shape, dtype=x.dtype, buffer=nl.shared_hbm)
    source = nl.load(x)
    c, i, j, k, m = nl.mgrid[0:channels, 0 : shape[1], 0 : shape[2], 0:size, 0:size]
    total = nl.sum(source[c, i * size + k, j * size + m], axis=[3, 4], dtype=nl.float32)
    nl.store(out, nl.multiply(total, 1.0 / (size * size), dtype=x.dtype))
    return out


@pytest.mark.parametrize(
    ("shape", "size"), [((128, 16, 16), 2), ((3, 12, 6), 3), ((5, 3, 2), 1), ((7, 9, 11), 2)]
)
def test_average_pool(shape: tuple[int, int, int], size: int) -> None:
    x = RNG.standard_normal(shape).astype(np.float32)
    found = average_pool(x, size)
    same_bits(found, run(newer("average_pooling").average_pool, (), (x, size), {}))
    rows, columns = shape[1] // size, shape[2] // size
    windows = (
        x[:, : rows * size, : columns * size].astype(np.float64).reshape(shape[0], rows, size, columns, size)
    )
    np.testing.assert_allclose(found, windows.mean(axis=(2, 4)), rtol=1e-5, atol=1e-6)


# -- softmax --------------------------------------------------------------------------------------------


@nki.jit
def softmax(x: Any) -> Any:
    """128 rows at a time; the last tile is masked."""
    rows, columns = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    i, j = nl.mgrid[0:128, 0:columns]
    for top in nl.affine_range(tiles(rows)):
        there = top * 128 + i < rows
        tile = nl.load(x[top * 128 + i, j], mask=there)
        shift = nisa.tensor_reduce(np.max, tile, axis=1, negate=True, dtype=nl.float32, mask=there)
        total = nl.ndarray((128, 1), nl.float32)
        powers = nisa.activation_reduce(
            np.exp, tile, bias=shift, reduce_op=np.add, reduce_res=total, dtype=nl.float32, mask=there
        )
        share = nisa.reciprocal(total, mask=top * 128 + nl.arange(128)[:, None] < rows)
        result = nisa.tensor_scalar(powers, np.multiply, share, dtype=x.dtype, mask=there)
        nl.store(out[top * 128 + i, j], result, mask=there)
    return out


@pytest.mark.parametrize("shape", [(128, 512), (300, 33), (1, 1)])
@pytest.mark.parametrize(("kind", "tolerance"), [(np.float32, 1e-6), (ml_dtypes.bfloat16, 2**-8)])
def test_softmax(shape: tuple[int, int], kind: Any, tolerance: float) -> None:
    x = (RNG.standard_normal(shape) * 4).astype(kind)
    found, module = softmax(x), newer("softmax")
    same_bits(found, run(module.softmax, (), (x,), {}))
    np.testing.assert_allclose(
        found.astype(np.float64), module.expected(x), rtol=4 * tolerance, atol=tolerance
    )


# -- selective scan -------------------------------------------------------------------------------------


@nki.jit
def selective_scan(delta: Any, x: Any, a: Any, b: Any, c: Any, chunk: int) -> Any:
    """The scan of a state space model; its state goes from chunk to chunk in a tile."""
    channels, length = x.shape
    y = nl.ndarray((channels, length), dtype=x.dtype, buffer=nl.shared_hbm)
    for top in nl.affine_range(tiles(channels)):
        high = min(128, channels - top * 128)
        rows = nl.ds(top * 128, high)
        rates = nl.load(a[rows], dtype=nl.float32)
        carry = nl.zeros((high, a.shape[1]), nl.float32)
        for left in nl.sequential_range(tiles(length, chunk)):
            part = nl.ds(left * chunk, min(chunk, length - left * chunk))
            steps, values = (nl.load(t[rows, part], dtype=nl.float32) for t in (delta, x))
            drive, total = steps * values, nl.zeros(steps.shape, nl.float32)
            for n in nl.sequential_range(a.shape[1]):
                decay = nisa.activation(nl.exp, steps, scale=rates[:, n])
                enters = nl.load(b[nl.ds(n, 1), part], dtype=nl.float32)
                leaves = nl.load(c[nl.ds(n, 1), part], dtype=nl.float32)
                state = nisa.tensor_tensor_scan(decay, drive * enters, carry[:, n], np.multiply, np.add)
                carry[:, n] = nl.copy(state[:, state.shape[1] - 1])
                total += state * leaves
            nl.store(y[rows, part], total)
    return y


@pytest.mark.parametrize(
    ("channels", "length", "states", "chunk"),
    [(128, 64, 4, 64), (130, 50, 3, 16), (1, 1, 1, 8), (7, 129, 16, 128)],
)
@pytest.mark.parametrize(("kind", "tolerance"), [(np.float32, 1e-5), (ml_dtypes.bfloat16, 2**-8)])
def test_selective_scan(
    channels: int, length: int, states: int, chunk: int, kind: Any, tolerance: float
) -> None:
    module = newer("selective_scan")
    given = module.inputs(channels, length, states, kind)
    found = selective_scan(*given, chunk)
    same_bits(found, module.selective_scan(*given, chunk))
    want = module.expected(*(array.astype(np.float64) for array in given))
    np.testing.assert_allclose(found.astype(np.float64), want, rtol=tolerance, atol=1e-5)


# -- flash attention ------------------------------------------------------------------------------------

FAR_BELOW = -1e30


def scored(queries: Any, keys: Any, scale: float, ahead: int, masked: bool) -> Any:
    scores = nisa.activation(np.copy, nisa.nc_matmul(queries, keys), scale=scale)
    if not masked:
        return scores
    i, j = nl.mgrid[0 : scores.shape[0], 0 : scores.shape[1]]
    return nisa.affine_select(pred=(i + ahead >= j), on_true_tile=scores, on_false_value=FAR_BELOW)


def transposed(tile: Any) -> Any:
    return nl.copy(nisa.nc_transpose(tile))


@nki.jit
def flash_attention(q: Any, k: Any, v: Any, causal: bool) -> Any:
    """Attention with an online softmax; causal: the last query sees all keys."""
    out = nl.ndarray(q.shape, dtype=q.dtype, buffer=nl.shared_hbm)
    queries, depth = q.shape
    keys = k.shape[0]
    for first in nl.affine_range(tiles(queries)):
        place = nl.ds(first * 128, min(128, queries - first * 128))
        rows, last = place.stop - place.start, place.start + keys - queries
        own = transposed(nl.load(q[place]))
        top, total = nl.full((rows, 1), FAR_BELOW, nl.float32), nl.zeros((rows, 1), nl.float32)
        mixed = nl.zeros((rows, depth), nl.float32)
        for left in nl.sequential_range(0, keys, 128):
            wide = min(128, keys - left)
            if causal and left > last + rows - 1:
                continue
            block = transposed(nl.load(k[nl.ds(left, wide)]))
            scores = scored(own, block, depth**-0.5, last - left, causal and left + wide - 1 > last)
            best = nl.maximum(nl.max(scores, axis=1), top)
            shrink = nl.exp(top - best)
            top[...] = nl.copy(best)
            part = nl.ndarray((rows, 1), nl.float32)
            powers = nisa.activation(
                np.exp,
                scores,
                bias=best * -1.0,
                reduce_op=np.add,
                reduce_res=part,
                reduce_cmd=nisa.reduce_cmd.reset_reduce,
                dtype=v.dtype,
            )
            total[...] = total * shrink + part
            mixed[...] = mixed * shrink + nisa.nc_matmul(transposed(powers), nl.load(v[nl.ds(left, wide)]))
        nl.store(out[place], mixed * nisa.reciprocal(total))
    return out


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("queries", "keys", "depth"), [(128, 128, 64), (256, 256, 128), (1, 300, 128), (130, 257, 16)]
)
@pytest.mark.parametrize(("kind", "tolerance"), [(np.float32, 1e-5), (ml_dtypes.bfloat16, 2**-7)])
def test_flash_attention(
    queries: int, keys: int, depth: int, causal: bool, kind: Any, tolerance: float
) -> None:
    q = RNG.standard_normal((queries, depth)).astype(kind)
    k, v = RNG.standard_normal((2, keys, depth)).astype(kind)
    module = newer("flash_attention")
    found = flash_attention(q, k, v, causal)
    same_bits(found, module.flash_attention(q, k, v, causal))
    want = module.expected(*(array.astype(np.float64) for array in (q, k, v)), causal)
    np.testing.assert_allclose(found.astype(np.float64), want, rtol=tolerance, atol=tolerance)


# -- the largest values ---------------------------------------------------------------------------------


@nki.jit
def largest(x: Any, count: int, searches: bool) -> Any:
    """``count`` largest values of each row and their columns, eight at a time."""
    rows, columns = x.shape
    values = nl.ndarray((rows, count), dtype=nl.float32, buffer=nl.shared_hbm)
    places = nl.ndarray((rows, count), dtype=nl.uint32, buffer=nl.shared_hbm)
    i, j, eight = nl.arange(128)[:, None], nl.arange(columns)[None, :], nl.arange(8)[None, :]
    for top in nl.affine_range(tiles(rows)):
        there = top * 128 + i < rows
        left = nl.load(x[top * 128 + i, j], mask=there, dtype=nl.float32)
        where = nl.ndarray((128, count), nl.uint32)
        for first in nl.sequential_range(0, count, 8):
            best = nisa.max8(src=left, mask=there)
            if searches:
                where[i, first + eight] = nisa.nc_find_index8(data=left, vals=best, mask=there)
            left[i, j] = nisa.nc_match_replace8(
                data=left,
                vals=best,
                imm=-3e38,
                dst_idx=None if searches else where[i, first + eight],
                mask=there,
            )
            nl.store(values[top * 128 + i, first + eight], best, mask=there)
        nl.store(places[top * 128 + i, nl.arange(count)[None, :]], where, mask=there)
    return values, places


@pytest.mark.parametrize("searches", [True, False])
@pytest.mark.parametrize(
    ("rows", "columns", "count"), [(128, 64, 8), (150, 33, 16), (1, 8, 8), (130, 24, 24)]
)
def test_largest(rows: int, columns: int, count: int, searches: bool) -> None:
    x = np.stack([RNG.permutation(columns) for _ in range(rows)]).astype(np.float32)
    found = largest(x, count, searches)
    for mine, twin in zip(found, newer("top_selection").largest(x, count, searches), strict=True):
        same_bits(mine, twin)
    order = np.argsort(-x, axis=1)[:, :count]
    np.testing.assert_array_equal(found[0], np.take_along_axis(x, order, 1))
    np.testing.assert_array_equal(found[1], order)


# -- two cores ------------------------------------------------------------------------------------------


@nki.jit
def projected(x: Any, w: Any) -> Any:
    """Normed ``x.T @ w``: each program contracts its part, ``all_reduce`` adds them, each norms its rows."""
    programs, me = nl.num_programs(), nl.program_id(0)
    (deep, rows), columns = x.shape, w.shape[1]
    out = nl.ndarray((rows, columns), dtype=x.dtype, buffer=nl.shared_hbm)
    part = nl.zeros((rows, columns), nl.float32, buffer=nl.psum)
    share = deep // programs
    for top in nl.sequential_range(tiles(share)):
        place = nl.ds(me * share + top * 128, min(128, share - top * 128))
        part += nisa.nc_matmul(nl.load(x[place]), nl.load(w[place]))
    product = nl.all_reduce(nl.copy(part), op=np.add, program_axes=0)
    mine = product[rows * me // programs : rows * (me + 1) // programs]
    mean = nl.ndarray((mine.shape[0], 1), nl.float32)
    nisa.activation_reduce(np.square, mine, reduce_op=np.add, reduce_res=mean)
    scale = nisa.tensor_scalar(mean, np.multiply, 1.0 / columns, op1=np.add, operand1=1e-5)
    nl.store(out[rows * me // programs : rows * (me + 1) // programs], mine * nl.rsqrt(scale))
    return out


@pytest.mark.parametrize(("deep", "rows", "columns"), [(256, 128, 512), (300, 6, 6), (520, 76, 250)])
@pytest.mark.parametrize(("kind", "tolerance"), [(np.float32, 1e-5), (ml_dtypes.bfloat16, 2**-8)])
def test_two_cores(deep: int, rows: int, columns: int, kind: Any, tolerance: float) -> None:
    x, w = (RNG.standard_normal((deep, n)).astype(kind) for n in (rows, columns))
    module = newer("two_cores")
    found = projected[nl.nc(2)](x, w)
    same_bits(found, module.projected[2](x, w))
    want = module.expected(x.astype(np.float64), w.astype(np.float64))
    np.testing.assert_allclose(found.astype(np.float64), want, rtol=tolerance, atol=tolerance)
