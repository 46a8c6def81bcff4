"""qkv_tkg: input and results in SBUF, tokens and columns beyond a tile, scales, traffic, and checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from blockcheck import BF16, FP8, FP16, FP32, drawn, in_sbuf, per_core
from kernels import check_close, launch, rejected
from numpy_cases import CASES
from numpy_ref import bsd_to_nbsd, qkv_ref, to_sbuf_h
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
    heads,
    run_tkg,
    scale,
    tkg_arguments,
)

import nkisim
from nkilib.core.qkv.qkv_tkg import F_MAX, H_BLOCK_SIZE, I_BLOCK_SIZE, P_MAX, qkv_tkg
from nkilib.core.utils.allocator import SbufManager, create_auto_alloc_manager

TOLERANCE = (2e-2, 1e-5)


def tensors(
    tokens: tuple[int, int], hidden: int, columns: int, add: bool = False, norm: bool = True
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments, and what the reference takes, of drawn bfloat16 tensors."""
    shape = (*tokens, hidden)
    given = {"x": drawn(shape), "w": drawn((hidden, columns), seed=1, scale=hidden**-0.5)}
    if norm:
        given["gamma"] = drawn((1, hidden), seed=2)
    if add:
        given["adds"] = (drawn(shape, seed=3), drawn(shape, seed=4))
    return arguments(given), given


def from_sbuf(hidden: Any, options: dict[str, Any]) -> Any:
    tile = in_sbuf(hidden)
    result = per_core(qkv_tkg(tile, output_in_sbuf=True, **options))
    return result, per_core(tile)


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("kind", [PLAIN, RMS, LAYER])
@pytest.mark.parametrize("dtype", [BF16, FP16])
def test_sbuf_to_sbuf(kind: Any, lnc: int, dtype: Any) -> None:
    given, _ = CASES["QKV-03"]()
    used = {name: value for name, value in given.items() if kind != PLAIN or name not in ("gamma", "beta")}
    if kind == RMS:
        used.pop("beta")
    options = tkg_arguments(arguments(used, dtype)) | {"norm_type": kind}
    hidden = to_sbuf_h(options.pop("hidden").reshape(20, -1), lnc)
    got, after = launch(from_sbuf, hidden, options, lnc=lnc)
    norm = {PLAIN: None, RMS: "RMS_NORM", LAYER: "LAYER_NORM"}[kind]
    want = qkv_ref(norm=norm, **used).reshape(20, -1)
    for core in range(lnc):
        assert got[core].tobytes() == got[0].tobytes()
        check_close(got[core], want, *TOLERANCE)
        assert after[core].tobytes() == hidden.tobytes()  # the input stays as it is


def test_static_from_sbuf() -> None:
    given, want = CASES["QKV-05"]()
    options = tkg_arguments(arguments(given)) | {"norm_type": RMS, **heads(8, 1)}
    hidden = to_sbuf_h(options.pop("hidden").reshape(5, -1), 2)
    got, after = launch(from_sbuf, hidden, options, lnc=2)
    check_close(got[1], want["out"].reshape(5, -1), 4e-2, 1e-5)
    assert after[0].tobytes() == hidden.tobytes()


def left_in_sbuf(options: dict[str, Any]) -> Any:
    return per_core(qkv_tkg(output_in_sbuf=True, **options))


@pytest.mark.parametrize("layout", [BSD, NBSD])
def test_hbm_to_sbuf(layout: Any) -> None:
    given, want = CASES["QKV-04"]()
    options = {"norm_type": PLAIN, "output_layout": layout, "d_head": 64}
    got = launch(left_in_sbuf, tkg_arguments(arguments(given)) | options, lnc=2)
    rows = want["out"].transpose(1, 2, 0, 3).reshape(4, -1)
    check_close(got[0], rows, *TOLERANCE)
    check_close(got[1], rows, *TOLERANCE)


@pytest.mark.parametrize("lnc", [1, 2])
def test_one_row_of_scales(lnc: int) -> None:
    given, want = CASES["QKV-05"]()
    got = run_tkg(arguments(given, rows=1), lnc, fused_norm_type=RMS, **heads(8, 1))
    check_close(got, want["out"], 4e-2, 1e-5)


