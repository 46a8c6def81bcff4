"""``moe_tkg`` with weights of 16 and 8 bits: the oracle's cases, options, layouts, masks and limits of sizes."""

from __future__ import annotations

import functools
from typing import Any

import moe_numpy_ref
import nki
import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP8, FP16, FP32, in_sbuf, per_core
from kernels import cast, check_close, launch, rejected
from moe_numpy_cases import CASES, _tkg
from moes import NO_SCALE, POST, gathered, run_tkg, spread, tkg_arguments
from mxs import cores

from nkilib.core.moe import moe_tkg
from nkilib.core.moe.moe_tkg.moe_tkg_affinity_masking import mask_expert_affinities
from nkilib.core.utils.common_types import ActFnType, ExpertAffinityScaleMode

ATOL = 1e-5
TKG = [name for name in CASES if name.startswith("TKG-")]


@functools.cache
def drawn(*sizes: int, **options: Any) -> tuple[dict[str, Any], Any]:
    """Arguments and the result of ``_tkg(T, H, I, E_L, …)``."""
    given, want, _ = _tkg(*sizes, **options)()
    return tkg_arguments(given), want["out"]


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("case", TKG)
def test_cases(case: str, lnc: int) -> None:
    given, want, rtol = CASES[case]()
    got = run_tkg(tkg_arguments(given), lnc)
    assert got.dtype == BF16
    check_close(got, want["out"], rtol, ATOL)


def test_without_a_grid() -> None:
    arguments, want = drawn(4, 512, 64, 2)
    check_close(run_tkg(arguments, lnc=0), want, 2e-2, ATOL)


@pytest.mark.parametrize("all_expert", [True, False])
@pytest.mark.parametrize("act", list(ActFnType))
@pytest.mark.parametrize("dtype", [BF16, FP16])
def test_activations(act: ActFnType, dtype: Any, all_expert: bool) -> None:
    rounded = moe_numpy_ref.bf16 if dtype == BF16 else moe_numpy_ref.fp16
    case = _tkg(4, 512, 64, 4, K=2, all_expert=all_expert, act=act.name, rnd=rounded)
    given, want, _ = case()
    check_close(run_tkg(tkg_arguments(given, dtype)), want["out"], 2e-2 if dtype == BF16 else 1e-2, ATOL)


@pytest.mark.parametrize(
    ("T", "H", "inner", "experts", "K", "all_expert"),
    [
        (4, 512, 320, 2, 2, True),
        (1, 256, 64, 3, 1, True),
        (128, 256, 128, 2, 2, True),
        (4, 384, 128, 4, 2, False),
        (5, 512, 128, 4, 2, False),
        (2, 256, 16, 128, 8, False),
        (2, 3072, 1536, 2, 1, False),
    ],
    ids=str,
)
def test_sizes(T: int, H: int, inner: int, experts: int, K: int, all_expert: bool) -> None:
    arguments, want = drawn(T, H, inner, experts, K=K, all_expert=all_expert)
    check_close(run_tkg(arguments), want, 2e-2, ATOL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("T", "H", "inner", "experts", "K", "all_expert", "row"),
    [
        (4, 32768, 256, 4, 4, True, False),
        (32, 3072, 1536, 4, 4, True, False),
        (32, 3072, 384, 8, 8, True, False),
        (2, 5120, 128, 16, 16, True, False),
        (4, 3072, 192, 4, 4, True, False),
        (4, 3072, 192, 128, 4, False, False),
        (1, 3072, 384, 128, 4, False, False),
        (32, 3072, 384, 8, 4, False, False),
        (2, 4096, 192, 8, 8, False, False),
        (32, 3072, 192, 4, 4, True, True),
        (32, 3072, 192, 8, 4, False, True),
    ],
    ids=str,
)
def test_models(T: int, H: int, inner: int, experts: int, K: int, all_expert: bool, row: bool) -> None:
    arguments, want = drawn(T, H, inner, experts, K=K, all_expert=all_expert, row_scale=row, act="Swish")
    check_close(run_tkg(arguments), want, 2e-2, ATOL)


# -- which experts, and how much of each ----------------------------------------------------------------


