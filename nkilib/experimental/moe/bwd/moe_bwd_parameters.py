"""Options of the backward pass of block-wise experts."""

from dataclasses import dataclass
from enum import Enum

import nki.language as nl

from ....core.moe.moe_cte.moe_cte_utils import SkipMode
from ....core.utils.common_types import ActFnType

__all__ = [
    "ActFnType",
    "AffinityOption",
    "ClampLimits",
    "KernelTypeOption",
    "ShardOption",
    "SkipMode",
]


@dataclass
class ClampLimits(nl.NKIObject):
    """Limits of the forward pass: of the product that is not activated (linear), and of the gate; or None."""

    linear_clamp_upper_limit: float | None = None
    linear_clamp_lower_limit: float | None = None
    non_linear_clamp_upper_limit: float | None = None
    non_linear_clamp_lower_limit: float | None = None

    def __repr__(self) -> str:
        linear = f"linear_{self.linear_clamp_lower_limit}_{self.linear_clamp_upper_limit}"
        gate = f"non_linear_{self.non_linear_clamp_lower_limit}_{self.non_linear_clamp_upper_limit}"
        return f"{linear}_{gate}"


class ShardOption(Enum):
    """What cores divide."""

    AUTO = 0
    SHARD_ON_HIDDEN = 1
    SHARD_ON_INTERMEDIATE = 2
    BASELINE_LNC1 = 3


class AffinityOption(Enum):
    """What the affinity multiplied in the forward pass: the result, or the intermediate."""

    AFFINITY_ON_H = 0
    AFFINITY_ON_I = 1


class KernelTypeOption(Enum):
    """Whether tokens may have been dropped."""

    DROPPING = 0
    DROPLESS = 1
