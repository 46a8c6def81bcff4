"""The first partition on all partitions."""

from __future__ import annotations

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from kernels import cast, launch, on_chip, rejected

from nkilib.core.utils.stream_shuffle_broadcast import stream_shuffle_broadcast


def broadcast(x, shape):
    return on_chip(lambda dst, src: stream_shuffle_broadcast(src, dst), [x], (shape, x.dtype), fill=7)


def rows(shape, dtype="float32"):
    return cast(np.arange(np.prod(shape)).reshape(shape) % 251, dtype)


@pytest.mark.parametrize(
    ("source", "shape", "dtype"),
    [
        pytest.param((1, 16), (128, 16), "float32", id="1"),
        pytest.param((1, 16), (32, 16), "float32", id="2"),
        pytest.param((1, 16), (33, 16), "float32", id="3"),
        pytest.param((1, 16), (1, 16), "float32", id="4"),
        pytest.param((1, 7), (100, 7), "float32", id="5"),
        pytest.param((1, 512), (128, 512), "bfloat16", id="6"),
        pytest.param((128, 8), (128, 8), "float32", id="7"),
        pytest.param((5, 8), (64, 8), "float16", id="other rows of src"),
        pytest.param((1, 16), (128, 16), "int32", id="11 int32"),
        pytest.param((1, 16), (128, 16), "uint8", id="11 uint8"),
    ],
)
def test_cases(source, shape, dtype) -> None:
    x = rows(source, dtype)
    got = broadcast(x, shape)
    assert got.dtype == x.dtype
    assert np.array_equal(got, np.broadcast_to(x[0:1], shape))


def test_8_rank() -> None:
    with rejected("2-D tiles"):
        broadcast(rows((1, 4, 4)), (128, 16))
    with rejected("2-D tiles"):
        broadcast(rows((1, 16)), (128, 4, 4))


def test_9_elements() -> None:
    with rejected("equally many elements"):
        broadcast(rows((1, 16)), (128, 8))


@pytest.mark.parametrize("lnc", [1, 2])
def test_10_in_place_and_12_other_tensors(lnc) -> None:
    def kernel(x):
        tiles = []
        for _ in range(2):
            tiles.append(nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf))
            nisa.dma_copy(dst=tiles[-1], src=x)
        stream_shuffle_broadcast(tiles[0], tiles[0])
        results = []
        for made in tiles:
            results.append(nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm))
            nisa.dma_copy(dst=results[-1], src=made)
        return tuple(results)

    x = rows((128, 4))
    changed, other = launch(kernel, x, lnc=lnc)
    assert np.array_equal(changed, np.broadcast_to(x[0:1], x.shape))
    assert np.array_equal(other, x)