def dense(T: int = 6, experts: int = 8, K: int = 2) -> tuple[dict[str, Any], Any]:
    """All experts at hand, affinities that are zero nowhere, and each expert's result in float32."""
    arguments, _ = drawn(T, 512, 64, experts, K=K, mask=True, bias=True)
    x = arguments["hidden_input"].astype(FP32)
    each = [
        moe_numpy_ref.mlp_expert(
            x,
            arguments["expert_gate_up_weights"][e].astype(FP32),
            arguments["expert_down_weights"][e].astype(FP32),
            arguments["expert_gate_up_bias"][e].astype(FP32),
            arguments["expert_down_bias"][e].astype(FP32),
            g_hi=7.0,
            u_hi=8.0,
            u_lo=-6.0,
        )
        for e in range(experts)
    ]
    return arguments, np.stack(each)


def of_rank(arguments: dict[str, Any], rank: int, count: int) -> dict[str, Any]:
    own = {}
    for name in (
        "expert_gate_up_weights",
        "expert_down_weights",
        "expert_gate_up_bias",
        "expert_down_bias",
    ):
        own[name] = arguments[name][rank * count : (rank + 1) * count]
    return {**arguments, **own, "rank_id": np.array([[rank]], np.uint32)}


def chosen(index: Any, experts: int) -> Any:
    mask = np.zeros((len(index), experts), FP32)
    np.put_along_axis(mask, index.astype(np.int64), 1, 1)
    return mask


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("rank", [0, 3])
def test_a_rank_has_its_own_affinities(rank: int, masked: bool, lnc: int) -> None:
    """Fixed in 2.28, affinity masking with mask_unselected_experts: the masked ones are those that weigh.

    The affinities are zero nowhere, and the mask is that of the rank's own experts.
    """
    arguments, each = dense()
    weights = arguments["expert_affinities"]
    if masked:
        weights = weights * chosen(arguments["expert_index"], 8)
    want = np.einsum("te,eth->th", weights[:, 2 * rank : 2 * rank + 2], each[2 * rank : 2 * rank + 2])
    got = run_tkg({**of_rank(arguments, rank, 2), "mask_unselected_experts": masked}, lnc)
    check_close(got, want, 2e-2, ATOL)


def test_masked_ranks_add_up_to_what_tokens_select() -> None:
    """Fixed in 2.28: affinity masking with mask_unselected_experts."""
    arguments, _ = dense()
    parts = [
        run_tkg({**of_rank(arguments, rank, 2), "mask_unselected_experts": True}).astype(FP32)
        for rank in range(4)
    ]
    whole = run_tkg({**arguments, "is_all_expert": False})
    check_close(sum(parts), whole, 2e-2, ATOL)


def test_an_expert_that_is_named_twice_counts_once_in_the_mask() -> None:
    arguments, each = dense()
    index = arguments["expert_index"].copy()
    index[:, 1] = index[:, 0]
    weights = arguments["expert_affinities"] * chosen(index, 8)
    got = run_tkg({**arguments, "expert_index": index, "mask_unselected_experts": True})
    check_close(got, np.einsum("te,eth->th", weights, each), 2e-2, ATOL)


@pytest.mark.parametrize("all_expert", [True, False])
def test_no_scale_needs_no_affinities(all_expert: bool) -> None:
    arguments, each = dense()
    given = {**arguments, "is_all_expert": all_expert, "rank_id": None}
    given["expert_affinities_scaling_mode"] = NO_SCALE
    counts = np.ones((6, 8)) if all_expert else chosen(arguments["expert_index"], 8)
    check_close(run_tkg(given), np.einsum("te,eth->th", counts, each), 2e-2, ATOL)


def test_affinities_of_zero() -> None:
    arguments, _ = dense()
    for all_expert in (True, False):
        given = {**arguments, "expert_affinities": np.zeros((6, 8), FP32), "is_all_expert": all_expert}
        assert not run_tkg(given).any()


@pytest.mark.parametrize("all_expert", [True, False])
@pytest.mark.parametrize("kind", [(BF16, np.int32), (FP16, np.uint32)])
def test_types_of_affinities_and_index(kind: tuple[Any, Any], all_expert: bool) -> None:
    arguments, each = dense()
    affinities = arguments["expert_affinities"].astype(kind[0])
    given = {**arguments, "expert_affinities": affinities, "is_all_expert": all_expert}
    given["expert_index"] = arguments["expert_index"].astype(kind[1])
    given["mask_unselected_experts"] = True
    weights = affinities.astype(FP32) * chosen(arguments["expert_index"], 8)
    check_close(run_tkg(given), np.einsum("te,eth->th", weights, each), 2e-2, ATOL)


