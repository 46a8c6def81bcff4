"""Operations that are no operation of an instruction.

What it does
    Reports an ``op`` that is known and has no token, such as a division of integers.

Why
    Instructions take tokens of ``nl``: ``nl.add``, ``nl.maximum``, ``nl.exp``, …

Before
        import numpy as np
        import neuronxcc.nki as nki
        import neuronxcc.nki.isa as nisa
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            t = nl.load(x)
            u = nisa.tensor_scalar(t, op0=np.floor_divide, operand0=2)
            nl.store(out, u)
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For NumPy functions that have a token, which is put in their place.
"""

CODE = "NKL208"
