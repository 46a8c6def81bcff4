"""Options of ``mlp`` beyond the numbered cases, in both modes, against the mathematics in NumPy."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP8, FP16, FP32, drawn, per_core
from kernels import check_close, launch
from mlps import LAYER, RMS, ROW, SKIP, STATIC, arguments, packed, run
from numpy_ref import (
    apply_norm,
    down_w_optimized,
    from_sbuf_h,
    mlp_cte_row_ref,
    mlp_cte_static_ref,
    mlp_ref,
    to_sbuf_h,
)

import nkisim
from nkilib.core.mlp.mlp import mlp
from nkilib.core.mlp.mlp_cte import plan
from nkilib.core.utils.common_types import ActFnType

RTOL, ATOL = 2e-2, 1e-5
FEW, MANY = (2, 10), (1, 130)
"""(B, S) of token generation with tokens that two cores divide, and of context encoding with a ragged tile."""
NORMS = {RMS: "RMS_NORM", LAYER: "LAYER_NORM", SKIP: "RMS_NORM_SKIP_GAMMA"}


def tensors(
    tokens: tuple[int, int] = FEW, hidden: int = 256, inner: int = 200, also: str = "", dtype: Any = BF16
) -> dict[str, Any]:
    """Tensors of a call by their short names; ``also`` names optional ones."""
    shapes = {
        "gamma": (1, hidden), "beta": (1, hidden), "add": (*tokens, hidden),
        "gb": (1, inner), "ub": (1, inner), "db": (1, hidden),
    }  # fmt: skip
    given = {
        "hidden": drawn((*tokens, hidden), dtype),
        "wg": drawn((hidden, inner), dtype, 1, hidden**-0.5),
        "wu": drawn((hidden, inner), dtype, 2, hidden**-0.5),
        "wd": drawn((inner, hidden), dtype, 3, inner**-0.5),
    }
    for index, name in enumerate(also.split()):
        given[name] = drawn(shapes[name], dtype, 10 + index)
    return given


def numbers(given: dict[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(value).astype(np.float64) for name, value in given.items()}


def expected(given: dict[str, Any], **options: Any) -> Any:
    return mlp_ref(**numbers(given), **options)[0]


# -- data types -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("tokens", [FEW, MANY])
def test_float16(tokens: Any, lnc: int) -> None:
    given = tensors(tokens, also="gamma gb ub db add", dtype=FP16)
    got = run(arguments(given, FP16, FP16), lnc, normalization_type=RMS, store_fused_add_result=True)
    assert got[0].dtype == got[1].dtype == FP16
    check_close(got[0], expected(given, norm="RMS_NORM"), RTOL, ATOL)
    check_close(got[1], given["hidden"] + given["add"], 1e-3, ATOL)


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("tokens", [FEW, MANY])
def test_fp8_weights_without_quantisation(tokens: Any, lnc: int) -> None:
    given = tensors(tokens)
    for name in ("wg", "wu", "wd"):
        given[name] = given[name].astype(FP8)
    check_close(run(arguments(given, weights=FP8), lnc)[0], expected(given), RTOL, ATOL)


@pytest.mark.parametrize("norm", [None, *NORMS])
@pytest.mark.parametrize("tokens", [FEW, MANY])
def test_scales_without_quantisation_are_not_read(tokens: Any, norm: Any) -> None:
    given = tensors(tokens, also="gamma gb")
    options = {} if norm is None else {"normalization_type": norm}
    if norm in (None, SKIP):
        given.pop("gamma")
    scales = {
        "gate_w_scale": np.full((128, 200), 3.0, FP32),
        "up_w_scale": np.full((128, 200), 5.0, FP32),
        "down_w_scale": np.full((128, 256), 7.0, FP32),
    }
    got = run(arguments(given) | scales, **options)[0]
    assert got.tobytes() == run(arguments(given), **options)[0].tobytes()


@pytest.mark.parametrize("tokens", [FEW, MANY])
def test_fp8_hidden_state_without_quantisation(tokens: Any) -> None:
    given = tensors(tokens)
    given["hidden"] = given["hidden"].astype(FP8)
    got = run({**arguments(given), "hidden_tensor": given["hidden"]}, output_dtype=BF16)[0]
    assert got.dtype == BF16
    check_close(got, expected(given), 5e-2 if tokens == FEW else RTOL, ATOL)


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("kind", [RMS, LAYER])
def test_few_tokens_are_normalised_to_the_fp8_of_their_hidden_state(kind: Any, lnc: int) -> None:
    given = tensors(also="gamma beta" if kind == LAYER else "gamma")
    given["hidden"] = given["hidden"].astype(FP8)
    call = {**arguments(given), "hidden_tensor": given["hidden"]}
    got = run(call, lnc, output_dtype=BF16, normalization_type=kind)[0]
    values = numbers(given)
    normed = apply_norm(NORMS[kind], values["hidden"], values.pop("gamma"), values.pop("beta", None), 1e-6)
    check_close(got, expected({**values, "hidden": normed.astype(FP8)}), 5e-2, ATOL)


@pytest.mark.parametrize("down", [True, False])
@pytest.mark.parametrize("tokens", [FEW, MANY])
def test_dtype_of_the_outputs(tokens: Any, down: bool) -> None:
    given = tensors(tokens, also="add")
    got = run(
        arguments(given),
        2,
        output_dtype=FP32,
        store_fused_add_result=True,
        use_tkg_down_proj_column_tiling=down,
    )
    assert got[0].dtype == got[1].dtype == FP32
    check_close(got[0], expected(given), RTOL, ATOL)
    check_close(got[1], given["hidden"].astype(FP32) + given["add"].astype(FP32), 5e-3, ATOL)


# -- input and norm ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize(
    ("norm", "tokens"),
    [
        (None, (1, 3)),
        (None, FEW),
        (None, MANY),
        (RMS, (1, 3)),
        (RMS, FEW),
        (RMS, MANY),
        (LAYER, FEW),
        (SKIP, FEW),
    ],
)
def test_fused_add(norm: Any, tokens: Any, store: bool, lnc: int) -> None:
    given = tensors(tokens, 512, 130, "add gamma" if norm in (RMS, LAYER) else "add")
    options = {} if norm is None else {"normalization_type": norm}
    got = run(arguments(given), lnc, store_fused_add_result=store, **options)
    assert len(got) == 1 + store
    check_close(got[0], expected(given, norm=NORMS.get(norm)), RTOL, ATOL)
    if store:
        check_close(got[1], numbers(given)["hidden"] + numbers(given)["add"], 5e-3, ATOL)


@pytest.mark.parametrize("tokens", [FEW, MANY])
@pytest.mark.parametrize("norm", [RMS, LAYER, SKIP])
def test_a_norm_without_weights(norm: Any, tokens: Any) -> None:
    given = tensors(tokens)
    got = run(arguments(given), normalization_type=norm)[0]
    check_close(got, expected(given, norm=NORMS[norm]), RTOL, ATOL)


@pytest.mark.parametrize("tokens", [FEW, MANY])
def test_without_a_norm_its_weights_are_not_read(tokens: Any) -> None:
    given = tensors(tokens, also="gamma beta")
    want = expected({name: value for name, value in given.items() if name not in ("gamma", "beta")})
    given["gamma"][:] = given["beta"][:] = np.nan
    check_close(run(arguments(given))[0], want, RTOL, ATOL)


@pytest.mark.parametrize("tokens", [FEW, MANY])
@pytest.mark.parametrize("norm", [RMS, LAYER])
def test_eps(norm: Any, tokens: Any) -> None:
    given = tensors(tokens, also="gamma")
    got = run(arguments(given), 2, normalization_type=norm, eps=3.0)[0]
    check_close(got, expected(given, norm=NORMS[norm], eps=3.0), RTOL, ATOL)


def from_sbuf(x: Any, others: Any, options: Any) -> Any:
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    return mlp(tile, **others, **options)


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("also", ["", "add"])
@pytest.mark.parametrize("norm", [None, RMS, LAYER])
def test_hidden_state_in_sbuf(norm: Any, also: str, lnc: int) -> None:
    given = tensors((1, 20), 512, 130, also)
    others = arguments(given)
    x = np.ascontiguousarray(to_sbuf_h(others.pop("hidden_tensor")[0], lnc))
    options = {} if norm is None else {"normalization_type": norm}
    got = launch(from_sbuf, x, others, options, lnc=lnc)
    assert got[0].shape == (1, 20, 512)
    check_close(got[0], expected(given, norm=NORMS.get(norm)), RTOL, ATOL)


# -- projections ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens", [FEW, MANY])
@pytest.mark.parametrize("also", ["gb", "ub", "db", "gb db"])
def test_some_of_the_biases(also: str, tokens: Any) -> None:
    given = tensors(tokens, also=also)
    want = expected(given)
    for gate_up, down in ((True, False), (False, True)):
        got = run(
            arguments(given),
            2,
            use_tkg_gate_up_proj_column_tiling=gate_up,
            use_tkg_down_proj_column_tiling=down,
        )
        check_close(got[0], want, RTOL, ATOL)


def test_without_a_gate_its_weights_are_not_read() -> None:
    given = tensors(also="gb ub")
    want = expected(given, skip_gate=True)
    given["wg"][:] = given["gb"][:] = np.nan
    check_close(run(arguments(given), 2, skip_gate_proj=True)[0], want, RTOL, ATOL)


@pytest.mark.parametrize("limit", [{"g_hi": 0.2}, {"g_lo": 0.1}, {"u_hi": 0.0}, {"u_lo": -0.1}])
def test_each_limit(limit: dict[str, float]) -> None:
    given = tensors()
    got = run(arguments({**given, **limit}), 2)[0]
    check_close(got, expected(given, **limit), RTOL, ATOL)


@pytest.mark.parametrize("tokens", [FEW, MANY])
@pytest.mark.parametrize("function", list(ActFnType))
def test_activations(function: Any, tokens: Any) -> None:
    given = tensors(tokens, 128, 100)
    got = run(arguments(given), activation_fn=function)[0]
    check_close(got, expected(given, act=function.name), 1e-2, ATOL)


@pytest.mark.parametrize("gate_up", [True, False])
@pytest.mark.parametrize(("tokens", "inner"), [((1, 3), 5001), ((96, 1), 2100), ((1, 98), 5001), (FEW, 1)])
def test_many_and_few_inner_columns(tokens: Any, inner: int, gate_up: bool) -> None:
    given = tensors(tokens, 256, inner)
    got = run(arguments(given), 2, use_tkg_gate_up_proj_column_tiling=gate_up)[0]
    check_close(got, expected(given), RTOL, ATOL)


@pytest.mark.parametrize("down", [True, False])
def test_scales_with_biases_and_limits(down: bool) -> None:
    given = tensors(FEW, 512, 200, "gb ub db")
    for name in ("wg", "wu", "wd"):
        given[name] = given[name].astype(FP8)
    rows = {"gs": 200, "us": 200, "ds": 512}
    row = {name: np.random.default_rng(5).uniform(0.1, 3, size) for name, size in rows.items()}
    one = {"gs": 0.7, "us": 1.3, "ds": 2.5}
    limits = {"g_hi": 1.0, "g_lo": -0.75, "u_hi": 1.5, "u_lo": -0.5}
    for scales, kind, more in ((row, ROW, {}), (one, STATIC, {"s_in": 9.0, "s_mid": 7.0})):
        call = arguments({**given, **scales, **limits, **more}, weights=FP8)
        got = run(call, 2, quantization_type=kind, use_tkg_down_proj_column_tiling=down)[0]
        check_close(got, expected(given, **scales, **limits), RTOL, ATOL)


# -- output in SBUF ---------------------------------------------------------------------------------------


def to_sbuf(call: Any, options: Any) -> Any:
    got = mlp(**call, store_output_in_sbuf=True, **options)
    assert got[0].buffer == nl.sbuf
    return [per_core(got[0]), *got[1:]]


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("arrangement", ["rows", "spread", "optimized"])
def test_output_in_sbuf(arrangement: str, lnc: int) -> None:
    given = tensors((1, 20), 512, 200, "add db")
    want = expected(given)
    if arrangement == "optimized":
        given["wd"] = np.ascontiguousarray(down_w_optimized(given["wd"], lnc))
    options = {
        "use_tkg_down_proj_column_tiling": arrangement == "rows",
        "use_tkg_down_proj_optimized_layout": arrangement == "optimized",
        "store_fused_add_result": True,
        "output_dtype": FP32,
    }
    tile, total = launch(to_sbuf, arguments(given), options, lnc=lnc)
    assert (tile.dtype, total.dtype) == (BF16, FP32)
    if arrangement == "rows":
        got = tile.transpose(1, 0, 2).reshape(20, 512)
    else:
        got = from_sbuf_h(tile.transpose(1, 3, 0, 2).reshape(128, 20, 4), lnc)
    check_close(got[None], want, RTOL, ATOL)


# -- context encoding -------------------------------------------------------------------------------------


def quantized_call(kind: Any, tokens: int, hidden: int, inner: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The oracle's arguments and the kernel's, with values of a size that the bounds of fp8 matter."""
    rng = np.random.default_rng(3)
    given = {
        "q": np.clip(drawn((tokens, hidden), FP32, scale=80.0), -240, 240).astype(FP8),
        "wg": drawn((hidden, inner), FP8, 1, hidden**-0.5),
        "wu": drawn((hidden, inner), FP8, 2, hidden**-0.5),
        "wd": drawn((inner, hidden), FP8, 3, inner**-0.5),
    }
    if kind == ROW:
        given |= {"gs": rng.uniform(0.1, 4, inner), "us": rng.uniform(0.5, 2, inner)}
        given |= {"ds": rng.uniform(0.5, 2, hidden), "tok_scale": rng.uniform(2e-3, 6e-3, (tokens, 1))}
        given["tok_scale"] = given["tok_scale"].astype(FP32)
    else:
        given |= {"gs": 0.9, "us": 1.1, "ds": 0.5, "s_in": 0.02, "s_mid": 0.01}
    call = arguments({**given, "hidden": given["q"][None]}, FP8, FP8)
    if kind == ROW:
        call["hidden_tensor"] = packed(given["q"], given["tok_scale"])
    call |= {"quantization_type": kind, "output_dtype": BF16}
    return numbers(given), call


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("bound", [0.0, 0.05])
def test_row_quantised_context(bound: float, lnc: int) -> None:
    given, call = quantized_call(ROW, 130, 384, 300)
    got = run(call, lnc, quant_clipping_bound=bound)[0]
    check_close(got[0], mlp_cte_row_ref(**given, clip=bound), 3e-2, ATOL)


