"""Small inputs and expected results for the mixtures of experts and their router, drawn from seeds.

    inputs, expected, rtol = CASES["TKG-01"]()

``inputs`` holds arrays and options named like the kernels' parameters; values of a narrow dtype are float32 arrays
rounded to it. ``expected`` is a dict of float32 arrays, to be compared with an absolute tolerance of 1e-5.
"""

import moe_numpy_ref as R
import numpy as np

f32, bf = np.float32, R.bf16


def fp8(v):
    """round to the float8_e4m3 grid (|v| <= 240)"""
    return R.decode(R.encode(np.clip(v, -240, 240), "e4m3"), "e4m3")


def _experts(r, E, *shape):
    """Weights of E experts in bfloat16, drawn one expert at a time: float64 of all takes gigabytes"""
    out = np.empty((E, *shape), f32)
    for e in range(E):
        out[e] = bf(r.uniform(-0.1, 0.1, shape))
    return out


def _rng(seed):
    return np.random.default_rng(seed)


# ------------------------------------------------------------------ router
def _router(T, H, E, k, act, pre, norm, bias=True, seed=1, **opt):
    def f():
        r = _rng(seed)
        x, w = bf(r.uniform(-0.1, 0.1, (T, H))), bf(r.uniform(-0.1, 0.1, (H, E)))
        b = bf(r.uniform(-0.1, 0.1, (E,))) if bias else None
        L, i, A, e = R.router_topk(x, w, b, k, act, pre, norm)
        exp = {"router_logits": L, "expert_index": i, "expert_affinities": A}
        if e is not None:
            exp["eager"] = e
        return (
            dict(x=x, w=w, w_bias=b, k=k, act_fn=act, router_pre_norm=pre, norm_topk_prob=norm, **opt),
            exp,
            2e-2,
        )

    return f


# ------------------------------------------------------------------ token generation
def _tkg(
    T,
    H,
    I,
    EL,
    E=None,
    K=None,
    all_expert=True,
    rank=0,
    mask=False,
    post=True,
    bias=True,
    clamp=True,
    act="SiLU",
    row_scale=False,
    dup=False,
    seed=2,
    rnd=bf,
    rtol=2e-2,
):
    def f():
        r = _rng(seed)
        Eg = E or EL
        k = K or Eg
        x = rnd(r.standard_normal((T, H)))
        wgu = rnd(r.standard_normal((EL, H, 2, I)) * 0.1)
        wd = rnd(r.standard_normal((EL, I, H)) * 0.1)
        if row_scale:
            wgu, wd = fp8(wgu * 10), fp8(wd * 10)
        kw = dict(
            bgu=rnd(r.standard_normal((EL, 2, I))) if bias else None,
            bd=rnd(r.standard_normal((EL, H))) if bias else None,
            sgu=r.uniform(-1, 1, (EL, 2, I)).astype(f32) if row_scale else None,
            sd=r.uniform(-1, 1, (EL, H)).astype(f32) if row_scale else None,
        )
        idx = np.stack([r.permutation(Eg)[:k] for _ in range(T)]).astype(np.int32)
        if dup:
            idx[:, -1] = idx[:, 0]
        aff = r.random((T, Eg)).astype(f32)
        if not mask:  # only selected experts non-zero
            m = np.zeros_like(aff)
            np.put_along_axis(m, idx.astype(np.int64), 1, 1)
            aff = aff * m
        usual = dict(g_hi=7.0, g_lo=None, u_hi=8.0, u_lo=-6.0) if clamp else {}
        lim = clamp if isinstance(clamp, dict) else usual
        out = R.moe_tkg(x, wgu, wd, aff, idx, all_expert, rank, mask, post, act_name=act, **kw, **lim)
        return (
            dict(
                hidden_input=x,
                expert_gate_up_weights=wgu,
                expert_down_weights=wd,
                expert_affinities=aff,
                expert_index=idx,
                is_all_expert=all_expert,
                rank_id=rank,
                mask_unselected_experts=mask,
                post_scale=post,
                activation_fn=act,
                clamps=lim,
                **kw,
            ),
            {"out": out},
            rtol,
        )

    return f


