"""Parameters that a kernel writes to.

What it does
    The kernel returns what it writes, and callers that pass a tensor of their own use what is returned, also
    those in other files that are migrated with it. A kernel with callers that cannot be changed is reported,
    one without a caller is noted.

Why
    Only what a kernel returns is its output in the new language; what it writes to a parameter is lost to
    the host.

Before
        import torch
        import neuronxcc.nki as nki
        import neuronxcc.nki.isa as nisa
        import neuronxcc.nki.typing as nt


        @nki.jit
        def copy_to(x, out: nt.mutable_tensor):
            nisa.dma_copy(dst=out, src=x)


        def run(x):
            out = torch.empty_like(x)
            copy_to(x, out)
            return out

After
        import torch
        import nki
        import nki.isa as nisa


        @nki.jit
        def copy_to(x, out):
            nisa.dma_copy(dst=out, src=x)
            return out


        def run(x):
            out = torch.empty_like(x)
            out = copy_to(x, out)
            return out

When it stays silent
    For functions that only kernels call, and for parameters that are returned already.
"""

CODE = "NKL104"
