"""Reference mathematics of the mixtures of experts, in plain NumPy: routing, experts, blocks, MX formats, gradients.

Everything is float32 ("exact maths") but for the narrow formats, which have explicit rounding helpers. An example of
each layout is in :func:`self_check`, which also compares the gradients with finite differences.
"""

from math import erf

import numpy as np

f32 = np.float32


# ----------------------------------------------------------------------------------
# narrow number formats
# ----------------------------------------------------------------------------------
def bf16(x):
    """round-to-nearest-even to bfloat16, returned as float32"""
    u = np.ascontiguousarray(x, dtype=f32).view(np.uint32)
    r = ((u >> 16) & 1) + np.uint32(0x7FFF)
    return ((u + r) & np.uint32(0xFFFF0000)).view(f32)


def fp16(x):
    return np.asarray(x, f32).astype(np.float16).astype(f32)


FP4_TABLE = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], f32)
MX_MAX = {"e5m2": 57344.0, "e4m3": 448.0, "e2m1": 6.0}
MX_MAXEXP = {"e5m2": 15, "e4m3": 8, "e2m1": 2}


def fp8_decode_table(kind):
    out = np.zeros(256, f32)
    for c in range(256):
        s = -1.0 if c & 0x80 else 1.0
        if kind == "e4m3":  # "fn": no inf, S.1111.111 is NaN
            e, m = (c >> 3) & 15, c & 7
            if e == 15 and m == 7:
                v = np.nan
            else:
                v = (m / 8) * 2.0**-6 if e == 0 else (1 + m / 8) * 2.0 ** (e - 7)
        else:  # e5m2
            e, m = (c >> 2) & 31, c & 3
            if e == 31:
                v = np.inf if m == 0 else np.nan
            else:
                v = (m / 4) * 2.0**-14 if e == 0 else (1 + m / 4) * 2.0 ** (e - 15)
        out[c] = s * v
    return out


TABLES = {"e4m3": fp8_decode_table("e4m3"), "e5m2": fp8_decode_table("e5m2"), "e2m1": FP4_TABLE}


def encode(x, kind):
    """nearest-even encode of values already inside +-max normal -> uint8 codes"""
    tab = TABLES[kind]
    n = len(tab) // 2
    pos = tab[:n]
    ok = np.isfinite(pos)
    vals, codes = pos[ok].astype(np.float64), np.arange(n)[ok]  # ascending
    a = np.abs(np.asarray(x, np.float64))
    hi = np.clip(np.searchsorted(vals, a), 0, len(vals) - 1)
    lo = np.maximum(hi - 1, 0)
    dh, dl = np.abs(vals[hi] - a), np.abs(a - vals[lo])
    pick = np.where(dl < dh, lo, np.where(dh < dl, hi, np.where(codes[lo] % 2 == 0, lo, hi)))
    c = codes[pick].astype(np.uint8)
    return np.where(np.signbit(np.asarray(x, f32)), c | np.uint8(n), c).astype(np.uint8)


def decode(c, kind):
    return TABLES[kind][np.asarray(c, np.uint8)]


