"""Kernels around single instructions, to measure them."""