def test_static_in_float16_does_not_overflow() -> None:
    """The sums of products of 240 would, before they are scaled."""
    hidden = np.full((1, 2, 512), 1.0, FP16)
    weight = np.full((512, 384), 240.0, np.float32).astype(FP8)
    got = run_tkg(
        {"input": hidden, "fused_qkv_weights": weight, "fused_norm_type": PLAIN},
        quantization_type=STATIC,
        qkv_w_scale=scale([1 / 240, 1 / 480, 1 / 960]),
        qkv_in_scale=scale(1 / 240),
        **heads(1, 1),
    )
    want = np.repeat([512.0, 256.0, 128.0], 128) * np.ones((1, 2, 1))
    check_close(got, want, 2e-3)


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize(
    ("batch", "kind"), [(4, RMS), (4, LAYER), (2, RMS), (4, PLAIN), (3, LAYER), (3, PLAIN)]
)
def test_residuals_on_cores_that_divide_tokens_or_not(batch: int, kind: Any, lnc: int) -> None:
    """20, 10 and 15 tokens: more or fewer than what cores divide with a norm, and an odd number."""
    sequence = 3 if batch == 3 else 5
    given, reference = tensors((batch, sequence), 512, 192, add=True, norm=kind != PLAIN)
    with nkisim.races():
        got, total = run_tkg(given, lnc, fused_norm_type=kind)
    norm = {PLAIN: None, RMS: "RMS_NORM", LAYER: "LAYER_NORM"}[kind]
    check_close(got, qkv_ref(norm=norm, **reference), *TOLERANCE)
    summed = sum(np.asarray(each, np.float64) for each in (reference["x"], *reference["adds"]))
    check_close(total, summed, 4e-3)


@pytest.mark.parametrize("layout", [BSD, NBSD])
@pytest.mark.parametrize("lnc", [1, 2])
def test_more_columns_than_a_block(layout: Any, lnc: int) -> None:
    given, reference = tensors((1, 1), 256, 4608)
    got = run_tkg(given, lnc, output_layout=layout, **heads(34, 1))
    want = qkv_ref(norm="RMS_NORM", **reference)
    check_close(got, bsd_to_nbsd(want, 128) if layout == NBSD else want, *TOLERANCE)


@pytest.mark.parametrize("depth", [96, 24])
def test_heads_that_do_not_divide_a_block(depth: int) -> None:
    given, reference = tensors((2, 2), 256, 2304)
    got = run_tkg(given, 2, output_layout=NBSD, d_head=depth)
    check_close(got, bsd_to_nbsd(qkv_ref(norm="RMS_NORM", **reference), depth), *TOLERANCE)


@pytest.mark.parametrize("tokens", [33, 64, 65, 96, 128])
def test_tokens(tokens: int) -> None:
    given, reference = tensors((tokens, 1), 512, 256)
    check_close(run_tkg(given, 2), qkv_ref(norm="RMS_NORM", **reference), *TOLERANCE)


@pytest.mark.parametrize(
    ("options", "kind"), [({"norm_eps": 5.0}, RMS), ({"norm_eps": 5.0}, LAYER), ({}, RMS)]
)
def test_eps(options: dict[str, Any], kind: Any) -> None:
    given, reference = tensors((2, 1), 256, 128)
    norm = "RMS_NORM" if kind == RMS else "LAYER_NORM"
    want = qkv_ref(norm=norm, eps=options.get("norm_eps", 1e-6), **reference)
    check_close(run_tkg(given, fused_norm_type=kind, **options), want, *TOLERANCE)


def test_rms_norm_is_the_default() -> None:
    given, reference = tensors((2, 1), 256, 128)
    check_close(run_tkg(given), qkv_ref(norm="RMS_NORM", **reference), *TOLERANCE)


def managed(options: dict[str, Any]) -> Any:
    sbm = create_auto_alloc_manager()
    result = qkv_tkg(sbm=sbm, **options)
    assert sbm.total_stack_allocs > 0
    assert not sbm.scopes
    return result


def test_a_given_manager_is_used() -> None:
    given, _ = CASES["QKV-02"]()
    options = tkg_arguments(arguments(given))
    got = launch(managed, options, lnc=2)
    assert got[0].tobytes() == launch(qkv_tkg, lnc=2, **options)[0].tobytes()


def test_weights_and_activations_are_read_once() -> None:
    """By both cores together, but for the norm's input, which each needs; each writes half of the result."""
    given, _ = tensors((4, 1), 1024, 896)
    with nkisim.trace() as trace:
        run_tkg(given, 2)
    hidden, gamma, weights = 4 * 1024 * 2, 1024 * 2, 1024 * 896 * 2
    assert trace.hbm_read == weights + 2 * (hidden + gamma)
    assert trace.hbm_written == 4 * 896 * 2
    assert trace.macs >= 4 * 1024 * 896


def test_constants() -> None:
    assert (P_MAX, F_MAX, I_BLOCK_SIZE, H_BLOCK_SIZE) == (128, 512, 4096, 2048)


# -- checks -----------------------------------------------------------------------------------------------