@pytest.mark.parametrize("all_expert", [True, False])
def test_tokens_are_independent(all_expert: bool) -> None:
    arguments, _ = dense()
    given = {**arguments, "is_all_expert": all_expert}
    order = np.array([3, 0, 5, 1, 4, 2])
    moved = {name: given[name][order] for name in ("hidden_input", "expert_affinities", "expert_index")}
    assert np.array_equal(run_tkg({**given, **moved}), run_tkg(given)[order])


def test_selective_does_not_read_the_eager_affinities() -> None:
    arguments, _ = dense()
    given = {**arguments, "is_all_expert": False}
    eager = {**given, "expert_affinities_eager": np.full((6, 2), 9, FP32)}
    assert np.array_equal(run_tkg(eager), run_tkg(given))


# -- biases, scales, limits -----------------------------------------------------------------------------


def test_limits_are_upper_then_lower() -> None:
    """With the lower limit above the upper one the lower one remains."""
    arguments, _ = drawn(4, 512, 64, 2, bias=False, clamp=False)
    names = (
        "gate_clamp_upper_limit",
        "gate_clamp_lower_limit",
        "up_clamp_upper_limit",
        "up_clamp_lower_limit",
    )
    given = {**arguments, **dict(zip(names, (-1.0, 0.5, -1.0, 0.25), strict=True))}
    gate = moe_numpy_ref.act(np.float32(0.5)) * 0.25
    down = arguments["expert_down_weights"].astype(FP32).sum(1) * gate
    check_close(run_tkg(given), arguments["expert_affinities"] @ down, 2e-2, ATOL)


@pytest.mark.parametrize("name", ["gate_clamp_upper_limit", "gate_clamp_lower_limit", "up_clamp_upper_limit", "up_clamp_lower_limit"])  # fmt: skip
def test_each_limit_alone(name: str) -> None:
    value = -0.5 if "lower" in name else 0.5
    short = {"gate_clamp_upper_limit": "g_hi", "gate_clamp_lower_limit": "g_lo", "up_clamp_upper_limit": "u_hi", "up_clamp_lower_limit": "u_lo"}[name]  # fmt: skip
    arguments, _ = drawn(4, 512, 64, 2, bias=False, clamp=False)
    x, gate_up, down = (
        arguments[key].astype(FP32)
        for key in ("hidden_input", "expert_gate_up_weights", "expert_down_weights")
    )
    want = moe_numpy_ref.moe_tkg(
        x, gate_up, down, arguments["expert_affinities"], arguments["expert_index"], True, **{short: value}
    )
    check_close(run_tkg({**arguments, name: value}), want, 2e-2, ATOL)


@pytest.mark.parametrize("name", ["expert_gate_up_weights_scale", "expert_down_weights_scale"])
def test_one_scale_alone_is_not_used(name: str) -> None:
    arguments, _ = drawn(4, 512, 64, 2, row_scale=True)
    without = {key: value for key, value in arguments.items() if not key.endswith("_scale")}
    assert np.array_equal(run_tkg({**without, name: arguments[name]}), run_tkg(without))


@pytest.mark.parametrize("name", ["expert_gate_up_bias", "expert_down_bias"])
@pytest.mark.parametrize("all_expert", [True, False])
def test_one_bias_alone(name: str, all_expert: bool) -> None:
    arguments, _ = drawn(4, 512, 64, 4, K=2, all_expert=all_expert, clamp=False)
    given = {key: value for key, value in arguments.items() if not key.endswith("_bias") or key == name}
    x, gate_up, down, bias = (
        arguments[key].astype(FP32)
        for key in ("hidden_input", "expert_gate_up_weights", "expert_down_weights", name)
    )
    biases = {"bgu" if "gate" in name else "bd": bias}
    want = moe_numpy_ref.moe_tkg(
        x, gate_up, down, arguments["expert_affinities"], arguments["expert_index"], all_expert, **biases
    )
    check_close(run_tkg(given), want, 2e-2, ATOL)


