"""The MLP for token generation: few tokens, everything but weights in SBUF.

    x    SBUF [128, T, H/128]      hidden dimension over partitions, this core's half of it
    g, u SBUF [128, I/128, T]      partial sums of the cores, exchanged and added in fp32
    m    SBUF [128, I/128, T]      act(g)·u, on both cores
    y    [T, H/lnc] or [128, H/128/lnc, T]   this core's columns

Core c takes the hidden columns ``[c·H/lnc, (c + 1)·H/lnc)`` of x and of y. Weights are read once. With ROW
and STATIC quantisation the products of the fp8 weights are multiplied by the weight scales; activations stay
as they are. Up to the product m everything is fp32; m has the hidden state's dtype.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.lnc import Cores, barrier, cores, split
from ....blocks.matmul import rows_of_spread
from ....blocks.memory import PARTITIONS, Scratch, manager, scratch
from ....blocks.tiles import as_tile, as_view, load_hidden, tiles_of
from ...subkernels.layernorm_tkg import layernorm_tkg
from ...subkernels.norm_tkg_utils import rows_of
from ...subkernels.rmsnorm_tkg import rmsnorm_tkg
from ...utils.allocator import SbufManager
from ...utils.kernel_assert import kernel_assert
from ...utils.tensor_view import TensorView
from ..mlp_parameters import (
    MLPParameters,
    mlpp_has_fused_add,
    mlpp_has_normalization,
    mlpp_has_rms_normalization,
    mlpp_store_fused_add,
)
from .down_projection import project_down
from .gate_up_projection import project_gate_up

SUM_COLUMNS = 4096
"""Elements of a partition that the stored sum is made of at a time."""


def mlp_tkg(
    params: MLPParameters, output_tensor_hbm: nl.ndarray, output_stored_add_tensor_hbm: nl.ndarray
) -> list[nl.ndarray]:
    """Run the MLP for ``params`` that are valid.

    Args:
        output_tensor_hbm: HBM ``[B, S, H]``; None for an output in SBUF.
        output_stored_add_tensor_hbm: HBM ``[B, S, H]`` if the sum is stored, otherwise None.

    Returns:
        The outputs, the sum last; see :func:`nkilib.core.mlp.mlp.mlp`.
    """
    here = cores()
    divided = here.count == 1 or not params.shard_on_h_disabled
    kernel_assert(divided, "mlp_tkg divides H between the cores, shard_on_h_disabled is for experts")
    planes = params.hidden_size // PARTITIONS
    kernel_assert(planes % here.count == 0, f"H/128 = {planes} must divide by the {here.count} cores")
    sbm = manager()
    work = scratch(sbm, name="mlp_tkg")
    tokens = params.batch_size * params.sequence_len
    middle = work.tile((PARTITIONS, tiles_of(params.intermediate_size), tokens), params.hidden_tensor.dtype)
    source = scratch(sbm, name="source")
    own = _activations(params, output_stored_add_tensor_hbm, here, source, sbm)
    project_gate_up(middle, own, params, here, sbm)
    source.close()
    output = _deliver(params, output_tensor_hbm, middle, here, work, sbm)
    work.close()
    if mlpp_store_fused_add(params):
        return [output, output_stored_add_tensor_hbm]
    return [output]


# -- input ------------------------------------------------------------------------------------------------


def _activations(
    params: MLPParameters, total: Any, here: Cores, work: Scratch, sbm: SbufManager
) -> TensorView:
    """This core's part of x as a matmul takes it: SBUF ``[128, H/128/lnc, T]``."""
    if mlpp_has_normalization(params):
        tokens = params.batch_size * params.sequence_len
        normed = work.tile((PARTITIONS, tokens, params.hidden_size // PARTITIONS), params.hidden_tensor.dtype)
        inner = scratch(sbm, name="norm")
        _normalize(normed, _summed(params, total, here, inner, sbm), params, sbm)
        inner.close()
        view = as_view(normed)
    else:
        view = as_view(_summed(params, total, here, work, sbm))
    if not view.is_sbuf():
        view = _load_own(view, params, here, work)
    elif view.shape[2] * PARTITIONS == params.hidden_size:
        start, size = split(view.shape[2], here)
        view = view.slice(2, start, start + size)
    return view.permute((0, 2, 1))


def _load_own(source: TensorView, params: MLPParameters, here: Cores, work: Scratch) -> TensorView:
    """HBM ``[B, S, H]`` → SBUF ``[128, T, H/128/lnc]``, this core's columns."""
    rows = rows_of(source)
    start, size = split(rows.shape[1], here)
    own = work.tile((PARTITIONS, rows.shape[0], size // PARTITIONS), params.hidden_tensor.dtype)
    load_hidden(own, rows.slice(1, start, start + size))
    return as_view(own)


def _normalize(normed: nl.ndarray, source: Any, params: MLPParameters, sbm: SbufManager) -> None:
    gamma, beta = (
        params.norm_params.normalization_weights_tensor,
        params.norm_params.normalization_bias_tensor,
    )
    if mlpp_has_rms_normalization(params):
        rmsnorm_tkg(source, gamma, normed, eps=params.eps, sbm=sbm)
    else:
        layernorm_tkg(source, gamma, normed, beta=beta, eps=params.eps, sbm=sbm)


def _summed(params: MLPParameters, total: Any, here: Cores, work: Scratch, sbm: SbufManager) -> Any:
    """The hidden state with what is added to it: HBM ``[B, S, H]`` or SBUF, all columns or this core's."""
    hidden = params.hidden_tensor
    if not mlpp_has_fused_add(params):
        return hidden
    added = params.fused_add_params.fused_add_tensor
    if mlpp_store_fused_add(params):
        _store_sum(total, hidden, added, here, sbm)
        barrier(total, here)
        return total
    rows = rows_of(as_view(added))
    if params.input_in_sbuf or mlpp_has_normalization(params):
        return _sum_in_sbuf(params, rows, here.count, work)
    own = _load_own(as_view(hidden), params, here, work)
    other = _load_own(as_view(added), params, here, work)
    nisa.tensor_tensor(dst=own.get_view(), data1=own.get_view(), data2=other.get_view(), op=nl.add)
    return own


def _sum_in_sbuf(params: MLPParameters, added: TensorView, shards: int, work: Scratch) -> nl.ndarray:
    """All columns of the sum, ``[128, T, H/128]`` in the sharded hidden layout."""
    tokens, hidden = added.shape
    shape = (PARTITIONS, tokens, hidden // PARTITIONS)
    total = work.tile(shape, params.hidden_tensor.dtype)
    load_hidden(total, added, shards)
    other = params.hidden_tensor
    if not params.input_in_sbuf:
        other = work.tile(shape, params.hidden_tensor.dtype)
        load_hidden(other, rows_of(as_view(params.hidden_tensor)), shards)
    nisa.tensor_tensor(dst=total, data1=total, data2=other, op=nl.add)
    return total


def _store_sum(
    total: nl.ndarray, hidden: nl.ndarray, added: nl.ndarray, here: Cores, sbm: SbufManager
) -> None:
    """``total = hidden + added``, each core one half of the elements, in long runs."""
    columns = total.shape[0] * total.shape[1] * total.shape[2] // PARTITIONS
    start, size = split(columns, here)
    for first in range(start, start + size, SUM_COLUMNS):
        last = min(first + SUM_COLUMNS, start + size)
        work = scratch(sbm, name="sum")
        left = work.tile((PARTITIONS, last - first), hidden.dtype)
        right = work.tile((PARTITIONS, last - first), added.dtype)
        nisa.dma_copy(dst=left, src=_part(hidden, columns, first, last))
        nisa.dma_copy(dst=right, src=_part(added, columns, first, last))
        result = work.tile((PARTITIONS, last - first), total.dtype)
        nisa.tensor_tensor(dst=result, data1=left, data2=right, op=nl.add)
        nisa.dma_copy(dst=_part(total, columns, first, last), src=result)
        work.close()


def _part(tensor: nl.ndarray, columns: int, first: int, last: int) -> nl.ndarray:
    """Columns of a tensor in HBM as ``[128, columns]``."""
    flat = as_view(tensor.reshape((PARTITIONS, columns)))
    return flat.slice(1, first, last).get_view()


# -- output -----------------------------------------------------------------------------------------------


def _deliver(
    params: MLPParameters, output: Any, middle: nl.ndarray, here: Cores, work: Scratch, sbm: SbufManager
) -> Any:
    """Project down and put the result where it belongs; returns that tensor."""
    tokens, width = middle.shape[2], params.hidden_size // here.count
    spread = not params.use_tkg_down_proj_column_tiling
    shape = (PARTITIONS, width // PARTITIONS, tokens) if spread else (tokens, width)
    if params.store_output_in_sbuf:
        result = nl.ndarray(shape, dtype=params.hidden_tensor.dtype, buffer=nl.sbuf)
        project_down(result, middle, params, here, sbm)
        return result
    result = work.tile(shape, params.output_dtype)
    project_down(result, middle, params, here, sbm)
    if spread:
        result = rows_of_spread(result, work)
    rows = rows_of(as_view(output)).slice(1, here.index * width, (here.index + 1) * width)
    nisa.dma_copy(dst=rows.get_view(), src=as_tile(result))
    return output
