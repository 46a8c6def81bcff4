"""Launch grids of kernels.

What it does
    A grid of cores, ``kernel[nl.nc(n)]`` in all its forms, becomes ``kernel[n]``, also where a variable
    holds it. A grid of programs becomes loops in the kernel when its launches, in this file and in the others
    that are migrated with it, all have the same extents, which follow from the kernel's arguments; the
    launches then have no grid. What programs share is allocated ahead of the loops. Everything else is
    reported.

Why
    In the new language the brackets hold one number, that of the cores. Programs on one core do not exist:
    ``nl.program_id`` counts cores.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.isa as nisa
        import neuronxcc.nki.language as nl


        @nki.jit
        def copied(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            nisa.dma_copy(dst=out, src=x)
            return out


        def run(x, cores):
            grid = (nl.nc(cores),)
            launched = copied[grid]
            return launched(x)

After
        import nki
        import nki.isa as nisa
        import nki.language as nl


        @nki.jit
        def copied(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            nisa.dma_copy(dst=out, src=x)
            return out


        def run(x, cores):
            grid = cores
            launched = copied[grid]
            return launched(x)

When it stays silent
    For subscripts of anything that is not known to be a kernel of the old language.
"""

CODE = "NKL103"
