# Old newlines inside of an expression ended in a TokenError.
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl


@nki.jit
def kernel(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    y = nl.exp(nl.load(x),      dtype=x.dtype)
    nl.store(out, y)
    return out
