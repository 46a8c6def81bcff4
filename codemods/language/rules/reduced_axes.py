"""Reductions over the partitions.

What it does
    Reports a reduction of axes that the instruction does not take.

Why
    ``nisa.tensor_reduce`` reduces free axes; partitions are reduced by another instruction or a product
    with ones.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.ndarray((nl.par_dim(128), 4, 8), dtype=nl.float32, buffer=nl.sbuf)
            t[...] = nl.load(x)
            nl.store(out, nl.sum(t, axis=[0, 1]))
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For reductions of free axes.
"""

CODE = "NKL304"
