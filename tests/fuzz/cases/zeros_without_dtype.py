# Zeros in HBM without a dtype made the analysis fail.
import neuronxcc.nki.language as nl

kk, m = x.shape


def k(x, y):
    kk, n = y.shape
    out = nl.zeros((m, n), buffer=nl.shared_hbm)
