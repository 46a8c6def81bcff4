"""Options of the block-wise kernels."""

from dataclasses import dataclass
from enum import Enum

import nki.language as nl

from .... import insides

__getattr__ = insides.named(__name__)


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
