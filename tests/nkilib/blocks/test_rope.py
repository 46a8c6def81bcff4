"""Rotary embedding with heads on the partitions."""

from __future__ import annotations

import nki.isa as nisa
import numpy as np
import pytest
from blockcheck import drawn, in_hbm, in_sbuf, sbuf
from kernels import cast, check_close, launch, on_chip

from nkilib.blocks.memory import manager, scratch
from nkilib.blocks.rope import load_angles, rotate_spread, sine_and_cosine
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
        heads = [as_view(in_sbuf(each)).expand_dim(2).broadcast(2, 3) for each in (sine, cosine)]
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
        rotate_spread(dst, source, one, zero, work)
        work.close()
        return in_hbm(source), in_hbm(dst)

    kept, turned = launch(kernel, x)
    assert np.array_equal(kept, x)
    assert np.array_equal(turned, np.concatenate([-x[32:], x[:32]]))
