"""From logits to the best experts and their affinities, and where these are put.

Everything here is of a tile of up to 128 tokens, fp32 in SBUF, until it is stored.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.lnc import Cores, exchange
from ...blocks.memory import PARTITIONS, Scratch
from ...blocks.tiles import as_view, tiles_of
from ...blocks.topk import EIGHT, take_largest, taken
from ..utils.common_types import RouterActFnType
from ..utils.tensor_view import TensorView


class Choice(nl.NKIObject):
    """How experts are chosen and weighed; see :mod:`.router_topk`.

    Attributes:
        act_fn: SOFTMAX or SIGMOID. k: 1 to 8. pre_norm: the activation is of all experts, before the choice.
        norm: with ``pre_norm``, divide by the sum of the k. indirect: affinities are scattered by DMAs.
    """

    act_fn: RouterActFnType
    k: int
    pre_norm: bool
    norm: bool
    indirect: bool

    def dense(self) -> bool:
        """Whether all experts have an affinity."""
        return self.pre_norm and not self.norm


class Results(nl.NKIObject):
    """Where results go.

    Attributes:
        logits: HBM ``[T, E]``, or None. index: HBM or SBUF, or None. affinities: HBM or SBUF.
        eager: SBUF fp32 ``[rows, tiles·k]``, or None.
        index_in_sbuf, affinities_in_sbuf: where these are.
    """

    logits: Any
    index: Any
    affinities: nl.ndarray
    eager: Any
    index_in_sbuf: bool
    affinities_in_sbuf: bool


def eager_tile(tokens: int, k: int) -> nl.ndarray:
    """For the k affinities of each token, ``[min(T, 128), ⌈T/128⌉·k]``."""
    return nl.ndarray((min(tokens, PARTITIONS), tiles_of(tokens) * k), dtype=nl.float32, buffer=nl.sbuf)


def choose(
    results: Results, logits: nl.ndarray, choice: Choice, first: int, tile: int, zero: Any, work: Scratch
) -> None:
    """All results of up to 128 tokens.

    Args:
        logits: fp32 ``[tokens, E]``. first: number of the first token. tile: which tile of this core's it is.
        zero: dtype in which rows are cleared before a scatter.
    """
    count, experts = logits.shape
    if results.logits is not None:
        nisa.dma_copy(dst=results.logits[first : first + count, :], src=logits)
    values = logits
    if choice.pre_norm:
        values = work.tile((count, experts), nl.float32)
        _activate_all(values, logits, choice.act_fn, work)
    best = work.tile((count, EIGHT), nl.float32)
    places = work.tile((count, EIGHT), nl.uint32)
    rest = work.tile((count, experts), nl.float32)
    take_largest(best, places, values, rest, choice.k)
    if results.index is not None:
        _put(_rows(results.index, results.index_in_sbuf, first, count), places[:, 0 : choice.k], first)
    scales = Scales() if choice.dense() else _scales(best, choice, work)
    if results.eager is not None or (choice.indirect and not choice.dense()):
        affinities = work.tile((count, choice.k), nl.float32)
        _apply(affinities, best[:, 0 : choice.k], scales, choice)
        if results.eager is not None:
            into = results.eager[0:count, tile * choice.k : (tile + 1) * choice.k]
            nisa.tensor_copy(dst=into, src=affinities)
        if choice.indirect and not choice.dense():
            _scatter(results.affinities, affinities, places, first, zero, work)
            return
    if not choice.dense():
        taken(rest, values, rest)
        dense = work.tile((count, experts), nl.float32)
        _apply(dense, values, scales, choice)
        nisa.tensor_tensor(dst=rest, data1=dense, data2=rest, op=nl.multiply)
        values = rest
    _put(_rows(results.affinities, results.affinities_in_sbuf, first, count), values, first)


def _rows(tensor: nl.ndarray, in_sbuf: bool, first: int, count: int) -> TensorView:
    """The rows of some tokens: ``[T, N]``, or folded ``[128, ⌈T/128⌉, N]`` in SBUF."""
    view = as_view(tensor)
    if in_sbuf and view.get_dim() == 3:
        return view.slice(0, 0, count).select(1, first // PARTITIONS)
    return view.slice(0, first, first + count)


def _put(dst: TensorView, src: nl.ndarray, first: int) -> None:
    """To HBM or SBUF; by DMA where rows change their partition, since engines start at multiples of 32."""
    if dst.is_sbuf() and first % PARTITIONS == 0:
        nisa.tensor_copy(dst=dst.get_view(), src=src)
    else:
        nisa.dma_copy(dst=dst.get_view(), src=src)


class Scales(nl.NKIObject):
    """What turns values into affinities, fp32 ``[tokens, 1]``; None where it is not needed.

    Attributes:
        negated_max: of a row's values. factor: one over a sum.
    """

    negated_max: Any = None
    factor: Any = None


def _activate_all(dst: nl.ndarray, logits: nl.ndarray, act_fn: RouterActFnType, work: Scratch) -> None:
    """Softmax or sigmoid of rows ``[T, E]``."""
    if act_fn == RouterActFnType.SIGMOID:
        nisa.activation(dst=dst, op=nl.sigmoid, data=logits)
        return
    largest = work.tile((logits.shape[0], 1), nl.float32)
    nisa.tensor_reduce(dst=largest, op=nl.maximum, data=logits, axis=1)
    scales = _softmax_scales(dst, logits, largest, work)
    nisa.tensor_scalar(dst=dst, data=dst, op0=nl.multiply, operand0=scales.factor)


def _softmax_scales(dst: nl.ndarray, data: nl.ndarray, largest: nl.ndarray, work: Scratch) -> Scales:
    """``dst = exp(data - largest)``, and what makes that a softmax."""
    rows = data.shape[0]
    negated = work.tile((rows, 1), nl.float32)
    total = work.tile((rows, 1), nl.float32)
    nisa.tensor_scalar(dst=negated, data=largest, op0=nl.multiply, operand0=-1.0)
    nisa.activation(
        dst=dst,
        op=nl.exp,
        data=data,
        bias=negated,
        reduce_op=nl.add,
        reduce_res=total,
        reduce_cmd=nisa.reduce_cmd.reset_reduce,
    )
    nisa.reciprocal(dst=total, data=total)
    return Scales(negated_max=negated, factor=total)


def _scales(best: nl.ndarray, choice: Choice, work: Scratch) -> Scales:
    """For affinities of the k best values, in the first columns of ``best``."""
    chosen = best[:, 0 : choice.k]
    if not choice.pre_norm:
        if choice.act_fn == RouterActFnType.SIGMOID:
            return Scales()
        exponentials = work.tile(tuple(chosen.shape), nl.float32)
        return _softmax_scales(exponentials, chosen, best[:, 0:1], work)
    total = work.tile((best.shape[0], 1), nl.float32)
    nisa.tensor_reduce(dst=total, op=nl.add, data=chosen, axis=1)
    nisa.reciprocal(dst=total, data=total)
    return Scales(factor=total)


def _apply(dst: nl.ndarray, values: nl.ndarray, scales: Scales, choice: Choice) -> None:
    """Affinities of values ``[T, N]``, if these are chosen."""
    data = values
    if not choice.pre_norm:
        if choice.act_fn == RouterActFnType.SIGMOID:
            nisa.activation(dst=dst, op=nl.sigmoid, data=values)
        else:
            nisa.activation(dst=dst, op=nl.exp, data=values, bias=scales.negated_max)
        data = dst
    factor = 1.0 if scales.factor is None else scales.factor
    if scales.factor is not None or choice.pre_norm:
        nisa.tensor_scalar(dst=dst, data=data, op0=nl.multiply, operand0=factor)


def _scatter(
    dst: nl.ndarray, affinities: nl.ndarray, places: nl.ndarray, first: int, zero: Any, work: Scratch
) -> None:
    """Rows of HBM ``[T, E]`` become 0, and then affinities ``[tokens, k]`` at their places."""
    count, k = affinities.shape
    experts = dst.shape[1]
    cleared = work.tile((count, experts), zero)
    nisa.memset(dst=cleared, value=0.0)
    nisa.dma_copy(dst=dst[first : first + count, :], src=cleared)
    rows = work.tile((count, 1), nl.float32)
    addresses = work.tile((count, k), nl.int32)
    nisa.iota(dst=rows, pattern=[[0, 1]], offset=first * experts, channel_multiplier=experts)
    nisa.tensor_scalar(dst=addresses, data=places[:, 0:k], op0=nl.add, operand0=rows)
    rounded = work.tile((count, k), dst.dtype)
    nisa.tensor_copy(dst=rounded, src=affinities)
    flat = dst.reshape((dst.shape[0] * experts, 1))
    for column in range(k):
        target = flat.ap(
            pattern=[[1, count], [1, 1]],
            offset=0,
            vector_offset=addresses[:, column : column + 1],
            indirect_dim=0,
        )
        nisa.dma_copy(dst=target, src=rounded[:, column : column + 1])


def exchange_halves(results: Results, tokens: int, here: Cores) -> None:
    """Results in SBUF get the other core's rows; nothing where each core has made them all."""
    if here.count == 1:
        return
    half = tokens // 2
    mine, theirs = here.index * half, (1 - here.index) * half
    for which in range(2):
        there = results.index_in_sbuf if which == 0 else results.affinities_in_sbuf
        if there:
            view = as_view(results.index if which == 0 else results.affinities)
            exchange(view.slice(0, theirs, theirs + half), view.slice(0, mine, mine + half), here, pipe=which)
