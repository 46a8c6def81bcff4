"""``moe_cte``: its objects, and that each implementation is the kernel with the options given."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16
from kernels import check_close, launch, rejected
from moe_numpy_cases import _cte
from moes import block_arguments, block_mx_arguments, conditions_of

import nkilib.core.moe.moe_cte as package
from nkilib.core.moe.moe_cte import (
    BlockShardStrategy,
    MoECTEImplementation,
    MoECTESpec,
    QuantizationConfig,
    ShardOnBlockConfig,
    ShardOnIConfig,
    SkipMode,
    moe_cte,
)
from nkilib.core.moe.moe_cte.bwmm_shard_on_block import bwmm_shard_on_block
from nkilib.core.moe.moe_cte.bwmm_shard_on_block_mx import bwmm_shard_on_block_mx
from nkilib.core.moe.moe_cte.bwmm_shard_on_I import (
    blockwise_mm_baseline_shard_intermediate,
    blockwise_mm_baseline_shard_intermediate_hybrid,
    blockwise_mm_shard_intermediate_dropping,
)
from nkilib.core.moe.moe_cte.bwmm_shard_on_I_mx import (
    blockwise_mm_shard_intermediate_mx,
    blockwise_mm_shard_intermediate_mx_hybrid,
)
from nkilib.core.utils.common_types import ActFnType, ExpertAffinityScaleMode

KINDS = MoECTEImplementation


def test_objects() -> None:
    assert [kind.name for kind in KINDS] == ["shard_on_block", "shard_on_i", "shard_on_i_hybrid", "shard_on_i_dropping", "shard_on_block_mx", "shard_on_i_mx", "shard_on_i_mx_hybrid"]  # fmt: skip
    assert [kind.value for kind in KINDS] == list(range(7))
    assert [(each.name, each.value) for each in BlockShardStrategy] == [("HI_LO", 0), ("PING_PONG", 1)]
    assert vars(SkipMode()) == {"skip_token": False, "skip_weight": False}
    assert vars(QuantizationConfig()) == {"gate_up_proj_scale": None, "down_proj_scale": None}
    assert vars(ShardOnBlockConfig()) == {
        "n_block_per_iter": 1,
        "block_sharding_strategy": BlockShardStrategy.PING_PONG,
        "n_static_blocks": -1,
        "n_dynamic_blocks": 55,
    }
    assert vars(ShardOnIConfig()) == {
        "checkpoint_activation": False,
        "expert_affinity_multiply_on_I": False,
        "num_static_block": None,
    }


def test_the_public_names() -> None:
    expected = {"BlockShardStrategy", "MoECTEImplementation", "MoECTESpec", "ShardOnBlockConfig", "ShardOnIConfig", "SkipMode", "moe_cte"}  # fmt: skip
    assert set(package.__all__) == expected


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_specification_fills_in_what_its_kernel_needs(kind: MoECTEImplementation) -> None:
    spec = MoECTESpec(kind)
    by_block = kind in (KINDS.shard_on_block, KINDS.shard_on_block_mx)
    by_inner = kind in (KINDS.shard_on_i, KINDS.shard_on_i_hybrid, KINDS.shard_on_i_dropping)
    assert spec.shard_on_block == (ShardOnBlockConfig() if by_block else None)
    assert spec.shard_on_I == (ShardOnIConfig() if by_inner else None)
    given = ShardOnIConfig(num_static_block=3)
    assert MoECTESpec(kind, shard_on_I=given).shard_on_I is given


def run(kernel: Any, arguments: dict[str, Any], target: str = "trn2") -> Any:
    got = launch(kernel, lnc=2, target=target, **arguments)
    return got if isinstance(got, tuple) else (got,)


def same(got: tuple[Any, ...], want: tuple[Any, ...]) -> None:
    assert len(got) == len(want)
    for first, second in zip(got, want, strict=True):
        assert np.array_equal(first, second)


def arguments_of(scale: bool = False, skip: int = 1) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every option that is passed on has a value that is not its default."""
    given, _, _ = _cte(150, 512, 96, 2, 2, 256, skip, True, "Swish", scale=scale)()
    arguments = block_arguments({**given, "clamps": {"g_hi": 0.9, "g_lo": -0.8, "u_hi": 0.7, "u_lo": -0.6}})
    arguments["compute_dtype"] = nl.float32 if not scale else nl.bfloat16
    arguments["expert_affinities_scaling_mode"] = ExpertAffinityScaleMode.NO_SCALE
    return given, arguments


def through(kind: MoECTEImplementation, arguments: dict[str, Any], **configs: Any) -> dict[str, Any]:
    """The arguments for ``moe_cte``."""
    changed = dict(arguments)
    scales = [changed.pop(name, None) for name in ("gate_up_proj_scale", "down_proj_scale")]
    if scales[0] is not None:
        changed["quantization_config"] = QuantizationConfig(*scales)
    return {**changed, "spec": MoECTESpec(kind, **configs)}


def test_blocks() -> None:
    _, arguments = arguments_of()
    want = run(bwmm_shard_on_block, arguments)
    same(run(moe_cte, through(KINDS.shard_on_block, arguments)), want)
    config = ShardOnBlockConfig(block_sharding_strategy=BlockShardStrategy.HI_LO)
    with rejected("Currently only support PING-PONG sharding strategy"):
        run(moe_cte, through(KINDS.shard_on_block, arguments, shard_on_block=config))


@pytest.mark.parametrize("scale", [False, True])
def test_inner(scale: bool) -> None:
    _, arguments = arguments_of(scale)
    want = run(blockwise_mm_baseline_shard_intermediate, arguments)
    same(run(moe_cte, through(KINDS.shard_on_i, arguments)), want)


