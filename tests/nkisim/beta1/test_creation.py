"""Tensors: block dimensions, fills, random numbers, places in memory, and their limits."""

from __future__ import annotations

import functools

import ml_dtypes
import numpy as np
import pytest

import nkisim.beta1 as nki
import nkisim.beta1.compiler as ncc
import nkisim.beta1.language as nl
from nkisim.beta1.typing import mutable, mutable_tensor, tensor
from nkisim.core.errors import SimulationError


def value(body):
    """What a kernel without parameters gives."""
    return nki.jit(body)()


def test_fills():
    np.testing.assert_array_equal(
        value(lambda: nl.zeros((4, 6), nl.bfloat16)), np.zeros((4, 6), ml_dtypes.bfloat16)
    )
    np.testing.assert_array_equal(value(lambda: nl.ones((4, 6), nl.int8)), np.ones((4, 6), np.int8))
    np.testing.assert_array_equal(
        value(lambda: nl.full((4, 6), 2.5, nl.float32, buffer=nl.psum)), np.full((4, 6), 2.5)
    )
    found = value(lambda: nl.zeros_like(nl.full((4, 6), 2.5, nl.float16)))
    np.testing.assert_array_equal(found, np.zeros((4, 6), np.float16))
    found = value(lambda: nl.empty_like(nl.zeros((4, 6), nl.float16), dtype=nl.float32))
    assert np.isnan(found).all()
    assert found.dtype == np.float32


def test_constants(rng):
    x = rng.standard_normal((4, 6))
    np.testing.assert_array_equal(value(lambda: nl.load(nl.shared_constant(x))), x.astype(np.float32))
    found = value(lambda: nl.load(nl.shared_constant(np.identity(8, np.int8), dtype=nl.bfloat16)))
    np.testing.assert_array_equal(found, np.eye(8).astype(ml_dtypes.bfloat16))
    np.testing.assert_array_equal(value(lambda: nl.shared_identity_matrix(5)), np.eye(5, dtype=np.uint8))


def test_block_dimensions(rng):
    x = rng.standard_normal((3, 2, 8, 6)).astype(np.float32)

    @nki.jit
    def kernel(t):
        tiles = nl.ndarray((3, 2, nl.par_dim(8), 6), dtype=t.dtype, buffer=nl.sbuf)
        out = nl.ndarray(t.shape, dtype=t.dtype, buffer=nl.shared_hbm)
        i, j = nl.mgrid[0:8, 0:6]
        for a in nl.affine_range(3):
            for b in nl.affine_range(2):
                tiles[a, b, i, j] = nl.load(t[a, b])
        for a in nl.affine_range(3):
            for b in nl.affine_range(2):
                nl.store(out[a, b], nl.exp(tiles[a, b]) if b else tiles[a, b, :, :])
        found.append((tiles.shape, tiles[0].shape, tiles[0, 1].shape, tiles[0, 1, 2:4].shape))
        return out

    found = []
    expected = x.copy()
    expected[:, 1] = np.exp(x[:, 1])
    np.testing.assert_allclose(kernel(x), expected, rtol=1e-6)
    assert found == [((3, 2, 8, 6), (2, 8, 6), (8, 6), (2, 6))]


def test_blocks_must_be_picked_before_they_are_used():
    with pytest.raises(
        SimulationError, match=r"dimension 1 lies on the partitions; index the 1 block dimensions"
    ):
        value(lambda: nl.exp(nl.zeros((3, nl.par_dim(8), 6), nl.float32)))


def test_blocks_fit_one_by_one():
    big = value(lambda: nl.zeros((40, nl.par_dim(128), 512), nl.float32, buffer=nl.psum)[3])
    assert big.shape == (128, 512)


