"""The affinities to the experts of one rank, in SBUF; and how a column of them gets onto all partitions."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.masks import load_number
from ....blocks.memory import PARTITIONS, Scratch, manager, scratch
from ....blocks.tiles import as_tile, as_view, from_runtime_start, load_rows, tile_rows, tiles_of
from ...utils.allocator import SbufManager
from ...utils.common_types import ExpertAffinityScaleMode
from ...utils.kernel_assert import assert_shape, kernel_assert
from ...utils.tensor_view import TensorView
from .moe_tkg_parameters import Routing


def mask_expert_affinities(
    expert_affinities: nl.ndarray,
    expert_index: nl.ndarray,
    rank_id: nl.ndarray,
    E_L: int,
    T: int,
    K: int,
    io_dtype: Any,
    mask_unselected_experts: bool,
) -> nl.ndarray:
    """The affinities to the experts of one rank, in a new tile of SBUF; called by kernels.

    Args:
        expert_affinities: HBM ``[T, E]``; expert e of the rank is column ``rank·E_L + e``.
        expert_index: integers ``[T, K]``, HBM or SBUF, or SBUF ``[128, ⌈T/128⌉, K]``, token t at
            ``[t % 128, t // 128]``. rank_id: HBM ``[1, 1]``.
        io_dtype: of the result.
        mask_unselected_experts: 0 for experts that the index does not name.

    Returns:
        ``[T, E_L]``, or for T > 128 ``[128, ⌈T/128⌉, E_L]``, folded like the index.

    Raises AssertionError for affinities that are not ``[T, E]``, and for an index without K columns.
    """
    assert_shape(expert_affinities, (T, expert_affinities.shape[1]), "expert_affinities")
    routing = Routing(
        affinities=expert_affinities,
        index=expert_index,
        eager=None,
        rank=rank_id,
        masked=mask_unselected_experts,
        mode=ExpertAffinityScaleMode.POST_SCALE,
    )
    view = as_view(expert_index)
    choices = view.shape[view.get_dim() - 1]
    kernel_assert(choices == K, f"expert_index has {choices} columns, K is {K}")
    sbm = manager()
    shape = (T, E_L) if T <= PARTITIONS else (PARTITIONS, tiles_of(T), E_L)
    masked = nl.ndarray(shape, dtype=io_dtype, buffer=nl.sbuf)
    work = scratch(sbm, name="mask_expert_affinities")
    local = local_affinities(routing, E_L, T, work, sbm)
    for fold in range(local.shape[1]):
        rows = tile_rows(T, fold)
        part = masked if T <= PARTITIONS else masked[0:rows, fold, :]
        nisa.tensor_copy(dst=part, src=local[0:rows, fold, :])
    work.close()
    return masked


def local_affinities(
    routing: Routing, experts: int, tokens: int, work: Scratch, sbm: SbufManager
) -> nl.ndarray:
    """``a[t % 128, t // 128, e] = affinities[t, rank·E_L + e]``, fp32 ``[min(T, 128), ⌈T/128⌉, E_L]``.

    Masked, it is 0 where ``index[t]`` does not name the expert ``rank·E_L + e``; an index that names it twice
    counts once. ``experts`` is E_L.
    """
    local = work.tile((min(tokens, PARTITIONS), tiles_of(tokens), experts), nl.float32)
    own = scratch(sbm, name="local_affinities")
    first = own.tile((local.shape[0] if routing.masked else 1, 1), nl.float32)
    load_number(first, routing.rank, own)
    nisa.tensor_scalar(dst=first, data=first, op0=nl.multiply, operand0=float(experts))
    start = own.tile((1, 1), nl.int32)
    nisa.tensor_copy(dst=start, src=first[0:1, :])
    columns = as_view(routing.affinities).slice(1, 0, experts)
    load_rows(local, from_runtime_start(columns, 1, start))
    if routing.masked:
        _mask(local, first, routing.index, tokens, own)
    own.close()
    return local


def _mask(local: nl.ndarray, first: nl.ndarray, index: Any, tokens: int, work: Scratch) -> None:
    """Zero where none of a token's experts is ``first + e``."""
    rows, folds, experts = local.shape
    named = load_index(index, tokens, work)
    numbers = work.tile((rows, experts), nl.float32)
    nisa.iota(dst=numbers, pattern=[[1, experts]], offset=0, channel_multiplier=0)
    nisa.tensor_scalar(dst=numbers, data=numbers, op0=nl.add, operand0=first)
    hits = work.tile((rows, experts), nl.float32)
    for fold in range(folds):
        count = tile_rows(tokens, fold)
        nisa.memset(dst=hits, value=0.0)
        for choice in range(named.shape[2]):
            nisa.scalar_tensor_tensor(
                dst=hits[0:count, :],
                data=numbers[0:count, :],
                op0=nl.equal,
                operand0=named[0:count, fold, choice : choice + 1],
                op1=nl.maximum,
                operand1=hits[0:count, :],
            )
        part = local[0:count, fold, :]
        nisa.tensor_tensor(dst=part, data1=part, data2=hits[0:count, :], op=nl.multiply)


def load_index(index: Any, tokens: int, work: Scratch) -> nl.ndarray:
    """Expert numbers as fp32 ``[min(T, 128), ⌈T/128⌉, K]``.

    index: integers ``[T, K]`` in HBM or SBUF, or folded, SBUF ``[128, ⌈T/128⌉, K]``, token t at
    ``[t % 128, t // 128]``.
    """
    view = as_view(index)
    choices = view.shape[view.get_dim() - 1]
    shape = (min(tokens, PARTITIONS), tiles_of(tokens), choices)
    named = work.tile(shape, nl.float32)
    if not view.is_sbuf():
        held = work.tile(shape, view.dtype)
        load_rows(held, view)
        view = as_view(held)
    elif view.get_dim() == 2:
        view = view.expand_dim(1)
    for fold in range(shape[1]):
        count = tile_rows(tokens, fold)
        part = view.select(1, fold).slice(0, 0, count)
        nisa.tensor_copy(dst=named[0:count, fold, :], src=part.get_view())
    return named


def in_float32(tensor: Any, work: Scratch) -> nl.ndarray:
    """``[T ≤ 128, N]`` of HBM or SBUF as an fp32 tile."""
    view = as_view(tensor)
    tile = work.tile(tuple(view.shape), nl.float32)
    if view.is_sbuf():
        nisa.tensor_copy(dst=tile, src=as_tile(view))
    else:
        nisa.dma_copy(dst=tile, src=as_tile(view))
    return tile


def one_row(tensor: Any, start: int, count: int, work: Scratch) -> nl.ndarray:
    """Rows ``start`` on of integers ``[T, K]``, in HBM or SBUF, one after the other on one partition.

    int32 ``[1, count·K]``: one element of it selects in a tensor when an access runs.
    """
    view: TensorView = as_view(tensor)
    choices = view.shape[1]
    row = work.tile((1, count, choices), nl.int32)
    nisa.dma_copy(dst=row, src=view.slice(0, start, start + count).get_view())
    return row
