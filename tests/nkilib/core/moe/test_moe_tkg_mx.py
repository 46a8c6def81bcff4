"""``moe_tkg`` with MX weights: the oracle's cases, tokens beyond a tile, quantised inputs, biases and refusals."""

from __future__ import annotations

import functools
from typing import Any

import moe_numpy_ref as ref
import numpy as np
import pytest
from blockcheck import BF16, FP16, FP32, in_sbuf
from kernels import cast, check_close, launch, rejected
from moe_numpy_cases import CASES, mx_bias, mx_weights
from moes import KINDS, NO_SCALE, mx_words, run_tkg, tkg_mx_arguments
from mxs import scales_in_sbuf

from nkilib.core.moe import moe_tkg
from nkilib.core.utils.common_types import ActFnType
from nkisim.core.dtypes import dtype_of

RTOL, ATOL = 2e-2, 1e-5
ACTIVATIONS = {"TMX-05": ActFnType.SiLU}


def run(arguments: dict[str, Any], lnc: int = 2) -> Any:
    return run_tkg(arguments, lnc, target="trn3")


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("TMX-")])
def test_cases(case: str, lnc: int) -> None:
    given, want, rtol = CASES[case]()
    arguments = tkg_mx_arguments(given)
    arguments["activation_fn"] = ACTIVATIONS.get(case, ActFnType.Swish)
    got = run(arguments, lnc)
    assert got.dtype == BF16
    check_close(got, want["out"], rtol, ATOL)


class Case:
    """Experts with natural weights beside them, tokens, affinities that are zero nowhere."""

    def __init__(self, T: int, H: int, inner: int, experts: int, kind: str = "e2m1", K: int = 2) -> None:
        draw = np.random.default_rng(7)
        self.kind = kind
        self.weights, self.gate_up, self.down = mx_weights(draw, experts, H, inner, kind)
        packed, self.bias = mx_bias(draw, experts, inner)
        self.down_bias = ref.bf16(draw.uniform(-1, 1, (experts, H)))
        self.x = ref.bf16(draw.standard_normal((T, H)))
        self.index = np.stack([draw.permutation(experts)[:K] for _ in range(T)]).astype(np.int32)
        self.affinities = draw.random((T, experts)).astype(FP32)
        self.arguments = tkg_mx_arguments(
            {
                "hidden_input": self.x,
                "weights": self.weights,
                "kind": kind,
                "expert_gate_up_bias": packed,
                "expert_down_bias": self.down_bias,
                "expert_affinities": self.affinities,
                "expert_index": self.index,
                "is_all_expert": True,
                "rank_id": 0,
            }
        )

    def expected(self, affinities: Any, all_expert: bool = True, **changes: Any) -> Any:
        options: dict[str, Any] = {
            "bgu": self.bias,
            "bd": self.down_bias,
            "g_hi": 7.0,
            "u_hi": 8.0,
            "u_lo": -6.0,
        }
        options.update(changes)
        x = options.pop("x", self.x)
        return ref.moe_tkg(x, self.gate_up, self.down, affinities, self.index, all_expert, mx=True, **options)


@functools.cache
def case(*sizes: int, kind: str = "e2m1", K: int = 2) -> Case:
    return Case(*sizes, kind=kind, K=K)


@pytest.mark.parametrize("masked", [False, True])
def test_more_tokens_than_a_tile_holds(masked: bool) -> None:
    """Fixed in 2.28, the affinity mask of tokens that are no multiple of 128: the last tile is ragged."""
    made = case(160, 512, 1024, 4)
    weights = made.affinities
    if masked:
        weights = weights * (made.index[:, :, None] == np.arange(4)).any(1)
    got = run({**made.arguments, "mask_unselected_experts": masked})
    check_close(got, made.expected(weights), RTOL, ATOL)


def folded(tokens: Any, **arguments: Any) -> Any:
    """With the index ``[128, ⌈T/128⌉, K]`` as a tile."""
    return moe_tkg(expert_index=in_sbuf(tokens), **arguments)


@pytest.mark.parametrize("T", [96, 160])
def test_an_index_in_sbuf(T: int) -> None:
    """Fixed in 2.28, expert_index of more than 128 tokens: it is folded, each token has its own row."""
    made = case(T, 512, 1024, 4)
    index = made.index
    if T > 128:
        padded = np.full((256, 2), 9, np.int32)
        padded[:T] = index
        index = np.ascontiguousarray(padded.reshape(2, 128, 2).transpose(1, 0, 2))
    arguments = {key: value for key, value in made.arguments.items() if key != "expert_index"}
    got = launch(folded, index, lnc=2, target="trn3", mask_unselected_experts=True, **arguments)
    weights = made.affinities * (made.index[:, :, None] == np.arange(4)).any(1)
    check_close(got, made.expected(weights), RTOL, ATOL)


