"""Tensors of which nothing tells directly how many dimensions they have: what is loaded from them does, or
the new code is the same for all.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import migrate
from migrated import HEAD, check_same_strictly

RNG = np.random.default_rng(12)


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def kernel(body: str) -> str:
    lines = "\n".join(f"            {line}" for line in body.splitlines())
    return f"""{HEAD}@nki.jit
def k(x, y):
    out = nl.ndarray((2, 3, 64, 64), dtype=nl.float32, buffer=nl.shared_hbm)
    for b in nl.affine_range(2):
        for h in nl.affine_range(3):
{lines}
    return out
"""


@pytest.mark.parametrize(
    "body",
    [
        "nl.store(out[b, h], nl.copy(nl.matmul(nl.load(x[b, h]), nl.load(y[b, h]), transpose_x=True)))",
        "s = nl.load(x[b, h])\nt = nl.load(y[b, h])\nnl.store(out[b, h], nl.copy(nisa.nc_matmul(s, moving=t)))",
        "head = h\ns = nl.load(x[b, head])\nnl.store(out[b, h], nl.copy(nl.transpose(s)))",
        "s = nl.load(x[b, h])\nnl.store(out[b, h, :, 0:32], s[:, 0:32])\nnl.store(out[b, h, :, 32:64], s[:, 32:64])",
        "s = nl.load(x[b, h, 0:64])\nn = s.shape[1]\nnl.store(out[b, h], s * (1.0 / n))",
    ],
)
def test_what_is_loaded_is_a_matrix(body: str) -> None:
    text = kernel(body)
    check_same_strictly(text, floats(2, 3, 64, 64), floats(2, 3, 64, 64))
    assert not [f for f in migrate({"a.py": text}).findings if f.code == "NKL504"]


def test_what_is_allocated_alike_has_as_many_dimensions() -> None:
    check_same_strictly(
        f"""{HEAD}@nki.jit
def k(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    for b in nl.affine_range(2):
        t = nl.load(x[b, 0, :, :])
        nl.store(out[b, 0], nl.exp(t))
    return out
""",
        floats(2, 1, 64, 32),
    )


@pytest.mark.parametrize("shape", [(256,), (256, 8), (128, 3, 5)])
def test_a_slice_of_the_first_dimension_keeps_the_others(shape: tuple[int, ...]) -> None:
    check_same_strictly(
        f"""{HEAD}@nki.jit
def k(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    for i in nl.affine_range(x.shape[0] // 128):
        t = nl.load(x[i * 128:(i + 1) * 128])
        nl.store(out[i * 128:(i + 1) * 128], nl.exp(t))
    return out
""",
        floats(*shape),
    )


@pytest.mark.parametrize(
    ("part", "said"), [("x[b, 0:64]", 1), ("x[b, h]", 1), ("x[:, h]", 0), ("x[0:64, 0:64]", 0)]
)
def test_that_dimensions_may_be_missing_is_said(part: str, said: int) -> None:
    text = kernel(f"s = nl.load({part}, dtype=nl.float32)\nnl.store(out[b, h], nl.exp(s))")
    notes = [f for f in migrate({"a.py": text}).findings if f.code == "NKL504"]
    assert len(notes) == said
    assert all(f"{part}: x is taken to have rank 2" in note.message for note in notes)


def test_an_element_that_is_an_index_is_no_matrix() -> None:
    places = np.array([[3, 1], [0, 2]], dtype=np.int32)
    check_same_strictly(
        f"""{HEAD}@nki.jit
def k(x, places):
    out = nl.ndarray((2, 64, 8), dtype=x.dtype, buffer=nl.shared_hbm)
    p, f = nl.mgrid[0:64, 0:8]
    for b in nl.affine_range(2):
        at = nl.load(places[b, 1])
        nl.store(out[b], nl.load(x[at[0, 0], p, f]))
    return out
""",
        floats(4, 64, 8),
        places,
    )
