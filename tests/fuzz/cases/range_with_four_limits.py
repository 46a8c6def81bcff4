# So did one with too many.
import neuronxcc.nki.language as nl


def k(x):
    for i in nl.affine_range(0, 1, 2, 3):
        t = nl.load(x[i])
    for i in nl.affine_range(*x.shape):
        t = nl.load(x[i])
