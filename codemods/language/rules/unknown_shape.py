"""Tiles whose shape is not known.

What it does
    Reports an operation that needs the shape of a tile for which there is none, or whose tiles have different
    numbers of dimensions.

Why
    Whether two operands are combined row by row, or how an axis is reduced, follows from shapes.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.load(x)
            nl.store(out, nl.sum(t, axis=[1, 2]))
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For operations that are written the same for every shape.
"""

CODE = "NKL210"
