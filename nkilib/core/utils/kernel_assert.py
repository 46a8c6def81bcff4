"""Checks that kernels make, on the host and while they are traced."""

from typing import Any


def kernel_assert(condition: bool, error_text: str) -> None:
    """Raise AssertionError, in the form that tools look for, unless ``condition`` holds.

    ``error_text`` is evaluated in any case: never build it from attributes of what may be None.
    """
    assert condition, (
        "[INTERNAL_ERROR] [NCC_INKI016] Kernel validation exception: "
        f"{error_text} - Please check the validation message and adjust kernel inputs accordingly"
    )


def assert_shape(
    tensor: Any, expected_shape: tuple[int, ...], tensor_name: str, error_text: str = ""
) -> None:
    """Raise AssertionError unless the tensor has exactly this shape, given as a tuple."""
    kernel_assert(
        tensor.shape == expected_shape,
        f"{tensor_name} must have shape {expected_shape}, it has {tensor.shape}. {error_text}",
    )
