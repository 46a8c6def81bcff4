# par_dim() without arguments made the analysis fail.
import neuronxcc.nki.language as nl


def kernel(x, n):
    b = nl.ndarray((3, nl.par_dim(), 32), dtype=x.dtype, buffer=nl.sbuf)
    for i in range(3):
        kernel(b, i)
