"""Kernels as people write them: attention, norms, convolutions, masks, block dimensions, functions.

Each is migrated whole and gives the same bits under strict rules (attention divides, which may differ in the last one).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from migrated import HEAD, check_same_strictly

RNG = np.random.default_rng(5)
INDEXES = RNG.integers(0, 1000, size=(128, 1)).astype(np.int32)


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


KERNELS: dict[str, tuple[str, tuple[Any, ...], float, str]] = {
    "attention": (
        "attn",
        (
            floats(64, 128),
            floats(64, 256),
            floats(256, 64),
        ),
        1e-06,
        """
@nki.jit
def attn(q_ref, k_ref, v_ref, scale=0.125):
    # one head: q (d, 128), k (d, seqlen), v (seqlen, d)
    d, sq = q_ref.shape
    _, sk = k_ref.shape
    out = nl.ndarray((sq, d), dtype=q_ref.dtype, buffer=nl.shared_hbm)
    q = nl.load(q_ref)
    k = nl.load(k_ref)
    qk = nl.matmul(q, k, transpose_x=True)
    s = nl.multiply(qk, scale)
    m = nl.max(s, axis=1, keepdims=True)
    p = nl.exp(s - m)
    denom = nl.sum(p, axis=1, keepdims=True)
    acc = nl.zeros((sq, d), dtype=nl.float32, buffer=nl.psum)
    for t in nl.affine_range(sk // 128):
        pt = nl.transpose(p[:, t * 128:(t + 1) * 128])
        vt = nl.load(v_ref[t * 128:(t + 1) * 128, :])
        acc += nl.matmul(pt, vt, transpose_x=True)
    o = acc / denom
    nl.store(out, o)
    return out
""",
    ),
    "flash_attention": (
        "flash",
        (
            floats(64, 256),
            floats(64, 256),
            floats(256, 64),
        ),
        0.0,
        """
@nki.jit
def flash(q_ref, k_ref, v_ref, causal=True):
    d, seq = q_ref.shape
    out = nl.ndarray((seq, d), dtype=q_ref.dtype, buffer=nl.shared_hbm)
    TILE = 128
    n = seq // TILE
    i_q = nl.arange(TILE)[:, None]
    i_k = nl.arange(TILE)[None, :]
    for qi in nl.affine_range(n):
        q = nl.load(q_ref[:, qi * TILE:(qi + 1) * TILE])
        q = nl.multiply(q, 1.0 / 8)
        m_run = nl.full((TILE, 1), fill_value=-30000.0, dtype=nl.float32, buffer=nl.sbuf)
        l_run = nl.zeros((TILE, 1), dtype=nl.float32, buffer=nl.sbuf)
        o_run = nl.zeros((TILE, d), dtype=nl.float32, buffer=nl.sbuf)
        for kj in nl.sequential_range(n):
            k = nl.load(k_ref[:, kj * TILE:(kj + 1) * TILE])
            v = nl.load(v_ref[kj * TILE:(kj + 1) * TILE, :])
            s_psum = nisa.nc_matmul(q, k)
            if causal:
                s = nisa.affine_select(pred=(qi * TILE + i_q >= kj * TILE + i_k), on_true_tile=nl.copy(s_psum), on_false_value=-9984.0, dtype=nl.float32)
            else:
                s = nl.copy(s_psum)
            m_new = nl.maximum(m_run, nl.max(s, axis=[1], keepdims=True))
            corr = nl.exp(nl.subtract(m_run, m_new))
            p = nisa.activation(op=nl.exp, data=s, bias=nl.negative(m_new), scale=1.0)
            row = nl.sum(p, axis=[1], keepdims=True)
            l_run[...] = nl.add(nl.multiply(l_run, corr), row)
            pT = nisa.tensor_copy(nisa.nc_transpose(p))
            pv = nl.matmul(pT, v, transpose_x=True)
            o_run[...] = nl.add(nl.multiply(o_run, corr), pv)
            m_run[...] = nl.copy(m_new)
        res = nl.multiply(o_run, nl.reciprocal(l_run))
        nl.store(out[qi * TILE:(qi + 1) * TILE, :], res)
    return out
""",
    ),
    "layernorm": (
        "layernorm",
        (
            floats(300, 256),
            floats(1, 256),
            floats(1, 256),
        ),
        0.0,
        """
@nki.jit
def layernorm(x, gamma, beta, *, eps=1e-5):
    rows, cols = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    ip = nl.arange(nl.tile_size.pmax)[:, None]
    jf = nl.arange(cols)[None, :]
    one = nl.arange(1)[:, None]
    g = nl.load(gamma[one, jf])
    bt = nl.load(beta[one, jf])
    gb = g.broadcast_to((nl.tile_size.pmax, cols))
    bb = bt.broadcast_to((nl.tile_size.pmax, cols))
    for t in nl.affine_range((rows + 127) // 128):
        m = t * 128 + ip < rows
        xt = nl.load(x[t * 128 + ip, jf], mask=m)
        mean = nl.mean(xt, axis=1, keepdims=True, mask=m)
        cen = nl.subtract(xt, mean, mask=m)
        sq = nl.square(cen, mask=m)
        var = nl.mean(sq, axis=[1], keepdims=True, mask=m)
        rstd = nl.rsqrt(nl.add(var, eps, mask=m), mask=m)
        y = nl.multiply(cen, rstd, mask=m)
        y = nl.multiply(y, gb, mask=m)
        y = nl.add(y, bb, mask=m)
        nl.store(out[t * 128 + ip, jf], value=y, mask=m)
    return out
""",
    ),
    "feed_forward": (
        "mlp",
        (
            floats(256, 128),
            floats(128, 512),
            floats(512, 128),
        ),
        0.0,
        """
@nki.jit
def mlp(x, w1, w2):
    T, H = x.shape
    I = w1.shape[1]
    y = nl.ndarray((T, H), dtype=x.dtype, buffer=nl.shared_hbm)
    w1_s = nl.load(w1)
    w2_s = nl.ndarray((I // 128, nl.par_dim(128), H), dtype=w2.dtype, buffer=nl.sbuf)
    for c in nl.affine_range(I // 128):
        w2_s[c] = nl.load(w2[c * 128:(c + 1) * 128, :])
    for t in nl.affine_range(T // 128):
        xT = nl.load_transpose2d(x[t * 128:(t + 1) * 128, :])
        res = nl.zeros((128, H), nl.float32, buffer=nl.psum)
        for c in nl.affine_range(I // 128):
            hp = nl.zeros((128, 128), nl.float32, buffer=nl.psum)
            hp[...] = nisa.nc_matmul(w1_s[:, c * 128:(c + 1) * 128], xT)
            a = nl.gelu(hp, dtype=x.dtype)
            res += nisa.nc_matmul(a, w2_s[c])
        nl.store(y[t * 128:(t + 1) * 128, :], value=res)
    return y
""",
    ),
    "padded_convolution": (
        "convpad",
        (
            floats(32, 40),
            floats(32, 5),
        ),
        0.0,
        """
@nki.jit
def convpad(img, filt):
    C, W = img.shape
    K = filt.shape[1]
    pad = K // 2
    out = nl.ndarray((C, W), dtype=img.dtype, buffer=nl.shared_hbm)
    ic = nl.arange(C)[:, None]
    iw = nl.arange(W)[None, :]
    w = nl.load(filt)
    acc = nl.zeros((C, W), dtype=nl.float32, buffer=nl.sbuf)
    for k in nl.static_range(K):
        t = nl.zeros((C, W), dtype=img.dtype, buffer=nl.sbuf)
        t[ic, iw] = nl.load(img[ic, iw + k - pad], mask=((iw + k - pad >= 0) & (iw + k - pad < W)))
        acc[ic, iw] += nl.multiply(t, w[ic, k])
    nl.store(out[ic, iw], acc)
    return out
""",
    ),
    "gather_of_rows": (
        "gath",
        (
            floats(1000, 64),
            INDEXES,
        ),
        0.0,
        """
@nki.jit
def gath(table, idx):
    n, d = table.shape
    out = nl.ndarray((idx.shape[0], d), dtype=table.dtype, buffer=nl.shared_hbm)
    ix = nl.arange(128)[:, None]
    iy = nl.arange(d)[None, :]
    ids = nl.load(idx)
    rows = nl.load(table[ids[ix, 0], iy])
    nl.store(out[ix, iy], rows)
    return out
""",
    ),
    "scan_in_pieces": (
        "scan",
        (
            floats(64, 256),
            floats(64, 256),
        ),
        0.0,
        """
@nki.jit
def scan(a, x):
    P, L = a.shape
    out = nl.ndarray((P, L), dtype=x.dtype, buffer=nl.shared_hbm)
    S = 64
    at = nl.load(a)
    xt = nl.load(x)
    state = nl.zeros((P, 1), dtype=nl.float32)
    y = nl.ndarray((nl.par_dim(P), L), dtype=nl.float32)
    for i in nl.static_range(L // S):
        sl = nl.ds(i * S, S)
        r = nisa.tensor_tensor_scan(at[:, sl], xt[:, sl], initial=state, op0=np.multiply, op1=np.add)
        y[:, sl] = nl.copy(r)
        state[...] = nl.copy(r[:, S - 1:S])
    nl.store(out, y)
    return out
""",
    ),
    "transposition": (
        "tr",
        (floats(256, 384),),
        0.0,
        """
@nki.jit
def tr(x):
    M, N = x.shape
    out = nl.ndarray((N, M), dtype=x.dtype, buffer=nl.shared_hbm)
    for m in nl.affine_range(M // 128):
        for n in nl.affine_range(N // 128):
            t = nl.load(x[nl.ds(m * 128, 128), nl.ds(n * 128, 128)])
            tt = nisa.nc_transpose(t)
            nl.store(out[nl.ds(n * 128, 128), nl.ds(m * 128, 128)], value=tt)
    return out
""",
    ),
    "pooling": (
        "k",
        (floats(64, 12, 16),),
        0.0,
        """
@nki.jit
def k(x):
    C, H, W = x.shape
    out = nl.ndarray((C, H // 2, W // 2), dtype=x.dtype, buffer=nl.shared_hbm)
    p = nl.arange(C)[:, None, None, None, None]
    i0 = nl.arange(H // 2)[None, :, None, None, None]
    i1 = nl.arange(2)[None, None, :, None, None]
    j0 = nl.arange(W // 2)[None, None, None, :, None]
    j1 = nl.arange(2)[None, None, None, None, :]
    t = nl.load(x)
    m = nl.max(t[p, 2 * i0 + i1, 2 * j0 + j1], axis=[2, 4])
    nl.store(out, m)
    return out
""",
    ),
    "rotation": (
        "k",
        (
            floats(128, 64),
            floats(128, 32),
            floats(128, 32),
        ),
        0.0,
        """
@nki.jit
def k(x, cos, sin):
    P, D = x.shape
    half = D // 2
    out = nl.ndarray((P, D), dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.load(x)
    c = nl.load(cos)
    s = nl.load(sin)
    lo = t[:, 0:half]
    hi = t[:, half:D]
    r = nl.ndarray((P, D), dtype=x.dtype, buffer=nl.sbuf)
    r[:, 0:half] = nl.subtract(nl.multiply(lo, c), nl.multiply(hi, s))
    r[:, half:D] = nl.add(nl.multiply(hi, c), nl.multiply(lo, s))
    nl.store(out, value=r)
    return out
""",
    ),
    "mean_over_rows": (
        "k",
        (floats(300, 64),),
        0.0,
        """
@nki.jit
def k(x):
    N, D = x.shape
    out = nl.ndarray((1, D), dtype=nl.float32, buffer=nl.shared_hbm)
    ones = nl.ones((128, 1), dtype=nl.float32, buffer=nl.sbuf)
    ps = nl.zeros((1, D), dtype=nl.float32, buffer=nl.psum)
    ix = nl.arange(128)[:, None]
    iy = nl.arange(D)[None, :]
    for i in nl.affine_range((N + 127) // 128):
        t = nl.zeros((128, D), dtype=nl.float32, buffer=nl.sbuf)
        t[ix, iy] = nl.load(x[i * 128 + ix, iy], mask=(i * 128 + ix < N))
        ps += nl.matmul(ones, t, transpose_x=True)
    nl.store(out, nl.multiply(ps, 1.0 / N))
    return out
""",
    ),
    "masks_at_both_ends": (
        "k",
        (
            floats(200, 100),
            64,
            170,
            10,
            90,
        ),
        0.0,
        """
@nki.jit
def k(x, r0, r1, c0, c1):
    R, C = x.shape
    out = nl.zeros((R, C), dtype=x.dtype, buffer=nl.shared_hbm)
    ix = nl.arange(128)[:, None]
    iy = nl.arange(128)[None, :]
    for i in nl.affine_range((R + 127) // 128):
        m = (i * 128 + ix >= r0) & (i * 128 + ix < r1) & (iy >= c0) & (iy < c1)
        t = nl.load(x[i * 128 + ix, iy], mask=m)
        nl.store(out[i * 128 + ix, iy], nl.multiply(t, 2.0, mask=m), mask=m)
    return out
""",
    ),
    "mask_of_a_reversed_index": (
        "k",
        (
            floats(128, 100),
            70,
        ),
        0.0,
        """
@nki.jit
def k(x, n):
    R, C = x.shape
    out = nl.zeros((R, C), dtype=x.dtype, buffer=nl.shared_hbm)
    ix = nl.arange(128)[:, None]
    iy = nl.arange(C)[None, :]
    t = nl.load(x[ix, C - 1 - iy], mask=(C - 1 - iy < n))
    nl.store(out[ix, iy], t, mask=(C - 1 - iy < n))
    return out
""",
    ),
    "mask_of_a_strided_index": (
        "k",
        (
            floats(128, 100),
            71,
        ),
        0.0,
        """
@nki.jit
def k(x, n):
    R, C = x.shape
    out = nl.zeros((R, 50), dtype=x.dtype, buffer=nl.shared_hbm)
    ix = nl.arange(128)[:, None]
    iy = nl.arange(50)[None, :]
    t = nl.load(x[ix, 2 * iy + 1], mask=(2 * iy + 1 < n))
    nl.store(out[ix, iy], t, mask=(2 * iy + 1 < n))
    return out
""",
    ),
    "block_dimension_read_twice": (
        "k",
        (floats(512, 64),),
        0.0,
        """
@nki.jit
def k(a):
    out = nl.ndarray((512, 64), dtype=a.dtype, buffer=nl.shared_hbm)
    buf = nl.ndarray((4, nl.par_dim(128), 64), dtype=a.dtype, buffer=nl.sbuf)
    for i in nl.affine_range(4):
        buf[i, :, :] = nl.load(a[i * 128:(i + 1) * 128, :])
    mx = nl.ndarray((128, 4), dtype=nl.float32, buffer=nl.sbuf)
    for i in nl.affine_range(4):
        mx[:, i] = nl.max(buf[i], axis=1)
    top = nl.max(mx, axis=1, keepdims=True)
    for i in nl.affine_range(4):
        nl.store(out[i * 128:(i + 1) * 128, :], nl.subtract(buf[i], top))
    return out
""",
    ),
    "halves_of_a_sum": (
        "k",
        (
            floats(256, 128),
            floats(256, 64),
        ),
        0.0,
        """
@nki.jit
def k(a, b):
    out = nl.ndarray((128, 64), dtype=a.dtype, buffer=nl.shared_hbm)
    ps = nl.zeros((128, 64), dtype=nl.float32, buffer=nl.psum)
    for i in nl.affine_range(2):
        x = nl.load(a[nl.ds(i * 128, 128), :])
        y = nl.load(b[nl.ds(i * 128, 128), :])
        ps[:, 0:32] += nl.matmul(x, y[:, 0:32], transpose_x=True)
        ps[:, 32:64] += nl.matmul(x, y[:, 32:64], transpose_x=True)
    nl.store(out, ps)
    return out
""",
    ),
    "function_that_writes": (
        "outer",
        (floats(128, 64),),
        0.0,
        """
def fill(dst, src, n):
    for i in nl.affine_range(n):
        dst[:, nl.ds(i * 16, 16)] = nl.exp(src[:, nl.ds(i * 16, 16)])
@nki.jit
def outer(x):
    P, F = x.shape
    out = nl.ndarray((P, F), dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.load(x)
    d = nl.ndarray((P, F), dtype=nl.float32, buffer=nl.sbuf)
    fill(d, t, F // 16)
    nl.store(out, d)
    return out
""",
    ),
    "formatted_assertions": (
        "k",
        (floats(128, 64),),
        0.0,
        """
@nki.jit
def k(x):
    assert x.ndim == 2, f"rank {x.ndim}, {x.shape!r} of '{x.dtype}' {{ok}}"
    assert x.shape[0] == 128, (
        f"bad {x.shape[0]:d}\\n"
        f"and {x.shape[1] * 2:>5}"
    )
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm, name=f"out_{x.shape[1]}")
    t = nl.load(x)
    nl.store(out, nl.sigmoid(t))
    return out
""",
    ),
    "asserted_shape": (
        "k",
        (
            floats(128, 64),
            floats(1, 64),
        ),
        0.0,
        """
@nki.jit
def k(x, g):
    P, F = x.shape
    assert g.shape == (1, F)
    out = nl.ndarray((P, F), dtype=x.dtype, buffer=nl.shared_hbm)
    gt = nl.load(g)
    r = gt.broadcast_to((P, F))
    nl.store(out, r)
    return out
""",
    ),
    "parts_of_any_rank": (
        "k",
        (floats(4, 128, 6, 5),),
        0.0,
        """
@nki.jit
def k(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    for b in nl.affine_range(x.shape[0]):
        t = nl.load(x[b])
        nl.store(out[b], nl.exp(t))
    return out
""",
    ),
    "parts_that_are_written_and_read": (
        "k",
        (floats(128, 64),),
        0.0,
        """
@nki.jit
def k(x):
    out = nl.ndarray((128, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.load(x)
    s = t[:, 0:8]
    t[:, 0:8] = nl.exp(s)
    s[...] = nl.add(s, 1.0)
    nl.store(out, t)
    return out
""",
    ),
    "several_results_unpacked": (
        "k",
        (floats(128, 64),),
        0.0,
        """
def halves(t, n):
    return t[:, 0:n], t[:, n:2 * n]


@nki.jit
def k(x):
    P, F = x.shape
    out = nl.ndarray((P, F // 2), dtype=x.dtype, buffer=nl.shared_hbm)
    left, right = halves(nl.load(x), F // 2)
    nl.store(out, nl.multiply(left, right))
    return out
""",
    ),
    "several_results_in_one": (
        "k",
        (floats(128, 64),),
        0.0,
        """
def halves(t, n):
    return t[:, 0:n], t[:, n:2 * n]


@nki.jit
def k(x):
    P, F = x.shape
    out = nl.ndarray((P, F // 2), dtype=x.dtype, buffer=nl.shared_hbm)
    both = halves(nl.load(x), F // 2)
    nl.store(out, nl.multiply(both[0], both[1]))
    return out
""",
    ),
    "slices_between_names_of_chosen_sizes": (
        "k",
        (floats(100, 96),),
        0.0,
        """
@nki.jit
def k(x):
    P, F = x.shape
    if F <= 64:
        tile = F
    else:
        tile = 32
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    for t in nl.affine_range(F // tile):
        start = t * tile
        stop = start + tile
        half = nl.load(x[:, start:stop]) * 0.5
        nl.store(out[:, start:stop], nl.abs(half))
    return out
""",
    ),
    "rows_of_a_matrix_of_which_nothing_else_is_known": (
        "k",
        (floats(64, 24), floats(3, 24)),
        0.0,
        """
@nki.jit
def k(x, rows):
    P, F = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    row = nl.load(rows[1:2, :]).broadcast_to((P, F))
    column = nl.load(x[:, 0:1]).broadcast_to((P, F))
    nl.store(out, nl.abs(row - column) * 2.0)
    return out
""",
    ),
    "functions_that_count_their_calls": (
        "k",
        (floats(128, 64),),
        0.0,
        """
def counted(t, calls):
    nl.store(calls, nl.add(nl.load(calls), 1.0))
    return nl.multiply(t, 2.0)


def product(t, calls):
    return nl.matmul(counted(t, calls), t, transpose_x=True)


@nki.jit
def k(x):
    P, F = x.shape
    out = nl.ndarray((F, F), dtype=x.dtype, buffer=nl.shared_hbm)
    calls = nl.ndarray((1, 1), dtype=nl.float32, buffer=nl.shared_hbm)
    nl.store(calls, nl.zeros((1, 1), dtype=nl.float32, buffer=nl.sbuf))
    t = nl.load(x)
    t = nl.abs(counted(t, calls)) + counted(t, calls)
    t += counted(t, calls)
    nl.store(out, product(t, calls))
    return out, calls
""",
    ),
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_give_the_same(name: str) -> None:
    function, arguments, rtol, body = KERNELS[name]
    check_same_strictly(HEAD + body.lstrip("\n"), *arguments, name=function, rtol=rtol)
