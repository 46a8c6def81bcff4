"""Functions that no instruction computes.

What it does
    Reports ``nl.floor``, ``nl.ceil``, ``nl.trunc``, ``nl.mod``, ``nl.fmod`` and ``nl.tan``, and
    operations made of them.

Why
    NKI 0.2 has no instruction for them; NKI 0.3 brings some back as experimental functions.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.load(x)
            nl.store(out, nl.floor(t))
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For the functions that an instruction computes.
"""

CODE = "NKL201"
