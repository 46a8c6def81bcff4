"""``bwmm_shard_on_block``: the oracle's cases, block and expert counts, modes, options and refusals."""

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
from moes import block_arguments

import nkisim
from nkilib.core.moe.moe_cte import block_task
from nkilib.core.moe.moe_cte.bwmm_shard_on_block import bwmm_shard_on_block
from nkilib.core.moe.moe_cte.moe_cte_utils import BlockShardStrategy, SkipMode
from nkilib.core.utils.common_types import ActFnType, ExpertAffinityScaleMode

ATOL = 1e-5
BIASES = ("gate_and_up_proj_bias", "down_proj_bias")


@functools.cache
def drawn(*sizes: int, **options: Any) -> tuple[dict[str, Any], Any]:
    """Inputs of ``_cte(T, H, I, E, k, B, skip, …)``, and its result ``[R, H]``."""
    given, want, _ = _cte(*sizes, **options)()
    return given, want["output"]


def run(arguments: dict[str, Any], lnc: int = 2) -> Any:
    return launch(bwmm_shard_on_block, lnc=lnc, **arguments)


def check(arguments: dict[str, Any], want: Any, rtol: float = 2e-2) -> None:
    """The result is in the first slot, zeros are in the second."""
    got = run(arguments)
    assert got.shape == (len(want), 2, want.shape[1])
    check_close(got[:, 0], want, rtol, ATOL)
    assert not got[:, 1].any()


@pytest.mark.parametrize("case", ["SB-01", "SB-02"])
def test_cases(case: str) -> None:
    given, want, rtol = CASES[case]()
    got = run(block_arguments(given))
    assert got.dtype == BF16
    check_close(got, want["output"], rtol, ATOL)
    if case == "SB-01":
        assert not got[-1].any()


@pytest.mark.parametrize(
    ("T", "inner", "experts", "k", "B", "skip"),
    [
        (256, 64, 4, 2, 128, 0),
        (300, 16, 4, 2, 128, 1),
        (300, 208, 3, 2, 256, 0),
        (90, 64, 1, 1, 512, 1),
        (500, 48, 2, 2, 1024, 0),
        (60, 64, 1, 1, 128, 0),
        (200, 64, 5, 1, 128, 0),
        (200, 32, 8, 8, 256, 1),
    ],
    ids=str,
)
def test_sizes(T: int, inner: int, experts: int, k: int, B: int, skip: int) -> None:
    """Ragged last rows and planes, one block, odd numbers of blocks, experts with and without tokens."""
    given, want = drawn(T, 512, inner, experts, k, B, skip, True)
    check(block_arguments(given), want)


@pytest.mark.slow
def test_a_model() -> None:
    given, want = drawn(1024, 3072, 384, 8, 4, 512, 1, True, "Swish", round_to=2, clamp=True)
    check(block_arguments(given), want)


def test_one_expert_has_all_tokens() -> None:
    """Its blocks follow each other on a core; a hint not to read weights again changes nothing."""
    T, experts = 300, 4
    given, _ = drawn(T, 512, 64, experts, 1, 128, 0, True)
    sel = np.full((T, 1), 2)
    affinities = ref.masked_affinities(sel, np.full((T, experts), 0.5, FP32), experts, T + 1)
    ids, owners, _ = ref.build_maps(sel, experts, 128, 2)
    changed = {
        **given,
        "expert_affinities_masked": affinities,
        "token_position_to_id": ids,
        "block_to_expert": owners,
    }
    want = ref.moe_cte(
        given["hidden_states"],
        affinities,
        given["gate_up_proj_weight"],
        given["down_proj_weight"],
        ids,
        owners,
        128,
        bgu=given["gate_and_up_proj_bias"],
        bd=given["down_proj_bias"],
    )
    arguments = block_arguments(changed)
    check(arguments, want)
    hinted = run({**arguments, "skip_dma": SkipMode(False, True)})
    assert np.array_equal(hinted, run(arguments))


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("mode", "member"), [("NO", "NO_SCALE"), ("PRE_H", "PRE_SCALE"), ("PRE_SCALE_I", "PRE_SCALE_DELAYED")]
)
def test_modes(mode: str, member: str, bias: bool, skip: int) -> None:
    """The down bias belongs to every mode; padding's own row stays zero."""
    given, want = drawn(200, 512, 80, 4, 2, 128, skip, bias, clamp=True, mode=mode)
    arguments = block_arguments(given)
    arguments["expert_affinities_scaling_mode"] = ExpertAffinityScaleMode[member]
    got = run(arguments)
    check_close(got[:200, 0], want[:200], 2e-2, ATOL)
    assert not got[200:].any()


