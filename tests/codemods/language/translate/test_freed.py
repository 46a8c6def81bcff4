"""Variables that get another value: what was spelled with them before must not mean the new one."""

from __future__ import annotations

import numpy as np
import pytest
from migrated import check_same

RNG = np.random.default_rng(23)


def rows(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


KERNELS = {
    "a shape that was taken before": """
        shape = x.shape
        x = x.reshape((x.shape[1], x.shape[0]))
        tile = nl.load(x[0:8, 0:4])
        nl.store(out[0:8, 0:4], nl.multiply(tile, shape[0] * 1.0))
        nl.store(out[8:16, 0:4], nl.multiply(tile, len(list(shape[:1]) + [1]) * x.shape[0] * 1.0))
    """,
    "a tile of the old size": """
        tile = nl.load(x[:, 0:4])
        x = x.reshape((x.shape[0] // 2, x.shape[1] * 2))
        largest = nl.max(tile, axis=[1], keepdims=True)
        nl.store(out[:, 0:1], largest)
    """,
    "a tile of the old type": """
        tile = nl.load(x[0:16, 0:4])
        x = y
        doubled = nl.add(tile, tile)
        nl.store(out[0:16, 0:4], nl.multiply(doubled, 1.0 / 3.0, dtype=nl.float32))
    """,
    "sizes of two tiles of one name": """
        tile = nl.load(x)
        count = tile.shape
        tile = nl.load(y)
        both = nl.zeros((count[0], 2), dtype=nl.float32)
        both[0:4, 0:2] = nl.add(tile[0:4, 0:2], 1.0)
        nl.store(out[0:4, 0:2], both[0:4, 0:2])
    """,
    "one arm of a branch": """
        tile = nl.load(x[:, 0:4])
        if flip:
            x = x.reshape((x.shape[1], x.shape[0]))
        sums = nl.sum(tile, axis=[1], keepdims=True)
        nl.store(out[:, 0:1], nl.multiply(sums, x.shape[0] * 1.0))
    """,
    "iterations of a loop": """
        tile = nl.load(x[:, 0:4])
        for i in range(2):
            sums = nl.sum(tile, axis=[1], keepdims=True)
            nl.store(out[:, i : i + 1], nl.multiply(sums, x.shape[0] * 1.0))
            x = x.reshape((x.shape[1], x.shape[0]))
    """,
    "a tile in a tuple": """
        tile = nl.load(x[:, 0:4])
        pair = (tile, 3.0, x[:, 4:8])
        tile = nl.multiply(pair[0], 2.0)
        x = y
        last = nl.add(pair[0], nl.load(pair[2]))
        nl.store(out[:, 0:4], nl.add(tile, last))
    """,
    "a number": """
        n = 4
        tile = nl.load(x[:, 0:n])
        n = n + 2
        squares = nl.square(tile)
        more = nl.zeros((x.shape[0], n), dtype=x.dtype)
        nl.store(out[:, 0:4], squares)
        nl.store(out[:, 4 : 4 + n], more)
    """,
}


@pytest.mark.parametrize("body", KERNELS.values(), ids=KERNELS)
def test_what_is_spelled_with_it_keeps_its_meaning(body: str) -> None:
    lines = body.strip("\n").rstrip().replace("\n        ", "\n    ").removeprefix("        ")
    text = f"""
@nki.jit
def k(x, y, flip=True):
    out = nl.zeros((16, 12), dtype=nl.float32, buffer=nl.shared_hbm)
    {lines}
    return out
"""
    check_same(text, "k", rows(16, 12), rows(12, 16).astype(np.float16))


def test_a_size_with_a_name_of_its_own_outlives_the_tensor_it_is_of():
    text = """
@nki.jit
def k(x):
    n, m = x.shape[0], x.shape[1]
    x = x.reshape((n * 2, m // 2))
    out = nl.ndarray((n * 2, m // 2), dtype=x.dtype, buffer=nl.shared_hbm)
    ip, iy = nl.mgrid[0:128, 0 : m // 2]
    for p in nl.affine_range((n * 2 + 127) // 128):
        row = p * 128 + ip
        t = nl.load(x[row, iy], mask=row < n * 2)
        nl.store(out[row, iy], t, mask=row < n * 2)
    return out
"""
    new = check_same(text, "k", rows(75, 32))
    assert "n * 2 - p * 128" in new
