"""Kernels and utilities at the import paths of release 2.28."""
