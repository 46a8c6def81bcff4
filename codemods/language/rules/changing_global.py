"""Globals that change between calls of a kernel.

What it does
    Notes a name of the file that a kernel reads and that some function rebinds with ``global``.

Why
    The old language traced a kernel anew for every call. The new one compiles it once for arguments of a
    kind, and keeps what the name stood for then.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl

        scale = 1.0


        def set_scale(value):
            global scale
            scale = value


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.load(x)
            nl.store(out, nl.multiply(t, scale, dtype=x.dtype))
            return out

After
        import nki
        import nki.language as nl
        import nki.isa as nisa

        scale = 1.0


        def set_scale(value):
            global scale
            scale = value


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=t, src=x)
            product = nl.ndarray(t.shape, dtype=x.dtype, buffer=nl.sbuf)
            nisa.tensor_scalar(dst=product, data=t, op0=nl.multiply, operand0=scale)
            nisa.dma_copy(dst=out, src=product)
            return out

When it stays silent
    For names that are bound at the top of the file only.
"""

CODE = "NKL403"
