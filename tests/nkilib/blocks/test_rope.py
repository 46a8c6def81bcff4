"""Rotary embedding, with heads on the partitions and with tokens there."""

from __future__ import annotations

import nki.isa as nisa
import numpy as np
import pytest
from blockcheck import drawn, in_hbm, in_sbuf, sbuf
from kernels import cast, check_close, launch, on_chip

from nkilib.blocks.memory import manager, scratch
from nkilib.blocks.rope import load_angles, negate_half, rotate_rows, rotate_spread, sine_and_cosine
from nkilib.blocks.tiles import as_view

EDGES = np.pi * np.array([0.0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 7, 1001.5, 40000.25])


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e5, 1e6])
def test_sine_and_cosine(scale: float) -> None:
    """Of float32 angles, exactly as they are: what may err is four roundings of numbers up to 6, each 2.4e-7."""
    random = np.random.default_rng(1).uniform(-scale, scale, (64, 40))
    angles = np.concatenate([random, np.tile(EDGES, (64, 1)), -np.tile(EDGES, (64, 1))], 1).astype(np.float32)
    got = on_chip(
        lambda dst, x: sine_and_cosine(dst, x, manager()), [angles], ((64, 2, angles.shape[1]), "float32")
    )
    exact = angles.astype(np.float64)
    assert np.abs(got[:, 0] - np.sin(exact)).max() < 1e-6
    assert np.abs(got[:, 1] - np.cos(exact)).max() < 1e-6


@pytest.mark.parametrize("positions", ["float32", "int32"])
def test_angles(positions: str) -> None:
    rates = np.random.default_rng(0).uniform(size=(24, 1)).astype(np.float32)
    at = np.arange(30)[None] * 17

    def kernel(rates, at):
        dst = sbuf((48, 30))
        load_angles(dst, rates, at, manager())
        return in_hbm(dst)

    got = launch(kernel, rates, at.astype(positions))
    want = (np.concatenate([rates, rates]) * at.astype(np.float32)).astype(np.float32)
    assert np.array_equal(got, want)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("depth", [64, 128])
def test_rotation(depth: int, dtype: str) -> None:
    x, angles = drawn((depth, 2, 3, 5), dtype), drawn((depth // 2, 2, 5), "float32", 1)

    def kernel(x, sine, cosine):
        sbm = manager()
        work = scratch(sbm)
        tables = [in_sbuf(each) for each in (sine, cosine)]
        negate_half(tables[0], as_view(tables[0]).slice(0, 0, depth // 2))
        heads = [as_view(each).expand_dim(2).broadcast(2, 3) for each in tables]
        dst = sbuf(x.shape, x.dtype)
        rotate_spread(dst, in_sbuf(x), *heads, work)
        work.close()
        return in_hbm(dst)

    both = np.concatenate([angles, angles])
    got = launch(kernel, x, np.sin(both), np.cos(both))
    low, high = cast(x, "float32")[: depth // 2], cast(x, "float32")[depth // 2 :]
    sine, cosine = np.sin(angles)[:, :, None], np.cos(angles)[:, :, None]
    want = np.concatenate([low * cosine - high * sine, high * cosine + low * sine])
    assert got.dtype == x.dtype
    check_close(got, want, 1e-6 if dtype == "float32" else 4e-3, 0)


def test_rotation_of_several_kinds_keeps_its_input() -> None:
    x = drawn((64, 4), "float32")

    def kernel(x):
        work = scratch(manager())
        source, dst = in_sbuf(x), sbuf((64, 4))
        zero, one = sbuf((64, 4)), sbuf((64, 4))
        nisa.memset(dst=zero, value=0.0)
        nisa.memset(dst=one, value=1.0)
        negate_half(one, one[32:64])
        rotate_spread(dst, source, one, zero, work)
        work.close()
        return in_hbm(source), in_hbm(dst)

    kept, turned = launch(kernel, x)
    assert np.array_equal(kept, x)
    assert np.array_equal(turned, np.concatenate([-x[32:], x[:32]]))


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize(("depth", "dtype"), [(64, "float32"), (96, "bfloat16"), (6, "float16")])
def test_rotation_of_rows(depth: int, dtype: str, in_place: bool) -> None:
    """Heads of tokens on the partitions; of the sines only the first half of a head is read."""
    half = depth // 2
    x, sine, cosine = (drawn((5, n), dtype, n) for n in (3 * depth, depth, depth + 1))
    cosine = np.ascontiguousarray(cosine[:, :depth])
    sine[:, half:] = np.nan

    def kernel(x, sine, cosine):
        rows = in_sbuf(x)
        heads = as_view(rows).reshape_dim(1, (3, depth))
        into = rows if in_place else sbuf((5, 3 * depth), x.dtype)
        target = as_view(into).reshape_dim(1, (3, depth))
        rotate_rows(target, heads, in_sbuf(sine), in_sbuf(cosine), manager())
        return in_hbm(into)

    x1, x2 = np.split(np.asarray(x, np.float64).reshape(5, 3, depth), 2, axis=2)
    s, c = (np.asarray(each, np.float64)[:, None] for each in (sine[:, :half], cosine))
    want = np.concatenate([x1 * c[..., :half] - x2 * s, x2 * c[..., half:] + x1 * s], 2)
    tolerance = {"float32": 1e-6, "bfloat16": 1e-2, "float16": 2e-3}[dtype]
    check_close(launch(kernel, x, sine, cosine), want.reshape(5, -1), tolerance)
