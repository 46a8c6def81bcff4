"""Random calls of the MLP, of QKV, of the output projections and of the norms."""

from __future__ import annotations

import functools
from typing import Any

import mlps
import nki.isa as nisa
import nki.language as nl
import npref_attn as norms
import numpy as np
import numpy_ref as ref
import qkvs
from blockcheck import BF16, FP8, FP16, FP32, in_sbuf, per_core
from kernels import cast
from mxs import decoded, packed
from tkgcases import QUIET

from nkilib.core.mlp.mlp import mlp
from nkilib.core.output_projection.output_projection_cte import output_projection_cte
from nkilib.core.output_projection.output_projection_tkg import output_projection_tkg
from nkilib.core.qkv.qkv import qkv
from nkilib.core.qkv.qkv_cte import qkv_cte
from nkilib.core.qkv.qkv_tkg import qkv_tkg
from nkilib.core.rmsnorm.rmsnorm_quant import RmsNormQuantKernelArgs, rmsnorm_quant_kernel
from nkilib.core.subkernels.layernorm_tkg import layernorm_tkg
from nkilib.core.subkernels.rmsnorm_mx_quantize_tkg import rmsnorm_mx_quantize_tkg
from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg
from nkilib.core.utils.allocator import SbufManager, create_auto_alloc_manager
from nkilib.core.utils.common_types import ActFnType, NormType, QKVOutputLayout, QuantizationType
from nkisim.core.dtypes import dtype_of

from .base import BF16_STEPS, Call, Choose, Family, step_of_fp8

NONE, ROW, STATIC, MX = (
    QuantizationType.NONE,
    QuantizationType.ROW,
    QuantizationType.STATIC,
    QuantizationType.MX,
)


