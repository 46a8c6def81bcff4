"""Annotations and markers in the signatures of kernels.

What it does
    Annotations of ``neuronxcc.nki.typing`` go, and so do ``*`` between parameters and ``**kwargs`` that the
    kernel does not read.

Why
    There are no such types in the new language, nor is there a variable number of arguments; from NKI 0.3 on
    ``*`` is an error.

Before
        from neuronxcc import nki
        import neuronxcc.nki.isa as nisa
        import neuronxcc.nki.language as nl
        import neuronxcc.nki.typing as nt


        @nki.jit
        def copied(x: nt.tensor, *, wide: bool = False) -> nt.tensor:
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            nisa.dma_copy(dst=out, src=x)
            return out

After
        import nki
        import nki.isa as nisa
        import nki.language as nl


        @nki.jit
        def copied(x, wide: bool = False):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            nisa.dma_copy(dst=out, src=x)
            return out

When it stays silent
    For other annotations, and for functions that are not written in the language.
"""

CODE = "NKL108"
