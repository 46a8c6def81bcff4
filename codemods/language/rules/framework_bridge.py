"""Bridges of frameworks that hand outputs to a kernel.

What it does
    Reports kernels that ``nki_call`` of PyTorch or JAX launches. ``torch_neuronx.nki_jit`` is ``nki.jit``:
    the tensors that a caller passes for the outputs are parameters written in place (NKL104).

Why
    ``nki_call`` allocates a kernel's outputs from a shape and passes them in. In the new language a kernel
    allocates and returns them, and is called like a function.

Before
        import jax
        import neuronxcc.nki.language as nl
        from jax_neuronx import nki_call


        def copied(x, out):
            nl.store(out, nl.load(x))


        def run(x):
            return nki_call(copied, x, out_shape=jax.ShapeDtypeStruct(x.shape, dtype=x.dtype))

After
    Unchanged, with the place reported.

When it stays silent
    For kernels of the compiler's package, which NKM401 is about.
"""

CODE = "NKL109"
