# A comment behind the colon of a loop's header that spans several lines made the analysis fail.
import neuronxcc.nki.language as nl


def k(x, n):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    for i in nl.affine_range(  # open
        n - 2, precise_schedule=True
    ):  # for each block
        nl.store(out[i], nl.exp(nl.load(x[i])))
    return out
