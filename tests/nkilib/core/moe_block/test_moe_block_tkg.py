"""moe_block_tkg: the oracle's cases, all ways to route and to compute, MX with and without a residual, and checks."""

from __future__ import annotations

from typing import Any

import moe_numpy_ref as ref
import numpy as np
import pytest
from blockcheck import BF16, FP8, FP16, FP32
from kernels import cast, check_close, launch, rejected
from moe_numpy_cases import CASES, mx_bias, mx_weights
from moeblocks import SIGMOID, SOFTMAX, Block
from moes import NO_SCALE, POST, mx_words

import nkisim
from nkilib.core.moe_block.moe_block_tkg import moe_block_tkg
from nkilib.core.moe_block.moe_block_tkg_utils import get_sbuf_tensor_shape, parse_moe_block_config
from nkilib.core.utils.common_types import ActFnType

ATOL = 1e-5
CLAMPS = {"gate_clamp_upper_limit": 1.0, "up_clamp_upper_limit": 0.8, "up_clamp_lower_limit": -0.6}


def check(case: Block, rtol: float = 2e-2) -> Any:
    got, want = case.run(), case.expected()
    assert len(got) == 2
    for name, found, wanted in zip(("out", "logits"), got, want, strict=True):
        assert found.dtype == case.dtype
        check_close(found, wanted, rtol, ATOL, name)
    return got


@pytest.mark.parametrize("name", ["MB-01", "MB-02", "MB-03"])
def test_cases(name: str) -> None:
    given, want, rtol = CASES[name]()
    arguments = {
        **{key: cast(given[key], BF16) for key in given if key.endswith("_weights")},
        "inp": cast(given["inp"], BF16)[None],
        "gamma": cast(given["gamma"], BF16)[None],
        "router_bias": cast(given["router_bias"], BF16),
        "rank_id": np.array([[given["rank_id"]]], np.uint32),
        **{key: given[key] for key in ("top_k", "router_pre_norm", "norm_topk_prob", "hidden_actual")},
        "is_all_expert": given["is_all_expert"],
    }
    out, logits = launch(
        moe_block_tkg, lnc=2, **arguments, router_act_fn=SOFTMAX, hidden_act_fn=ActFnType.Swish,
        expert_affinities_scaling_mode=POST,
    )  # fmt: skip
    check_close(logits, want["router_logits"], rtol, ATOL)
    check_close(out, want["out"], rtol, ATOL)


# -- ways to compute --------------------------------------------------------------------------------------


@pytest.mark.parametrize("all_expert", [False, True])
@pytest.mark.parametrize(
    "tokens", [(1, 1), (1, 2), (2, 2), (1, 5), (19, 1), (33, 1), (8, 8), (128, 1)], ids=str
)
def test_tokens(tokens: tuple[int, int], all_expert: bool) -> None:
    """Alone, in pairs, odd, divided by the router or not, and as many as there may be."""
    check(Block(tokens, 512, 64, 8, is_all_expert=all_expert).add_biases())


@pytest.mark.parametrize("all_expert", [False, True])
def test_selected_and_all_experts_agree(all_expert: bool) -> None:
    sizes = ((64, 1), 512, 64, 8)
    selected = Block(*sizes).run()
    everyone = Block(*sizes, is_all_expert=True).run()
    check_close(everyone[0], cast(selected[0], FP32), 1e-2, ATOL)
    assert everyone[1].tobytes() == selected[1].tobytes()


def test_ranks_add_up() -> None:
    sizes = ((5, 1), 512, 64, 8, 3)
    whole = Block(*sizes)
    weights = ("expert_gate_up_weights", "expert_down_weights")
    total = np.zeros((5, 512), np.float64)
    for rank in range(4):
        part = Block(*sizes, rank=rank, local=2, is_all_expert=True)
        for name in weights:
            part.arguments[name] = whole.arguments[name][2 * rank : 2 * rank + 2]
        for name in ("inp", "gamma", "router_weights", "router_bias"):
            part.arguments[name] = whole.arguments[name]
        total += check(part)[0].astype(np.float64)
    check_close(total, whole.run()[0].astype(FP32), 2e-2, ATOL)


