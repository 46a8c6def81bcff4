"""Decorators of kernels.

What it does
    Kernels that the host launches are decorated with plain ``@nki.jit``; functions that kernels call lose
    their decorator. Where such a function is launched as well, ``nki.jit`` stands at the launch.

Why
    ``nki.jit`` takes no options in the new language, the compiler's own decorators are gone, and a
    decorated function cannot be called from a kernel.

Before
        from neuronxcc import nki
        import neuronxcc.nki.isa as nisa
        import neuronxcc.nki.language as nl


        @nki.jit(mode="trace")
        def copy_to(dst, src):
            nisa.dma_copy(dst=dst, src=src)


        @nki.compiler.skip_middle_end_transformations
        @nki.jit(mode="torchxla", debug_kernel=True)
        def copied(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            copy_to(out, x)
            return out

After
        import nki
        import nki.isa as nisa
        import nki.language as nl


        def copy_to(dst, src):
            nisa.dma_copy(dst=dst, src=src)


        @nki.jit
        def copied(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            copy_to(out, x)
            return out

When it stays silent
    For decorators that are not the language's.
"""

CODE = "NKL107"
