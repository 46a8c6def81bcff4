"""Sizes of what the statistics instructions write: ``nki.isa.bn_stats`` and ``nki.isa.bn_aggr``."""

from .... import insides

__getattr__ = insides.named(__name__)

BN_STATS_ELEMENTS_PER_TILE = 6
"""Elements of a partition that ``bn_stats`` writes: count, mean and count times variance, of two halves."""
BN_AGGR_ELEMENTS_PER_TILE = 2
"""Elements of a partition that ``bn_aggr`` writes: mean and variance."""
