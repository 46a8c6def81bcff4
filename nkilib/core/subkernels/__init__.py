"""Kernels that other kernels call: decode norms, and index utilities."""
