"""Reference mathematics of MLP, QKV, output projections and RMSNorm with quantisation, in plain NumPy.

Functions work in float64 and round where the kernels do; the narrow formats have explicit rounding helpers.
"""

import math

import numpy as np

# ---------------------------------------------------------------- narrow formats


def _round(x, mant, emin, maxv, overflow):
    """Round-to-nearest-even into a (1, e, mant) format; emin = smallest normal exponent."""
    x = np.asarray(x, np.float64)
    a = np.abs(x)
    _, e = np.frexp(np.where(np.isfinite(a), a, 0.0))
    step = np.exp2(np.maximum(e - 1, emin).astype(np.float64) - mant)
    r = np.rint(np.where(np.isfinite(a), a, 0.0) / step) * step
    if overflow == "sat":
        r = np.minimum(r, maxv)
    else:
        r = np.where(r > maxv, overflow, r)
    r = np.where(np.isinf(a), maxv if overflow == "sat" else overflow, r)
    r = np.where(np.isnan(x), np.nan, r)
    return np.copysign(r, x)


def bf16(x):
    return _round(x, 7, -126, 3.3895313892515355e38, np.inf).astype(np.float32)


def fp16(x):
    return np.asarray(x, np.float32).astype(np.float16).astype(np.float32)


def e4m3(x):
    """nl.float8_e4m3: IEEE style, bias 7, max finite 240, has infinities."""
    return _round(x, 3, -6, 240.0, np.inf).astype(np.float32)


def e5m2(x):
    return _round(x, 2, -14, 57344.0, np.inf).astype(np.float32)


def e4m3fn(x):
    """OCP e4m3 (MX element type): max finite 448, no infinities."""
    return _round(x, 3, -6, 448.0, np.nan).astype(np.float32)


def _e4m3_table():
    t = np.zeros(256, np.float32)
    for b in range(256):
        s, e, m = b >> 7, (b >> 3) & 15, b & 7
        if e == 0:
            v = m * 2.0**-9
        elif e == 15:
            v = np.inf if m == 0 else np.nan
        else:
            v = (1 + m / 8) * 2.0 ** (e - 7)
        t[b] = -v if s else v
    return t


E4M3 = _e4m3_table()


def e4m3_bytes(x):
    """Encode values that are exactly representable in e4m3 to uint8."""
    x = np.asarray(x, np.float32)
    pos = E4M3[:120]  # codes 0..119: finite, non-negative, increasing (119 == 240.0, 120 == inf)
    idx = np.minimum(np.searchsorted(pos, np.abs(x)), 119)
    assert np.array_equal(pos[idx], np.abs(x)), "value not representable"
    return (idx | (np.signbit(x).astype(np.int64) << 7)).astype(np.uint8)


# ---------------------------------------------------------------- small pieces
_erf = np.vectorize(math.erf)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-np.asarray(x, np.float64)))


ACT = {
    "SiLU": lambda x: x * sigmoid(x),
    "GELU": lambda x: 0.5 * x * (1 + _erf(np.asarray(x, np.float64) / math.sqrt(2))),
    "GELU_Tanh_Approx": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "Swish": lambda x: x * sigmoid(1.702 * np.asarray(x, np.float64)),
}


def rms_norm(x, gamma=None, eps=1e-6, hidden_actual=None):
    x = np.asarray(x, np.float64)
    n = x.shape[-1] if hidden_actual is None else hidden_actual
    y = x / np.sqrt((x * x).sum(-1, keepdims=True) / n + eps)
    return y if gamma is None else y * np.asarray(gamma, np.float64).reshape(-1)


def layer_norm(x, gamma=None, beta=None, eps=1e-6):
    x = np.asarray(x, np.float64)
    y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
    if gamma is not None:
        y = y * np.asarray(gamma, np.float64).reshape(-1)
    if beta is not None:
        y = y + np.asarray(beta, np.float64).reshape(-1)
    return y


def apply_norm(kind, x, gamma=None, beta=None, eps=1e-6, hidden_actual=None):
    if kind in (None, "NO_NORM"):
        return np.asarray(x, np.float64)
    if kind in ("RMS_NORM", "RMS_NORM_SKIP_GAMMA"):
        return rms_norm(x, gamma if kind == "RMS_NORM" else None, eps, hidden_actual)
    if kind == "LAYER_NORM":
        return layer_norm(x, gamma, beta, eps)
    raise ValueError(kind)


def clamp(x, hi=None, lo=None):
    if hi is not None:
        x = np.minimum(x, hi)
    if lo is not None:
        x = np.maximum(x, lo)
    return x


# ---------------------------------------------------------------- layouts


def to_sbuf_h(x, lnc=1):
    """[T, H] -> [128, T, H//128]; element (p, t, s*H1s + j) = x[t, s*H//lnc + p*H1s + j]."""
    t, h = x.shape
    h1s = h // 128 // lnc
    return x.reshape(t, lnc, 128, h1s).transpose(2, 0, 1, 3).reshape(128, t, lnc * h1s)


