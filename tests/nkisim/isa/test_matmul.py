"""nc_matmul against float64, its accumulation in PSUM, and its checks."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from tiles import got, hbm, psum, raw, sbuf, tile

from nkisim import isa as nisa
from nkisim.core.context import state
from nkisim.core.errors import SimulationError
from nkisim.core.registers import Register
from nkisim.core.tensor import Tensor, ds

RNG = np.random.default_rng(7)


@pytest.fixture
def gen2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "generation", 2)


@pytest.fixture
def gen4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "generation", 4)


def exact(stationary: Tensor, moving: Tensor) -> Any:
    """The product in float64 of what the tiles really hold."""
    left, right = got(stationary).astype(np.float64), got(moving).astype(np.float64)
    return np.einsum("km,kn->mn", left.reshape(len(left), -1), right.reshape(len(right), -1))


def near(result: Any, expected: Any, tolerance: float = 2e-6) -> bool:
    return bool(np.abs(result - expected).max() <= tolerance * max(np.abs(expected).max(), 1e-30))


@pytest.mark.parametrize("kind", ["float32", "tfloat32", "bfloat16", "float16", "float8_e4m3", "float8_e5m2"])
@pytest.mark.parametrize("sizes", [(128, 128, 512), (128, 1, 1), (1, 128, 512), (37, 65, 100), (1, 1, 1)])
def test_product(kind: str, sizes: tuple[int, int, int]) -> None:
    k, m, n = sizes
    stationary = tile(RNG.standard_normal((k, m)), kind)
    moving = tile(RNG.standard_normal((k, n)), kind)
    dst = psum((m, n))
    nisa.nc_matmul(dst, stationary, moving)
    assert near(got(dst), exact(stationary, moving))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("bfloat16", "float16"),
        ("float8_e4m3", "bfloat16"),
        ("float32", "tfloat32"),
        ("float8_e5m2", "float8_e4m3"),
    ],
)
def test_mixed_types(left: str, right: str) -> None:
    stationary, moving = (
        tile(RNG.standard_normal((64, 32)), left),
        tile(RNG.standard_normal((64, 48)), right),
    )
    dst = psum((32, 48))
    nisa.nc_matmul(dst, stationary, moving)
    assert near(got(dst), exact(stationary, moving))


def test_views_of_larger_tiles() -> None:
    big = RNG.standard_normal((128, 4, 96)).astype(np.float32)
    source, dst = tile(big), psum((64, 3, 96))
    before = got(dst)
    nisa.nc_matmul(dst[:, 1], source[10:90, 2, 0:64], source[10:90, 3, ::-1])
    expected = big[10:90, 2, :64].T.astype(np.float64) @ big[10:90, 3, ::-1].astype(np.float64)
    after = got(dst)
    assert near(after[:, 1], expected)
    assert np.isnan(before).all()
    assert np.isnan(after[:, [0, 2]]).all()


def test_strided_and_broadcast_operands() -> None:
    values = RNG.standard_normal((32, 64)).astype(np.float32)
    source, dst = tile(values), psum((32, 16))
    nisa.nc_matmul(dst, source[:, ::2], source.ap([[64, 32], [0, 16]], offset=5))
    column = values[:, 5].astype(np.float64)
    assert near(got(dst), np.repeat((values[:, ::2].T @ column)[:, None], 16, axis=1), 1e-5)


def test_free_dimensions_count_as_one() -> None:
    stationary = tile(RNG.standard_normal((16, 4, 8)).astype(np.float32))
    moving = tile(RNG.standard_normal((16, 2, 3, 5)).astype(np.float32))
    dst = psum((32, 6, 5))
    nisa.nc_matmul(dst, stationary, moving)
    assert near(got(dst).reshape(32, 30), exact(stationary, moving))


def test_one_row_by_integer_index() -> None:
    stationary, moving = (
        tile(np.ones((8, 1), np.float32)),
        tile(np.arange(32, dtype=np.float32).reshape(8, 4)),
    )
    dst = psum((4, 4))
    nisa.nc_matmul(dst[2], stationary, moving)
    assert got(dst)[2].tolist() == [112, 120, 128, 136]
    assert np.isnan(got(dst)[[0, 1, 3]]).all()


# -- accumulation -------------------------------------------------------------------------------------

ONES = np.ones((2, 4), np.float32)


def ones_times(value: float, dst: Tensor) -> None:
    """Write (or add) ``2 * value`` everywhere in ``dst``."""
    rows, columns = dst.shape[0], int(np.prod(dst.shape[1:]))
    nisa.nc_matmul(dst, tile(np.ones((2, rows), np.float32)), tile(np.full((2, columns), value, np.float32)))


def test_first_write_overwrites_later_ones_add() -> None:
    dst = psum((4, 6))
    for value, total in ((1, 2), (2, 6), (3, 12)):
        ones_times(value, dst)
        assert (got(dst) == total).all()


def test_a_group_sums_over_the_contraction() -> None:
    left, right = RNG.standard_normal((4, 128, 64)), RNG.standard_normal((4, 128, 256))
    dst = psum((64, 256))
    for a, b in zip(left, right, strict=True):
        nisa.nc_matmul(dst, tile(a, "bfloat16"), tile(b, "bfloat16"))
    a, b = (x.astype(ml_dtypes.bfloat16).astype(np.float64) for x in (left, right))
    assert near(got(dst), np.einsum("tkm,tkn->mn", a, b))


def test_a_new_allocation_starts_a_new_group() -> None:
    for _ in range(3):
        dst = psum((4, 4))
        ones_times(5, dst)
        assert (got(dst) == 10).all()


def test_a_new_allocation_at_the_same_address_starts_a_new_group() -> None:
    for _ in range(3):
        dst = Tensor((4, 4), "float32", buffer="psum", address=(0, 2048))
        ones_times(5, dst)
        ones_times(1, dst)
        assert (got(dst) == 12).all()


def test_regions_are_groups_of_their_own() -> None:
    dst = psum((4, 4, 8))
    for bank in range(4):
        for value in range(bank + 1):
            ones_times(value, dst[:, bank])
    assert got(dst)[0, :, 0].tolist() == [0, 2, 6, 12]


def test_overlapping_regions_know_each_location() -> None:
    dst = psum((4, 8))
    ones_times(1, dst[:, 0:4])
    ones_times(2, dst[0:2, 2:6])
    ones_times(4, dst)
    assert got(dst)[0].tolist() == [10, 10, 14, 14, 12, 12, 8, 8]
    assert got(dst)[3].tolist() == [10, 10, 10, 10, 8, 8, 8, 8]


def test_interleaved_regions_do_not_mix() -> None:
    dst = psum((2, 6))
    ones_times(1, dst[:, ::2])
    ones_times(2, dst[:, 1::2])
    ones_times(1, dst[:, ::2])
    assert got(dst)[1].tolist() == [4, 4, 4, 4, 4, 4]


def test_reversed_regions() -> None:
    dst = psum((4, 6))
    ones_times(1, dst[:, ::-1][:, 0:3])
    ones_times(2, dst[::-1, ::-1][0:2, 1:5])
    ones_times(4, dst[0:3, 0:3])
    assert got(dst)[3].astype(str).tolist() == ["nan", "4.0", "4.0", "6.0", "6.0", "2.0"]
    assert got(dst)[2].tolist() == [8, 12, 12, 6, 6, 2]


def test_free_dimensions_that_move_over_partitions() -> None:
    dst = psum((8, 4))
    ones_times(1, dst[6:7])
    ones_times(2, dst.ap([[4, 1], [8, 4], [1, 4]]))
    np.testing.assert_array_equal(got(dst)[::2, 0], [4, 4, 4, 6])
    assert np.isnan(got(dst)[1::2]).all()


def test_random_regions_against_a_mask() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        dst, total, written = psum((8, 16)), np.full((8, 16), np.nan), np.zeros((8, 16), bool)
        for _ in range(8):
            (a, b), (c, d) = (np.sort(rng.choice(n + 1, 2, replace=False)) for n in (8, 16))
            step = int(rng.integers(1, 3))
            where = (slice(int(a), int(b)), slice(int(c), int(d), step))
            value = int(rng.integers(1, 9))
            ones_times(value, dst[where])
            total[where] = np.where(written[where], total[where] + 2 * value, 2 * value)
            written[where] = True
        np.testing.assert_array_equal(got(dst), total)


@pytest.mark.parametrize("zeroed", [False, True])
def test_a_zeroed_tile_gives_the_same(zeroed: bool) -> None:
    dst = psum((4, 4))
    if zeroed:
        dst.write(np.zeros((4, 4), np.float32))
    ones_times(3, dst)
    ones_times(3, dst)
    assert (got(dst) == 12).all()


def test_a_group_goes_on_after_its_tile_was_zeroed() -> None:
    dst = psum((4, 4))
    ones_times(3, dst)
    dst.write(np.zeros((4, 4), np.float32))
    ones_times(1, dst)
    assert (got(dst) == 2).all()


def test_unwritten_operands_show() -> None:
    left = sbuf((4, 4))
    left[0:3].write(np.ones((3, 4), np.float32))
    dst = psum((4, 4))
    nisa.nc_matmul(dst, left, tile(np.ones((4, 4), np.float32)))
    assert np.isnan(got(dst)).all()


def test_dynamic_destination() -> None:
    dst = psum((4, 3, 4))
    ones_times(3, dst[:, ds(Register(1), 1)])
    ones_times(1, dst.ap([[12, 4], [1, 4]], scalar_offset=Register(2), indirect_dim=1))
    assert np.nan_to_num(got(dst)[0, :, 0]).tolist() == [0, 6, 2]


# -- other modes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [("float8_e4m3", "float8_e4m3"), ("float8_e5m2", "float8_e4m3")])
def test_double_row(kinds: tuple[str, str]) -> None:
    stationary = tile(RNG.standard_normal((128, 2, 16)), kinds[0])
    moving = tile(RNG.standard_normal((128, 2, 96)), kinds[1])
    dst = psum((16, 96))
    nisa.nc_matmul(dst, stationary, moving, perf_mode=nisa.matmul_perf_mode.double_row)
    expected = np.einsum("kpm,kpn->mn", got(stationary).astype(np.float64), got(moving).astype(np.float64))
    assert near(got(dst), expected)


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "float8_e4m3"])
def test_transpose_is_bit_exact(kind: str) -> None:
    values = RNG.standard_normal((48, 64))
    values[3, 5], values[7, 1] = np.nan, np.inf
    stationary, dst = tile(values, kind), psum((64, 48), kind)
    nisa.nc_matmul(dst, stationary, tile(np.eye(48), kind), is_transpose=True)
    assert raw(dst).tobytes() == np.ascontiguousarray(raw(stationary).T).tobytes()


def test_transpose_with_a_permutation_moves_columns() -> None:
    values, order = RNG.standard_normal((8, 5)).astype(np.float32), RNG.permutation(8)
    dst = psum((5, 8))
    nisa.nc_matmul(dst, tile(values), tile(np.eye(8, dtype=np.float32)[:, order]), is_transpose=True)
    np.testing.assert_array_equal(got(dst), values[order].T)


def test_transpose_into_float32() -> None:
    stationary, dst = tile(RNG.standard_normal((8, 8)), "bfloat16"), psum((8, 8))
    nisa.nc_matmul(dst, stationary, tile(np.eye(8), "bfloat16"), is_transpose=True)
    np.testing.assert_array_equal(got(dst), got(stationary).T)


@pytest.mark.usefixtures("gen2")
def test_transpose_on_gen2_is_a_product() -> None:
    values = np.ones((4, 4), np.float32)
    values[1, 2] = np.nan
    dst = psum((4, 4))
    nisa.nc_matmul(dst, tile(values), tile(np.eye(4, dtype=np.float32)), is_transpose=True)
    assert np.isnan(got(dst)).all(axis=1).tolist() == [False, False, True, False]


@pytest.mark.usefixtures("gen4")
def test_bfloat16_destination_adds_in_float32() -> None:
    dst = psum((1, 4), "bfloat16")
    for value in (1.0, 2.0**-8, 2.0**-7):
        nisa.nc_matmul(dst, tile([[1.0]], "float32"), tile(np.full((1, 4), value, np.float32)))
    # 1 + 2^-8 is a tie and rounds to even, 1; then 1 + 2^-7 is exact
    assert got(dst)[0].tolist() == [1 + 2**-7] * 4


@pytest.mark.usefixtures("gen4")
@pytest.mark.parametrize(("kind", "most"), [("float32", 4096), ("bfloat16", 8192)])
def test_moving_may_be_larger_on_gen4(kind: str, most: int) -> None:
    moving = tile(RNG.standard_normal((2, most + 1)), "bfloat16")
    stationary, dst = tile(RNG.standard_normal((2, 3)), "bfloat16"), psum((3, most), kind)
    nisa.nc_matmul(dst, stationary, moving[:, :most])
    assert near(got(dst), exact(stationary, moving[:, :most]), 5e-3 if kind == "bfloat16" else 1e-6)
    with pytest.raises(
        SimulationError, match=f"moving has {most + 1} elements in a partition, the most is {most}"
    ):
        nisa.nc_matmul(dst, stationary, moving)


# -- tiles of the array -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "size"),
    [
        ((0, 0), (128, 128)),
        ((64, 0), (64, 128)),
        ((96, 32), (32, 32)),
        ((0, 64), (128, 64)),
        ((0, 0), (96, 32)),
    ],
)
def test_tile_position_changes_nothing(position: tuple[int, int], size: tuple[int, int]) -> None:
    stationary, moving = tile(np.full((16, 8), 2.0), "bfloat16"), tile(np.full((16, 4), 3.0), "bfloat16")
    dst = psum((8, 4))
    nisa.nc_matmul(dst, stationary, moving, tile_position=position, tile_size=size)
    assert (got(dst) == 96).all()


@pytest.mark.parametrize(
    ("position", "size", "message"),
    [
        ((0, 0), (), "must be given together"),
        ((), (64, 64), "must be given together"),
        ((32, 0), (64, 128), "tile_position .32, 0.; 32 is no multiple of 64"),
        ((0, 128), (64, 64), "128 is no multiple of 64 below 128"),
        ((0, 0), (256, 128), "a side is one of"),
        ((0, 0), (0, 128), "a side is one of"),
        ((0, 0), (32, 128), "stationary has 64 partitions, the most is 32"),
        ((0, 0), (64, 32), "stationary has 40 elements in a partition, the most is 32"),
    ],
)
def test_tile_checks(position: tuple[int, ...], size: tuple[int, ...], message: str) -> None:
    stationary, moving = tile(np.ones((64, 40)), "bfloat16"), tile(np.ones((64, 4)), "bfloat16")
    with pytest.raises(SimulationError, match=message):
        nisa.nc_matmul(psum((40, 4)), stationary, moving, tile_position=position, tile_size=size)


# -- checks -------------------------------------------------------------------------------------------

F32 = np.ones((8, 8), np.float32)


def refused(message: str, **changed: Any) -> None:
    operands = {"dst": psum((8, 8)), "stationary": tile(F32), "moving": tile(F32)} | changed
    with pytest.raises(SimulationError, match=rf"test_matmul.py:\d+: nisa.nc_matmul: {message}"):
        nisa.nc_matmul(**operands)


def test_buffers() -> None:
    refused("dst is a sbuf tensor .8, 8. float32; allowed: psum", dst=sbuf((8, 8)))
    refused("stationary is a psum tensor", stationary=psum((8, 8)))
    refused("moving is a hbm tensor", moving=hbm(F32))
    refused("moving must be a tensor, it is a float", moving=1.0)


def test_types() -> None:
    refused("stationary is float32, moving is bfloat16", moving=tile(F32, "bfloat16"))
    refused(
        "stationary is bfloat16, moving is tfloat32",
        stationary=tile(F32, "bfloat16"),
        moving=tile(F32, "tfloat32"),
    )
    refused("moving is a .* int32; allowed types", moving=tile(F32, "int32"))
    refused("dst is a .* bfloat16; allowed types on gen3: float32", dst=psum((8, 8), "bfloat16"))


def test_sizes() -> None:
    refused("the contraction differs", moving=tile(np.ones((7, 8), np.float32)))
    refused("the result has 8 partitions of 8 elements", dst=psum((8, 9)))
    refused("the result has 8 partitions of 8 elements", dst=psum((16, 4)))
    refused(
        "moving has 513 elements in a partition, the most is 512", moving=tile(np.ones((8, 513), np.float32))
    )
    refused(
        "stationary has 129 elements in a partition, the most is 128",
        stationary=tile(np.ones((8, 129), np.float32)),
    )


def test_double_row_checks() -> None:
    pair = tile(np.ones((8, 2, 8)), "float8_e4m3")
    doubled = {"perf_mode": nisa.matmul_perf_mode.double_row}
    refused("stationary is a .* float32; allowed types with double_row", moving=pair, **doubled)
    refused(
        "moving is a .* with double_row dimension 1 must be 2",
        stationary=pair,
        moving=tile(F32, "float8_e4m3"),
        **doubled,
    )
    tiling = {"tile_position": (0, 0), "tile_size": (128, 64)}
    refused("double_row excludes column tiling", stationary=pair, moving=pair, **doubled, **tiling)
    refused("'triple' is not a valid matmul_perf_mode", perf_mode="triple")


@pytest.mark.usefixtures("gen2")
def test_gen2_checks() -> None:
    pair = tile(np.ones((8, 2, 8)), "float8_e4m3")
    refused(
        "perf_mode double_row needs", stationary=pair, moving=pair, perf_mode=nisa.matmul_perf_mode.double_row
    )
    refused("tile_position .32, 0.; 32 is no multiple of 64", tile_position=(32, 0), tile_size=(32, 32))


def test_transpose_needs_a_fitting_destination() -> None:
    eye = tile(np.eye(8, dtype=np.float32))
    refused("the transpose of .* does not fit dst", moving=eye, is_transpose=True, dst=psum((8, 4)))
    refused(
        "the transpose of .* does not fit dst", moving=eye, is_transpose=True, dst=psum((8, 8), "bfloat16")
    )


def test_a_destination_that_runs_out_of_its_bank() -> None:
    bank = psum((4, 8))
    with pytest.raises(SimulationError, match="runs out of psum tensor"):
        nisa.nc_matmul(
            bank.ap([[8, 4], [1, 9]]), tile(np.ones((2, 4), np.float32)), tile(np.ones((2, 9), np.float32))
        )


def test_wide_products_add_up_on_gen4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "generation", 4)
    a, b = np.ones((2, 128), np.float32), np.arange(2 * 1024, dtype=np.float32).reshape(2, 1024)
    dst = psum((128, 1024))
    for _ in range(2):
        nisa.nc_matmul(dst, tile(a), tile(b))
    assert np.array_equal(got(dst), 2 * (a.T.astype(np.float64) @ b))


@pytest.mark.parametrize("columns", [1, 300])
def test_one_partition_adds_up_from_zero(columns: int) -> None:
    """A product with one partition is an outer product, in which -0 is 0 like in every other sum."""
    left = np.array([[1.5, -2.0, 0.0, 3.0]], np.float32)
    right = (np.arange(columns, dtype=np.float32) - columns // 2 - 1)[None]
    dst = psum((4, columns))
    nisa.nc_matmul(dst, tile(left), tile(right))
    np.testing.assert_array_equal(got(dst), left.T.astype(np.float64) * right)
    assert not np.signbit(got(dst)[2]).any()
    nisa.nc_matmul(dst, tile(left), tile(right))
    np.testing.assert_array_equal(got(dst), 2 * left.T.astype(np.float64) * right)


@pytest.mark.parametrize("columns", [slice(256, 768), slice(0, 1024, 4), slice(511, 513)])
def test_a_product_stays_in_one_bank(columns: slice, monkeypatch: pytest.MonkeyPatch) -> None:
    banks = psum((4, 1024))[:, columns]
    a, b = np.ones((2, 4), np.float32), np.ones((2, banks.shape[1]), np.float32)
    with pytest.raises(SimulationError, match="TensorE writes to one PSUM bank, which has 2048"):
        nisa.nc_matmul(banks, tile(a), tile(b))
    monkeypatch.setattr(state, "generation", 4)
    nisa.nc_matmul(banks, tile(a), tile(b))
    assert (got(banks) == 2).all()


def test_a_transposing_product_stays_in_one_bank() -> None:
    banks, eye = psum((4, 1024))[:, 510:518], tile(np.eye(8, dtype=np.float32))
    with pytest.raises(SimulationError, match="TensorE writes to one PSUM bank"):
        nisa.nc_matmul(banks, tile(np.ones((8, 4), np.float32)), eye, is_transpose=True)


def test_a_transpose_has_the_partitions_of_its_destination() -> None:
    eye = tile(np.eye(8, dtype=np.float32))
    with pytest.raises(SimulationError, match=r"the transpose of .* does not fit dst"):
        nisa.nc_matmul(psum((8, 4)), tile(np.ones((8, 4), np.float32)), eye, is_transpose=True)


@pytest.mark.parametrize(
    "columns", [slice(512, 1024), slice(0, 512, 2), slice(700, 900), slice(511, None, -1)]
)
def test_where_a_bank_starts_and_ends(columns: slice) -> None:
    dst = psum((4, 1024))[:, columns]
    b = np.arange(2 * dst.shape[1], dtype=np.float32).reshape(2, -1)
    nisa.nc_matmul(dst, tile(np.ones((2, 4), np.float32)), tile(b))
    np.testing.assert_array_equal(got(dst), np.repeat(b.sum(0, keepdims=True), 4, 0))
