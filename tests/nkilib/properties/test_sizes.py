"""A tensor that is larger or smaller than the others say is refused with a message, and never read as it is.

Neither is one with more or fewer dimensions, or without elements.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from blockcheck import NoTileError
from randomcalls import EVERY, SEEDS, SMALL, Call, Family, by_seed

FOLDED = {
    ("cumsum", "x"), ("cascaded_max", "input_tensor"), ("topk", "inp"), ("rmsnorm_quant_kernel", "hidden"),
    ("rope_hf", "rope_cache"), ("rope_hf", "cos"), ("rope_hf", "sin"), ("blockwise_mm_bwd", "expert_affinities_masked"),
    ("attention_bwd", "sinks_ref"),
}  # fmt: skip
"""Family and tensor of any number of dimensions, as which its results come; or without the batch."""
BY_CALLS = {
    "rmsnorm_tkg": "input",
    "rmsnorm_mx_quantize_tkg": "input",
    "layernorm_tkg": "input",
    "router_topk": "x",
    "attention_tkg": "active_blocks_table",
}
"""Family and tensor of which the calling function makes others, before the kernel can see it."""


@SMALL
def test_other_ranks_of_one_call(family: Family) -> None:
    check_ranks(family, SEEDS[:1])


@pytest.mark.slow
@EVERY
def test_other_ranks_are_refused(family: Family) -> None:
    check_ranks(family, SEEDS)


def check_ranks(family: Family, seeds: list[int]) -> None:
    """Results without elements are those of tensors without."""
    for seed in seeds:
        call = family.draw(by_seed(seed))
        lnc = call.lnc[-1]
        for name, value in call.given(lnc).items():
            if isinstance(value, np.ndarray) and BY_CALLS.get(family.id) != name:
                ranks = (
                    []
                    if (family.id, name) in FOLDED
                    else [value[None], value[..., None], value.reshape(-1), value[0]]
                )
                empty = [np.take(value, [], dim) for dim in range(value.ndim)]
                for other in (*(each for each in ranks if each.shape != value.shape), *empty):
                    refused_or_right(call, lnc, f"of {value.shape}", name, np.array(other))


@pytest.mark.slow
@EVERY
def test_other_sizes_are_refused(family: Family) -> None:
    for seed in SEEDS:
        call = family.draw(by_seed(seed))
        lnc = call.lnc[-1]
        for name, value in call.given(lnc).items():
            if not isinstance(value, np.ndarray):
                continue
            for dim, other in resized(value, family.free.get(name, ())):
                refused_or_right(call, lnc, f"dimension {dim} of {value.shape}", name, other)


def refused_or_right(call: Call, lnc: int, what: str, name: str, other: Any) -> None:
    """A tensor that a call does not read, as gamma without a norm, may be anything; a tile that none has is no call."""
    try:
        got, _ = call.tried(lnc, **{name: other})
    except NoTileError:
        return
    if got is None or not all(result.size for result in got):
        return
    try:
        call.check(got, lnc)
    except AssertionError as error:
        raise AssertionError(f"{name}, {what}, may be {other.shape}") from error


def resized(value: Any, free: tuple[int, ...]) -> Iterator[tuple[int, Any]]:
    """The tensor with one more, one less, twice as much and half of it in each dimension that is not free."""
    for dim in range(value.ndim):
        size = value.shape[dim]
        for other in {size + 1, size - 1, 2 * size, size // 2} - {0, size} if dim not in free else ():
            yield dim, np.ascontiguousarray(np.take(value, np.arange(other) % size, dim))
