"""Files of which only a part can be migrated.

What it does
    Migrates the kernels of a file that nothing stands in the way of, with what they call and the host's code
    around them. What cannot be migrated yet stays as it is, and its reasons are reported. It gets names of
    its own for the old language: ``legacy_nl`` for ``nl``.

Why
    The release has both languages beside each other. Kernels are migrated whole or not at all, and one that
    waits for a person need not hold up the others. Both sides would use the names ``nki``, ``nl`` and
    ``nisa``; no name can mean both. The clean ones belong to the new language: that is the code to be read
    and written from now on, and ``legacy_nl`` says at every place that something is left to do. Once
    that is done, the next run gives it the clean names as well.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.isa as nisa
        import neuronxcc.nki.language as nl


        @nki.jit
        def doubled(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            nl.store(out, nl.load(x) * 2.0)
            return out


        @nki.jit
        def floored(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            nl.store(out, nl.floor(nl.load(x)))
            return out

After
        import nki
        import nki.isa as nisa
        import nki.language as nl
        import neuronxcc.nki as legacy_nki
        import neuronxcc.nki.language as legacy_nl


        @nki.jit
        def doubled(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=tile, src=x)
            product = nl.ndarray(tile.shape, dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_scalar(dst=product, data=tile, op0=nl.multiply, operand0=2.0)
            nisa.dma_copy(dst=out, src=product)
            return out


        @legacy_nki.jit
        def floored(x):
            out = legacy_nl.ndarray(x.shape, dtype=x.dtype, buffer=legacy_nl.shared_hbm)
            legacy_nl.store(out, legacy_nl.floor(legacy_nl.load(x)))
            return out

When it stays silent
    For files in which everything can be migrated, or nothing. A file waits as a whole when its kernels share
    a function or a constant that changes, and when it imports the old language more than once under one name,
    inside ``try``, ``if`` or a function, or with a star.
"""

CODE = "NKL110"