def test_large_experts_are_divided_over_h() -> None:
    check(Block((2, 1), 3072, 1536, 8, 1))


@pytest.mark.parametrize("all_expert", [False, True])
def test_half_precision(all_expert: bool) -> None:
    check(Block((5, 1), 512, 64, 8, dtype=FP16, is_all_expert=all_expert), 1e-2)


@pytest.mark.parametrize("all_expert", [False, True])
def test_fp8_weights_without_scales_are_taken_as_they_are(all_expert: bool) -> None:
    case = Block((4, 1), 512, 64, 8, is_all_expert=all_expert)
    for name in ("expert_gate_up_weights", "expert_down_weights"):
        case.arguments[name] = cast(case.arguments[name].astype(FP32) * 4, FP8)
    check(case, 5e-2)


@pytest.mark.parametrize("all_expert", [False, True])
def test_rows_scales(all_expert: bool) -> None:
    """Scales of fp8 weights: half of them."""
    case = Block((4, 1), 512, 64, 8, is_all_expert=all_expert)
    for name in ("expert_gate_up_weights", "expert_down_weights"):
        case.arguments[name] = cast(case.arguments[name].astype(FP32) * 4, FP8)
    plain = case.expected()[0]
    case.arguments["expert_gate_up_weights_scale"] = np.ones((8, 2, 64), FP32)
    case.arguments["expert_down_weights_scale"] = np.full((8, 512), 0.5, FP32)
    check_close(case.run()[0], plain * 0.5, 5e-2, ATOL)


