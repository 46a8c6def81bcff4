"""Tiles that lie at addresses of their own.

What it does
    Writes the place of each tile as its ``address=(partition, byte)``, and notes the kernel. Of
    ``ncc.sbuf.mod_alloc`` and ``ncc.psum.mod_alloc`` the blocks of a tensor take turns in some places.
    Functions that ``ncc.sbuf.alloc`` and ``ncc.psum.alloc`` get are carried out for the tile, where they are
    plain ones. Functions and methods of the file that return one of ``mod_alloc`` return the address. An
    object that counts what it gave out is made by each kernel. Addresses that are counted in a loop, of which
    the body ran once when it was traced, start again in each iteration; NKL401 notes it.

Why
    The new language has no allocators, and its kernels cannot change what is outside of them. Its migration
    guide speaks of offsets in elements where its examples have bytes; what is written here are bytes, so look
    once on a device.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.compiler as ncc
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray((4, 128, 512), dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.ndarray(
                (4, nl.par_dim(128), 512),
                dtype=nl.float32,
                buffer=ncc.sbuf.mod_alloc(base_addr=1024, num_free_tiles=(2,)),
            )
            for i in nl.affine_range(4):
                t[i] = nl.load(x[i])
                nl.store(out[i], t[i])
            return out

After
        import nki
        import nki.language as nl
        import nki.isa as nisa


        @nki.jit
        def kernel(x):
            out = nl.ndarray((4, 128, 512), dtype=x.dtype, buffer=nl.shared_hbm)
            for i in nl.affine_range(4):
                t = nl.ndarray(
                    (128, 512),
                    dtype=nl.float32,
                    buffer=nl.sbuf,
                    address=(0, 1024 + i % 2 * 2048),
                )
                nisa.dma_copy(dst=t, src=x[i])
                nisa.dma_copy(dst=out[i], src=t)
            return out

When it stays silent
    For tiles that the compiler places, and for places that a person must say (NKL204).
"""

CODE = "NKL214"
