"""qkv_cte: every option beyond the numbered cases, how tokens are divided, traffic, and checks."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP8, FP16, FP32, drawn
from kernels import check_close, launch, rejected
from mxs import packed
from numpy_cases import CASES
from numpy_ref import bsd_to_nbsd, kv_quant, mx_quantize, mx_swizzle_input, qkv_mx_ref, qkv_ref
from qkvs import (
    BSD,
    LAYER,
    MX,
    NBDS,
    NBSD,
    PLAIN,
    RMS,
    ROW,
    SKIP,
    STATIC,
    arguments,
    caches,
    heads,
    run,
    scale,
)

import nkisim
from nkilib.core.qkv.qkv_cte import qkv_cte
from nkilib.core.utils.allocator import SbufManager, create_auto_alloc_manager

TOLERANCE = (2e-2, 1e-5)
MX_TOLERANCE = (5e-2, 1e-2)
STATIC_TOLERANCE = (5e-2, 2e-2)


def tensors(shape: tuple[int, int, int], columns: int, **more: Any) -> dict[str, Any]:
    """What the reference takes: drawn activations and weights, and more of the oracles' names."""
    weight = drawn((shape[2], columns), seed=1, scale=shape[2] ** -0.5)
    return {"x": drawn(shape), "w": weight, **more}


def norm_weights(hidden: int, beta: bool = False) -> dict[str, Any]:
    gamma = {"gamma": drawn((1, hidden), seed=2)}
    return {**gamma, "beta": drawn((1, hidden), seed=3)} if beta else gamma


