"""Operands taken to have the same shape, tensors taken to have as many dimensions as are spoken of.

What it does
    Notes operations on two tiles whose shapes are those of different parameters, and reductions over axis 1
    and single elements (``x[i, 3]``) of tensors of which nothing tells how many dimensions they have. Where
    nothing tells that a tile of indices has one in each partition, that is asserted.

Why
    The old language repeated the smaller operand; an instruction wants equal shapes. Axis 1 of three
    dimensions is not the last one, which instructions reduce.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x, y):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.load(x, dtype=nl.float32)
            u = nl.load(y, dtype=nl.float32)
            nl.store(out, nl.add(t, u))
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
            total = nl.ndarray(t.shape, dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_tensor(dst=total, data1=t, data2=u, op=nl.add)
            nisa.dma_copy(dst=out, src=total)
            return out

When it stays silent
    Where shapes are known, or asserted to be equal.
"""

CODE = "NKL504"
