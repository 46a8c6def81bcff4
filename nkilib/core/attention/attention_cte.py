"""Attention for context encoding (prefill): whole sequences of queries and keys, with an optional prefix.

For batch row b, with heads folded in, and KV row ``b // (bs / bskv)``::

    s(i, j) = scale·q_i·k_j              for keys that query i sees
    m_i     = max_j s(i, j)              and sink_b, if there is one
    Z_i     = Σ_j exp(s(i, j) - m_i)     + exp(sink_b - m_i)
    out_i   = Σ_j exp(s(i, j) - m_i)·v_j / Z_i

Keys are those of ``k`` and, before them, the first ``prior_used_len`` of ``k_prior``. Query i stands at
position i; with context parallelism at ``cp_offset + i``, or, when slices are strided, at
``cp_offset + i·global_cp_deg``. Which keys it sees is in :mod:`nkilib.blocks.masks`.

Shapes (bs query rows on bskv rows of keys and values; d ≤ 128)::

    q                (bs, sq, d) with tp_q, else (bs, d, sq)      sink             (bs, 1)
    k, k_prior       (bskv, s, d) with tp_k, else (bskv, d, s)    prior_used_len   (1,)
    v, v_prior       (bskv, s, d)                                 cp_offset        (1, 1)
    result           (bs, d, sq) with tp_out, else (bs, sq, d), of q's type
    neg_max, recip   (bs, 128, ⌈sq/128⌉) with cache_softmax: -m and 1/Z of query t at [b, t % 128, t // 128]

Inputs are rounded to bfloat16 when they are loaded. Products accumulate in fp32, m and Z are fp32, the
weights ``exp(s - m)`` are rounded to bfloat16 for their product with v, 1/Z is applied last.

Two cores share the batch rows; of an odd number the last one is split by queries, if it has 1024 or more.
"""

from dataclasses import dataclass
from typing import Any

import nki
import nki.language as nl

from ... import insides
from ...blocks.arguments import assert_classes, assert_integers, assert_number
from ...blocks.dtypes import FLOATS, assert_dtype_parameter, assert_dtypes
from ...blocks.lnc import Cores, cores
from ...blocks.memory import PARTITIONS, manager, scratch
from ...blocks.tiles import tiles_of
from ..utils.allocator import SbufManager
from ..utils.kernel_assert import assert_shape, kernel_assert
from .attention_cte_buffers import make_buffers
from .attention_cte_call import Call, Share, load_segments, prepare
from .attention_cte_rows import attend_rows

__getattr__ = insides.named(__name__)

_MAX_BS = 32
_MAX_SEQLEN = 36864
_MAX_BS_TIMES_SEQLEN_QK = 32.0 * 36864 * 36864
_MAX_HEAD_DIM = 128
_MIN_GLOBAL_CP_DEGREE = 1
_MAX_GLOBAL_CP_DEGREE = 32

_MIN_SEQLEN_FOR_LNC2_SHARDING = 1024
"""Queries that one batch row must have to be split over two cores."""

_SEQLEN_SHARDING_SPLIT_FACTOR_DEFAULT = 0.5
_SEQLEN_SHARDING_SPLIT_FACTOR_CAUSAL = 0.65
"""Part of these queries that the first core takes; early queries see fewer keys."""


@dataclass
class AttnConfig(nl.NKIObject):
    """Sizes and options of one call; ``sliding_window`` is 0 for none."""

    seqlen_q: Any = None
    seqlen_k_active: Any = None
    seqlen_k_prior: Any = None
    d: Any = None
    tp_q: Any = None
    tp_k: Any = None
    tp_out: Any = None
    is_prefix_caching: Any = None
    causal_mask: Any = None
    use_swa: Any = None
    sliding_window: Any = None
    use_cp: Any = None
    global_cp_deg: Any = None
    cp_strided_q_slicing: Any = None
    scale: Any = None
    cache_softmax: Any = None
    dtype: Any = None
    softmax_dtype: Any = None


