"""Kernels whose cores divide I: baseline, hybrid and dropping, with checkpoints, scales, modes and refusals."""

from __future__ import annotations

import functools
from typing import Any

import moe_numpy_ref as ref
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP32
from kernels import check_close, launch, rejected
from moe_numpy_cases import CASES, _cte
from moes import block_arguments, conditions_of

from nkilib.blocks.lnc import Cores
from nkilib.core.moe.moe_cte import bwmm_shard_on_I as module
from nkilib.core.moe.moe_cte.bwmm_shard_on_I import (
    SkipMode,
    blockwise_mm_baseline_shard_intermediate,
    blockwise_mm_baseline_shard_intermediate_hybrid,
    blockwise_mm_shard_intermediate_dropping,
)
from nkilib.core.utils.common_types import ActFnType, ExpertAffinityScaleMode

ATOL = 1e-5
BASELINE = blockwise_mm_baseline_shard_intermediate
HYBRID = blockwise_mm_baseline_shard_intermediate_hybrid
DROPPING = blockwise_mm_shard_intermediate_dropping
OPTIONS: dict[str, dict[str, Any]] = {
    "SI-03": {"checkpoint_activation": True},
    "SI-04": {"expert_affinity_multiply_on_I": True},
    "SI-08": {"is_tensor_update_accumulating": False},
}
POST = ExpertAffinityScaleMode.POST_SCALE
BY_BLOCK = ("block_size", "token_position_to_id", "block_to_expert", "expert_affinities_masked")
"""What differs where each expert has one block."""


@functools.cache
def drawn(*sizes: int, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    given, want, _ = _cte(*sizes, ckpt=True, **options)()
    return given, want


def run(arguments: dict[str, Any], lnc: int = 2, kernel: Any = BASELINE) -> Any:
    return launch(kernel, lnc=lnc, **arguments)


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("SI-")])
def test_cases(case: str, lnc: int) -> None:
    given, want, rtol = CASES[case]()
    got = run({**block_arguments(given), **OPTIONS.get(case, {})}, lnc)
    results = got if isinstance(got, tuple) else (got,)
    for result, (name, values) in zip(results, want.items(), strict=True):
        assert result.dtype == BF16
        check_close(result, values, rtol, ATOL, name)


def test_the_default_mode_scales_early() -> None:
    given, want = drawn(300, 512, 64, 4, 2, 256, 0, mode="PRE_SCALE_I")
    arguments = block_arguments(given)
    del arguments["expert_affinities_scaling_mode"]
    check_close(run(arguments), want["output"], 2e-2, ATOL)
    arguments["expert_affinities_scaling_mode"] = ExpertAffinityScaleMode.PRE_SCALE_DELAYED
    check_close(run(arguments), want["output"], 2e-2, ATOL)


@pytest.mark.parametrize(
    ("T", "H", "inner", "experts", "k", "B", "skip"),
    [
        (300, 512, 288, 4, 2, 256, 1),
        (300, 1536, 48, 3, 1, 512, 0),
        (256, 512, 64, 16, 8, 256, 0),
        (600, 512, 32, 1, 1, 1280, 1),
        (128, 512, 560, 2, 2, 256, 0),
    ],
    ids=str,
)
def test_sizes(T: int, H: int, inner: int, experts: int, k: int, B: int, skip: int) -> None:
    """A core's last plane of I may be ragged; tokens that are no multiple of 128; a block in two parts.

    Fixed in 2.28: the tail iteration, which zeroes the last R % 128 rows of the output; extra partitions on the
    last rank, behind the rows that its last plane has.
    """
    given, want = drawn(T, H, inner, experts, k, B, skip, True, "Swish", clamp=True)
    check_close(run(block_arguments(given)), want["output"], 2e-2, ATOL)


