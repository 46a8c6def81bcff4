"""The k largest elements of each row, and their indices.

Each row is cut into n stages on a partition each, and elements are carried past all of them in n buckets of
local_k elements: in every round each stage puts the local_k largest of its own and its visitor's elements
into the bucket and keeps the rest, and the buckets move on to the next stage. After n rounds every bucket was
at every stage. One that still holds an element outside the n·local_k largest has left none of these behind
anywhere, so all of them are in buckets: together they are exactly the largest.
"""

from enum import Enum
from typing import Any

import nki
import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_classes
from ...blocks.memory import Scratch, manager, scratch
from ...blocks.tiles import as_view
from ...blocks.topk import EIGHT
from ..max.cascaded_max_utils import own_rows
from ..utils.kernel_assert import kernel_assert
from .rotational_topk_utils import (
    RotationalConstants,
    RotationalTopkConfig,
    TopkConfig,
    gather,
    load_stages,
    make_constants,
    naive_scanning_topk,
    reshape_with_dma,
    rotate,
    sort,
    topk_core,
    validate_config,
    validate_topk_input,
)
from .subscripted import Subscripted

__all__ = [
    "SUPPORTED_TOPK_METHOD_MAPPING",
    "RotationalTopkConfig",
    "SupportedTopkMethods",
    "TopkConfig",
    "cleanup_rotational_constants",
    "prepare_rotational_constants",
    "rotational_topk",
    "topk",
]


class SupportedTopkMethods(Enum):
    """How the largest elements are found."""

    SCANNING = 0
    """Every row as a whole, of at most 16384 elements."""
    CASCADED = 1
    """Not available."""
    ROTATIONAL = 2


@nki.jit
def rotational_topk(inp: nl.ndarray, config: RotationalTopkConfig) -> tuple[nl.ndarray, nl.ndarray]:
    """The k largest elements of each row of HBM ``[BxS, V]``; rows are divided between the cores.

    Infinities count as the largest finite float32, and the one next to the lowest.

    Args:
        config: for the input's shape and the cores of the launch.

    Returns:
        HBM ``[BxS, k]`` values of the input's dtype, and uint32 indices: descending, or, if that was not
        asked for and k needs no rounding up, in n blocks that each descend.

    Raises AssertionError when it does not fit.
    """
    validate_config(config.topk_config)
    config.update_shard_info()
    config.assert_valid()
    if config.n_stages == 1:
        return _scan(inp, config.topk_config)
    validate_topk_input(inp, config.n_stages, config.local_top_k_per_stage)
    work = scratch(manager(), name="rotational_topk")
    values, numbers = _go_round(inp, config, work)
    values = reshape_with_dma(values, config.n_stages, nl.float32)
    numbers = reshape_with_dma(numbers, config.n_stages, nl.float32)
    if config.sorted:
        values, numbers = sort(values, numbers)
    results = _store(inp, values, _in_rows(numbers, config, work), config.topk_config)
    work.close()
    return results


@nki.jit
def scanning_topk(inp: nl.ndarray, config: TopkConfig) -> tuple[nl.ndarray, nl.ndarray]:
    """As :func:`rotational_topk`, with each row searched as a whole: V ≤ 16384, always descending."""
    config.update_shard_info()
    return _scan(inp, config)


def _scan(inp: nl.ndarray, config: TopkConfig) -> tuple[nl.ndarray, nl.ndarray]:
    values, places = naive_scanning_topk(inp, config)
    return _store(inp, values, places, config)


def _go_round(inp: nl.ndarray, config: RotationalTopkConfig, work: Scratch) -> tuple[Any, Any]:
    """All rounds; what the buckets hold at the end, fp32 ``[stages, local_k]``: values and numbers."""
    _, rows = own_rows(config.BxS, config.prg_id, config.n_prgs)
    stages, each = rows * config.n_stages, config.local_top_k_per_stage
    constants = make_constants(config, rows, work)
    data = work.tile((stages, config.searched()), nl.float32)
    load_stages(data, inp, config.n_stages, config.topk_config)
    used = max(EIGHT, config.stage_free_size)
    for turn in range(config.n_stages):
        values, places = topk_core(data[:, 0:used], each)
        numbers = gather(constants.numbers[:, 0:used], places)
        if turn < config.n_stages - 1:
            _move_on(data, values, used, constants)
            _move_on(constants.numbers, numbers, used, constants)
            used += each
    return values, numbers


