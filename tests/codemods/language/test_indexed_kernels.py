"""Whole kernels with index tiles, masks, predicates and blocks: the same numbers before and after the step."""

import numpy as np
import pytest
from migrated import HEAD, check_same, check_same_strictly, migrated, module

import nkisim

RNG = np.random.default_rng(31)

KERNELS = {
    "strided": (
        """
@nki.jit
def k(x):
    even = nl.ndarray((128, 32), dtype=x.dtype, buffer=nl.shared_hbm)
    odd = nl.ndarray((128, 32), dtype=x.dtype, buffer=nl.shared_hbm)
    ip = nl.arange(128)[:, None]
    iy = nl.arange(32)[None, :]
    t = nl.load(x[ip, nl.arange(64)[None, :]])
    nl.store(even[ip, iy], t[ip, 2 * iy])
    nl.store(odd[ip, iy], nl.copy(t[ip, 2 * iy + 1]))
    return even, odd
""",
        [(128, 64)],
    ),
    "transposing_store": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((96, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    ip = nl.arange(64)[:, None]
    iy = nl.arange(96)[None, :]
    t = nl.load(x[ip, iy])
    nl.store(out[iy, ip], t)
    return out
""",
        [(64, 96)],
    ),
    "permuted_free": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((128, 24), dtype=x.dtype, buffer=nl.shared_hbm)
    ip = nl.arange(128)[:, None, None]
    i1 = nl.arange(4)[None, :, None]
    i2 = nl.arange(6)[None, None, :]
    t = nl.load(x)
    u = nl.ndarray((128, 24), dtype=x.dtype, buffer=nl.sbuf)
    u[ip, i2 * 4 + i1] = nl.copy(t[ip, i1 * 6 + i2])
    nl.store(out, u)
    return out
""",
        [(128, 24)],
    ),
    "pool": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((64, 4, 6), dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.load(x)
    p, a, b, c, d = nl.mgrid[0:64, 0:4, 0:2, 0:6, 0:2]
    s = nl.sum(t[p, 2 * a + b, 2 * c + d], axis=[2, 4])
    nl.store(out, s)
    return out
""",
        [(64, 8, 12)],
    ),
    "lower_bound": (
        """
@nki.jit
def k(x):
    rows, cols = x.shape
    out = nl.zeros(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    ip = nl.arange(100)[:, None]
    iy = nl.arange(64)[None, :]
    for i in nl.affine_range(4):
        keep = (i * 100 + ip - 50 >= 0) & (i * 100 + ip - 50 < rows)
        t = nl.load(x[i * 100 + ip - 50, iy], mask=keep)
        nl.store(out[i * 100 + ip - 50, iy], nl.multiply(t, 2.0, mask=keep), mask=keep)
    return out
""",
        [(300, 64)],
    ),
    "two_axes_mask": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((128, 512), dtype=x.dtype, buffer=nl.shared_hbm)
    i_p, i_f = nl.mgrid[0:128, 0:512]
    t = nl.load(x[i_p, i_f])
    s = nl.square(t, mask=((i_p < 64) & (i_f < 256)))
    z = nl.zeros((128, 512), dtype=x.dtype, buffer=nl.sbuf)
    nl.store(out, z)
    nl.store(out[i_p, i_f], s, mask=((i_p < 64) & (i_f < 256)))
    return out
""",
        [(128, 512)],
    ),
    "square_mask": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((128, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    i_p, i_f = nl.mgrid[0:128, 0:64]
    z = nl.zeros((128, 64), dtype=x.dtype, buffer=nl.sbuf)
    nl.store(out, z)
    t = nl.load(x[i_p, i_f], mask=i_p < 64)
    s = nl.exp(t, mask=i_p < 64)
    w = nl.add(s, s, mask=(i_p < 64) & (i_f < 32))
    nl.store(out[i_p, i_f], w, mask=(i_p < 64) & (i_f < 32))
    return out
""",
        [(256, 64)],
    ),
    "causal": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((128, 100), dtype=x.dtype, buffer=nl.shared_hbm)
    i_p, i_f = nl.mgrid[0:128, 0:100]
    t = nl.load(x)
    a = nisa.affine_select(pred=(i_p + 3 >= 2 * i_f), on_true_tile=t[i_p, i_f], on_false_value=-1.0)
    b = nisa.affine_select(pred=(i_f < i_p), on_true_tile=a, on_false_value=7.0)
    nl.store(out, b)
    return out
""",
        [(128, 100)],
    ),
    "iota_": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((128, 6, 8), dtype=nl.int32, buffer=nl.shared_hbm)
    p, a, b = nl.mgrid[0:128, 0:6, 0:8]
    t = nisa.iota(3 * p - a + 2 * b + 5, dtype=nl.int32)
    nl.store(out, t)
    return out
""",
        [(130, 64)],
    ),
    "gather": (
        """
@nki.jit
def k(x, ids):
    out = nl.ndarray((4, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    ip = nl.arange(4)[:, None]
    iy = nl.arange(64)[None, :]
    rows = nl.load(ids)
    t = nl.load(x[rows[ip, 0], iy])
    nl.store(out[ip, iy], t)
    return out
""",
        [(200, 64), [[5], [199], [0], [77]]],
    ),
    "scalar_gather": (
        """
@nki.jit
def k(x, ids):
    out = nl.ndarray((4, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    iy = nl.arange(64)[None, :]
    rows = nl.load(ids)
    for i in nl.affine_range(4):
        t = nl.load(x[rows[0, i], iy])
        nl.store(out[i, iy], t)
    return out
""",
        [(200, 64), [[5, 3, 199, 17]]],
    ),
    "gather_batch": (
        """
@nki.jit
def k(x, ids):
    out = nl.ndarray((3, 4, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    ip = nl.arange(4)[:, None]
    iy = nl.arange(64)[None, :]
    rows = nl.load(ids[ip, 0])
    for b in nl.affine_range(3):
        t = nl.load(x[b, rows[ip, 0], iy])
        nl.store(out[b, ip, iy], t)
    return out
""",
        [(3, 200, 64), [[5], [199], [0], [77]]],
    ),
    "blocks_later": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((4, 128, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    ip = nl.arange(128)[:, None]
    iy = nl.arange(64)[None, :]
    w = nl.ndarray((4, nl.par_dim(128), 64), dtype=x.dtype, buffer=nl.sbuf)
    for i in nl.affine_range(4):
        w[i, ip, iy] = nl.load(x[i, ip, iy])
    for i in nl.affine_range(4):
        nl.store(out[i, ip, iy], w[3 - i, ip, iy])
    return out
""",
        [(4, 128, 64)],
    ),
    "blocks_sum": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((128, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    w = nl.ndarray((4, nl.par_dim(128), 64), dtype=x.dtype, buffer=nl.sbuf)
    s = nl.zeros((128, 64), dtype=x.dtype, buffer=nl.sbuf)
    for i in nl.affine_range(4):
        w[i] = nl.load(x[i])
        s += w[i]
    nl.store(out, s)
    return out
""",
        [(4, 128, 64)],
    ),
    "matmul_acc": (
        """
@nki.jit
def k(a, b):
    out = nl.ndarray((128, 300), dtype=a.dtype, buffer=nl.shared_hbm)
    acc = nl.zeros((128, 300), nl.float32, buffer=nl.psum)
    g = nl.mgrid[0:128, 0:128]
    h = nl.mgrid[0:128, 0:300]
    for i in nl.affine_range(2):
        x = nl.load(a[i * 128 + g.p, g.x])
        y = nl.load(b[i * 128 + h.p, h.x])
        acc[...] += nisa.nc_matmul(x[g.p, g.x], y[h.p, h.x])
    o = nl.copy(acc, dtype=a.dtype)
    nl.store(out[h.p, h.x], o)
    return out
""",
        [(256, 128), (256, 300)],
    ),
    "reduce_tail": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((128, 2), dtype=x.dtype, buffer=nl.shared_hbm)
    ip, iy = nl.mgrid[0:128, 0:100]
    for j in nl.affine_range(2):
        t = nl.load(x[ip, j * 100 + iy], mask=(j * 100 + iy < x.shape[1]))
        s = nl.max(t, axis=[1], mask=(j * 100 + iy < x.shape[1]))
        nl.store(out[:, j], s)
    return out
""",
        [(128, 130)],
    ),
    "column_ints": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((128, 40), dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.load(x)
    u = nl.ndarray((128, 40), dtype=x.dtype, buffer=nl.sbuf)
    for j in nl.affine_range(40):
        u[:, j] = nl.exp(t[:, 39 - j])
    nl.store(out, u)
    return out
""",
        [(128, 40)],
    ),
    "slices_ds": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((96, 50), dtype=x.dtype, buffer=nl.shared_hbm)
    for j in nl.affine_range(5):
        t = nl.load(x[:, nl.ds(j * 10, 10)])
        u = nl.ndarray((96, 20), dtype=x.dtype, buffer=nl.sbuf)
        u[:, 5:15] = nl.multiply(t, 3.0)
        nl.store(out[:, j * 10:j * 10 + 10], u[:, nl.ds(5, 10)])
    return out
""",
        [(96, 50)],
    ),
    "negative": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((96, 50), dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.load(x)
    u = nl.ndarray((96, 50), dtype=x.dtype, buffer=nl.sbuf)
    u[:, :-10] = nl.copy(t[:, 10:])
    u[:, -10:] = nl.copy(t[:, :10])
    nl.store(out, u)
    return out
""",
        [(96, 50)],
    ),
    "loop_condition": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((128, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.load(x)
    u = nl.ndarray((128, 64), dtype=x.dtype, buffer=nl.sbuf)
    u[...] = nl.copy(t)
    for i in nl.sequential_range(4):
        u[:, nl.ds(i * 16, 16)] = nl.exp(t[:, nl.ds(i * 16, 16)], mask=(i < 2) & (i * 16 >= 16))
    nl.store(out, u)
    return out
""",
        [(128, 64)],
    ),
    "empty_tile": (
        """
@nki.jit
def k(x):
    rows, cols = x.shape
    out = nl.ndarray((rows, cols), dtype=x.dtype, buffer=nl.shared_hbm)
    ip, iy = nl.mgrid[0:128, 0:60]
    for i in nl.affine_range(2):
        t = nl.load(x[i * 128 + ip, iy], mask=(i * 128 + ip < rows))
        u = nl.exp(t, mask=(i * 128 + ip < rows))
        nl.store(out[i * 128 + ip, iy], u, mask=(i * 128 + ip < rows))
    return out
""",
        [(100, 60)],
    ),
    "cast_store": (
        """
@nki.jit
def k(x):
    rows, cols = x.shape
    out = nl.ndarray((rows, cols), dtype=nl.bfloat16, buffer=nl.shared_hbm)
    ip, iy = nl.mgrid[0:128, 0:60]
    for i in nl.affine_range((rows + 127) // 128):
        t = nl.load(x[i * 128 + ip, iy], mask=(i * 128 + ip < rows))
        m = nl.max(t, axis=[1], keepdims=True, mask=(i * 128 + ip < rows))
        d = nl.subtract(t, m, mask=(i * 128 + ip < rows))
        e = nl.exp(d, mask=(i * 128 + ip < rows))
        s = nl.sum(e, axis=[1], keepdims=True, mask=(i * 128 + ip < rows))
        q = nl.divide(e, s, mask=(i * 128 + ip < rows))
        nl.store(out[i * 128 + ip, iy], q, mask=(i * 128 + ip < rows))
    return out
""",
        [(200, 60)],
    ),
    "rank3_load_by_int": (
        """
@nki.jit
def k(x):
    n, rows, cols = x.shape
    out = nl.ndarray((n, rows, cols), dtype=x.dtype, buffer=nl.shared_hbm)
    for i in nl.affine_range(n):
        t = nl.load(x[i])
        nl.store(out[i], nl.exp(t))
    return out
""",
        [(6, 128, 40)],
    ),
    "two_block_dims": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((128, 32), dtype=x.dtype, buffer=nl.shared_hbm)
    w = nl.zeros((2, 4, nl.par_dim(128), 4), dtype=x.dtype, buffer=nl.sbuf)
    for i in nl.affine_range(2):
        for j in nl.affine_range(4):
            w[i, j] = nl.load(x[:, nl.ds(i * 16 + j * 4, 4)])
    for j in nl.affine_range(4):
        for i in nl.affine_range(2):
            nl.store(out[:, nl.ds(i * 16 + j * 4, 4)], nl.exp(w[i, 3 - j]))
    return out
""",
        [(128, 32)],
    ),
    "step_loop": (
        """
@nki.jit
def k(x):
    rows, cols = x.shape
    out = nl.ndarray((rows, cols), dtype=x.dtype, buffer=nl.shared_hbm)
    ip, iy = nl.mgrid[0:64, 0:128]
    for c in range(0, cols, 128):
        t = nl.load(x[ip, c + iy], mask=(c + iy < cols))
        nl.store(out[ip, c + iy], t, mask=(c + iy < cols))
    return out
""",
        [(64, 300)],
    ),
    "tail_then_part": (
        """
@nki.jit
def k(x):
    rows, cols = x.shape
    out = nl.zeros((rows, cols), dtype=x.dtype, buffer=nl.shared_hbm)
    ip, iy = nl.mgrid[0:64, 0:128]
    for c in nl.affine_range(3):
        t = nl.load(x[ip, c * 128 + iy], mask=(c * 128 + iy < cols))
        nl.store(out[:, nl.ds(c * 128, 32)], t[:, 0:32])
    return out
""",
        [(64, 300)],
    ),
    "a_mask_in_a_subscript": (
        """
@nki.jit
def k(x, y):
    kk, m = x.shape
    kk, n = y.shape
    out = nl.zeros((m, n), dtype=x.dtype, buffer=nl.shared_hbm)
    ip, im = nl.mgrid[0:64, 0:32]
    jp, jn = nl.mgrid[0:64, 0:40]
    op, on = nl.mgrid[0:32, 0:40]
    b = nl.load(y[jp, jn])
    for i in nl.affine_range((m + 31) // 32):
        a = nl.load(x[ip, i * 32 + im], mask=(i * 32 + im < m))
        s = nisa.nc_matmul(a[ip, im][i * 32 + im < m], b)
        nl.store(out[i * 32 + op, on], nl.copy(s, mask=(i * 32 + op < m)), mask=(i * 32 + op < m))
    return out
""",
        [(64, 50), (64, 40)],
    ),
    "masks_in_subscripts_of_a_sum": (
        """
@nki.jit
def k(x, y):
    kk, m = x.shape
    kk, n = y.shape
    out = nl.zeros((m, n), dtype=x.dtype, buffer=nl.shared_hbm)
    ip, im = nl.mgrid[0:64, 0:32]
    jp, jn = nl.mgrid[0:64, 0:40]
    op, on = nl.mgrid[0:32, 0:40]
    for i in nl.affine_range((m + 31) // 32):
        acc = nl.zeros((32, 40), dtype=nl.float32, buffer=nl.psum)
        for c in nl.affine_range((kk + 63) // 64):
            a = nl.load(x[c * 64 + ip, i * 32 + im], mask=(i * 32 + im < m) & (c * 64 + ip < kk))
            b = nl.load(y[c * 64 + jp, jn], mask=(c * 64 + jp < kk))
            acc += nisa.nc_matmul(a[ip, im][(i * 32 + im < m) & (c * 64 + ip < kk)], b[c * 64 + jp < kk])
        nl.store(out[i * 32 + op, on], nl.copy(acc, mask=(i * 32 + op < m)), mask=(i * 32 + op < m))
    return out
""",
        [(100, 50), (100, 40)],
    ),
    "a_mask_of_a_product": (
        """
@nki.jit
def k(x, y):
    kk, m = x.shape
    kk, n = y.shape
    out = nl.zeros((m, n), dtype=x.dtype, buffer=nl.shared_hbm)
    ip, im = nl.mgrid[0:64, 0:32]
    jp, jn = nl.mgrid[0:64, 0:40]
    acc = nl.zeros((32, 40), dtype=nl.float32, buffer=nl.psum)
    for c in nl.affine_range((kk + 63) // 64):
        a = nl.load(x[c * 64 + ip, im], mask=(c * 64 + ip < kk))
        b = nl.load(y[c * 64 + jp, jn], mask=(c * 64 + jp < kk))
        acc += nisa.nc_matmul(a, b, mask=(c * 64 + ip < kk))
    nl.store(out, nl.copy(acc))
    return out
""",
        [(100, 32), (100, 40)],
    ),
    "hbm_ints": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((2, 3, 64, 20), dtype=x.dtype, buffer=nl.shared_hbm)
    for i in nl.affine_range(2):
        part = x[i]
        for j in nl.affine_range(3):
            t = nl.load(part[j, 0:64, :])
            nl.store(out[i, j], t)
    return out
""",
        [(2, 3, 64, 20)],
    ),
    "operands_that_are_whole": (
        """
@nki.jit
def k(x, w):
    rows, cols = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    ip, iy = nl.mgrid[0:128, 0:60]
    g = nl.load(w[ip, iy])
    for i in nl.affine_range((rows + 127) // 128):
        t = nl.load(x[i * 128 + ip, iy], mask=(i * 128 + ip < rows))
        u = nl.ndarray((128, 60), dtype=x.dtype, buffer=nl.sbuf)
        u[ip, iy] = nl.add(t, g)
        v = nl.multiply(u, g)
        nl.store(out[i * 128 + ip, iy], nl.add(nl.exp(t), v), mask=(i * 128 + ip < rows))
    return out
""",
        [(200, 60), (128, 60)],
    ),
    "halves_or_pairs": (
        """
@nki.jit
def k(x, halves):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    ip = nl.arange(64)[:, None]
    first = nl.arange(32)[None, :]
    second = first + 32
    even = first if halves else 2 * first
    odd = second if halves else even + 1
    t = nl.load(x[ip, nl.arange(64)[None, :]])
    if halves:
        nl.store(out[ip, even], nl.exp(t[ip, odd]))
        nl.store(out[ip, odd], nl.copy(t[ip, even]))
    else:
        nl.store(out[ip, first], nl.exp(t[ip, odd]))
        nl.store(out[ip, second], nl.copy(t[ip, even]))
    return out
""",
        [(64, 64), 0],
    ),
    "reduced_over_a_loop": (
        """
@nki.jit
def k(x):
    n, m = x.shape
    sums = nl.ndarray((3, 64, m), dtype=x.dtype, buffer=nl.shared_hbm)
    total = nl.zeros((2, nl.par_dim(64), m), dtype=x.dtype, buffer=nl.sbuf)
    top = nl.full((64, m), -100.0, dtype=x.dtype, buffer=nl.sbuf)
    for i in nl.affine_range(n // 64):
        t = nl.load(x[i * 64 : (i + 1) * 64, 0:m])
        top[0:64, 0:m] = nl.loop_reduce(t, op=np.max, loop_indices=[i])
        for j in nl.affine_range(2):
            u = nl.multiply(t, 2.5)
            total[j, 0:64, 0:m] = nl.loop_reduce(u, op=np.add, loop_indices=[i], dtype=x.dtype)
    for j in nl.affine_range(2):
        nl.store(sums[j], total[j])
    nl.store(sums[2], top)
    return sums
""",
        [(192, 32)],
    ),
    "lists_of_tiles_from_two_places": (
        """
def scaled(tiles, other, i, offset=1.5):
    n, p, m = tiles.shape
    assert i < n
    bias = nl.ndarray((p, 1), dtype=nl.float32, buffer=nl.sbuf)
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
        n = x.shape[0] // 128
        c = nl.ndarray((n, nl.par_dim(128), 32), dtype=x.dtype, buffer=nl.sbuf)
        d = nl.ndarray((n, nl.par_dim(128), 32), dtype=x.dtype, buffer=nl.sbuf)
        for i in range(n):
            c[i] = nl.load(x[i * 128 : (i + 1) * 128, 0:32])
            scaled(c, d, i, offset=2.0)
            nl.store(out[i * 128 : (i + 1) * 128, 0:32], d[i])
    return out
""",
        [(384, 32), 2],
    ),
    "tiles_that_a_branch_allocates": (
        """
@nki.jit
def k(x, exact):
    out = nl.ndarray((256, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    n = x.shape[0] // 128
    ip, jf = nl.mgrid[0:128, 0:64]
    if exact:
        t = nl.ndarray((n, nl.par_dim(128), 64), dtype=nl.float32, buffer=nl.sbuf)
    else:
        t = nl.ndarray((n, nl.par_dim(128), 64), dtype=nl.bfloat16, buffer=nl.sbuf)
    for i in nl.affine_range(n):
        t[i, ip, jf] = nl.load(x[i * 128 + ip, jf])
        nl.store(out[i * 128 + ip, jf], nl.exp(t[i], dtype=x.dtype))
    return out
""",
        [(256, 64), 0],
    ),
    "tiles_that_a_branch_in_a_loop_allocates": (
        """
@nki.jit
def k(x, exact):
    out = nl.ndarray((256, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    last = None
    for i in range(2):
        if exact:
            t = nl.ndarray((2, nl.par_dim(64), 64), dtype=nl.float32, buffer=nl.sbuf)
        else:
            t = nl.ndarray((2, nl.par_dim(64), 64), dtype=nl.bfloat16, buffer=nl.sbuf)
        for j in nl.affine_range(2):
            t[j] = nl.load(x[i * 128 + j * 64 : i * 128 + (j + 1) * 64, 0:64])
        if last is None:
            last = nl.zeros((64, 64), dtype=nl.float32, buffer=nl.sbuf)
        for j in nl.affine_range(2):
            start = i * 128 + j * 64
            nl.store(out[start : start + 64, 0:64], nl.add(t[j], last, dtype=x.dtype))
    return out
""",
        [(256, 64), 0],
    ),
    "a_loop_that_runs_no_time": (
        """
@nki.jit
def k(x, n, m):
    out = nl.zeros((128, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    ip, f = nl.mgrid[0:128, 0:64]
    for i in nl.affine_range(m):
        t = nl.load(x[ip, f], mask=(ip < n))
        nl.store(out[ip, f], t, mask=(ip < n))
    u = nl.exp(nl.load(x[ip, f], mask=(ip < n)))
    nl.store(out[ip, f], u, mask=(ip < n))
    return out
""",
        [(128, 64), 100, 0],
    ),
    "view_of_one_of_several_tiles": (
        """
@nki.jit
def k(x):
    out = nl.ndarray((256, 16), dtype=nl.int16, buffer=nl.shared_hbm)
    t = nl.ndarray((2, nl.par_dim(128), 8), dtype=nl.float32, buffer=nl.sbuf)
    for i in range(2):
        t[i] = nl.load(x[i * 128 : (i + 1) * 128, 0:8])
    for i in range(2):
        nl.store(out[i * 128 : i * 128 + 100, 0:16], t.view(nl.int16)[i, :100, :16])
        nl.store(out[i * 128 + 100 : (i + 1) * 128, 0:16], t.view(nl.int16)[i, 100:128, :16])
    return out
""",
        [(256, 8)],
    ),
}
"""Kernel and its inputs: shapes of random ones, or integers."""


def array(given):
    if isinstance(given, int):
        return given
    if isinstance(given, list):
        return np.array(given, np.int32)
    return np.random.default_rng(sum(given)).uniform(-2, 2, given).astype(np.float32)


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_computes_the_same(name):
    text, inputs = KERNELS[name]
    check_same(text, "k", *map(array, inputs))


REFUSED = {
    "a predicate of two comparisons": (
        "a = nisa.affine_select(pred=(p >= f) & (p <= f + 5), on_true_tile=t, on_false_value=0.0)",
        "M-PRED",
    ),
    "a mask over two axes at once": ("a = nl.exp(t, mask=512 * p + f < n)", "M-MASK"),
    "a mask that is not a range": ("a = nl.exp(t, mask=p >= f)", "M-MASK"),
    "a product of index tiles": ("a = nl.copy(t[p, p * f])", "M-IDX"),
    "the diagonal of a tile": ("a = nl.copy(t[p, p])", "M-IDX"),
    "a quotient of an index tile": ("a = nl.copy(t[p, f // 3])", "M-IDX"),
    "an index tile as a tile": ("a = nl.add(t, f)", "M-IDX"),
}


def test_a_choice_of_index_tiles_is_known_in_both_arms():
    text, (shape, _) = KERNELS["halves_or_pairs"]
    check_same(text, "k", array(shape), 1)


def test_tiles_that_the_other_arm_allocates():
    text, (shape, _) = KERNELS["tiles_that_a_branch_allocates"]
    check_same(text, "k", array(shape), 1)


def test_sizes_of_a_list_of_tiles_are_spelled_without_a_shape_of_the_list():
    text, _ = KERNELS["lists_of_tiles_from_two_places"]
    new, reasons = migrated(HEAD + text)
    assert reasons == []
    assert "n, p, m = (len(tiles), 128, 32)" in new


def test_an_assertion_about_what_a_tile_holds_is_left_to_a_person():
    text = """
@nki.jit
def k(x):
    t = nl.load(x)
    assert t > 0, "positive"
    return x
"""
    assert migrated(HEAD + text)[1] == ["M-PY"]


REDUCED = {
    "an empty tile": "top = nl.ndarray((64, 32), dtype=x.dtype, buffer=nl.sbuf)",
    "a tile of another type": "top = nl.zeros((64, 32), dtype=nl.bfloat16, buffer=nl.sbuf)",
}


@pytest.mark.parametrize("what", REDUCED)
def test_what_nothing_is_reduced_into(what):
    text = f"""
@nki.jit
def k(x):
    {REDUCED[what]}
    for i in nl.affine_range(2):
        t = nl.load(x[i * 64 : (i + 1) * 64, 0:32])
        top[...] = nl.loop_reduce(t, op=np.max, loop_indices=[i])
    return top
"""
    assert migrated(HEAD + text)[1][0] in ("M-CARRIED", "M-DTYPE")


def test_a_reduction_over_a_loop_by_another_name_of_its_variable():
    text = """
@nki.jit
def k(x):
    out = nl.ndarray((64, 32), dtype=x.dtype, buffer=nl.shared_hbm)
    total = nl.zeros((64, 32), dtype=nl.float32, buffer=nl.sbuf)
    for i in nl.affine_range(3):
        tile_i = i
        t = nl.load(x[tile_i])
        total[...] = nl.loop_reduce(t, op=np.add, loop_indices=[tile_i], dtype=nl.float32)
    nl.store(out, total)
    return out
"""
    new = check_same(text, "k", np.random.default_rng(6).normal(size=(3, 64, 32)).astype(np.float32))
    assert "nisa.tensor_tensor(dst=total, data1=total, data2=t, op=nl.add)" in new
    other = text.replace("tile_i = i", "tile_i = 1")
    assert migrated(HEAD + other)[1] == ["M-CARRIED"]


@pytest.mark.parametrize("halves", [0, 1])
def test_a_choice_of_index_tiles_whose_condition_is_not_known(halves):
    text = """
@nki.jit
def k(x, halves):
    out = nl.ndarray((64, 32), dtype=x.dtype, buffer=nl.shared_hbm)
    ip, first = nl.mgrid[0:64, 0:32]
    even = first if halves else 2 * first
    t = nl.load(x[ip, even])
    nl.store(out, t)
    return out
"""
    check_same(text, "k", array((64, 64)), halves)


@pytest.mark.parametrize(
    ("change", "test"),
    [("    halves = not halves\n", "halves"), ("", "isinstance(halves, int)")],
)
def test_a_choice_of_index_tiles_whose_condition_is_another_one_by_now(change, test):
    text = f"""
@nki.jit
def k(x, halves):
    out = nl.ndarray((64, 32), dtype=x.dtype, buffer=nl.shared_hbm)
    ip, first = nl.mgrid[0:64, 0:32]
    even = first
    if {test}:
        even = 2 * first
{change}    t = nl.load(x[ip, even])
    nl.store(out, t)
    return out
"""
    assert migrated(HEAD + text)[1] == ["M-IDX"]


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_person_must_decide(what):
    statement, reason = REFUSED[what]
    text = f"""
@nki.jit
def k(x, n):
    out = nl.ndarray((128, 512), dtype=x.dtype, buffer=nl.shared_hbm)
    p, f = nl.mgrid[0:128, 0:512]
    t = nl.load(x[p, f])
    {statement}
    nl.store(out, a)
    return out
"""
    assert migrated(HEAD + text)[1] == [reason]


REPEATED = """\
@nki.jit
def k(x, rows):
    n, m = x.shape
    out = nl.ndarray((n, m), dtype=x.dtype, buffer=nl.shared_hbm)
    p, f = nl.mgrid[0:n, 0:m]
    tile = nl.load(rows)
    once = nl.ndarray((n, m), dtype=x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=once[p, f], src=tile[p * 0, f + 1])
    {statement}
    nl.store(out, once)
    return out
"""


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("pass", 0),
        ("once = nl.copy(tile[0 * p + 3, f + 1])", 3),
        ("once = nisa.tensor_tensor(once, tile[p * 0 + 2, f], nl.add)", None),
        ("nisa.dma_copy(dst=once[p, f], src=tile[p * 0 + 5, f + 1], mask=p < n)", 5),
    ],
)
def test_a_row_of_a_tile_that_is_read_for_every_partition(statement, row):
    rng = np.random.default_rng(5)
    x, rows = (rng.normal(size=size).astype(np.float32) for size in ((96, 20), (8, 21)))
    new = check_same_strictly(HEAD + REPEATED.format(statement=statement), x, rows)
    assert "broadcast_partitions(dst=" in new
    expected = rows[0:1, 1:] + rows[2:3, :-1] if row is None else rows[row : row + 1, 1:]
    np.testing.assert_array_equal(module(new).k(x, rows), np.broadcast_to(expected, x.shape))


@pytest.mark.parametrize(
    "statement", ["nisa.dma_copy(dst=once[p * 0, f], src=tile[p, f])", "once[0 * p, f] = 1.0"]
)
def test_a_row_of_a_tile_that_several_partitions_write(statement):
    assert "M-IDX" in migrated(HEAD + REPEATED.format(statement=statement))[1]


LOOKUP = """
@nki.jit
def k(table, ids):
    n, width = table.shape
    out = nl.ndarray((ids.shape[0], width), dtype=table.dtype, buffer=nl.shared_hbm)
    f = nl.arange(width)[None, :]
    for i in nl.affine_range(ids.shape[0] // 64):
        at = nl.load(ids[nl.ds(i * 64, 64), :])
        nl.store(out[nl.ds(i * 64, 64), :], nl.load(table[at, f]))
    return out
"""


def test_that_there_is_one_index_in_each_partition_is_asserted():
    table, ids = RNG.normal(size=(40, 64)).astype(np.float32), RNG.integers(0, 40, (128, 64)).astype(np.int32)
    new = check_same_strictly(HEAD + LOOKUP, table, ids[:, :1].copy())
    assert np.asarray(module(HEAD + LOOKUP).k(table, ids)).shape == (128, 64)  # elements, not rows
    with pytest.raises(AssertionError, match="one index for each partition"):
        module(new).k(table, ids)
    known = LOOKUP.replace("    f = ", "    assert ids.shape[1] == 1\n    f = ")
    assert "one index" not in check_same_strictly(HEAD + known, table, ids[:, :1].copy())


SELECTION = """
@nki.jit
def k(x, y):
    n, m = x.shape
    out = nl.ndarray((n, n), dtype=x.dtype, buffer=nl.shared_hbm)
    p, f = nl.arange(n)[:, None], nl.arange(n)[None, :]
    products = nl.copy(nl.matmul(nl.load(x), nl.load(y)))
    nl.store(out, nisa.affine_select(pred=p >= f, on_true_tile=products, on_false_value=-3.0))
    return out
"""


def test_a_tile_of_unknown_width_has_that_of_its_predicate():
    x, y = (RNG.normal(size=size).astype(np.float32) for size in ((24, 16), (16, 24)))
    new = check_same_strictly(HEAD + SELECTION, x, y)
    assert "pattern=[[-1, n]]" in new
    with pytest.raises(nkisim.SimulationError):
        module(new).k(x, y[:, :20].copy())


@pytest.mark.parametrize("rows", [1, 24])
def test_a_part_of_unknown_height_is_repeated(rows):
    check_same_strictly(
        f"""{HEAD}@nki.jit
def k(x, slopes):
    n, m = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    s = nl.load(slopes)
    for i in nl.affine_range(m):
        nl.store(out[:, i:i + 1], nl.load(x[:, i:i + 1]) * nl.broadcast_to(s[:, i:i + 1], shape=(n, 1)))
    return out
""",
        RNG.normal(size=(24, 5)).astype(np.float32),
        RNG.normal(size=(rows, 5)).astype(np.float32),
    )


def test_the_transpose_of_a_tile_is_not_copied_again():
    text = """
@nki.jit
def k(x):
    n, m = x.shape
    out = nl.ndarray((m, n), dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.copy(nl.transpose(nl.load(x)))
    nl.store(out, t)
    return out
"""
    new = check_same_strictly(HEAD + text, RNG.normal(size=(24, 40)).astype(np.float32))
    assert new.count("tensor_copy") == 1
