"""Reductions across programs.

What it does
    Reports ``nl.all_reduce``.

Why
    Cores exchange tiles with ``nisa.sendrecv`` and wait with ``nisa.core_barrier``; ranks use
    ``nki.collectives``.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.load(x)
            nl.store(out, nl.all_reduce(t, op=nl.add, program_axes=[0]))
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For reductions inside a tile.
"""

CODE = "NKL207"
