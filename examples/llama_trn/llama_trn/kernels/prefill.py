"""Attention over the whole prompt; the library comes from the compiler, from a wheel, or not at all."""

import neuronxcc.nki as nki

try:
    from nkilib.core.attention.attention_cte import attention_cte as _attention_cte
except ImportError:
    from nkilib_standalone.nkilib.core.attention.attention_cte import attention_cte as _attention_cte

try:
    from nkilib_standalone.nkilib.core.output_projection.output_projection_cte import output_projection_cte

    HAS_FUSED_OUTPUT = True
except ImportError:
    output_projection_cte = None
    HAS_FUSED_OUTPUT = False

# attention_cte is a plain function: jit it once, launch it per layer.
attention_cte = nki.jit(_attention_cte)


def prefill_attention(q, k, v, o_weight, *, lnc=2):
    """Causal attention and, where the library has it, the output projection behind it."""
    out = attention_cte[lnc](q, k, v, 1.0, True, tp_q=True, tp_k=False)
    if not HAS_FUSED_OUTPUT:
        return out
    return output_projection_cte[lnc](out, o_weight)
