"""Validation errors, whose form other tools look for."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import launch, rejected

from nkilib.core.utils.kernel_assert import assert_shape, kernel_assert


@pytest.mark.parametrize("condition", [True, 1, "x"])
def test_passes(condition) -> None:
    kernel_assert(condition, "x")


def test_message() -> None:
    with pytest.raises(AssertionError) as caught:
        kernel_assert(False, "bad H")
    assert str(caught.value) == (
        "[INTERNAL_ERROR] [NCC_INKI016] Kernel validation exception: bad H - "
        "Please check the validation message and adjust kernel inputs accordingly"
    )
    assert type(caught.value) is AssertionError


@pytest.mark.parametrize("condition", [0, None, ""])
def test_falsy_conditions_fail(condition) -> None:
    with rejected():
        kernel_assert(condition, "")


def test_in_a_kernel() -> None:
    def kernel(x):
        kernel_assert(x.shape[0] == 3, f"{x.shape[0]} rows")
        return x

    with rejected("2 rows"):
        launch(kernel, np.zeros((2, 2), np.float32), lnc=2)


def test_shape() -> None:
    assert_shape(np.zeros((2, 3)), (2, 3), "w")


@pytest.mark.parametrize("shape", [(3, 2), (2, 3, 1), (2,), [2, 3]])
def test_wrong_shape(shape) -> None:
    with rejected() as caught:
        assert_shape(np.zeros((2, 3)), shape, "w", "hint")
    message = str(caught.value)
    assert all(part in message for part in ("w", str(shape), "(2, 3)", "hint"))
    assert "\n" not in message
