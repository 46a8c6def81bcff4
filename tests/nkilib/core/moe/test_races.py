"""No core reads or writes what another one writes without a barrier or an exchange in between."""

from __future__ import annotations

from typing import Any

import pytest
from kernels import launch
from moe_numpy_cases import CASES, _cte
from moes import block_arguments, block_mx_arguments, conditions_of, run_tkg, tkg_arguments, tkg_mx_arguments

import nkisim
from nkilib.core.moe.moe_cte.bwmm_shard_on_block import bwmm_shard_on_block
from nkilib.core.moe.moe_cte.bwmm_shard_on_block_mx import bwmm_shard_on_block_mx
from nkilib.core.moe.moe_cte.bwmm_shard_on_I import (
    blockwise_mm_baseline_shard_intermediate,
    blockwise_mm_baseline_shard_intermediate_hybrid,
)
from nkilib.core.moe.moe_cte.bwmm_shard_on_I_mx import blockwise_mm_shard_intermediate_mx_hybrid

SKIPS = pytest.mark.parametrize("skip", [0, 1])


def drawn(*sizes: int, **options: Any) -> dict[str, Any]:
    return _cte(*sizes, **options)()[0]


@SKIPS
@pytest.mark.parametrize("accumulating", [True, False])
def test_blocks(accumulating: bool, skip: int) -> None:
    given = drawn(200, 512, 64, 2, 1 + accumulating, 128, skip)
    with nkisim.races():
        launch(
            bwmm_shard_on_block, lnc=2, is_tensor_update_accumulating=accumulating, **block_arguments(given)
        )


@SKIPS
def test_inner(skip: int) -> None:
    """Padding is in both halves of the blocks, and of several blocks."""
    given = drawn(300, 512, 96, 2, 2, 256, skip)
    arguments = block_arguments(given)
    with nkisim.races():
        launch(blockwise_mm_baseline_shard_intermediate, lnc=2, checkpoint_activation=True, **arguments)
        arguments["conditions"] = conditions_of(given, 1)
        launch(blockwise_mm_baseline_shard_intermediate_hybrid, lnc=2, num_static_block=1, **arguments)


@SKIPS
def test_mx(skip: int) -> None:
    blocks = drawn(200, 512, 64, 2, 2, 128, skip, True, kind="e2m1")
    inner = drawn(200, 512, 1024, 2, 2, 256, skip, True, kind="e2m1")
    with nkisim.races():
        arguments = {**block_mx_arguments(blocks, "e2m1"), "conditions": conditions_of(blocks, 2)}
        launch(bwmm_shard_on_block_mx, lnc=2, target="trn3", n_dynamic_blocks=2, **arguments)
        arguments = {**block_mx_arguments(inner, "e2m1"), "conditions": conditions_of(inner, 1)}
        launch(
            blockwise_mm_shard_intermediate_mx_hybrid,
            lnc=2,
            target="trn3",
            num_static_block=1,
            **arguments,
        )


@pytest.mark.parametrize("case", ["TKG-02", "TKG-06", "TKG-07", "TMX-02", "TMX-05"])
def test_token_generation(case: str) -> None:
    given, _, _ = CASES[case]()
    with nkisim.races():
        if case.startswith("TMX"):
            run_tkg(tkg_mx_arguments(given), target="trn3")
        else:
            run_tkg(tkg_arguments(given))
