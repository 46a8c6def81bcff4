"""Integers, numbers and members of enumerations that are none are refused by name, or make no difference."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

import numpy as np
import pytest
from randomcalls import EVERY, FAMILIES, SEEDS, SMALL, Family
from randomcalls.changed import MADE_BY_CALLS, SPOKEN, Changed, Stranger

MEANT = {
    ("", "hidden_actual"): ((0,), "all of H"),
    ("", "X_hidden_dim_actual"): ((0,), "all of H"),
    ("", "d_head"): ((0,), "not given"),
    ("", "num_q_heads"): ((0,), "not given"),
    ("", "num_kv_heads"): ((0,), "not given"),
    ("cumsum", "axis"): ((-1,), "the last axis"),
    ("attention_cte", "sliding_window"): ((0,), "no window"),
    ("attention_bwd", "sliding_window"): ((0, -1, -5, -100, 2**31), "no window"),
    ("attention_bwd", "softmax_scale"): ((0,), "the default"),
    ("indexed_flatten", "padding_val"): ("all", "any number"),
    ("gen_mask_tkg", "s_prior_offset"): ("all", "any place"),
    ("gen_mask_tkg", "s_prior_per_shard"): ("all", "any length"),
    ("gen_mask_tkg", "block_len"): ((0,), "a flat cache"),
    ("router_topk", "x_sb_layout"): ((0,), "another layout of the same tile"),
    ("bwmm_shard_on_block_mx", "n_static_blocks"): ("all", "as far as blocks are there"),
}
"""Family, "" for any, and parameter → values that mean something else than what was drawn, and what."""


@pytest.mark.slow
@EVERY
def test_other_values_are_refused_or_right(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    check_values(Changed(family, monkeypatch), SEEDS)


@SMALL
def test_other_values_of_small_calls(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    check_values(Changed(family, monkeypatch), SEEDS[:1])


def test_what_is_listed_is_of_a_family() -> None:
    known = {family.id: family.parameters() for family in FAMILIES}
    everywhere = {name for parameters in known.values() for name in parameters}
    assert all(name in (known[family] if family else everywhere) for family, name in MEANT)
    assert all(set(names) <= known[family].keys() for family, names in MADE_BY_CALLS.items())
    assert SPOKEN.keys() <= everywhere


@np.errstate(all="ignore")
def check_values(changed: Changed, seeds: list[int]) -> None:
    family, wrong = changed.family, set()
    for seed in seeds:
        call = changed.draw(seed)
        lnc = call.lnc[-1]
        for name, value in call.given(lnc).items():
            if name in family.parameters() and name not in MADE_BY_CALLS.get(family.id, ()):
                wrong |= {changed.outcome(call, lnc, name, other) for other in others(family, name, value)}
    assert not wrong - {""}, "\n".join(sorted(wrong))


def others(family: Family, name: str, value: Any) -> Iterator[Any]:
    """What is no value of the parameter, or not this one."""
    meant, _ = MEANT.get((family.id, name)) or MEANT.get(("", name), ((), ""))
    for other in of_kind(name, value):
        if meant != "all" and other not in (*meant, value):
            yield other


def of_kind(name: str, value: Any) -> list[Any]:
    if isinstance(value, bool):
        return []
    if isinstance(value, int):
        return [-1, 0, -value, 2**31, value + 0.5, str(value), (), True]
    if isinstance(value, Enum):
        return [value.name, Stranger.SiLU, None, 99]
    if isinstance(value, float) and "eps" in name:
        return [-1.0, float("nan"), float("inf"), "1", ()]
    return [float("nan"), "1", ()] if isinstance(value, float) else []
