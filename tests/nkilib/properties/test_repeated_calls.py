"""Every public kernel, launched so often that its launches are replayed: the bits that its Python gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from randomcalls import EVERY, Family, by_seed
from replaying import unwatched

from nkisim.core import repeated
from nkisim.core.watch import mode

LAUNCHES = 9
"""The seventh is the first to be replayed."""
USUAL = {
    "RoPE_sbuf": "in_tiles imports",
    "gen_mask_tkg": "arguments that cannot be compared",
    "rmsnorm_mx_quantize_tkg": "arguments that cannot be compared",
    "router_topk": "arguments that cannot be compared",
    "blockwise_mm_baseline_shard_intermediate_hybrid": "it cannot be recorded",
    "bwmm_shard_on_block_mx": "it cannot be recorded",
    "blockwise_mm_shard_intermediate_mx_hybrid": "it cannot be recorded",
    "moe_cte": "it cannot be recorded",
}
"""Families whose call is never replayed: dynamic loops, and what their tests hand over or do."""


@pytest.fixture(autouse=True)
def _unwatched():
    with unwatched():
        yield


@EVERY
def test_repeated_launches_give_the_same_bits(family: Family, monkeypatch) -> None:
    call = family.draw(by_seed(1))
    lnc = call.lnc[-1]
    with mode("strict", False):  # what is watched is not replayed
        monkeypatch.setenv("NKISIM_REPLAY", "0")
        wanted = bits(call.run(lnc))
        monkeypatch.delenv("NKISIM_REPLAY")
        for _ in range(LAUNCHES):
            assert bits(call.run(lnc)) == wanted
    found = [habit.why_not for habit in repeated._HABITS.values()] or ["arguments that cannot be compared"]
    assert found == [USUAL.get(family.id, "")]


def bits(results: list[Any]) -> list[bytes]:
    return [np.ascontiguousarray(part).tobytes() for part in results]
