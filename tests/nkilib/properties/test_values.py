"""Integers, numbers and members of enumerations that are none are refused by name, or make no difference."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

import numpy as np
import pytest
from randomcalls import FAMILIES, SEEDS, Call, Family, by_seed

QUICK = (
    "RoPE",
    "rope_hf",
    "rmsnorm_tkg",
    "layernorm_tkg",
    "qkv_tkg",
    "cumsum",
    "topk",
    "cross_entropy_forward",
)
MADE_BY_CALLS = {
    "attention_tkg": ("bs", "q_head", "s_active", "d_head"),
    "gen_mask_tkg": ("bs", "s_active"),
    "router_topk": ("k", "x_sb_layout"),
}
"""Family → sizes of which the calling function makes tensors, before the kernel can see them."""
MEANT = {
    ("", "hidden_actual"): ((0,), "all of H"),
    ("", "X_hidden_dim_actual"): ((0,), "all of H"),
    ("", "d_head"): ((0,), "not given"),
    ("", "num_q_heads"): ((0,), "not given"),
    ("", "num_kv_heads"): ((0,), "not given"),
    ("cumsum", "axis"): ((-1,), "the last axis"),
    ("attention_cte", "sliding_window"): ((0,), "no window"),
    ("attention_bwd", "sliding_window"): ((0, -1), "no window"),
    ("attention_bwd", "softmax_scale"): ((0,), "the default"),
    ("indexed_flatten", "padding_val"): ("all", "any number"),
    ("gen_mask_tkg", "s_prior_offset"): ("all", "any place"),
    ("gen_mask_tkg", "s_prior_per_shard"): ("all", "any length"),
    ("gen_mask_tkg", "block_len"): ((0,), "a flat cache"),
    ("bwmm_shard_on_block_mx", "n_static_blocks"): ("all", "as far as blocks are there"),
}
"""Family, "" for any, and parameter → values that mean something else than what was drawn, and what."""
SPOKEN = {
    "block_size": ("Blocksize", "B is"), "k": ("K (",), "top_k": ("K (", "k must be"), "full_sprior": ("k_prior must be",),
    "block_len": ("blocks of",), "d_head": ("heads of",), "num_q_heads": ("heads of",), "num_kv_heads": ("heads of",), "norm_eps": ("eps must be",),
    "fused_norm_type": ("norm_type",), "quantization_type_qkv": ("quantization_type",), "quantization_type_out": ("quantization_type",),
    "activation_fn": ("is no ActFnType",), "hidden_act_fn": ("is no ActFnType",), "activation_function": ("is no ActFnType",),
    "activation_type": ("activation_function",), "act_fn": ("activation function",), "router_act_fn": ("activation function",),
    "block_sharding_strategy": ("sharding strategy",),
}  # fmt: skip
"""Parameter → what errors may call it."""


class Stranger(Enum):
    """An enumeration that no kernel has."""

    SiLU = 0


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.id)
def test_other_values_are_refused_or_right(family: Family) -> None:
    check_values(family, SEEDS)


@pytest.mark.parametrize("family", [each for each in FAMILIES if each.id in QUICK], ids=lambda each: each.id)
def test_other_values_of_small_calls(family: Family) -> None:
    check_values(family, SEEDS[:1])


def test_what_is_listed_is_of_a_family() -> None:
    known = {family.id: family.parameters() for family in FAMILIES}
    assert set(QUICK) <= known.keys()
    everywhere = {name for parameters in known.values() for name in parameters}
    assert all(name in (known[family] if family else everywhere) for family, name in MEANT)
    assert all(set(names) <= known[family].keys() for family, names in MADE_BY_CALLS.items())
    assert SPOKEN.keys() <= everywhere


@np.errstate(all="ignore")
def check_values(family: Family, seeds: list[int]) -> None:
    wrong: list[str] = []
    for seed in seeds:
        call = family.draw(by_seed(seed))
        lnc = call.lnc[-1]
        for name, value in call.given(lnc).items():
            if name in family.parameters() and name not in MADE_BY_CALLS.get(family.id, ()):
                wrong += [
                    found
                    for other in others(family, name, value)
                    if (found := outcome(call, lnc, name, other))
                ]
    assert not wrong, "\n".join(sorted(set(wrong)))


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


def outcome(call: Call, lnc: int, name: str, other: Any) -> str:
    """What is wrong; "" for an error that names the parameter, and for the right results."""
    what = f"{name} = {other!r}"
    try:
        got, words = call.tried(lnc, **{name: other})
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(f"{name} must be"):
            return ""
        return f"{what}: {type(error).__name__}: {error}"
    if got is None:
        named = any(each in words for each in (name, *SPOKEN.get(name, ())))
        return "" if named else f"{what} is not named: {words}"
    try:
        call.check(got, lnc)
    except AssertionError as error:
        return f"{what} is taken: {error}"
    return ""
