"""``blockwise_mm_bwd``: the oracle's cases, finite differences, limits, options, sizes and refusals."""

from __future__ import annotations

import functools
from typing import Any

import moe_numpy_ref as ref
import nki
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP32
from kernels import check_close, launch, rejected
from moe_numpy_cases import CASES, _bwd
from moes import MAPS, backward_arguments

import nkisim
from nkilib.experimental.moe.bwd.blockwise_mm_backward import blockwise_mm_bwd
from nkilib.experimental.moe.bwd.bwmm_bwd_dropless import blockwise_mm_bwd_dropless
from nkilib.experimental.moe.bwd.moe_bwd_parameters import (
    ActFnType,
    AffinityOption,
    ClampLimits,
    DownProjOutputGradBlocking,
    HiddenGradBlocking,
    KernelTypeOption,
    MOEBwdDroplessBlockingParams,
    MOEBwdParameters,
    ShardOption,
    SkipMode,
)

ATOL = 1e-5


@functools.cache
def drawn(*sizes: int, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs of ``_bwd(T, H, I, E, k, B, …)`` and the gradients."""
    given, want, _ = _bwd(*sizes, **options)()
    return given, want


def run(arguments: dict[str, Any], lnc: int = 2) -> Any:
    return launch(blockwise_mm_bwd, lnc=lnc, **arguments)


def check(got: tuple[Any, ...], want: dict[str, Any], rtol: float = 2e-2) -> None:
    assert len(got) == len(want)
    for result, (name, values) in zip(got, want.items(), strict=True):
        check_close(result, values, rtol, ATOL, name)


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("BW-")])
def test_cases(case: str, lnc: int) -> None:
    given, want, rtol = CASES[case]()
    got = run(backward_arguments(given), lnc)
    check(got, want, rtol)
    assert [each.dtype for each in got[:4]] == [BF16, FP32, BF16, BF16]


@pytest.mark.parametrize(
    ("T", "H", "inner", "experts", "k", "B", "skip"),
    [
        (60, 128, 64, 2, 1, 1024, 0),
        (200, 128, 64, 3, 2, 128, 0),
        (200, 320, 320, 2, 2, 256, 1),
        (300, 64, 192, 5, 1, 512, 0),
        (100, 192, 576, 1, 1, 128, 1),
    ],
    ids=str,
)
def test_sizes(T: int, H: int, inner: int, experts: int, k: int, B: int, skip: int) -> None:
    """Ragged tiles of both dimensions, blocks of mostly padding, odd numbers of experts."""
    given, want = drawn(T, H, inner, experts, k, B, skip=skip, bias=True, act="Swish", c=0.5)
    check(run(backward_arguments(given)), want)


@pytest.mark.slow
@pytest.mark.parametrize(("T", "H", "inner", "experts", "k", "B"), [(1024, 2880, 576, 2, 2, 1024), (1024, 6144, 128, 4, 4, 512)])  # fmt: skip
def test_models(T: int, H: int, inner: int, experts: int, k: int, B: int) -> None:
    given, want = drawn(T, H, inner, experts, k, B, bias=True, act="Swish", c=7.0)
    check(run(backward_arguments(given)), want)


@pytest.mark.parametrize("act", ["SiLU", "Swish"])
@pytest.mark.parametrize("clamp", [None, 0.5])
def test_float32(act: str, clamp: float | None) -> None:
    given, want = drawn(200, 128, 64, 4, 2, 256, bias=True, act=act, c=clamp)
    arguments = {**backward_arguments(given, FP32), "compute_dtype": nl.float32}
    exact = run(arguments)
    check(exact, want, 1e-4)
    rounded = run({**arguments, "compute_dtype": nl.bfloat16})
    assert [each.dtype for each in rounded] == [FP32] * 4 + [BF16] * 2
    check(rounded, want)
    assert not np.array_equal(rounded[2], exact[2])


# -- finite differences ----------------------------------------------------------------------------------


NAMES = ("hidden_states", "expert_affinities_masked", "gate_up_proj_weight", "down_proj_weight", "bgu", "bd")


@functools.cache
def differentiated(act: str) -> tuple[dict[str, Any], Any, tuple[Any, ...]]:
    """Inputs, a weight for each result, and the kernel's gradients in float32."""
    T, H, inner, experts, B = 60, 64, 64, 3, 128
    draw = np.random.default_rng(11)
    sel = np.stack([draw.permutation(experts)[:2] for _ in range(T)])
    hidden = np.vstack([draw.random((T, H)), np.zeros((1, H))]).astype(FP32)
    affinities = ref.masked_affinities(sel, draw.random((T, experts)), experts, T + 1)
    ids, owners, _ = ref.build_maps(sel, experts, B)
    inputs = {
        "hidden_states": hidden,
        "expert_affinities_masked": affinities,
        "gate_up_proj_weight": draw.uniform(-0.1, 0.1, (experts, H, 2, inner)).astype(FP32),
        "down_proj_weight": draw.uniform(-0.1, 0.1, (experts, inner, H)).astype(FP32),
        "bgu": draw.uniform(-1, 1, (experts, 2, inner)).astype(FP32),
        "bd": draw.uniform(-1, 1, (experts, H)).astype(FP32),
    }
    given = {**inputs, "token_position_to_id": ids, "block_to_expert": owners, "block_size": B, "act": act}
    _, gates, down = forward(given, checkpoints=True)
    weight = draw.uniform(-1, 1, hidden.shape).astype(FP32)
    weight[T] = 0
    gradients = run(
        {
            **{name: given[name] for name in (*NAMES[:4], *MAPS)},
            "gate_up_proj_act_checkpoint_T": gates,
            "down_proj_act_checkpoint": (down + inputs["bd"][owners][:, None, :]).astype(FP32),
            "output_hidden_states_grad": weight,
            "compute_dtype": nl.float32,
            "bias": True,
            "activation_type": ActFnType[act],
        }
    )
    return given, weight, gradients


def forward(given: dict[str, Any], **options: Any) -> Any:
    names = (*NAMES[:4], "token_position_to_id", "block_to_expert", "block_size")
    return ref.moe_cte(
        *[given[name] for name in names], bgu=given["bgu"], bd=given["bd"], act_name=given["act"], **options
    )


@pytest.mark.parametrize("act", ["SiLU", "Swish"])
@pytest.mark.parametrize("name", NAMES)
def test_finite_differences(name: str, act: str) -> None:
    """The directional derivative of the weighted sum of results, along a random direction."""
    given, weight, gradients = differentiated(act)
    direction = np.random.default_rng(NAMES.index(name)).standard_normal(given[name].shape).astype(FP32)
    if name == "hidden_states":
        direction[-1] = 0
    if name == "expert_affinities_masked":
        direction *= given[name] != 0
    step = 2e-2
    sums = []
    for sign in (1, -1):
        moved = {**given, name: (given[name] + sign * step * direction).astype(FP32)}
        sums.append(float((forward(moved).astype(np.float64) * weight).sum()))
    numeric = (sums[0] - sums[1]) / (2 * step)
    exact = float((gradients[NAMES.index(name)].astype(np.float64) * direction).sum())
    assert abs(numeric - exact) <= 1e-2 * max(1.0, abs(numeric))


# -- what the gradients are like ---------------------------------------------------------------------------


def test_they_are_linear_in_the_output_gradient() -> None:
    given, _ = drawn(200, 128, 64, 4, 2, 256, bias=True)
    arguments = backward_arguments(given)
    twice = {
        **arguments,
        "output_hidden_states_grad": arguments["output_hidden_states_grad"] * np.asarray(2, BF16),
    }
    for once, double in zip(run(arguments), run(twice), strict=True):
        assert np.array_equal(once.astype(FP32) * 2, double.astype(FP32))


def test_experts_and_tokens_without_blocks_have_none() -> None:
    given, _ = drawn(200, 128, 64, 4, 1, 128, bias=True)
    ids, owners = given["token_position_to_id"].copy(), given["block_to_expert"].copy()
    owners[owners == 2] = 1
    ids[(ids >= 20) & (ids < 40)] = 200
    got = run({**backward_arguments(given), "token_position_to_id": ids, "block_to_expert": owners})
    assert not got[0][20:40].any()
    assert got[0][:20].any()
    assert not got[1].reshape(-1, 4)[:, 2].any()
    for gradient in got[2:]:
        assert not gradient[2].any()
        assert gradient[1].any()


def test_an_affinity_of_zero() -> None:
    """It has a gradient, and lets nothing else through."""
    given, _ = drawn(200, 128, 64, 2, 1, 256)
    got = run({**backward_arguments(given), "expert_affinities_masked": np.zeros((402, 1), FP32)})
    assert got[1].any()
    assert not any(gradient.any() for gradient in (got[0], got[2], got[3]))


@pytest.mark.parametrize(
    ("field", "which", "sign"),
    [
        ("linear_clamp_upper_limit", 1, 1),
        ("linear_clamp_lower_limit", 1, -1),
        ("non_linear_clamp_upper_limit", 0, 1),
        ("non_linear_clamp_lower_limit", 0, -1),
    ],
)
def test_a_product_on_its_limit_has_no_gradient(field: str, which: int, sign: int) -> None:
    given, _ = drawn(200, 128, 64, 2, 1, 256, bias=True)
    gates = given["gate_up_proj_act_checkpoint_T"].copy()
    gates[:, which, 5] = 7.0 * sign
    gates[:, which, 6] = 6.0 * sign
    changed = {**given, "gate_up_proj_act_checkpoint_T": gates}
    limits = {"lin_hi": None, "lin_lo": None, "nl_hi": None, "nl_lo": None}
    short = {"linear": "lin", "non": "nl"}[field.split("_")[0]] + ("_hi" if sign > 0 else "_lo")
    limits[short] = 7.0 * sign
    want = ref.bwd(
        given["hidden_states"],
        given["expert_affinities_masked"],
        given["gate_up_proj_weight"],
        given["down_proj_weight"],
        gates,
        given["down_proj_act_checkpoint"],
        given["token_position_to_id"],
        given["block_to_expert"],
        given["output_hidden_states_grad"],
        256,
        **limits,
    )
    got = run({**backward_arguments(changed), "clamp_limits": ClampLimits(**{field: 7.0 * sign})})
    for result, values in zip(got, want, strict=True):
        check_close(result, values, 2e-2, ATOL)
    assert not got[4][:, which, 5].any()
    assert got[4][:, which, 6].any()


def test_top_1_is_written_as_it_is() -> None:
    given, want = drawn(200, 128, 64, 2, 1, 256)
    arguments = backward_arguments(given)
    got = run({**arguments, "is_tensor_update_accumulating": False})
    check(got, want)
    ids = given["token_position_to_id"].copy()
    ids[256:512] = ids[:256]
    again = {**arguments, "token_position_to_id": ids, "is_tensor_update_accumulating": False}
    alone = {**again, "token_position_to_id": ids[256:512], "block_to_expert": given["block_to_expert"][1:2]}
    for name in ("gate_up_proj_act_checkpoint_T", "down_proj_act_checkpoint"):
        again[name], alone[name] = arguments[name][:2], arguments[name][1:2]
    again.update(token_position_to_id=ids[:512], block_to_expert=given["block_to_expert"][:2])
    rows = ids[(ids < 200)][:10]
    assert np.array_equal(run(again)[0][rows], run(alone)[0][rows])


def test_what_is_not_used() -> None:
    given, _ = drawn(200, 128, 64, 2, 1, 256)
    arguments = backward_arguments(given)
    unused = {
        "shard_option": ShardOption.SHARD_ON_INTERMEDIATE,
        "affinity_option": AffinityOption.AFFINITY_ON_I,
        "kernel_type_option": KernelTypeOption.DROPPING,
        "block_tile_size": 128,
        "skip_dma": SkipMode(False, True),
    }
    for got, want in zip(run({**arguments, **unused}), run(arguments), strict=True):
        assert np.array_equal(got, want)


def test_defaults() -> None:
    given, want = drawn(200, 128, 64, 2, 1, 256)
    optional = ("skip_dma", "clamp_limits", "bias", "activation_type")
    arguments = {name: value for name, value in backward_arguments(given).items() if name not in optional}
    check(run({**arguments, "block_to_expert": arguments["block_to_expert"].reshape(-1, 1)}), want)


@nki.jit
def hidden_gradient(tensors: Any, maps: Any, gates: Any, down: Any, blocking: Any) -> Any:
    """A kernel of one's own around the implementation; of its results, two."""
    made = [nl.ndarray(tensor.shape, dtype=tensor.dtype, buffer=nl.shared_hbm) for tensor in tensors[:4]]
    parameters = MOEBwdParameters(
        hidden_states=tensors[0],
        expert_affinities_masked=tensors[1],
        gate_up_proj_weight=tensors[2],
        gate_up_proj_act_checkpoint_T=gates,
        down_proj_weight=tensors[3],
        token_position_to_id=maps[0],
        block_to_expert=maps[1],
        output_hidden_states_grad=tensors[4],
        hidden_states_grad=made[0],
        expert_affinities_masked_grad=made[1],
        gate_up_proj_weight_grad=made[2],
        down_proj_weight_grad=made[3],
        down_proj_act_checkpoint=down,
        block_size=256,
        blocking_params=blocking,
    )
    blockwise_mm_bwd_dropless(parameters)
    return made[0], made[3]


def test_the_implementation_fills_what_a_kernel_gives_it() -> None:
    given, want = drawn(200, 128, 64, 2, 1, 256)
    arguments = backward_arguments(given)
    names = (
        "hidden_states",
        "expert_affinities_masked",
        "gate_up_proj_weight",
        "down_proj_weight",
        "output_hidden_states_grad",
    )
    got = launch(
        hidden_gradient,
        [arguments[name] for name in names],
        [arguments[name] for name in MAPS[:2]],
        arguments["gate_up_proj_act_checkpoint_T"],
        arguments["down_proj_act_checkpoint"],
        MOEBwdDroplessBlockingParams(hidden_grad=HiddenGradBlocking(block_i=1)),
        lnc=2,
    )
    gradients = list(want.values())
    check_close(got[0], gradients[0], 2e-2, ATOL)
    check_close(got[1], gradients[3], 2e-2, ATOL)


def parameters_of(H: int = 128, inner: int = 64, block: int = 256, **options: Any) -> MOEBwdParameters:
    given = {name: value for name, value in shaped(H, inner, block).items() if name != "block_size"}
    gradients = {
        f"{name}_grad": given[name]
        for name in (
            "hidden_states",
            "expert_affinities_masked",
            "gate_up_proj_weight",
            "down_proj_weight",
        )
    }
    return MOEBwdParameters(**given, **gradients, block_size=block, **options)


def test_parameters_know_their_sizes_and_defaults() -> None:
    made = parameters_of()
    assert (made.T, made.H, made.I_TP, made.E, made.N) == (201, 128, 64, 2, 2)
    assert (made.skip_dma.skip_token, made.skip_dma.skip_weight) == (False, False)
    assert repr(made.clamp_limits) == "linear_None_None_non_linear_None_None"
    steps = {name: vars(step) for name, step in vars(made.blocking_params).items()}
    assert steps == {
        "down_proj_output_grad": {"block_h": 8},
        "gate_up_output_grad": {"block_h": 8, "block_b": 2, "block_i": 2},
        "down_weight_grad": {"block_h": 2, "block_b": 4, "block_i": 8},
        "hidden_grad": {"block_h": 2, "block_b": 4, "block_i": 8},
        "gate_up_weight_grad": {"block_h": 4, "block_b": 4, "block_i": 4},
    }
    own = MOEBwdDroplessBlockingParams(DownProjOutputGradBlocking(2))
    assert parameters_of(blocking_params=own).blocking_params.down_proj_output_grad.block_h == 2
    made.validate()
    made.validate_sharding(2)


def test_parameters_name_the_activation_and_its_derivative() -> None:
    assert parameters_of().get_activation_ops() == (nl.silu, nl.silu_dx)
    swish = parameters_of(activation_type=ActFnType.Swish)
    assert swish.get_activation_ops() == (nl.gelu_apprx_sigmoid, nl.gelu_apprx_sigmoid_dx)
    with rejected("activation_function must be SiLU or Swish"):
        parameters_of(activation_type=ActFnType.GELU).get_activation_ops()


def test_parameters_refuse_sizes() -> None:
    with rejected("block_size must be 128, 256, 512, or 1024, got 64"):
        parameters_of(block=64).validate()
    with rejected("Hidden dim H=128 must be divisible by num_shards=3"):
        parameters_of().validate_sharding(3)


def test_limits_as_text() -> None:
    assert repr(ClampLimits(7.0, -7.0, 6.0, None)) == "linear_-7.0_7.0_non_linear_None_6.0"
    assert vars(ClampLimits()) == dict.fromkeys(vars(ClampLimits()))


def shaped(H: int, inner: int, block: int = 256) -> dict[str, Any]:
    return {
        "hidden_states": np.zeros((201, H), BF16),
        "expert_affinities_masked": np.zeros((402, 1), FP32),
        "gate_up_proj_weight": np.zeros((2, H, 2, inner), BF16),
        "down_proj_weight": np.zeros((2, inner, H), BF16),
        "gate_up_proj_act_checkpoint_T": np.zeros((2, 2, inner, block), BF16),
        "down_proj_act_checkpoint": np.zeros((2, block, H), BF16),
        "token_position_to_id": np.full(2 * block, 200, np.int32),
        "block_to_expert": np.zeros(2, np.int32),
        "output_hidden_states_grad": np.zeros((201, H), BF16),
        "block_size": block,
    }


@pytest.mark.parametrize(
    ("sizes", "lnc", "text"),
    [
        ((128, 64, 64), 2, "block_size must be 128, 256, 512, or 1024, got 64"),
        ((128, 63), 2, "I_TP must be divisible by 2, got 63"),
        ((127, 64), 1, "H must be divisible by 2, got 127"),
        ((96, 64), 2, "H dim when sharded by num_shards=2 must be divisible by 32 for DMA transpose, got sharded H as 48"),
        ((128, 32), 2, "I_TP dim when sharded by num_shards=2 must be divisible by 32 for DMA transpose, got sharded I_TP as 16"),
    ],
    ids=str,
)  # fmt: skip
def test_refused_sizes(sizes: tuple[int, ...], lnc: int, text: str) -> None:
    with rejected(text):
        run(shaped(*sizes), lnc)


@pytest.mark.parametrize("act", [ActFnType.GELU, ActFnType.GELU_Tanh_Approx])
def test_refused_activations(act: ActFnType) -> None:
    with rejected("activation_function must be SiLU or Swish"):
        run({**shaped(128, 64), "activation_type": act})


@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("BW-")])
def test_cores_wait_for_each_other(case: str) -> None:
    with nkisim.races():
        run(backward_arguments(CASES[case]()[0]))
