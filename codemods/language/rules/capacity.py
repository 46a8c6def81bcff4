"""Tiles that are larger than the memory on chip.

What it does
    Notes an allocation whose elements in one partition need more than 192 KiB of SBUF or 16 KiB of PSUM.

Why
    The old compiler spilled or shared such memory; the new one takes every tile as it is allocated, and fails
    late.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray((128, 65536), dtype=nl.float32, buffer=nl.shared_hbm)
            t = nl.ndarray((128, 65536), dtype=nl.float32, buffer=nl.sbuf)
            t[...] = nl.load(x[0:128, 0:65536])
            nl.store(out, t)
            return out

After
        import nki
        import nki.language as nl
        import nki.isa as nisa


        @nki.jit
        def kernel(x):
            out = nl.ndarray((128, 65536), dtype=nl.float32, buffer=nl.shared_hbm)
            t = nl.ndarray((128, 65536), dtype=nl.float32, buffer=nl.sbuf)
            nisa.dma_copy(dst=t, src=x[0:128, 0:65536])
            nisa.dma_copy(dst=out, src=t)
            return out

When it stays silent
    For sizes that are known only when the kernel is called, and for the sum of several tiles.
"""

CODE = "NKL206"
