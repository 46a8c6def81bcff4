"""Integer arithmetic that goes through float32.

What it does
    Notes additions, subtractions and products of 32-bit integers.

Why
    The new instructions compute in float32, which is exact below 2^24 only.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.load(x, dtype=nl.int32)
            nl.store(out, nl.multiply(t, t))
            return out

After
        import nki
        import nki.language as nl
        import nki.isa as nisa


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.ndarray(x.shape, dtype=nl.int32, buffer=nl.sbuf)
            nisa.dma_copy(dst=t, src=x)
            product = nl.ndarray(t.shape, dtype=nl.int32, buffer=nl.sbuf)
            nisa.tensor_tensor(dst=product, data1=t, data2=t, op=nl.multiply)
            nisa.dma_copy(dst=out, src=product)
            return out

When it stays silent
    For bitwise operations and for narrow integers.
"""

CODE = "NKL502"
