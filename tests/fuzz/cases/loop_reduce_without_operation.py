import neuronxcc.nki.language as nl
def k(x):
    n, m = x.shape
    total = nl.zeros((2, nl.par_dim(64), m), dtype=x.dtype, buffer=nl.sbuf)
    for i in nl.affine_range(n // 64):
        t = nl.load(x[i * 64 : (i + 1) * 64, 0:m])
        for j in nl.affine_range(2):
            total[j, 0:64, 0:m] = nl.loop_reduce(u, loop_indices=[i], dtype=x.dtype)
