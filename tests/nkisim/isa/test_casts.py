"""Conversions between all pairs of element types, as tensor_copy and dma_copy make them.

Sources of 8 and 16 bits are tried with every pattern. The reference goes through float32 by ml_dtypes; integers
are rounded here, by what lies above the next lower one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiles import raw, sbuf

from nkisim import isa as nisa

FLOATS = {
    "float32": np.float32,
    "tfloat32": np.float32,
    "bfloat16": ml_dtypes.bfloat16,
    "float16": np.float16,
    "float8_e4m3": ml_dtypes.float8_e4m3,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
}
INTEGERS = {name: np.dtype(name) for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32")}
TYPES = {**FLOATS, **INTEGERS}
NARROW = [name for name, kind in TYPES.items() if np.dtype(kind).itemsize < 4]
COPIES = [nisa.tensor_copy, nisa.dma_copy]


def to_integer(values: Any, kind: Any) -> Any:
    """The nearest integer, the even one of two; the type's limits beyond them; 0 for what is no number."""
    exact = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=1e30, neginf=-1e30)
    lower = np.floor(exact)
    above = exact - lower
    nearest = lower + ((above > 0.5) | ((above == 0.5) & (lower % 2 == 1)))
    info = np.iinfo(kind)
    return np.minimum(np.maximum(nearest, info.min), info.max).astype(kind)


def reference(values: Any, source: str, target: str) -> Any:
    if source == target:
        return values
    with np.errstate(all="ignore"):
        between = values.astype(np.float32)
        return between.astype(FLOATS[target]) if target in FLOATS else to_integer(between, INTEGERS[target])


def converted(values: Any, source: str, target: str, copy: Callable[..., Any]) -> Any:
    src, dst = sbuf(values.shape, source), sbuf(values.shape, target)
    src.write(values)
    with np.errstate(all="ignore"):
        copy(dst=dst, src=src)
    return raw(dst)


def agree(got: Any, want: Any, bits: bool) -> bool:
    """Equal bits; between different types any NaN equals any other."""
    same = got.view(f"u{got.itemsize}") == want.view(f"u{want.itemsize}")
    if bits or want.dtype.kind in "iu":
        return bool(same.all())
    return bool((same | (np.isnan(got.astype(np.float32)) & np.isnan(want.astype(np.float32)))).all())


@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: copy.__name__)
@pytest.mark.parametrize("target", TYPES)
@pytest.mark.parametrize("source", NARROW)
def test_every_pattern(source: str, target: str, copy: Callable[..., Any]) -> None:
    size = np.dtype(TYPES[source]).itemsize
    patterns = np.arange(256**size, dtype=f"u{size}").view(TYPES[source]).reshape(128, -1)
    want = reference(patterns, source, target)
    assert agree(converted(patterns, source, target, copy), want, source == target)


@pytest.mark.parametrize("target", [name for name in NARROW if name in FLOATS])
def test_every_tie(target: str) -> None:
    """Half way between all neighbours, and the float32 above and below that."""
    kind = np.dtype(TYPES[target])
    codes = np.arange(2 ** (8 * kind.itemsize), dtype=f"u{kind.itemsize}").view(kind)
    with np.errstate(all="ignore"):
        exact = codes.astype(np.float64)
        middles = ((exact[1:] + exact[:-1]) / 2).astype(np.float32)
        around = [np.nextafter(middles, np.float32(side)) for side in (-np.inf, np.inf)]
    values = np.resize(np.concatenate([middles, *around]), (128, 3 * codes.size // 128))
    want = reference(values, "float32", target)
    assert agree(converted(values, "float32", target, nisa.tensor_copy), want, False)


def float32s(bits: list[int]) -> Any:
    return np.array([bits], np.uint32).view(np.float32)


@pytest.mark.parametrize("target", TYPES)
@settings(max_examples=30)
@given(bits=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=30))
def test_float32(target: str, bits: list[int]) -> None:
    values = float32s(bits)
    want = reference(values, "float32", target)
    for copy in COPIES:
        assert agree(converted(values, "float32", target, copy), want, target == "float32")


@pytest.mark.parametrize("target", TYPES)
@pytest.mark.parametrize("source", ["int32", "uint32"])
@settings(max_examples=20)
@given(data=st.data())
def test_32_bit_integers(source: str, target: str, data: st.DataObject) -> None:
    info = np.iinfo(source)
    near = st.sampled_from(
        [2**24, 2**24 + 1, 2**25 + 3, 32767, 32768, 255, 256, 448, 65520, info.max, info.min]
    )
    values = data.draw(st.lists(st.one_of(st.integers(info.min, info.max), near), min_size=1, max_size=20))
    array = np.array([values], source)
    want = reference(array, source, target)
    for copy in COPIES:
        assert agree(converted(array, source, target, copy), want, source == target)