def angles(shape: tuple[int, int, int]) -> dict[str, Any]:
    angle = np.random.default_rng(5).uniform(0, 6.28, (*shape[:2], shape[2] // 2))
    return {
        "cos": np.concatenate([np.cos(angle)] * 2, -1).astype(BF16),
        "sin": np.concatenate([np.sin(angle)] * 2, -1).astype(BF16),
    }


def residuals(shape: tuple[int, ...]) -> dict[str, Any]:
    return {"adds": (drawn(shape, seed=6), drawn(shape, seed=7))}


# -- options ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lnc", [1, 2])
def test_everything_together(lnc: int) -> None:
    shape = (2, 100, 256)
    given = tensors(
        shape, 384, **norm_weights(256, beta=True), **residuals(shape), bias=drawn((1, 384), seed=8)
    )
    given |= angles((2, 100, 64))
    want = qkv_ref(norm="LAYER_NORM", nq=2, nkv=2, d=64, **given)
    got = run(arguments(given), lnc, fused_norm_type=LAYER, fused_rope=True, **heads(2, 2, 64))
    check_close(got, want, *TOLERANCE)


@pytest.mark.parametrize("options", [{}, {"hidden_actual": 192}, {"norm_eps": 3.0}])
@pytest.mark.parametrize("kind", [RMS, SKIP])
def test_rms_norm(kind: Any, options: dict[str, Any]) -> None:
    given = tensors((1, 98, 256), 128, **(norm_weights(256) if kind == RMS else {}))
    given["x"][..., 192:] = 0
    want = qkv_ref(norm=kind.name, eps=options.get("norm_eps", 1e-6), hidden_actual=options.get("hidden_actual"),
                   **given)  # fmt: skip
    check_close(run(arguments(given), fused_norm_type=kind, **options), want, *TOLERANCE)


def test_layer_norm_has_no_padding() -> None:
    """Mean and variance are over all of H."""
    given = tensors((1, 98, 256), 128, **norm_weights(256))
    want = qkv_ref(norm="LAYER_NORM", eps=0.5, **given)
    got = run(arguments(given), fused_norm_type=LAYER, norm_eps=0.5, hidden_actual=128)
    check_close(got, want, *TOLERANCE)


def test_heads_that_do_not_divide_a_bank() -> None:
    given = tensors((1, 98, 128), 672, **angles((1, 98, 96)))
    want = qkv_ref(nq=5, nkv=1, d=96, **given)
    check_close(run(arguments(given), fused_rope=True, num_q_heads=5, num_kv_heads=1), want, *TOLERANCE)


@pytest.mark.parametrize("dtype", [BF16, FP16, FP32])
def test_transposes_give_the_same_bits(dtype: Any) -> None:
    tensors_ = arguments(tensors((1, 140, 384), 256), dtype)
    first, second = (run(tensors_, load_input_with_DMA_transpose=way) for way in (True, False))
    assert first.tobytes() == second.tobytes()


def transposing_dmas(way: bool, target: str, **options: Any) -> int:
    with nkisim.trace() as trace:
        run(arguments(tensors((1, 128, 256), 128), **options), 1, target, load_input_with_DMA_transpose=way)
    return sum(event.name == "dma_transpose" for event in trace.events)


def test_the_dma_transposes_where_it_can() -> None:
    assert transposing_dmas(True, "trn2") == 1
    assert transposing_dmas(False, "trn2") == 0
    assert transposing_dmas(True, "trn1") == 0
    assert transposing_dmas(True, "trn2", dtype=FP32) == 0


# -- how tokens are divided -------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [BSD, NBSD])
@pytest.mark.parametrize(
    ("batch", "sequence", "lnc"),
    [(3, 97, 2), (2, 641, 1), pytest.param(2, 1283, 2, marks=pytest.mark.slow)],
)
def test_shares(batch: int, sequence: int, lnc: int, layout: Any) -> None:
    """Sequences taken as one, and each divided."""
    given = tensors((batch, sequence, 128), 384)
    with nkisim.races():
        got = run(arguments(given), lnc, output_layout=layout, **heads(1, 1))
    want = qkv_ref(**given)
    check_close(got, bsd_to_nbsd(want, 128) if layout == NBSD else want, *TOLERANCE)


def in_little_memory(options: dict[str, Any], size: int) -> Any:
    return qkv_cte(sbm=SbufManager(0, size), **options)


@pytest.mark.parametrize(("size", "passes"), [(192, 1), (96, 2), pytest.param(32, 4, marks=pytest.mark.slow)])
def test_weights_that_stay_and_weights_that_pass_by(size: int, passes: int) -> None:
    """64 KiB of weights on a partition stay in SBUF or are read for each 256 or 128 tokens."""
    given = tensors((1, 512, 2048), 2048, **norm_weights(2048))
    options = arguments(given) | {"fused_norm_type": RMS}
    with nkisim.trace() as trace:
        got = launch(in_little_memory, options, size * 1024, lnc=1)
    check_close(got, qkv_ref(norm="RMS_NORM", **given), *TOLERANCE)
    assert trace.hbm_read == 2 * (512 * 2048 + 2048 + passes * 2048 * 2048)
    assert trace.hbm_written == 2 * 512 * 2048


# -- STATIC -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 128])
@pytest.mark.parametrize("lnc", [1, 2])
def test_static_with_everything(lnc: int, rows: int) -> None:
    """Bias, eps and the tables of rope keep their precision."""
    shape = (1, 130, 512)
    given = tensors(
        shape, 512, **norm_weights(512), **residuals(shape), bias=drawn((1, 512), seed=8, scale=3.0)
    )
    given |= angles((1, 130, 128))
    given |= {"w": given["w"].astype(FP8), "in_scale": np.float32(1 / 50), "w_scale": np.float32([1, 0.5, 2])}
    want = qkv_ref(norm="RMS_NORM", nq=2, nkv=1, d=128, eps=1e-6, **given)
    got = run(arguments(given, rows=rows), lnc, fused_norm_type=RMS, fused_rope=True, **heads(2, 1))
    assert got.dtype == BF16
    check_close(got, want, *STATIC_TOLERANCE)


@pytest.mark.parametrize("way", [True, False])
@pytest.mark.parametrize("target", ["trn1", "trn2", "trn3"])
def test_static_clips_what_is_too_large(target: str, way: bool) -> None:
    given, _ = CASES["QKV-12"]()
    given["in_scale"] = np.float32(1 / 200)
    want = qkv_ref(nq=2, nkv=1, d=128, **given)
    got = run(arguments(given, FP16), 1, target, load_input_with_DMA_transpose=way, **heads(2, 1))
    assert got.dtype == BF16
    check_close(got, want, *STATIC_TOLERANCE)


# -- caches -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lnc", [1, 2])
def test_caches_of_several_sequences(lnc: int) -> None:
    """Rope and bias come before; rows beyond S stay as they are."""
    shape = (3, 70, 256)
    given = tensors(shape, 512, bias=drawn((1, 512), seed=8)) | angles((3, 70, 64))
    want = qkv_ref(nq=4, nkv=2, d=64, **given)
    filled = caches((3, 75, 128), (0.5, 2.0), fill=-1.5)
    with nkisim.races():
        got = run({**arguments(given), **filled}, lnc, fused_rope=True, **heads(4, 2, 64))
    check_close(got[0], want[..., :256], *TOLERANCE)
    for index, factor in ((1, 0.5), (2, 2.0)):
        part = want[..., 128 * (index + 1) : 128 * (index + 2)]
        check_close(got[index][:, :70], kv_quant(part, factor), 1e-1, 1e-5)
        assert (np.asarray(got[index][:, 70:], np.float32) == -1.5).all()


@pytest.mark.parametrize("lnc", [1, 2])
def test_slots_of_several_sequences(lnc: int) -> None:
    given = tensors((2, 90, 256), 192)
    slots = np.random.default_rng(9).permutation(256)[:180].astype(np.int32).reshape(2, 90)
    filled = caches((8, 32, 64), (1.0, 1.0), slots, fill=0.5)
    got = run({**arguments(given), **filled}, lnc, **heads(1, 1, 64))
    want = qkv_ref(**given)
    for index in (1, 2):
        rows = np.full((256, 64), 0.5)
        rows[slots] = kv_quant(want[..., 64 * index : 64 * index + 64], 1.0)
        check_close(got[index], rows.reshape(8, 32, 64), 1e-1, 1e-5)


def test_bounds_of_caches() -> None:
    given = tensors((1, 98, 256), 192)
    filled = caches((1, 98, 64), (0.001, 0.5))
    got = run({**arguments(given), **filled}, fp8_max=96.0, fp8_min=-1.0, **heads(1, 1, 64))
    keys, values = (np.asarray(each, np.float32) for each in got[1:])
    assert (keys.max(), keys.min()) == (96.0, -1.0)
    assert (values.max() > 2, values.min()) == (True, -1.0)


def test_caches_of_another_dtype() -> None:
    given = tensors((1, 98, 256), 192)
    filled = caches((1, 98, 64), (2.0, 4.0))
    filled |= {name: np.zeros((1, 98, 64), BF16) for name in ("k_cache", "v_cache")}
    filled.pop("kv_dtype")
    got = run({**arguments(given), **filled}, fp8_max=3.0, fp8_min=-3.0, **heads(1, 1, 64))
    want = qkv_ref(**given)
    check_close(got[1], np.clip(want[..., 64:128] / 2, -3, 3), *TOLERANCE)
    check_close(got[2], np.clip(want[..., 128:] / 4, -3, 3), *TOLERANCE)


def test_default_bounds_are_the_dtypes() -> None:
    given = tensors((1, 98, 256), 192)
    filled = caches((1, 98, 64), (1e-4, 1e-7))
    filled |= {"kv_dtype": nl.float8_e5m2}
    filled |= {name: np.zeros((1, 98, 64), np.dtype("float8_e5m2")) for name in ("k_cache", "v_cache")}
    got = run({**arguments(given), **filled}, **heads(1, 1, 64))
    assert np.isfinite(np.asarray(got[1], np.float32)).all()
    assert np.abs(np.asarray(got[2], np.float32)).max() == 57344.0


# -- MX ---------------------------------------------------------------------------------------------------


def mx_tensors(shape: tuple[int, int, int], columns: int) -> tuple[dict[str, Any], Any, Any]:
    """Arguments, element values and scales of drawn MX weights."""
    hidden = shape[2]
    raw = np.random.default_rng(4).normal(size=(hidden // 4, 4 * columns)) * hidden**-0.5
    values, scales = mx_quantize(raw.astype(FP32))
    return (
        {"fused_qkv_weights": packed(values), "qkv_w_scale": scales, "quantization_type": MX},
        values,
        scales,
    )


def mx_expected(given: dict[str, Any], values: Any, scales: Any, **norm: Any) -> Any:
    """The oracle's result for activations that are normalised first."""
    identity = np.eye(given["x"].shape[2])
    x = qkv_ref(given["x"], identity, adds=given.get("adds", ()), **norm)
    flat = x.reshape(-1, x.shape[2])
    return qkv_mx_ref(flat, values, scales, given.get("bias")).reshape(*x.shape[:2], -1)


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("kind", [RMS, LAYER, SKIP])
def test_mx_with_norms(kind: Any, lnc: int) -> None:
    shape = (1, 100, 1536)
    tensors_, values, scales = mx_tensors(shape, 384)
    norm: dict[str, Any] = {} if kind == SKIP else norm_weights(1536, beta=kind == LAYER)
    given = {"x": drawn(shape), **residuals(shape), "bias": drawn((1, 384), seed=8), **norm}
    want = mx_expected(given, values, scales, norm=kind.name, **norm)
    got = run({**arguments(given), **tensors_}, lnc, "trn3", fused_norm_type=kind)
    check_close(got, want, *MX_TOLERANCE)


@pytest.mark.parametrize("hidden", [512, 1536, 4608])
@pytest.mark.parametrize("tokens", [16, 97])
def test_mx_swizzled(tokens: int, hidden: int) -> None:
    """The number of tiles of 512 need not be a multiple of 4, nor that of tokens on a core of 2."""
    shape = (2, tokens + tokens % 2 * 1, hidden)
    tensors_, _, _ = mx_tensors(shape, 256)
    x = drawn(shape)
    plain = run({"input": x, **tensors_}, 1, "trn3")
    swizzled = run({"input": mx_swizzle_input(x), **tensors_}, 1, "trn3", is_input_swizzled=True)
    assert plain.tobytes() == swizzled.tobytes()


def test_mx_with_an_odd_number_of_tokens() -> None:
    """129 tokens on two cores are 64 and 65."""
    shape = (1, 129, 512)
    tensors_, values, scales = mx_tensors(shape, 384)
    given = {"x": drawn(shape)} | angles((1, 129, 128))
    got = run({**arguments(given), **tensors_}, 2, "trn3", fused_rope=True, **heads(1, 1))
    plain = mx_expected(given, values, scales)
    turned = qkv_ref(plain, np.eye(384), cos=given["cos"], sin=given["sin"], nq=1, nkv=1, d=128)
    check_close(got, turned, *MX_TOLERANCE)


@pytest.mark.parametrize("size", [192, 48])
def test_float32_weights_are_converted_by_the_load(size: int) -> None:
    given = tensors((1, 4, 1024), 1024)
    got = launch(in_little_memory, arguments(given, FP32), size * 1024, lnc=1)
    assert got.dtype == FP32
    check_close(got, qkv_ref(**given), *TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "passes"), [(128, 1), (32, 2)])
def test_mx_weights_that_stay_and_weights_that_pass_by(size: int, passes: int) -> None:
    shape = (1, 256, 2048)
    tensors_, values, scales = mx_tensors(shape, 2048)
    given = {"x": drawn(shape)}
    options = arguments(given) | tensors_ | {"output_layout": NBSD, "d_head": 128}
    with nkisim.trace() as trace:
        got = launch(in_little_memory, options, size * 1024, lnc=1, target="trn3")
    check_close(got, bsd_to_nbsd(mx_expected(given, values, scales), 128), *MX_TOLERANCE)
    assert trace.hbm_read == 256 * 2048 * 2 + passes * (2048 * 2048 + 64 * 2048)


def test_mx_with_other_elements() -> None:
    shape = (1, 16, 512)
    raw = np.random.default_rng(4).choice([-1.5, -1.0, 0.5, 1.0, 2.0], size=(128, 4 * 128)).astype(FP32)
    scales = np.full((16, 128), 122, np.uint8)
    x = drawn(shape)
    got = run(
        {"input": x, "fused_qkv_weights": packed(raw, "float8_e5m2_x4"), "qkv_w_scale": scales},
        target="trn3",
        quantization_type=MX,
    )
    check_close(got, qkv_mx_ref(x[0], raw, scales)[None], *MX_TOLERANCE)


# -- managers ---------------------------------------------------------------------------------------------


def managed(options: dict[str, Any], automatic: bool) -> Any:
    sbm = create_auto_alloc_manager() if automatic else SbufManager(0, 192 * 1024)
    result = qkv_cte(sbm=sbm, use_auto_allocation=automatic, **options)
    assert sbm.total_stack_allocs > 0
    assert not sbm.scopes
    return result


@pytest.mark.parametrize("automatic", [True, False])
@pytest.mark.parametrize("case", ["QKV-07", "QKV-08", "QKV-12"])
def test_a_given_manager_is_used(case: str, automatic: bool) -> None:
    given, want = CASES[case]()
    options = arguments(given)
    if case == "QKV-07":
        options["fused_norm_type"] = RMS
    elif case == "QKV-08":
        options |= {"fused_rope": True, **heads(3, 1)}
    else:
        options |= heads(2, 1)
    got = launch(managed, options, automatic, lnc=2)
    check_close(got, want["out"], *(STATIC_TOLERANCE if case == "QKV-12" else TOLERANCE))


# -- checks -----------------------------------------------------------------------------------------------

ROW_OF_512 = np.zeros((1, 512), BF16)
TOKENS = np.zeros((1, 128, 512), BF16)
TABLE = np.zeros((1, 128, 128), BF16)
ADD = {"fused_residual_add": True, "mlp_prev": TOKENS, "attention_prev": TOKENS}
ROPE = {"fused_rope": True, "cos_cache": TABLE, "sin_cache": TABLE, "num_q_heads": 2, "num_kv_heads": 1}
WEIGHT8 = np.zeros((512, 512), FP32).astype(FP8)
STATIC_SCALES = {"quantization_type": STATIC, "fused_qkv_weights": WEIGHT8, "qkv_w_scale": scale([1, 1, 1]),
                 "qkv_in_scale": scale(1), **heads(2, 1)}  # fmt: skip
CACHES = {**caches((1, 200, 128), (1.0, 1.0)), **heads(2, 1)}
BLOCKS = {**CACHES, **caches((16, 16, 128), (1.0, 1.0), np.zeros((1, 128), np.int32))}
PACKED = np.zeros((128, 512), packed(np.zeros((1, 4))).dtype)
MX_WEIGHTS = {
    "quantization_type": MX,
    "fused_qkv_weights": PACKED,
    "qkv_w_scale": np.zeros((16, 512), np.uint8),
}


def wide(hidden: int) -> dict[str, Any]:
    return {"input": np.zeros((1, 1, hidden), BF16), "fused_qkv_weights": np.zeros((hidden, 128), BF16)}


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("H must be at most 24576, it is 24704", wide(24704)),
        ("H must be a multiple of 128, it is 200", wide(200)),
        ("input must be [B, S, H]", {"input": TOKENS[0]}),
        ("I must be at most 4096, it is 4224", {"fused_qkv_weights": np.zeros((512, 4224), BF16)}),
        ("must have 512 rows", {"fused_qkv_weights": np.zeros((256, 512), BF16)}),
        ("output_layout must be BSD or NBSd", {"output_layout": NBDS}),
        ("NBSd needs d_head = 128, it is 64", {"output_layout": NBSD, "d_head": 64}),
        ("NBSd needs d_head = 128, it is None", {"output_layout": NBSD}),
        (
            "NBSd needs I in heads of 128, it is 100",
            {"output_layout": NBSD, "d_head": 128, "fused_qkv_weights": np.zeros((512, 100), BF16)},
        ),
        ("bias must have shape (1, 512)", {"bias": ROW_OF_512[0]}),
        ("hidden_actual must be at most H = 512", {"hidden_actual": 513}),
        (
            "fused_residual_add needs mlp_prev and attention_prev",
            {"fused_residual_add": True, "mlp_prev": TOKENS},
        ),
        ("mlp_prev must have shape (1, 128, 512)", ADD | {"mlp_prev": TOKENS[:, 1:]}),
        ("attention_prev must have shape (1, 128, 512)", ADD | {"attention_prev": TOKENS[:, 1:]}),
        ("go with fused_residual_add only", {"mlp_prev": TOKENS}),
        ("go with fused_residual_add only", {"attention_prev": TOKENS}),
        ("needs gamma_norm_weights", {"fused_norm_type": RMS}),
        ("needs gamma_norm_weights", {"fused_norm_type": LAYER}),
        ("gamma_norm_weights must have shape", {"fused_norm_type": RMS, "gamma_norm_weights": ROW_OF_512[0]}),
        ("gamma_norm_weights do not go with NormType.NO_NORM", {"gamma_norm_weights": ROW_OF_512}),
        ("gamma_norm_weights do not go with", {"fused_norm_type": SKIP, "gamma_norm_weights": ROW_OF_512}),
        ("needs norm_eps", {"fused_norm_type": SKIP, "norm_eps": None}),
        (
            "layer_norm_bias goes with LAYER_NORM only",
            {"fused_norm_type": RMS, "gamma_norm_weights": ROW_OF_512, "layer_norm_bias": ROW_OF_512},
        ),
        (
            "layer_norm_bias must have shape (1, 512)",
            {
                "fused_norm_type": LAYER,
                "gamma_norm_weights": ROW_OF_512,
                "layer_norm_bias": ROW_OF_512[0],
            },
        ),
        ("heads of 128 must be I = 512 columns", heads(3, 1)),
        ("go with fused_rope only", {"cos_cache": TABLE}),
        ("go with fused_rope only", {"sin_cache": TABLE}),
        ("fused_rope needs both caches", ROPE | {"sin_cache": None}),
        ("fused_rope needs num_q_heads and num_kv_heads", ROPE | {"num_q_heads": None}),
        ("cos_cache must have shape (1, 128, 128)", ROPE | {"cos_cache": TABLE[:, 1:]}),
        ("sin_cache must have shape (1, 128, 128)", ROPE | {"sin_cache": TABLE[..., 64:]}),
        ("store_output_in_sbuf is not available", {"store_output_in_sbuf": True}),
        ("quantization_type must be one of", {"quantization_type": ROW}),
        ("STATIC needs fp8", STATIC_SCALES | {"fused_qkv_weights": np.zeros((512, 512), BF16)}),
        ("STATIC needs qkv_w_scale and qkv_in_scale", STATIC_SCALES | {"qkv_in_scale": None}),
        ("qkv_w_scale must be [128, 3] or [1, 3]", STATIC_SCALES | {"qkv_w_scale": scale(1)}),
        ("STATIC needs d_head, num_q_heads and num_kv_heads", STATIC_SCALES | {"num_kv_heads": None}),
        ("k_scale and v_scale go together", {"k_scale": scale(1)}),
        ("k_scale and v_scale go with BSD only", CACHES | {"output_layout": NBSD}),
        ("need num_q_heads, num_kv_heads and d_head", CACHES | {"d_head": None}),
        ("need both caches", CACHES | {"v_cache": None}),
        ("k_scale must have shape (128, 1)", CACHES | {"k_scale": scale(1, 1)}),
        ("v_scale must have shape (128, 1)", CACHES | {"v_scale": scale(1, 1)}),
        ("has no largest value: give fp8_max and fp8_min", CACHES | {"kv_dtype": None}),
        ("must be [1, ≥ 128, 128]", CACHES | {"k_cache": np.zeros((1, 100, 128), BF16)}),
        ("v_cache must have rows of 128", CACHES | {"v_cache": np.zeros((1, 200, 64), BF16)}),
        ("use_block_kv needs slot_mapping and block_size", BLOCKS | {"slot_mapping": None}),
        ("use_block_kv needs slot_mapping and block_size", BLOCKS | {"block_size": None}),
        ("slot_mapping must have shape (1, 128)", BLOCKS | {"slot_mapping": np.zeros((128,), np.int32)}),
        ("must have blocks of block_size = 8", BLOCKS | {"block_size": 8}),
        ("do not go with MX", CACHES | MX_WEIGHTS),
        ("must have 128 rows", MX_WEIGHTS | {"fused_qkv_weights": PACKED[1:]}),
        (
            "fused_qkv_weights must be float4_e2m1fn_x4",
            MX_WEIGHTS | {"fused_qkv_weights": PACKED.view(np.uint16)},
        ),
        ("qkv_w_scale must be uint8", MX_WEIGHTS | {"qkv_w_scale": np.zeros((16, 512), np.int8)}),
        ("MX needs qkv_w_scale", MX_WEIGHTS | {"qkv_w_scale": None}),
        ("qkv_w_scale must have shape (16, 512)", MX_WEIGHTS | {"qkv_w_scale": np.zeros((8, 512), np.uint8)}),
        ("MX needs an even number of tokens", MX_WEIGHTS | {"input": TOKENS[:, 1:]}),
        (
            "MX needs H in multiples of 512, it is 384",
            MX_WEIGHTS | {"input": TOKENS[..., :384], "fused_qkv_weights": PACKED[:96]},
        ),
        ("is_input_swizzled goes with MX only", {"is_input_swizzled": True}),
        ("goes with NO_NORM", MX_WEIGHTS | {"is_input_swizzled": True, "fused_norm_type": SKIP}),
        ("without fused_residual_add", MX_WEIGHTS | ADD | {"is_input_swizzled": True}),
    ],
)
def test_limits(text: str, changes: dict[str, Any]) -> None:
    given = {"input": TOKENS, "fused_qkv_weights": np.zeros((512, 512), BF16)}
    with rejected(text):
        launch(qkv_cte, lnc=1, target="trn3", **(given | changes))


def test_a_manager_and_what_is_said_of_it_must_agree() -> None:
    def kernel(tokens: Any, weight: Any, automatic: bool) -> Any:
        return qkv_cte(tokens, weight, sbm=create_auto_alloc_manager(), use_auto_allocation=automatic)

    weight = np.zeros((512, 128), BF16)
    assert launch(kernel, TOKENS, weight, True).shape == (1, 128, 128)
    with rejected("use_auto_allocation must say what sbm does"):
        launch(kernel, TOKENS, weight, False)


def test_default_is_no_norm() -> None:
    given = tensors((1, 98, 128), 128)
    assert run(arguments(given)).tobytes() == run(arguments(given), fused_norm_type=PLAIN).tobytes()
