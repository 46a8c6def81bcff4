"""Inputs and expected outputs of numbered cases: ``CASES["MLP-03"]()`` gives ``(inputs, expected)``.

Tensors are drawn from ``np.random.default_rng(seed)`` in the order written here and rounded at once to the type
that the helper names; the order is part of the case.
"""

import numpy as np
import numpy_ref as R

CASES = {}


def case(name):
    def deco(f):
        CASES[name] = f
        return f

    return deco


def N(rng, shape, scale=1.0):
    return R.bf16(rng.normal(size=shape) * scale)


def F8(rng, shape, scale=1.0):
    return R.e4m3(rng.normal(size=shape) * scale)


# ------------------------------------------------------------------ MLP


def _mlp(
    seed,
    B,
    S,
    H,
    I,
    norm=None,
    act="SiLU",
    add=False,
    bias=False,
    nb=False,
    lim=None,
    skip=False,
    quant=None,
    eps=1e-6,
):
    r = np.random.default_rng(seed)
    d = dict(hidden=N(r, (B, S, H)))
    wq = F8 if quant else N
    d["wg"], d["wu"] = wq(r, (H, I), H**-0.5), wq(r, (H, I), H**-0.5)
    d["wd"] = wq(r, (I, H), I**-0.5)
    if norm in ("RMS_NORM", "LAYER_NORM"):
        d["gamma"] = N(r, (1, H))
    if nb:
        d["beta"] = N(r, (1, H))
    if add:
        d["add"] = N(r, (B, S, H))
    if bias:
        d["gb"], d["ub"], d["db"] = N(r, (1, I)), N(r, (1, I)), N(r, (1, H))
    kw = {}
    if lim:
        kw = dict(g_hi=lim[0], g_lo=lim[1], u_hi=lim[0], u_lo=lim[1])
    if quant == "ROW":
        d["gs"], d["us"] = r.uniform(0.5, 1.5, I).astype("f4"), r.uniform(0.5, 1.5, I).astype("f4")
        d["ds"] = r.uniform(0.5, 1.5, H).astype("f4")
    if quant == "STATIC":
        d["gs"], d["us"], d["ds"] = np.float32(0.75), np.float32(1.25), np.float32(0.5)
    out, summed = R.mlp_ref(norm=norm, act=act, eps=eps, skip_gate=skip, **kw, **d)
    return d, dict(out=out, add_out=summed)


for _n, _k in {
    "MLP-01": dict(seed=1, B=1, S=1, H=256, I=128),
    "MLP-02": dict(seed=2, B=4, S=5, H=1024, I=512, norm="RMS_NORM"),
    "MLP-03": dict(seed=3, B=4, S=1, H=1024, I=896, bias=True),
    "MLP-04": dict(seed=4, B=4, S=8, H=1024, I=512, norm="LAYER_NORM", nb=True, add=True, bias=True),
    "MLP-05": dict(seed=5, B=64, S=1, H=512, I=135, norm="RMS_NORM"),
    "MLP-06": dict(seed=6, B=4, S=1, H=1024, I=416, skip=True, lim=(1.0, -0.75)),
    "MLP-07": dict(seed=7, B=4, S=1, H=1024, I=416, lim=(1.0, -0.75)),
    "MLP-08": dict(seed=8, B=4, S=5, H=1024, I=512, norm="RMS_NORM", quant="ROW"),
    "MLP-09": dict(seed=9, B=4, S=1, H=1024, I=893, bias=True, quant="STATIC"),
    "MLP-10": dict(seed=10, B=1, S=96, H=512, I=256, act="GELU"),
    "MLP-11": dict(seed=11, B=1, S=98, H=512, I=256, act="GELU_Tanh_Approx"),
    "MLP-12": dict(seed=12, B=1, S=128, H=1024, I=448, norm="RMS_NORM", add=True, bias=True),
    "MLP-13": dict(seed=13, B=1, S=578, H=384, I=352, norm="LAYER_NORM", nb=True, bias=True, act="GELU"),
    "MLP-14": dict(seed=14, B=1, S=256, H=7168, I=1024, norm="RMS_NORM_SKIP_GAMMA", add=True),
    "MLP-15": dict(seed=15, B=2, S=7, H=512, I=256, act="Swish", norm="RMS_NORM", eps=4.0),
}.items():
    CASES[_n] = lambda _k=_k: _mlp(**_k)