@pytest.mark.slow
@pytest.mark.parametrize(("experts", "k", "inner", "skip", "scale"), [(64, 8, 2048, 0, False), (8, 4, 3072, 1, False), (8, 4, 1536, 1, True)])  # fmt: skip
def test_models(experts: int, k: int, inner: int, skip: int, scale: bool) -> None:
    # Not kept: 64 experts are gigabytes.
    given, want = drawn.__wrapped__(1024, 3072, inner, experts, k, 512, skip, True, clamp=True, scale=scale)
    check_close(run(block_arguments(given)), want["output"], 5e-2 if scale else 2e-2, ATOL)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("mode", ["NO", "PRE_SCALE_I"])
def test_modes(mode: str, skip: int, bias: bool) -> None:
    given, want = drawn(300, 512, 96, 4, 2, 256, skip, bias, clamp=True, mode=mode)
    got = run(block_arguments(given))
    check_close(got[:300], want["output"][:300], 2e-2, ATOL)
    assert not got[300:].any()


@pytest.mark.parametrize("mode", list(ExpertAffinityScaleMode))
def test_scaling_the_intermediate_is_the_same_in_each_mode(mode: ExpertAffinityScaleMode) -> None:
    """It needs no bias behind it, and uses none."""
    given, _ = drawn(300, 512, 96, 4, 2, 256, 0, True, clamp=True)
    arguments = {**block_arguments(given), "expert_affinity_multiply_on_I": True}
    want = ref.moe_cte(
        *maps(given),
        256,
        bgu=given["gate_and_up_proj_bias"],
        bd=given["down_proj_bias"],
        multiply_on_I=True,
        **given["clamps"],
    )
    check_close(run({**arguments, "expert_affinities_scaling_mode": mode}), want, 2e-2, ATOL)


def maps(given: dict[str, Any]) -> list[Any]:
    names = ("hidden_states", "expert_affinities_masked", "gate_up_proj_weight", "down_proj_weight")
    return [given[name] for name in (*names, "token_position_to_id", "block_to_expert")]


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("scale", [False, True])
def test_checkpoints(scale: bool, lnc: int) -> None:
    """The products are those after bias and limits, the result that with its bias, before the affinity."""
    given, want = drawn(300, 512, 288, 4, 2, 256, 0, True, "Swish", clamp=True, scale=scale)
    given = {**given, "gate_up_proj_weight": given["gate_up_proj_weight"]}
    got = run({**block_arguments(given), "checkpoint_activation": True}, lnc)
    down = want["down_activations"] + given["down_proj_bias"][given["block_to_expert"]][:, None]
    rtol = 7e-2 if scale else 2e-2  # the checkpoints have the weights' type
    for result, values in zip(got, (want["output"], want["gate_up_activations_T"], down), strict=True):
        check_close(result, np.clip(values, -240, 240) if scale else values, rtol, ATOL)
        if scale:
            break
    assert got[1].dtype == block_arguments(given)["gate_up_proj_weight"].dtype


def test_checkpoints_of_a_scaled_intermediate() -> None:
    given, want = drawn(300, 512, 96, 4, 2, 256, 0)
    options = {"checkpoint_activation": True, "expert_affinity_multiply_on_I": True}
    output, gates = run({**block_arguments(given), **options})
    check_close(output, want["output"], 2e-2, ATOL)
    check_close(gates, want["gate_up_activations_T"], 2e-2, ATOL)


def first_of(arguments: dict[str, Any], kernel: Any) -> Any:
    """The output alone, of any of the kernels."""
    if kernel is HYBRID:
        blocks = len(arguments["block_to_expert"])
        arguments = {**arguments, "conditions": np.append(np.ones(blocks, np.int32), np.int32(0))}
    got = run(arguments, kernel=kernel)
    return got[0] if isinstance(got, tuple) else got


def case_of(kernel: Any, inner: int, **options: Any) -> dict[str, Any]:
    """Arguments of any of the kernels, in blocks that it takes."""
    if kernel is DROPPING:
        given = {**drawn(300, 512, inner, 4, 1, 1024, 0, True, **options)[0]}
        given |= {name: dropped(300, 4, 1024)[0][name] for name in BY_BLOCK}
        return block_arguments(given)
    return block_arguments(drawn(300, 512, inner, 4, 2, 256, 0, True, **options)[0])


