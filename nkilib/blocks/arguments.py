"""Checks of kernels' arguments that name them: numbers, and dimensions of tensors."""

from typing import Any

from ..core.utils.kernel_assert import kernel_assert

_LARGEST = 3.4028235e38
"""Of float32."""


def is_integer(value: Any) -> bool:
    """Whether a value is an ``int`` (NumPy's integers are none); a truth value is not one, either."""
    return isinstance(value, int) and not isinstance(value, bool)


def assert_integer(value: Any, name: str, lowest: int | None = None, highest: int | None = None) -> None:
    """Raise AssertionError unless the value is an integer, and between bounds that are given."""
    kernel_assert(is_integer(value), f"{name} must be an int, it is {value}")
    kernel_assert(lowest is None or value >= lowest, f"{name} must be at least {lowest}, it is {value}")
    kernel_assert(highest is None or value <= highest, f"{name} must be at most {highest}, it is {value}")


def assert_integers(
    values: tuple[tuple[Any, str], ...], lowest: int | None = None, highest: int | None = None
) -> None:
    """:func:`assert_integer` for pairs of a value and its name; those that are None are not given."""
    for pair in values:
        if pair[0] is not None:
            assert_integer(pair[0], pair[1], lowest, highest)


def assert_number(value: Any, name: str) -> None:
    """Raise AssertionError unless the value is an ``int`` or ``float``, and not infinite."""
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    kernel_assert(real and -_LARGEST <= value <= _LARGEST, f"{name} must be an int or float, it is {value}")


def assert_not_negative(value: Any, name: str) -> None:
    """Raise AssertionError unless the value is a number of at least 0, as an eps is."""
    assert_number(value, name)
    kernel_assert(value >= 0, f"{name} must be at least 0, it is {value}")


def assert_limits(gate: tuple[Any, Any], up: tuple[Any, Any]) -> None:
    """Raise AssertionError unless an MLP's limits, (upper, lower), are None, numbers, or infinitely far."""
    limits = (
        (gate[0], "gate_clamp_upper_limit", 1), (gate[1], "gate_clamp_lower_limit", -1),
        (up[0], "up_clamp_upper_limit", 1), (up[1], "up_clamp_lower_limit", -1),
    )  # fmt: skip
    for limit in limits:
        value = limit[0]
        if value is not None and value != limit[2] * float("inf"):
            assert_number(value, limit[1])


def assert_layout(tensor: Any, rank: int, layout: str, name: str) -> None:
    """Raise AssertionError unless a tensor has so many dimensions, which ``layout`` names, and elements."""
    shape = tuple(tensor.shape)
    kernel_assert(len(shape) == rank, f"{name} must be {layout}, its shape is {shape}")
    for size in shape:
        kernel_assert(size > 0, f"{name} must be {layout} with elements, its shape is {shape}")
