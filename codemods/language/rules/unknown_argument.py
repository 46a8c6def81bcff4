"""Arguments that the analysis cannot follow.

What it does
    Reports an argument whose value decides how the call is written and is not known, or that has no
    parameter.

Why
    What an instruction becomes depends on its operands' shapes, places and kinds.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray((x.shape[0], 1), dtype=x.dtype, buffer=nl.shared_hbm)
            nl.store(out, nl.sum(nl.load(x), axis=AXES, keepdims=True))
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For arguments that are literals, tiles, or computed from the shapes of parameters.
"""

CODE = "NKL209"
