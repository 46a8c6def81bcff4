"""Reductions over a loop.

What it does
    Reports ``nl.loop_reduce`` where the tile that it is assigned to is not filled before the loop. Elsewhere
    the tile is combined with what each iteration gives, which is how the old language defines it.

Why
    The tile that collects has to be filled before the loop, which only the kernel's author can place.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.load(x)
            r = nl.loop_reduce(t, op=nl.add, loop_indices=[0])
            nl.store(out, r)
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For tiles that ``nl.zeros``, ``nl.full`` and the like fill before the loop, and for parameters.
"""

CODE = "NKL213"
