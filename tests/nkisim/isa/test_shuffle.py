"""nc_stream_shuffle, nc_n_gather and local_gather against loops, and their checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiles import got, psum, raw, sbuf, tile

from nkisim import isa as nisa
from nkisim.core.errors import SimulationError
from nkisim.core.tensor import Tensor

RNG = np.random.default_rng(5)
ROTATE = [(i - 1) % 32 for i in range(32)]


def shuffled(before: Any, source: Any, mask: list[int]) -> Any:
    """Partition by partition, in plain Python."""
    after = before.copy()
    for row in range(len(before)):
        if mask[row % 32] != 255:
            after[row] = source[row - row % 32 + mask[row % 32]]
    return after


@pytest.mark.parametrize("rows", [32, 64, 96, 128])
@pytest.mark.parametrize("kind", ["float32", "bfloat16", "uint8", "int32"])
def test_shuffle_in_each_quadrant(rows: int, kind: str) -> None:
    mask = [int(m) for m in RNG.integers(0, 32, 32)]
    mask[3] = mask[17] = 255
    source, dst = tile(RNG.integers(0, 99, (rows, 3, 5)), kind), tile(RNG.integers(0, 99, (rows, 15)), kind)
    expected = shuffled(raw(dst), raw(source).reshape(rows, 15), mask)
    nisa.nc_stream_shuffle(dst, source, mask)
    np.testing.assert_array_equal(raw(dst), expected)


def test_shuffle_in_place() -> None:
    values = RNG.standard_normal((32, 6)).astype(np.float32)
    both = tile(values)
    nisa.nc_stream_shuffle(dst=both, src=both, shuffle_mask=ROTATE)
    np.testing.assert_array_equal(got(both), np.roll(values, 1, axis=0))


def test_broadcast_of_one_partition() -> None:
    values = RNG.standard_normal((1, 6)).astype(np.float32)
    dst = psum((20, 6))
    nisa.nc_stream_shuffle(dst, tile(values), [0] * 32)
    np.testing.assert_array_equal(got(dst), np.repeat(values, 20, axis=0))


def test_quadrants_of_a_tile_to_others() -> None:
    values = RNG.standard_normal((128, 4)).astype(np.float32)
    dst = tile(np.zeros((128, 4), np.float32))
    nisa.nc_stream_shuffle(dst[32:64], tile(values)[96:128], ROTATE)
    np.testing.assert_array_equal(got(dst)[32:64], np.roll(values[96:], 1, axis=0))
    assert not got(dst)[:32].any()
    assert not got(dst)[64:].any()


@pytest.mark.parametrize(
    ("dst", "src", "mask", "message"),
    [
        ((32, 4), (32, 5), ROTATE, "elements in a partition must match"),
        ((32, 4), (1, 4), ROTATE, "partition 0 of dst takes partition 31 of src"),
        ((32, 4), (32, 4), [0] * 31, "shuffle_mask is .* it has 32 entries"),
        ((32, 4), (32, 4), [32] * 32, "0..31 or 255"),
        ((32, 4), (32, 4), [-1] * 32, "0..31 or 255"),
    ],
)
def test_shuffle_checks(dst: Any, src: Any, mask: list[int], message: str) -> None:
    with pytest.raises(SimulationError, match=f"nisa.nc_stream_shuffle: .*{message}"):
        nisa.nc_stream_shuffle(sbuf(dst), tile(np.ones(src, np.float32)), mask)


def test_shuffle_types_must_match() -> None:
    with pytest.raises(SimulationError, match="they must be the same"):
        nisa.nc_stream_shuffle(sbuf((32, 4), "int32"), sbuf((32, 4)), ROTATE)


def test_shuffle_starts() -> None:
    big = tile(np.ones((128, 2), np.float32))
    for low, high, allowed in (
        (64, 128, True),
        (32, 96, False),
        (32, 64, True),
        (32, 128, False),
        (8, 40, False),
    ):
        part = big[low:high]
        if allowed:
            nisa.nc_stream_shuffle(part, part, ROTATE)
        else:
            with pytest.raises(SimulationError, match=f"starts at partition {low}; with {high - low}"):
                nisa.nc_stream_shuffle(part, part, ROTATE)
    placed = Tensor((32, 2), "float32", address=(16, 0))
    with pytest.raises(SimulationError, match="starts at partition 16"):
        nisa.nc_stream_shuffle(placed, big[0:32], ROTATE)


# -- gathers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "int32", "uint8"])
@pytest.mark.parametrize("shape", [(128, 64), (1, 7), (33, 4, 6)])
def test_n_gather(kind: str, shape: tuple[int, ...]) -> None:
    data = tile(RNG.integers(0, 99, shape), kind)
    flat = raw(data).reshape(shape[0], -1)
    index = RNG.integers(0, flat.shape[1], (shape[0], 5, 3))
    dst = sbuf((shape[0], 15), kind)
    nisa.nc_n_gather(dst, data, tile(index, "uint32"))
    expected = [[row[i] for i in places.reshape(-1)] for row, places in zip(flat, index, strict=True)]
    np.testing.assert_array_equal(raw(dst), np.array(expected))


def test_n_gather_checks() -> None:
    data, index = tile(np.ones((8, 16), np.float32)), tile(np.full((8, 4), 15), "uint32")
    refused: list[tuple[dict[str, Any], str]] = [
        ({"indices": tile(np.full((8, 4), 16), "uint32")}, r"index 16 is outside 0\.\.15"),
        ({"indices": tile(np.full((8, 4), 1), "int32")}, "must be uint32"),
        ({"indices": tile(np.full((9, 4), 1), "uint32")}, "partitions must match"),
        ({"dst": sbuf((8, 5))}, "and the elements of indices and dst"),
        ({"dst": sbuf((8, 4), "bfloat16")}, "data is float32, dst is bfloat16"),
        ({"dst": psum((8, 4))}, "dst is a psum tensor"),
    ]
    for changed, message in refused:
        with pytest.raises(SimulationError, match=f"nisa.nc_n_gather: .*{message}"):
            nisa.nc_n_gather(**({"dst": sbuf((8, 4)), "data": data, "indices": index} | changed))


@pytest.mark.parametrize("each", [1, 4, 32])
@pytest.mark.parametrize("count", [None, 1, 37])
@pytest.mark.parametrize("rows", [16, 128])
def test_local_gather(each: int, count: int | None, rows: int) -> None:
    data = tile(RNG.standard_normal((rows, 10, 8)), "bfloat16")
    flat, index = raw(data).reshape(rows, 80), RNG.integers(0, 80 - each + 1, (rows, 3))
    used = count or 48
    dst = sbuf((rows, used, each), "bfloat16")
    nisa.local_gather(dst, data, tile(index, "uint16"), each, count)
    for row in range(rows):
        first = row // 16 * 16
        for number in range(used):
            start = index[first + number % 16, number // 16]
            np.testing.assert_array_equal(raw(dst)[row, number], flat[row, start : start + each])


def test_local_gather_checks() -> None:
    data, index = tile(np.ones((32, 16), np.float32)), tile(np.full((32, 2), 3), "uint16")
    refused: list[tuple[dict[str, Any], str]] = [
        ({"index": tile(np.full((32, 2), 16), "uint16")}, r"element 16 is outside 0\.\.15"),
        ({"index": tile(np.full((32, 2), 1), "uint32")}, "must be uint16"),
        ({"index": tile(np.full((16, 2), 1), "uint16")}, "partitions must match"),
        ({"src_buffer": tile(np.ones((8, 16), np.float32))}, "partitions must match and be a multiple of 16"),
        ({"num_elem_per_idx": 3}, "num_elem_per_idx is 3"),
        ({"num_valid_indices": 33}, "33 indices for 16 partitions, the most is 32"),
        ({"num_valid_indices": 0}, "0 indices"),
        ({"dst": sbuf((32, 31))}, "the result has 32 partitions of 32"),
        ({"dst": sbuf((32, 32), "int32")}, "src_buffer is float32, dst is int32"),
        ({"src_buffer": psum((32, 16))}, "src_buffer is a psum tensor"),
    ]
    for changed, message in refused:
        with pytest.raises(SimulationError, match=f"nisa.local_gather: .*{message}"):
            nisa.local_gather(**({"dst": sbuf((32, 32)), "src_buffer": data, "index": index} | changed))
    wide = tile(np.zeros((16, 300)), "uint16")
    with pytest.raises(SimulationError, match="4800 indices for 16 partitions, the most is 4096"):
        nisa.local_gather(sbuf((16, 4800)), tile(np.ones((16, 4), np.float32)), wide)