@nki.jit
def attention_cte(
    q: Any,
    k: Any,
    v: Any,
    scale: float = 1.0,
    causal_mask: bool = True,
    k_prior: Any = None,
    v_prior: Any = None,
    prior_used_len: Any = None,
    sink: Any = None,
    sliding_window: int | None = None,
    tp_q: bool = True,
    tp_k: bool = False,
    tp_out: bool = False,
    cache_softmax: bool = False,
    softmax_dtype: Any = nl.float32,
    cp_offset: Any = None,
    global_cp_deg: int | None = None,
    cp_strided_q_slicing: bool = False,
) -> Any:
    """Attention of ``q`` over ``k`` and ``v``; the module's text has the mathematics and all shapes.

    Args:
        q, k, v: bfloat16, float16 or float32 in HBM.
        scale: factor of the scores; 1.0 with a window, a prefix, or context parallelism.
        causal_mask: hide keys after the query, counted from the first of each; required with a window and
            with context parallelism.
        k_prior, v_prior, prior_used_len: cached prefix, and how much of it counts (an integer read at run
            time; what lies behind must be finite).
        sink: one more logit for each batch row that has no value.
        sliding_window: keys that a query sees, its own included; None or 0 for all.
        tp_q, tp_k, tp_out: layouts, see above.
        cache_softmax: also return neg_max and recip, in ``softmax_dtype``; needs sq to be a multiple of 128.
        cp_offset, global_cp_deg, cp_strided_q_slicing: position of this rank's first query (an integer read
            at run time), degree of context parallelism (None: none), and whether its queries are every
            ``global_cp_deg``-th. Contiguous slices with a window need ``cp_offset + sq ≤ sk``.

    Returns result, or (result, neg_max, recip), in shared HBM. Raises AssertionError for what is not allowed.
    A query that sees no key gets unspecified values.
    """
    assert_classes(
        tensors=((q, "q"), (k, "k"), (v, "v")),
        optional=(
            (k_prior, "k_prior"), (v_prior, "v_prior"), (prior_used_len, "prior_used_len"), (sink, "sink"),
            (cp_offset, "cp_offset"),
        ),
        flags=(
            (causal_mask, "causal_mask"), (tp_q, "tp_q"), (tp_k, "tp_k"), (tp_out, "tp_out"),
            (cache_softmax, "cache_softmax"), (cp_strided_q_slicing, "cp_strided_q_slicing"),
        ),
    )  # fmt: skip
    _check_ranks(q, k, k_prior)
    cfg = _config(
        q, k, k_prior, scale, causal_mask, sliding_window, tp_q, tp_k, tp_out, cache_softmax, softmax_dtype,
        global_cp_deg, cp_strided_q_slicing,
    )  # fmt: skip
    _check_optional(k_prior, v_prior, prior_used_len, cp_offset, cfg)
    _check_shapes(q, k, v, k_prior, v_prior, cfg)
    tensors = ((q, "q"), (k, "k"), (v, "v"), (k_prior, "k_prior"), (v_prior, "v_prior"))
    assert_dtypes(tensors, FLOATS)
    _check_limits(q.shape[0], k.shape[0], cfg)
    if sink is not None:
        assert_shape(sink, (q.shape[0], 1), "sink")
    _check_modes(cfg)
    shape = (q.shape[0], cfg.d, cfg.seqlen_q) if tp_out else (q.shape[0], cfg.seqlen_q, cfg.d)
    result = nl.ndarray(shape, dtype=q.dtype, buffer=nl.shared_hbm)
    neg_max, recip = None, None
    if cache_softmax:
        assert_dtype_parameter(softmax_dtype, FLOATS, "softmax_dtype")
        statistics = (q.shape[0], PARTITIONS, tiles_of(cfg.seqlen_q))
        neg_max = nl.ndarray(statistics, dtype=softmax_dtype, buffer=nl.shared_hbm)
        recip = nl.ndarray(statistics, dtype=softmax_dtype, buffer=nl.shared_hbm)
    call = Call(
        cfg=cfg, q=q, k=k, v=v, k_prior=k_prior, v_prior=v_prior, sink=sink, result=result, neg_max=neg_max,
        recip=recip,
    )  # fmt: skip
    _attend(
        call, prior_used_len, cp_offset, _shares(q.shape[0], cfg, cp_offset is not None, cores()), manager()
    )
    if cache_softmax:
        return result, neg_max, recip
    return result


