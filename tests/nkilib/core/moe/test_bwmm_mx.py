"""Block-wise kernels with MX weights, whose cores take blocks or divide I: formats, conditions, biases, refusals."""

from __future__ import annotations

import functools
from typing import Any

import moe_numpy_ref as ref
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP16, FP32
from kernels import check_close, launch, rejected
from moe_numpy_cases import CASES, _cte
from moes import KINDS, block_mx_arguments, conditions_of

from nkilib.blocks.lnc import Cores
from nkilib.core.moe.moe_cte import bwmm_shard_on_I_mx as module
from nkilib.core.moe.moe_cte.bwmm_shard_on_block_mx import bwmm_shard_on_block_mx
from nkilib.core.moe.moe_cte.bwmm_shard_on_I_mx import (
    blockwise_mm_shard_intermediate_mx,
    blockwise_mm_shard_intermediate_mx_hybrid,
)
from nkilib.core.moe.moe_cte.moe_cte_mx_utils import convert_to_mxfp_dtype
from nkilib.core.moe.moe_cte.moe_cte_utils import SkipMode
from nkilib.core.utils.common_types import ActFnType, ExpertAffinityScaleMode
from nkisim.core.dtypes import dtype_of

RTOL, ATOL = 2e-2, 1e-5
BLOCK, INNER, HYBRID = (
    bwmm_shard_on_block_mx,
    blockwise_mm_shard_intermediate_mx,
    blockwise_mm_shard_intermediate_mx_hybrid,
)
BOTH = pytest.mark.parametrize("kernel", [BLOCK, INNER], ids=["block", "inner"])
CASE_KINDS = {"BMX-01": "e2m1", "BMX-02": "e4m3", "BMX-03": "e5m2", "IMX-01": "e2m1", "IMX-02": "e4m3"}
BIASES = ("gate_and_up_proj_bias", "down_proj_bias")


@functools.cache
def drawn(*sizes: int, kind: str = "e2m1", **options: Any) -> tuple[dict[str, Any], Any]:
    """Inputs of ``_cte(T, H, I, E, k, B, skip, …)`` with MX weights, and its result ``[R, H]``."""
    given, want, _ = _cte(*sizes, kind=kind, **options)()
    return given, want["output"]


def small(kernel: Any, kind: str = "e2m1", **options: Any) -> tuple[dict[str, Any], Any]:
    """A few blocks of a size that the kernel takes."""
    sizes = (200, 512, 64, 2, 2, 128, 0) if kernel is BLOCK else (200, 512, 1024, 2, 2, 256, 0)
    return drawn(*sizes, kind=kind, **{"bias": True, **options})


def run(arguments: dict[str, Any], kernel: Any, lnc: int = 2) -> Any:
    """The result ``[R, H]``; the slot that has none is checked to be zero."""
    got = launch(kernel, lnc=lnc, target="trn3", **arguments)
    if kernel is not BLOCK:
        return got
    assert not got[1].any()
    return got[0]


@pytest.mark.parametrize("case", CASE_KINDS)
def test_cases(case: str) -> None:
    given, want, rtol = CASES[case]()
    arguments = block_mx_arguments(given, CASE_KINDS[case])
    kernel = BLOCK if case.startswith("BMX") else INNER
    got = run(arguments, kernel)
    assert got.dtype == BF16
    check_close(got, want["output"][0] if kernel is BLOCK else want["output"], rtol, ATOL)


@pytest.mark.parametrize(
    ("T", "H", "inner", "experts", "k", "B", "skip"),
    [
        (200, 512, 512, 2, 1, 128, 1),
        (300, 1536, 96, 3, 1, 256, 0),
        (90, 512, 64, 1, 1, 128, 0),
        (200, 512, 64, 5, 1, 128, 0),
    ],
    ids=str,
)
def test_sizes_of_blocks(T: int, H: int, inner: int, experts: int, k: int, B: int, skip: int) -> None:
    given, want = drawn(T, H, inner, experts, k, B, skip, True, "Swish", clamp=True)
    check_close(run(block_mx_arguments(given, "e2m1"), BLOCK), want, RTOL, ATOL)


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize(
    ("T", "inner", "experts", "k", "B", "skip"),
    [(300, 1024, 2, 1, 512, 0), (100, 2048, 1, 1, 256, 1)],
    ids=str,
)
def test_sizes_of_inner(T: int, inner: int, experts: int, k: int, B: int, skip: int, lnc: int) -> None:
    given, want = drawn(T, 512, inner, experts, k, B, skip, True, "Swish", clamp=True)
    check_close(run(block_mx_arguments(given, "e2m1"), INNER, lnc), want, RTOL, ATOL)


