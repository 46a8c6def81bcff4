"""Clamps, and the gated activation of an MLP, on PSUM or SBUF tiles."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ..core.utils.common_types import ActFnType
from ..core.utils.kernel_helpers import get_nl_act_fn_from_type


def clamp(dst: nl.ndarray, src: nl.ndarray, upper: float | None = None, lower: float | None = None) -> None:
    """``dst = max(min(src, upper), lower)``, in one instruction; a limit that is None does not apply.

    SBUF or PSUM, equally many elements; ``dst`` may be ``src``. Without both limits it is a copy.
    """
    if upper is None and lower is None:
        nisa.tensor_copy(dst=dst, src=src)
    elif lower is None:
        nisa.tensor_scalar(dst=dst, data=src, op0=nl.minimum, operand0=upper)
    elif upper is None:
        nisa.tensor_scalar(dst=dst, data=src, op0=nl.maximum, operand0=lower)
    else:
        nisa.tensor_scalar(dst=dst, data=src, op0=nl.minimum, operand0=upper, op1=nl.maximum, operand1=lower)


def activate(
    dst: nl.ndarray, src: nl.ndarray, function: ActFnType, bias: Any = None, scale: Any = 1.0
) -> None:
    """``dst = f(src·scale + bias)``, computed in fp32 and rounded once to ``dst``'s dtype.

    SBUF or PSUM. bias, scale: fp32 SBUF ``[P, 1]`` (or a number, scale only); bias None is no bias.
    SiLU x·σ(x), GELU (erf), GELU_Tanh_Approx, Swish x·σ(1.702 x).
    """
    nisa.activation(dst=dst, op=get_nl_act_fn_from_type(function), data=src, bias=bias, scale=scale)


class Gating(nl.NKIObject):
    """``f(clamp(gate))·clamp(up)``: the function, and the (upper, lower) limits; a limit may be None."""

    function: ActFnType
    gate: tuple[float | None, float | None] = (None, None)
    up: tuple[float | None, float | None] = (None, None)


def limit(tile: Any, limits: tuple[float | None, float | None]) -> None:
    """:func:`clamp` in place to (upper, lower); nothing without limits."""
    if limits[0] is not None or limits[1] is not None:
        clamp(tile, tile, limits[0], limits[1])


def gated(dst: Any, gate: Any, up: Any, gating: Gating) -> None:
    """``dst = f(clamp(gate))·clamp(up)``; ``gate`` and ``up``, SBUF, are used up."""
    limit(gate, gating.gate)
    limit(up, gating.up)
    activate(gate, gate, gating.function)
    nisa.tensor_tensor(dst=dst, data1=gate, data2=up, op=nl.multiply)