@pytest.mark.parametrize("rank", [0, 1])
def test_ranks(rank: int) -> None:
    made = case(160, 512, 1024, 2)
    wide = np.random.default_rng(1).random((160, 4)).astype(FP32)
    arguments = {**made.arguments, "expert_affinities": wide, "rank_id": np.array([[rank]], np.uint32)}
    check_close(run(arguments), made.expected(wide[:, 2 * rank : 2 * rank + 2]), RTOL, ATOL)


@pytest.mark.slow
@pytest.mark.parametrize(("T", "kind"), [(640, "e2m1"), (1024, "e2m1"), (128, "e4m3")])
def test_many_tokens(T: int, kind: str) -> None:
    made = case(T, 3072, 3072, 1, kind=kind, K=1)
    check_close(run(made.arguments), made.expected(made.affinities), RTOL, ATOL)


@pytest.mark.parametrize("lnc", [1, 2])
def test_a_hidden_size_of_an_odd_number_of_tiles(lnc: int) -> None:
    made = case(32, 1536, 1024, 1, K=1)
    check_close(run(made.arguments, lnc), made.expected(made.affinities), RTOL, ATOL)


def of_quantised(x: Any, scales: Any, index: Any, **arguments: Any) -> Any:
    return moe_tkg(
        hidden_input=in_sbuf(x), hidden_input_scale=scales_in_sbuf(scales), expert_index=index, **arguments
    )


