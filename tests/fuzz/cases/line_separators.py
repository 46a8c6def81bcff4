# Form feeds and Unicode line separators shifted the lines of kernels; bodies were cut in the wrong places.
"""Ab."""
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl

S = "é "

@nki.jit
def k(x):
    """Doc  here."""
    # note  here
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    s = f"""
a """
    nl.store(out, nl.exp(nl.load(x)))
    return out
