"""Building blocks that the kernels share; docs/blocks.md lists them."""