def _move_on(into: nl.ndarray, bucket: nl.ndarray, used: int, constants: RotationalConstants) -> None:
    """A bucket to the next stage, behind what is there."""
    behind = as_view(into).slice(1, used, used + bucket.shape[1])
    rotate(behind, bucket, constants.rotation)


def _in_rows(numbers: nl.ndarray, config: RotationalTopkConfig, work: Scratch) -> nl.ndarray:
    """Numbers of a core's elements as indices in their rows, uint32 ``[rows, N]``."""
    rows = numbers.shape[0]
    firsts = work.tile((rows, 1), nl.float32)
    indices = work.tile(tuple(numbers.shape), nl.uint32)
    nisa.iota(dst=firsts, pattern=[[0, 1]], offset=0, channel_multiplier=config.padded_vocab_size)
    nisa.tensor_scalar(dst=indices, data=numbers, op0=nl.subtract, operand0=firsts)
    return indices


def _store(
    inp: nl.ndarray, values: nl.ndarray, indices: nl.ndarray, config: TopkConfig
) -> tuple[nl.ndarray, nl.ndarray]:
    """The first k columns, as HBM ``[BxS, k]``."""
    start, rows = own_rows(config.BxS, config.prg_id, config.n_prgs)
    shape = (config.BxS, config.k)
    best = nl.ndarray(shape, dtype=inp.dtype, buffer=nl.shared_hbm)
    where = nl.ndarray(shape, dtype=config.index_dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=best[start : start + rows, :], src=values[:, 0 : config.k])
    nisa.dma_copy(dst=where[start : start + rows, :], src=indices[:, 0 : config.k])
    return best, where


# -- on the host ----------------------------------------------------------------------------------------

SUPPORTED_TOPK_METHOD_MAPPING = {
    SupportedTopkMethods.SCANNING: scanning_topk,
    SupportedTopkMethods.ROTATIONAL: rotational_topk,
}


@Subscripted
def topk(
    inp: Any,
    k: int,
    sorted_flag: bool = True,
    method: SupportedTopkMethods = SupportedTopkMethods.ROTATIONAL,
    lnc: Any = None,
) -> tuple[Any, Any]:
    """``topk[lnc](inp, k)``: the k largest elements along the last axis, launched on ``lnc`` cores.

    Args:
        inp: an array or tensor ``[…, V]``. sorted_flag: whether results must descend. method: how to search.

    Returns:
        Values ``[…, k]`` of the input's dtype, and uint32 indices.

    Raises ValueError for a method that is none, AssertionError for one that is not available, and for sizes
    that do not fit.
    """
    assert_classes(tensors=((inp, "inp"),), flags=((sorted_flag, "sorted_flag"),))
    if not isinstance(method, SupportedTopkMethods):
        raise ValueError(f"method must be one of {list(SupportedTopkMethods)}, not {method}")
    kernel_assert(method in SUPPORTED_TOPK_METHOD_MAPPING, f"top-k by {method.name} is not available")
    config = TopkConfig(tuple(inp.shape), inp.dtype, k, sorted_flag, lnc)
    flat = inp.reshape((config.BxS, config.vocab_size))
    given: Any = config
    if method is SupportedTopkMethods.ROTATIONAL:
        given = RotationalTopkConfig(tuple(flat.shape), config)
        prepare_rotational_constants(given)
    values, indices = SUPPORTED_TOPK_METHOD_MAPPING[method][config.n_prgs](flat, given)
    cleanup_rotational_constants()
    return values.reshape(config.out_shape), indices.reshape(config.out_shape)


def prepare_rotational_constants(config: RotationalTopkConfig) -> None:
    """For code written for kernels that read constants from files: this one makes them on chip."""


def cleanup_rotational_constants() -> None:
    """The same: there is nothing to remove."""