@pytest.mark.parametrize("lnc", [1, 2])
def test_static_quantised_context(lnc: int) -> None:
    given, call = quantized_call(STATIC, 130, 384, 300)
    assert np.abs(given["q"]).max() == 240
    check_close(run(call, lnc)[0][0], mlp_cte_static_ref(**given), 5e-2, ATOL)


@pytest.mark.parametrize("kind", [None, ROW, STATIC])
def test_cores_share_the_inner_columns(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SHARED_INNER_HIDDEN", 256)
    monkeypatch.setattr(plan, "SHARED_INNER_COLUMNS", 300)
    if kind is None:
        given = tensors((3, 41), 1408, 300, "add")
        with nkisim.trace() as trace:
            got = run(arguments(given), 2, store_fused_add_result=True)
        total = numbers(given)["hidden"] + numbers(given)["add"]
        check_close(got[1], total, 5e-3, ATOL)
        check_close(got[0], expected(given), RTOL, ATOL)
        weights = 3 * given["wg"].nbytes
        assert trace.hbm_read == weights + 2 * 2 * total.size * 2
        return
    given, call = quantized_call(kind, 123, 1408, 300)
    want = mlp_cte_row_ref(**given) if kind == ROW else mlp_cte_static_ref(**given)
    check_close(run(call, 2)[0][0], want, 3e-2 if kind == ROW else 5e-2, ATOL)


@pytest.mark.parametrize(("hidden", "inner"), [(256, 302), (1408, 100), (1408, 301)])
def test_cores_share_tokens_otherwise(hidden: int, inner: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SHARED_INNER_HIDDEN", 1408)
    monkeypatch.setattr(plan, "SHARED_INNER_COLUMNS", 300)
    given = tensors((1, 122), hidden, inner)
    with nkisim.trace() as trace:
        check_close(run(arguments(given), 2)[0], expected(given), RTOL, ATOL)
    assert trace.hbm_read == given["hidden"].nbytes + 2 * 3 * given["wg"].nbytes


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("lnc", [1, 2])
def test_blocks_of_tokens(lnc: int, resident: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BLOCK_TILES", 1)
    if not resident:
        monkeypatch.setattr(plan, "SBUF_BYTES", 0)
    given = tensors((2, 300), 256, 200, "gamma gb ub db add")
    with nkisim.trace() as trace:
        got = run(arguments(given), lnc, normalization_type=RMS, store_fused_add_result=True)
    check_close(got[0], expected(given, norm="RMS_NORM"), RTOL, ATOL)
    blocks = 1 if resident else -(-600 // lnc // 128)
    weights = lnc * blocks * 3 * given["wg"].nbytes
    activations = 2 * given["hidden"].nbytes
    assert weights + activations <= trace.hbm_read < weights + activations + 40_000


def test_several_blocks_of_quantised_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BLOCK_TILES", 2)
    given, call = quantized_call(ROW, 420, 256, 200)
    check_close(run(call)[0][0], mlp_cte_row_ref(**given), 3e-2, ATOL)


# -- cost and determinism ---------------------------------------------------------------------------------


@pytest.mark.parametrize("gate_up", [True, False])
def test_token_generation_moves_everything_once(gate_up: bool) -> None:
    given = tensors((4, 1), 1024, 896)
    with nkisim.trace() as trace:
        run(arguments(given), 2, use_tkg_gate_up_proj_column_tiling=gate_up)
    assert trace.hbm_read == given["hidden"].nbytes + 3 * given["wg"].nbytes
    assert trace.hbm_written == given["hidden"].nbytes


@pytest.mark.parametrize("tokens", [FEW, MANY])
def test_runs_agree_bit_by_bit(tokens: Any) -> None:
    call = arguments(tensors(tokens, also="gamma gb ub db"))
    first, second = (run(call, 2, normalization_type=RMS)[0].tobytes() for _ in range(2))
    assert first == second


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tokens", "hidden", "inner"),
    [
        ((1, 5), 16384, 832),
        ((1, 1), 8448, 1408),
        ((8, 5), 8192, 896),
        ((1, 256), 7168, 1024),
        ((1, 512), 16384, 112),
    ],
)
def test_wide(tokens: Any, hidden: int, inner: int) -> None:
    given = tensors(tokens, hidden, inner, "gamma")
    got = run(arguments(given), 2, normalization_type=RMS)[0]
    check_close(got, expected(given, norm="RMS_NORM"), RTOL, ATOL)
