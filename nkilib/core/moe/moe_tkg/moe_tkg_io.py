"""Hidden states in, sums out: both with the hidden dimension over the partitions."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.matmul import rows_of_spread
from ....blocks.memory import PARTITIONS, Scratch
from ....blocks.tiles import as_tile, as_view, load_hidden
from ...utils.tensor_view import TensorView
from .moe_tkg_parameters import Request, Share, own_columns


def load_input(request: Request, share: Share, work: Scratch) -> TensorView:
    """This core's tokens and columns as a matmul takes them: SBUF ``[128, H/128/lnc, t]``."""
    first, last = share.first, share.first + share.count
    if request.hidden.buffer == nl.sbuf:
        return as_view(request.hidden).slice(1, first, last).permute((0, 2, 1))
    source = own_columns(as_view(request.hidden).slice(0, first, last), share.here)
    own = work.tile((PARTITIONS, share.count, source.shape[1] // PARTITIONS), request.hidden.dtype)
    load_hidden(own, source)
    return as_view(own).permute((0, 2, 1))


def deliver(request: Request, output: Any, total: nl.ndarray, share: Share, work: Scratch) -> Any:
    """Put ``total``, fp32 ``[128, H/128/lnc, t]``, where it belongs; returns that tensor.

    output: HBM ``[T, H]``, or None for a tile of the shape of the hidden state.
    """
    first, last = share.first, share.first + share.count
    if output is None:
        result = nl.ndarray(tuple(request.hidden.shape), dtype=request.output_dtype, buffer=nl.sbuf)
        into = as_view(result).slice(1, first, last).permute((0, 2, 1))
        nisa.tensor_copy(dst=into.get_view(), src=total)
        return result
    small = total
    if request.output_dtype != nl.float32:
        small = work.tile(tuple(total.shape), request.output_dtype)
        nisa.tensor_copy(dst=small, src=total)
    rows = rows_of_spread(small, work)
    into = own_columns(as_view(output).slice(0, first, last), share.here)
    nisa.dma_copy(dst=into.get_view(), src=as_tile(rows))
    return output