def test_output_dtype() -> None:
    arguments, want = drawn(4, 512, 64, 4, K=2, all_expert=False)
    for all_expert in (True, False):
        got = run_tkg({**arguments, "output_dtype": np.float32, "is_all_expert": all_expert})
        assert got.dtype == FP32
        check_close(got, want, 2e-2, ATOL)
        assert np.array_equal(cast(got, BF16), run_tkg({**arguments, "is_all_expert": all_expert}))


# -- tiles in SBUF ---------------------------------------------------------------------------------------


def with_tiles(hidden: Any, affinities: Any, index: Any, **arguments: Any) -> Any:
    """Hidden state ``[cores, 128, T, H1]`` and what the function takes from SBUF, as tiles."""
    _count, core = cores()
    own = in_sbuf(hidden[core] if hidden.shape[0] > 1 else hidden[0])
    if not arguments["is_all_expert"]:
        affinities, index = in_sbuf(affinities), in_sbuf(index)
    return per_core(moe_tkg(own, *[arguments.pop(name) for name in ("gate_up", "down")], affinities, index, output_in_sbuf=True, **arguments))  # fmt: skip


def run_in_sbuf(arguments: dict[str, Any], shards: int, lnc: int) -> Any:
    given = dict(arguments)
    names = ("hidden_input", "expert_affinities", "expert_index")
    hidden, affinities, index = (given.pop(name) for name in names)
    given["gate_up"] = given.pop("expert_gate_up_weights")
    given["down"] = given.pop("expert_down_weights")
    return launch(with_tiles, spread(hidden, shards), affinities, index, lnc=lnc, **given)


@pytest.mark.parametrize("lnc", [1, 2])
def test_all_experts_in_sbuf(lnc: int) -> None:
    arguments, want = drawn(4, 512, 64, 2)
    got = run_in_sbuf(arguments, lnc, lnc)
    check_close(gathered(got), want, 2e-2, ATOL)


@pytest.mark.parametrize("T", [1, 5])
@pytest.mark.parametrize("lnc", [1, 2])
def test_selected_experts_in_sbuf(T: int, lnc: int) -> None:
    arguments, want = drawn(T, 512, 64, 4, K=2, all_expert=False)
    shards = lnc if T == 1 else 1
    got = run_in_sbuf(arguments, shards, lnc)
    if T == 1:
        check_close(gathered(got), want, 2e-2, ATOL)
        return
    for core in range(lnc):
        first, last = (0, T) if lnc == 1 else ((0, T // 2), (T // 2, T))[core]
        check_close(gathered(got[core : core + 1])[first:last], want[first:last], 2e-2, ATOL)


# -- what is refused ------------------------------------------------------------------------------------


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"rank_id": None}, "rank_id is required for all-expert mode with affinity scaling"),
    (
        {"is_all_expert_dynamic": True, "is_all_expert": False},
        "is_all_expert_dynamic=True requires is_all_expert=True, but got is_all_expert=False",
    ),
    (
        {"hidden_input_scale": np.zeros((128, 1, 4), np.uint8)},
        "hidden_input_scale is only supported with MX weights in all-expert mode",
    ),
    (
        {"expert_affinities_scaling_mode": ExpertAffinityScaleMode.PRE_SCALE_DELAYED},
        "PRE_SCALE_DELAYED option is only applicable in CTE expert_mlp case",
    ),
    (
        {"expert_affinities_scaling_mode": ExpertAffinityScaleMode.PRE_SCALE},
        "Kernel does not support pre-scale mode",
    ),
    ({"gate_up_input_scale": np.ones((128, 1), FP32)}, "Static quantization is not supported"),
    ({"down_input_scale": np.ones((128, 1), FP32)}, "Static quantization is not supported"),
    (
        {"expert_affinities_eager": np.ones((4, 2), FP32)},
        "expert_affinities eager mode not supported with is_all_expert=True",
    ),
    ({"expert_index": np.zeros((4, 17), np.int32), "is_all_expert": False}, "top_k 17 exceeds 16"),
    ({"hidden_input": np.zeros((4, 768), BF16)}, "Weight Sharding mismatch: expected"),
    ({"expert_affinities": np.zeros((4, 1), FP32)}, "expert_affinities has 1 columns for 2 experts"),
]


