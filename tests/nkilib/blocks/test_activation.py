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