# ------------------------------------------------------------------ MX weights
def mx_weights(r, E, H, I, kind, lo=116, hi=124):
    """random MX expert weights in kernel layout + the natural float32 matrices"""
    n = 16 if kind == "e2m1" else 256
    nH, nI = H // 512, -(-I // 512)
    Ip = I // 4 if I < 512 else 128

    def codes(shape):
        c = r.integers(0, n, shape).astype(np.uint8)
        v = R.decode(c, kind)
        c[~np.isfinite(v)] = 0
        if kind != "e2m1":  # keep magnitudes moderate
            c = R.encode(np.clip(np.nan_to_num(R.decode(c, kind)), -8, 8), kind)
        return c

    gu, gus = codes((E, 128, 2, nH, I, 4)), r.integers(lo, hi, (E, 16, 2, nH, I)).astype(np.uint8)
    dn, dns = codes((E, Ip, nI, H, 4)), r.integers(lo, hi, (E, Ip // 8, nI, H)).astype(np.uint8)
    pk = lambda c: R.pack_x4(c.reshape((*c.shape[:-2], c.shape[-2] * 4)), kind)
    nat_gu = np.stack([R.mx_gate_up_to_natural(gu[e], gus[e], kind, H, I) for e in range(E)])
    nat_d = np.stack([R.mx_down_to_natural(dn[e], dns[e], kind, I, H) for e in range(E)])
    return dict(gate_up=pk(gu), gate_up_scale=gus, down=pk(dn), down_scale=dns), nat_gu, nat_d


def mx_bias(r, E, I):
    Ip, nI = (I // 4 if I < 512 else 128), -(-I // 512)
    b = bf(r.uniform(-2, 0.5, (E, Ip, 2, nI, 4)))
    return b, np.stack([R.mx_bias_to_natural(b[e], I) for e in range(E)])


def _tkg_mx(T, H, I, EL, kind, E=None, K=2, all_expert=True, rank=0, seed=3, act="Swish"):
    def f():
        r = _rng(seed)
        Eg = E or EL
        w, gu, d = mx_weights(r, EL, H, I, kind)
        b, bn = mx_bias(r, EL, I)
        bd = bf(r.uniform(-1, 1, (EL, H)))
        x = bf(r.standard_normal((T, H)))
        idx = np.stack([r.permutation(Eg)[:K] for _ in range(T)]).astype(np.int32)
        m = np.zeros((T, Eg), f32)
        np.put_along_axis(m, idx.astype(np.int64), 1, 1)
        aff = r.random((T, Eg)).astype(f32) * m
        out = R.moe_tkg(
            x,
            gu,
            d,
            aff,
            idx,
            all_expert,
            rank,
            False,
            True,
            act_name=act,
            mx=True,
            bgu=bn,
            bd=bd,
            g_hi=7.0,
            u_hi=8.0,
            u_lo=-6.0,
        )
        return (
            dict(
                hidden_input=x,
                weights=w,
                kind=kind,
                expert_gate_up_bias=b,
                expert_down_bias=bd,
                expert_affinities=aff,
                expert_index=idx,
                is_all_expert=all_expert,
                rank_id=rank,
            ),
            {"out": out},
            5e-2,
        )

    return f


# ------------------------------------------------------------------ block-wise forward / backward
def _cte(
    T,
    H,
    I,
    E,
    k,
    B,
    skip=0,
    bias=False,
    act="SiLU",
    mode="POST",
    clamp=False,
    scale=False,
    round_to=1,
    kind=None,
    multI=False,
    stack=None,
    seed=4,
    ckpt=False,
    acc=True,
    rtol=2e-2,
):
    def f():
        r = _rng(seed)
        sk = bool(skip & 1)
        rows = T if sk else T + 1
        sel = np.stack([r.permutation(E)[:k] for _ in range(T)])
        aff = bf(r.random((T, E)))
        hid = bf(r.random((T, H)))
        if not sk:
            hid = np.vstack([hid, np.zeros((1, H), f32)])
        am = R.masked_affinities(sel, aff, E, rows)
        tp, be, nreal = R.build_maps(sel, E, B, round_to, sk)
        inp = dict(
            hidden_states=hid,
            expert_affinities_masked=am,
            block_size=B,
            token_position_to_id=tp,
            block_to_expert=be,
            n_real_blocks=nreal,
            skip=skip,
            activation_function=act,
            mode=mode,
        )
        kw = {}
        if kind:
            w, wgu, wd = mx_weights(r, E, H, I, kind)
            inp["weights"] = w
            if bias:
                b, kw["bgu"] = mx_bias(r, E, I)
                inp["gate_and_up_proj_bias"] = b
                kw["bd"] = inp["down_proj_bias"] = bf(r.uniform(-1.6, 1.4, (E, H)))
        else:
            wgu, wd = _experts(r, E, H, 2, I), _experts(r, E, I, H)
            if scale:
                wgu, wd = fp8(wgu * 1000), fp8(wd * 1000)
                kw["sgu"] = r.uniform(-0.01, 0.01, (E, 2, I)).astype(f32)
                kw["sd"] = r.uniform(-0.01, 0.01, (E, H)).astype(f32)
                inp["gate_up_proj_scale"] = kw["sgu"].reshape(E, 1, 2 * I)
                inp["down_proj_scale"] = kw["sd"].reshape(E, 1, H)
            inp["gate_up_proj_weight"], inp["down_proj_weight"] = wgu, wd
            if bias:
                inp["gate_and_up_proj_bias"] = kw["bgu"] = bf(r.uniform(-1, 1, (E, 2, I)))
                inp["down_proj_bias"] = kw["bd"] = bf(r.uniform(-1.6, 1.4, (E, H)))
        usual = dict(g_hi=1.0, u_hi=1.0, u_lo=-1.0) if clamp else {}
        lim = clamp if isinstance(clamp, dict) else usual
        inp["clamps"] = lim
        o, gt, dn = R.moe_cte(
            hid,
            am,
            wgu,
            wd,
            tp,
            be,
            B,
            act_name=act,
            mode=mode,
            accumulate=acc,
            multiply_on_I=multI,
            mx=bool(kind),
            checkpoints=True,
            **kw,
            **lim,
        )
        if stack == "TLH":
            o = np.stack([o, np.zeros_like(o)], 1)
        elif stack == "LTH":
            o = np.stack([o, np.zeros_like(o)], 0)
        exp = {"output": o}
        if ckpt:
            exp.update(gate_up_activations_T=gt, down_activations=dn)
        return inp, exp, (5e-2 if kind or scale else rtol)

    return f


def _bwd(T, H, I, E, k, B, skip=0, bias=False, act="SiLU", c=None, seed=5):
    def f():
        inp, _, _ = _cte(T, H, I, E, k, B, skip, bias, act, seed=seed, ckpt=True)()
        r = _rng(seed + 100)
        lim = {} if c is None else dict(g_hi=c, g_lo=-c, u_hi=c, u_lo=-c)
        wgu, wd = inp["gate_up_proj_weight"], inp["down_proj_weight"]
        _, gt, dn = R.moe_cte(
            inp["hidden_states"],
            inp["expert_affinities_masked"],
            wgu,
            wd,
            inp["token_position_to_id"],
            inp["block_to_expert"],
            B,
            bgu=inp.get("gate_and_up_proj_bias"),
            act_name=act,
            checkpoints=True,
            **lim,
        )
        if bias:
            dn = dn + inp["down_proj_bias"][inp["block_to_expert"]][:, None, :]
        gt, dn = bf(gt), bf(dn)
        dout = bf(r.uniform(-1, 1, inp["hidden_states"].shape))
        if not skip & 1:
            dout[T] = 0
        g = R.bwd(
            inp["hidden_states"],
            inp["expert_affinities_masked"],
            wgu,
            wd,
            gt,
            dn,
            inp["token_position_to_id"],
            inp["block_to_expert"],
            dout,
            B,
            act,
            True,
            c,
            None if c is None else -c,
            c,
            None if c is None else -c,
        )
        names = [
            "hidden_states_grad",
            "expert_affinities_masked_grad",
            "gate_up_proj_weight_grad",
            "down_proj_weight_grad",
            "gate_and_up_proj_bias_grad",
            "down_proj_bias_grad",
        ]
        inp.update(
            gate_up_proj_act_checkpoint_T=gt,
            down_proj_act_checkpoint=dn,
            output_hidden_states_grad=dout,
            clamp=c,
            bias=bias,
        )
        return inp, dict(zip(names if bias else names[:4], g if bias else g[:4], strict=True)), 2e-2

    return f


def _block(T, H, I, E, EL, K, all_expert, pre, norm, rank=0, act="Swish", h_actual=None, seed=6):
    def f():
        r = _rng(seed)
        x = bf(r.uniform(-0.1, 0.1, (T, H)))
        if h_actual:
            x[:, h_actual:] = 0
        gam = bf(r.uniform(0.5, 1.5, (H,)))
        wr, br = bf(r.standard_normal((H, E)) * 0.3), bf(r.standard_normal((E,)))
        wgu, wd = bf(r.standard_normal((EL, H, 2, I)) * 0.05), bf(r.standard_normal((EL, I, H)) * 0.05)
        n = bf(R.rmsnorm(x, gam, 1e-6, h_actual))
        L, i, A, _ = R.router_topk(n, wr, br, K, "softmax", pre, norm)
        if not all_expert and pre and not norm:
            A = A * 0 + A * (i[:, :, None] == np.arange(E)).any(1)
        o = R.moe_tkg(n, wgu, wd, A, i.astype(int), all_expert, rank, pre, True, act_name=act)
        return (
            dict(
                inp=x,
                gamma=gam,
                router_weights=wr,
                router_bias=br,
                expert_gate_up_weights=wgu,
                expert_down_weights=wd,
                top_k=K,
                router_pre_norm=pre,
                norm_topk_prob=norm,
                hidden_actual=h_actual,
                is_all_expert=all_expert,
                rank_id=rank,
            ),
            {"out": o, "router_logits": L},
            2e-2,
        )

    return f


CASES = {
    # router_topk
    "RT-01": _router(4, 256, 16, 4, "softmax", False, False, bias=False),
    "RT-02": _router(4, 256, 16, 4, "softmax", False, False),
    "RT-03": _router(5, 512, 128, 8, "softmax", True, False),
    "RT-04": _router(5, 512, 128, 8, "softmax", True, True),
    "RT-05": _router(8, 512, 128, 8, "sigmoid", False, False, use_indirect_dma_scatter=True),
    "RT-06": _router(8, 512, 128, 8, "sigmoid", True, True, use_indirect_dma_scatter=True),
    "RT-07": _router(130, 256, 32, 4, "softmax", False, False),
    "RT-08": _router(640, 256, 32, 4, "softmax", False, False, use_indirect_dma_scatter=True),
    "RT-09": _router(4, 256, 16, 1, "softmax", False, False),
    "RT-10": _router(
        16, 3072, 128, 4, "softmax", False, False, use_column_tiling=True, return_eager_affi=True
    ),
    # moe_tkg
    "TKG-01": _tkg(4, 512, 64, 2, bias=False, clamp=False),
    "TKG-02": _tkg(4, 512, 192, 4, act="Swish"),
    "TKG-03": _tkg(4, 512, 64, 2, E=8, rank=3, K=2),
    "TKG-04": _tkg(4, 512, 64, 2, E=8, rank=1, K=2, mask=True),
    "TKG-05": _tkg(4, 512, 64, 2, post=False),
    "TKG-06": _tkg(7, 512, 128, 4, K=2, all_expert=False, act="Swish"),
    "TKG-07": _tkg(1, 512, 128, 4, K=2, all_expert=False, act="GELU"),
    "TKG-08": _tkg(3, 512, 128, 4, K=3, all_expert=False, dup=True, act="GELU_Tanh_Approx"),
    "TKG-09": _tkg(4, 512, 64, 2, row_scale=True),
    "TKG-10": _tkg(32, 256, 64, 16, K=8, all_expert=False),
    # moe_tkg MX
    "TMX-01": _tkg_mx(32, 1024, 1024, 1, "e2m1", K=1),
    "TMX-02": _tkg_mx(32, 1024, 1024, 2, "e4m3", E=4, rank=1),
    "TMX-03": _tkg_mx(160, 1024, 1024, 1, "e2m1", K=1),
    "TMX-04": _tkg_mx(4, 512, 192, 8, "e2m1", K=4, all_expert=False),
    "TMX-05": _tkg_mx(3, 512, 768, 4, "e4m3", K=2, all_expert=False, act="SiLU"),
    # block-wise
    "SB-01": _cte(200, 512, 64, 4, 2, 128, 0, round_to=2, stack="TLH"),
    "SB-02": _cte(200, 512, 192, 4, 2, 128, 1, True, "Swish", clamp=True, round_to=2, stack="TLH"),
    "SI-01": _cte(300, 512, 256, 4, 2, 256, 0),
    "SI-02": _cte(300, 512, 256, 4, 2, 256, 1, True, "Swish", clamp=True),
    "SI-03": _cte(300, 512, 256, 4, 2, 256, 0, ckpt=True),
    "SI-04": _cte(300, 512, 256, 4, 2, 256, 0, multI=True),
    "SI-05": _cte(300, 512, 256, 4, 2, 256, 1, scale=True),
    "SI-06": _cte(300, 512, 288, 4, 2, 256, 0, mode="NO"),
    "SI-07": _cte(300, 512, 256, 4, 2, 256, 0, mode="PRE_SCALE_I"),
    "SI-08": _cte(300, 512, 256, 4, 1, 256, 0, acc=False),
    "SH-01": _cte(200, 256, 48, 4, 2, 128, 0, ckpt=True),
    "SH-02": _cte(200, 256, 48, 4, 2, 128, 1, mode="PRE_H"),
    "SH-03": _cte(200, 288, 48, 4, 2, 128, 0, mode="NO"),
    "BMX-01": _cte(
        200, 512, 64, 4, 2, 128, 1, True, "Swish", clamp=True, round_to=2, kind="e2m1", stack="LTH"
    ),
    "BMX-02": _cte(200, 512, 192, 4, 2, 128, 0, True, "SiLU", round_to=2, kind="e4m3", stack="LTH"),
    "BMX-03": _cte(200, 512, 768, 4, 2, 128, 0, True, "Swish", round_to=2, kind="e5m2", stack="LTH"),
    "IMX-01": _cte(300, 512, 1024, 2, 2, 256, 1, True, "Swish", clamp=True, kind="e2m1"),
    "IMX-02": _cte(300, 1536, 1024, 2, 1, 256, 0, True, "Swish", kind="e4m3"),
    # backward
    "BW-01": _bwd(200, 128, 64, 2, 1, 256),
    "BW-02": _bwd(200, 128, 64, 4, 2, 256, bias=True, act="Swish", c=0.5),
    "BW-03": _bwd(200, 128, 64, 3, 2, 128, skip=1),
    # moe block
    "MB-01": _block(4, 512, 64, 8, 8, 2, False, False, False),
    "MB-02": _block(4, 512, 64, 8, 2, 2, True, True, True, rank=1),
    "MB-03": _block(5, 512, 64, 8, 8, 2, True, True, False, h_actual=480),
}
