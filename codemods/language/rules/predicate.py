"""Predicates that are not affine.

What it does
    Reports ``pred=`` of ``nisa.affine_select`` where it is no single comparison of affine expressions
    of index tiles.

Why
    The new instruction takes a pattern of steps, an offset and one comparison.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.isa as nisa
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            i = nl.arange(128)[:, None]
            j = nl.arange(512)[None, :]
            t = nl.ndarray((nl.par_dim(128), 512), dtype=nl.float32, buffer=nl.sbuf)
            t[...] = nl.load(x)
            u = nisa.affine_select(pred=(i >= j) & (j < 4), on_true_tile=t, on_false_value=0.0)
            nl.store(out, u)
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For single affine comparisons.
"""

CODE = "NKL303"
