"""Copies that a replayed launch leaves out: its results have the same bits."""

import sys

import ml_dtypes
import numpy as np
import pytest

import nkisim
import nkisim.isa as nisa
import nkisim.language as nl
from nkisim.core import lending, recording, replay

P = 8


@pytest.fixture(autouse=True)
def nothing_kept():
    replay._PLANS.clear()


@pytest.fixture
def left_out(monkeypatch):
    """How many views of each recorded launch's tiles show an argument."""
    found = []

    def counted(uses, unchanged, loans=recording.loans):
        each = loans(uses, unchanged)
        found.extend(each)
        return each

    monkeypatch.setattr(recording, "loans", counted)
    return found


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def twice(kernel, first, second, monkeypatch):
    """The second launch as it is replayed, and as it runs without that."""
    with nkisim.replay():
        kernel(*first)
        found = np.asarray(kernel(*second))
    monkeypatch.setenv("NKISIM_REPLAY", "0")
    wanted = np.asarray(kernel(*second))
    assert np.array_equal(found.view(np.uint8), wanted.view(np.uint8))
    return found


def out_of(tile, shape, dtype=nl.float32):
    out = nl.ndarray(shape, dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out, src=tile)
    return out


def product(x, w, start, pieces):
    """x.T @ w, of which each tile is copied in as many pieces."""
    left, right = nl.ndarray((128, 16), x.dtype, nl.sbuf), nl.ndarray((128, pieces, 32), w.dtype, nl.sbuf)
    nisa.dma_copy(dst=left, src=x[:, start : start + 16])
    size = 32
    for piece in range(pieces):
        nisa.dma_copy(dst=right[:, piece], src=w[:, piece * size : (piece + 1) * size])
    total = nl.ndarray((16, pieces * 32), nl.float32, nl.psum)
    nisa.nc_matmul(dst=total, stationary=left, moving=right)
    return out_of_psum(total)


def out_of_psum(total):
    tile = nl.ndarray(total.shape, nl.float32, nl.sbuf)
    nisa.tensor_copy(dst=tile, src=total)
    return out_of(tile, total.shape)


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
@pytest.mark.parametrize("pieces", [1, 3])
def test_weights_are_read_where_they_are(dtype, pieces, monkeypatch, left_out):
    kernel = nkisim.jit(product)
    each = [
        (numbers(128, 48, seed=s).astype(dtype), numbers(128, 96, seed=s + 9).astype(dtype)) for s in (0, 1)
    ]
    given = [(x, w, 32, pieces) for x, w in each]
    found = twice(kernel, *given, monkeypatch)
    x, w = (array.astype(np.float64) for array in each[1])
    assert np.allclose(found, x[:, 32:].T @ w[:, : pieces * 32], rtol=1e-4, atol=1e-4)
    assert len(left_out) == (2 if pieces == 1 else 1)


def moving(x, copies, reads, again):
    """Copies of parts of x to a tile, and parts of the tile into a result."""
    tile, found = nl.ndarray((P, 4, 6), nl.float32, nl.sbuf), nl.ndarray((P, 200), nl.float32, nl.sbuf)
    nisa.memset(found, 0.0)
    for part, row, column in copies:
        nisa.dma_copy(dst=tile[:, part], src=x[row : row + P, column : column + 6])
    end = 0
    for pattern, offset in reads:
        view = tile.ap(pattern=pattern, offset=offset)
        size = view.size // P
        nisa.tensor_copy(dst=found[:, end : end + size], src=view)
        end += size
    if again:
        nisa.dma_copy(dst=tile[:, 0], src=x[0:P, 0:6])
    return out_of(found, (P, 200))