def _attend(call: Call, prior_used_len: Any, cp_offset: Any, shares: list[Share], sbm: SbufManager) -> None:
    """All of this core's rows; keys and values are loaded once for the rows that share them."""
    constants = scratch(sbm, name="constants")
    prepare(call, prior_used_len, cp_offset, constants)
    buffers = make_buffers(call, constants)
    repeats = call.q.shape[0] // call.k.shape[0]
    for kv_row in range(call.k.shape[0]):
        mine = []
        for share in shares:
            if share.batch // repeats == kv_row:
                mine.append(share)
        if len(mine) > 0:
            held = scratch(sbm, name="keys")
            segments = load_segments(call, kv_row, held, sbm)
            attend_rows(call, segments, mine, buffers, sbm)
            held.close()
    constants.close()


def _config(
    q: Any, k: Any, k_prior: Any, scale: float, causal_mask: bool, sliding_window: int | None, tp_q: bool,
    tp_k: bool, tp_out: bool, cache_softmax: bool, softmax_dtype: Any, degree: int | None, strided: bool,
) -> AttnConfig:  # fmt: skip
    window = 0 if sliding_window is None else sliding_window
    prior = 0
    if k_prior is not None:
        prior = k_prior.shape[1] if tp_k else k_prior.shape[2]
    return AttnConfig(
        seqlen_q=q.shape[1] if tp_q else q.shape[2],
        seqlen_k_active=k.shape[1] if tp_k else k.shape[2],
        seqlen_k_prior=prior,
        d=q.shape[2] if tp_q else q.shape[1],
        tp_q=tp_q,
        tp_k=tp_k,
        tp_out=tp_out,
        is_prefix_caching=k_prior is not None,
        causal_mask=causal_mask,
        use_swa=window != 0,
        sliding_window=window,
        use_cp=degree is not None,
        global_cp_deg=degree,
        cp_strided_q_slicing=strided,
        scale=scale,
        cache_softmax=cache_softmax,
        dtype=q.dtype,
        softmax_dtype=softmax_dtype,
    )


def _check_ranks(q: Any, k: Any, k_prior: Any) -> None:
    for pair in ((q, "q"), (k, "k"), (k_prior, "k_prior")):
        tensor, name = pair
        if tensor is not None:
            kernel_assert(
                len(tensor.shape) == 3, f"{name} must have 3 dimensions, its shape is {tensor.shape}"
            )


def _check_optional(k_prior: Any, v_prior: Any, prior_used_len: Any, cp_offset: Any, cfg: AttnConfig) -> None:
    """What must be given together."""
    if cfg.is_prefix_caching:
        kernel_assert(v_prior is not None, "k_prior is given, so v_prior must be")
        kernel_assert(prior_used_len is not None, "k_prior is given, so prior_used_len must be")
        assert_shape(prior_used_len, (1,), "prior_used_len")
    else:
        kernel_assert(v_prior is None, "v_prior is given without k_prior")
        kernel_assert(prior_used_len is None, "prior_used_len is given without k_prior")
    if cfg.use_cp:
        kernel_assert(cp_offset is not None, "global_cp_deg is given, so cp_offset must be")
        assert_shape(cp_offset, (1, 1), "cp_offset")
    else:
        kernel_assert(not cfg.cp_strided_q_slicing, "cp_strided_q_slicing needs global_cp_deg and cp_offset")


def _check_shapes(q: Any, k: Any, v: Any, k_prior: Any, v_prior: Any, cfg: AttnConfig) -> None:
    rows = k.shape[0]
    _check_pair(k, v, rows, cfg.seqlen_k_active, cfg, "k", "v")
    if cfg.is_prefix_caching:
        _check_pair(k_prior, v_prior, rows, cfg.seqlen_k_prior, cfg, "k_prior", "v_prior")


def _check_pair(
    keys: Any, values: Any, rows: int, length: int, cfg: AttnConfig, keys_name: str, values_name: str
) -> None:
    by_token = (rows, length, cfg.d)
    by_depth = (rows, cfg.d, length)
    layout = f"tp_k is {cfg.tp_k}, q has d = {cfg.d}."
    assert_shape(keys, by_token if cfg.tp_k else by_depth, keys_name, layout)
    assert_shape(values, by_token, values_name, f"It goes with {keys_name}; q has d = {cfg.d}.")