@pytest.mark.parametrize("on_product", [False, True])
def test_checkpoints_of_inner(on_product: bool) -> None:
    _, arguments = arguments_of()
    options = {"checkpoint_activation": True, "expert_affinity_multiply_on_I": on_product}
    want = run(blockwise_mm_baseline_shard_intermediate, {**arguments, **options})
    assert len(want) == (2 if on_product else 3)
    same(run(moe_cte, through(KINDS.shard_on_i, arguments, shard_on_I=ShardOnIConfig(**options))), want)


def with_outputs(kernel: Any, gates: Any, down: Any, **arguments: Any) -> Any:
    output = kernel(gate_up_activations_T=gates, down_activations=down, **arguments)
    return output, gates, down


def test_hybrid_inner() -> None:
    """A static block that is not active is run, so that its checkpoints tell how many are static."""
    given, arguments = arguments_of()
    count = len(given["block_to_expert"])
    arguments["conditions"] = (np.arange(count + 1) < 1).astype(np.int32)
    start = np.full((count, 2, 96, 256), 9, BF16), np.full((count, 256, 512), 9, BF16)

    def launched(kernel: Any, given: dict[str, Any]) -> Any:
        return launch(with_outputs, kernel, *(each.copy() for each in start), lnc=2, **given)

    for static in (0, 2):
        want = launched(
            blockwise_mm_baseline_shard_intermediate_hybrid, {**arguments, "num_static_block": static}
        )
        config = ShardOnIConfig(num_static_block=static)
        got = launched(moe_cte, through(KINDS.shard_on_i_hybrid, arguments, shard_on_I=config))
        same(got, want)
        assert [bool((block != 9).any()) for block in got[1]] == [b < max(1, static) for b in range(count)]


@pytest.mark.parametrize("on_product", [False, True])
def test_dropping(on_product: bool) -> None:
    _, arguments = arguments_of()
    ids = np.full((2, 1024), -1, np.int32)
    ids[:, :150] = np.arange(150)
    arguments.update(
        block_size=1024, token_position_to_id=ids.reshape(-1), block_to_expert=np.arange(2, dtype=np.int32)
    )
    want = run(
        blockwise_mm_shard_intermediate_dropping, {**arguments, "expert_affinity_multiply_on_I": on_product}
    )
    config = ShardOnIConfig(expert_affinity_multiply_on_I=on_product)
    same(run(moe_cte, through(KINDS.shard_on_i_dropping, arguments, shard_on_I=config)), want)


def mx_arguments(inner: int, block: int) -> tuple[dict[str, Any], dict[str, Any]]:
    given, _, _ = _cte(150, 512, inner, 2, 2, block, 1, True, "Swish", kind="e2m1")()
    arguments = block_mx_arguments(
        {**given, "clamps": {"g_hi": 0.9, "g_lo": -0.8, "u_hi": 0.7, "u_lo": -0.6}}, "e2m1"
    )
    arguments["expert_affinities_scaling_mode"] = ExpertAffinityScaleMode.NO_SCALE
    return given, arguments


def test_mx_blocks() -> None:
    given, arguments = mx_arguments(64, 128)
    same(
        run(moe_cte, through(KINDS.shard_on_block_mx, arguments), "trn3"),
        run(bwmm_shard_on_block_mx, arguments, "trn3"),
    )
    arguments["conditions"] = (np.arange(len(given["block_to_expert"]) + 2) < 1).astype(np.int32)
    for options in ({"n_static_blocks": 2}, {"n_dynamic_blocks": 1}):
        want = run(bwmm_shard_on_block_mx, {**arguments, **options}, "trn3")
        config = ShardOnBlockConfig(**options)
        same(run(moe_cte, through(KINDS.shard_on_block_mx, arguments, shard_on_block=config), "trn3"), want)


def test_mx_inner() -> None:
    given, arguments = mx_arguments(1024, 256)
    want = run(blockwise_mm_shard_intermediate_mx, arguments, "trn3")
    same(run(moe_cte, through(KINDS.shard_on_i_mx, arguments), "trn3"), want)
    arguments["conditions"] = conditions_of(given, 1)
    for config in (None, ShardOnIConfig(num_static_block=1)):
        same(run(moe_cte, through(KINDS.shard_on_i_mx_hybrid, arguments, shard_on_I=config), "trn3"), want)
    direct = run(blockwise_mm_shard_intermediate_mx_hybrid, arguments, "trn3")
    same(direct, want)


def test_top_1() -> None:
    given, want, _ = _cte(150, 512, 96, 2, 1, 256, 1)()
    arguments = {**block_arguments(given), "is_tensor_update_accumulating": False}
    (got,) = run(moe_cte, through(KINDS.shard_on_i, arguments))
    check_close(got, want["output"], 2e-2, 1e-5)


def test_an_unknown_implementation() -> None:
    _, arguments = arguments_of()
    with rejected("spec.implementation must be a MoECTEImplementation"):
        run(moe_cte, through("shard_on_i", arguments))  # type: ignore[arg-type]


def test_a_block_of_the_default_activation() -> None:
    given, want, _ = _cte(150, 512, 96, 2, 2, 256, 1)()
    arguments = block_arguments(given)
    assert arguments.pop("activation_function") == ActFnType.SiLU
    del arguments["expert_affinities_scaling_mode"]
    (got,) = run(moe_cte, through(KINDS.shard_on_i, arguments))
    check_close(got, want["output"], 2e-2, 1e-5)