@case("MLP-16")  # CTE ROW, I > 512 so the gate row scales of the second I tile matter
def _():
    r = np.random.default_rng(16)
    T, H, I = 256, 512, 896
    q = R.e4m3(r.uniform(-240, 240, (T, H)))
    d = dict(
        q=q,
        tok_scale=r.uniform(1e-3, 3e-3, (T, 1)).astype("f4"),
        wg=F8(r, (H, I), H**-0.5),
        wu=F8(r, (H, I), H**-0.5),
        wd=F8(r, (I, H), I**-0.5),
        gs=r.uniform(0.1, 4, I).astype("f4"),
        us=r.uniform(0.5, 1.5, I).astype("f4"),
        ds=r.uniform(0.5, 1.5, H).astype("f4"),
    )
    return d, dict(out=R.mlp_cte_row_ref(**d)[None])


@case("MLP-17")  # CTE STATIC
def _():
    r = np.random.default_rng(17)
    T, H, I = 256, 512, 512
    d = dict(
        q=R.e4m3(r.uniform(-240, 240, (T, H))),
        wg=F8(r, (H, I), H**-0.5),
        wu=F8(r, (H, I), H**-0.5),
        wd=F8(r, (I, H), I**-0.5),
        gs=np.float32(0.9),
        us=np.float32(1.1),
        ds=np.float32(0.5),
        s_in=np.float32(0.01),
        s_mid=np.float32(0.02),
    )
    return d, dict(out=R.mlp_cte_static_ref(**d)[None])


# ------------------------------------------------------------------ QKV


