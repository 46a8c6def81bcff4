"""Arguments that the analysis cannot follow.

What it does
    Reports an argument whose value decides how the call is written and is not known.

Why
    What an instruction becomes depends on its operands' shapes, places and kinds.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.ndarray((nl.par_dim(ROWS), 512), dtype=nl.float32, buffer=nl.sbuf)
            t[...] = nl.load(x)
            nl.store(out, t)
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For arguments that are literals, tiles, or computed from the shapes of parameters.
"""

CODE = "NKL209"
