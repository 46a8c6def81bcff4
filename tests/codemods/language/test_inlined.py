"""Functions that get or give index tiles or masks: what they return is written out where they are called."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import migrate
from migrated import HEAD, check_same_strictly, migrated

RNG = np.random.default_rng(14)
KERNEL = """

@nki.jit
def k(x):
    n, m = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    p = nl.arange(128)[:, None]
    f = nl.arange(m)[None, :]
    for i in nl.affine_range((n + 127) // 128):
{body}
    return out
"""


def text(functions: str, body: str) -> str:
    lines = "\n".join(f"        {line}" for line in body.strip().splitlines())
    return f"{HEAD}{functions.strip()}\n{KERNEL.format(body=lines)}"


CASES = {
    "an_index_and_a_mask": (
        """
def row(i, p, size=128):
    return i * size + p


def inside(i, p, n):
    \"\"\"Which rows there are.\"\"\"
    return i * 128 + p < n
""",
        """
here = inside(i, p, n)
t = nl.load(x[row(i, p), f], mask=here)
nl.store(out[row(i, p=p), f], t * 2.0, mask=inside(i, p, n))
""",
    ),
    "several_lines_and_results": (
        """
def rows(i, p, n):
    start = i * 128
    row = start + p
    return row, row < n
""",
        """
row, here = rows(i, p, n)
nl.store(out[row, f], nl.exp(nl.load(x[row, f], mask=here)), mask=here)
""",
    ),
    "index_tiles_under_one_name": (
        """
def tile(i, m):
    return i * 128 + nl.arange(128)[:, None], nl.arange(m)[None, :]
""",
        """
at = tile(i, m)
nl.store(out[at[0], at[1]], nl.exp(nl.load(x[at], mask=at[0] < n)), mask=at[0] < n)
""",
    ),
    "loads_and_stores": (
        """
def mask(i, p, n):
    return i * 128 + p < n


def load(x, i, p, f, n):
    return nl.load(x[i * 128 + p, f], mask=mask(i, p, n))


def store(out, t, i, p, f, n):
    nl.store(out[i * 128 + p, f], t, mask=mask(i, p, n))
""",
        """
t = load(x, i, p, f, n)
store(out, t - 1.0, i, p, f, n)
""",
    ),
    "a_mask_for_an_operation": (
        """
def powers(t, mask=None):
    return nl.exp(t, mask=mask)
""",
        """
here = i * 128 + p < n
t = nl.load(x[i * 128 + p, f], mask=here)
nl.store(out[i * 128 + p, f], powers(t, here), mask=here)
""",
    ),
    "names_that_mean_something_else_outside": (
        """
def row(i, p, f=4):
    return i + p * f - p * (f - 1)
""",
        """
d = i * 128
t = nl.load(x[row(d, p), f], mask=row(i=d, p=p) < n)
nl.store(out[row(d, p, 5), f], t * 2.0, mask=d + p < n)
""",
    ),
    "a_function_of_the_kernel": (
        "",
        """
def inside():
    return i * 128 + p < n
t = nl.load(x[i * 128 + p, f], mask=inside())
nl.store(out[i * 128 + p, f], t * 2.0, mask=inside())
""",
    ),
}


@pytest.mark.parametrize("rows", [256, 200])
@pytest.mark.parametrize("name", CASES)
def test_what_it_gives_is_written_out(name: str, rows: int) -> None:
    functions, body = CASES[name]
    new = check_same_strictly(text(functions, body), RNG.normal(size=(rows, 24)).astype(np.float32))
    assert new.count("def ") == 1


ROW = "def row(i, p):\n    return i * 128 + p"


MORE = {
    "tiles_at_places": (
        """
def rows(i):
    return i * 128 + nl.arange(128)[:, None]


def columns(j, width=16):
    return j * width + nl.arange(width)[None, :]
""",
        """
for j in nl.affine_range((m + 15) // 16):
    row, column = rows(i), columns(j)
    here = (row < n) & (column < m)
    nl.store(out[row, column], nl.exp(nl.load(x[row, column], mask=here), mask=here), mask=here)
""",
    ),
    "functions_of_the_kernel": (
        "",
        """
def row(k):
    return k * 128 + p
def here(k):
    return row(k) < n
t = nl.load(x[row(i), f], mask=here(i))
nl.store(out[row(i), f], t * 2.0, mask=here(i))
""",
    ),
}


@pytest.mark.parametrize("name", MORE)
def test_functions_that_only_make_index_tiles(name: str) -> None:
    functions, body = MORE[name]
    new = check_same_strictly(text(functions, body), RNG.normal(size=(200, 24)).astype(np.float32))
    assert new.count("def ") == 1


def test_a_function_that_is_called_with_numbers_as_well_stays() -> None:
    body = "t = nl.load(x[row(i, p), f])\nfirst = row(i, 0)\nnl.store(out[first + p, f], t * 2.0)"
    new = check_same_strictly(text(ROW, body), RNG.normal(size=(256, 24)).astype(np.float32))
    assert new.count(ROW) == 1
    assert "first = row(i, 0)" in new


USE = "nl.store(out[row(i, p), f], nl.load(x[row(i, p), f]))"


def test_a_function_that_others_use_stays() -> None:
    files = {"a.py": text(ROW, USE), "b.py": "from a import row\n\nprint(row(1, 2))\n"}
    assert ROW in migrate(files).text("a.py")
    host = text(ROW, USE) + "\n\nprint(row(1, 2))\n"
    assert ROW in migrated(host)[0]
    assert migrated(host)[1] == []


@pytest.mark.parametrize(
    "function",
    [
        "def row(i, p):\n    if i > 3:\n        return i * 128 + p\n    return i * 128 + p",
        "def row(i, p):\n    t = nl.ones((128, 8), dtype=nl.float32)\n    return i * 128 + p",
        "def row(i, *p):\n    return i * 128 + p[0]",
        "def row(i, p):\n    return row(i, p)",
        "def other(i, p):\n    return row(i, p)\n\n\ndef row(i, p):\n    return other(i, p)",
    ],
)
def test_what_is_not_written_out_is_refused(function: str) -> None:
    assert migrated(text(function, USE))[1]


def test_that_a_function_is_handed_an_index_tile_is_said() -> None:
    function = "def row(i, p):\n    if i > 3:\n        return i * 128 + p\n    return i * 128 + p"
    (finding,) = (f for f in migrate({"a.py": text(function, USE)}).findings if f.code == "NKL301")
    assert finding.message == (
        "An index tile or a mask is handed to `row`, which does more than return one expression"
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("kind", ["relu", "exp", ""])
def test_a_function_that_gives_tiles_of_several_dtypes(kind: str, dtype: type) -> None:
    function = """
def activated(t, kind):
    if kind == "relu":
        return nl.maximum(t, 0.0)
    if kind == "exp":
        return nl.exp(t)
    return nl.copy(t, dtype=nl.bfloat16)
"""
    body = "t = nl.load(x[i * 128 + p, f])\nnl.store(out[i * 128 + p, f], activated(t, kind) * 1.5)"
    kernel = text(function, body).replace("def k(x)", "def k(x, kind)")
    check_same_strictly(kernel, RNG.normal(size=(128, 24)).astype(dtype), kind)


def test_a_function_that_a_kernel_which_waits_needs_stays() -> None:
    row = "def row(i):\n    return i * 128 + nl.arange(128)[:, None]"
    use = "nl.store(out[row(i), f], nl.load(x[row(i), f]))"
    waits = text("", use.replace("nl.load(", "nl.rand((128, 8)) + nl.load(")).removeprefix(HEAD)
    new = migrate({"a.py": text(row, use) + waits.replace("def k", "def waits")}).text("a.py")
    assert "def row(i):" in new
    partly = migrate({"a.py": text(row, use) + waits.replace("def k", "def waits")}, partial=True).text(
        "a.py"
    )
    assert "def row(i):" in partly
