"""The MLP for context encoding: many tokens, in blocks of up to 512 that the weights stream past.

    x    SBUF [128, H/128, t]     normalised tokens of a block, contraction-major
    m    SBUF [128, t/128, I]     act(x·Wg + bg) · (x·Wu + bu), tokens on partitions
    mᵀ   SBUF [128, I/128, t]     contraction-major, quantised before with ROW and STATIC
    y    HBM  [T, H]              mᵀ·Wd + bd

Values between the steps have the hidden state's dtype, bfloat16 if that is fp8; sums and scales are fp32.
Two cores take halves of the tokens. With few tokens, many columns and no bias of a projection they take
halves of I instead, exchange partial sums, and each stores half of H. Weights that fit stay in SBUF for all
blocks.

ROW: x = q·tok[t], with ``tok`` in the last 4 bytes of a token; m is quantised with a scale D[t] of its own:
``y = (fp8(m / D)·Wd)·sd[h]·D[t]``. STATIC: ``y = (fp8(clip(m / s, ±240))·Wd)·sd·s``, where s is
``down_in_scale``.
"""

import nki.language as nl

from ....blocks.lnc import cores
from ....blocks.memory import PARTITIONS, manager, scratch
from ....blocks.tiles import as_view, tiles_of
from ...subkernels.norm_tkg_utils import rows_of
from ...utils.allocator import SbufManager
from ...utils.tensor_view import TensorView
from ..mlp_parameters import (
    MLPParameters,
    mlpp_store_fused_add,
)
from .layers import Layers, load_layers
from .plan import Plan, make_plan
from .projections import project_down, project_gate_up, quantize
from .source import Source, load_source, open_source


def mlp_cte(
    mlp_params: MLPParameters, output_tensor_hbm: nl.ndarray, output_stored_add_tensor_hbm: nl.ndarray
) -> list[nl.ndarray]:
    """Run the MLP for ``mlp_params`` that are valid.

    Args:
        output_tensor_hbm: HBM ``[B, S, H]``.
        output_stored_add_tensor_hbm: HBM ``[B, S, H]`` if the sum is stored, otherwise None.

    Returns:
        The outputs, the sum last.
    """
    plan = make_plan(mlp_params, cores())
    sbm = manager()
    work = scratch(sbm, name="mlp_cte")
    layers = load_layers(mlp_params, plan, work)
    source = open_source(mlp_params, output_stored_add_tensor_hbm, plan, work)
    output = rows_of(as_view(output_tensor_hbm))
    for start in range(plan.first, plan.first + plan.tokens, plan.block):
        end = min(start + plan.block, plan.first + plan.tokens)
        _run_block(output, (start, end), source, layers, mlp_params, plan, sbm)
    work.close()
    if mlpp_store_fused_add(mlp_params):
        return [output_tensor_hbm, output_stored_add_tensor_hbm]
    return [output_tensor_hbm]


def _run_block(
    output: TensorView,
    tokens: tuple[int, int],
    source: Source,
    layers: Layers,
    params: MLPParameters,
    plan: Plan,
    sbm: SbufManager,
) -> None:
    """All steps for tokens ``(start, end)``."""
    count = tokens[1] - tokens[0]
    outer = scratch(sbm, name="block")
    dtype = source.operand_dtype
    turned = outer.tile((PARTITIONS, tiles_of(plan.inner), count), dtype)
    inner = scratch(sbm, name="source_projections")
    x = inner.tile((PARTITIONS, tiles_of(params.hidden_size), count), dtype)
    load_source(x, layers.up.token_scale, source, tokens, params, plan, sbm)
    middle = inner.tile((PARTITIONS, tiles_of(count), plan.inner), source.dtype)
    project_gate_up(middle, x, layers, params.activation_fn, sbm)
    quantize(turned, middle, layers, params, sbm)
    inner.close()
    project_down(output.slice(0, tokens[0], tokens[1]), turned, layers, source.dtype, plan, sbm)
    outer.close()
