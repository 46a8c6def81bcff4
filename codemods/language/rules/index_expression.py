"""Indexes that are no slices.

What it does
    Reports an index that is not an affine expression of index tiles, or has an index tile twice.
    Functions of the file that get or give index tiles or masks, and only return an expression, are written
    out where they are called; one that does more is reported.

Why
    Slices and access patterns have one start and one step for each axis.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            i = nl.arange(128)[:, None]
            j = nl.arange(512)[None, :]
            t = nl.load(x[i, j // 2])
            nl.store(out[i, j], t)
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For affine indexes, which become slices or ``.ap(pattern=…)``.
"""

CODE = "NKL301"
