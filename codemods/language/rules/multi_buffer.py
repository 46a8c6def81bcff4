"""Loops that ask for several buffers.

What it does
    Reports ``directives=ncc.multi_buffer(n)``.

Why
    There are no directives: a list of buffers that take turns does the same.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.compiler as ncc
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            for i in nl.affine_range(4, directives=ncc.multi_buffer(2)):
                nl.store(out[i], nl.load(x[i]))
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For loops without directives, and for ``ncc.no_reorder()``, which becomes ``with nl.no_reorder():`` around
    the loop.
"""

CODE = "NKL205"
