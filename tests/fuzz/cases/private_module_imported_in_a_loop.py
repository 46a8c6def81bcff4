import neuronxcc.nki as nki
from neuronxcc.nki._pre_prod_kernels.util.kernel_helpers import get_program_sharding_info
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
import numpy as np



def scaled(tiles, other, i, offset=1.5):
    match, p, m = tiles.shape
    assert i < match
    bias = nl.ndarray((p, 1), dtype=x.float32, buffer=nl.sbuf)
    bias[...] = nisa.memset((p, 1), value=offset, dtype=nl.float32)
    other[i, 0:p, 0:m] = nisa.activation(op=nl.copy, data=tiles[i, 0:p, :], bias=bias, scale=1.0 * m)


@nki.jit
def k(x, first):
    out = nl.ndarray((384, 32), dtype=x.dtype, buffer=nl.shared_hbm)
    if first == 1:
        a = nl.ndarray((3, nl.par_dim(128), 32), dtype=x.dtype, buffer=nl.sbuf)
        b = nl.ndarray((3, nl.par_dim(128), 32), dtype=x.dtype, buffer=nl.sbuf)
        for i in range(3):
            a[i] = nl.load(x[i * 128 : (i + 1) * 128, 0:32])
            scaled(a, b, i)
            nl.store(out[i * 128 : (i + 1) * 128, 0:32], b[i])
    else:
        match = x.shape[0] // 128
        c = nl.ndarray((match, nl.par_dim(-128), 32), dtype=x.dtype, buffer=nl.sbuf)
        from neuronxcc.nki.compiler.backends.neuron.dimensions import VNC
        d = nl.ndarray((match, nl.par_dim(128), 32), dtype=x.dtype, buffer=nl.sbuf)
        for i in range(match):
            c[i] = nl.load(x[i * 128 : (i + 1) * 128, 0:32])
            scaled(c, d, i, offset=2.0)
            nl.store(out[i * 128 : (i + 1) * 128, 0:32], d[i])
    return out
