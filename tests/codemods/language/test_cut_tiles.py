"""Tiles of which a mask leaves a part: what the old code knows of their shapes, and operations without a mask."""

from __future__ import annotations

import numpy as np
import pytest
from migrated import HEAD, check_same_strictly, migrated

RNG = np.random.default_rng(8)
SIZES = [(256, 64), (200, 40), (5, 12)]


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


ROUNDED_UP = {
    "function": "def blocks(n, size):\n    return (n + size - 1) // size\n\n\n",
    "function_with_names": "def blocks(n, size):\n    more = size - 1\n    total = n + more\n    return total // size\n\n\n",
    "negated": "def blocks(n, size):\n    return -(-n // size)\n\n\n",
}


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("function", ROUNDED_UP.values(), ids=ROUNDED_UP)
def test_a_number_that_a_function_gives(function: str, shape: tuple[int, int]) -> None:
    new = check_same_strictly(
        f"""{HEAD}{function}@nki.jit
def k(x):
    rows, columns = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    p = nl.arange(128)[:, None]
    f = nl.arange(columns)[None, :]
    for i in nl.affine_range(blocks(rows, 128)):
        t = nl.load(x[i * 128 + p, f], mask=i * 128 + p < rows)
        u = nl.exp(t - 1.0)
        nl.store(out[i * 128 + p, f], u, mask=i * 128 + p < rows)
    return out
""",
        floats(*shape),
    )
    assert "if " not in new.replace('"""', "").split("def k")[1]


@pytest.mark.parametrize("columns", [256, 300, 50])
def test_blocks_of_a_size_that_is_handed_over(columns: int) -> None:
    new = check_same_strictly(
        f"""{HEAD}@nki.jit
def k(x, block):
    rows, columns = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    p, f = nl.mgrid[0:rows, 0:block]
    for i in nl.affine_range((columns + block - 1) // block):
        t = nl.load(x[p, i * block + f], mask=i * block + f < columns)
        nl.store(out[p, i * block + f], t * t, mask=i * block + f < columns)
    return out
""",
        floats(100, columns),
        128,
    )
    assert "if " not in new


@pytest.mark.parametrize("rows", [256, 300])
def test_programs_that_become_a_loop(rows: int) -> None:
    new = check_same_strictly(
        f"""{HEAD}@nki.jit
def added(a, b):
    out = nl.ndarray(a.shape, dtype=nl.float32, buffer=nl.shared_hbm)
    p = nl.program_id(0) * 128 + nl.arange(128)[:, None]
    f = nl.arange(a.shape[1])[None, :]
    x = nl.load(a[p, f], mask=p < a.shape[0], dtype=nl.float32)
    y = nl.load(b[p, f], mask=p < a.shape[0], dtype=nl.float32)
    nl.store(out[p, f], x + y, mask=p < a.shape[0])
    return out


def k(a, b):
    return added[(a.shape[0] + 127) // 128](a, b)
""",
        floats(rows, 64),
        floats(rows, 64),
    )
    assert "if rows" not in new


MEAN = """
@nki.jit
def k(x, width=96):
    rows, columns = x.shape
    out = nl.ndarray((rows, (columns + width - 1) // width), dtype=x.dtype, buffer=nl.shared_hbm)
    p = nl.arange(rows)[:, None]
    f = nl.arange(width)[None, :]
    for i in nl.affine_range((columns + width - 1) // width):
        t = nl.load(x[p, i * width + f], mask=i * width + f < columns)
        {body}
        nl.store(out[:, i:i + 1], s)
    return out
"""
SUM = "nl.sum(t, axis=1, keepdims=True, mask=i * width + f < columns)"


@pytest.mark.parametrize("columns", [192, 200])
@pytest.mark.parametrize(
    ("body", "functions"),
    [
        (f"s = {SUM} * t.shape[1]", ""),
        (f"s = {SUM} * t.shape[-1]", ""),
        (f"r, n = t.shape\n        s = {SUM} * (n + 2.0 * r)", ""),
        (f"u = t * 2.0\n        s = {SUM} * u.shape[1]", ""),
        (f"t = longer(t, width)\n        s = {SUM}", "def longer(t, width):\n    return t * t.shape[1]"),
    ],
)
def test_the_shape_is_that_before_the_mask(body: str, functions: str, columns: int) -> None:
    check_same_strictly(f"{HEAD}{functions}\n\n{MEAN.format(body=body)}", floats(64, columns))


def test_the_size_before_a_mask_that_a_function_does_not_know() -> None:
    kernel = MEAN.format(body=f"t = longer(t)\n        s = {SUM}")
    for body in ("t * t.shape[1]", "nl.add(t, nl.zeros(t.shape, dtype=t.dtype))", "t * sum(t.shape)"):
        _, reasons = migrated(f"{HEAD}def longer(t):\n    return {body}\n\n\n{kernel}")
        assert "M-UNCUT" in reasons
    check_same_strictly(f"{HEAD}def longer(t):\n    return t * t.shape[0]\n\n\n{kernel}", floats(64, 200))