def drawn(random):
    """What to copy, and access patterns that stay in the tile."""
    parts = [int(part) for part in random.permutation(4)[: random.integers(1, 5)]]
    parts += parts[:1] * bool(random.random() < 0.2)
    copies = [(part, int(random.integers(0, 9)), int(random.integers(0, 5))) for part in parts]
    reads = []
    for _ in range(random.integers(1, 4)):
        first, step = int(random.integers(0, 24)), int(random.choice([0, 1, 1, 1, 2, 6]))
        count = int(random.integers(1, (23 - first) // step + 2)) if step else 2
        reads.append(([[24, P], [step, count]], first))
    return copies, reads


def test_random_copies_and_reads(monkeypatch, left_out):
    kernel, counts = nkisim.jit(moving), []
    x, y = numbers(16, 12), numbers(16, 12, seed=1)
    for seed in range(150):
        monkeypatch.delenv("NKISIM_REPLAY", raising=False)
        random = np.random.default_rng(seed)
        left_out.clear()
        copies, reads = drawn(random)
        options = copies, reads, bool(random.random() < 0.2)
        twice(kernel, (x, *options), (y, *options), monkeypatch)
        counts.append(len(left_out))
    assert 20 < sum(count > 0 for count in counts) < 130


def test_what_nothing_wrote_is_still_unwritten(monkeypatch):
    kernel = nkisim.jit(moving)
    options = [(1, 0, 0)], [([[24, P], [1, 6]], 0)], False
    found = twice(kernel, (numbers(16, 12), *options), (numbers(16, 12, seed=1), *options), monkeypatch)
    assert np.isnan(found[:, :6]).all()


def changing(x, y):
    """Reads a copy of x after x was written."""
    tile, other = nl.ndarray(x.shape, x.dtype, nl.sbuf), nl.ndarray(x.shape, x.dtype, nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    nisa.dma_copy(dst=other, src=y)
    nisa.tensor_scalar(dst=other, data=other, op0=nl.multiply, operand0=3.0)
    nisa.dma_copy(dst=y, src=other)
    result = nl.ndarray(x.shape, x.dtype, nl.sbuf)
    nisa.tensor_copy(dst=result, src=tile)
    return out_of(result, x.shape)


def test_an_argument_that_is_written_is_copied(left_out):
    kernel = nkisim.jit(changing)
    with nkisim.replay():
        for seed in range(3):
            x = numbers(P, 8, seed=seed)
            before = x.copy()
            assert np.array_equal(kernel(x, x), before)
            assert np.array_equal(x, before * np.float32(3))
    assert not left_out


def test_arguments_that_share_memory_in_a_later_launch(left_out):
    kernel = nkisim.jit(changing)
    with nkisim.replay():
        kernel(numbers(P, 8), numbers(P, 8, seed=1))
        assert left_out
        both = numbers(2 * P - 1, 8)
        x, y = both[:P], both[P - 1 :]
        before = x.copy()
        assert np.array_equal(kernel(x, y), before)


def chosen(x, which):
    """x[which], which is known when the program runs."""
    index, tile = nl.ndarray((1, 1), nl.int32, nl.sbuf), nl.ndarray((P, 6), nl.float32, nl.sbuf)
    nisa.dma_copy(dst=index, src=which)
    nisa.dma_copy(dst=tile, src=x.ap([[6, P], [1, 6]], scalar_offset=index, indirect_dim=0))
    nisa.memset(index, 0)
    result = nl.ndarray((P, 6), nl.float32, nl.sbuf)
    nisa.tensor_copy(dst=result[:, 3:], src=tile[:, 3:])
    nisa.tensor_copy(dst=result[:, :3], src=tile[:, :3])
    return out_of(result, (P, 6))


def test_an_address_that_depends_on_a_value(left_out):
    kernel, x = nkisim.jit(chosen), numbers(4, P, 6)
    with nkisim.replay():
        for which in (2, 0, 3):
            assert np.array_equal(kernel(x, np.array([[which]], np.int32)), x[which])
        assert len(left_out) == 2
        with pytest.raises(nkisim.SimulationError, match=r"dynamic offset 4 is outside 0\.\.3"):
            kernel(x, np.array([[4]], np.int32))


def skipping(x, which):
    """x[which], and what was there before where that does not exist."""
    index, tile = nl.ndarray((1, 1), nl.int32, nl.sbuf), nl.ndarray((P, 6), nl.float32, nl.sbuf)
    nisa.dma_copy(dst=index, src=which)
    source = x.ap([[6, P], [1, 6]], scalar_offset=index, indirect_dim=0)
    nisa.dma_copy(dst=tile, src=source, oob_mode=nisa.oob_mode.skip)
    return out_of_sbuf(tile)


def out_of_sbuf(tile):
    result = nl.ndarray(tile.shape, nl.float32, nl.sbuf)
    nisa.tensor_copy(dst=result, src=tile)
    return out_of(result, tile.shape)


def test_an_address_that_may_be_out_of_range(monkeypatch):
    x = numbers(4, P, 6)
    given = [(x, np.array([[which]], np.int32)) for which in (1, 9)]
    assert np.isnan(twice(nkisim.jit(skipping), *given, monkeypatch)).all()


def test_a_copy_that_adds(monkeypatch):
    def adding(x):
        tile = nl.ndarray(x.shape, x.dtype, nl.sbuf)
        nisa.dma_copy(dst=tile, src=x, dst_rmw_op=nl.add)
        return out_of_sbuf(tile)

    found = twice(nkisim.jit(adding), (numbers(P, 6),), (numbers(P, 6, seed=1),), monkeypatch)
    assert np.isnan(found).all()


def test_a_tile_that_another_operand_writes(monkeypatch, left_out):
    def summing(x):
        tile, other = nl.ndarray(x.shape, x.dtype, nl.sbuf), nl.ndarray(x.shape, x.dtype, nl.sbuf)
        nisa.dma_copy(dst=tile, src=x)
        nisa.memset(other, 2.0)
        nisa.activation_reduce(dst=other, op=nl.copy, data=other, reduce_op=nl.add, reduce_res=tile[:, 0:1])
        return out_of_sbuf(tile[:, 0:5])

    found = twice(nkisim.jit(summing), (numbers(P, 6),), (numbers(P, 6, seed=1),), monkeypatch)
    assert (found[:, 0] == 12).all()
    assert not left_out


def test_what_is_read_often_is_copied(left_out):
    def often(x):
        tile, other = nl.ndarray(x.shape, x.dtype, nl.sbuf), nl.ndarray(x.shape, x.dtype, nl.sbuf)
        nisa.dma_copy(dst=tile, src=x)
        nisa.tensor_tensor(dst=other, data1=tile, data2=tile, op=nl.add)
        return out_of(other, x.shape)

    with nkisim.replay():
        nkisim.jit(often)(numbers(P, 6))
    assert not left_out


@pytest.mark.parametrize("seed", range(300))
def test_places_element_by_element(seed):
    """An element's place in the argument, by a table of all elements that were copied."""
    random = np.random.default_rng(seed)
    axes = [
        tuple(int(random.choice(choice)) for choice in ((1, 2, 3, 4), (1, 2, 3, 4, 6, 8, 12, 24), (1, 5, 25)))
        for _ in range(3)
    ]
    axes.sort(key=lambda axis: -axis[1])
    table = {}
    for indices in np.ndindex(*(count for count, _, _ in axes)):
        at = sum(index * axis[1] for index, axis in zip(indices, axes, strict=True))
        table.setdefault(at, set()).add(sum(i * axis[2] for i, axis in zip(indices, axes, strict=True)))
    shape, strides = (tuple(int(n) for n in random.choice(c, 2)) for c in ((1, 2, 3), (0, 1, 2, 3, 4, 6, 8)))
    view, first = (
        np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), shape, strides),
        int(random.integers(-4, 9)),
    )
    found = lending.place(view, first, axes)
    if found is None:
        return
    for indices in np.ndindex(*shape):
        at = first + sum(index * stride for index, stride in zip(indices, strides, strict=True))
        there = found[0] + sum(index * stride for index, stride in zip(indices, found[1], strict=True))
        assert table[at] == {there}


def test_a_recording_keeps_no_argument():
    kernel, x = nkisim.jit(chosen), numbers(4, P, 6)
    with nkisim.replay():
        kernel(x, np.array([[1]], np.int32))
        kernel(x, np.array([[2]], np.int32))
        assert sys.getrefcount(x) == 2


def test_weights_larger_than_the_usual_limit_are_recorded(monkeypatch):
    monkeypatch.setattr(recording, "MOST_BYTES", 1000)
    kernel, runs = nkisim.jit(product), []
    x, w = numbers(128, 48), numbers(128, 96)
    with nkisim.replay():
        kernel(x, w, 0, 3)
        monkeypatch.setattr(nisa, "nc_matmul", lambda **given: runs.append(given))
        kernel(x, w, 0, 3)
    assert not runs


def test_more_tiles_than_arguments_explain_are_not_recorded(monkeypatch):
    monkeypatch.setattr(recording, "MOST_BYTES", 1000)

    def many(x):
        for _ in range(3):
            tile = nl.ndarray(x.shape, x.dtype, nl.sbuf)
            nisa.dma_copy(dst=tile, src=x)
        runs.append(x)
        return out_of(tile, x.shape)

    runs = []
    kernel, x = nkisim.jit(many), numbers(128, 48)
    with nkisim.replay():
        kernel(x)
        kernel(x)
    assert len(runs) == 2
