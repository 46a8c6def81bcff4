# A range without limits made the analysis fail.
import neuronxcc.nki.language as nl


def k(x, ip, iy, rows):
    for i in nl.affine_range():
        t = nl.load(x[i * 128 + ip, iy], mask=(i * 128 + ip < rows))
