"""Masks that are no bounds.

What it does
    Reports ``mask=`` where it is not a conjunction of comparisons of one index tile with a size.

Why
    A bound becomes a shorter slice; any other mask is a selection by data.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            i = nl.arange(128)[:, None]
            j = nl.arange(512)[None, :]
            t = nl.load(x[i, j], mask=(i >= j))
            nl.store(out[i, j], t)
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For bounds, which become slices.
"""

CODE = "NKL302"
