"""Divisions that are products with reciprocals.

What it does
    Notes them: the rewritten kernel multiplies.

Why
    No instruction divides. The last bit of a result may differ.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x, y):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.load(x, dtype=nl.float32)
            u = nl.load(y, dtype=nl.float32)
            nl.store(out, t / u)
            return out

After
        import nki
        import nki.language as nl
        import nki.isa as nisa


        @nki.jit
        def kernel(x, y):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.ndarray(x.shape, dtype=nl.float32, buffer=nl.sbuf)
            nisa.dma_copy(dst=t, src=x)
            u = nl.ndarray(y.shape, dtype=nl.float32, buffer=nl.sbuf)
            nisa.dma_copy(dst=u, src=y)
            inverse = nl.ndarray(u.shape, dtype=nl.float32, buffer=nl.sbuf)
            nisa.reciprocal(dst=inverse, data=u)
            quotient = nl.ndarray(t.shape, dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_tensor(dst=quotient, data1=t, data2=inverse, op=nl.multiply)
            nisa.dma_copy(dst=out, src=quotient)
            return out

When it stays silent
    For divisions by a number that is known, which lose nothing more than its reciprocal.
"""

CODE = "NKL501"
