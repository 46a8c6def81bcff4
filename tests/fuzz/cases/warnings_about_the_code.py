# The compiler's warnings about kernels were shown, and stopped the migration where they are errors.
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl


@nki.jit
def k(x, n=1or 2):
    """\d"""
    import numpy as np

    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.exp(nl.load(x)))
    return out
