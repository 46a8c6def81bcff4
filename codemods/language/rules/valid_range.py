"""Functions that are exact in a range only.

What it does
    Notes ``nl.cos``, which becomes ``nl.sin`` of a shifted argument.

Why
    The instruction takes arguments of a limited range.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.load(x)
            nl.store(out, nl.cos(t))
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
            quarter_turn = nl.ndarray((t.shape[0], 1), dtype=nl.float32, buffer=nl.sbuf)
            nisa.memset(dst=quarter_turn, value=1.5707963267948966)
            cos = nl.ndarray(t.shape, dtype=x.dtype, buffer=nl.sbuf)
            nisa.activation(dst=cos, op=nl.sin, data=t, bias=quarter_turn)
            nisa.dma_copy(dst=out, src=cos)
            return out

When it stays silent
    For functions without a range.
"""

CODE = "NKL503"
