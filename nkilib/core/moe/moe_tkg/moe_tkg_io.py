"""Hidden states in, with the hidden dimension over the partitions; sums out."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.matmul import rows_of_spread
from ....blocks.memory import PARTITIONS, Scratch
from ....blocks.tiles import as_tile, as_view, load_hidden
from ...utils.tensor_view import TensorView
from ..experts import hidden_size
from .moe_tkg_parameters import Request, Share, moves_weights, own_columns


def load_input(request: Request, share: Share, work: Scratch) -> TensorView:
    """This core's tokens and columns as a matmul takes them: SBUF ``[128, H/128/lnc, t]``."""
    first, last = share.first, share.first + share.count
    if request.hidden.buffer == nl.sbuf:
        return as_view(request.hidden).slice(1, first, last).permute((0, 2, 1))
    source = own_columns(as_view(request.hidden).slice(0, first, last), share.here)
    own = work.tile((PARTITIONS, share.count, source.shape[1] // PARTITIONS), request.hidden.dtype)
    load_hidden(own, source)
    return as_view(own).permute((0, 2, 1))


def sums_of(request: Request, share: Share, tokens: int, work: Scratch) -> nl.ndarray:
    """A tile for sums of this core's columns: fp32 ``[t, H/lnc]``, or ``[128, H/128/lnc, t]``."""
    width = hidden_size(request.experts) // share.here.count
    shape = (tokens, width) if moves_weights(request.experts) else (PARTITIONS, width // PARTITIONS, tokens)
    return work.tile(shape, nl.float32)


def result_of(request: Request, output: Any) -> Any:
    """The output, HBM ``[T, H]``, or for None a new tile of the shape of the hidden state."""
    if output is not None:
        return output
    return nl.ndarray(tuple(request.hidden.shape), dtype=request.output_dtype, buffer=nl.sbuf)


def deliver(
    request: Request, result: Any, total: nl.ndarray, share: Share, first: int, work: Scratch
) -> None:
    """Put the sums ``total`` (:func:`sums_of`) of the tokens from ``first`` on into the result."""
    in_rows = moves_weights(request.experts)
    count = total.shape[0] if in_rows else total.shape[2]
    last = first + count
    small = total
    in_sbuf = result.buffer == nl.sbuf
    if request.output_dtype != nl.float32 and (in_rows or not in_sbuf):
        small = work.tile(tuple(total.shape), request.output_dtype)
        nisa.tensor_copy(dst=small, src=total)
    if not in_sbuf:
        rows = small if in_rows else rows_of_spread(small, work)
        into = own_columns(as_view(result).slice(0, first, last), share.here)
        nisa.dma_copy(dst=into.get_view(), src=as_tile(rows))
    elif in_rows:
        for token in range(first, last):
            nisa.dma_copy(dst=result[:, token, :], src=small[token - first : token - first + 1, :])
    else:
        into = as_view(result).slice(1, first, last).permute((0, 2, 1))
        nisa.tensor_copy(dst=into.get_view(), src=total)
