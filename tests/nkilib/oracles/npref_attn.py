"""Reference mathematics of attention, norms, rotary embeddings, losses, scans and selection, in plain NumPy.

Functions return exact (float64 or float32) results unless their names say otherwise; `rnd` rounds to the narrow
formats.
"""

import math

import numpy as np
import numpy_ref as R

# ------------------------------------------------------------------ rounding


def rnd(x, dt):
    """Value of x after a store to dtype `dt`: fp32 bf16 fp16 e4m3 (max 240) e5m2 e4m3fn (max 448)."""
    x = np.asarray(x, np.float32)
    return x if dt == "fp32" else getattr(R, dt)(x)


# ------------------------------------------------------------------ attention_cte


def attention_cte_ref(
    q,
    k,
    v,
    scale=1.0,
    causal_mask=True,
    k_prior=None,
    v_prior=None,
    prior_used_len=None,
    sink=None,
    sliding_window=0,
    tp_q=True,
    tp_k=False,
    tp_out=False,
    cache_softmax=False,
    cp_offset=None,
    global_cp_deg=None,
    cp_strided_q_slicing=False,
):
    f = lambda t: np.asarray(t, np.float64)
    q = f(q) if tp_q else f(q).swapaxes(1, 2)  # -> [bs, sq, d]
    k = f(k) if tp_k else f(k).swapaxes(1, 2)  # -> [bskv, sk, d]
    v = f(v)
    used = 0
    if k_prior is not None:
        used = int(np.asarray(prior_used_len).reshape(-1)[0])
        kp = f(k_prior) if tp_k else f(k_prior).swapaxes(1, 2)
        k = np.concatenate([kp[:, :used], k], 1)
        v = np.concatenate([f(v_prior)[:, :used], v], 1)
    bs, sq, _ = q.shape
    rep = bs // k.shape[0]
    off = 0 if global_cp_deg is None else int(np.asarray(cp_offset).reshape(-1)[0])
    step = global_cp_deg if (global_cp_deg is not None and cp_strided_q_slicing) else 1
    qpos = off + step * np.arange(sq)[:, None]
    kpos = np.arange(k.shape[1])[None, :] - used
    keep = np.ones((sq, k.shape[1]), bool)
    if causal_mask:
        keep &= kpos <= qpos
    if sliding_window:
        keep &= kpos > qpos - sliding_window
    out = np.empty((bs, sq, v.shape[2]))
    nmax, rec = np.empty((bs, sq)), np.empty((bs, sq))
    for b in range(bs):
        s = scale * (q[b] @ k[b // rep].T)
        s = np.where(keep, s, -np.inf)
        m = s.max(1)
        if sink is not None:
            m = np.maximum(m, float(np.asarray(sink)[b, 0]))
        p = np.exp(s - m[:, None])
        den = p.sum(1)
        if sink is not None:
            den = den + np.exp(float(np.asarray(sink)[b, 0]) - m)
        out[b] = (p @ v[b // rep]) / den[:, None]
        nmax[b], rec[b] = -m, 1.0 / den
    if tp_out:
        out = out.swapaxes(1, 2)
    if not cache_softmax:
        return out
    pack = lambda a: a.reshape(bs, sq // 128, 128).swapaxes(1, 2)
    return out, pack(nmax), pack(rec)


# ------------------------------------------------------------------ decode attention helpers


def reduced_block_len(num_blocks_per_batch, block_len, n_prgs, p_max=128):
    """(effective block length, how many pieces each stored block is cut into)."""
    bucket = num_blocks_per_batch * block_len
    assert bucket % (n_prgs * p_max) == 0
    r = math.gcd(block_len, bucket // (n_prgs * p_max))
    return r, block_len // r


def batch_sharded(B, H, s_a, S, p_max=128):
    return B % 2 == 0 and (B * H * s_a > p_max or S < 256)


def sprior_sharded(B, H, s_a, S, p_max=128):
    return not batch_sharded(B, H, s_a, S) and B * H * s_a <= p_max and 2 * p_max <= S


def tile_tokens(n_tile, strided, block_len=0, base=0):
    """Token index held at position [p, f] of a [128, n_tile] score/mask tile."""
    p, f = np.arange(128)[:, None], np.arange(n_tile)[None, :]
    if block_len:
        t = (f // block_len) * 128 * block_len + p * block_len + f % block_len
    elif strided:
        t = p * n_tile + f
    else:
        t = f * 128 + p
    return base + t


def block_mask_row_tokens(S, bl):
    """Token index of row r of a pre-generated block-KV mask."""
    r = np.arange(S)
    f, p = r // 128, r % 128
    return (f // bl) * 128 * bl + p * bl + f % bl


def gather_blocks(cache, table):
    """[n_blocks, block_len, d] + [B, n] -> [B, n*block_len, d]."""
    return np.stack([cache[row].reshape(-1, cache.shape[-1]) for row in np.asarray(table, np.int64)])


# ------------------------------------------------------------------ attention_tkg


def hf_rope(x, pos, inv):
    """x [B,N,s,d]; pos [B,s]; inv [d/2] -> rotate-half rotary embedding."""
    ang = pos[:, None, :, None] * inv.reshape(1, 1, 1, -1)
    c, s = np.cos(np.concatenate([ang, ang], -1)), np.sin(np.concatenate([ang, ang], -1))
    h = x.shape[-1] // 2
    return x * c + np.concatenate([-x[..., h:], x[..., :h]], -1) * s


def attention_tkg_ref(
    q,
    k_active,
    v_active,
    k_prior,
    v_prior,
    mask,
    *,
    B,
    H,
    s_a,
    S,
    d,
    tp_k_prior=False,
    use_pos_id=False,
    fuse_rope=False,
    qk_in_sb=False,
    out_in_sb=False,
    k_out_in_sb=False,
    inv_freqs=None,
    rope_pos_ids=None,
    sink=None,
    table=None,
    eff_block_len=None,
    details=False,
):
    f = lambda t: np.asarray(t, np.float64)
    if qk_in_sb:
        q = f(q).reshape(d, B, H, s_a).transpose(1, 2, 3, 0)
        ka = f(k_active).reshape(d, B, 1, s_a).transpose(1, 2, 3, 0)
    else:
        q, ka = f(q), f(k_active)  # [B,H,s_a,d], [B,1,s_a,d]
    va = f(v_active)[:, 0]
    if table is not None:
        K, V = gather_blocks(f(k_prior), table), gather_blocks(f(v_prior), table)
    else:
        K = f(k_prior)[:B, 0, :S] if tp_k_prior else f(k_prior)[:B, 0, :, :S].swapaxes(1, 2)
        V = f(v_prior)[:B, 0, :S]
    K, V = K[:, :S].copy(), V[:, :S].copy()
    if fuse_rope:
        pos, inv = f(rope_pos_ids), f(inv_freqs).reshape(-1)
        q, ka = hf_rope(q, pos, inv) / math.sqrt(d), hf_rope(ka, pos, inv)
    K[:, S - s_a :], V[:, S - s_a :] = ka[:, 0], va
    m = np.asarray(mask)
    if use_pos_id:  # m: [s_a(k), B, H, s_a(q)]
        keep = np.zeros((S, B, H, s_a), bool)
        keep |= np.arange(S)[:, None, None, None] < f(rope_pos_ids)[None, :, :1, None]
        keep[S - s_a :] = m != 0
    else:
        keep = m != 0  # [S, B, H, s_a]
        if table is not None:
            tok = block_mask_row_tokens(S, eff_block_len)
            nat = np.empty_like(keep)
            nat[tok] = keep
            keep = nat
    s = np.einsum("bsd,bhqd->sbhq", K, q)
    s = np.where(keep, s, -np.inf)
    mx = s.max(0)
    if sink is not None:
        mx = np.maximum(mx, f(sink).reshape(1, H, 1))
    e = np.exp(s - mx)
    z = e.sum(0)
    if sink is not None:
        z = z + np.exp(f(sink).reshape(1, H, 1) - mx)
    out = np.einsum("sbhq,bsd->bhdq", e, V) / z[:, :, None, :]
    kout = ka.swapaxes(2, 3)  # [B,1,d,s_a]
    if out_in_sb:
        out = out.transpose(2, 0, 1, 3).reshape(d, B * H * s_a)
    if k_out_in_sb:
        kout = kout.transpose(2, 0, 1, 3).reshape(d, B * s_a)
    if details:
        return out, kout, dict(QK=s, NEG_MAX=-mx, EXP=e, SUM=z)
    return out, kout


# ------------------------------------------------------------------ gen_mask_tkg


def gen_mask_ref(
    pos_ids,
    *,
    bs,
    q_head,
    s_active,
    n_tile,
    s_prior_per_shard,
    s_prior_offset=0,
    block_len=0,
    strided_mm1=True,
    active_mask=None,
    shard_id=0,
    is_s_prior_sharded=False,
    is_batch_sharded=False,
):
    """pos_ids [>=1, bs*s_active]; returns [128, n_tile, bs, q_head, s_active] of 0/1."""
    base = (shard_id if is_s_prior_sharded else 0) * s_prior_per_shard + s_prior_offset
    tok = tile_tokens(n_tile, strided_mm1, block_len, base)
    limit = np.asarray(pos_ids)[0].reshape(bs, s_active)[:, 0]
    out = (tok[:, :, None] < limit).astype(np.float32)[..., None, None]
    out = np.broadcast_to(out, (128, n_tile, bs, q_head, s_active)).copy()
    if active_mask is not None:
        b0 = shard_id * bs if is_batch_sharded else 0
        am = np.asarray(active_mask)[:, b0 : b0 + bs]  # [s_a(k), bs, H, s_a(q)]
        loc = tile_tokens(n_tile, strided_mm1, block_len)  # position inside this tile
        tile = 128 * n_tile
        for j in range(s_active):
            where = (s_prior_per_shard - s_active + j - s_prior_offset) if block_len else tile - s_active + j
            if 0 <= where < tile:
                p, g = np.argwhere(loc == where)[0]
                out[p, g] = am[j]
    return out


# ------------------------------------------------------------------ attention_bwd


def attention_fwd_for_bwd(q, k, v, scale=None, causal=False, window=0, sinks=None):
    """[b,h,d,s] layout.  Returns o, lse (packed [b,h,128,s/128]), P (softmax weights without sinks)."""
    q, k, v = (np.asarray(t, np.float64) for t in (q, k, v))
    b, h, d, sq = q.shape
    rep, sk = h // k.shape[1], k.shape[3]
    k, v = np.repeat(k, rep, 1), np.repeat(v, rep, 1)
    scale = scale or d**-0.5
    s = np.einsum("bhdq,bhdk->bhqk", q * scale, k)
    qp, kp = np.arange(sq)[:, None], np.arange(sk)[None, :]
    keep = np.ones((sq, sk), bool)
    if causal:
        keep &= kp <= qp
    if window:
        keep &= kp > qp - window
    s = np.where(keep, s, -np.inf)
    m, z = s.max(-1), 0.0
    if sinks is not None:
        sn = np.asarray(sinks, np.float64).reshape(b, h, 1, -1)
        m = np.maximum(m, sn.max(-1))
        z = np.exp(sn - m[..., None]).sum(-1)
    z = z + np.exp(s - m[..., None]).sum(-1)
    lse = m + np.log(z)
    p = np.exp(s - lse[..., None])
    o = np.einsum("bhqk,bhdk->bhdq", p, v)
    return o, lse.reshape(b, h, sq // 128, 128).swapaxes(2, 3), p


def attention_bwd_ref(q, k, v, o, dy, lse, sinks=None, causal=False, scale=None, window=0):
    q, k, v, o, dy, lse = (np.asarray(t, np.float64) for t in (q, k, v, o, dy, lse))
    b, h, d, sq = q.shape
    nkv, sk = k.shape[1], k.shape[3]
    g = h // nkv
    scale = scale or d**-0.5
    window = min(window or 0, sk)
    ke, ve = np.repeat(k, g, 1), np.repeat(v, g, 1)
    L = lse.swapaxes(2, 3).reshape(b, h, sq)
    s = np.einsum("bhdq,bhdk->bhqk", q * scale, ke)
    qp, kp = np.arange(sq)[:, None], np.arange(sk)[None, :]
    keep = np.ones((sq, sk), bool)
    if causal:
        keep &= kp <= qp
        if window:
            keep &= kp >= qp - window + 1
    p = np.where(keep, np.exp(s - L[..., None]), 0.0)
    D = (dy * o).sum(2)
    ds = p * (np.einsum("bhdq,bhdk->bhqk", dy, ve) - D[..., None])
    dq = scale * np.einsum("bhqk,bhdk->bhdq", ds, ke)
    dk = np.einsum("bhqk,bhdq->bhdk", ds, q * scale).reshape(b, nkv, g, d, sk).sum(2)
    dv = np.einsum("bhqk,bhdq->bhdk", p, dy).reshape(b, nkv, g, d, sk).sum(2)
    if sinks is None:
        return dq, dk, dv
    sn = np.asarray(sinks, np.float64)
    e = np.exp(sn.reshape(b, h, 1, -1) - L[..., None])
    return dq, dk, dv, (-(e * D[..., None]).sum(2)).reshape(sn.shape)


# ------------------------------------------------------------------ RoPE (library layouts)


def rope_ref(x, cos, sin, contiguous=True):
    """x [d,B,N,S]; cos, sin [d/2,B,S]."""
    x, c, s = (np.asarray(t, np.float64) for t in (x, cos, sin))
    c, s = c[:, :, None, :], s[:, :, None, :]
    h = x.shape[0] // 2
    e, o = (x[:h], x[h:]) if contiguous else (x[0::2], x[1::2])
    y = np.empty_like(x)
    ye, yo = e * c - o * s, o * c + e * s
    if contiguous:
        y[:h], y[h:] = ye, yo
    else:
        y[0::2], y[1::2] = ye, yo
    return y


def rope_hf_ref(x, cos, sin, backward=False):
    """x [b,h,s,d]; cos, sin [s',d] or [b,s',d] with s' >= s."""
    x, c, s = (np.asarray(t, np.float64) for t in (x, cos, sin))
    n, h = x.shape[2], x.shape[3] // 2
    c, s = (t[None] if t.ndim == 2 else t for t in (c, s))
    c, s = c[:, None, :n], s[:, None, :n]
    x1, x2 = x[..., :h], x[..., h:]
    c1, c2, s1, s2 = c[..., :h], c[..., h:], s[..., :h], s[..., h:]
    if not backward:
        return np.concatenate([x1 * c1 - x2 * s1, x2 * c2 + x1 * s2], -1)
    return np.concatenate([x1 * c1 + x2 * s2, x2 * c2 - x1 * s1], -1)


# ------------------------------------------------------------------ attention_block_tkg


def rms(x, axis, eps, w=None, n=None):
    x = np.asarray(x, np.float64)
    n = x.shape[axis] if n is None else n
    y = x / np.sqrt((x * x).sum(axis, keepdims=True) / n + eps)
    return y if w is None else y * w


def attention_block_ref(
    X,
    W_qkv,
    K_cache,
    V_cache,
    attention_mask,
    *,
    qh,
    d,
    hidden_actual=None,
    gamma=None,
    rms_X=False,
    eps_X=1e-3,
    bias_qkv=None,
    qkv_w_scale=None,
    qkv_in_scale=None,
    pre_eps=None,
    cos=None,
    sin=None,
    contiguous=True,
    post_eps=None,
    W_Q=None,
    W_K=None,
    K_cache_transposed=False,
    table=None,
    eff_block_len=None,
    sink=None,
    softmax_scale=None,
    update_idx=None,
    k_scale=None,
    v_scale=None,
    W_out=None,
    bias_out=None,
    out_w_scale=None,
    out_in_scale=None,
    skip_attention=False,
    io="bf16",
):
    """X [B,S,H]; caches 3-D.  Returns (out, K_out, V_out, V_scale-free dict).
    out is [B,qh,d,S] without projection, [B*S,H] with it.  update_idx None -> new K [d,B,S], V [B,1,S,d]."""
    B, S, _H = X.shape
    x = np.asarray(X, np.float64)
    if rms_X:
        x = rms(
            x, -1, eps_X, None if gamma is None else np.asarray(gamma, np.float64).reshape(-1), hidden_actual
        )
    if qkv_in_scale is not None:
        x = rnd(np.clip(x / qkv_in_scale, -240, 240), "e4m3").astype(np.float64)
    y = x @ np.asarray(W_qkv, np.float64)
    if qkv_in_scale is not None:
        sc = np.concatenate(
            [np.full(qh * d, qkv_w_scale[0]), np.full(d, qkv_w_scale[1]), np.full(d, qkv_w_scale[2])]
        )
        y = y * sc * qkv_in_scale
    if bias_qkv is not None:
        y = y + np.asarray(bias_qkv, np.float64).reshape(-1)
    heads = y.reshape(B, S, qh + 2, d)
    qk = heads[:, :, : qh + 1].transpose(3, 0, 2, 1)  # [d,B,qh+1,S]
    V = heads[:, :, qh + 1]  # [B,S,d]
    if pre_eps is not None:
        qk = rms(qk, 0, pre_eps)
    if cos is not None and sin is not None:
        qk = rope_ref(qk, cos, sin, contiguous)
    Q, K = qk[:, :, :qh], qk[:, :, qh]
    if post_eps is not None:
        Q = rms(Q, 0, post_eps, None if W_Q is None else np.reshape(W_Q, (d, 1, 1, 1)))
        K = rms(K, 0, post_eps, None if W_K is None else np.reshape(W_K, (d, 1, 1)))
    if k_scale is not None and v_scale is not None:
        K = rnd(np.clip(rnd(K, io) * np.float32(k_scale), -240, 240), "e4m3")
        V = rnd(np.clip(rnd(V, io) * np.float32(v_scale), -240, 240), "e4m3")
    if skip_attention:
        att = Q.transpose(1, 2, 0, 3)
    else:
        Sc = attention_mask.shape[0]
        qs = Q * (d**-0.5 if softmax_scale is None else softmax_scale)
        kp, vp = np.asarray(K_cache, np.float64), np.asarray(V_cache, np.float64)
        if table is None:
            kp, vp = kp[:, None], vp[:, None]
        att, _ = attention_tkg_ref(
            qs.reshape(d, -1),
            K.reshape(d, -1),
            V[:, None],
            kp,
            vp,
            attention_mask,
            B=B,
            H=qh,
            s_a=S,
            S=Sc,
            d=d,
            tp_k_prior=not K_cache_transposed,
            qk_in_sb=True,
            sink=sink,
            table=table,
            eff_block_len=eff_block_len,
        )
    if update_idx is None:
        K_out, V_out = K, V[:, None]
    else:
        K_out, V_out = np.array(K_cache, np.float64), np.array(V_cache, np.float64)
        for b, i in enumerate(np.asarray(update_idx, np.int64).reshape(-1)):
            if table is not None:
                if i == 2**32 - 1:
                    continue
                K_out.reshape(-1, d)[i : i + S], V_out.reshape(-1, d)[i : i + S] = K[:, b].T, V[b]
            else:
                if K_cache_transposed:
                    K_out[b, :, i : i + S] = K[:, b]
                else:
                    K_out[b, i : i + S] = K[:, b].T
                V_out[b, i : i + S] = V[b]
    out = att
    if W_out is not None:
        a = att.transpose(0, 3, 1, 2).reshape(B * S, qh * d)
        if out_in_scale is not None:
            a = rnd(np.clip(a / out_in_scale, -240, 240), "e4m3").astype(np.float64)
        out = a @ np.asarray(W_out, np.float64)
        if out_in_scale is not None:
            out = out * (out_w_scale * out_in_scale)
        if bias_out is not None:
            out = out + np.asarray(bias_out, np.float64).reshape(-1)
    return out, K_out, V_out


def to_transposed_out(out, lnc):
    """[B*S,H] -> [128, lnc, H/lnc/128, B*S] (the transposed_out layout)."""
    n, h = out.shape
    return out.reshape(n, lnc, 128, h // lnc // 128).transpose(2, 1, 3, 0)


def x_to_sbuf(X2d, lnc):
    """[T,H] -> SBUF input layout [128, T, H/128]."""
    t, h = X2d.shape
    return X2d.reshape(t, lnc, 128, h // 128 // lnc).transpose(2, 0, 1, 3).reshape(128, t, h // 128)


# ------------------------------------------------------------------ decode norms


def norm_layout(y, lnc=1, hidden_dim_tp=False):
    """[T,H] -> [128, T, H/128] output layout of the decode norm kernels."""
    t, h = y.shape
    if hidden_dim_tp:
        return y.reshape(t, h // 128, 128).transpose(2, 0, 1)
    return y.reshape(t, lnc, 128, h // 128 // lnc).transpose(2, 0, 1, 3).reshape(128, t, h // 128)


def rmsnorm_tkg_ref(
    x, gamma, eps=1e-6, hidden_actual=None, lnc=1, hidden_dim_tp=False, single_core_forced=False
):
    x = np.asarray(x, np.float64).reshape(-1, np.shape(x)[-1])
    n = hidden_actual or x.shape[1]
    y = x * np.asarray(gamma, np.float64).reshape(-1) / np.sqrt((x * x).sum(1, keepdims=True) / n + eps)
    return norm_layout(y, 1 if single_core_forced else lnc, hidden_dim_tp)


def layernorm_tkg_ref(x, gamma, beta=None, eps=1e-6, lnc=1):
    x = np.asarray(x, np.float64).reshape(-1, np.shape(x)[-1])
    m = x.mean(1, keepdims=True)
    y = (
        (x - m)
        / np.sqrt((x * x).mean(1, keepdims=True) - m * m + eps)
        * np.asarray(gamma, np.float64).reshape(-1)
    )
    if beta is not None:
        y = y + np.asarray(beta, np.float64).reshape(-1)
    return norm_layout(y, lnc)


def rmsnorm_mx_ref(
    x, gamma, residual=None, eps=1e-6, hidden_actual=None, dt="fp16", res_dt="fp16", in_dt="fp16"
):
    """Returns output [128,T,H/128] (dt), element values [128,H/512,T,4], scale uint8 [128,H/512,T], h [T,H]|None."""
    B, S, H = np.shape(x)
    T = B * S
    h = np.asarray(x, np.float64).reshape(T, H)
    if residual is not None:
        h = rnd(h + np.asarray(residual, np.float64).reshape(T, H), res_dt).astype(np.float64)
    n = H if hidden_actual is None else hidden_actual
    r = 1 / np.sqrt((h * h).sum(1, keepdims=True) / n + eps)
    y = rnd(rnd(h * np.asarray(gamma, np.float64).reshape(-1), in_dt) * r, dt)
    out = norm_layout(y, hidden_dim_tp=True)  # [128,T,H1]
    C = H // 512
    sw = out.reshape(128, T, 4, C).transpose(0, 3, 1, 2)  # [p,c,t,i] = out[p,t,i*C+c]
    be = (np.ascontiguousarray(sw, np.float32).view(np.uint32) >> 23) & 255
    sc = be.reshape(16, 8, C, T, 4).max((1, 4)).astype(np.int64) - 8  # [g,c,t]
    q = rnd(np.clip(sw / np.exp2(sc.repeat(8, 0) - 127.0)[..., None], -448, 448), "e4m3fn")
    scale = np.zeros((128, C, T), np.uint8)
    g = np.arange(16)
    scale[32 * (g // 4) + g % 4] = sc
    return out, q, scale, (h if residual is not None else None)


# ------------------------------------------------------------------ index utilities, scans, selection


def indexed_flatten_ref(x, f_len, output_len, row_offsets, start=0, padding_val=-1, cores=2):
    """Two-core semantics: each core fills a private buffer, elementwise maximum combines them."""
    x = np.asarray(x)
    E, T = x.shape
    first = -(-E // cores)
    n_out = output_len // f_len
    parts = []
    for rows in (range(first), range(first, E)):
        out = np.full((n_out, f_len), padding_val, x.dtype)
        for e in rows:
            off = int(np.asarray(row_offsets).reshape(-1)[start + e])
            for p in range(T // f_len):
                if 0 <= off + p < n_out:
                    out[off + p] = x[e, p * f_len : (p + 1) * f_len]
        parts.append(out)
    return np.maximum(parts[0], parts[1]).reshape(-1)


def find_nonzero_ref(x, row_start=0, n_rows=None):
    x = np.asarray(x)
    T, E = x.shape
    n = E if n_rows is None else n_rows
    idx, cnt = np.full((n, T), -1, np.int32), np.zeros(n, np.int32)
    for e in range(n):
        nz = np.flatnonzero(x[:, row_start + e])
        idx[e, : len(nz)], cnt[e] = nz, len(nz)
    return idx, cnt


def cumsum_ref(x, dt="fp32", tile=2048):
    """fp32 scan per 2048-wide tile; the carry is the last *stored* (rounded) element."""
    x = np.asarray(x, np.float32)
    y = np.empty_like(x)
    carry = np.zeros((*x.shape[:-1], 1), np.float32)
    for a in range(0, x.shape[-1], tile):
        seg = np.concatenate([carry, x[..., a : a + tile]], -1)
        y[..., a : a + tile] = rnd(np.cumsum(seg, -1, dtype=np.float32)[..., 1:], dt)
        carry = y[..., a : a + tile][..., -1:]
    return y


def cascaded_max_stages(rows_per_core, V):
    n = min(128 // rows_per_core, V // 128)
    return n, -(-V // n)


def cascaded_max_ref(x, cores=2):
    x = np.asarray(x, np.float32)
    V = x.shape[-1]
    f = x.reshape(-1, V)
    R = f.shape[0]
    rows = 1 if R == 1 else -(-R // cores)
    _n, chunk = cascaded_max_stages(rows, V)
    m = f.max(1)
    idx = np.empty(R, np.int64)
    for r in range(R):
        hits = np.flatnonzero(f[r] == m[r])
        last = hits[hits // chunk == hits[-1] // chunk]  # hits inside the highest stage that has one
        idx[r] = last[0]
    sh = (*x.shape[:-1], 1)
    return m.reshape(sh), idx.reshape(sh).astype(np.uint32)


def topk_plan(BxS, V, k, cores):
    """(rows per core, n_stages, local_k, padded_k, chunk) of the rotational algorithm."""
    cores = 1 if BxS == 1 else cores
    rows = -(-BxS // cores)
    n = max(min(128 // rows, -(-min(k, V) // 8)), -(-V // 16384))
    per_stage = -(-k // n)
    lk = -(-per_stage // 8) * 8
    return rows, n, lk, lk * n, -(-V // n)


def topk_ref(x, k):
    x = np.asarray(x, np.float32)
    i = np.argsort(-x, -1, kind="stable")[..., :k]
    return np.take_along_axis(x, i, -1), i.astype(np.uint32)


# ------------------------------------------------------------------ depthwise conv, cross entropy


def depthwise_conv1d_ref(img, flt, pad=(0, 0), stride=1):
    """img [N,C,1,W], flt [C,1,1,S] -> [N,C,1,Q] (cross-correlation)."""
    img, flt = np.asarray(img, np.float64), np.asarray(flt, np.float64)
    x = np.pad(img[:, :, 0], ((0, 0), (0, 0), pad))
    S = flt.shape[3]
    Q = (x.shape[2] - S) // stride + 1
    win = np.lib.stride_tricks.sliding_window_view(x, S, 2)[:, :, ::stride][:, :, :Q]
    return np.einsum("ncqs,cs->ncq", win, flt[:, 0, 0])[:, :, None]


def cross_entropy_fwd_ref(logits, targets):
    x = np.asarray(logits, np.float64)
    m = x.max(1)
    lse = m + np.log(np.exp(x - m[:, None]).sum(1))
    return lse - x[np.arange(len(x)), np.asarray(targets)], lse


def cross_entropy_fwd_online(logits, targets, chunk, dt="bf16"):
    """Bit-level model of the chunked recurrence with every state variable stored in dt (sums themselves fp32)."""
    r = lambda a: rnd(a, dt)
    x = r(logits)
    n, V = x.shape
    m, d = np.full(n, -np.inf, np.float32), np.zeros(n, np.float32)
    for a in range(0, V, chunk):
        c = x[:, a : a + chunk]
        mn = np.maximum(m, c.max(1))
        d = r(r(d * r(np.exp(r(m - mn)))) + r(r(np.exp(r(c - mn[:, None]))).sum(1, dtype=np.float32)))
        m = r(mn)
    lse = r(m + r(np.log(d)))
    return r(lse - x[np.arange(n), np.asarray(targets)]), lse


def cross_entropy_bwd_ref(logits, targets, lse, reduction="mean"):
    x = np.asarray(logits, np.float64)
    n = len(x)
    g = np.exp(x - np.asarray(lse, np.float64)[:, None])
    g[np.arange(n), np.asarray(targets)] -= 1.0
    return g / n if reduction == "mean" else g
