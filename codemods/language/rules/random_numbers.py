"""Random numbers.

What it does
    Reports ``nl.rand`` and ``nl.random_seed``.

Why
    The new instructions give raw bits and take their seeds from tiles, so that no rewrite gives the
    same numbers.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            nl.store(out, nl.rand(x.shape))
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For ``nl.dropout``, which is an instruction in both languages.
"""

CODE = "NKL202"
