"""Activation functions whose input leaves the documented range, where Scalar Engine gives invalid results."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.errors import SimulationError, fail
from ..core.tensor import Tensor
from ..isa.activation import scaled
from .shadow import bound

RANGES: dict[str, tuple[float, float]] = {
    "log": (2.0**-64, 2.0**64),
    "sin": (-math.pi, math.pi),
    "arctan": (-math.pi / 2, math.pi / 2),
    "sqrt": (2.0**-116, 2.0**118),
    "rsqrt": (2.0**-87, 2.0**97),
    "reciprocal": (2.0**-42, 2.0**42),
}
"""Function → smallest and largest input; of ``reciprocal`` the magnitude. Others take everything."""
_SPELLED = {
    "log": "[2^-64, 2^64]",
    "sin": "[-π, π]",
    "arctan": "[-π/2, π/2]",
    "sqrt": "[2^-116, 2^118]",
    "rsqrt": "[2^-87, 2^97]",
    "reciprocal": "±[2^-42, 2^42]",
}
_ACTIVATIONS = ("activation", "activation_reduce")


def check_range(function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> None:
    """Raises SimulationError when an activation's input leaves the range."""
    if function.__name__ not in _ACTIVATIONS:
        return
    given = bound(function, args, kwargs)
    name = getattr(given.get("op"), "name", "")
    if name not in RANGES or not isinstance(given["data"], Tensor):
        return
    values = scaled(function.__name__, given["data"].read(), given.get("scale", 1.0), given.get("bias"))
    low, high = (np.float32(bound) for bound in RANGES[name])
    seen = np.abs(values) if name == "reciprocal" else values
    outside = ~((seen >= low) & (seen <= high))
    if outside.any():
        raise _outside(function.__name__, name, values, outside)


def _outside(instruction: str, name: str, values: Any, outside: Any) -> SimulationError:
    place = np.argwhere(outside.reshape(outside.shape[0], -1))[0]
    value = values.reshape(values.shape[0], -1)[tuple(place)]
    return fail(
        f"nisa.{instruction}: nl.{name} is valid for inputs in {_SPELLED[name]}; data * scale + bias is "
        f"{value:g} in partition {place[0]}, element {place[1]} "
        f"({int(outside.sum())} of {outside.size} are outside)"
    )
