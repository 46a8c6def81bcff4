"""RoPE with heads on the partitions: layouts, sizes, roundings, two cores, tiles in SBUF, and checks."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import drawn, in_hbm, in_sbuf, sbuf
from kernels import cast, check_close, launch, rejected
from npref_attn import rope_ref

import nkisim
from nkilib.core.embeddings.rope import RoPE, RoPE_sbuf

Inputs = tuple[Any, Any, Any]


def inputs(d: int, batch: int, heads: int, length: int, dtype: str = "bfloat16") -> Inputs:
    """``x``, and cosines and sines of real angles."""
    angles = np.random.default_rng(1).uniform(-np.pi, np.pi, (d // 2, batch, length))
    return (
        drawn((d, batch, heads, length), dtype),
        cast(np.cos(angles), dtype),
        cast(np.sin(angles), dtype),
    )


def exact(x: Any, cos: Any, sin: Any, contiguous: bool = True) -> Any:
    """With the roundings of the kernel: each product and the sum, to the dtype of ``x``."""
    dtype = x.dtype
    single = [np.asarray(each, np.float32) for each in (x, cos[:, :, None], sin[:, :, None])]
    half = x.shape[0] // 2
    rows = [slice(0, half), slice(half, None)] if contiguous else [slice(0, None, 2), slice(1, None, 2)]
    even, odd = (single[0][each] for each in rows)

    def product(a: Any, b: Any) -> Any:
        return (a * b).astype(dtype).astype(np.float32)

    result = np.empty_like(x)
    result[rows[0]] = (product(even, single[1]) - product(odd, single[2])).astype(dtype)
    result[rows[1]] = (product(odd, single[1]) + product(even, single[2])).astype(dtype)
    return result


def check(given: Inputs, lnc: int = 2, contiguous: bool = True, **options: bool) -> Any:
    got = launch(RoPE, *given, lnc=lnc, contiguous_layout=contiguous, **options)
    assert got.dtype == given[0].dtype
    assert np.array_equal(got, exact(*given, contiguous))
    check_close(got, rope_ref(*given, contiguous), 0.01, 1e-3)
    return got


@pytest.mark.parametrize("lnc", [0, 1, 2])
@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize(
    "sizes", [(64, 1, 1, 16), (128, 8, 8, 128), (128, 3, 5, 50), (64, 8, 8, 16), (64, 2, 16, 300)]
)
def test_sizes(sizes: tuple[int, int, int, int], contiguous: bool, lnc: int) -> None:
    check(inputs(*sizes), lnc, contiguous, lnc_shard=True)


@pytest.mark.parametrize(
    "sizes",
    [
        (64, 8192, 1, 8), (128, 1, 1, 8192), (64, 1, 512, 128), (128, 64, 8, 128), (128, 1, 32, 2048),
        (128, 4, 8, 1024), (64, 2, 128, 256),
    ],
)  # fmt: skip
def test_large(sizes: tuple[int, int, int, int]) -> None:
    check(inputs(*sizes), lnc_shard=True)


def test_large_interleaved() -> None:
    check(inputs(64, 32, 4, 64), contiguous=False, lnc_shard=True)


@pytest.mark.parametrize("shard", [True, False])
@pytest.mark.parametrize(
    ("sizes", "products"), [((64, 2, 4, 64), 2), ((128, 1, 8, 64), 2), ((64, 2, 8, 64), 0)]
)
def test_interleaved_rows_by_products(sizes: tuple[int, int, int, int], products: int, shard: bool) -> None:
    """Up to 512 columns, of all positions, are put in order by TensorE; more by the DMAs. The bits are the same."""
    given = inputs(*sizes)
    with nkisim.trace() as trace:
        check(given, 1, False, relayout_in_sbuf=True, lnc_shard=shard)
    assert (trace.macs > 0) == (products > 0)
    with nkisim.trace() as trace:
        check(given, 1, False, relayout_in_sbuf=False, lnc_shard=shard)
    assert trace.macs == 0


def test_contiguous_rows_need_no_products() -> None:
    with nkisim.trace() as trace:
        check(inputs(64, 1, 2, 16), relayout_in_sbuf=True)
    assert trace.macs == 0


def test_cores_share_positions_only_when_told() -> None:
    given = inputs(64, 2, 3, 32)
    moved = {}
    for shard in (True, False):
        with nkisim.trace() as trace:
            check(given, lnc_shard=shard)
        moved[shard] = trace.hbm_written
    assert moved[False] == 2 * moved[True]
    with nkisim.races():
        check(given, lnc_shard=True)


def test_no_and_quarter_turns_are_exact() -> None:
    x, cos, sin = inputs(64, 2, 3, 16)
    one, zero = np.ones_like(cos), np.zeros_like(sin)
    assert np.array_equal(launch(RoPE, x, one, zero), x)
    turned = launch(RoPE, x, zero, one)
    assert np.array_equal(turned, np.concatenate([-x[32:], x[:32]]))


def test_turning_keeps_lengths() -> None:
    x, cos, sin = inputs(128, 2, 3, 16, "float32")
    got = launch(RoPE, x, cos, sin)
    check_close((got**2).sum(0), (x**2).sum(0), 1e-6, 0)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("contiguous", [True, False])
def test_types(dtype: str, contiguous: bool) -> None:
    check(inputs(64, 2, 2, 32, dtype), 2, contiguous, lnc_shard=True, relayout_in_sbuf=True)


def on_tiles(x: Any, cos: Any, sin: Any, interleaved: bool, dtype: Any = None) -> Any:
    def kernel(x: Any, cos: Any, sin: Any) -> Any:
        dst = sbuf(x.shape, dtype or x.dtype)
        result = RoPE_sbuf(in_sbuf(x), in_sbuf(cos), in_sbuf(sin), dst, convert_from_interleaved=interleaved)
        assert result is dst
        return in_hbm(dst)

    return launch(kernel, x, cos, sin, lnc=2)


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("sizes", [(64, 4, 2, 64), (128, 2, 3, 7), (128, 1, 1, 1)])
def test_tiles(sizes: tuple[int, int, int, int], interleaved: bool) -> None:
    given = inputs(*sizes)
    got = on_tiles(*given, interleaved)
    assert np.array_equal(got, exact(*given, not interleaved))
    check_close(got, rope_ref(*given, not interleaved), 0.01, 1e-3)


def test_contiguous_tiles_may_be_larger() -> None:
    given = inputs(64, 4, 2, 128)
    assert np.array_equal(on_tiles(*given, False), exact(*given))
    with rejected("at most 512"):
        on_tiles(*given, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"d": 32}, "d must be 64 or 128"),
        ({"d": 256}, "d must be 64 or 128"),
        ({"length": 15}, "must divide by the 2 cores"),
        ({"cos": (32, 1, 14)}, "cos must have shape"),
        ({"sin": (32, 2, 16)}, "sin must have shape"),
        ({"kind": "float32"}, "cos and sin must have one dtype"),
        ({"rank": 3}, "must be [d, B, N, S]"),
    ],
)
def test_checks(change: dict[str, Any], words: str) -> None:
    d, length = change.get("d", 64), change.get("length", 16)
    x = drawn((d, 1, 2, length) if "rank" not in change else (d, 1, length))
    cos = drawn(change.get("cos", (d // 2, 1, length)))
    sin = drawn(change.get("sin", (d // 2, 1, length)), change.get("kind", "bfloat16"))
    with rejected(words):
        launch(RoPE, x, cos, sin, lnc=2, lnc_shard=True)


def test_sizes_of_tiles_are_checked() -> None:
    given = inputs(64, 2, 2, 16)
    with rejected("dtype of x_in_sb"):
        on_tiles(*given, False, nl.float32)

    def kernel(x: Any, cos: Any, sin: Any) -> Any:
        dst = sbuf((64, 2, 2, 8), x.dtype)
        nisa.memset(dst=dst, value=0.0)
        RoPE_sbuf(in_sbuf(x), in_sbuf(cos), in_sbuf(sin), dst)

    with rejected("x_out_sb must have shape"):
        launch(kernel, *given)


def test_odd_lengths_are_for_each_core_alone() -> None:
    check(inputs(64, 1, 2, 15), lnc_shard=False)
    check(inputs(64, 1, 2, 15), 1, lnc_shard=True)
