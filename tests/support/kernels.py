"""Running kernels in tests: inputs in NKI's element types, launches, and the rule that results are compared by."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest

from nkisim import isa as nisa
from nkisim import language as nl
from nkisim.core.dtypes import dtype_of
from nkisim.kernel import simulate

PREFIX = "[NCC_INKI016] Kernel validation exception: "


def cast(values: Any, dtype: Any) -> Any:
    """The values as an array of an element type: a name as ``bfloat16`` or ``float8_e4m3``, or one of ``nl``."""
    return np.asarray(values).astype(np.float32).astype(dtype_of(dtype).numpy)


def normal(shape: Sequence[int], dtype: Any = "float32", seed: int = 0, scale: float = 1.0) -> Any:
    """Normally distributed values of an element type."""
    return cast(np.random.default_rng(seed).normal(size=shape) * scale, dtype)


def launch(kernel: Any, *args: Any, lnc: int = 0, target: str = "trn2", **kwargs: Any) -> Any:
    """What a kernel, or a plain function, returns on ``lnc`` cores; 0 is a launch without a grid."""
    simulated = simulate(kernel, platform_target=target)
    return (simulated[lnc] if lnc else simulated)(*args, **kwargs)


def on_chip(
    body: Callable[..., None],
    inputs: Sequence[Any],
    output: tuple[Sequence[int], Any],
    *,
    lnc: int = 0,
    target: str = "trn2",
    fill: float = 0.0,
) -> Any:
    """Run ``body(dst, *tiles)`` on SBUF tiles that hold the inputs; returns what it leaves in ``dst``.

    ``output`` is the shape and element type of ``dst``, which holds ``fill`` before.
    """

    def kernel(arrays: Any) -> Any:
        tiles = []
        for array in arrays:
            tiles.append(nl.ndarray(array.shape, dtype=array.dtype, buffer=nl.sbuf))
            nisa.dma_copy(dst=tiles[-1], src=array)
        dst = nl.ndarray(output[0], dtype=dtype_of(output[1]), buffer=nl.sbuf)
        nisa.memset(dst=dst, value=fill)
        body(dst, *tiles)
        result = nl.ndarray(dst.shape, dtype=dst.dtype, buffer=nl.shared_hbm)
        nisa.dma_copy(dst=result, src=dst)
        return result

    return launch(kernel, list(inputs), lnc=lnc, target=target)


def rejected(text: str = "") -> AbstractContextManager[Any]:
    """Expects the AssertionError of a failing validation whose own words contain ``text``."""
    return pytest.raises(AssertionError, match=f"{re.escape(PREFIX)}.*{re.escape(text)}")


def close_max(got: Any, want: Any, rtol: float = 1e-5, atol: Any = 1e-8) -> bool:
    """Whether shapes and non-finite values agree and ``|got - want| ≤ atol + rtol · max |finite want|``.

    ``atol`` is a number, or one for each element.
    """
    return difference(got, want, rtol, atol) == ""


def check_close(got: Any, want: Any, rtol: float = 1e-5, atol: Any = 1e-8, what: str = "result") -> None:
    """Fail with the worst element unless :func:`close_max` holds."""
    found = difference(got, want, rtol, atol)
    assert not found, f"{what}: {found}"


def difference(got: Any, want: Any, rtol: float, atol: Any) -> str:
    """What is wrong by the rule of :func:`close_max`; "" when nothing is."""
    got, want = np.asarray(got).astype(np.float64), np.asarray(want).astype(np.float64)
    if got.shape != want.shape:
        return f"shape {got.shape}, expected {want.shape}"
    with np.errstate(over="ignore"):
        got, want = got.astype(np.float32), want.astype(np.float32)
    finite = np.isfinite(want)
    wrong = (np.isfinite(got) != finite) | (~finite & (got != want))
    if wrong.any():
        return _worst(got, want, wrong, "not finite alike")
    error = np.where(
        finite, np.abs(np.where(finite, got, 0.0).astype(np.float64) - np.where(finite, want, 0.0)), 0.0
    )
    bound = np.broadcast_to(atol + rtol * float(np.abs(want[finite]).max(initial=0.0)), error.shape)
    if (error <= bound).all():
        return ""
    worst = error - bound == (error - bound).max()
    text = f"off by {error[worst][0]:.4g}, allowed are {bound[worst][0]:.4g}"
    return _worst(got, want, worst, text)


def _worst(got: Any, want: Any, where: Any, text: str) -> str:
    place = tuple(int(index) for index in np.argwhere(where)[0])
    return f"{text} at {place}: got {got[place]}, expected {want[place]}"
