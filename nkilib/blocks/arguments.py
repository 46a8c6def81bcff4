"""Checks of kernels' arguments that name them: classes, numbers, and dimensions of tensors."""

from typing import Any

from ..core.utils.kernel_assert import kernel_assert

_LARGEST = 3.4028235e38
"""Of float32."""

Named = tuple[tuple[Any, str], ...]
"""Pairs of a value and its name."""


def assert_classes(tensors: Named = (), optional: Named = (), flags: Named = ()) -> None:
    """Raise AssertionError unless tensors are some, or None if ``optional``, and flags True, False, 1 or 0.

    A kernel begins with it, so that nothing asks a number or a string for its shape.
    """
    for pair in tensors:
        _assert_tensor(pair[0], pair[1])
    for pair in optional:
        if pair[0] is not None:
            _assert_tensor(pair[0], pair[1])
    for pair in flags:
        if not isinstance(pair[0], (bool, int)) or not 0 <= pair[0] <= 1:
            kernel_assert(False, f"{pair[1]} must be True or False, it is {pair[0]}")


def assert_object(value: Any, cls: Any, name: str, optional: bool = False) -> None:
    """Raise AssertionError unless the value is an object of a class, or, if that is allowed, None."""
    if not isinstance(value, cls) and not (optional and value is None):
        kernel_assert(False, f"{name} must be of the class {cls.__name__}, it is {value}")


def assert_tuple(value: Any, length: int, members: str, name: str) -> None:
    """Raise AssertionError unless the value is a tuple or list of so many; ``members`` says what of."""
    fits = isinstance(value, (tuple, list)) and len(value) == length
    kernel_assert(fits, f"{name} must be {length} {members}, it is {value}")


def assert_integer_pair(value: Any, name: str, lowest: int) -> None:
    """Raise AssertionError unless the value is a pair of integers from ``lowest`` on."""
    assert_tuple(value, 2, "integers", name)
    assert_integer(value[0], name, lowest)
    assert_integer(value[1], name, lowest)


def is_integer(value: Any) -> bool:
    """Whether a value is an ``int`` (NumPy's integers are none); a truth value is not one, either."""
    return isinstance(value, int) and not isinstance(value, bool)


def assert_integer(value: Any, name: str, lowest: int | None = None, highest: int | None = None) -> None:
    """Raise AssertionError unless the value is an integer, and between bounds that are given."""
    kernel_assert(is_integer(value), f"{name} must be an int, it is {value}")
    kernel_assert(lowest is None or value >= lowest, f"{name} must be at least {lowest}, it is {value}")
    kernel_assert(highest is None or value <= highest, f"{name} must be at most {highest}, it is {value}")


def assert_integers(values: Named, lowest: int | None = None, highest: int | None = None) -> None:
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


def _assert_tensor(value: Any, name: str) -> None:
    if not hasattr(value, "shape"):
        kernel_assert(False, f"{name} must be a tensor, it is {value}")
