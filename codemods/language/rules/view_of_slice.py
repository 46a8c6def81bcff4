"""Views of slices.

What it does
    Reports ``reshape``, ``view`` and patterns of a tile that is sliced.

Why
    The new language makes views of whole tiles only.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.load(x)
            nl.store(out, t[:, 0:64].reshape((128, 8, 8)))
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For views of whole tiles and of tensors in HBM.
"""

CODE = "NKL212"
