"""A column as a row on many partitions."""

from __future__ import annotations

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from kernels import cast, launch, normal, on_chip, rejected

from nkilib.core.utils.tp_broadcast import tp_broadcast


def broadcast(x, column, copies, dtype=None, target="trn2", **options):
    shape = (copies, x.shape[0])
    return on_chip(
        lambda dst, src: tp_broadcast(src, dst, column, **options),
        [x],
        (shape, dtype or x.dtype),
        target=target,
    )


@pytest.mark.parametrize("target", ["trn1", "trn2", "trn3"])
@pytest.mark.parametrize(
    ("rows", "columns", "column", "copies", "dtype"),
    [
        pytest.param(128, 1, 0, 128, "float32", id="1"),
        pytest.param(64, 4, 3, 128, "float32", id="2 and 12"),
        pytest.param(128, 8, 5, 1, "float32", id="3"),
        pytest.param(1, 1, 0, 128, "float32", id="4"),
        pytest.param(100, 2, 1, 33, "float32", id="5"),
        pytest.param(128, 4, 2, 128, "bfloat16", id="6"),
        pytest.param(128, 4, 2, 16, "float16", id="float16"),
    ],
)
def test_cases(rows, columns, column, copies, dtype, target) -> None:
    x = normal((rows, columns), dtype)
    got = broadcast(x, column, copies, target=target)
    assert got.dtype == x.dtype
    assert np.array_equal(got, np.broadcast_to(x[:, column], (copies, rows)))


def test_7_another_type() -> None:
    x = normal((128, 4))
    assert np.array_equal(
        broadcast(x, 1, 128, "bfloat16"), np.broadcast_to(cast(x[:, 1], "bfloat16"), (128, 128))
    )


def test_8_address() -> None:
    x = normal((128, 4))
    assert np.array_equal(broadcast(x, 1, 16, psum_address=(0, 2048)), np.broadcast_to(x[:, 1], (16, 128)))


def test_8_address_is_used() -> None:
    """A tile at the same place in PSUM is overwritten; one elsewhere stays."""

    def kernel(x):
        src = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
        nisa.dma_copy(dst=src, src=x)
        results = []
        for bank in (1, 2):
            held = nl.ndarray((16, 128), dtype=x.dtype, buffer=nl.psum, address=(0, bank * 2048))
            nisa.memset(dst=held, value=5.0)
            tp_broadcast(src, nl.ndarray((16, 128), dtype=x.dtype, buffer=nl.sbuf), 0, psum_address=(0, 2048))
            copy = nl.ndarray((16, 128), dtype=x.dtype, buffer=nl.sbuf)
            nisa.tensor_copy(dst=copy, src=held)
            results.append(nl.ndarray((16, 128), dtype=x.dtype, buffer=nl.shared_hbm))
            nisa.dma_copy(dst=results[-1], src=copy)
        return tuple(results)

    x = normal((128, 1))
    same, other = launch(kernel, x)
    assert np.array_equal(same, np.broadcast_to(x[:, 0], (16, 128)))
    assert np.array_equal(other, np.full((16, 128), 5.0, np.float32))


def test_9_sizes() -> None:
    with rejected("an element for each partition"):
        on_chip(lambda dst, src: tp_broadcast(src, dst, 0), [normal((64, 2))], ((16, 65), "float32"))


def test_10_two_calls() -> None:
    def body(dst, src):
        tp_broadcast(src, dst[:, 0:64], 0, psum_address=(0, 0))
        tp_broadcast(src, dst[:, 64:128], 1, psum_address=(0, 2048))

    x = normal((64, 2))
    got = on_chip(body, [x], ((8, 128), "float32"))
    assert np.array_equal(got, np.broadcast_to(np.concatenate([x[:, 0], x[:, 1]]), (8, 128)))


def test_11_values() -> None:
    x = np.array([[0.0], [-0.0], [1e30], [-1e30], [1e-30], [3.4e38], [1 / 3]], np.float32)
    got = broadcast(x, 0, 4)
    assert np.array_equal(got.view(np.uint32), np.broadcast_to(x[:, 0], (4, 7)).view(np.uint32))
