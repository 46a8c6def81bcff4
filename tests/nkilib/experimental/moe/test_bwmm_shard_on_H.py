"""``blockwise_mm_baseline_shard_hidden``: the oracle's cases, ragged halves of H, checkpoints, modes, refusals."""

from __future__ import annotations

import functools
from typing import Any

import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP32
from kernels import check_close, launch, rejected
from moe_numpy_cases import CASES, _cte
from moes import block_arguments

from nkilib.core.moe.moe_cte.bwmm_shard_on_I import blockwise_mm_baseline_shard_intermediate
from nkilib.core.utils.common_types import ExpertAffinityScaleMode
from nkilib.experimental.moe.forward.bwmm_shard_on_H import SkipMode, blockwise_mm_baseline_shard_hidden

ATOL = 1e-5
ABSENT = (
    "activation_function",
    "gate_clamp_upper_limit",
    "gate_clamp_lower_limit",
    "up_clamp_upper_limit",
    "up_clamp_lower_limit",
)


@functools.cache
def drawn(*sizes: int, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    given, want, _ = _cte(*sizes, ckpt=True, **options)()
    return given, want


def arguments_of(given: dict[str, Any], dtype: Any = BF16) -> dict[str, Any]:
    return {name: value for name, value in block_arguments(given, dtype).items() if name not in ABSENT}


def run(arguments: dict[str, Any], lnc: int = 2) -> Any:
    return launch(blockwise_mm_baseline_shard_hidden, lnc=lnc, **arguments)


def with_outputs(gates: Any, down: Any, **arguments: Any) -> Any:
    output = blockwise_mm_baseline_shard_hidden(
        gate_up_activations_T=gates, down_activations=down, **arguments
    )
    return output, gates, down


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("SH-")])
def test_cases(case: str, lnc: int) -> None:
    given, want, rtol = CASES[case]()
    arguments = arguments_of(given)
    if len(want) == 1:
        got = (run(arguments, lnc),)
    else:
        shapes = [want[name].shape for name in ("gate_up_activations_T", "down_activations")]
        got = launch(with_outputs, *(np.zeros(shape, BF16) for shape in shapes), lnc=lnc, **arguments)
    for result, (name, values) in zip(got, want.items(), strict=True):
        check_close(result, values, rtol, ATOL, name)


@pytest.mark.parametrize(
    ("T", "H", "inner", "experts", "k", "B", "skip"),
    [
        (200, 144, 48, 4, 2, 128, 0),
        (200, 2880, 32, 2, 1, 128, 1),
        (300, 256, 336, 5, 2, 256, 2),
        (600, 512, 48, 2, 2, 1024, 1),
        (90, 256, 16, 8, 1, 128, 0),
    ],
    ids=str,
)
def test_sizes(T: int, H: int, inner: int, experts: int, k: int, B: int, skip: int) -> None:
    given, want = drawn(T, H, inner, experts, k, B, skip)
    check_close(run(arguments_of(given)), want["output"], 2e-2, ATOL)


@pytest.mark.slow
def test_a_model() -> None:
    given, want = drawn(1024, 6144, 336, 16, 4, 512, 1)
    check_close(run(arguments_of(given)), want["output"], 2e-2, ATOL)


def test_skipping_weights_changes_nothing() -> None:
    given, _ = drawn(200, 256, 48, 4, 2, 128, 0)
    arguments = arguments_of(given)
    assert np.array_equal(run({**arguments, "skip_dma": SkipMode(False, True)}), run(arguments))


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize(("mode", "member"), [("NO", "NO_SCALE"), ("PRE_H", "PRE_SCALE"), ("POST", "POST_SCALE")])  # fmt: skip
def test_modes(mode: str, member: str, skip: int) -> None:
    given, want = drawn(200, 256, 48, 4, 2, 128, skip, mode=mode)
    arguments = arguments_of(given)
    arguments["expert_affinities_scaling_mode"] = ExpertAffinityScaleMode[member]
    check_close(run(arguments), want["output"], 2e-2, ATOL)
    if member == "POST_SCALE":
        del arguments["expert_affinities_scaling_mode"]
        check_close(run(arguments), want["output"], 2e-2, ATOL)


def test_top_1_is_written_as_it_is() -> None:
    given, want = drawn(200, 256, 48, 4, 1, 128, 0, acc=False)
    got = run({**arguments_of(given), "is_tensor_update_accumulating": False})
    check_close(got[:200], want["output"][:200], 2e-2, ATOL)


def test_float32() -> None:
    given, want = drawn(200, 256, 48, 4, 2, 128, 0)
    arguments = {**arguments_of(given, FP32), "compute_dtype": nl.float32}
    check_close(run(arguments), want["output"], 1e-4, ATOL)
    rounded = run({**arguments, "compute_dtype": nl.bfloat16})
    check_close(rounded, want["output"], 2e-2, ATOL)
    assert not np.array_equal(rounded, run(arguments))


def test_rows_of_the_down_weights_that_pad_them_are_not_read() -> None:
    given, want = drawn(200, 256, 20, 4, 2, 128, 0)
    arguments = arguments_of(given)
    padded = np.full((4, 32, 256), np.nan, BF16)
    padded[:, :20] = arguments["down_proj_weight"]
    check_close(run({**arguments, "down_proj_weight": padded}), want["output"], 2e-2, ATOL)


def test_it_is_the_kernel_that_divides_the_intermediate() -> None:
    given, _ = drawn(200, 512, 48, 4, 2, 256, 0)
    arguments = arguments_of(given)
    want = launch(blockwise_mm_baseline_shard_intermediate, lnc=2, **arguments)
    check_close(run(arguments), want, 2e-2, ATOL)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"down_proj_weight": np.zeros((4, 20, 256), BF16)}, "down_proj_weight I_TP must be divisible by 16"),
        ({"gate_up_proj_weight": np.zeros((4, 255, 2, 48), BF16)}, "Hidden dim must be divisible by 2"),
        ({"block_size": 192}, "Blocksize must be a multiple of 128"),
        (
            {"expert_affinities_scaling_mode": ExpertAffinityScaleMode.PRE_SCALE_DELAYED},
            "not PRE_SCALE_DELAYED",
        ),
    ],
    ids=str,
)
def test_refused(changes: dict[str, Any], text: str) -> None:
    given, _ = drawn(200, 256, 48, 4, 2, 128, 0)
    with rejected(text):
        run({**arguments_of(given), **changes})
