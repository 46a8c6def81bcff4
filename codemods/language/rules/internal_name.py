"""Names of ``neuronxcc.nki`` that were never public.

What it does
    Reports them where they are used. A kernel that uses one stays as it is.

Why
    They have no successor of the same form. Many kernels of the compiler's package live in the NKI Library
    now, some of their helpers in ``nki.isa`` and ``nki.collectives``.

Before
        from neuronxcc.nki.isa.neuron_isa import dma_copy

        copy = dma_copy

After
    Unchanged, with a finding at each use.

When it stays silent
    For the private kernels that NKM401 knows.
"""

CODE = "NKL105"