def _check_limits(batch: int, kv_batch: int, cfg: AttnConfig) -> None:
    queries, keys = cfg.seqlen_q, cfg.seqlen_k_active + cfg.seqlen_k_prior
    kernel_assert(batch > 0 and batch <= _MAX_BS, f"batch of q is {batch}, allowed: 1 to {_MAX_BS}")
    kernel_assert(
        kv_batch > 0 and batch % kv_batch == 0,
        f"batch of q, {batch}, must be a multiple of that of k and v, {kv_batch}",
    )
    kernel_assert(queries <= _MAX_SEQLEN, f"q has {queries} tokens, the most is {_MAX_SEQLEN}")
    kernel_assert(keys <= _MAX_SEQLEN, f"k and k_prior have {keys} tokens, the most is {_MAX_SEQLEN}")
    kernel_assert(
        float(batch * queries) * keys <= _MAX_BS_TIMES_SEQLEN_QK,
        f"batch·queries·keys is {batch}·{queries}·{keys}, the most is {_MAX_BS_TIMES_SEQLEN_QK}",
    )
    kernel_assert(cfg.d > 0 and cfg.d <= _MAX_HEAD_DIM, f"d is {cfg.d}, allowed: 1 to {_MAX_HEAD_DIM}")
    kernel_assert(
        not cfg.cache_softmax or queries % PARTITIONS == 0,
        f"cache_softmax needs a multiple of {PARTITIONS} queries, there are {queries}",
    )


def _check_modes(cfg: AttnConfig) -> None:
    window, degree = cfg.sliding_window, cfg.global_cp_deg
    assert_integers(((window, "sliding_window"), (degree, "global_cp_deg")))
    assert_number(cfg.scale, "scale")
    kernel_assert(
        window >= 0 and window <= _MAX_SEQLEN, f"sliding_window is {window}, allowed: 0 to {_MAX_SEQLEN}"
    )
    if degree:
        kernel_assert(
            degree >= _MIN_GLOBAL_CP_DEGREE and degree <= _MAX_GLOBAL_CP_DEGREE,
            f"global_cp_deg is {degree}, allowed: {_MIN_GLOBAL_CP_DEGREE} to {_MAX_GLOBAL_CP_DEGREE}",
        )
    unscaled = cfg.use_swa or cfg.is_prefix_caching or cfg.use_cp
    kernel_assert(
        not unscaled or cfg.scale == 1.0,
        f"scale is {cfg.scale}; sliding_window, k_prior and global_cp_deg need 1.0: scale q instead",
    )
    kernel_assert(cfg.causal_mask or not cfg.use_cp, "global_cp_deg needs causal_mask=True")
    kernel_assert(cfg.causal_mask or not cfg.use_swa, "sliding_window needs causal_mask=True")


def _shares(batch: int, cfg: AttnConfig, has_offset: bool, here: Cores) -> list[Share]:
    """This core's part: batch rows, each with the first and the end of its tiles of 128 queries."""
    tiles = tiles_of(cfg.seqlen_q)
    half = batch // here.count
    shares = []
    for row in range(here.index * half, (here.index + 1) * half):
        shares.append(Share(batch=row, first=0, end=tiles))
    if half * here.count < batch:
        cut = tiles
        if cfg.seqlen_q >= _MIN_SEQLEN_FOR_LNC2_SHARDING:
            cut = int(tiles * _first_part(cfg, has_offset))
        first, end = (0, cut) if here.index == 0 else (cut, tiles)
        if first < end:
            shares.append(Share(batch=batch - 1, first=first, end=end))
    return shares


def _first_part(cfg: AttnConfig, has_offset: bool) -> float:
    """The part of one batch row's queries that the first of two cores takes."""
    even = _SEQLEN_SHARDING_SPLIT_FACTOR_DEFAULT
    growing = cfg.causal_mask and not cfg.use_swa and (not has_offset or cfg.cp_strided_q_slicing)
    if not growing:
        return even
    active, prior = cfg.seqlen_k_active, cfg.seqlen_k_prior
    return (_SEQLEN_SHARDING_SPLIT_FACTOR_CAUSAL * active + even * prior) / (active + prior)