@pytest.mark.slow
@pytest.mark.parametrize(("inner", "experts"), [(384, 16), (1536, 8)])
def test_models(inner: int, experts: int) -> None:
    given, want = drawn(1024, 3072, inner, experts, 4, 256, 1, True, "Swish", clamp=True, round_to=2)
    check_close(run(block_mx_arguments(given, "e2m1"), BLOCK), want, RTOL, ATOL)


@BOTH
@pytest.mark.parametrize("act", list(ActFnType))
def test_activations(act: ActFnType, kernel: Any) -> None:
    given, want = small(kernel, act=act.name)
    check_close(run(block_mx_arguments(given, "e2m1"), kernel), want, RTOL, ATOL)


@BOTH
@pytest.mark.parametrize("name", ["g_hi", "g_lo", "u_hi", "u_lo"])
def test_each_limit_alone(name: str, kernel: Any) -> None:
    given, _ = small(kernel)
    value = 0.2 if name.endswith("hi") else 0.4
    clamped = block_mx_arguments({**given, "clamps": {name: value}}, "e2m1")
    check_close(run(clamped, kernel), model(given, **{name: value}), RTOL, ATOL)


def model(given: dict[str, Any], kind: str = "e2m1", **changes: Any) -> Any:
    """The oracle's result with other options."""
    weights = given["weights"]
    hidden = given["hidden_states"].shape[1]
    inner = weights["gate_up"].shape[-1]
    gate_up, down, biases = [], [], []
    for expert in range(len(weights["gate_up"])):
        words = ref.unpack_x4(weights["gate_up"][expert], kind)
        gate_up.append(
            ref.mx_gate_up_to_natural(
                words.reshape(*words.shape[:-1], inner, 4),
                weights["gate_up_scale"][expert],
                kind,
                hidden,
                inner,
            )
        )
        words = ref.unpack_x4(weights["down"][expert], kind)
        down.append(
            ref.mx_down_to_natural(
                words.reshape(*words.shape[:-1], hidden, 4),
                weights["down_scale"][expert],
                kind,
                inner,
                hidden,
            )
        )
        biases.append(ref.mx_bias_to_natural(given["gate_and_up_proj_bias"][expert], inner))
    options = {
        "bgu": np.stack(biases),
        "bd": given["down_proj_bias"],
        "act_name": given["activation_function"],
        "mode": given["mode"],
        "mx": True,
        **changes,
    }
    return ref.moe_cte(given["hidden_states"], given["expert_affinities_masked"], gate_up, down, given["token_position_to_id"], given["block_to_expert"], given["block_size"], **options)  # fmt: skip


@BOTH
@pytest.mark.parametrize("absent", [BIASES, BIASES[:1], BIASES[1:]], ids=str)
def test_absent_biases(absent: tuple[str, ...], kernel: Any) -> None:
    given, _ = small(kernel)
    names = {"gate_and_up_proj_bias": "bgu", "down_proj_bias": "bd"}
    want = model(given, **{names[name]: None for name in absent})
    arguments = {key: value for key, value in block_mx_arguments(given, "e2m1").items() if key not in absent}
    check_close(run(arguments, kernel), want, RTOL, ATOL)


@BOTH
@pytest.mark.parametrize("kind", ["e4m3", "e5m2"])
def test_kinds_of_weights(kind: str, kernel: Any) -> None:
    given, want = small(kernel, kind)
    check_close(run(block_mx_arguments(given, kind), kernel), want, RTOL, ATOL)


@BOTH
@pytest.mark.parametrize(
    ("kind", "carrier", "named"),
    [
        ("e2m1", np.uint16, None),
        ("e2m1", np.int16, None),
        ("e2m1", np.float16, None),
        ("e4m3", np.uint32, None),
        ("e4m3", np.int32, None),
        ("e4m3", np.float32, None),
        ("e5m2", np.uint32, "e5m2"),
    ],
)
def test_carriers(kind: str, carrier: Any, named: str | None, kernel: Any) -> None:
    given, _ = small(kernel, kind)
    arguments = block_mx_arguments(given, kind)
    carried = dict(arguments)
    for name in ("gate_up_proj_weight", "down_proj_weight"):
        carried[name] = arguments[name].view(carrier)
    if named is not None:
        carried["weight_dtype"] = dtype_of(KINDS[named])
    assert np.array_equal(run(carried, kernel), run(arguments, kernel))


