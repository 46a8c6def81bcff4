"""Python variables that change inside a loop.

What it does
    Reports a plain Python variable that a loop rebinds and that is read afterwards or in the next iteration.

Why
    The old language ran a loop's body once, to trace it; the new one runs it for every iteration.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            n = 0
            for i in nl.affine_range(4):
                nl.store(out[i], nl.load(x[n]))
                n = n + 1
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For variables that hold tiles, and for those that an iteration binds before it reads them.
"""

CODE = "NKL401"
