"""Results that have other digits.

What it does
    Notes ``nl.rsqrt``, which becomes ``nisa.activation``, and results with a ``dtype=`` that are assigned to
    a part of a tile of another element type.

Why
    Scalar Engine approximates ``nl.rsqrt``; Vector and GpSimd Engine, which the old compiler could choose,
    are more precise. The simulator computes both alike. An instruction writes to the tile at once, where the
    old language rounded to the ``dtype=`` first.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.load(x)
            nl.store(out, nl.rsqrt(t))
            return out

After
        import nki
        import nki.language as nl
        import nki.isa as nisa


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=t, src=x)
            rsqrt = nl.ndarray(t.shape, dtype=x.dtype, buffer=nl.sbuf)
            nisa.activation(dst=rsqrt, op=nl.rsqrt, data=t)
            nisa.dma_copy(dst=out, src=rsqrt)
            return out

When it stays silent
    For ``nisa.activation(op=nl.rsqrt)``, which Scalar Engine computed before, too.
"""

CODE = "NKL505"
