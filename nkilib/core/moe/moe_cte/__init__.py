"""The experts of a mixture for context encoding: tokens in blocks, each for one expert."""

from .moe_cte import (
    MoECTEImplementation,
    MoECTESpec,
    ShardOnBlockConfig,
    ShardOnIConfig,
    moe_cte,
)
from .moe_cte import QuantizationConfig as QuantizationConfig
from .moe_cte_utils import BlockShardStrategy, SkipMode

__all__ = [
    "BlockShardStrategy",
    "MoECTEImplementation",
    "MoECTESpec",
    "ShardOnBlockConfig",
    "ShardOnIConfig",
    "SkipMode",
    "moe_cte",
]
