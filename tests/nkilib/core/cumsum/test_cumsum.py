"""Running sums: sizes, carries, roundings, two cores, and checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from blockcheck import drawn
from kernels import check_close, launch, rejected
from npref_attn import cumsum_ref

import nkisim
from nkilib.core.cumsum import cumsum
from nkilib.core.cumsum.cumsum_torch import cumsum_torch_ref

NAMES = {"float32": "fp32", "bfloat16": "bf16"}


def check(x: Any, lnc: int = 2, axis: int = -1) -> Any:
    """Beside running sums in float64; and bit by bit beside the model of the kernel's roundings."""
    got = launch(cumsum, x, axis, lnc=lnc)
    assert got.dtype == x.dtype
    name = str(x.dtype)
    rtol = 1e-5 if name == "float32" else 1e-2
    check_close(got, np.cumsum(np.asarray(x, np.float64), -1), rtol, 1e-3)
    modelled = cumsum_ref(x, NAMES[name])
    if name == "bfloat16":
        assert np.array_equal(np.asarray(got, np.float32), modelled)
    return got


@pytest.mark.parametrize("lnc", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "shape",
    [(1, 256), (64, 1024), (128, 2048), (129, 100), (2, 2049), (4, 5000), (16, 4, 2048), (300,), (2, 3, 2, 65), (3, 1)],
)  # fmt: skip
def test_sizes(shape: tuple[int, ...], dtype: str, lnc: int) -> None:
    check(drawn(shape, dtype), lnc)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(64, 8192), (2048, 256), (128, 10, 4096)])
def test_large(shape: tuple[int, ...], dtype: str) -> None:
    check(drawn(shape, dtype))


def test_sums_go_on_from_the_stored_element() -> None:
    """257 is no bfloat16: 256 + 1 is stored as 256, where the next tile starts again."""
    x = np.zeros((1, 4100), drawn((1,)).dtype)
    x[0, 0], x[0, 1], x[0, 2048] = 256, 1, 1
    got = np.asarray(check(x), np.float32)
    assert (got[0, [1, 2047, 2048, 4099]] == 256).all()


def test_exact_sums() -> None:
    assert np.array_equal(check(np.ones((2, 5000), np.float32)), np.tile(np.arange(1, 5001), (2, 1)))
    assert not check(np.zeros((2, 300), np.float32)).any()
    signs = np.tile([1, -1], (2, 1250)).astype(np.float32)
    assert np.array_equal(check(signs), np.tile([1, 0], (2, 1250)))


@pytest.mark.parametrize("axis", [1, -1])
def test_last_axis(axis: int) -> None:
    check(drawn((4, 50)), axis=axis)


@pytest.mark.parametrize(
    ("shape", "axis"), [((4, 50), 0), ((4, 50), -2), ((4, 50), 2), ((4, 5, 6), 1), ((4, 5), -3)]
)
def test_other_axes(shape: tuple[int, ...], axis: int) -> None:
    with rejected("along the last axis"):
        launch(cumsum, drawn(shape), axis)


def test_cores_share_rows() -> None:
    x = drawn((131, 300), "float32")
    with nkisim.races():
        both = check(x)
    assert np.array_equal(both, check(x, 1))


def test_torch_reference() -> None:
    torch = pytest.importorskip("torch")
    x = drawn((3, 40), "float32")
    want = np.cumsum(x.astype(np.float64), 1)
    check_close(cumsum_torch_ref(torch.from_numpy(x)).numpy(), want, 1e-6)
    short = cumsum_torch_ref(torch.from_numpy(x).bfloat16(), 0)
    assert short.dtype == torch.bfloat16
    check_close(short.float().numpy(), np.cumsum(x.astype(np.float64), 0), 1e-2)
