"""Kernels that may still change."""
