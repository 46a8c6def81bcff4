"""The experts that each token selects, with MX weights; a core takes its half of each token's choices.

    out[t] = Σ_k a[t, k]·y_e(x[t])     e = index[t, k], a[t, k] = eager[t, k] or affinities[t, e]

On chip column ``128 j + p`` of the hidden dimension is (p, j). Tokens' experts are done one after the other.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.lnc import Cores, cores, split, sum_over_cores
from ....blocks.matmul import load_transposed, transpose
from ....blocks.memory import PARTITIONS, Scratch, manager, scratch
from ....blocks.mx import TILE, MxOperand, mx_columns, mx_operand, quantize_spread
from ....blocks.projection import affine, weigh
from ....blocks.tiles import as_view, load_hidden, store_rows, tiles_of
from ...utils.allocator import SbufManager
from ..experts import hidden_size, inner_size
from ..mx_expert import DOWN_COLUMNS, MxExpert, load_down_mx, mx_expert, project_middle, sum_planes_mx
from .moe_tkg_affinity_masking import in_float32, one_row
from .moe_tkg_parameters import Request, is_scaled, token_count
from .selective_expert_impl import on_all_partitions, selected_affinities


def selected_experts_mx(request: Request, output: nl.ndarray) -> nl.ndarray:
    """Fill the output, HBM ``[T, H]``, and return it."""
    here, sbm = cores(), manager()
    tokens, hidden = token_count(request), hidden_size(request.experts)
    work = scratch(sbm, name="selected_experts_mx")
    x = _quantised(request, tokens, hidden, work, sbm)
    weights = _weights(request, work)
    index = one_row(request.routing.index, 0, tokens, work)
    total = work.tile((PARTITIONS, tokens, hidden // PARTITIONS), nl.float32)
    first, count = split(index.shape[2], here)
    for token in range(tokens):
        for choice in range(first, first + count):
            number = index[0:1, token, choice : choice + 1]
            expert = mx_expert(request.experts, number, 0, inner_size(request.experts))
            weight = None
            if weights is not None:
                weight = weights[:, choice, token : token + 1]
            own = mx_columns(x, token, token + 1)
            _add_expert(total[:, token, :], expert, own, weight, request, choice > first, sbm)
    sum_over_cores(total, here, sbm)
    _store(output, total, here, sbm)
    work.close()
    return output


def _quantised(request: Request, tokens: int, hidden: int, work: Scratch, sbm: SbufManager) -> MxOperand:
    """x, ``[128, H/512, T]``."""
    x = mx_operand(hidden // TILE, tokens, nl.float8_e4m3fn_x4, work)
    held = scratch(sbm, name="hidden")
    source = request.hidden
    if source.buffer != nl.sbuf:
        source = held.tile((PARTITIONS, tokens, hidden // PARTITIONS), source.dtype)
        load_hidden(source, request.hidden, transposed=True)
    quantize_spread(x, source, sbm)
    held.close()
    return x


def _weights(request: Request, work: Scratch) -> Any:
    """The weights of the choices, fp32 ``[128, K, T]``; None if each is 1."""
    routing = request.routing
    if not is_scaled(routing):
        return None
    if routing.eager is not None:
        return on_all_partitions(in_float32(routing.eager, work), work)
    return on_all_partitions(selected_affinities(routing, work), work)


def _add_expert(
    total: nl.ndarray,
    expert: MxExpert,
    x: MxOperand,
    weight: Any,
    request: Request,
    adding: bool,
    sbm: SbufManager,
) -> None:
    """``total (+)= y·weight`` of one token, ``[128, H/128]``; weight: fp32 ``[128, 1]`` or None."""
    work = scratch(sbm, name="expert")
    middle = project_middle(expert, x, request.experts.gating, work, sbm)
    hidden = total.shape[1] * PARTITIONS
    for start in range(0, hidden, DOWN_COLUMNS):
        end = min(start + DOWN_COLUMNS, hidden)
        columns = scratch(sbm, name="columns")
        sums = sum_planes_mx(middle, load_down_mx(expert, start, end, columns), expert.inner)
        source = sums
        if expert.down_bias is not None:
            bias = columns.tile((PARTITIONS, (end - start) // PARTITIONS), expert.down_bias.dtype)
            row = expert.down_bias.select(0, 0).slice(0, start, end)
            load_transposed(bias, row.reshape_dim(0, (bias.shape[1], PARTITIONS)), sbm)
            source = columns.tile(tuple(sums.shape), nl.float32)
            affine(source, sums, sbm, shift=bias)
        into = as_view(total).slice(1, start // PARTITIONS, end // PARTITIONS)
        weigh(into, source, weight, adding, sbm)
        columns.close()
    work.close()


def _store(output: nl.ndarray, total: nl.ndarray, here: Cores, sbm: SbufManager) -> None:
    """Store this core's tokens of ``total`` ``[128, T, H/128]`` in ``output`` ``[T, H]``."""
    tokens, planes = total.shape[1], total.shape[2]
    first, count = split(tokens, here)
    if count == 0:
        return
    work = scratch(sbm, name="store")
    small = work.tile((PARTITIONS, count, planes), output.dtype)
    nisa.tensor_copy(dst=small, src=total[:, first : first + count, :])
    turned = work.tile((PARTITIONS, tiles_of(count * planes), PARTITIONS), output.dtype)
    transpose(turned, as_view(small).flatten_dims(1, 2))
    pieces = as_view(output.reshape((tokens * planes, PARTITIONS)))
    store_rows(pieces.slice(0, first * planes, (first + count) * planes), turned)
    work.close()