def from_sbuf_h(y, lnc=1):
    _, t, h1 = y.shape
    return y.reshape(128, t, lnc, h1 // lnc).transpose(1, 2, 0, 3).reshape(t, 128 * h1)


def down_w_optimized(w, lnc):
    """Pack [I, H] for use_tkg_down_proj_optimized_layout."""
    i, h = w.shape
    return w.reshape(i, lnc, 128, h // 128 // lnc).transpose(0, 1, 3, 2).reshape(i, h)


# ---------------------------------------------------------------- MLP


def mlp_ref(
    hidden,
    wg,
    wu,
    wd,
    act="SiLU",
    norm=None,
    gamma=None,
    beta=None,
    eps=1e-6,
    add=None,
    gb=None,
    ub=None,
    db=None,
    skip_gate=False,
    g_hi=None,
    g_lo=None,
    u_hi=None,
    u_lo=None,
    gs=1.0,
    us=1.0,
    ds=1.0,
):
    """Un-quantised MLP and the TKG quantised MLP (gs/us/ds multiply matmul results)."""
    x = np.asarray(hidden, np.float64)
    if add is not None:
        x = x + np.asarray(add, np.float64)
    summed = x
    x = apply_norm(norm, x, gamma, beta, eps)
    up = (x @ np.asarray(wu, np.float64)) * us
    if ub is not None:
        up = up + np.asarray(ub, np.float64).reshape(-1)
    up = clamp(up, u_hi, u_lo)
    f = ACT[act]
    if skip_gate:
        mid = f(up)
    else:
        g = (x @ np.asarray(wg, np.float64)) * gs
        if gb is not None:
            g = g + np.asarray(gb, np.float64).reshape(-1)
        mid = f(clamp(g, g_hi, g_lo)) * up
    out = (mid @ np.asarray(wd, np.float64)) * ds
    if db is not None:
        out = out + np.asarray(db, np.float64).reshape(-1)
    return out, summed


def mlp_cte_row_ref(q, tok_scale, wg, wu, wd, gs, us, ds, act="SiLU", clip=0.0):
    """CTE ROW: q = fp8 hidden values [T,H], tok_scale [T,1]; gs/us [I]; ds [H]."""
    q, wg, wu, wd = (np.asarray(a, np.float64) for a in (q, wg, wu, wd))
    mid = ACT[act]((q @ wg) * gs * tok_scale) * ((q @ wu) * us * tok_scale)
    if clip > 0:
        mid = np.clip(mid, -clip, clip)
    d = np.maximum(np.abs(mid).max(-1, keepdims=True) / 240.0, 1e-6)
    return (e4m3(mid / d).astype(np.float64) @ wd) * ds * d


def mlp_cte_static_ref(q, wg, wu, wd, gs, us, ds, s_in, s_mid, act="SiLU"):
    q, wg, wu, wd = (np.asarray(a, np.float64) for a in (q, wg, wu, wd))
    mid = ACT[act]((q @ wg) * (gs * s_in)) * ((q @ wu) * (us * s_in))
    m8 = e4m3(np.clip(mid / s_mid, -240, 240)).astype(np.float64)
    return (m8 @ wd) * (ds * s_mid)


# ---------------------------------------------------------------- QKV


def rope(x, cos, sin):
    """x [..., S, d]; cos/sin [..., S, d]; rotate-half form, sin uses its first half only."""
    d = x.shape[-1]
    a, b, s = x[..., : d // 2], x[..., d // 2 :], sin[..., : d // 2]
    return x * cos + np.concatenate([-b * s, a * s], -1)


def qkv_ref(
    x,
    w,
    bias=None,
    adds=(),
    norm=None,
    gamma=None,
    beta=None,
    eps=1e-6,
    hidden_actual=None,
    cos=None,
    sin=None,
    nq=None,
    nkv=None,
    d=None,
    in_scale=None,
    w_scale=None,
):
    """[B,S,H] -> [B,S,I].  in_scale/w_scale(3) given => STATIC fp8."""
    x = np.asarray(x, np.float64)
    for a in adds:
        x = x + np.asarray(a, np.float64)
    x = apply_norm(norm, x, gamma, beta, eps, hidden_actual)
    if in_scale is not None:
        x = e4m3(np.clip(x / in_scale, -240, 240)).astype(np.float64)
    y = x @ np.asarray(w, np.float64)
    if in_scale is not None:
        cut = [0, nq * d, (nq + nkv) * d, (nq + 2 * nkv) * d]
        for k in range(3):
            y[..., cut[k] : cut[k + 1]] *= w_scale[k] * in_scale
    if bias is not None:
        y = y + np.asarray(bias, np.float64).reshape(-1)
    if cos is not None:
        for h in range(nq + nkv):
            sl = slice(h * d, (h + 1) * d)
            y[..., sl] = rope(y[..., sl], cos, sin)
    return y


def bsd_to_nbsd(y, d):
    b, s, i = y.shape
    return y.reshape(b, s, i // d, d).transpose(2, 0, 1, 3)


def kv_quant(y, scale, lo=-240.0, hi=240.0):
    return np.clip(e4m3(y / scale), lo, hi)  # an infinity produced by the cast is clamped too


# ---------------------------------------------------------------- MX


def mx_quantize(x, elem=e4m3fn, max_exp=8, max_val=448.0):
    """x [P, F], blocks of 8 rows x 4 columns.  Returns (values [P,F], scale uint8 [P//8, F//4])."""
    x = np.asarray(x, np.float32)
    p, f = x.shape
    be = ((x.view(np.uint32) >> 23) & 255).astype(np.int64)
    sc = be.reshape(p // 8, 8, f // 4, 4).max((1, 3)) - max_exp
    k = np.exp2((sc - 127).astype(np.float64)).repeat(8, 0).repeat(4, 1)
    return elem(np.clip(x / k, -max_val, max_val)), sc.astype(np.uint8)


def mx_dequant(v, sc):
    k = np.exp2(sc.astype(np.float64) - 127).repeat(8, 0).repeat(4, 1)
    return np.asarray(v, np.float64) * k


def qkv_mx_ref(x, wq, wsc, bias=None):
    """x [T,H] (already normed); wq [H//4, 4*I] element values; wsc [H//32, I] uint8."""
    t, h = x.shape
    i = wsc.shape[1]
    xr = bf16(x).T.reshape(h // 4, 4, t).transpose(0, 2, 1).reshape(h // 4, 4 * t)
    a = mx_dequant(*mx_quantize(xr)).reshape(h // 4, t, 4)
    w = mx_dequant(wq, wsc).reshape(h // 4, i, 4)
    y = np.einsum("rtl,ril->ti", a, w)
    return y if bias is None else y + np.asarray(bias, np.float64).reshape(-1)


def mx_swizzle_input(x):
    """[B,S,H] -> pre-swizzled [B,S,H]: (tile, p, lane) -> (lane, tile, p)."""
    b, s, h = x.shape
    return x.reshape(b, s, h // 512, 128, 4).transpose(0, 1, 4, 2, 3).reshape(b, s, h)


# ---------------------------------------------------------------- output projection


def outproj_cte_ref(attn, w, bias=None, s_in=None, s_w=None):
    """attn [B,N,D,S], w [N*D,H] -> [B,S,H]."""
    b, n, d, s = attn.shape
    x = np.asarray(attn, np.float64).transpose(0, 3, 1, 2).reshape(b, s, n * d)
    if s_in is not None:
        x = e4m3(np.clip(x / s_in, -240, 240)).astype(np.float64)
    y = x @ np.asarray(w, np.float64)
    if s_in is not None:
        y = y * (s_in * s_w)
    return y if bias is None else y + np.asarray(bias, np.float64).reshape(-1)


def outproj_tkg_ref(attn, w, bias=None, s_in=None, s_w=None, transpose_out=False, lnc=1):
    """attn [D,B,N,S], w [N*D,H] -> [B*S,H] or [128, lnc, H//128//lnc, B*S]."""
    _d, b, _n, s = attn.shape
    y = outproj_cte_ref(np.asarray(attn).transpose(1, 2, 0, 3), w, bias, s_in, s_w).reshape(b * s, -1)
    if not transpose_out:
        return y
    h = y.shape[1]
    return y.reshape(b * s, lnc, 128, h // lnc // 128).transpose(2, 1, 3, 0)


# ---------------------------------------------------------------- rmsnorm + quant


def rmsnorm_quant_ref(x, gamma, quant="ROW", norm="RMS_NORM", lower_bound=0.0, eps=1e-6, in_scale=None):
    """Returns (fp8 values as float32, per-row fp32 dequant scale or None)."""
    y = bf16(np.asarray(x, np.float32))
    if norm == "RMS_NORM":
        y = bf16(rms_norm(y, gamma, eps))
    if quant == "STATIC":
        return e4m3(np.clip(bf16(y * (1.0 / in_scale)), -240, 240)), None
    m = np.abs(y).max(-1, keepdims=True)
    if lower_bound > 1e-6:
        m = np.minimum(m, lower_bound)
        y = bf16(np.clip(y, -lower_bound, lower_bound))
    d = np.maximum((m * np.float32(1 / 240.0)).astype(np.float32), np.float32(1e-6))
    q = e4m3(y * (1.0 / d.astype(np.float32)))
    return q, d.astype(np.float32)


def pack_row(q, d):
    """[.., H] fp8 values + [..,1] fp32 -> [.., H+4] bytes (little endian scale)."""
    raw = np.ascontiguousarray(d.astype("<f4")).view(np.uint8).reshape(*d.shape[:-1], 4)
    return np.concatenate([e4m3_bytes(q), raw], -1)