@pytest.mark.parametrize("kernel", [BASELINE, HYBRID, DROPPING])
@pytest.mark.parametrize("pair", [("gate_and_up_proj_bias", "down_proj_bias"), ("gate_up_proj_scale", "down_proj_scale")])  # fmt: skip
@pytest.mark.parametrize("which", [0, 1])
def test_one_of_a_pair_alone_is_not_used(pair: tuple[str, str], which: int, kernel: Any) -> None:
    arguments = case_of(kernel, 96, scale=True)
    without = {key: value for key, value in arguments.items() if key not in pair}
    one = {**without, pair[which]: arguments[pair[which]]}
    assert np.array_equal(first_of(one, kernel), first_of(without, kernel))
    assert not np.array_equal(first_of(arguments, kernel), first_of(without, kernel))


@pytest.mark.parametrize("names", [("up_clamp_lower_limit", "up_clamp_upper_limit"), ("gate_clamp_upper_limit", "gate_clamp_lower_limit")])  # fmt: skip
@pytest.mark.parametrize("kernel", [BASELINE, HYBRID])
def test_the_order_of_limits(names: tuple[str, str], kernel: Any) -> None:
    parameters = list(kernel.function.__code__.co_varnames) if hasattr(kernel, "function") else []
    assert not parameters or parameters.index(names[0]) + 1 == parameters.index(names[1])
    given, _ = drawn(300, 512, 96, 4, 2, 256, 0, True)
    short = {
        "up_clamp_lower_limit": "u_lo",
        "up_clamp_upper_limit": "u_hi",
        "gate_clamp_upper_limit": "g_hi",
        "gate_clamp_lower_limit": "g_lo",
    }
    for name in names:
        value = 0.2 if "upper" in name else 0.4
        want = ref.moe_cte(
            *maps(given),
            256,
            bgu=given["gate_and_up_proj_bias"],
            bd=given["down_proj_bias"],
            **{short[name]: value},
        )
        arguments = block_arguments({**given, "clamps": {short[name]: value}})
        if kernel is HYBRID:
            arguments["conditions"] = conditions_of(given, 1)
        check_close(run(arguments, kernel=kernel), want, 2e-2, ATOL)


def test_float32() -> None:
    given, want = drawn(300, 512, 96, 4, 2, 256, 0, True, clamp=True)
    arguments = {**block_arguments(given, FP32), "compute_dtype": nl.float32}
    check_close(run(arguments), want["output"], 1e-4, ATOL)
    rounded = run({**arguments, "compute_dtype": nl.bfloat16})
    check_close(rounded, want["output"], 2e-2, ATOL)
    assert not np.array_equal(rounded, run(arguments))


@pytest.mark.parametrize("kernel", [BASELINE, HYBRID, DROPPING])
def test_rows_of_the_down_weights_that_pad_them_are_not_read(kernel: Any) -> None:
    arguments = case_of(kernel, 40)
    padded = np.full((4, 48, 512), np.nan, BF16)
    padded[:, :40] = arguments["down_proj_weight"]
    arguments["down_proj_weight"] = padded
    zeros = np.nan_to_num(padded.astype(FP32), nan=0.0).astype(BF16)
    found = first_of(arguments, kernel)
    assert found.any()
    assert np.array_equal(found, first_of({**arguments, "down_proj_weight": zeros}, kernel))


# -- hybrid ----------------------------------------------------------------------------------------------