def quantised(x: Any) -> tuple[Any, Any]:
    """Packed ``[128, H/512, T]`` and scales ``[16, H/512, T]``."""
    T, H = x.shape
    lanes = x.reshape(T, 4, H // 512, 128).transpose(3, 2, 0, 1).reshape(128, -1)
    codes, scales = ref.quantize_mx(lanes)
    words = mx_words(ref.pack_x4(codes, "e4m3"), "e4m3")
    return words.reshape(128, H // 512, T), scales.reshape(16, H // 512, T)


@pytest.mark.parametrize("T", [36, 64, 160])
def test_a_quantised_hidden_state(T: int) -> None:
    made = case(T, 1024, 1024, 2)
    names = ("hidden_input", "expert_index")
    arguments = {key: value for key, value in made.arguments.items() if key not in names}
    got = launch(of_quantised, *quantised(made.x), made.index, lnc=2, target="trn3", **arguments)
    assert got.dtype == BF16
    check_close(got, made.expected(made.affinities), RTOL, ATOL)
    if T % 32 == 0:
        assert np.array_equal(got, run(made.arguments))


def test_fp16_in_and_another_type_out() -> None:
    made = case(32, 512, 1024, 2)
    arguments = {**made.arguments, "hidden_input": made.x.astype(FP16)}
    assert run(arguments).dtype == FP16
    for dtype in (BF16, FP32):
        got = run({**arguments, "output_dtype": dtype_of(dtype)})
        assert got.dtype == dtype
        check_close(got, made.expected(made.affinities, x=made.x.astype(FP16).astype(FP32)), RTOL, ATOL)


@pytest.mark.parametrize("all_expert", [True, False])
def test_without_biases(all_expert: bool) -> None:
    made = case(32, 512, 1024, 4) if all_expert else case(3, 512, 192, 4)
    for absent, changes in (
        (("expert_gate_up_bias", "expert_down_bias"), {"bgu": None, "bd": None}),
        (("expert_gate_up_bias",), {"bgu": None}),
        (("expert_down_bias",), {"bd": None}),
    ):
        arguments = {key: value for key, value in made.arguments.items() if key not in absent}
        got = run({**arguments, "is_all_expert": all_expert})
        check_close(got, made.expected(made.affinities, all_expert, **changes), RTOL, ATOL)


@pytest.mark.parametrize("all_expert", [True, False])
@pytest.mark.parametrize("lnc", [1, 2])
def test_the_down_bias_counts_once(lnc: int, all_expert: bool) -> None:
    """With weights of zero there is nothing else."""
    made = case(32, 512, 1024, 4) if all_expert else case(3, 512, 192, 4)
    zeros = {}
    for name in ("expert_gate_up_weights", "expert_down_weights"):
        zeros[name] = np.zeros_like(made.arguments[name])
    counts = made.affinities
    if not all_expert:
        counts = counts * (made.index[:, :, None] == np.arange(4)).any(1)
    got = run({**made.arguments, **zeros, "is_all_expert": all_expert}, lnc)
    check_close(got, counts @ made.down_bias, 2**-8, ATOL)


@pytest.mark.parametrize("all_expert", [True, False])
@pytest.mark.parametrize("act", list(ActFnType))
def test_activations(act: ActFnType, all_expert: bool) -> None:
    made = case(32, 512, 1024, 4) if all_expert else case(3, 512, 192, 4)
    got = run({**made.arguments, "activation_fn": act, "is_all_expert": all_expert})
    check_close(got, made.expected(made.affinities, all_expert, act_name=act.name), RTOL, ATOL)


@pytest.mark.parametrize("all_expert", [True, False])
def test_an_outlier_and_a_token_of_zeros(all_expert: bool) -> None:
    """The outlier takes away the precision of its own group only; zeros leave the biases."""
    made = case(32, 512, 1024, 4) if all_expert else case(3, 512, 192, 4)
    x = made.x.copy()
    x[0, 70] *= 1000
    x[2] = 0
    got = run({**made.arguments, "hidden_input": cast(x, BF16), "is_all_expert": all_expert})
    assert np.isfinite(got.astype(FP32)).all()
    check_close(got, made.expected(made.affinities, all_expert, x=ref.bf16(x)), RTOL, ATOL)


def test_dynamic_is_the_same() -> None:
    made = case(32, 512, 1024, 2)
    assert np.array_equal(run({**made.arguments, "is_all_expert_dynamic": True}), run(made.arguments))


# -- selective -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize(("T", "H", "inner", "K"), [(1, 512, 64, 2), (4, 1024, 192, 4), (2, 512, 768, 2), (5, 2560, 96, 2)])  # fmt: skip
def test_selected(T: int, H: int, inner: int, K: int, lnc: int) -> None:
    made = case(T, H, inner, 8, K=K)
    got = run({**made.arguments, "is_all_expert": False}, lnc)
    check_close(got, made.expected(made.affinities, False), RTOL, ATOL)


@pytest.mark.slow
@pytest.mark.parametrize(("T", "inner", "K", "kind"), [(4, 384, 4, "e2m1"), (2, 1536, 2, "e4m3")])
def test_selected_of_a_model(T: int, inner: int, K: int, kind: str) -> None:
    made = case(T, 3072, inner, K * 2, kind=kind, K=K)
    got = run({**made.arguments, "is_all_expert": False})
    check_close(got, made.expected(made.affinities, False), RTOL, ATOL)


def test_eager_weights() -> None:
    """They may be others than those of the dense matrix, and also weigh the bias."""
    made = case(3, 512, 192, 4)
    eager = np.random.default_rng(3).random((3, 2)).astype(FP32)
    got = run({**made.arguments, "expert_affinities_eager": eager, "is_all_expert": False})
    check_close(got, made.expected(made.affinities, False, eager=eager), RTOL, ATOL)


def test_selected_without_scaling() -> None:
    made = case(3, 512, 192, 4)
    changes = {"expert_affinities_scaling_mode": NO_SCALE, "is_all_expert": False}
    got = run({**made.arguments, **changes})
    check_close(got, made.expected(made.affinities, False, post_scale=False), RTOL, ATOL)


def from_tiles(x: Any, affinities: Any, index: Any, eager: Any, **arguments: Any) -> Any:
    return moe_tkg(
        hidden_input=in_sbuf(x),
        expert_affinities=in_sbuf(affinities),
        expert_index=in_sbuf(index),
        expert_affinities_eager=in_sbuf(eager),
        **arguments,
    )


@pytest.mark.parametrize("lnc", [1, 2])
def test_selected_from_sbuf(lnc: int) -> None:
    made = case(3, 512, 192, 4)
    arguments = {**made.arguments, "is_all_expert": False}
    names = ("hidden_input", "expert_affinities", "expert_index")
    x, affinities, index = (arguments.pop(name) for name in names)
    eager = np.take_along_axis(affinities, index, 1)
    spread = np.ascontiguousarray(x.reshape(3, 4, 128).transpose(2, 0, 1))
    got = launch(from_tiles, spread, affinities, index, eager, lnc=lnc, target="trn3", **arguments)
    assert np.array_equal(got, run({**made.arguments, "is_all_expert": False}, lnc))


# -- refusals ---------------------------------------------------------------------------------------------


ALL: list[tuple[dict[str, Any], str]] = [
    ({"expert_down_weights_scale": None}, "Scales must be set when using MX weights"),
    ({"expert_gate_up_weights_scale": None}, "Scales must be set when using MX weights"),
    ({"hidden_input": np.zeros((33, 512), BF16)}, "Expected T divisible by 32, got T=33"),
    ({"hidden_input": np.zeros((32, 512), FP32)}, "Expected input dtype in float16, bfloat16, got float32"),
    ({"output_in_sbuf": True}, "All-expert MX kernel does not yet support SBUF output"),
    (
        {"expert_affinities_scaling_mode": NO_SCALE},
        "Expected expert_affinities_scaling_mode=POST_SCALE, got: ExpertAffinityScaleMode.NO_SCALE",
    ),
    ({"expert_affinities": np.zeros((32, 1), FP32)}, "expert_affinities has 1 columns for 2 experts"),
]
SELECTIVE: list[tuple[dict[str, Any], str]] = [
    ({"output_in_sbuf": True}, "does not support sbuf output"),
    (
        {"expert_index": np.zeros((32, 3), np.int32)},
        "Selective load shard on K requires K divisible by num NC",
    ),
    ({"hidden_input": np.zeros((129, 512), BF16)}, "Currently only batch size * seq len <= 128"),
    ({"expert_index": np.zeros((32, 18), np.int32)}, "top_k 18 exceeds 16"),
]


@pytest.mark.parametrize(("changes", "text"), ALL, ids=[text for _, text in ALL])
def test_refused_for_all_experts(changes: dict[str, Any], text: str) -> None:
    with rejected(text):
        run({**case(32, 512, 1024, 2).arguments, **changes})


@pytest.mark.parametrize(("changes", "text"), SELECTIVE, ids=[text for _, text in SELECTIVE])
def test_refused_for_selected_experts(changes: dict[str, Any], text: str) -> None:
    with rejected(text):
        run({**case(32, 512, 1024, 2).arguments, "is_all_expert": False, **changes})


def shaped(H: int, inner: int, experts: int = 2) -> dict[str, Any]:
    word = dtype_of(KINDS["e2m1"]).numpy
    tiles, part = -(-inner // 512), min(128, inner // 4)
    arguments = dict(case(32, 512, 1024, 2).arguments)
    return {
        **arguments,
        "hidden_input": np.zeros((32, H), BF16),
        "expert_gate_up_weights": np.zeros((experts, 128, 2, H // 512, inner), word),
        "expert_gate_up_weights_scale": np.zeros((experts, 16, 2, H // 512, inner), np.uint8),
        "expert_down_weights": np.zeros((experts, part, tiles, H), word),
        "expert_down_weights_scale": np.zeros((experts, part // 8, tiles, H), np.uint8),
        "expert_affinities": np.zeros((32, experts), FP32),
        "expert_down_bias": np.zeros((experts, H), BF16),
    }


@pytest.mark.parametrize(
    ("sizes", "all_expert", "text"),
    [
        ((768, 1024), True, "Expected H divisible by 512, got H=768"),
        ((512, 1536), True, "I must be a multiple of 1024, 512 for each core, it is 1536"),
        ((512, 1040), True, "I512 tile remainder (16) must be divisible by quantization block size (32)"),
        ((768, 1024), False, "Expect H to be a multiple of 512, got 768"),
        ((512, 80), False, "I512 tile remainder (80) must be divisible"),
        ((512, 64, 129), False, "only supports E <= 128 when down projection bias exists"),
    ],
    ids=str,
)
def test_refused_sizes(sizes: tuple[int, ...], all_expert: bool, text: str) -> None:
    with rejected(text):
        run({**shaped(*sizes), "is_all_expert": all_expert})


def quantised_wrongly(x: Any, scales: Any, index: Any, **arguments: Any) -> Any:
    return moe_tkg(
        hidden_input=in_sbuf(x), hidden_input_scale=in_sbuf(scales), expert_index=index, **arguments
    )


@pytest.mark.parametrize(
    ("tokens", "kind", "scale", "text"),
    [
        (34, "float8_e4m3fn_x4", np.uint8, "Expected T divisible by 4, got T=34"),
        (
            32,
            "float8_e5m2_x4",
            np.uint8,
            "Expected quantized input dtype in float4_e2m1fn_x4, float8_e4m3fn_x4",
        ),
        (32, "float8_e4m3fn_x4", np.int32, "Expected hidden_input_scale dtype = nl.uint8, got int32"),
    ],
)
def test_refused_quantised_inputs(tokens: int, kind: str, scale: Any, text: str) -> None:
    arguments = {**case(32, 512, 1024, 2).arguments}
    del arguments["hidden_input"]
    index = arguments.pop("expert_index")
    x = np.zeros((128, 1, tokens), dtype_of(kind).numpy)
    with rejected(text):
        launch(
            quantised_wrongly, x, np.zeros((128, 1, tokens), scale), index, lnc=2, target="trn3", **arguments
        )


def test_refused_rows_in_sbuf() -> None:
    arguments = {**case(32, 512, 1024, 2).arguments}
    names = ("hidden_input", "expert_affinities", "expert_index")
    _, affinities, index = (arguments.pop(name) for name in names)
    spread = np.zeros((128, 32, 4), BF16)

    def kernel(x: Any, affinities: Any, index: Any, **given: Any) -> Any:
        return moe_tkg(hidden_input=in_sbuf(x), expert_affinities=affinities, expert_index=index, **given)

    with rejected("give hidden_input in HBM, or quantised"):
        launch(kernel, spread, affinities, index, lnc=2, target="trn3", **arguments)
