"""Results whose dtype is known only when the kernel is called.

What it does
    Reports an operation whose instruction depends on the dtype of a parameter.

Why
    A result takes its dtype from the tile that it is written to, which has to be allocated before.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.load(x)
            nl.store(out, nl.invert(t))
            return out

After
    Unchanged, with the place reported.

When it stays silent
    Where the dtype can be spelled through a parameter, ``x.dtype``.
"""

CODE = "NKL211"