ONES = np.ones((1, 256), BF16)
STATIC_SCALES = {"quantization_type": STATIC, "qkv_w_scale": scale([1, 1, 1]), "qkv_in_scale": scale(1)}
SMALL = {"norm_type": PLAIN}
ADD = {"fused_add": True, "attn_prev": np.zeros((2, 1, 256), BF16), "mlp_prev": np.zeros((2, 1, 256), BF16)}


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("H must be a multiple of 128", {"hidden": np.zeros((2, 1, 200), BF16)}),
        ("must have 3 dimensions", {"hidden": np.zeros((2, 256), BF16)}),
        ("qkv_w must have H = 256 rows", {"qkv_w": np.zeros((128, 384), BF16)}),
        ("float32 goes with float32 only", {"qkv_w": np.zeros((256, 384), FP32)}),
        ("qkv_bias must have shape (1, 384)", {"qkv_bias": np.zeros((2, 384), BF16)}),
        ("B·S must be at most 128", {"hidden": np.zeros((129, 1, 256), BF16)}),
        ("quantization_type must be one of", {"quantization_type": ROW}),
        ("quantization_type must be one of", {"quantization_type": MX}),
        ("norm_type must be NO_NORM, RMS_NORM or LAYER_NORM", {"norm_type": SKIP}),
        ("needs norm_w", {"norm_type": RMS}),
        ("norm_w must have shape (1, 256)", {"norm_type": RMS, "norm_w": ONES[:, :128]}),
        ("norm_bias goes with LAYER_NORM only", {"norm_type": RMS, "norm_w": ONES, "norm_bias": ONES}),
        ("norm_bias must have shape", {"norm_type": LAYER, "norm_w": ONES, "norm_bias": ONES[:, :128]}),
        ("output_layout must be BSD or NBSd", {"output_layout": NBDS}),
        ("NBSd needs d_head", {"output_layout": NBSD}),
        ("NBSd needs I in heads of 100", {"output_layout": NBSD, "d_head": 100}),
        ("STATIC needs qkv_w_scale and qkv_in_scale", {"quantization_type": STATIC, **heads(1, 1)}),
        (
            "qkv_w_scale must be [128, 3] or [1, 3], it is (128, 1)",
            STATIC_SCALES | heads(1, 1) | {"qkv_w_scale": scale(1)},
        ),
        ("qkv_in_scale must be [128, 1]", STATIC_SCALES | heads(1, 1) | {"qkv_in_scale": scale([1, 1])}),
        ("STATIC needs d_head, num_q_heads and num_kv_heads", STATIC_SCALES | {"d_head": 128}),
        ("fused_add needs attn_prev and mlp_prev", {"fused_add": True, "mlp_prev": ADD["mlp_prev"]}),
        ("attn_prev must have shape (2, 1, 256)", ADD | {"attn_prev": np.zeros((2, 1, 128), BF16)}),
        ("mlp_prev must have shape (2, 1, 256)", ADD | {"mlp_prev": np.zeros((1, 2, 256), BF16)}),
    ],
)
def test_limits(text: str, changes: dict[str, Any]) -> None:
    given = {"hidden": np.zeros((2, 1, 256), BF16), "qkv_w": np.zeros((256, 384), BF16)}
    with rejected(text):
        launch(qkv_tkg, lnc=1, **(given | SMALL | changes))


def test_what_two_cores_cannot_divide() -> None:
    odd = np.zeros((1, 1, 384), BF16)
    with rejected("H/128 = 3 must divide by the 2 cores"):
        launch(qkv_tkg, odd, np.zeros((384, 128), BF16), lnc=2, norm_type=PLAIN)
    given, _ = tensors((19, 1), 256, 128, add=True)
    with rejected("B·S must be even, it is 19"):
        run_tkg(given, 2, fused_norm_type=RMS)
    assert run_tkg(given, 1, fused_norm_type=RMS)[0].shape == (19, 1, 128)


def test_columns_in_sbuf_are_limited() -> None:
    with rejected("a result in SBUF has at most 4096 columns, I is 4224"):
        launch(left_in_sbuf, {"hidden": np.zeros((1, 1, 128), BF16), "qkv_w": np.zeros((128, 4224), BF16)})


def in_and_out(hidden: Any, options: dict[str, Any]) -> Any:
    return qkv_tkg(in_sbuf(hidden), **options)


@pytest.mark.parametrize(
    ("text", "partitions", "options"),
    [
        ("hidden in SBUF needs output_in_sbuf", 128, {}),
        ("hidden in SBUF must have 128 partitions", 64, {"output_in_sbuf": True}),
        ("fused_add needs hidden in HBM", 128, {"output_in_sbuf": True, **ADD}),
    ],
)
def test_limits_of_inputs_in_sbuf(text: str, partitions: int, options: dict[str, Any]) -> None:
    weight = {"qkv_w": np.zeros((256, 384), BF16), "norm_type": PLAIN}
    with rejected(text):
        launch(in_and_out, np.zeros((partitions, 2, 2), BF16), weight | options)


def by_hand(options: dict[str, Any]) -> Any:
    return qkv_tkg(sbm=SbufManager(0, 1 << 16), **options)


def test_a_manager_that_places_tiles_is_refused() -> None:
    with rejected("sbm must leave addresses to the compiler"):
        launch(by_hand, {"hidden": np.zeros((2, 1, 256), BF16), "qkv_w": np.zeros((256, 384), BF16)})