def test_top_1_is_written_as_it_is() -> None:
    given, want = drawn(200, 512, 64, 4, 1, 128, 0, acc=False)
    got = run({**block_arguments(given), "is_tensor_update_accumulating": False})
    assert got.shape == (201, 512)
    check_close(got[:200], want[:200], 2e-2, ATOL)
    assert np.array_equal(
        run({**block_arguments(given), "is_tensor_update_accumulating": False}, 1)[:200], got[:200]
    )


def test_tokens_without_an_expert_stay_zero() -> None:
    given, _ = drawn(200, 512, 64, 4, 1, 128, 1)
    ids = given["token_position_to_id"].copy()
    gone = ids[(ids >= 0) & (ids < 50)]
    ids[(ids >= 0) & (ids < 50)] = -1
    for accumulating in (True, False):
        arguments = {**block_arguments(given), "token_position_to_id": ids}
        got = run({**arguments, "is_tensor_update_accumulating": accumulating})
        assert not got[gone].any()
        assert got[50:].any()


@pytest.mark.parametrize("dtype", [FP16, FP32])
def test_types(dtype: Any) -> None:
    given, want = drawn(200, 512, 80, 4, 2, 128, 0, True, clamp=True)
    arguments = block_arguments(given, dtype)
    arguments["compute_dtype"] = {FP16: nl.float16, FP32: nl.float32}[dtype]
    got = run(arguments)
    assert got.dtype == dtype
    check_close(got[:, 0], want, 1e-4 if dtype == FP32 else 1e-2, ATOL)


def test_compute_dtype() -> None:
    """Operands of products are rounded to it."""
    given, want = drawn(200, 512, 80, 4, 2, 128, 0)
    hidden = given["hidden_states"] * np.float32(1.001)
    arguments = block_arguments({**given, "hidden_states": hidden}, FP32)
    exact = run({**arguments, "compute_dtype": nl.float32})[:, 0]
    rounded = run({**arguments, "compute_dtype": nl.bfloat16})[:, 0]
    check_close(exact, want * 1.001, 5e-3, ATOL)
    assert 1e-4 < np.abs(exact - rounded).max() / np.abs(exact).max() < 2e-2


@pytest.mark.parametrize("name", BIASES)
def test_one_bias_alone_is_not_used(name: str) -> None:
    given, _ = drawn(200, 512, 64, 4, 2, 128, 0, True)
    arguments = block_arguments(given)
    without = {key: value for key, value in arguments.items() if key not in BIASES}
    assert np.array_equal(run({**without, name: arguments[name]}), run(without))


def test_forms_of_the_maps_and_biases() -> None:
    given, _ = drawn(200, 512, 64, 4, 2, 128, 0, True)
    arguments = block_arguments(given)
    want = run(arguments)
    other = {
        "block_to_expert": arguments["block_to_expert"].reshape(-1, 1),
        "down_proj_bias": arguments["down_proj_bias"].reshape(4, 1, 512),
    }
    assert np.array_equal(run({**arguments, **other}), want)