def pack_x4(codes, kind):
    """codes[..., F] (F%4==0), lane = last axis mod 4 -> x4 words [..., F/4]"""
    c = np.asarray(codes, np.uint8)
    c = c.reshape((*c.shape[:-1], c.shape[-1] // 4, 4)).astype(np.uint32)
    w = 4 if kind == "e2m1" else 8
    v = sum(c[..., q] << np.uint32(w * q) for q in range(4))
    return v.astype(np.uint16 if kind == "e2m1" else np.uint32)


def unpack_x4(words, kind):
    w, m = (4, 15) if kind == "e2m1" else (8, 255)
    v = np.asarray(words).astype(np.uint32)
    c = np.stack([(v >> np.uint32(w * q)) & np.uint32(m) for q in range(4)], -1)
    return c.reshape((*v.shape[:-1], v.shape[-1] * 4)).astype(np.uint8)


# ----------------------------------------------------------------------------------
# MX instructions
# ----------------------------------------------------------------------------------
def quantize_mx(src, kind="e4m3", saturate=True):
    """src [P,F] -> (codes [P,F] uint8, scale [P/8,F/4] uint8)"""
    src = np.asarray(src, f32)
    P, F = src.shape
    ex = ((src.view(np.uint32) >> 23) & 255).astype(np.int32)
    s = ex.reshape(P // 8, 8, F // 4, 4).max((1, 3)) - MX_MAXEXP[kind]
    s8 = (s % 256).astype(np.uint8)  # wraps when negative (tiny/zero groups)
    sc = 2.0 ** (s8.astype(np.float64) - 127)
    y = src.astype(np.float64) / np.repeat(np.repeat(sc, 8, 0), 4, 1)
    if saturate:
        y = np.clip(y, -MX_MAX[kind], MX_MAX[kind])
    return encode(y, kind), s8


def dequant(codes, scale, kind):
    """codes [P,F], dense scale [P/8,F/4] -> float32 [P,F]"""
    sc = np.exp2(scale.astype(np.float64) - 127)
    return (decode(codes, kind) * np.repeat(np.repeat(sc, 8, 0), 4, 1)).astype(f32)


def nc_matmul_mx(st, ss, mv, ms, st_kind="e4m3", mv_kind="e4m3"):
    """codes st [P,4I], mv [P,4J]; dense scales [P/8,I],[P/8,J] -> fp32 [I,J]"""
    a = dequant(st, ss, st_kind)
    b = dequant(mv, ms, mv_kind)
    P = a.shape[0]
    return np.einsum("kiq,kjq->ij", a.reshape(P, -1, 4), b.reshape(P, -1, 4)).astype(f32)


# ----------------------------------------------------------------------------------
# MX MoE weight layouts <-> natural matrices
# ----------------------------------------------------------------------------------
def h_of(p, t, q, H):
    """natural hidden index held by partition p, 512-tile t, lane q"""
    return q * (H // 4) + t * 128 + p


def mx_gate_up_to_natural(codes, scale, kind, H, I):
    """codes [128,2,H/512,I,4], scale [16,2,H/512,I] (one expert) -> [H,2,I] float32"""
    nt = H // 512
    W = np.zeros((H, 2, I), f32)
    p = np.arange(128)
    for g in range(2):
        for t in range(nt):
            s = np.exp2(scale[p // 8, g, t].astype(np.float64) - 127)  # [128,I]
            for q in range(4):
                W[h_of(p, t, q, H), g] = decode(codes[:, g, t, :, q], kind) * s
    return W


def i_tiles(I):
    """list of (tile, size, Ip) for the x4-packed intermediate axis"""
    return [(t, min(512, I - 512 * t), min(512, I - 512 * t) // 4) for t in range(-(-I // 512))]


def mx_down_to_natural(codes, scale, kind, I, H):
    """codes [I_p,ceil(I/512),H,4], scale [I_p/8,ceil(I/512),H] -> [I,H] float32"""
    W = np.zeros((I, H), f32)
    for t, _r, ip in i_tiles(I):
        p = np.arange(ip)
        s = np.exp2(scale[p // 8, t].astype(np.float64) - 127)  # [ip,H]
        for q in range(4):
            W[t * 512 + q * ip + p] = decode(codes[:ip, t, :, q], kind) * s
    return W


def mx_bias_to_natural(b, I):
    """[I_p,2,ceil(I/512),4] -> [2,I]"""
    out = np.zeros((2, I), f32)
    for t, _r, ip in i_tiles(I):
        for q in range(4):
            out[:, t * 512 + q * ip + np.arange(ip)] = b[:ip, :, t, q].T
    return out


def mx_quant_dequant_hidden(x, kind="e4m3"):
    """[T,H] -> value seen by the MX gate/up matmul (groups: 8 consecutive h, 4 lanes H/4 apart)"""
    T, H = x.shape
    nt = H // 512
    v = np.asarray(x, f32).reshape(T, 4, nt, 128).transpose(3, 2, 0, 1).reshape(128, nt * T * 4)
    c, s = quantize_mx(v, kind)
    d = dequant(c, s, kind).reshape(128, nt, T, 4).transpose(2, 3, 1, 0)
    return d.reshape(T, H)


def mx_quant_dequant_inter(y, kind="e4m3"):
    """[T,I] intermediate -> value seen by the MX down matmul"""
    T, I = y.shape
    out = np.zeros_like(y, dtype=f32)
    for t, r, ip in i_tiles(I):
        blk = (
            np.asarray(y[:, t * 512 : t * 512 + r], f32)
            .reshape(T, 4, ip)
            .transpose(2, 0, 1)
            .reshape(ip, T * 4)
        )
        c, s = quantize_mx(blk, kind)
        out[:, t * 512 : t * 512 + r] = dequant(c, s, kind).reshape(ip, T, 4).transpose(1, 2, 0).reshape(T, r)
    return out


# ----------------------------------------------------------------------------------
# activations
# ----------------------------------------------------------------------------------
_erf = np.vectorize(erf)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-np.asarray(x, np.float64)))


def act(x, name="SiLU"):
    x = np.asarray(x, np.float64)
    if name == "SiLU":
        r = x * sigmoid(x)
    elif name == "Swish":
        r = x * sigmoid(1.702 * x)
    elif name == "GELU":
        r = 0.5 * x * (1 + _erf(x / np.sqrt(2)))
    elif name == "GELU_Tanh_Approx":
        r = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    else:
        raise ValueError(name)
    return r.astype(f32)


def dact(x, name="SiLU"):
    x = np.asarray(x, np.float64)
    if name == "Swish":
        z = 1.702 * x
        s = sigmoid(z)
        return (s * (1 + z * (1 - s))).astype(f32)
    s = sigmoid(x)
    return (s * (1 + x * (1 - s))).astype(f32)


def clamp(x, hi=None, lo=None):
    if hi is not None:
        x = np.minimum(x, f32(hi))
    if lo is not None:
        x = np.maximum(x, f32(lo))
    return x


# ----------------------------------------------------------------------------------
# router
# ----------------------------------------------------------------------------------
def router_topk(x, w, bias=None, k=1, act_fn="softmax", pre_norm=True, norm_topk=False):
    """x [T,H], w [H,E] -> logits, index[T,k], affinities[T,E], eager[T,k] (None if undefined)"""
    L = x.astype(f32) @ w.astype(f32)
    if bias is not None:
        L = L + np.asarray(bias, f32).reshape(1, -1)

    def a(v):
        if act_fn == "sigmoid":
            return sigmoid(v).astype(f32)
        z = np.exp(v - v.max(-1, keepdims=True))
        return (z / z.sum(-1, keepdims=True)).astype(f32)

    full = a(L) if pre_norm else L
    idx = np.argsort(-full, axis=-1, kind="stable")[:, :k].astype(np.uint32)
    top = np.take_along_axis(full, idx.astype(np.int64), -1)
    if pre_norm and not norm_topk:
        return L, idx, full, None
    top = top / top.sum(-1, keepdims=True) if pre_norm else a(top)
    aff = np.zeros_like(L)
    np.put_along_axis(aff, idx.astype(np.int64), top, -1)
    return L, idx, aff, top


# ----------------------------------------------------------------------------------
# token-generation MoE
# ----------------------------------------------------------------------------------
def mlp_expert(
    x,
    wgu,
    wd,
    bgu=None,
    bd=None,
    sgu=None,
    sd=None,
    act_name="SiLU",
    g_hi=None,
    g_lo=None,
    u_hi=None,
    u_lo=None,
    mx=False,
):
    """x [T,H]; wgu [H,2,I]; wd [I,H] (already de-quantised when mx) -> [T,H]"""
    if mx:
        x = mx_quant_dequant_hidden(x) if mx is True else x
    G, U = x @ wgu[:, 0], x @ wgu[:, 1]
    if sgu is not None:
        G, U = G * sgu[0], U * sgu[1]
    if bgu is not None:
        G, U = G + bgu[0], U + bgu[1]
    M = act(clamp(G, g_hi, g_lo), act_name) * clamp(U, u_hi, u_lo)
    if mx:
        M = mx_quant_dequant_inter(bf16(M))  # what is quantised has 16 bits
    O = M @ wd
    if sd is not None:
        O = O * sd
    if bd is not None:
        O = O + bd
    return O


def moe_tkg(x, wgu, wd, aff, idx, all_expert, rank=0, mask=False, post_scale=True, eager=None, **kw):
    """per-expert lists/arrays indexed by local expert; kw values indexed [e] when not None"""
    T, H = x.shape
    EL = len(wgu)
    per = {n: kw.pop(n, None) for n in ("bgu", "bd", "sgu", "sd")}
    out = np.zeros((T, H), f32)
    y = [
        mlp_expert(x, wgu[e], wd[e], **{n: (None if v is None else v[e]) for n, v in per.items()}, **kw)
        for e in range(EL)
    ]
    if all_expert:
        a = aff[:, rank * EL : (rank + 1) * EL].astype(f32)
        if mask:
            a = a * (idx[:, :, None] == (rank * EL + np.arange(EL))).any(1)
        for e in range(EL):
            out += y[e] * (a[:, e : e + 1] if post_scale else 1)
        return out
    for t in range(T):
        for j, e in enumerate(idx[t]):
            s = (eager[t, j] if eager is not None else aff[t, e]) if post_scale else 1
            out[t] += s * y[e][t]
    return out


# ----------------------------------------------------------------------------------
# block-wise (context encoding) MoE
# ----------------------------------------------------------------------------------
def build_maps(sel, E, B, round_to=1, skip_token=False, pad_id=None):
    """sel [T,k] expert ids.  -> token_position_to_id int32 [N*B], block_to_expert int32 [N], n_real"""
    T, k = sel.shape
    N = -(-(T * k - (E - 1)) // B) + E - 1
    N = -(-N // round_to) * round_to
    pad = (-1 if skip_token else T) if pad_id is None else pad_id
    tp = np.full((N, B), pad, np.int32)
    be, b = [], 0
    for e in range(E):
        toks = np.nonzero((sel == e).any(1))[0]
        for i in range(0, len(toks), B):
            c = toks[i : i + B]
            tp[b, : len(c)] = c
            be.append(e)
            b += 1
    be += [E - 1] * (N - b)
    return tp.reshape(-1), np.array(be, np.int32), b


def masked_affinities(sel, aff, E, rows):
    """[rows*E,1]: aff at selected (token,expert), zero elsewhere; rows = T or T+1"""
    m = np.zeros((rows, E), f32)
    for t in range(sel.shape[0]):
        m[t, sel[t]] = aff[t, sel[t]]
    return m.reshape(-1, 1)


def moe_cte(
    hidden,
    aff,
    wgu,
    wd,
    tp,
    be,
    B,
    n_blocks=None,
    bgu=None,
    bd=None,
    sgu=None,
    sd=None,
    act_name="SiLU",
    mode="POST",
    accumulate=True,
    multiply_on_I=False,
    g_hi=None,
    g_lo=None,
    u_hi=None,
    u_lo=None,
    mx=False,
    checkpoints=False,
):
    """hidden [R,H] (R=T or T+1), aff [R*E,1], wgu[e] [H,2,I], wd[e] [I,H].
    n_blocks: number of leading blocks to run.  Returns out [R,H] (+ gu_T, down)."""
    R, H = hidden.shape
    E, I = len(wgu), wgu[0].shape[-1]
    N = len(be)
    out = np.zeros((R, H), f32)
    guT, dn = np.zeros((N, 2, I, B), f32), np.zeros((N, B, H), f32)
    A = aff.reshape(R, E).astype(f32)
    hq = mx_quant_dequant_hidden(hidden) if mx else hidden.astype(f32)
    for b in range(N if n_blocks is None else n_blocks):
        ids = tp[b * B : (b + 1) * B]
        e = int(be[b])
        ok = (ids >= 0) & (ids < R)
        X = np.zeros((B, H), f32)
        X[ok] = hq[ids[ok]]
        a = np.zeros((B, 1), f32)
        a[ok, 0] = A[ids[ok], e]
        if mode == "PRE_H":
            X = X * a
        G, U = X @ wgu[e][:, 0], X @ wgu[e][:, 1]
        if sgu is not None:
            G, U = G * sgu[e][0], U * sgu[e][1]
        if bgu is not None:
            G, U = G + bgu[e][0], U + bgu[e][1]
        G, U = clamp(G, g_hi, g_lo), clamp(U, u_hi, u_lo)
        guT[b, 0], guT[b, 1] = G.T, U.T
        if mode in ("PRE_SCALE_I",):
            G, U = G * a, U * a
        M = act(G, act_name) * U
        if multiply_on_I:
            M = M * a
        if mx:
            M = mx_quant_dequant_inter(bf16(M))  # what is quantised has 16 bits
        O = M @ wd[e]
        if sd is not None:
            O = O * sd[e]
        dn[b] = O
        if bd is not None and not multiply_on_I:
            O = O + bd[e]
        if mode == "POST" and not multiply_on_I:
            O = O * a
        if accumulate:
            np.add.at(out, ids[ok], O[ok])
        else:
            out[ids[ok]] = O[ok]
    return (out, guT, dn) if checkpoints else out


def moe_dense(x, wgu, wd, aff_masked, **kw):
    """dense check: sum_e aff[t,e] * MLP_e(x[t]) using an [T,E] affinity matrix"""
    T = x.shape[0]
    out = np.zeros((T, x.shape[1]), f32)
    for e in range(len(wgu)):
        out += aff_masked[:T, e : e + 1] * mlp_expert(
            x,
            wgu[e],
            wd[e],
            **{k: (v[e] if v is not None and k in ("bgu", "bd", "sgu", "sd") else v) for k, v in kw.items()},
        )
    return out


# ----------------------------------------------------------------------------------
# backward
# ----------------------------------------------------------------------------------
def bwd(
    hidden,
    aff,
    wgu,
    wd,
    guT,
    dn,
    tp,
    be,
    dout,
    B,
    act_name="SiLU",
    accumulate=True,
    lin_hi=None,
    lin_lo=None,
    nl_hi=None,
    nl_lo=None,
):
    """returns dX, dAff [R*E,1], dWgu [E,H,2,I], dWd [E,I,H], dbgu [E,2,I], dbd [E,H]"""
    R, H = hidden.shape
    E, I = len(wgu), wgu[0].shape[-1]
    A = aff.reshape(R, E)
    dX, dA = np.zeros((R, H), f32), np.zeros((R, E), f32)
    dWgu, dWd = np.zeros((E, H, 2, I), f32), np.zeros((E, I, H), f32)
    dbgu, dbd = np.zeros((E, 2, I), f32), np.zeros((E, H), f32)
    for b in range(len(be)):
        ids, e = tp[b * B : (b + 1) * B], int(be[b])
        ok = (ids >= 0) & (ids < R)
        g = np.zeros((B, H), f32)
        g[ok] = dout[ids[ok]]
        X = np.zeros((B, H), f32)
        X[ok] = hidden[ids[ok]]
        a = np.zeros((B, 1), f32)
        a[ok, 0] = A[ids[ok], e]
        dA[ids[ok], e] = (g * dn[b]).sum(1)[ok]
        dD = g * a
        G, U = guT[b, 0].T, guT[b, 1].T
        S = act(G, act_name)
        M = S * U
        dWd[e] += M.T @ dD
        dM = dD @ wd[e].T
        dU, dG = dM * S, dM * U * dact(G, act_name)
        for v, hi, lo, d in ((U, lin_hi, lin_lo, dU), (G, nl_hi, nl_lo, dG)):
            if hi is not None:
                d *= v < hi
            if lo is not None:
                d *= v > lo
        dx = dG @ wgu[e][:, 0].T + dU @ wgu[e][:, 1].T
        if accumulate:
            np.add.at(dX, ids[ok], dx[ok])
        else:
            dX[ids[ok]] = dx[ok]
        dWgu[e][:, 0] += X.T @ dG
        dWgu[e][:, 1] += X.T @ dU
        dbd[e] += dD.sum(0)
        dbgu[e][0] += dG.sum(0)
        dbgu[e][1] += dU.sum(0)
    return dX, dA.reshape(-1, 1), dWgu, dWd, dbgu, dbd


# ----------------------------------------------------------------------------------
# RMSNorm used by moe_block_tkg
# ----------------------------------------------------------------------------------
def rmsnorm(x, gamma, eps=1e-6, h_actual=None):
    n = x.shape[-1] if h_actual is None else h_actual
    v = (x.astype(f32) ** 2).sum(-1, keepdims=True) / n
    return (x * gamma.reshape(1, -1) / np.sqrt(v + eps)).astype(f32)


def close(a, b, rtol, atol=1e-5):
    """comparator used by all test tables: global-range relative tolerance"""
    a, b = np.asarray(a, f32), np.asarray(b, f32)
    fin = np.isfinite(b)
    m = np.abs(b[fin]).max() if fin.any() else 0.0
    return bool(np.all(np.abs(a - b) <= atol + rtol * m))


# ----------------------------------------------------------------------------------
def self_check():
    r = np.random.default_rng(0)
    # --- MX round trip
    for kind in ("e4m3", "e5m2"):
        src = bf16(r.standard_normal((32, 16)))
        c, s = quantize_mx(src, kind)
        d = dequant(c, s, kind)
        rel = np.abs(d - src).max() / np.abs(src).max()
        assert rel < 0.13, rel  # saturation: 1.99..*2^max_exp clips to 1.75*2^max_exp
        assert np.array_equal(unpack_x4(pack_x4(c, kind), kind), c)
        c2, s2 = quantize_mx(d, kind)
        assert np.array_equal(dequant(c2, s2, kind), d)
    assert list(decode(np.arange(8), "e2m1")) == [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    # --- exact quantisation example
    ex = np.zeros((8, 4), f32)
    ex[0, 0], ex[3, 2], ex[7, 3] = 1.0, -3.0, 0.1
    c, s = quantize_mx(np.vstack([ex] * 4), "e4m3")
    _z, _sz = quantize_mx(np.zeros((32, 4), f32), "e4m3")
    # --- nc_matmul_mx equals ordinary matmul on representable data
    a = r.integers(-3, 4, (32, 4 * 8)).astype(f32)
    bb = r.integers(-3, 4, (32, 4 * 5)).astype(f32)
    ca, sa = quantize_mx(a)
    cb, sb = quantize_mx(bb)
    ref = np.einsum("kiq,kjq->ij", a.reshape(32, 8, 4), bb.reshape(32, 5, 4))
    assert np.array_equal(nc_matmul_mx(ca, sa, cb, sb), ref)
    # --- router
    x = bf16(r.uniform(-0.1, 0.1, (4, 128)))
    w = bf16(r.uniform(-0.1, 0.1, (128, 16)))
    for pn, nt in ((0, 0), (1, 0), (1, 1)):
        for fn in ("softmax", "sigmoid"):
            _, i, A, e = router_topk(x, w, None, 4, fn, bool(pn), bool(nt))
            if e is not None:
                assert (A != 0).sum() == 16
                assert np.allclose(np.take_along_axis(A, i.astype(int), 1), e)
                if fn == "softmax" or nt:
                    assert np.allclose(A.sum(1), 1, atol=1e-5)
    # softmax over top-k == masked full softmax renormalised
    _L, i, A, e = router_topk(x, w, None, 4, "softmax", False)
    _, _, A2, _ = router_topk(x, w, None, 4, "softmax", True, True)
    assert np.allclose(A, A2, atol=1e-6)
    # --- block-wise vs dense
    T, H, I, E, k, B = 37, 128, 32, 4, 2, 16
    xx = r.random((T, H)).astype(f32)
    wgu = r.uniform(-0.1, 0.1, (E, H, 2, I)).astype(f32)
    wd = r.uniform(-0.1, 0.1, (E, I, H)).astype(f32)
    bgu = r.uniform(-1, 1, (E, 2, I)).astype(f32)
    bd = r.uniform(-1, 1, (E, H)).astype(f32)
    sel = np.stack([r.choice(E, k, replace=False) for _ in range(T)])
    aff = r.random((T, E)).astype(f32)
    for skip in (False, True):
        tp, be, nreal = build_maps(sel, E, B, 2, skip)
        rows = T if skip else T + 1
        hid = xx if skip else np.vstack([xx, np.zeros((1, H), f32)])
        am = masked_affinities(sel, aff, E, rows)
        o = moe_cte(hid, am, wgu, wd, tp, be, B, bgu=bgu, bd=bd, g_hi=0.7, u_lo=-0.3)
        d = moe_dense(xx, wgu, wd, am.reshape(rows, E), bgu=bgu, bd=bd, g_hi=0.7, u_lo=-0.3)
        assert np.allclose(o[:T], d, atol=1e-4)
        assert rows == T or not o[T].any()
        o2 = moe_cte(hid, am, wgu, wd, tp, be, B, n_blocks=nreal, bgu=bgu, bd=bd, g_hi=0.7, u_lo=-0.3)
        assert np.array_equal(o, o2)  # padding blocks contribute nothing
        p1 = moe_cte(hid, am, wgu, wd, tp, be, B, multiply_on_I=True)
        p2 = moe_cte(hid, am, wgu, wd, tp, be, B)
        assert np.allclose(p1, p2, atol=1e-4)  # no bias: on-I == on-H
    # --- tkg selective == tkg all-expert with mask, E ranks summed
    idx = sel.astype(np.uint32)
    full = sum(
        moe_tkg(xx, wgu[rk * 2 : rk * 2 + 2], wd[rk * 2 : rk * 2 + 2], aff, idx, True, rk, True)
        for rk in range(2)
    )
    one = moe_tkg(xx, wgu, wd, aff, idx, False)
    assert np.allclose(full, one, atol=1e-4)
    # --- backward by finite differences (float64 would be nicer; float32 with coarse tolerance)
    tp, be, nreal = build_maps(sel, E, B, 1, False)
    hid = np.vstack([xx, np.zeros((1, H), f32)])
    am = masked_affinities(sel, aff, E, T + 1)
    _out, guT, dn = moe_cte(hid, am, wgu, wd, tp, be, B, bgu=bgu, bd=bd, checkpoints=True)
    dn_b = dn + bd[be][:, None, :]  # checkpoint including the down bias
    dout = r.uniform(-1, 1, hid.shape).astype(f32)
    dout[T] = 0
    dX, dA, dWgu, dWd, dbgu, dbd = bwd(hid, am, wgu, wd, guT, dn_b, tp, be, dout, B)

    def loss(**q):
        a_ = dict(hidden=hid, aff=am, wgu=wgu, wd=wd, bgu=bgu, bd=bd)
        a_.update(q)
        return float(
            (
                moe_cte(
                    a_["hidden"], a_["aff"], a_["wgu"], a_["wd"], tp, be, B, bgu=a_["bgu"], bd=a_["bd"]
                ).astype(np.float64)
                * dout
            ).sum()
        )

    for name, arr, grad in (
        ("hidden", hid, dX),
        ("wgu", wgu, dWgu),
        ("wd", wd, dWd),
        ("bgu", bgu, dbgu),
        ("bd", bd, dbd),
    ):
        d = r.standard_normal(arr.shape).astype(f32)
        if name == "hidden":
            d[T] = 0
        h = 1e-2
        num = (loss(**{name: arr + h * d}) - loss(**{name: arr - h * d})) / (2 * h)
        ana = float((grad.astype(np.float64) * d).sum())
        assert abs(num - ana) < 2e-2 * max(1, abs(ana)), (name, num, ana)
    sel_mask = am != 0
    d = r.standard_normal(am.shape).astype(f32) * sel_mask
    num = (loss(aff=am + 1e-2 * d) - loss(aff=am - 1e-2 * d)) / 2e-2
    ana = float((dA * d).sum())
    assert abs(num - ana) < 2e-2 * max(1, abs(ana)), ("aff", num, ana)
    # --- MX layout helpers: identity of natural mapping
    Hh, Ii = 512, 192
    cg = r.integers(0, 16, (128, 2, 1, Ii, 4)).astype(np.uint8)
    sg = np.full((16, 2, 1, Ii), 127, np.uint8)
    Wn = mx_gate_up_to_natural(cg, sg, "e2m1", Hh, Ii)
    assert Wn[3 * 128 + 5, 1, 7] == FP4_TABLE[cg[5, 1, 0, 7, 3]]
    cd = r.integers(0, 16, (48, 1, Hh, 4)).astype(np.uint8)
    sd = np.full((6, 1, Hh), 128, np.uint8)
    Dn = mx_down_to_natural(cd, sd, "e2m1", Ii, Hh)
    assert Dn[2 * 48 + 11, 9] == 2 * FP4_TABLE[cd[11, 0, 9, 2]]
    xq = mx_quant_dequant_hidden(bf16(r.standard_normal((4, 1024))))
    assert np.array_equal(mx_quant_dequant_hidden(xq), xq)
