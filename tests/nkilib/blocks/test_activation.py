"""Clamps and activation functions against their formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from blockcheck import FP32, drawn, in_hbm, in_sbuf, sbuf
from kernels import check_close, launch
from numpy_ref import ACT

from nkilib.blocks import activation
from nkilib.core.utils.common_types import ActFnType


@pytest.mark.parametrize("upper", [None, 0.5, 0.0])
@pytest.mark.parametrize("lower", [None, -0.75, 0.0])
@pytest.mark.parametrize("in_place", [False, True])
def test_clamp(upper: float | None, lower: float | None, in_place: bool) -> None:
    def kernel(x: Any) -> Any:
        tile = in_sbuf(x)
        into = tile if in_place else sbuf(x.shape)
        activation.clamp(into, tile, upper, lower)
        return in_hbm(into)

    x = drawn((16, 50), FP32)
    high, low = (np.inf if upper is None else upper), (-np.inf if lower is None else lower)
    assert np.array_equal(launch(kernel, x), np.maximum(np.minimum(x, np.float32(high)), np.float32(low)))


def test_min_comes_before_max() -> None:
    def kernel(x: Any) -> Any:
        tile = in_sbuf(x)
        activation.clamp(tile, tile, -1.0, 1.0)
        return in_hbm(tile)

    assert (launch(kernel, drawn((4, 4), FP32)) == 1.0).all()


@pytest.mark.parametrize("function", list(ActFnType))
def test_activate(function: ActFnType) -> None:
    def kernel(x: Any, bias: Any, scale: Any) -> Any:
        into = sbuf(x.shape)
        activation.activate(into, in_sbuf(x), function, in_sbuf(bias), in_sbuf(scale))
        return in_hbm(into)

    x, bias, scale = drawn((16, 50), FP32), drawn((16, 1), FP32, 1), drawn((16, 1), FP32, 2)
    want = ACT[function.name](x.astype(np.float64) * scale + bias)
    check_close(launch(kernel, x, bias, scale), want, rtol=1e-5)


def test_gated() -> None:
    """Each of the four limits is a different one, so that none can stand for another."""
    gating = activation.Gating(function=ActFnType.GELU, gate=(0.5, -0.25), up=(1.0, -0.75))

    def kernel(gate: Any, up: Any) -> Any:
        into = sbuf(gate.shape)
        activation.gated(into, in_sbuf(gate), in_sbuf(up), gating)
        return in_hbm(into)

    gate, up = drawn((16, 50), FP32), drawn((16, 50), FP32, 1)
    want = ACT["GELU"](np.clip(gate, -0.25, 0.5).astype(np.float64)) * np.clip(up, -0.75, 1.0)
    check_close(launch(kernel, gate, up), want, rtol=1e-5)


@pytest.mark.parametrize("limits", [(None, None), (0.5, None), (None, 0.5)])
def test_limit(limits: tuple[float | None, float | None]) -> None:
    def kernel(x: Any) -> Any:
        tile = in_sbuf(x)
        activation.limit(tile, limits)
        return in_hbm(tile)

    x = drawn((4, 30), FP32)
    high, low = (np.inf if limits[0] is None else limits[0]), (-np.inf if limits[1] is None else limits[1])
    assert np.array_equal(launch(kernel, x), np.clip(x, low, high))
