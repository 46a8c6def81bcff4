"""Loops inside each other that change what they start with: each iteration starts with what the last one left."""

from __future__ import annotations

import numpy as np
import pytest
from migrated import check_same

RNG = np.random.default_rng(8)
X = RNG.uniform(1, 2, (32, 24)).astype(np.float32)


def kernel(depth: int, before: str, body: str) -> str:
    """A kernel with a statement in so many loops, of which every fourth runs twice."""
    loops = [f"{'    ' * (n + 1)}for i{n} in nl.static_range({2 - (n % 4 > 0)}):" for n in range(depth)]
    lines = ["@nki.jit", "def k(x):", "    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)"]
    lines += [
        f"    {before}",
        *loops,
        f"{'    ' * (depth + 1)}{body}",
        "    nl.store(out, tile)",
        "    return out",
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("depth", [2, 9, 18])
def test_a_tile_that_each_iteration_doubles_and_adds_to(depth, dtype):
    body = "tile = nl.add(nl.multiply(tile, 2.0), 0.125)"
    new = check_same(kernel(depth, "tile = nl.load(x)", body), "k", X.astype(dtype))
    assert new.count("nisa.tensor_scalar(") == 2
    assert new.count("for i") == depth


@pytest.mark.parametrize("depth", [2, 9, 18])
def test_a_type_that_an_iteration_hands_to_the_next_one(depth):
    before = "tile, kind = nl.load(x), x.dtype"
    body = "tile, kind = nl.add(tile, 1, dtype=kind), nl.float16"
    text = kernel(depth, before, body)
    new = check_same(text, "k", X)
    assert "dtype=kind" in new
