"""Which dimension of context encoding the cores of a launch divide among them."""

from enum import Enum

from .... import insides

__getattr__ = insides.named(__name__)


class ShardedDim(Enum):
    """The dimension that is divided."""

    NONE = 0
    SEQUENCE_LENGTH = 1
    INTERMEDIATE = 2
    BATCH_X_SEQUENCE_LENGTH = 3


def is_sharded_dim_bxs(sharded_dim: ShardedDim) -> bool:
    """Whether batch and sequence are divided as one dimension."""
    return sharded_dim == ShardedDim.BATCH_X_SEQUENCE_LENGTH


def is_sharded_dim_bxs_or_s(sharded_dim: ShardedDim) -> bool:
    """Whether tokens are divided: batch and sequence as one dimension, or the sequence."""
    return is_sharded_dim_bxs(sharded_dim) or sharded_dim == ShardedDim.SEQUENCE_LENGTH
