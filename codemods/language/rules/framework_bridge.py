"""Bridges of frameworks that hand outputs to a kernel.

What it does
    Reports kernels that ``torch_neuronx.nki_jit``, ``nki_call`` of PyTorch or JAX launch.

Why
    These bridges allocate a kernel's outputs from a shape and pass them in. In the new language a kernel
    allocates and returns them, and is called like a function.

Before
        import neuronxcc.nki.language as nl
        from torch_neuronx import nki_jit


        @nki_jit
        def copied(x, out):
            nl.store(out, nl.load(x))

After
    Unchanged, with the place reported.

When it stays silent
    For kernels of the compiler's package, which NKM401 is about.
"""

CODE = "NKL109"
