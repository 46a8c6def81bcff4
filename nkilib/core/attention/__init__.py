"""Attention kernels; import each from the module named after it."""