ONES = {"e2m1": 0x2, "e4m3": 0x38, "e5m2": 0x3C}
"""The code of 1.0."""


@BOTH
@pytest.mark.parametrize("lane", range(4))
@pytest.mark.parametrize("kind", list(ONES))
def test_a_word_has_four_values_of_4_bits_as_of_8(kind: str, lane: int, kernel: Any) -> None:
    """Fixed in 2.28, the MX x4 pack size: an fp4 word is 16 bits of four values, not 32 of eight.

    The words are spelled out. The gate sums the first quarter of x, 1 in each column; the other product quarter
    ``lane`` of it, 2^lane; all is a power of two, so that no quantisation rounds. Down, one lane of four is 1.
    """
    given, _ = small(kernel, kind, bias=False)
    arguments = block_mx_arguments(given, kind)
    bits, word = (4, np.uint16) if kind == "e2m1" else (8, np.uint32)
    rows, hidden = given["hidden_states"].shape
    gate_up = np.zeros(arguments["gate_up_proj_weight"].shape, word)
    gate_up[:, :, 0] = ONES[kind]  # 128 values, by 2^-3: 16, which SiLU leaves as it is
    gate_up[:, :, 1] = ONES[kind] << bits * lane
    down = np.full(arguments["down_proj_weight"].shape, ONES[kind] << bits * lane, word)
    scales = np.full(arguments["gate_up_proj_scale"].shape, 127 - 7, np.uint8)
    scales[:, :, 0] = 127 - 3
    x = np.repeat(2.0 ** np.arange(4), hidden // 4)[None].repeat(rows, 0)
    x[-1] = 0  # of padding
    arguments |= {
        "hidden_states": x.astype(BF16),
        "gate_up_proj_weight": gate_up.view(dtype_of(KINDS[kind]).numpy),
        "down_proj_weight": down.view(dtype_of(KINDS[kind]).numpy),
        "gate_up_proj_scale": scales,
        "down_proj_scale": np.full(arguments["down_proj_scale"].shape, 127, np.uint8),
        "activation_function": ActFnType.SiLU,
    }
    result = down[0, ..., 0].size * 16 * 2.0**lane
    weights = given["expert_affinities_masked"].reshape(rows, -1).sum(1)
    want = np.outer(weights, np.full(hidden, result))
    check_close(run(arguments, kernel), want, 1e-2, ATOL)


def test_types_that_carry_nothing_stay_as_they_are() -> None:
    seen = []

    def kernel(x: Any) -> Any:
        seen.append(convert_to_mxfp_dtype(x).dtype)
        return x

    launch(kernel, np.zeros((2, 4), dtype_of(KINDS["e5m2"]).numpy))
    launch(kernel, np.zeros((2, 4), np.uint8))
    assert seen == [nl.float8_e5m2_x4, nl.uint8]


@BOTH
def test_the_down_bias_counts_once(kernel: Any) -> None:
    """With weights of zero there is nothing else."""
    given, _ = small(kernel)
    arguments = block_mx_arguments(given, "e2m1")
    for name in ("gate_up_proj_weight", "down_proj_weight"):
        arguments[name] = np.zeros_like(arguments[name])
    affinities = given["expert_affinities_masked"].reshape(-1, 2)
    check_close(run(arguments, kernel), affinities @ given["down_proj_bias"], 2**-7, ATOL)


@BOTH
def test_a_token_of_zeros_has_its_biases(kernel: Any) -> None:
    given, _ = small(kernel)
    hidden = given["hidden_states"].copy()
    hidden[7] = 0
    changed = {**given, "hidden_states": hidden}
    check_close(run(block_mx_arguments(changed, "e2m1"), kernel), model(changed), RTOL, ATOL)


@BOTH
def test_without_scaling_padding_adds_nothing(kernel: Any) -> None:
    given, want = small(kernel, mode="NO")
    got = run(block_mx_arguments(given, "e2m1"), kernel)
    check_close(got[:200], want[:200], RTOL, ATOL)
    assert not got[200].any()


@BOTH
def test_fp16(kernel: Any) -> None:
    given, want = small(kernel)
    arguments = block_mx_arguments(given, "e2m1")
    got = run({**arguments, "hidden_states": given["hidden_states"].astype(FP16)}, kernel)
    assert got.dtype == FP16
    check_close(got, want, RTOL, ATOL)


@BOTH
def test_what_is_not_used(kernel: Any) -> None:
    given, _ = small(kernel)
    arguments = block_mx_arguments(given, "e2m1")
    unused: dict[str, Any] = {"compute_dtype": nl.float32}
    if kernel is BLOCK:
        unused["gate_up_activations_T"] = np.zeros((4, 2, 64, 128), BF16)
        unused["down_activations"] = np.zeros((4, 128, 512), BF16)
        unused["skip_dma"] = SkipMode(False, True)
    assert np.array_equal(run({**arguments, **unused}, kernel), run(arguments, kernel))


def test_top_1_is_written_as_it_is() -> None:
    given, _ = drawn(200, 512, 1024, 2, 1, 256, 0, True)
    arguments = block_mx_arguments(given, "e2m1")
    got = run({**arguments, "is_tensor_update_accumulating": False}, INNER)
    check_close(got[:200], model(given)[:200], RTOL, ATOL)


def test_one_expert_has_all_tokens() -> None:
    T = 300
    given, _ = drawn(T, 512, 1024, 2, 1, 256, 0, True)
    sel = np.zeros((T, 1), int)
    affinities = ref.masked_affinities(sel, np.full((T, 2), 0.5, FP32), 2, T + 1)
    ids, owners, _ = ref.build_maps(sel, 2, 256)
    changed = {
        **given,
        "expert_affinities_masked": affinities,
        "token_position_to_id": ids,
        "block_to_expert": owners,
    }
    check_close(run(block_mx_arguments(changed, "e2m1"), INNER), model(changed), RTOL, ATOL)


# -- blocks that are known at run time ----------------------------------------------------------------------


def spare(kernel: Any, odd: bool = False) -> tuple[dict[str, Any], Any]:
    """Blocks of padding at the end."""
    size, inner = (128, 64) if kernel is BLOCK else (256, 1024)
    given, want = drawn(200, 512, inner, 2, 1, size, 0, True, clamp=True)
    count = len(given["block_to_expert"])
    more = 3 if kernel is not BLOCK or (count + 3) % 2 == odd else 4
    ids = np.concatenate([given["token_position_to_id"], np.full(more * size, 200, np.int32)])
    owners = np.concatenate([given["block_to_expert"], np.full(more, 1, np.int32)])
    return {**given, "token_position_to_id": ids, "block_to_expert": owners}, want


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize(
    "options",
    [{"n_dynamic_blocks": count} for count in (0, 1, 2, 3, -1, 55)]
    + [{"n_dynamic_blocks": "N"}, {"n_static_blocks": 1}, {"n_static_blocks": 2}],
    ids=str,
)
def test_conditions_of_blocks(options: dict[str, Any], odd: bool) -> None:
    given, want = spare(BLOCK, odd)
    count = len(given["block_to_expert"])
    assert count % 2 == odd
    options = {name: count if value == "N" else value for name, value in options.items()}
    arguments = {**block_mx_arguments(given, "e2m1"), "conditions": conditions_of(given, 2), **options}
    check_close(run(arguments, BLOCK), want, RTOL, ATOL)


@pytest.mark.parametrize("static", [None, 0, 3, "N"])
def test_conditions_of_inner(static: Any) -> None:
    given, want = spare(INNER)
    static = len(given["block_to_expert"]) if static == "N" else static
    arguments = {**block_mx_arguments(given, "e2m1"), "conditions": conditions_of(given, 1)}
    check_close(run({**arguments, "num_static_block": static}, HYBRID), want, RTOL, ATOL)


@pytest.mark.parametrize(
    ("kernel", "options", "static"),
    [
        (BLOCK, {"n_static_blocks": 2}, 2),
        (BLOCK, {"n_static_blocks": 1}, 0),
        (BLOCK, {"n_dynamic_blocks": 3}, 3),
        (BLOCK, {"n_dynamic_blocks": -1}, 1),
        (BLOCK, {"n_dynamic_blocks": 7}, 1),
        (BLOCK, {}, 1),
        (HYBRID, {"num_static_block": 1}, 1),
        (HYBRID, {"num_static_block": 3}, 3),
        (HYBRID, {}, 2),
    ],
    ids=str,
)
def test_how_many_blocks_are_static(kernel: Any, options: dict[str, Any], static: int) -> None:
    """No condition holds, so that only these are run."""
    size, inner = (128, 64) if kernel is BLOCK else (256, 1024)
    count = 6 if kernel is BLOCK else 5
    given, _ = drawn(200, 512, inner, 2, 1, size, 0, True)
    ids = np.full((count, size), 200, np.int32)
    for block in range(count):
        ids[block, :30] = np.arange(30) + 30 * block
    owners = np.arange(count, dtype=np.int32) % 2
    affinities = np.ones((201, 2), FP32)
    affinities[200] = 0
    changed = {
        **given,
        "token_position_to_id": ids.reshape(-1),
        "block_to_expert": owners,
        "expert_affinities_masked": affinities.reshape(-1, 1),
    }
    arguments = block_mx_arguments(changed, "e2m1")
    conditions = np.zeros(count + (2 if kernel is BLOCK else 1), np.int32)
    got = run({**arguments, "conditions": conditions, **options}, kernel)
    check_close(got, model(changed, n_blocks=static), RTOL, ATOL)
    assert [bool(got[30 * block].any()) for block in range(count)] == [b < static for b in range(count)]


@pytest.mark.parametrize("kernel", [BLOCK, HYBRID], ids=["block", "inner"])
def test_blocks_that_are_not_active_are_not_run(kernel: Any) -> None:
    """What they point at may be anything."""
    given, want = spare(kernel)
    hidden = np.vstack([given["hidden_states"][:200], np.full((10, 512), np.nan), np.zeros((1, 512))])
    affinities = given["expert_affinities_masked"].reshape(201, 2)
    affinities = np.vstack([affinities[:200], np.ones((10, 2)), np.zeros((1, 2))]).reshape(-1, 1)
    ids, size = given["token_position_to_id"].copy(), given["block_size"]
    ids[ids == 200] = 210
    ids[given["n_real_blocks"] * size :] = 200
    changed = {
        **given,
        "hidden_states": hidden,
        "expert_affinities_masked": affinities,
        "token_position_to_id": ids,
    }
    arguments = block_mx_arguments(changed, "e2m1")
    # The condition that the oracle gives core 1 beside the last active block is 0, too.
    arguments["conditions"] = conditions_of(given, 2 if kernel is BLOCK else 1)
    arguments.update(
        {"n_dynamic_blocks": len(given["block_to_expert"])} if kernel is BLOCK else {"num_static_block": 1}
    )
    got = run(arguments, kernel)
    check_close(got[:200], want[:200], RTOL, ATOL)
    assert not got[200:].any()


# -- refusals -----------------------------------------------------------------------------------------------


def changed_shapes(arguments: dict[str, Any], H: int, inner: int) -> dict[str, Any]:
    word = dtype_of(KINDS["e2m1"]).numpy
    experts, rows, tiles = 2, min(128, inner // 4), -(-inner // 512)
    return {
        **arguments,
        "hidden_states": np.zeros((201, H), BF16),
        "gate_up_proj_weight": np.zeros((experts, 128, 2, H // 512, inner), word),
        "gate_up_proj_scale": np.zeros((experts, 16, 2, H // 512, inner), np.uint8),
        "down_proj_weight": np.zeros((experts, rows, tiles, H), word),
        "down_proj_scale": np.zeros((experts, rows // 8, tiles, H), np.uint8),
    }


@pytest.mark.parametrize(
    ("kernel", "H", "inner", "text"),
    [
        (BLOCK, 9216, 64, "Hidden dims must be between 512 and 8192, found 9216"),
        (BLOCK, 768, 64, "Hidden dim size must be multiples of 512, found 768"),
        (BLOCK, 512, 72, "down_proj_weight I must be divisible by 16, found 72. Please pad it"),
        (BLOCK, 512, 80, "I512 tile remainder (80) must be divisible by quantization block size (32)"),
        (INNER, 512, 1536, "I need to be multiple of 1024"),
        (HYBRID, 512, 768, "I need to be multiple of 1024"),
        (INNER, 9216, 1024, "Hidden dimension must be in [512, 8192], got 9216"),
        (HYBRID, 9216, 1024, "Hidden dimension must be in [512, 8192], got 9216"),
        (INNER, 768, 1024, "Hidden dimension must be a multiple of 512, got 768"),
        (HYBRID, 768, 1024, "Hidden dimension must be a multiple of 512, got 768"),
    ],
)
def test_refused_sizes(kernel: Any, H: int, inner: int, text: str) -> None:
    given, _ = small(BLOCK if kernel is BLOCK else INNER)
    arguments = changed_shapes(block_mx_arguments(given, "e2m1"), H, inner)
    if kernel is HYBRID:
        arguments["conditions"] = conditions_of(given, 1)
    with rejected(text):
        run(arguments, kernel)


PRE = ExpertAffinityScaleMode.PRE_SCALE
REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (BLOCK, {"block_size": 192}, "Blocksize must be a multiple of 128"),
    (BLOCK, {"block_size": None}, "block_size is needed"),
    (BLOCK, {"is_tensor_update_accumulating": False}, "Only support topK > 1 at the moment."),
    (BLOCK, {"expert_affinities_scaling_mode": PRE}, "PRE_SCALE mode not implemented"),
    (BLOCK, {"conditions": np.zeros(3, np.int32)}, "condition vector must have exactly N+2 elements, got 3 != N + 2"),
    (BLOCK, {"conditions": "fitting", "n_static_blocks": 5}, "Cannot have more static blocks than total number of blocks. Got (5) > N = 5"),
    (BLOCK, {"gate_up_proj_scale": None}, "MX weights need gate_up_proj_scale and down_proj_scale"),
    (BLOCK, {"down_proj_scale": np.zeros((2, 2, 2, 512), np.uint8)}, "down_proj_scale must have shape (2, 2, 1, 512)"),
    (BLOCK, {"down_proj_weight": np.zeros((2, 8, 1, 512), np.uint16)}, "down_proj_weight must have shape (2, 16, 1, 512)"),
    *((each, *demand) for each in (INNER, HYBRID) for demand in [
        ({"block_size": 128}, "Blocksize must be a multiple of 256"),
        ({"block_size": None}, "block_size is needed"),
        ({"skip_dma": SkipMode(False, True)}, "DMA weight skipping not supported for MXFP4/MXFP8 kernel"),
        ({"expert_affinities_scaling_mode": ExpertAffinityScaleMode.PRE_SCALE_DELAYED}, "PRE_SCALE mode not implemented"),
    ]),
    (HYBRID, {"conditions": np.zeros(9, np.int32)}, "conditions must have N + 1 ="),
    (HYBRID, {"num_static_block": 99}, "num_static_block must be 0 to"),
]  # fmt: skip


@pytest.mark.parametrize(("kernel", "changes", "text"), REFUSED, ids=[text for _, _, text in REFUSED])
def test_refused(kernel: Any, changes: dict[str, Any], text: str) -> None:
    given, _ = small(BLOCK if kernel is BLOCK else INNER)
    count = len(given["block_to_expert"])
    arguments = block_mx_arguments(given, "e2m1")
    if kernel is HYBRID or "n_static_blocks" in changes:
        arguments["conditions"] = conditions_of(given, 2 if kernel is BLOCK else 1)
        changes = {name: value for name, value in changes.items() if not isinstance(value, str)}
    if "n_static_blocks" in changes:
        changes["n_static_blocks"], text = count, text.replace("5", str(count))
    with rejected(text):
        run({**arguments, **changes}, kernel)


def test_the_default_mode_of_the_static_kernel_is_refused() -> None:
    given, _ = small(INNER)
    arguments = block_mx_arguments(given, "e2m1")
    del arguments["expert_affinities_scaling_mode"]
    with rejected("PRE_SCALE mode not implemented"):
        run(arguments, INNER)


def test_cores() -> None:
    given, _ = small(BLOCK)
    with rejected("The kernel only support sharding on exactly 2 cores, got 1"):
        run(block_mx_arguments(given, "e2m1"), BLOCK, 1)
    given, _ = small(INNER)
    arguments = {**block_mx_arguments(given, "e2m1"), "conditions": conditions_of(given, 1)}
    with rejected("shard-on-I with dynamic control flow only works on TRN3 with 2 shards"):
        run(arguments, HYBRID, 1)


def test_more_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cores", lambda: Cores(count=3, index=0))
    given, _ = small(INNER)
    with rejected("Only 1 or 2 shards supported, there are 3"):
        run(block_mx_arguments(given, "e2m1"), INNER)
