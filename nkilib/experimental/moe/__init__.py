"""Mixtures of experts for training."""
