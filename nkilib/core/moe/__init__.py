"""Mixtures of experts: each token passes through a few of many MLPs, weighted by its affinities to them."""

from .moe_tkg.moe_tkg import moe_tkg

__all__ = ["moe_tkg"]
