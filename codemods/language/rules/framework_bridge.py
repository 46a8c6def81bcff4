"""Bridges of frameworks that hand outputs to a kernel.

What it does
    Kernels that JAX's ``nki_call`` launches allocate their outputs themselves and return them, and are called
    like functions, where ``out_shape`` follows from the inputs. Other calls of ``nki_call`` are reported.
    ``torch_neuronx.nki_jit`` is ``nki.jit``: the tensors that a caller passes for the outputs are parameters
    written in place (NKL104).

Why
    ``nki_call`` allocates a kernel's outputs from a shape and passes them in. In the new language a kernel
    allocates and returns them, and is called like a function.

Before
        import neuronxcc.nki.language as nl
        from jax_neuronx import nki_call


        def copied(x, out):
            nl.store(out, nl.load(x))


        def run(x, shape):
            return nki_call(copied, x, out_shape=shape)

After
    Unchanged, with the place reported.

When it stays silent
    For kernels of the compiler's package, which NKM401 is about.
"""

CODE = "NKL109"
