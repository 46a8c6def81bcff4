"""Kernels of the old language.

What it does
    Rewrites the bodies of kernels, and of functions that kernels call: allocations and instructions with a
    destination in the place of values, slices in the place of index tiles and masks, lists in the place of
    block dimensions. A kernel is migrated with all that it shares with others, or not at all; then each
    reason is reported (NKL110 says what becomes of it).

Why
    In the new language an instruction writes to a tile that the kernel allocates, operators do not work on
    tiles, and loops run as often as they say.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def copied(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            nl.store(out, nl.load(x))
            return out

After
        import nki
        import nki.language as nl
        import nki.isa as nisa


        @nki.jit
        def copied(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=tile, src=x)
            nisa.dma_copy(dst=out, src=tile)
            return out

When it stays silent
    For code that does not import ``neuronxcc.nki``.
"""

CODE = "NKL200"
