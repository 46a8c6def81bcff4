"""A call of :mod:`.attention_cte` before its rows are worked on: masks, and keys and values in SBUF."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.masks import Band, Bounds, load_number, query_positions
from ...blocks.matmul import load_transposed
from ...blocks.memory import PARTITIONS, Scratch
from ...blocks.tiles import as_view, from_runtime_start, load_broadcast, load_rows, tiles_of
from ..utils.allocator import SbufManager
from ..utils.kernel_helpers import get_ceil_aligned_size
from ..utils.tensor_view import TensorView

_WINDOW_UNIT = 512
"""With a window, a slice of context-parallel keys is a multiple of so many long."""


class Share(nl.NKIObject):
    """Work on one batch row: its tiles of queries from ``first`` to ``end - 1``."""

    batch: int = 0
    first: int = 0
    end: int = 0


class Call(nl.NKIObject):
    """One call's tensors, and what :func:`prepare` finds out about it.

    Attributes:
        cfg: an AttnConfig.
        keys: active keys to load, from the one at ``start`` on (int32 ``[1, 1]`` in SBUF; None: the first).
        negated_sinks: fp32 ``[128, bs]``, on all partitions the same.
        band: positions of queries among these keys.
        bounds, prior_bounds: masks of active and of prior keys; None where every key is seen.
    """

    cfg: Any
    q: Any
    k: Any
    v: Any
    k_prior: Any
    v_prior: Any
    sink: Any
    result: Any
    neg_max: Any
    recip: Any
    keys: int = 0
    band: Any = None
    negated_sinks: Any = None
    start: Any = None
    bounds: Any = None
    prior_bounds: Any = None


class Segment(nl.NKIObject):
    """Keys ``[d, n]`` and values ``[128, ⌈n/128⌉, d]`` of a KV row in SBUF, bfloat16; prior or active."""

    keys: Any
    values: Any
    length: int
    prior: bool
    bounds: Any


def prepare(call: Call, prior_used_len: Any, cp_offset: Any, work: Scratch) -> None:
    """Masks, and where the loaded keys start; all that depends on values known only at run time."""
    cfg = call.cfg
    call.keys, call.band = _loaded_keys(cfg), _band(cfg)
    if call.sink is not None:
        call.negated_sinks = _negated_sinks(call.sink, work)
    if not cfg.causal_mask and not cfg.is_prefix_caching:
        return
    positions = work.tile((PARTITIONS, tiles_of(cfg.seqlen_q)), nl.float32)
    query_positions(positions, call.band.step)
    among_loaded, among_all = positions, positions
    if cfg.use_cp:
        offset = work.tile((PARTITIONS, 1), nl.float32)
        load_number(offset, cp_offset, work)
        among_all = _moved(positions, offset, 0.0, work)
        among_loaded = among_all
        if call.keys < cfg.seqlen_k_active:
            among_loaded = _moved(positions, _cut_keys(call, offset, work), 0.0, work)
    if cfg.causal_mask:
        call.bounds = Bounds(upper=among_loaded, lower=_window_start(call, among_loaded, 0.0, work))
    if cfg.is_prefix_caching:
        used = work.tile((PARTITIONS, 1), nl.float32)
        load_number(used, prior_used_len, work)
        last = work.tile((PARTITIONS, 1), nl.float32)
        nisa.tensor_scalar(dst=last, data=used, op0=nl.add, operand0=-1.0)
        call.prior_bounds = Bounds(upper=last, lower=_window_start(call, among_all, used, work))


def _negated_sinks(sink: Any, work: Scratch) -> nl.ndarray:
    held = work.tile((PARTITIONS, sink.shape[0]), sink.dtype)
    load_broadcast(held, as_view(sink).permute((1, 0)))
    negated = work.tile((PARTITIONS, sink.shape[0]), nl.float32)
    nisa.tensor_scalar(dst=negated, data=held, op0=nl.multiply, operand0=-1.0)
    return negated


def _loaded_keys(cfg: Any) -> int:
    """How many active keys these queries can see: a contiguous slice with a window does not need all."""
    if not cfg.use_cp or not cfg.use_swa or cfg.cp_strided_q_slicing:
        return int(cfg.seqlen_k_active)
    needed = get_ceil_aligned_size(cfg.seqlen_q + cfg.sliding_window - 1, _WINDOW_UNIT)
    return int(min(cfg.seqlen_k_active, needed))


def _band(cfg: Any) -> Band:
    """What is known of the positions of queries among all active keys."""
    if not cfg.use_cp:
        return Band(causal=cfg.causal_mask, window=cfg.sliding_window)
    if cfg.cp_strided_q_slicing:
        step = cfg.global_cp_deg
        return Band(causal=True, window=cfg.sliding_window, step=step, least=0, most=max(step - 1, 0))
    return Band(causal=True, window=cfg.sliding_window, step=1, least=0, most=cfg.seqlen_k_active)


def _moved(positions: Any, by: Any, also: float, work: Scratch) -> nl.ndarray:
    """``positions + by + also``; ``by`` is a number or ``[128, 1]``."""
    moved = work.tile(tuple(positions.shape), nl.float32)
    nisa.tensor_scalar(dst=moved, data=positions, op0=nl.add, operand0=by, op1=nl.add, operand1=also)
    return moved


def _window_start(call: Call, positions: Any, by: Any, work: Scratch) -> Any:
    """The first key in each query's window, whose own key is at ``positions + by``; None without a window."""
    if call.cfg.sliding_window == 0:
        return None
    return _moved(positions, by, 1.0 - call.cfg.sliding_window, work)