def test_what_is_not_used() -> None:
    given, _ = drawn(200, 512, 64, 4, 2, 128, 0)
    arguments = block_arguments(given)
    unused = {
        "gate_up_proj_scale": np.full((4, 1, 128), 3, FP32),
        "down_proj_scale": np.full((4, 1, 512), 3, FP32),
        "n_block_per_iter": 4,
        "down_activations": np.zeros((7, 128, 512), BF16),
    }
    assert np.array_equal(run({**arguments, **unused}), run(arguments))


@pytest.mark.parametrize("name", ["g_hi", "g_lo", "u_hi", "u_lo"])
def test_each_limit_alone(name: str) -> None:
    given, _ = drawn(200, 512, 64, 4, 2, 128, 0, True)
    value = 0.2 if name.endswith("hi") else 0.4
    want = ref.moe_cte(
        *[given[key] for key in ("hidden_states", "expert_affinities_masked", "gate_up_proj_weight", "down_proj_weight", "token_position_to_id", "block_to_expert")],
        128,
        bgu=given["gate_and_up_proj_bias"],
        bd=given["down_proj_bias"],
        **{name: value},
    )  # fmt: skip
    check(block_arguments({**given, "clamps": {name: value}}), want)


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"block_sharding_strategy": BlockShardStrategy.HI_LO},
        "Currently only support PING-PONG sharding strategy",
    ),
    (
        {"gate_up_proj_weight": np.zeros((4, 512, 128), BF16)},
        "Unsupported gate_up_proj_weight layout, should be [E, H, 2, I_TP]",
    ),
    (
        {"down_proj_weight": np.zeros((4, 64), BF16)},
        "Unsupported down_proj_weight layout, should be [E, I_TP, H]",
    ),
    (
        {"gate_up_proj_weight": np.zeros((4, 512, 2, 20), BF16)},
        "Vector DGE expects the partition dimension to be either 1 or a multiple of 16. Please pad it.",
    ),
    ({"gate_up_proj_weight": np.zeros((4, 768, 2, 64), BF16)}, "Hidden dim size must be multiples of 512"),
    ({"block_size": 192}, "Blocksize must be a multiple of 128"),
    ({"block_size": 512}, "token_position_to_id shape must be divisible by B"),
    ({"activation_function": ActFnType.GELU}, "activation_function must be SiLU or Swish"),
]


@pytest.mark.parametrize(("changes", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_refused(changes: dict[str, Any], text: str) -> None:
    given, _ = drawn(200, 512, 64, 4, 2, 128, 0)
    with rejected(text):
        run({**block_arguments(given), **changes})


def test_one_core_has_nothing_to_add_up() -> None:
    given, _ = drawn(200, 512, 64, 4, 2, 128, 0)
    with rejected("only support reducing data from 2 shards"):
        run(block_arguments(given), 1)


def test_affinities_beyond_exact_numbers_are_picked_from_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    given, _ = drawn(300, 512, 64, 4, 2, 128, 0)
    usual = run(block_arguments(given))
    monkeypatch.setattr(block_task, "EXACT", 0)
    reads = traced(block_arguments(given)).hbm_read
    np.testing.assert_array_equal(run(block_arguments(given)), usual)
    monkeypatch.undo()
    assert traced(block_arguments(given)).hbm_read < reads


def test_outputs_are_written_once_by_the_sum_and_once_by_each_block() -> None:
    """No zeros are put there first; a mark of 4 bytes belongs to each token of a block and each row of a core."""
    rows, hidden, block = 256, 512, 128
    given, _ = drawn(rows, hidden, 64, 4, 2, block, 1)
    arguments = block_arguments(given)
    tokens = np.count_nonzero(
        arguments["token_position_to_id"] >= 0
    )  # others are padding, which is not written
    assert traced(arguments).hbm_written == (tokens + 2 * rows) * (hidden * 2 + 4)


def traced(arguments: dict[str, Any]) -> nkisim.Trace:
    with nkisim.trace() as trace:
        run(arguments)
    return trace
