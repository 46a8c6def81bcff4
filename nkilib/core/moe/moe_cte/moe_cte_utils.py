"""Options of the block-wise kernels."""

from dataclasses import dataclass
from enum import Enum

import nki.language as nl

from .... import insides
from ....blocks.memory import PARTITIONS, PSUM_COLUMNS
from ...utils.kernel_helpers import div_ceil
from ...utils.stream_shuffle_broadcast import stream_shuffle_broadcast

__all__ = [
    "DVE_CHANNELS_PER_BANK",
    "N_PSUM_BANKS",
    "PSUM_SIZE",
    "SB_QUADRANT_SIZE",
    "TILE_SIZE",
    "TOTAL_PSUM_SIZE",
    "BlockShardStrategy",
    "SkipMode",
    "div_ceil",
    "stream_shuffle_broadcast",
]

__getattr__ = insides.named(__name__)

TILE_SIZE = PARTITIONS
PSUM_SIZE = PSUM_COLUMNS
N_PSUM_BANKS = 8
TOTAL_PSUM_SIZE = PSUM_SIZE * N_PSUM_BANKS
"""float32 elements of a partition of PSUM."""
SB_QUADRANT_SIZE = 32
DVE_CHANNELS_PER_BANK = SB_QUADRANT_SIZE
"""Partitions that a shuffle of Vector Engine reaches."""


@dataclass
class SkipMode(nl.NKIObject):
    """How padding is marked, and a hint.

    Attributes:
        skip_token: padding has the token id -1, and is neither read nor written; otherwise it is the id T, a
            row of zeros behind the T tokens of the hidden state and of the affinities.
        skip_weight: weights need not be read again for a block of the same expert; changes no result.
    """

    skip_token: bool = False
    skip_weight: bool = False


class BlockShardStrategy(Enum):
    """Which blocks a core has: its half of them, or every second one."""

    HI_LO = 0
    PING_PONG = 1