ROWS = [32 * (row // 4) + row % 4 for row in range(16)]
"""Partitions of a tile's MX scales."""


def drawn(random: Any, shape: tuple[int, ...], dtype: Any = BF16, scale: float = 1.0) -> Any:
    return cast(random.normal(size=shape) * scale, dtype)


# -- MLP --------------------------------------------------------------------------------------------------

TKG_TOKENS = 96


def left_or_stored(hidden_tensor: Any, sharded: bool = False, **arguments: Any) -> Any:
    """mlp, with the hidden state in a tile if it has three dimensions, and each core's result that is in one."""
    if sharded:
        hidden_tensor = in_sbuf(hidden_tensor)
    found = mlp(hidden_tensor, **arguments)
    if arguments.get("store_output_in_sbuf"):
        return [per_core(found[0]), *found[1:]]
    return found


def fed(c: Choose) -> Call:
    if c.of(0, 0, 1):
        return fed_quantised(c)
    decode = c.flag()
    tokens = (c.int(1, 3), c.int(1, 8)) if decode else (2, c.of(50, 65))
    hidden, inner = 256 * c.int(1, 2), c.of(64, 7, 130, 300)
    random = c.random()
    parts = c.some("add", "gb", "ub", "db", "beta", "skip_gate", "swap up", "swap down", "in sbuf")
    kind = c.of(NormType.NO_NORM, *NormType)
    given: dict[str, Any] = {
        "hidden": drawn(random, (*tokens, hidden)), "wg": drawn(random, (hidden, inner), scale=hidden**-0.5),
        "wu": drawn(random, (hidden, inner), scale=hidden**-0.5),
        "wd": drawn(random, (inner, hidden), scale=inner**-0.5),
    }  # fmt: skip
    if kind != NormType.NO_NORM and kind != NormType.RMS_NORM_SKIP_GAMMA:
        given["gamma"] = drawn(random, (1, hidden))
    if kind == NormType.LAYER_NORM and "beta" in parts:
        given["beta"] = drawn(random, (1, hidden))
    for name, width in (("gb", inner), ("ub", inner), ("db", hidden)):
        if name in parts:
            given[name] = drawn(random, (1, width))
    if "add" in parts:
        given["add"] = drawn(random, (*tokens, hidden))
    if decode:
        given |= {name: c.of(0.4, 0.7) * (1 if name.endswith("hi") else -1) for name in c.some("g_hi", "g_lo", "u_hi", "u_lo")}  # fmt: skip
    act, eps, dtype = c.of(*ActFnType), c.of(1e-6, 0.5), c.of(None, nl.float32, nl.bfloat16)
    arguments = mlps.arguments(given)
    arguments |= {"normalization_type": kind, "activation_fn": act, "eps": eps, "output_dtype": dtype}
    skip = decode and "skip_gate" in parts
    keep = "add" in parts and c.flag()
    if keep:
        arguments["store_fused_add_result"] = True
    if decode:
        arguments |= {
            "skip_gate_proj": skip, "use_tkg_gate_up_proj_column_tiling": "swap up" not in parts,
            "use_tkg_down_proj_column_tiling": "swap down" not in parts,
        }  # fmt: skip
    elif tokens[0] * tokens[1] <= TKG_TOKENS or c.flag():
        arguments["force_cte_mode"] = True
    in_tile = decode and "in sbuf" in parts and dtype is None and not keep
    if in_tile:
        arguments["store_output_in_sbuf"] = True
    optimized = decode and "swap down" in parts and c.flag()
    norm = None if kind == NormType.NO_NORM else kind.name
    skipped = {"gb": None, "g_hi": None, "g_lo": None} if skip else {}
    want, total = ref.mlp_ref(act=act.name, norm=norm, eps=eps, skip_gate=skip, **{**given, **skipped})

    def arguments_on(lnc: int) -> dict[str, Any]:
        if not optimized:
            return arguments
        weight = cast(ref.down_w_optimized(given["wd"].astype(FP32), lnc), BF16)
        return arguments | {"down_proj_weights_tensor": weight, "use_tkg_down_proj_optimized_layout": True}

    def expected(lnc: int) -> Any:
        result = want
        if in_tile:
            flat = want.reshape(-1, lnc, hidden // lnc)
            result = flat.swapaxes(0, 1)
            if "swap down" in parts:
                result = result.reshape(lnc, -1, 128, hidden // lnc // 128).transpose(0, 2, 3, 1)
        return [result, total] if keep else [result]

    out = BF16 if dtype is None else dtype_of(dtype).numpy
    return Call(left_or_stored, arguments, expected, dtypes=[out, out], arguments_on=arguments_on)


def fed_quantised(c: Choose) -> Call:
    """fp8: products with scales for few tokens, fp8 by fp8 for many."""
    kind, decode, random = c.of(ROW, STATIC), c.flag(), c.random()
    tokens, hidden, inner = c.of(4, 9) if decode else c.of(128, 100), 256, c.of(128, 200, 77)
    act, dtype = c.of(*ActFnType), nl.bfloat16
    weights = {
        name: cast(random.normal(size=shape) * 30, FP8)
        for name, shape in (("wg", (hidden, inner)), ("wu", (hidden, inner)), ("wd", (inner, hidden)))
    }
    per_column = kind == ROW
    scales = {
        name: (random.uniform(0.5, 1.5, size if per_column else 1) * 0.03 * width**-0.5).astype(FP32)
        for name, size, width in (("gs", inner, hidden), ("us", inner, hidden), ("ds", hidden, inner))
    }
    steps: dict[str, Any] = {} if per_column else {"s_in": np.float32(0.02), "s_mid": np.float32(0.01)}
    given = {**weights, **scales, **steps}
    options: dict[str, Any] = {"quantization_type": kind, "activation_fn": act, "output_dtype": dtype}
    if decode:
        given["hidden"] = drawn(random, (1, tokens, hidden))
        want, _ = ref.mlp_ref(given["hidden"], **weights, **scales, act=act.name)
        return Call(
            mlp, mlps.arguments(given, weights=FP8) | options, lambda _: [want], [(3e-2, 1e-5)], [BF16]
        )
    q = cast(np.clip(random.normal(size=(tokens, hidden)) * 50, -240, 240), FP8)
    options["force_cte_mode"] = True
    values = {name: weight.astype(FP32) for name, weight in weights.items()}
    step: Any = steps.get("s_in")
    bound = 0.0
    if per_column:
        step = random.uniform(0.01, 0.03, (tokens, 1)).astype(FP32)
        bound = c.of(0.0, 0.5)
        result = ref.mlp_cte_row_ref(q.astype(FP32), step, **values, **scales, act=act.name, clip=bound)
        given["hidden"], options["quant_clipping_bound"] = mlps.packed(q.astype(FP32), step), bound
    else:
        result = ref.mlp_cte_static_ref(q.astype(FP32), **values, **scales, **steps, act=act.name)
        given["hidden"] = q[None]
    arguments = mlps.arguments(given, FP8, FP8) | options
    off = other_steps(q.astype(np.float64), step, values, scales, act.name, bound, steps.get("s_mid"))
    return Call(mlp, arguments, lambda _: [result[None]], [(2e-2, off[None])], [BF16])


def other_steps(
    q: Any, step: Any, weights: dict[str, Any], scales: dict[str, Any], act: str, clip: float, s_mid: Any
) -> Any:
    """How far a quantised MLP may be off since what lies between two values of 8 bits is rounded to either.

    The intermediate values are rounded to bfloat16 four times before they are to 8 bits, with ROW (no ``s_mid``)
    six times and once more before the activation, whose slope is at most 1.13, and their scale is off as the largest
    of them is. The steps that this can change are added up with the sizes of the down weights.
    """
    unit = 2.0**-9
    gate, up = ((q @ weights[name]) * scales[scale] * step for name, scale in (("wg", "gs"), ("wu", "us")))
    middle = ref.ACT[act](gate) * up

    def limited(values: Any) -> Any:
        return np.clip(values, -clip, clip) if clip else values

    off, scale = (4 if s_mid else 6) * unit * np.abs(middle), s_mid
    if not s_mid:
        off = off + 1.13 * unit * np.abs(gate * up)
        largest, most = (
            limited(each).max(1, keepdims=True) for each in (np.abs(middle), np.abs(middle) + off)
        )
        scale = np.maximum(largest / 240, 1e-6)
        off = off + np.abs(middle) * (most / largest - 1)

    def rounded(values: Any) -> Any:
        return cast(np.clip(limited(values) / scale, -240, 240), FP8).astype(np.float64)

    changes = (np.abs(rounded(middle + sign * off) - rounded(middle)) for sign in (1, -1))
    return (np.maximum(*changes) @ np.abs(weights["wd"])) * scales["ds"] * scale


# -- QKV --------------------------------------------------------------------------------------------------


def projected(c: Choose, decode: bool) -> tuple[dict[str, Any], Any, list[tuple[float, Any]], str]:
    """Arguments of ``qkv``, results, tolerances, target."""
    batch, sequence = (c.int(1, 3), c.int(1, 8)) if decode else (c.int(1, 2), c.of(98, 128))
    queries, keys, depth, hidden = c.int(1, 3), c.int(1, 2), c.of(64, 128), 256 * c.int(1, 2)
    columns, shape, random = (queries + 2 * keys) * depth, (batch, sequence, hidden), c.random()
    dtype = c.of(BF16, FP16)
    kind, parts = c.of(NormType.NO_NORM, *NormType), c.some("bias", "add", "rope", "heads", "actual", "beta")
    if decode and kind == NormType.RMS_NORM_SKIP_GAMMA:
        kind = NormType.RMS_NORM
    if decode and batch * sequence % 2 and batch * sequence > 10 and kind != NormType.NO_NORM:
        parts -= {"add"}  # two cores that divide tokens take an even number of them
    quantised = c.of("", "", "STATIC", "caches")
    given: dict[str, Any] = {
        "x": drawn(random, shape, dtype),
        "w": drawn(random, (hidden, columns), dtype, hidden**-0.5),
    }
    if kind in (NormType.RMS_NORM, NormType.LAYER_NORM):
        given["gamma"] = drawn(random, (1, hidden), dtype)
    if kind == NormType.LAYER_NORM and "beta" in parts:
        given["beta"] = drawn(random, (1, hidden), dtype)
    if "bias" in parts:
        given["bias"] = drawn(random, (1, columns), dtype)
    if "add" in parts:
        given["adds"] = (drawn(random, shape, dtype), drawn(random, shape, dtype))
    if "rope" in parts and not decode:
        angle = random.uniform(-np.pi, np.pi, (batch, sequence, depth // 2))
        both = (np.concatenate([function(angle)] * 2, -1) for function in (np.cos, np.sin))
        given["cos"], given["sin"] = (cast(each, dtype) for each in both)
    more = {"norm": None if kind == NormType.NO_NORM else kind.name, "eps": c.of(1e-6, 0.5)}
    options: dict[str, Any] = {"fused_norm_type": kind, "norm_eps": more["eps"]}
    if "actual" in parts and kind in (NormType.RMS_NORM, NormType.RMS_NORM_SKIP_GAMMA):
        more["hidden_actual"] = options["hidden_actual"] = hidden - 100
        for tensor in (given["x"], *given.get("adds", ())):
            tensor[..., hidden - 100 :] = 0
    tolerances: list[tuple[float, Any]] = [BF16_STEPS]
    if quantised == "STATIC":
        given["w"] = cast(random.normal(size=(hidden, columns)) * 30, FP8)
        given |= {"w_scale": np.array([0.004, 0.002, 0.001], FP32), "in_scale": np.float32(0.03)}
        tolerances = [(6e-2, 2e-2)]
    if "rope" in parts or quantised or "heads" in parts:
        options |= qkvs.heads(queries, keys, depth)
        more |= {"nq": queries, "nkv": keys, "d": depth}
    if "cos" in given:
        options["fused_rope"] = True
    arguments = qkvs.arguments(given, dtype, c.of(128, 1)) | options
    want = ref.qkv_ref(**given, **more)
    if quantised == "caches" and not decode:
        arguments, stored = cached(c, arguments, want, queries * depth, keys * depth)
        tolerances += [(5e-2, step_of_fp8(each)) for each in stored[1:]]
        return arguments, stored, tolerances, "trn2"
    arguments["output_layout"] = QKVOutputLayout.BSD
    if depth == 128 and c.flag():
        arguments |= {"output_layout": QKVOutputLayout.NBSd, "d_head": depth}
        want = ref.bsd_to_nbsd(want, depth)
    if decode and "add" in parts:
        total = sum(np.asarray(each, np.float64) for each in (given["x"], *given["adds"]))
        return arguments, [want, total], tolerances, "trn2"
    return arguments, [want], tolerances, "trn2"


def cached(
    c: Choose, arguments: dict[str, Any], y: Any, wide: int, narrow: int
) -> tuple[dict[str, Any], Any]:
    """Keys and values go to caches, quantised; some beyond the largest value."""
    batch, sequence, _ = y.shape
    scales, limit, random = (c.of(0.02, 0.005), 0.01), c.of(None, 100.0), c.random()
    length, in_blocks = sequence + 22, c.flag()
    k, v = (
        np.clip(ref.kv_quant(part, scale), -(limit or 240.0), limit or 240.0)
        for part, scale in zip(np.split(y[..., wide:], [narrow], -1), scales, strict=True)
    )
    if in_blocks:
        size = 16
        count = -(-batch * length // size)
        slots = random.permutation(count * size)[: batch * sequence].reshape(batch, sequence).astype(np.int32)
        arguments = arguments | qkvs.caches((count, size, narrow), scales, slots, fill=2.0)
        want = [np.full((count * size, narrow), 2.0) for _ in range(2)]
        for cache, part in zip(want, (k, v), strict=True):
            cache[slots.reshape(-1)] = part.reshape(-1, narrow)
        stored = [cache.reshape(count, size, narrow) for cache in want]
    else:
        arguments = arguments | qkvs.caches((batch, length, narrow), scales, fill=2.0)
        stored = [np.full((batch, length, narrow), 2.0) for _ in range(2)]
        for cache, part in zip(stored, (k, v), strict=True):
            cache[:, :sequence] = part
    if limit is not None:
        arguments |= {"fp8_max": limit, "fp8_min": -limit}
    return arguments, [y[..., :wide], *stored]


def projected_mx(c: Choose) -> tuple[dict[str, Any], Any, list[tuple[float, Any]], str]:
    """Weights in MX format."""
    tokens, hidden, columns, swizzled = 4 * c.int(1, 40), 512 * c.int(1, 2), c.of(128, 384), c.flag()
    random = c.random()
    x = drawn(random, (1, tokens, hidden))
    weights, scales = ref.mx_quantize(random.normal(size=(hidden // 4, 4 * columns)) * hidden**-0.5)
    bias = drawn(random, (1, columns)) if c.flag() else None
    want = ref.qkv_mx_ref(x[0].astype(FP32), weights, scales, None if bias is None else bias.astype(FP32))[
        None
    ]
    arguments = {
        "input": cast(ref.mx_swizzle_input(x.astype(FP32)), BF16) if swizzled else x,
        "fused_qkv_weights": packed(weights), "qkv_w_scale": scales, "quantization_type": MX, "bias": bias,
        "is_input_swizzled": swizzled,
    }  # fmt: skip
    return arguments, [want], [(5e-2, 1e-2)], "trn3"


def with_tiles(
    kernel: Any, names: tuple[str, str], in_tile: bool, managed: bool, arguments: dict[str, Any]
) -> Any:
    """A QKV kernel whose input may be in a tile, as may be its result."""
    given = dict(arguments)
    if in_tile:
        given[names[0]] = in_sbuf(given[names[0]])
    if managed:
        given["sbm"] = create_auto_alloc_manager(QUIET)
        given["sbm"].open_scope()
    found = kernel(**given)
    if managed:
        given["sbm"].close_scope()
    if not arguments.get(names[1]):
        return found
    if isinstance(found, tuple):
        return per_core(found[0]), found[1]
    return per_core(found)


def on_tiles(c: Choose, arguments: dict[str, Any], want: Any) -> tuple[dict[str, Any], Any, bool]:
    """Perhaps the input, perhaps the result in tiles."""
    if arguments["output_layout"] != QKVOutputLayout.BSD or not c.flag():
        return arguments, lambda lnc: want, False

    def expected(lnc: int) -> Any:
        flat = want[0].reshape(-1, want[0].shape[-1])
        return [np.stack([flat] * lnc), *want[1:]]

    return (
        arguments | {"store_output_in_sbuf": True},
        expected,
        c.flag() and not arguments.get("fused_residual_add"),
    )


def qkv_call(c: Choose, kernel: Any, decode: bool) -> Call:
    names = ("input", "store_output_in_sbuf") if kernel is not qkv_tkg else ("hidden", "output_in_sbuf")
    arguments, want, tolerances, target = projected(c, decode) if decode or c.of(1, 1, 0) else projected_mx(c)
    expected: Any = lambda lnc: want  # noqa: E731
    in_tile = False
    if decode:
        arguments, expected, in_tile = on_tiles(c, arguments, want)
    if not decode:
        arguments |= {"load_input_with_DMA_transpose": c.flag()}
    if kernel is qkv_tkg:
        arguments = {"output_in_sbuf" if name == "store_output_in_sbuf" else name: value
                     for name, value in qkvs.tkg_arguments(arguments).items()}  # fmt: skip
    hidden = arguments[names[0]]

    def arguments_on(lnc: int) -> dict[str, Any]:
        if not in_tile:
            return arguments
        return arguments | {names[0]: ref.to_sbuf_h(hidden.reshape(-1, hidden.shape[-1]), lnc)}

    managed = c.flag()
    if managed and not decode:
        arguments["use_auto_allocation"] = True

    def run(**given: Any) -> Any:
        return with_tiles(kernel, names, in_tile, managed, given)

    return Call(run, arguments, expected, tolerances, target=target, arguments_on=arguments_on)


# -- output projections -----------------------------------------------------------------------------------


def encoded_back(c: Choose) -> Call:
    batch, heads, depth = c.int(1, 2), c.int(1, 5), c.of(64, 10, 77, 128)
    sequence, hidden, random = c.of(128, 1, 200), 2 * c.of(128, 65, 300), c.random()
    kinds = c.of((BF16, BF16), (FP32, BF16), (BF16, FP32), (FP16, FP16))
    attention = drawn(random, (batch, heads, depth, sequence), kinds[0])
    weight = drawn(random, (heads * depth, hidden), kinds[1])
    bias = drawn(random, (1, hidden), kinds[0], 10.0) if c.flag() else None
    options: dict[str, Any] = {"bias": bias}
    scales: dict[str, Any] = {}
    if c.of(0, 0, 1):
        weight = cast(random.normal(size=weight.shape) * 10, FP8)
        attention = drawn(random, attention.shape)
        scales = {"s_in": c.of(0.02, 1e-3), "s_w": c.of(0.5, -0.25)}
        options |= {
            "quantization_type": STATIC, "input_scales": np.full((128, 1), scales["s_in"], FP32),
            "weight_scales": np.full((128, 1), scales["s_w"], FP32),
        }  # fmt: skip
    want = ref.outproj_cte_ref(*as_quantised(attention, weight, bias, **scales))
    arguments = {"attention": attention, "weight": weight, **options}
    return Call(output_projection_cte, arguments, lambda _: [want], dtypes=[attention.dtype])


def as_quantised(attention: Any, weight: Any, bias: Any, s_in: float = 0.0, s_w: float = 0.0) -> Any:
    """Arguments of the oracle: STATIC rounds ``attention / s_in`` to the attention's type before it does to 8 bits.

    Without it, one that lies in the middle between two values of 8 bits is rounded to either.
    """
    if not s_in:
        return attention, weight, bias
    divided = cast(attention.astype(FP32) * (np.float32(1) / np.float32(s_in)), attention.dtype)
    return divided, weight, bias, 1.0, s_in * s_w


def projected_back(attention: Any, in_tile: bool, **arguments: Any) -> Any:
    if in_tile:
        attention = in_sbuf(attention)
    found = output_projection_tkg(attention, **arguments)
    return per_core(found) if arguments.get("OUT_IN_SB") else found


def decoded_back(c: Choose) -> Call:
    batch, heads, depth, sequence = c.int(1, 3), c.int(1, 5), c.of(64, 128, 32, 50), c.int(1, 5)
    hidden, random, dtype = 256 * c.int(1, 2), c.random(), c.of(BF16, FP16)
    transposed, kept, in_tile = c.flag(), c.flag(), c.flag()
    attention = drawn(random, (depth, batch, heads, sequence), dtype)
    weight = drawn(random, (heads * depth, hidden), dtype)
    bias = drawn(random, (1, hidden), dtype, 10.0) if c.flag() else None
    options: dict[str, Any] = {"bias": bias, "TRANSPOSE_OUT": transposed, "OUT_IN_SB": kept}
    scales: dict[str, Any] = {}
    if c.of(0, 0, 1):
        weight = cast(random.normal(size=weight.shape) * 10, FP8)
        attention = drawn(random, attention.shape)
        scales = {"s_in": 0.02, "s_w": c.of(0.5, -0.25)}
        options |= {
            "quantization_type": STATIC, "input_scale": np.full((128, 1), scales["s_in"], FP32),
            "weight_scale": np.full((128, 1), scales["s_w"], FP32),
        }  # fmt: skip

    def want(lnc: int) -> Any:
        given = as_quantised(attention, weight, bias, **scales)
        y = ref.outproj_tkg_ref(*given, transpose_out=transposed, lnc=lnc)
        if kept and transposed:
            y = y.swapaxes(0, 1)
        elif kept:
            y = y.reshape(y.shape[0], lnc, -1).swapaxes(0, 1)
        return [y]

    def run(attention: Any, **given: Any) -> Any:
        return projected_back(attention, in_tile, **given)

    arguments = {"attention": attention, "weight": weight, **options}
    return Call(run, arguments, want, dtypes=[attention.dtype])


# -- norms ------------------------------------------------------------------------------------------------


def quantised_rows(hidden: Any, ln_w: Any, input_dequant_scale: Any = None, **kargs: Any) -> Any:
    return rmsnorm_quant_kernel(hidden, ln_w, RmsNormQuantKernelArgs(**kargs), input_dequant_scale)


def quantised(c: Choose) -> Call:
    shape, random = (c.int(1, 2), c.of(2, 60, 130), c.of(256, 130, 512)), c.random()
    kind, norm, eps = c.of(ROW, STATIC), c.of(NormType.RMS_NORM, NormType.NO_NORM), c.of(1e-6, 0.5)
    bound = c.of(0.0, 0.5, 1.5)
    x, gamma = drawn(random, shape), drawn(random, (1, shape[2]))
    arguments = {"hidden": x, "ln_w": gamma, "quantization_type": kind, "norm_type": norm, "eps": eps}
    arguments["lower_bound"] = bound
    scale = None
    if kind == STATIC:
        scale = c.of(0.02, 0.5)
        arguments["input_dequant_scale"] = np.full((128, 1), scale, FP32)
    name = "RMS_NORM" if norm == NormType.RMS_NORM else "NO_NORM"
    q, steps = ref.rmsnorm_quant_ref(x, gamma.astype(FP32)[0], kind.name, name, bound, eps, scale)

    def shown(got: Any) -> Any:
        """Values, and the scale in the four bytes behind a row."""
        if kind == STATIC:
            return [got]
        raw = np.ascontiguousarray(got[..., -4:]).view(np.uint8)
        return [got[..., :-4], raw.view("<f4")]

    want = [q] if kind == STATIC else [q, steps]
    return Call(quantised_rows, arguments, lambda _: want, [(0.072, 1e-5), (0.01, 0)], [FP8], shown=shown)


def normed(
    kernel: Any, input: Any, gamma: Any, in_tile: bool, out_tile: bool, managed: bool, **options: Any
) -> Any:
    """A decode norm of a tensor or a tile, into either."""
    tokens = input.shape[1] if in_tile else input.shape[0] * input.shape[1]
    width = input.shape[2] * 128 if in_tile else input.shape[2]
    source = in_sbuf(input) if in_tile else input
    buffer = nl.sbuf if out_tile else nl.shared_hbm
    out = nl.ndarray((128, tokens, width // 128), dtype=input.dtype, buffer=buffer)
    if managed:
        options["sbm"] = SbufManager(0, 100 * 1024, QUIET)
        options["sbm"].open_scope()
    assert kernel(source, gamma, out, **options) is out
    if managed:
        options["sbm"].close_scope()
    return per_core(out) if out_tile else out


def norm_call(c: Choose, layer: bool) -> Call:
    batch, sequence, hidden, dtype = c.int(1, 3), c.int(1, 9), 256 * c.int(1, 3), c.of(BF16, FP16)
    random = c.random()
    x, gamma = drawn(random, (batch, sequence, hidden), dtype), drawn(random, (1, hidden), dtype)
    options: dict[str, Any] = {"eps": c.of(1e-6, 0.5)}
    in_tile, out_tile, managed = c.flag(), c.flag(), c.flag()
    if managed:
        options["use_heap_memory"] = c.flag()
    turned = alone = False
    if layer:
        options["beta"] = drawn(random, (1, hidden), dtype) if c.flag() else None
    else:
        turned, alone = c.flag(), c.flag()
        options |= {
            "hidden_dim_tp": turned,
            "single_core_forced": alone,
            "hidden_actual": c.of(None, hidden - 100),
        }
    out_tile = out_tile or in_tile

    def arguments_on(lnc: int) -> dict[str, Any]:
        given = x
        if in_tile:
            given = norms.norm_layout(x.reshape(-1, hidden), 1 if alone else lnc, turned)
        return {"input": given, "gamma": gamma, **options}

    def want(lnc: int) -> Any:
        if layer:
            y = norms.layernorm_tkg_ref(x, gamma, options["beta"], options["eps"], lnc)
        else:
            y = (
                norms.rmsnorm_tkg_ref(x, gamma, lnc=lnc, **options)
                if not managed
                else norms.rmsnorm_tkg_ref(
                    x, gamma, lnc=lnc, **{k: v for k, v in options.items() if k != "use_heap_memory"}
                )
            )
        return [np.stack([y] * lnc)] if out_tile else [y]

    kernel = layernorm_tkg if layer else rmsnorm_tkg

    def run(input: Any, gamma: Any, **given: Any) -> Any:
        return normed(kernel, input, gamma, in_tile, out_tile, managed, **given)

    return Call(run, {}, want, dtypes=[dtype], arguments_on=arguments_on)


def mx_parts(input: Any, gamma: Any, residual: Any = None, dtype: Any = None, **options: Any) -> Any:
    """The normalised tokens that each core has, elements and scales that all have, and the sum."""
    tokens, hidden = input.shape[0] * input.shape[1], input.shape[2]
    shape = (128, hidden // 512, tokens)
    output = nl.ndarray((128, tokens, hidden // 128), dtype=dtype, buffer=nl.sbuf)
    quant = nl.ndarray(shape, dtype=nl.float8_e4m3fn_x4, buffer=nl.sbuf)
    scale = nl.ndarray(shape, dtype=nl.uint8, buffer=nl.sbuf)
    nisa.memset(dst=scale, value=0)
    total = None
    if residual is not None:
        total = nl.ndarray((tokens, hidden), dtype=residual.dtype, buffer=nl.shared_hbm)
    rmsnorm_mx_quantize_tkg(input, gamma, output, quant, scale, residual, total, **options)
    half = tokens // nl.num_programs(0)
    own = output[:, nl.program_id(0) * half : (nl.program_id(0) + 1) * half]
    found = [per_core(own), per_core(quant), per_core(scale)]
    return found if total is None else [*found, total]


def normed_mx(c: Choose) -> Call:
    summed, random = c.flag(), c.random()
    shape = (2, 128, 1024) if summed else (c.int(1, 2), 8 * c.int(1, 3), 512 * c.int(1, 2))
    x, gamma = drawn(random, shape, FP16), drawn(random, (1, shape[2]), FP16)
    options: dict[str, Any] = {"eps": c.of(1e-6, 0.5)}
    if c.flag():
        options["hidden_actual"] = shape[2] - 100
    residual = drawn(random, shape, FP16) if summed else None
    out, _, _, total = norms.rmsnorm_mx_ref(x, gamma, residual, **options)
    hidden, tokens = shape[2], shape[0] * shape[1]

    def shown(got: Any) -> Any:
        """Elements times their scales in place of both."""
        values = [
            decoded(elements.view(np.uint8).reshape(128, -1, tokens, 4)).astype(np.float64)
            * np.exp2(scales[ROWS].repeat(8, 0).astype(np.float64) - 127)[..., None]
            for elements, scales in zip(got[1], got[2], strict=True)
        ]
        return [np.concatenate(got[0], 1), *values, *got[3:]]

    # [p, c, t, i] is output[p, t, i·C + c], to 3 bits; the largest of a group may be clipped from 2 to 1.75.
    lanes = out.reshape(128, tokens, 4, hidden // 512).transpose(0, 3, 1, 2)
    want = [out, lanes, lanes] + ([] if residual is None else [total])
    arguments = {"input": x, "gamma": gamma, "residual": residual, **options}
    run = functools.partial(mx_parts, dtype=nl.float16)
    tolerances = [(2e-3, 1e-5), (0.13, 1e-5), (0.13, 1e-5), (1e-3, 1e-5)]
    return Call(run, arguments, lambda _: want, tolerances, lnc=(2,), target="trn3", shown=shown)


MANAGER, OUTPUT = frozenset({"sbm"}), frozenset({"output", "sbm"})
BY_DMA = {"load_input_with_DMA_transpose": "who transposes"}
CACHES = {"k_cache": (0, 1), "v_cache": (0, 1)}
"""With room for more than there is; what is too little, ``constraints/dense.py`` has."""
HEAP = {"use_heap_memory": "where scratch memory is"}
FAMILIES = [
    Family(
        "nkilib.core.subkernels.rmsnorm_mx_quantize_tkg.rmsnorm_mx_quantize_tkg", normed_mx,
        made=frozenset({"output", "output_quant", "output_scale", "output_residual"}),
        refused={"hidden_dim_tp": False},
        free={"input": (0, 1)},
    ),
    Family(
        "nkilib.core.mlp.mlp.mlp", fed,
        idle={
            "use_tkg_gate_up_proj_column_tiling": "which operand moves",
            "use_tkg_down_proj_column_tiling": "which operand moves, for a result in HBM",
        },
        shown_by={"force_cte_mode": "core/mlp/test_mlp_checks.py::test_context_encoding"},
        free={"hidden_tensor": (0, 1)},
    ),
    Family(
        "nkilib.core.qkv.qkv.qkv", lambda c: qkv_call(c, qkv, c.flag()), made=MANAGER, idle=BY_DMA,
        free={"input": (0, 1), "fused_qkv_weights": (1,), **CACHES},
    ),
    Family(
        "nkilib.core.qkv.qkv_cte.qkv_cte", lambda c: qkv_call(c, qkv_cte, False), made=MANAGER, idle=BY_DMA,
        refused={"store_output_in_sbuf": True},
        free={"input": (0, 1), "fused_qkv_weights": (1,), **CACHES},
    ),
    Family(
        "nkilib.core.qkv.qkv_tkg.qkv_tkg", lambda c: qkv_call(c, qkv_tkg, True), made=MANAGER,
        free={"hidden": (0, 1), "qkv_w": (1,)},
    ),
    Family(
        "nkilib.core.output_projection.output_projection_cte.output_projection_cte.output_projection_cte", encoded_back,
        free={"attention": (0, 3), "weight": (1,)},
    ),
    Family(
        "nkilib.core.output_projection.output_projection_tkg.output_projection_tkg", decoded_back,
        free={"attention": (1, 3), "weight": (1,)},
    ),
    Family(
        "nkilib.core.rmsnorm.rmsnorm_quant.rmsnorm_quant_kernel", quantised, made=frozenset({"kargs"}), bits=True,
        classes=("nkilib.core.rmsnorm.rmsnorm_quant.RmsNormQuantKernelArgs",),
        free={"hidden": (0, 1, 2)},
    ),
    Family(
        "nkilib.core.subkernels.rmsnorm_tkg.rmsnorm_tkg", lambda c: norm_call(c, False), made=OUTPUT, idle=HEAP,
        free={"input": (0, 1)},
    ),
    Family(
        "nkilib.core.subkernels.layernorm_tkg.layernorm_tkg", lambda c: norm_call(c, True), made=OUTPUT, idle=HEAP,
        free={"input": (0, 1)},
    ),
]  # fmt: skip
