"""Rotary embedding in Hugging Face's layout: values, tables, gradients, two cores, and checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from blockcheck import drawn
from kernels import cast, check_close, launch, rejected
from npref_attn import rope_hf_ref

import nkisim
from nkilib.core.embeddings.rope_hf import rope_hf


def run(q: Any, k: Any, lnc: int = 2, **tables: Any) -> tuple[Any, Any]:
    """The outputs, which must be the arrays that were given for them."""
    out = np.zeros_like(q), np.zeros_like(k)
    got = launch(rope_hf, q, k, *out, lnc=lnc, **tables)
    for index in range(2):
        assert np.array_equal(got[index], out[index])
    return out


def exact(x: Any, cos: Any, sin: Any, backward: bool = False) -> Any:
    """With the roundings of the kernel: both products and the sum, to the dtype of ``x``."""
    dtype, length, half = x.dtype, x.shape[2], x.shape[3] // 2
    single = np.asarray(x, np.float32)
    c, s = (np.asarray(each.astype(dtype), np.float32) for each in (cos, sin))
    c, s = (each[None, :length] if each.ndim == 2 else each[:, :length] for each in (c, s))
    c, s = c[:, None], s[:, None]

    def rounded(values: Any) -> Any:
        return values.astype(dtype).astype(np.float32)

    along = rounded(single * c)
    low, high = s[..., :half], s[..., half:]
    if backward:
        low, high = -high, -low
    return np.concatenate(
        [
            rounded(along[..., :half] - rounded(single[..., half:] * low)),
            rounded(along[..., half:] + rounded(single[..., :half] * high)),
        ],
        -1,
    ).astype(dtype)


def check(
    sizes: tuple[int, int, int, int, int],
    dtype: str,
    lnc: int,
    table: tuple[int, ...],
    packed: bool,
    back: bool,
) -> None:
    """``sizes``: b, hq, hk, s, d; tables of four different quarters."""
    b, hq, hk, s, d = sizes
    q, k = drawn((b, hq, s, d), dtype), drawn((b, hk, s, d), dtype, 1)
    cos, sin = drawn((*table, d), dtype, 2), drawn((*table, d), dtype, 3)
    given = {"rope_cache": np.concatenate([cos, sin], -1)} if packed else {"cos": cos, "sin": sin}
    got = run(q, k, lnc, backward=back, **given)
    for result, x in zip(got, (q, k), strict=True):
        assert np.array_equal(result, exact(x, cos, sin, back))
        check_close(result, rope_hf_ref(x, cos, sin, back), 1e-6 if dtype == "float32" else 1e-2, 1e-6)


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize(
    ("sizes", "dtype"),
    [
        ((1, 32, 8, 256, 128), "bfloat16"),
        ((1, 32, 8, 256, 128), "float32"),
        ((2, 16, 4, 512, 128), "bfloat16"),
        ((4, 1, 1, 512, 128), "bfloat16"),
        ((1, 32, 8, 512, 64), "float32"),
        ((2, 3, 2, 256, 96), "float16"),
    ],
)
def test_sizes(sizes: tuple[int, int, int, int, int], dtype: str, back: bool, lnc: int) -> None:
    check(sizes, dtype, lnc, (sizes[0], sizes[3]), False, back)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("table", [(256,), (2, 256), (1024,), (2, 300)])
def test_tables(table: tuple[int, ...], packed: bool) -> None:
    check((2, 3, 1, 256, 64), "bfloat16", 2, table, packed, False)


@pytest.mark.parametrize("table", [(4608,), (2, 4608)])
def test_many_positions(table: tuple[int, ...]) -> None:
    check((2, 3, 2, 4608, 64), "bfloat16", 2, table, True, True)


def test_tables_take_the_type_of_the_queries() -> None:
    q, k = (drawn((1, 2, 256, 64), "bfloat16", seed) for seed in range(2))
    wide = [np.random.default_rng(seed).normal(size=(256, 64)).astype(np.float32) for seed in range(2)]
    got = run(q, k, cos=wide[0], sin=wide[1])
    for result, x in zip(got, (q, k), strict=True):
        assert np.array_equal(result, exact(x, *wide))


def test_backward_is_the_transpose() -> None:
    """``⟨y, turned x⟩ = ⟨y turned back, x⟩``, and turning back undoes a turn by equal halves."""
    x, y = drawn((1, 2, 128, 64), "float32"), drawn((1, 2, 128, 64), "float32", 1)
    cos, sin = drawn((128, 64), "float32", 2), drawn((128, 64), "float32", 3)
    turned, back = run(x, y, 1, cos=cos, sin=sin)[0], run(x, y, 1, cos=cos, sin=sin, backward=True)[1]
    assert np.isclose((y.astype(np.float64) * turned).sum(), (back.astype(np.float64) * x).sum(), rtol=1e-5)
    cos[:, 32:], sin[:, 32:] = cos[:, :32], sin[:, :32]
    undone = run(run(x, y, 1, cos=cos, sin=sin)[0], y, 1, cos=cos, sin=sin, backward=True)[0]
    check_close(undone, x * (cos**2 + sin**2), 1e-6, 0)


def test_cores_do_not_write_the_same() -> None:
    with nkisim.races():
        check((1, 2, 1, 512, 64), "bfloat16", 2, (512,), False, False)


CASES: list[tuple[dict[str, Any], str]] = [
    ({"cos": (256, 64), "sin": (256, 64), "rope_cache": (256, 128)}, "not both"),
    ({"cos": (256, 64), "rope_cache": (256, 128)}, "not both"),
    ({}, "both cos and sin"),
    ({"cos": (256, 64)}, "both cos and sin"),
    ({"sin": (256, 64)}, "both cos and sin"),
    ({"cos": (256, 32), "sin": (256, 32)}, "must have 64 columns"),
    ({"cos": (300, 64), "sin": (256, 64)}, "one shape"),
    ({"rope_cache": (256, 64)}, "must have 128 columns"),
    ({"rope_cache": (255, 128)}, "at least 256 rows"),
    ({"rope_cache": (3, 256, 128)}, "batch of 3"),
    ({"rope_cache": (1, 1, 256, 128)}, "must be [s', 128]"),
    ({"q": (2, 256, 64)}, "q must be [b, hq, s, d]"),
    ({"k": (1, 1, 256, 32)}, "one head size"),
    ({"q": (1, 2, 64, 64)}, "multiple of 256 on 2 cores"),
    ({"q": (1, 2, 128, 64)}, "multiple of 256 on 2 cores"),
]


@pytest.mark.parametrize(("change", "words"), CASES)
def test_checks(change: dict[str, Any], words: str) -> None:
    shapes = dict(change)
    q, k = drawn(shapes.pop("q", (1, 2, 256, 64))), drawn(shapes.pop("k", (1, 1, 256, 64)))
    with rejected(words):
        run(q, k, **{name: cast(np.ones(shape), "bfloat16") for name, shape in shapes.items()})