def spare(bias: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """Three blocks of padding at the end."""
    given, want = drawn(150, 512, 96, 4, 1, 256, 0, bias, "Swish", clamp=True)
    assert given["n_real_blocks"] == 4
    ids = np.concatenate([given["token_position_to_id"], np.full(3 * 256, 150, np.int32)])
    owners = np.concatenate([given["block_to_expert"], np.full(3, 3, np.int32)])
    return {**given, "token_position_to_id": ids, "block_to_expert": owners}, want


@pytest.mark.parametrize("static", [None, 0, 1, 4, 7])
def test_hybrid(static: int | None) -> None:
    given, want = spare()
    arguments = {**block_arguments(given), "conditions": conditions_of(given, 1), "num_static_block": static}
    got = run(arguments, kernel=HYBRID)
    check_close(got, want["output"], 2e-2, ATOL)
    assert np.array_equal(got, run(block_arguments(given)))


def test_blocks_that_are_not_active_are_not_run() -> None:
    """What they point at may be anything."""
    given, want = spare()
    hidden = np.vstack([given["hidden_states"][:150], np.full((10, 512), np.nan), np.zeros((1, 512))])
    affinities = given["expert_affinities_masked"].reshape(151, 4)
    affinities = np.vstack([affinities[:150], np.ones((10, 4)), np.zeros((1, 4))]).reshape(-1, 1)
    ids = given["token_position_to_id"].copy()
    ids[ids == 150] = 160
    ids[4 * 256 :] = np.arange(3 * 256) % 10 + 150
    changed = {
        **given,
        "hidden_states": hidden,
        "expert_affinities_masked": affinities,
        "token_position_to_id": ids,
    }
    arguments = {**block_arguments(changed), "conditions": conditions_of(given, 1), "num_static_block": 2}
    got = run(arguments, kernel=HYBRID)
    check_close(got[:150], want["output"][:150], 2e-2, ATOL)
    assert not got[150:].any()


def hybrid_with_checkpoints(gates: Any, down: Any, **arguments: Any) -> Any:
    output = HYBRID(gate_up_activations_T=gates, down_activations=down, **arguments)
    return output, gates, down


def test_checkpoints_of_the_hybrid() -> None:
    given, want = spare()
    arguments = {**block_arguments(given), "conditions": conditions_of(given, 1), "num_static_block": 2}
    start = (np.full((7, 2, 96, 256), 9, BF16), np.full((7, 256, 512), 9, BF16))
    _, gates, down = launch(hybrid_with_checkpoints, *start, lnc=2, **arguments)
    check_close(gates[:4], want["gate_up_activations_T"][:4], 2e-2, ATOL)
    biased = (
        want["down_activations"]
        + given["down_proj_bias"][given["block_to_expert"][: len(want["down_activations"])]][:, None]
    )
    check_close(down[:4], biased[:4], 2e-2, ATOL)
    assert (gates[4:] == 9).all()
    assert (down[4:] == 9).all()


@pytest.mark.parametrize(
    ("changes", "lnc", "text"),
    [
        ({}, 1, "shard-on-I with dynamic control flow only work on TRN2"),
        ({"conditions": np.zeros(3, np.int32)}, 2, "conditions must have N + 1 = 7 elements"),
        ({"num_static_block": 8}, 2, "num_static_block must be 0 to 7, it is 8"),
    ],
)
def test_refused_by_the_hybrid(changes: dict[str, Any], lnc: int, text: str) -> None:
    given, _ = spare()
    arguments = {**block_arguments(given), "conditions": conditions_of(given, 1), **changes}
    if "conditions" in changes:
        text = f"conditions must have N + 1 = {len(given['block_to_expert']) + 1} elements"
    with rejected(text):
        run(arguments, lnc, HYBRID)


# -- dropping ---------------------------------------------------------------------------------------------


def dropped(T: int, experts: int, B: int, bias: bool = False) -> tuple[dict[str, Any], list[Any]]:
    """One block for each expert; some positions are padding, some tokens are in no block."""
    given, _ = drawn(T, 512, 96, experts, 1, 1024, 0, bias)
    draw = np.random.default_rng(8)
    ids = np.full((experts, B), T, np.int32)
    for expert in range(experts):
        count = min(B - 30, T - 20)
        ids[expert, :count] = draw.permutation(T - 10)[:count]
    affinities = draw.random((T + 1, experts)).astype(FP32)
    affinities[T] = 0
    given = {
        **given,
        "block_size": B,
        "token_position_to_id": ids.reshape(-1),
        "block_to_expert": np.zeros(experts, np.int32),
        "expert_affinities_masked": affinities.reshape(-1, 1),
    }
    biases = {"bgu": given["gate_and_up_proj_bias"], "bd": given["down_proj_bias"]} if bias else {}
    model = [*maps(given)[:4], ids.reshape(-1), np.arange(experts), B]
    return given, [model, biases]


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("on_product", [False, True])
def test_dropping(on_product: bool, bias: bool, lnc: int) -> None:
    given, (model, biases) = dropped(700, 2, 1024, bias)
    want, gates, down = ref.moe_cte(*model, checkpoints=True, multiply_on_I=on_product, **biases)
    arguments = {**block_arguments(given), "expert_affinity_multiply_on_I": on_product}
    del arguments["expert_affinities_scaling_mode"]
    got = run(arguments, lnc, DROPPING)
    assert len(got) == (2 if on_product else 3)
    check_close(got[0], want, 2e-2, ATOL)
    assert not got[0][690:].any()
    check_close(got[1], gates, 2e-2, ATOL)
    if not on_product:
        biased = down + biases["bd"][:, None] if bias else down
        check_close(got[2], biased, 2e-2, ATOL)


@pytest.mark.slow
def test_dropping_of_large_blocks() -> None:
    given, (model, _) = dropped(3000, 2, 2048)
    got = run(block_arguments(given), 2, DROPPING)
    check_close(got[0], ref.moe_cte(*model), 2e-2, ATOL)


@pytest.mark.parametrize("kernel", [BASELINE, DROPPING])
def test_more_cores(kernel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cores", lambda: Cores(count=3, index=0))
    given, _ = drawn(300, 512, 96, 4, 2, 256, 0)
    with rejected("Only 1 or 2 shards are supported, there are 3"):
        run(block_arguments(given), 2, kernel)


def test_refused_by_dropping() -> None:
    given, _ = dropped(700, 2, 1024)
    with rejected("Blocksize must be a multiple of 1024"):
        run({**block_arguments(given), "block_size": 512}, 2, DROPPING)
    ids = np.full(3 * 1024, 700, np.int32)
    with rejected("there must be one block for each expert, 2, there are 3"):
        run({**block_arguments(given), "token_position_to_id": ids}, 2, DROPPING)


# -- refusals ---------------------------------------------------------------------------------------------


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"block_size": 384}, "Blocksize must be a multiple of 256"),
    (
        {"gate_up_proj_weight": np.zeros((4, 9216, 2, 16), BF16)},
        "Hidden dims must be between 512 and 8192, found 9216",
    ),
    (
        {"gate_up_proj_weight": np.zeros((4, 768, 2, 16), BF16)},
        "Hidden dim size must be multiples of 512, found 768",
    ),
    (
        {"down_proj_weight": np.zeros((4, 40, 512), BF16)},
        "down_proj_weight I must be divisible by 16, found 40. Please pad it",
    ),
    (
        {"skip_dma": SkipMode(False, True)},
        "DMA weight skipping is not yet supported by the BWMM shard on I kernel",
    ),
    ({"activation_function": ActFnType.GELU}, "activation_function must be SiLU or Swish"),
]


@pytest.mark.parametrize("kernel", [BASELINE, HYBRID, DROPPING])
@pytest.mark.parametrize(("changes", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_refused(changes: dict[str, Any], text: str, kernel: Any) -> None:
    given, _ = drawn(300, 512, 96, 4, 2, 256, 0)
    arguments = block_arguments(given)
    if kernel is HYBRID:
        arguments["conditions"] = conditions_of(given, 1)
    if kernel is DROPPING:
        arguments.update(block_size=1024, token_position_to_id=np.full(4096, 300, np.int32))
        text = text.replace("256", "1024")
    with rejected(text):
        run({**arguments, **changes}, 2, kernel)