@pytest.mark.parametrize(("changes", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_refused(changes: dict[str, Any], text: str) -> None:
    arguments, _ = drawn(4, 512, 64, 2)
    with rejected(text):
        run_tkg({**arguments, **changes})


@pytest.mark.parametrize(
    ("sizes", "options", "text"),
    [
        ((129, 256, 16, 2), {}, "Currently only batch size * seq len <= 128 is supported"),
        ((4, 384, 16, 2), {}, "Invalid sharding: H1=3 (H=384) cannot be evenly divided across 2 cores"),
        ((4, 378, 16, 2), {}, "Invalid sharding"),
        ((64, 16640, 16, 2), {}, "Required psum banks for down projection: 9, which exceeds"),
        ((4, 256, 16, 1), {"all_expert": False, "K": 1}, "E=1 must be > 1 for MoE"),
    ],
    ids=str,
)
def test_refused_sizes(sizes: tuple[int, ...], options: dict[str, Any], text: str) -> None:
    T, H, inner, experts = sizes
    given = {
        "hidden_input": np.zeros((T, H), BF16),
        "expert_gate_up_weights": np.zeros((experts, H, 2, inner), BF16),
        "expert_down_weights": np.zeros((experts, inner, H), BF16),
        "expert_affinities": np.zeros((T, experts), FP32),
        "expert_index": np.zeros((T, options.get("K", experts)), np.int32),
        "is_all_expert": options.get("all_expert", True),
        "rank_id": np.zeros((1, 1), np.uint32),
        "expert_affinities_scaling_mode": POST,
    }
    with rejected(text):
        run_tkg(given)


def test_fp8_weights_without_scales() -> None:
    arguments, _ = drawn(4, 512, 64, 2, bias=False, clamp=False)
    given = dict(arguments)
    for name in ("expert_gate_up_weights", "expert_down_weights"):
        given[name] = cast(arguments[name], FP8)
    x, gate_up, down = (
        given[key].astype(FP32) for key in ("hidden_input", "expert_gate_up_weights", "expert_down_weights")
    )
    want = moe_numpy_ref.moe_tkg(x, gate_up, down, given["expert_affinities"], given["expert_index"], True)
    check_close(run_tkg(given), want, 2e-2, ATOL)


@nki.jit
def rank_affinities(affinities: Any, index: Any, rank: Any, masked: bool, dtype: Any) -> Any:
    """``mask_expert_affinities`` for eight experts of a rank, and what it gives, row by row."""
    tokens, choices = index.shape
    local = mask_expert_affinities(affinities, index, rank, 8, tokens, choices, dtype, masked)
    result = nl.ndarray(local.shape, dtype=local.dtype, buffer=nl.shared_hbm)
    for fold in range(-(-tokens // 128)):
        rows = min(128, tokens - 128 * fold)
        part = (slice(0, rows), fold) if tokens > 128 else (slice(0, rows),)
        nisa.dma_copy(dst=result[part], src=local[part])
    return result


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("tokens", [5, 128, 200])
def test_affinities_of_a_rank(tokens: int, dtype: str, masked: bool) -> None:
    draw = np.random.default_rng(tokens)
    affinities = draw.uniform(0.1, 1, (tokens, 24)).astype(FP32)
    index = np.stack([draw.permutation(24)[:3] for _ in range(tokens)]).astype(np.uint32)
    got = launch(rank_affinities, affinities, index, np.full((1, 1), 2, np.int32), masked, getattr(nl, dtype))
    want = cast(affinities[:, 16:], dtype)
    if masked:
        want = want * (index[:, :, None] == np.arange(16, 24)).any(1)
    if tokens > 128:
        assert got.shape == (128, 2, 8)
        got = np.concatenate([got[:, 0], got[: tokens - 128, 1]])
    assert got.dtype == want.dtype
    assert np.array_equal(got, want)


def test_affinities_of_a_rank_are_refused() -> None:
    arguments = (np.zeros((4, 24), FP32), np.zeros((4, 3), np.uint32), np.zeros((1, 1), np.int32))

    def called(affinities: Any, index: Any, rank: Any, tokens: int, choices: int) -> Any:
        return mask_expert_affinities(affinities, index, rank, 8, tokens, choices, nl.float32, False)

    with rejected("expert_index has 3 columns, K is 2"):
        launch(called, *arguments, 4, 2)
    with rejected("expert_affinities"):
        launch(called, *arguments, 5, 3)
