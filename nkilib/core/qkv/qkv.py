"""QKV projection: chooses the kernel for the number of tokens.

Sequences of up to 96 tokens are :mod:`.qkv_tkg`'s, longer ones :mod:`.qkv_cte`'s. What only the second can
do (rotary embedding, quantised caches, MX weights) is done by it for any length.
"""

from typing import Any

import nki
import nki.language as nl

from ...blocks.arguments import assert_classes, assert_layout
from ..utils.allocator import SbufManager
from ..utils.common_types import NormType, QKVOutputLayout, QuantizationType
from ..utils.kernel_assert import kernel_assert
from ..utils.kernel_helpers import is_hbm_buffer
from .qkv_cte import qkv_cte
from .qkv_tkg import qkv_tkg

MOST_TKG_TOKENS = 96


@nki.jit(
    mode="auto",
    debug_kernel=True,
    show_compiler_tb=True,
    experimental_flags="skip-non-top-level-shared-hbm-check",
)
def qkv(
    input: nl.ndarray,
    fused_qkv_weights: nl.ndarray,
    output_layout: QKVOutputLayout = QKVOutputLayout.BSD,
    bias: nl.ndarray | None = None,
    quantization_type: QuantizationType = QuantizationType.NONE,
    qkv_w_scale: nl.ndarray | None = None,
    qkv_in_scale: nl.ndarray | None = None,
    fused_residual_add: bool | None = False,
    mlp_prev: nl.ndarray | None = None,
    attention_prev: nl.ndarray | None = None,
    fused_norm_type: NormType = NormType.NO_NORM,
    gamma_norm_weights: nl.ndarray | None = None,
    layer_norm_bias: nl.ndarray | None = None,
    norm_eps: float = 1e-6,
    hidden_actual: int | None = None,
    fused_rope: bool | None = False,
    cos_cache: nl.ndarray | None = None,
    sin_cache: nl.ndarray | None = None,
    d_head: int | None = None,
    num_q_heads: int | None = None,
    num_kv_heads: int | None = None,
    k_cache: nl.ndarray | None = None,
    v_cache: nl.ndarray | None = None,
    k_scale: nl.ndarray | None = None,
    v_scale: nl.ndarray | None = None,
    fp8_max: float | None = None,
    fp8_min: float | None = None,
    kv_dtype: Any = None,
    use_block_kv: bool = False,
    block_size: int | None = None,
    slot_mapping: nl.ndarray | None = None,
    store_output_in_sbuf: bool = False,
    sbm: SbufManager | None = None,
    use_auto_allocation: bool = False,
    load_input_with_DMA_transpose: bool = True,
    is_input_swizzled: bool = False,
) -> Any:
    """Project tokens to queries, keys and values.

    Args:
        input: HBM ``[B, S, H]``, or, for up to 96 tokens, SBUF ``[128, B·S, H/128]`` with one shard of H for
            each core.
        store_output_in_sbuf: for :mod:`.qkv_tkg`.
        All others: see :func:`.qkv_cte.qkv_cte`; :func:`.qkv_tkg.qkv_tkg` has its own names for them.

    Returns:
        The result; from :mod:`.qkv_tkg` with fused_residual_add ``(result, sum)``; from :mod:`.qkv_cte` with
        k_scale and v_scale ``(queries, k_cache, v_cache)``.

    Raises AssertionError when a limit, a shape or a combination is not met.
    """
    assert_classes(
        tensors=((input, "input"), (fused_qkv_weights, "fused_qkv_weights")),
        optional=(
            (bias, "bias"), (qkv_w_scale, "qkv_w_scale"), (qkv_in_scale, "qkv_in_scale"),
            (mlp_prev, "mlp_prev"), (attention_prev, "attention_prev"),
            (gamma_norm_weights, "gamma_norm_weights"), (layer_norm_bias, "layer_norm_bias"),
        ),
        flags=(
            (False if fused_residual_add is None else fused_residual_add, "fused_residual_add"),
            (store_output_in_sbuf, "store_output_in_sbuf"),
        ),
    )  # fmt: skip
    assert_layout(input, 3, "[B, S, H]" if is_hbm_buffer(input) else "[128, B·S, H/128]", "input")
    mx = quantization_type == QuantizationType.MX
    special = fused_rope or k_scale is not None or v_scale is not None or use_block_kv
    special = special or mx or is_input_swizzled
    if not is_hbm_buffer(input):
        kernel_assert(
            not special, "input in SBUF goes without fused_rope, quantised caches, MX and is_input_swizzled"
        )
        tokens = input.shape[1]
        kernel_assert(
            tokens <= MOST_TKG_TOKENS, f"input in SBUF has at most {MOST_TKG_TOKENS} tokens, it has {tokens}"
        )
    elif special or input.shape[1] > MOST_TKG_TOKENS:
        return qkv_cte(
            input=input,
            fused_qkv_weights=fused_qkv_weights,
            output_layout=output_layout,
            bias=bias,
            fused_residual_add=fused_residual_add,
            mlp_prev=mlp_prev,
            attention_prev=attention_prev,
            fused_norm_type=fused_norm_type,
            gamma_norm_weights=gamma_norm_weights,
            layer_norm_bias=layer_norm_bias,
            norm_eps=norm_eps,
            hidden_actual=hidden_actual,
            fused_rope=fused_rope,
            cos_cache=cos_cache,
            sin_cache=sin_cache,
            d_head=d_head,
            num_q_heads=num_q_heads,
            num_kv_heads=num_kv_heads,
            k_cache=k_cache,
            v_cache=v_cache,
            k_scale=k_scale,
            v_scale=v_scale,
            fp8_max=fp8_max,
            fp8_min=fp8_min,
            kv_dtype=kv_dtype,
            use_block_kv=use_block_kv,
            block_size=block_size,
            slot_mapping=slot_mapping,
            store_output_in_sbuf=store_output_in_sbuf,
            sbm=sbm,
            use_auto_allocation=use_auto_allocation,
            load_input_with_DMA_transpose=load_input_with_DMA_transpose,
            quantization_type=quantization_type,
            qkv_w_scale=qkv_w_scale,
            qkv_in_scale=qkv_in_scale,
            is_input_swizzled=is_input_swizzled,
        )
    return qkv_tkg(
        hidden=input,
        qkv_w=fused_qkv_weights,
        norm_w=gamma_norm_weights,
        fused_add=bool(fused_residual_add),
        mlp_prev=mlp_prev,
        attn_prev=attention_prev,
        d_head=d_head,
        num_kv_heads=num_kv_heads,
        num_q_heads=num_q_heads,
        output_layout=output_layout,
        eps=norm_eps,
        norm_type=fused_norm_type,
        quantization_type=quantization_type,
        qkv_w_scale=qkv_w_scale,
        qkv_in_scale=qkv_in_scale,
        output_in_sbuf=store_output_in_sbuf,
        qkv_bias=bias,
        norm_bias=layer_norm_bias,
        hidden_actual=hidden_actual,
        sbm=sbm,
    )
