"""Measuring harnesses around kernels.

What it does
    Makes kernels that ``nki.benchmark``, ``nki.profile`` or ``nki.baremetal`` wrap, or that ``nki.jit``
    compiles with ``mode="simulation"`` and the like, plain ``nki.jit`` kernels, and notes each place. Where
    the kernel is not known, the harness is reported.

Why
    None of them is in the new language: a kernel is called with tensors of PyTorch or JAX on the device,
    and measured from outside, with neuron-profile or neuron-explorer.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.isa as nisa
        import neuronxcc.nki.language as nl


        @nki.benchmark(warmup=5, iters=10)
        def copied(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            nisa.dma_copy(dst=out, src=x)
            return out

After
        import nki
        import nki.isa as nisa
        import nki.language as nl


        @nki.jit
        def copied(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            nisa.dma_copy(dst=out, src=x)
            return out

When it stays silent
    For harnesses of other packages with the same names.
"""

CODE = "NKL101"