def _cut_keys(call: Call, offset: Any, work: Scratch) -> nl.ndarray:
    """Let the loaded keys end with this rank's last query; returns the first query's position among them.

    They start at ``max(0, offset - spare)`` with ``spare = loaded keys - queries``, so that it is
    ``min(offset, spare)``.
    """
    spare = call.keys - call.cfg.seqlen_q
    call.start = work.tile((1, 1), nl.int32)
    nisa.tensor_scalar(
        dst=call.start, data=offset[0:1, :], op0=nl.add, operand0=-float(spare), op1=nl.maximum, operand1=0.0
    )
    call.band = Band(causal=True, window=call.band.window, step=1, least=0, most=spare)
    inside = work.tile((PARTITIONS, 1), nl.float32)
    nisa.tensor_scalar(dst=inside, data=offset, op0=nl.minimum, operand0=float(spare))
    return inside


def load_segments(call: Call, kv_row: int, held: Scratch, sbm: SbufManager) -> list[Segment]:
    """Prior keys, if any, then active ones; ``held`` gives the tiles they stay in."""
    segments = []
    cfg = call.cfg
    if cfg.is_prefix_caching:
        keys, values = as_view(call.k_prior).select(0, kv_row), as_view(call.v_prior).select(0, kv_row)
        segments.append(_segment(keys, values, cfg.tp_k, True, call.prior_bounds, held, sbm))
    token = 0 if cfg.tp_k else 1
    keys = as_view(call.k).select(0, kv_row).slice(token, 0, call.keys)
    values = as_view(call.v).select(0, kv_row).slice(0, 0, call.keys)
    if call.start is not None:
        keys = from_runtime_start(keys, 1 + token, call.start)
        values = from_runtime_start(values, 1, call.start)
    segments.append(_segment(keys, values, cfg.tp_k, False, call.bounds, held, sbm))
    return segments


def _segment(
    keys: TensorView,
    values: TensorView,
    tp_k: bool,
    prior: bool,
    bounds: Any,
    held: Scratch,
    sbm: SbufManager,
) -> Segment:
    length, depth = values.shape[0], values.shape[1]
    columns = held.tile((depth, length), nl.bfloat16)
    rows = held.tile((PARTITIONS, tiles_of(length), depth), nl.bfloat16)
    if tp_k:
        load_transposed(columns, keys, sbm)
    else:
        nisa.dma_copy(dst=columns, src=keys.get_view())
    load_rows(rows, values)
    return Segment(keys=columns, values=rows, length=length, prior=prior, bounds=bounds)
