"""Constants that NumPy computes inside a kernel.

What it does
    Reports ``nl.shared_constant`` of what is no identity, zeros or range.

Why
    The new language has these three as compile-time tensors; anything else comes in as an input of the
    kernel, or from a file.

Before
        import numpy as np
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            table = nl.shared_constant(np.arange(64).reshape(1, 64) ** 2)
            nl.store(out, nl.load(table))
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For identities, zeros and ranges.
"""

CODE = "NKL203"
