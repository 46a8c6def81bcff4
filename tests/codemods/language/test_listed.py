"""Lists of tiles that a kernel fills one by one."""

from __future__ import annotations

import numpy as np
import pytest
from migrated import HEAD, check_same_strictly, migrated

RNG = np.random.default_rng(15)


def kernel(body: str, functions: str = "") -> str:
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return f"""{HEAD}{functions}@nki.jit
def k(x):
    n, p, m = x.shape
    out = nl.ndarray((p, m), dtype=nl.float32, buffer=nl.shared_hbm)
{lines}
    return out
"""


SAME = {
    "appended": """
tiles = []
for i in range(n):
    tiles.append(nl.load(x[i]))
nl.store(out, tiles[0] * 2.0 - tiles[n - 1])
""",
    "a_comprehension": """
tiles = [nl.load(x[i], dtype=nl.float32) for i in range(n)]
total = nl.zeros((p, m), dtype=nl.float32)
for i in nl.static_range(len(tiles)):
    total[...] = total + tiles[i] * (i + 1.0)
nl.store(out, total)
""",
    "tiles_of_their_own": """
tiles = [nl.ndarray((nl.par_dim(p), m), dtype=nl.float32, buffer=nl.sbuf) for _ in range(n)]
for i in nl.static_range(n):
    tiles[i][...] = nl.load(x[i])
    tiles[i][:, 0:2] = tiles[i][:, 0:2] * 3.0
    tiles[i][:, 2:3] += 1.0
nl.store(out, nl.maximum(tiles[0], tiles[n - 1]))
""",
    "two_lists_and_another_name": """
ones, twos = [], []
for i in nl.static_range(n):
    t = nl.load(x[i])
    ones.append(t)
    twos.append(nl.exp(t))
other = twos
nl.store(out, ones[1] - other[0])
""",
    "in_a_branch": """
tiles = []
if n > 1:
    for i in range(n):
        tiles.append(nl.load(x[i]))
nl.store(out, tiles[0] + tiles[1])
""",
    "one_list_after_the_other": """
tiles = []
for i in range(n):
    tiles.append(nl.load(x[i]))
more = []
for i in range(n - 1):
    more.append(tiles[i] + tiles[i + 1])
nl.store(out, more[0] * more[1])
""",
}


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("name", SAME)
def test_items_are_known(name: str, dtype: type) -> None:
    check_same_strictly(kernel(SAME[name]), RNG.normal(size=(3, 32, 12)).astype(dtype))


LEVELS = """
tiles = [nl.load(x[i], dtype=nl.float32) for i in range(4)]
for level in range(2):
    half = []
    for i in range(0, len(tiles), 2):
        half.append(tiles[i] + tiles[i + 1])
    tiles = half
nl.store(out, tiles[0])
"""


def test_a_list_that_another_one_follows() -> None:
    check_same_strictly(kernel(LEVELS), RNG.normal(size=(4, 32, 12)).astype(np.float32))


REFUSED = {
    "in a loop that was traced once": (
        "tiles = []\nfor i in nl.affine_range(n):\n    tiles.append(nl.load(x[i]))\nnl.store(out, tiles[0])",
        "M-LOOP",
    ),
    "of several shapes": (
        "tiles = []\nfor i in range(2):\n    tiles.append(nl.load(x[i, :, 0:m - i]))\nnl.store(out, tiles[0])",
        "M-LIST",
    ),
    "of several dtypes": (
        "tiles = []\ntiles.append(nl.load(x[0]))\ntiles.append(nl.load(x[1], dtype=nl.bfloat16))\n"
        "nl.store(out, tiles[0])",
        "M-LIST",
    ),
    "in PSUM": (
        "tiles = []\nt = nl.load(x[0])\ntiles.append(nl.matmul(t, t, transpose_x=True))\nnl.store(out, tiles[0])",
        "M-LIST",
    ),
    "replaced": (
        "tiles = []\nfor i in range(n):\n    tiles.append(nl.load(x[i]))\ntiles[0] = nl.exp(tiles[1])\n"
        "nl.store(out, tiles[0])",
        "M-SHAPE",
    ),
    "added to": (
        "tiles = []\nfor i in range(n):\n    tiles.append(nl.load(x[i]))\ntiles[0] += 1.0\nnl.store(out, tiles[0])",
        "M-LIST",
    ),
    "parts of a tile": (
        "t = nl.load(x[0])\ntiles = []\ntiles.append(t[:, 0:2])\nnl.store(out[:, 0:2], tiles[0])",
        "M-LIST",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_items_that_differ_or_change_are_not_followed(name: str) -> None:
    body, reason = REFUSED[name]
    assert reason in migrated(kernel(body))[1]


def test_a_function_that_gets_a_list_is_not_followed() -> None:
    functions = "def first(tiles):\n    return tiles[0] * 2.0\n\n\n"
    body = "tiles = []\nfor i in range(n):\n    tiles.append(nl.load(x[i]))\nnl.store(out, first(tiles))"
    assert migrated(kernel(body, functions))[1]