@pytest.mark.parametrize("shape", SIZES)
def test_a_function_that_gets_whole_tiles_and_parts(shape: tuple[int, int]) -> None:
    text = f"""{HEAD}def doubled(t):
    return t * 2.0


@nki.jit
def k(x):
    rows, columns = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    p = nl.arange(128)[:, None]
    f = nl.arange(columns)[None, :]
    ones = doubled(nl.ones((128, columns), dtype=nl.float32))
    for i in nl.affine_range((rows + 127) // 128):
        t = doubled(nl.load(x[i * 128 + p, f], mask=i * 128 + p < rows))
        nl.store(out[i * 128 + p, f], t + ones, mask=i * 128 + p < rows)
    return out
"""
    check_same_strictly(text, floats(*shape))
    _, reasons = migrated(text.replace("t * 2.0", "t * t.shape[0]"))
    assert "M-UNCUT" in reasons


@pytest.mark.parametrize("shape", SIZES)
def test_tiles_made_with_the_shape_of_a_part_are_whole(shape: tuple[int, int]) -> None:
    check_same_strictly(
        f"""{HEAD}@nki.jit
def k(x):
    rows, columns = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    p = nl.arange(128)[:, None]
    f = nl.arange(columns)[None, :]
    for i in nl.affine_range((rows + 127) // 128):
        t = nl.load(x[i * 128 + p, f], mask=i * 128 + p < rows)
        u = nl.ndarray((nl.par_dim(t.shape[0]), t.shape[1]), dtype=t.dtype, buffer=nl.sbuf)
        u[...] = t * 2.0
        nl.store(out[i * 128 + p, f], u, mask=i * 128 + p < rows)
    return out
""",
        floats(*shape),
    )


GATHER = """
@nki.jit
def k(table, ids, values):
    count, width = values.shape
    out = nl.ndarray(values.shape, dtype=table.dtype, buffer=nl.shared_hbm)
    back = nl.ndarray(table.shape, dtype=table.dtype, buffer=nl.shared_hbm)
    for half in nl.affine_range(2):
        nl.store(back[nl.ds(half * 80, 80), :], nl.zeros((80, width), dtype=table.dtype))
    for i in nl.sequential_range((count + 127) // 128):
        p, f = i * 128 + nl.arange(128)[:, None], nl.arange(48)[None, :]
        at = nl.load(ids[p, 0], mask=p < count)
        for j in nl.sequential_range((width + 47) // 48):
            inside = (p < count) & (j * 48 + f < width)
            rows = nl.load(table[{at}, j * 48 + f], mask=inside)
            nl.store(out[p, j * 48 + f], rows, mask=inside)
            new = nl.load(values[p, j * 48 + f], mask=inside)
            nl.store(back[{at}, j * 48 + f], rows + new, mask=inside)
    return out, back
"""


@pytest.mark.parametrize("shape", [(128, 96), (150, 100), (10, 20)])
@pytest.mark.parametrize("at", ["at", "at[nl.arange(128)[:, None], 0]"])
def test_rows_by_indices_of_which_a_mask_leaves_a_part(at: str, shape: tuple[int, int]) -> None:
    ids = RNG.permutation(160)[: shape[0], None].astype(np.int32)
    check_same_strictly(HEAD + GATHER.format(at=at), floats(160, shape[1]), ids, floats(*shape))


@pytest.mark.parametrize("columns", [96, 200, 7])
def test_a_row_of_which_a_mask_leaves_a_part_is_repeated(columns: int) -> None:
    check_same_strictly(
        f"""{HEAD}@nki.jit
def k(x, weights):
    rows, columns = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    for i in nl.affine_range((columns + 95) // 96):
        p, f = nl.arange(rows)[:, None], i * 96 + nl.arange(96)[None, :]
        t = nl.load(x[p, f], mask=f < columns)
        w = nl.load(weights[nl.arange(1)[:, None], f], mask=f < columns)
        nl.store(out[p, f], t * w.broadcast_to((rows, 96)), mask=f < columns)
    return out
""",
        floats(50, columns),
        floats(1, columns),
    )


def flagged(default: str, calls: str) -> str:
    return f"""{HEAD}def part(x, i, mask{default}):
    return nl.load(x[i * 64:(i + 1) * 64, :], mask=mask)


@nki.jit
def k(x, flag=None):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    {calls}
    return out
"""


@pytest.mark.parametrize(
    ("default", "calls"),
    [
        ("=None", "nl.store(out, part(x, 0))"),
        ("", "nl.store(out, part(x, 0, None))"),
        ("=None", "t = part(x, 0)\n    nl.store(out, part(x, 0, x.shape[1] > 3) + t)"),
        ("", "t = part(x, 0, None)\n    nl.store(out, part(x, 0, mask=x.shape[1] > 3) + t)"),
        ("=None", "nl.store(out, part(x, 0), mask=flag)"),
        ("=None", "nl.store(out, part(x, 0, mask=flag))"),
    ],
)
@pytest.mark.parametrize("flag", [(), (None,), (True,)])
def test_a_mask_that_is_none_leaves_everything(
    default: str, calls: str, flag: tuple[bool | None, ...]
) -> None:
    check_same_strictly(flagged(default, calls), floats(64, 16), *flag)