# -- routers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("all_expert", [False, True])
@pytest.mark.parametrize("act", [SOFTMAX, SIGMOID])
@pytest.mark.parametrize(("pre", "norm"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("tokens", [1, 6, 40])
def test_routers(act: Any, pre: bool, norm: bool, tokens: int, all_expert: bool) -> None:
    """Also those whose affinities are of all experts: the others do not count."""
    check(
        Block(
            (tokens, 1), 256, 32, 16, 4, router_act_fn=act, router_pre_norm=pre, norm_topk_prob=norm,
            is_all_expert=all_expert,
        )
    )  # fmt: skip


def test_the_defaults_work() -> None:
    """A sigmoid of all experts, the best one, no scale."""
    case = Block((3, 1), 256, 32, 8, 1)
    case.arguments["expert_affinities_scaling_mode"] = NO_SCALE
    case.arguments["router_act_fn"] = SIGMOID
    want = check(case)
    for name in ("expert_affinities_scaling_mode", "router_act_fn", "top_k", "rank_id"):
        del case.arguments[name]
    assert case.run()[0].tobytes() == want[0].tobytes()


def test_softmax_before_and_after_the_choice() -> None:
    before = Block((5, 1), 512, 64, 8, norm_topk_prob=True).run()[0]
    after = Block((5, 1), 512, 64, 8, router_pre_norm=False).run()[0]
    check_close(before, cast(after, FP32), 1e-2, ATOL)


@pytest.mark.parametrize("router", [BF16, FP16, FP32])
@pytest.mark.parametrize("dtype", [BF16, FP16])
@pytest.mark.parametrize("all_expert", [False, True])
def test_types_of_the_router(router: Any, dtype: Any, all_expert: bool) -> None:
    check(Block((4, 1), 512, 64, 8, dtype=dtype, router=router, is_all_expert=all_expert))


def test_bias_of_the_router() -> None:
    case = Block((4, 1), 512, 64, 8)
    row = check(case)
    case.arguments["router_bias"] = case.arguments["router_bias"][0]
    assert case.run()[0].tobytes() == row[0].tobytes()
    case.arguments["router_bias"] = None
    assert check(case)[1].tobytes() != row[1].tobytes()


def test_logits_can_be_left_out() -> None:
    case = Block((4, 1), 512, 64, 8)
    out, _ = case.run()
    case.arguments["skip_router_logits"] = True
    (alone,) = case.run()
    assert alone.tobytes() == out.tobytes()


# -- norm and experts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("all_expert", [False, True])
def test_padded_hidden_states(all_expert: bool) -> None:
    case = Block((4, 1), 512, 64, 8, hidden_actual=480, is_all_expert=all_expert)
    case.arguments["inp"][..., 480:] = 0
    check(case)


def test_eps() -> None:
    check(Block((4, 1), 512, 64, 8, eps=0.01))


def test_without_gamma_s_weight_only_biases_are_left() -> None:
    case = Block((4, 1), 512, 64, 8).add_biases()
    case.arguments["gamma"][:] = 0
    _, logits = check(case)
    bias = cast(case.arguments["router_bias"], FP32)
    assert np.array_equal(cast(logits, FP32), np.repeat(bias, 4, 0))


@pytest.mark.parametrize("all_expert", [False, True])
@pytest.mark.parametrize("act", list(ActFnType))
def test_activations_and_limits(act: ActFnType, all_expert: bool) -> None:
    case = Block((4, 1), 512, 64, 8, hidden_act_fn=act, is_all_expert=all_expert, **CLAMPS).add_biases()
    check(case)
    case.arguments["gate_clamp_lower_limit"] = -0.2
    check(case)


@pytest.mark.parametrize("all_expert", [False, True])
def test_no_scale(all_expert: bool) -> None:
    case = Block((4, 1), 512, 64, 8, is_all_expert=all_expert)
    case.arguments["expert_affinities_scaling_mode"] = NO_SCALE
    check(case)


def test_a_residual_is_not_read_by_selected_experts() -> None:
    case = Block((4, 1), 512, 64, 8)
    case.arguments["residual"] = np.full_like(case.arguments["inp"], np.nan)
    check(case)


# -- MX ---------------------------------------------------------------------------------------------------


class MxBlock(Block):
    """The same with MX weights; they, and activations, count as the values that they stand for."""

    def __init__(
        self, tokens: tuple[int, int], hidden: int, inner: int, experts: int, k: int = 2, *, kind: str = "e2m1",
        rank: int = 0, local: int = 0, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(tokens, hidden, 8, experts, k, rank=rank, local=local, **options)
        draw, count = np.random.default_rng(9), local or experts
        weights, self.gate_up, self.down = mx_weights(draw, count, hidden, inner, kind)
        packed, self.bias = mx_bias(draw, count, inner)
        self.down_bias = ref.bf16(draw.uniform(-1, 1, (count, hidden)))
        self.arguments |= {
            "expert_gate_up_weights": mx_words(weights["gate_up"], kind),
            "expert_down_weights": mx_words(weights["down"], kind),
            "expert_gate_up_weights_scale": weights["gate_up_scale"],
            "expert_down_weights_scale": weights["down_scale"],
            "expert_gate_up_bias": cast(packed, BF16),
            "expert_down_bias": cast(self.down_bias, BF16),
            "gate_clamp_upper_limit": 7.0, "up_clamp_upper_limit": 8.0, "up_clamp_lower_limit": -6.0,
        }  # fmt: skip

    def run(self, lnc: int = 2, target: str = "trn3") -> Any:
        return super().run(lnc, target)

    def normed(self, hidden: Any = None) -> Any:
        """All experts: x·γ is rounded before it is divided, which decides how it is quantised."""
        a = self.arguments
        if not a.get("is_all_expert"):
            return super().normed(hidden)
        x = (a["inp"].reshape(-1, a["inp"].shape[-1]) if hidden is None else hidden).astype(FP32)
        count = a.get("hidden_actual") or x.shape[1]
        root = np.sqrt((x * x).sum(1, keepdims=True) / count + a.get("eps", 1e-6))
        return cast(cast(x * a["gamma"].astype(FP32), self.dtype).astype(FP32) / root, self.dtype).astype(
            FP32
        )

    def outputs(self, hidden: Any = None) -> Any:
        n = self.normed(hidden)
        logits, index, weights = self.routed(n)
        out = ref.moe_tkg(
            n, self.gate_up, self.down, weights, index, self.arguments.get("is_all_expert", False), self.rank, True,
            True, act_name="SiLU", bgu=self.bias, bd=self.down_bias, g_hi=7.0, u_hi=8.0, u_lo=-6.0, mx=True,
        )  # fmt: skip
        return out, logits

    def expected(self) -> Any:
        return self.outputs()


@pytest.mark.parametrize(
    ("tokens", "kind"), [((1, 1), "e2m1"), ((1, 1), "e4m3"), ((3, 1), "e2m1"), ((40, 1), "e2m1")], ids=str
)
def test_selected_experts_with_mx(tokens: tuple[int, int], kind: str) -> None:
    check(MxBlock(tokens, 512, 512, 8, kind=kind), 5e-2)


@pytest.mark.parametrize("kind", ["e2m1", "e4m3"])
@pytest.mark.parametrize("tokens", [(4, 1), (8, 5), (32, 4)], ids=str)
def test_all_experts_with_mx(tokens: tuple[int, int], kind: str) -> None:
    check(MxBlock(tokens, 512, 1024, 8, rank=1, local=2, kind=kind, is_all_expert=True), 5e-2)


@pytest.mark.parametrize(("pre", "norm"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("act", [SOFTMAX, SIGMOID])
def test_all_experts_with_mx_beyond_a_tile_of_tokens(act: Any, pre: bool, norm: bool) -> None:
    """160 and 260 tokens: their index and weights are folded, and each core routes a half of them."""
    for tokens in ((40, 4), (65, 4)):
        check(
            MxBlock(
                tokens, 512, 1024, 8, 3, rank=1, local=2, is_all_expert=True, router_act_fn=act,
                router_pre_norm=pre, norm_topk_prob=norm,
            ), 5e-2,
        )  # fmt: skip


@pytest.mark.parametrize("router", [FP16, FP32])
def test_the_router_s_type_with_mx(router: Any) -> None:
    for all_expert in (False, True):
        check(MxBlock((4, 1), 512, 1024, 8, router=router, is_all_expert=all_expert), 5e-2)


@pytest.mark.parametrize("flat", [False, True])
def test_residual(flat: bool) -> None:
    case = MxBlock((64, 4), 1024, 1024, 8, local=1, is_all_expert=True)
    inp = case.arguments["inp"]
    residual = cast(inp.astype(FP32) * 0.5, BF16)  # the norm is of about the same hidden states
    case.arguments["residual"] = residual.reshape(256, 1024) if flat else residual
    out, logits, total = case.run()
    want = cast(inp.astype(FP32) + residual.astype(FP32), BF16).reshape(256, 1024)
    assert total.tobytes() == want.tobytes()
    expected = case.outputs(want)
    check_close(logits, expected[1], 2e-2, ATOL)
    check_close(out, expected[0], 5e-2, ATOL)


def test_padded_hidden_states_with_mx() -> None:
    for all_expert in (False, True):
        case = MxBlock((4, 1), 512, 1024, 8, hidden_actual=480, is_all_expert=all_expert)
        case.arguments["inp"][..., 480:] = 0
        check(case, 5e-2)


# -- runs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mx", [False, True])
@pytest.mark.parametrize("all_expert", [False, True])
def test_runs_agree_bit_by_bit_and_cores_do_not_race(all_expert: bool, mx: bool) -> None:
    kind, inner = (MxBlock, 1024) if mx else (Block, 64)
    case = kind((8 if mx else 40, 1), 512, inner, 8, is_all_expert=all_expert)
    with nkisim.races():
        first = [each.tobytes() for each in case.run()]
    for seed in range(2):
        with nkisim.interleave(seed):
            assert [each.tobytes() for each in case.run()] == first


# -- checks -----------------------------------------------------------------------------------------------


def zeros(*shape: int) -> Any:
    return np.zeros(shape, BF16)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inp": zeros(4, 1, 520)}, "H=520 must be divisible by 128"),
        ({"inp": zeros(4, 512)}, "inp must be [B, S, H]"),
        ({"inp": zeros(132, 1, 512)}, "selective_load mode currently supports T <= 128, got 132"),
        (
            {"inp": zeros(132, 1, 512), "is_all_expert": True},
            "all_expert mode currently supports T <= 128, got 132",
        ),
        ({"shared_expert_gate_w": zeros(1, 1)}, "shared_expert has not been supported"),
        ({"shared_expert_down_w": zeros(1, 1)}, "shared_expert has not been supported"),
        ({"shared_expert_gate_bias": zeros(1, 1)}, "shared_expert biases have not been supported"),
        ({"shared_expert_up_bias": zeros(1, 1)}, "shared_expert biases have not been supported"),
        ({"shared_expert_down_bias": zeros(1, 1)}, "shared_expert biases have not been supported"),
        ({"is_all_expert": True, "rank_id": None}, "rank_id is required for all_expert mode"),
        ({"is_all_expert": True, "residual": zeros(4, 1, 512)}, "only supported for MXFP"),
        ({"inp": zeros(4, 1, 384)}, "H=384 must be divisible by 256"),
        ({"hidden_act_scale_factor": 1.0}, "hidden_act_scale_factor is currently a placeholder"),
        ({"hidden_act_bias": zeros(1, 1)}, "hidden_act_bias is currently a placeholder"),
        ({"router_mm_dtype": "float8_e4m3"}, "router_mm_dtype to be one of"),
        ({"router_mm_dtype": "float32"}, "as router_mm_dtype says, router_weights must be float32"),
        ({"top_k": 9}, "must be <= 8"),
        ({"top_k": 0}, "must be >= 1"),
        ({"router_act_fn": ActFnType.SiLU}, "Unsupported activation function"),
        ({"router_weights": zeros(512, 7), "router_bias": None}, "must be >= 8"),
        ({"gamma": zeros(1, 256)}, "gamma"),
    ],
)
def test_what_is_rejected(options: dict[str, Any], words: str) -> None:
    case = Block((4, 1), 512, 64, 8)
    case.arguments |= options
    with rejected(words):
        case.run()


@pytest.mark.parametrize("lnc", [0, 1])
def test_one_core_is_rejected(lnc: int) -> None:
    with rejected("only supports LNC-2; but got a spmd grid size of 1"):
        Block((4, 1), 512, 64, 8).run(lnc)


def test_mx_of_all_experts_takes_tokens_in_fours() -> None:
    with rejected("requires T divisible by 4, got 130"):
        MxBlock((65, 2), 512, 1024, 8, local=1, is_all_expert=True).run()


@pytest.mark.parametrize(
    ("tokens", "hidden", "shape", "words"),
    [
        ((32, 4), 1024, (128, 1024), "B*S must be at least 256, it is 128"),
        ((64, 4), 512, (256, 512), "H/128 must be a multiple of 8, it is 4"),
        ((64, 4), 1024, (4, 64, 1024), "residual must be as inp"),
    ],
)
def test_residuals_that_do_not_fit(tokens: Any, hidden: int, shape: Any, words: str) -> None:
    case = MxBlock(tokens, hidden, 1024, 8, local=1, is_all_expert=True)
    case.arguments["residual"] = zeros(*shape)
    with rejected(words):
        case.run()


def test_what_sizes_are_called() -> None:
    assert get_sbuf_tensor_shape(128, 4, True) == (128, 4)
    assert get_sbuf_tensor_shape(129, 4, True) == (128, 2, 4)
    assert get_sbuf_tensor_shape(129, 4, False) == (129, 4)
    seen: list[Any] = []

    def kernel(inp: Any, router: Any, weights: Any) -> Any:
        seen.append(parse_moe_block_config(inp, router, weights, None, 3, None, True))
        return inp

    launch(kernel, zeros(2, 5, 512), zeros(512, 16), zeros(2, 512, 2, 64), lnc=2)
    dims, quantization, experts = seen[1]
    assert (dims.B, dims.S, dims.T, dims.H, dims.H_free, dims.H_free_shard) == (2, 5, 10, 512, 4, 2)
    assert (dims.E, dims.K, dims.n_prgs, dims.prg_id, dims.hidden_actual) == (16, 3, 2, 1, 512)
    assert not quantization.is_moe_weight_mx
    assert experts.is_all_expert
    assert not experts.has_shared_expert