def test_random_numbers_are_seeded():
    first, second = (value(lambda: nl.rand((128, 64))) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.min() >= 0
    assert first.max() < 1
    assert abs(first.mean() - 0.5) < 0.02
    assert value(lambda: nl.rand((4, 8), dtype=nl.bfloat16)).dtype == ml_dtypes.bfloat16

    @nki.jit
    def kernel(seed):
        nl.random_seed(7)
        one = nl.rand((4, 8))
        nl.random_seed(nl.load(seed))
        return one, nl.rand((4, 8)), nl.rand((4, 8))

    one, other, third = kernel(np.array([[7]], np.int32))
    np.testing.assert_array_equal(one, other)
    assert (other != third).any()


def test_dropout():
    kept = value(lambda: nl.dropout(nl.ones((128, 512), nl.float32), rate=0.25))
    assert abs(kept.mean() - 0.75) < 0.01


def test_device_print(capsys):
    value(lambda: nl.device_print("values:", nl.full((2, 2), 3.0, nl.float32)))
    assert capsys.readouterr().out == "values: [[3. 3.]\n [3. 3.]]\n"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (lambda: nl.ndarray((129, 4), nl.float32), r"129 partitions; the hardware has 128"),
        (lambda: nl.ndarray((2, nl.par_dim(129), 4), nl.float32), r"129 partitions; the hardware has 128"),
        (
            lambda: nl.ndarray((128, 8192), nl.float32, buffer=nl.psum),
            r"bytes in a partition; psum has 16384",
        ),
        (lambda: nl.ndarray((4, 4), nl.float32, buffer="dram"), r"unknown buffer 'dram'"),
        (lambda: ncc.multi_buffer(0), r"factor is 0"),
    ],
)
def test_limits(body, text):
    with pytest.raises(SimulationError, match=rf"test_creation\.py:\d+: .*{text}"):
        value(body)


BLOCKS = (4, nl.par_dim(128), 512)


def places(buffer, shape=BLOCKS, dtype=nl.bfloat16):
    return lambda: nl.zeros(shape, dtype, buffer=buffer)[0]


def test_placed_tensors(rng):
    assert (value(places(ncc.sbuf.mod_alloc(base_addr=1024, num_free_tiles=(2,)))) == 0).all()
    assert (value(places(ncc.psum.mod_alloc(base_bank=6, num_bank_tiles=(2,)), dtype=nl.float32)) == 0).all()
    assert (value(places(ncc.sbuf.alloc(lambda block, rows, size: (0, block[0] * size)))) == 0).all()
    by_name = functools.partial(
        lambda banks, idx, pdim_size, fdim_size: (banks[idx], 0, 0), banks={(0,): 3, (1,): 5}
    )
    assert (value(places(ncc.psum.alloc(by_name), (2, nl.par_dim(128), 8), nl.float32)) == 0).all()
    assert (value(places(ncc.sbuf.auto_alloc())) == 0).all()
    assert (
        value(places(ncc.psum.mod_alloc(base_bank=0, num_bank_tiles=(3,)), (128, 8), nl.float32)) == 0
    ).all()


def test_modulo_allocation_is_that_of_the_documentation():
    seen = []
    place = ncc.sbuf.mod_alloc(base_addr=64, num_free_tiles=(2,)).place
    seen = [place((block,), 128, 1024) for block in range(4)]
    assert seen == [(0, 64), (0, 64 + 1024), (0, 64), (0, 64 + 1024)]
    place = ncc.psum.mod_alloc(base_bank=1, num_bank_tiles=(2, 3)).place
    assert [place((i, j), 128, 2048)[0] for i in range(3) for j in range(4)] == [
        1,
        2,
        3,
        1,
        4,
        5,
        6,
        4,
        1,
        2,
        3,
        1,
    ]


@pytest.mark.parametrize(
    ("buffer", "text"),
    [
        (ncc.sbuf.mod_alloc(base_addr=220 << 10), r"block \(0,\) lies at bytes 225280 to 226304; SBUF has"),
        (
            ncc.psum.mod_alloc(base_bank=7, num_bank_tiles=(2,)),
            r"block \(1,\) lies at byte 0 of bank 8; PSUM has 8 banks",
        ),
        (
            ncc.sbuf.mod_alloc(base_addr=0, base_partition=32),
            r"starts at partition 32; with 128 partitions: one of \(0,\)",
        ),
        (
            ncc.sbuf.mod_alloc(base_addr=0, num_free_tiles=(2, 2)),
            r"must count the tiles of 1 block dimensions",
        ),
    ],
)
def test_places_that_the_hardware_has_not(buffer, text):
    with pytest.raises(SimulationError, match=text):
        value(places(buffer))


def test_hints_change_nothing(rng):
    x = rng.standard_normal((8, 6)).astype(np.float32)

    @nki.jit
    @ncc.skip_middle_end_transformations
    @ncc.enable_stack_allocator(log_level=20)
    @ncc.force_auto_alloc
    def kernel(t: tensor[mutable], u: mutable_tensor):
        with ncc.no_reorder(), ncc.allocation_scope():
            for i in nl.sequential_range(1, directives=ncc.multi_buffer(2)):
                tile: tensor[8, 6] = nl.load(t) * (i + 2)
        nl.store(u, tile)

    out = np.zeros_like(x)
    kernel(x, out)
    np.testing.assert_array_equal(out, x * 2)
