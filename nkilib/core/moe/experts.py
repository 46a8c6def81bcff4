"""The weights of a mixture's experts."""

from typing import Any

import nki.language as nl

from ...blocks.activation import Gating
from ..utils.common_types import QuantizationType


class Experts(nl.NKIObject):
    """The experts that are here, ``E_L`` of them; tensors of HBM, None where there is none.

    Attributes:
        gate_up, down: ``[E_L, H, 2, I]``, ``[E_L, I, H]``, or MX (see :mod:`.mx_expert`).
        gate_up_bias, down_bias: ``[E_L, 2, I]`` (or MX), ``[E_L, H]``.
        gate_up_scale, down_scale: fp32 ``[E_L, 2, I]``, ``[E_L, H]``, or MX.
        kind: NONE, ROW (the products times the scales) or MX. gating: the activation with its limits.
    """

    gate_up: Any
    down: Any
    gate_up_bias: Any
    down_bias: Any
    gate_up_scale: Any
    down_scale: Any
    kind: QuantizationType
    gating: Gating


def expert_count(experts: Experts) -> int:
    return int(experts.down.shape[0])


def hidden_size(experts: Experts) -> int:
    shape = experts.down.shape
    return int(shape[len(shape) - 1])


def inner_size(experts: Experts) -> int:
    shape = experts.gate_up.shape
    return int(shape[len(shape) - 1])