def _qkv(
    seed,
    B,
    S,
    H,
    nq,
    nkv,
    d,
    norm=None,
    add=False,
    bias=False,
    nb=False,
    rope=False,
    eps=1e-6,
    hidden_actual=None,
    nbsd=False,
    static=False,
    kv=None,
    ncache=None,
    block=None,
):
    r = np.random.default_rng(seed)
    I = (nq + 2 * nkv) * d
    x = N(r, (B, S, H))
    w = (F8 if static else N)(r, (H, I), H**-0.5)
    inp, kw = dict(x=x, w=w), {}
    if hidden_actual:
        inp["x"][..., hidden_actual:] = 0
        kw["hidden_actual"] = hidden_actual
    if add:
        inp["adds"] = (N(r, x.shape), N(r, x.shape))  # mlp_prev, attention_prev
    if norm in ("RMS_NORM", "LAYER_NORM"):
        inp["gamma"] = N(r, (1, H))
    if nb:
        inp["beta"] = N(r, (1, H))
    if bias:
        inp["bias"] = N(r, (1, I))
    if rope:
        ang = r.uniform(0, 6.28, (B, S, d // 2))
        inp["cos"] = R.bf16(np.concatenate([np.cos(ang)] * 2, -1))
        inp["sin"] = R.bf16(np.concatenate([np.sin(ang)] * 2, -1))
    if static:
        inp["in_scale"] = np.float32(1 / 60.0)
        inp["w_scale"] = np.array([1.0, 0.5, 2.0], np.float32)
    if static or rope:
        kw.update(nq=nq, nkv=nkv, d=d)
    y = R.qkv_ref(norm=norm, eps=eps, **kw, **inp)
    out = dict(out=R.bsd_to_nbsd(y, d) if nbsd else y)
    if add:
        out["fused_hidden"] = np.asarray(x, np.float64) + inp["adds"][0] + inp["adds"][1]
    if kv:
        kq, vq = nq * d, (nq + nkv) * d
        k8, v8 = R.kv_quant(y[..., kq:vq], kv[0]), R.kv_quant(y[..., vq:], kv[1])
        if block:
            nb_, bs = block
            slot = r.permutation(nb_ * bs)[: B * S].reshape(B, S).astype(np.int32)
            inp["slot_mapping"] = slot
            kc, vc = np.zeros((nb_ * bs, nkv * d), "f4"), np.zeros((nb_ * bs, nkv * d), "f4")
            kc[slot], vc[slot] = k8, v8
            kc, vc = kc.reshape(nb_, bs, -1), vc.reshape(nb_, bs, -1)
        else:
            kc, vc = np.zeros((B, ncache, nkv * d), "f4"), np.zeros((B, ncache, nkv * d), "f4")
            kc[:, :S], vc[:, :S] = k8, v8
        out = dict(q=y[..., :kq], k_cache=kc, v_cache=vc)
    return inp, out


for _n, _k in {
    "QKV-01": dict(seed=101, B=1, S=1, H=256, nq=1, nkv=1, d=64),
    "QKV-02": dict(seed=102, B=4, S=1, H=1024, nq=5, nkv=1, d=128, norm="RMS_NORM", add=True),
    "QKV-03": dict(seed=103, B=4, S=5, H=1024, nq=2, nkv=1, d=128, norm="LAYER_NORM", nb=True, bias=True),
    "QKV-04": dict(seed=104, B=2, S=2, H=512, nq=2, nkv=2, d=64, nbsd=True),
    "QKV-05": dict(seed=105, B=1, S=5, H=1024, nq=8, nkv=1, d=128, norm="RMS_NORM", static=True, bias=True),
    "QKV-06": dict(seed=106, B=4, S=1, H=1024, nq=1, nkv=1, d=128, norm="RMS_NORM", hidden_actual=768),
    "QKV-07": dict(seed=107, B=1, S=128, H=512, nq=2, nkv=1, d=128, norm="RMS_NORM", add=True),
    "QKV-08": dict(seed=108, B=1, S=192, H=640, nq=3, nkv=1, d=128, rope=True, bias=True),
    "QKV-09": dict(seed=109, B=1, S=127, H=512, nq=2, nkv=1, d=128, norm="LAYER_NORM", nb=True),
    "QKV-10": dict(seed=110, B=2, S=130, H=256, nq=8, nkv=2, d=128, nbsd=True),
    "QKV-11": dict(seed=111, B=1, S=512, H=1024, nq=2, nkv=1, d=128, norm="RMS_NORM", add=True, eps=77.0),
    "QKV-12": dict(seed=112, B=1, S=128, H=512, nq=2, nkv=1, d=128, static=True),
    "QKV-13": dict(seed=113, B=1, S=128, H=256, nq=1, nkv=1, d=128, kv=(1.67, 1.67), ncache=256),
    "QKV-14": dict(seed=114, B=1, S=128, H=256, nq=1, nkv=1, d=128, kv=(0.005, 0.005), ncache=256),
    "QKV-15": dict(seed=115, B=1, S=128, H=256, nq=1, nkv=1, d=128, kv=(1.0, 2.5), block=(16, 16)),
    "QKV-16": dict(seed=116, B=1, S=16, H=256, nq=1, nkv=1, d=64, rope=True),
}.items():
    CASES[_n] = lambda _k=_k: _qkv(**_k)


@case("QKV-17")  # MX weights, un-swizzled input
def _():
    r = np.random.default_rng(117)
    T, H, I = 128, 512, 512
    x = N(r, (T, H))
    wq, wsc = R.mx_quantize(r.normal(size=(H // 4, 4 * I)).astype("f4") * H**-0.5)
    return dict(x=x[None], wq=wq, wsc=wsc, x_swizzled=R.mx_swizzle_input(x[None])), dict(
        out=R.qkv_mx_ref(x, wq, wsc)[None]
    )


# ------------------------------------------------------------------ output projection


def _opc(seed, B, N_, D, S, H, bias=False, fp8=None):
    r = np.random.default_rng(seed)
    d = dict(attn=N(r, (B, N_, D, S)), w=(F8 if fp8 else N)(r, (N_ * D, H), (N_ * D) ** -0.5))
    if bias:
        d["bias"] = N(r, (1, H))
    if fp8:
        d["s_in"], d["s_w"] = np.float32(fp8[0]), np.float32(fp8[1])
    return d, dict(out=R.outproj_cte_ref(**d))


def _opt(seed, B, N_, D, S, H, bias=False, fp8=None, tr=False, lnc=1):
    r = np.random.default_rng(seed)
    d = dict(attn=N(r, (D, B, N_, S)), w=(F8 if fp8 else N)(r, (N_ * D, H), (N_ * D) ** -0.5))
    if bias:
        d["bias"] = N(r, (1, H))
    if fp8:
        d["s_in"], d["s_w"] = np.float32(fp8[0]), np.float32(fp8[1])
    return d, dict(out=R.outproj_tkg_ref(transpose_out=tr, lnc=lnc, **d))


for _n, _k in {
    "OPC-01": dict(seed=201, B=1, N_=1, D=128, S=128, H=512),
    "OPC-02": dict(seed=202, B=1, N_=16, D=10, S=128, H=384, bias=True),
    "OPC-03": dict(seed=203, B=1, N_=17, D=10, S=64, H=256, bias=True),
    "OPC-04": dict(seed=204, B=2, N_=3, D=128, S=192, H=640),
    "OPC-05": dict(seed=205, B=1, N_=4, D=64, S=576, H=1026, bias=True),
    "OPC-06": dict(seed=206, B=1, N_=2, D=128, S=128, H=512, fp8=(0.02, 0.5)),
    "OPC-07": dict(seed=207, B=1, N_=3, D=128, S=192, H=512, bias=True, fp8=(0.02, -0.25)),
    "OPC-08": dict(seed=208, B=1, N_=1, D=77, S=128, H=256, fp8=(0.02, 0.5)),
}.items():
    CASES[_n] = lambda _k=_k: _opc(**_k)
for _n, _k in {
    "OPT-01": dict(seed=301, B=4, N_=8, D=64, S=4, H=512, bias=True),
    "OPT-02": dict(seed=302, B=4, N_=8, D=32, S=4, H=1024, bias=True, tr=True, lnc=2),
    "OPT-03": dict(seed=303, B=4, N_=2, D=128, S=4, H=602, bias=True),
    "OPT-04": dict(seed=304, B=4, N_=10, D=48, S=2, H=256),
    "OPT-05": dict(seed=305, B=192, N_=2, D=64, S=1, H=256, bias=True),
    "OPT-06": dict(seed=306, B=16, N_=8, D=128, S=1, H=512, bias=True, fp8=(0.02, 0.5)),
    "OPT-07": dict(seed=307, B=64, N_=8, D=128, S=1, H=512, bias=True, fp8=(0.02, 0.5)),
    "OPT-08": dict(seed=308, B=64, N_=8, D=128, S=2, H=512, fp8=(0.02, 0.5), tr=True, lnc=2),
    "OPT-09": dict(seed=309, B=4, N_=8, D=128, S=5, H=1280, bias=True, tr=True, lnc=1),
}.items():
    CASES[_n] = lambda _k=_k: _opt(**_k)

# ------------------------------------------------------------------ rmsnorm_quant


def _rq(seed, shape, x=None, **k):
    r = np.random.default_rng(seed)
    xin = N(r, shape)
    g = N(r, (shape[-1],))
    q, d = R.rmsnorm_quant_ref(xin, g, **k)
    out = dict(q=q)
    if d is not None:
        out["scale"] = d
        out["packed"] = R.pack_row(q, d)
    return dict(x=xin, gamma=g), out


for _n, _k in {
    "RQ-01": dict(seed=401, shape=(1, 2, 1024)),
    "RQ-02": dict(seed=402, shape=(1, 160, 1024)),
    "RQ-03": dict(seed=403, shape=(1, 2, 1024), norm="NO_NORM"),
    "RQ-04": dict(seed=404, shape=(1, 2, 1024), lower_bound=0.5),
    "RQ-05": dict(seed=405, shape=(130, 640)),
    "RQ-06": dict(seed=406, shape=(2, 33, 512), quant="STATIC", in_scale=0.5),
    "RQ-07": dict(seed=407, shape=(1, 5, 512), quant="STATIC", norm="NO_NORM", in_scale=0.01),
}.items():
    CASES[_n] = lambda _k=_k: _rq(**_k)
