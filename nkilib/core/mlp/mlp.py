"""The MLP of a transformer layer, with what is fused around it.

    x = norm(hidden (+ fused_add))
    g = act(clamp(x·Wg + bg));  u = clamp(x·Wu + bu)
    y = (g ∘ u)·Wd + bd                                 without a gate: act(u)·Wd + bd

    hidden, fused_add, y [B, S, H];  Wg, Wu [H, I];  Wd [I, H];  bg, bu [1, I];  bd, γ, β [1, H]

Up to 96 tokens are processed as token generation (:mod:`.mlp_tkg`), more as context encoding
(:mod:`.mlp_cte`).
"""

from typing import Any

import nki
import nki.language as nl

from ...blocks.arguments import assert_classes
from ..utils.common_types import ActFnType, NormType, QuantizationType
from .mlp_cte.mlp_cte import mlp_cte
from .mlp_parameters import (
    MLPParameters,
    is_mlp_tkg,
    mlpp_store_fused_add,
    validate_mlp_arguments,
)
from .mlp_tkg.mlp_tkg import mlp_tkg


@nki.jit
def mlp(
    hidden_tensor: nl.ndarray,
    gate_proj_weights_tensor: nl.ndarray,
    up_proj_weights_tensor: nl.ndarray,
    down_proj_weights_tensor: nl.ndarray,
    normalization_weights_tensor: nl.ndarray | None = None,
    gate_proj_bias_tensor: nl.ndarray | None = None,
    up_proj_bias_tensor: nl.ndarray | None = None,
    down_proj_bias_tensor: nl.ndarray | None = None,
    normalization_bias_tensor: nl.ndarray | None = None,
    fused_add_tensor: nl.ndarray | None = None,
    store_fused_add_result: bool = False,
    activation_fn: ActFnType = ActFnType.SiLU,
    normalization_type: NormType = NormType.NO_NORM,
    quantization_type: QuantizationType = QuantizationType.NONE,
    gate_w_scale: nl.ndarray | None = None,
    up_w_scale: nl.ndarray | None = None,
    down_w_scale: nl.ndarray | None = None,
    gate_up_in_scale: nl.ndarray | None = None,
    down_in_scale: nl.ndarray | None = None,
    quant_clipping_bound: float = 0.0,
    output_dtype: Any = None,
    store_output_in_sbuf: bool = False,
    eps: float = 1e-6,
    skip_gate_proj: bool = False,
    use_tkg_gate_up_proj_column_tiling: bool = True,
    use_tkg_down_proj_column_tiling: bool = True,
    use_tkg_down_proj_optimized_layout: bool = False,
    gate_clamp_upper_limit: float | None = None,
    gate_clamp_lower_limit: float | None = None,
    up_clamp_upper_limit: float | None = None,
    up_clamp_lower_limit: float | None = None,
    force_cte_mode: bool = False,
) -> list[nl.ndarray]:
    """Run the MLP. Tensors are bf16, fp16 or fp8 e4m3, but for scales, which are fp32.

    Token generation rounds the normalised hidden state to the hidden state's dtype, also fp8.

    Args:
        hidden_tensor: HBM ``[B, S, H]``, H a multiple of 128; for token generation also SBUF
            ``[128, T, H/128]`` in the sharded hidden layout; for context encoding with ROW fp8
            ``[B, S, H + 4]``, whose last 4 elements are the bytes of the token's fp32 scale.
        gate_proj_weights_tensor, up_proj_weights_tensor: ``[H, I]``.
        down_proj_weights_tensor: ``[I, H]``.
        normalization_weights_tensor, normalization_bias_tensor: γ, β ``[1, H]``; without γ it is 1.
        gate_proj_bias_tensor, up_proj_bias_tensor, down_proj_bias_tensor: ``[1, I]``, ``[1, I]``, ``[1, H]``.
        fused_add_tensor: HBM ``[B, S, H]``. store_fused_add_result: return the sum, too.
        activation_fn, normalization_type, eps: see their types; eps is added under the root.
        quantization_type: token generation multiplies the products by the weight scales and quantises no
            activation; context encoding multiplies fp8 by fp8.
        gate_w_scale, up_w_scale, down_w_scale: STATIC ``[128, 1]``; ROW ``[128, I]``, ``[128, I]``,
            ``[128, H]``; all rows equal.
        gate_up_in_scale, down_in_scale: STATIC ``[128, 1]``, of the activations.
        quant_clipping_bound: context encoding with ROW clips ``g ∘ u`` to ± this, if positive.
        output_dtype: of both results; default is the hidden state's.
        force_cte_mode: process any number of tokens as context encoding.

        For token generation only:
        store_output_in_sbuf: return this core's columns in SBUF, of the hidden state's dtype: ``[T, H/lnc]``
            with use_tkg_down_proj_column_tiling, otherwise ``[128, H/128/lnc, T]``.
        skip_gate_proj: no gate; its weights are not read.
        use_tkg_gate_up_proj_column_tiling, use_tkg_down_proj_column_tiling: whether weights or tokens are the
            moving operand; without effect on results but for rounding.
        use_tkg_down_proj_optimized_layout: the columns of the down weights are in the order (core, j, p) for
            ``h = core·H/lnc + p·H/128/lnc + j``; needs use_tkg_down_proj_column_tiling=False.
        gate_clamp_*, up_clamp_*: limits before the activation, the upper one first.

    Returns:
        ``[y]`` or ``[y, sum]``, HBM ``[B, S, H]``.

    Raises AssertionError for what :func:`.mlp_parameters.validate_mlp_arguments` refuses.
    """
    assert_classes(
        optional=(
            (hidden_tensor, "hidden_tensor"), (gate_proj_weights_tensor, "gate_proj_weights_tensor"),
            (up_proj_weights_tensor, "up_proj_weights_tensor"),
            (down_proj_weights_tensor, "down_proj_weights_tensor"),
            (normalization_weights_tensor, "normalization_weights_tensor"),
            (gate_proj_bias_tensor, "gate_proj_bias_tensor"), (up_proj_bias_tensor, "up_proj_bias_tensor"),
            (down_proj_bias_tensor, "down_proj_bias_tensor"),
            (normalization_bias_tensor, "normalization_bias_tensor"), (fused_add_tensor, "fused_add_tensor"),
            (gate_w_scale, "gate_w_scale"), (up_w_scale, "up_w_scale"), (down_w_scale, "down_w_scale"),
            (gate_up_in_scale, "gate_up_in_scale"), (down_in_scale, "down_in_scale"),
        ),
        flags=(
            (store_fused_add_result, "store_fused_add_result"),
            (store_output_in_sbuf, "store_output_in_sbuf"), (skip_gate_proj, "skip_gate_proj"),
            (use_tkg_gate_up_proj_column_tiling, "use_tkg_gate_up_proj_column_tiling"),
            (use_tkg_down_proj_column_tiling, "use_tkg_down_proj_column_tiling"),
            (use_tkg_down_proj_optimized_layout, "use_tkg_down_proj_optimized_layout"),
            (force_cte_mode, "force_cte_mode"),
        ),
    )  # fmt: skip
    dtype = output_dtype
    if dtype is None and hidden_tensor is not None:
        dtype = hidden_tensor.dtype
    params = MLPParameters(
        hidden_tensor=hidden_tensor,
        gate_proj_weights_tensor=gate_proj_weights_tensor,
        up_proj_weights_tensor=up_proj_weights_tensor,
        down_proj_weights_tensor=down_proj_weights_tensor,
        normalization_weights_tensor=normalization_weights_tensor,
        gate_proj_bias_tensor=gate_proj_bias_tensor,
        up_proj_bias_tensor=up_proj_bias_tensor,
        down_proj_bias_tensor=down_proj_bias_tensor,
        normalization_bias_tensor=normalization_bias_tensor,
        fused_add_tensor=fused_add_tensor,
        store_fused_add_result=store_fused_add_result,
        activation_fn=activation_fn,
        normalization_type=normalization_type,
        quantization_type=quantization_type,
        gate_w_scale=gate_w_scale,
        up_w_scale=up_w_scale,
        down_w_scale=down_w_scale,
        gate_up_in_scale=gate_up_in_scale,
        down_in_scale=down_in_scale,
        quant_clipping_bound=quant_clipping_bound,
        output_dtype=dtype,
        store_output_in_sbuf=store_output_in_sbuf,
        eps=eps,
        skip_gate_proj=skip_gate_proj,
        use_tkg_gate_up_proj_column_tiling=use_tkg_gate_up_proj_column_tiling,
        use_tkg_down_proj_column_tiling=use_tkg_down_proj_column_tiling,
        use_tkg_down_proj_optimized_layout=use_tkg_down_proj_optimized_layout,
        gate_clamp_upper_limit=gate_clamp_upper_limit,
        gate_clamp_lower_limit=gate_clamp_lower_limit,
        up_clamp_upper_limit=up_clamp_upper_limit,
        up_clamp_lower_limit=up_clamp_lower_limit,
        force_cte_mode=force_cte_mode,
    )
    validate_mlp_arguments(params)
    return _run(params)


def _run(params: MLPParameters) -> list[nl.ndarray]:
    """Allocate the outputs in HBM and fill them."""
    shape = (params.batch_size, params.sequence_len, params.hidden_size)
    dtype = params.output_dtype
    output, total = None, None
    if not params.store_output_in_sbuf:
        output = nl.ndarray(shape, dtype=dtype, buffer=nl.shared_hbm, name="output_tensor_hbm")
    if mlpp_store_fused_add(params):
        total = nl.ndarray(shape, dtype=dtype, buffer=nl.shared_hbm, name="output_stored_add_tensor_hbm")
    if is_mlp_tkg(params):
        return mlp_tkg(params, output, total)
    return mlp_cte(params, output, total)
