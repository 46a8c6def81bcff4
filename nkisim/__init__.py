"""Reserved for the NKI programming model on NumPy; there is nothing in it yet.

A later milestone brings memories, tensors, the ``nki.isa`` instructions and launch grids, so that kernels run
on any machine. Nothing runs today.
"""
