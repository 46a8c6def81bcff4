# Storing a tile of unknown shape under a mask made the analysis fail.
import neuronxcc.nki.language as nl


def k(x, t, i, ip):
    rows, cols = x.shape
    u = nl.exp(t, mask=(i * 128 + ip < rows))
    ip, iy = nl.mgrid[0:128, 0:60]
    for i in nl.affine_range(2):
        t = nl.load(x[i * 128 + ip, iy], mask=(i * 128 + ip < rows))
        out = nl.ndarray((rows, cols), dtype=x.dtype, buffer=nl.shared_hbm)
        nl.store(out[i * 128 + ip, iy], u, mask=(i * 128 + ip < rows))
