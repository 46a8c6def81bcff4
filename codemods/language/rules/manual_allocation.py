"""Tiles that a function of the kernel places.

What it does
    Reports ``ncc.sbuf.alloc`` and ``ncc.psum.alloc`` with a function whose results are not known before the
    kernel is compiled, and allocation scopes.

Why
    In the new language a tile has an address of its own, ``nl.ndarray(…, address=(partition,
    offset))``, which only its author can say.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.compiler as ncc
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.ndarray((4, nl.par_dim(128), 512), dtype=x.dtype, buffer=ncc.sbuf.alloc(place))
            for i in nl.affine_range(4):
                t[i] = nl.load(x[i])
                nl.store(out[i], t[i])
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For ``auto_alloc``, and for ``mod_alloc`` (NKL214), also in functions and objects of the file that give it
    to tiles without block dimensions.
"""

CODE = "NKL204"
