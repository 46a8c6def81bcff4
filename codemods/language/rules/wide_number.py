"""Integers of more than 31 bits.

What it does
    Notes integer literals from 2^31 on in kernels.

Why
    The guide of the new language speaks of 32-bit integers at compile time.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=nl.uint32, buffer=nl.shared_hbm)
            t = nl.load(x, dtype=nl.uint32)
            nl.store(out, nl.bitwise_and(t, 0xFFFFFF00))
            return out

After
        import nki
        import nki.language as nl
        import nki.isa as nisa


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=nl.uint32, buffer=nl.shared_hbm)
            t = nl.ndarray(x.shape, dtype=nl.uint32, buffer=nl.sbuf)
            nisa.dma_copy(dst=t, src=x)
            bitwise_and = nl.ndarray(t.shape, dtype=nl.uint32, buffer=nl.sbuf)
            nisa.tensor_scalar(dst=bitwise_and, data=t, op0=nl.bitwise_and, operand0=0xFFFFFF00)
            nisa.dma_copy(dst=out, src=bitwise_and)
            return out

When it stays silent
    For smaller literals, and for what calculations give.
"""

CODE = "NKL506"
