"""Gradients of attention: flash attention's backward pass.

For each query head, with the keys that a query sees (causal: up to its own; a window: the last of these)::

    S  = (scale·Q)ᵀ·K             P  = exp(S - lse) of the keys that are seen, otherwise 0
    D  = Σ_d dy·o                 dS = P·(dYᵀ·V - D)
    dQ = scale·dS·K               dK = dSᵀ·(scale·Q)      dV = Pᵀ·dY       summed over a key head's queries
    dsinks[n] = -Σ_i exp(sinks[n] - lse_i)·D_i

Products are summed in fp32. scale·Q, P and dS are rounded to the inputs' dtype T; -lse, dy·o, D and the sums
of dK and dV to fp32 with ``mixed_precision`` and to T without. dQ is rounded to T after each section of keys,
8192 of 16 bits for a head of 128.

The cores of a launch divide the key heads of all batch rows.
"""

from typing import Any

import nki
import nki.isa as nisa
import nki.language as nl

from ... import insides
from ...blocks.arguments import assert_classes, assert_integers, assert_number
from ...blocks.dtypes import FLOATS, assert_dtypes
from ...blocks.lnc import cores
from ...blocks.masks import Band, Bounds, query_positions
from ...blocks.memory import PARTITIONS, Scratch, manager, scratch
from ..utils.kernel_assert import assert_shape, kernel_assert
from ..utils.kernel_helpers import div_ceil
from .attention_bwd_plan import MOST_PARTS, Call, group_of, section_of, width_of
from .attention_bwd_rows import differentiate

__getattr__ = insides.named(__name__)


@nki.jit
def attention_bwd(
    q_ref: nl.ndarray,
    k_ref: nl.ndarray,
    v_ref: nl.ndarray,
    o_ref: nl.ndarray,
    dy_ref: nl.ndarray,
    lse_ref: nl.ndarray,
    sinks_ref: nl.ndarray | None = None,
    use_causal_mask: bool = False,
    mixed_precision: bool = False,
    softmax_scale: float | None = None,
    sliding_window: int | None = None,
) -> Any:
    """Gradients of queries, keys, values and sinks.

    Args:
        q_ref, o_ref, dy_ref: HBM ``[b, h, d, queries]``, queries, the forward pass's output, its gradient.
        k_ref, v_ref: HBM ``[b, h_kv, d, keys]``; key head j is that of query heads ``j·h/h_kv`` and on.
        lse_ref: HBM ``[b, h, 128, queries/128]``, log Σ exp of the scaled scores and the sinks: query t at
            (t % 128, t // 128).
        sinks_ref: HBM ``[b, h]`` or ``[b, h, n]``, logits without a value.
        use_causal_mask: queries see keys up to their own position.
        mixed_precision: -lse, D and the sums of dK and dV are fp32.
        softmax_scale: of the scores; ``1/√d`` if None or 0.
        sliding_window: keys that a query sees, its own included; all if None or not positive.

    All tensors are bfloat16, float16 or float32, the five main ones of one dtype. d is divided into tiles of
    equal size of at most 128; queries are a multiple of 128; keys are 128, 256 or a multiple of 512.

    Returns:
        ``(dq, dk, dv)`` in shared HBM, like q, k and v; with sinks a fourth, like them.
    """
    assert_classes(
        tensors=(
            (q_ref, "q_ref"), (k_ref, "k_ref"), (v_ref, "v_ref"), (o_ref, "o_ref"), (dy_ref, "dy_ref"),
            (lse_ref, "lse_ref"),
        ),
        optional=((sinks_ref, "sinks_ref"),),
        flags=((use_causal_mask, "use_causal_mask"), (mixed_precision, "mixed_precision")),
    )  # fmt: skip
    assert_integers(((sliding_window, "sliding_window"),))
    if softmax_scale is not None:
        assert_number(softmax_scale, "softmax_scale")
    window = 0 if sliding_window is None else max(0, sliding_window)
    _validate(q_ref, k_ref, v_ref, o_ref, dy_ref, lse_ref, sinks_ref, use_causal_mask, window)
    results = []
    for source in (q_ref, k_ref, v_ref):
        results.append(nl.ndarray(source.shape, dtype=source.dtype, buffer=nl.shared_hbm))
    sinks, dsinks = sinks_ref, None
    if sinks_ref is not None:
        results.append(nl.ndarray(sinks_ref.shape, dtype=sinks_ref.dtype, buffer=nl.shared_hbm))
        sinks, dsinks = _by_number(sinks_ref), _by_number(results[3])
    batch, heads, size, queries = q_ref.shape
    key_heads, keys = k_ref.shape[1], k_ref.shape[3]
    parts, dtype = div_ceil(size, PARTITIONS), q_ref.dtype
    call = Call(
        q=q_ref, k=k_ref, v=v_ref, o=o_ref, dy=dy_ref, lse=lse_ref, sinks=sinks,
        dq=results[0], dk=results[1], dv=results[2], dsinks=dsinks,
        scale=float(softmax_scale) if softmax_scale else 1.0 / size**0.5,
        band=Band(causal=use_causal_mask, window=min(window, keys)),
        mixed=nl.float32 if mixed_precision else dtype,
        heads=heads // key_heads, depth=size // parts, parts=parts,
        queries=queries, keys=keys, width=width_of(keys),
        section=section_of(dtype, parts), group=group_of(dtype, parts),
    )  # fmt: skip
    sbm, here = manager(), cores()
    work = scratch(sbm, name="attention_bwd")
    if use_causal_mask:
        call.bounds = _bounds(call, work)
    share = div_ceil(batch * key_heads, here.count)
    first = here.index * share
    for sample in range(first, min(batch * key_heads, first + share)):
        differentiate(call, sample // key_heads, sample % key_heads, sbm)
    work.close()
    return tuple(results)


def power_of_2(n: int) -> int:
    """The smallest power of two that is not below ``n``; 1 for what is below 1."""
    power = 1
    while power < n:
        power = 2 * power
    return power


def _by_number(sinks: nl.ndarray) -> nl.ndarray:
    """``[b, h, n]``, n being 1 for sinks without it."""
    if len(sinks.shape) == 3:
        return sinks
    return sinks.reshape((sinks.shape[0], sinks.shape[1], 1))


def _bounds(call: Call, work: Scratch) -> Bounds:
    """The last key that each query sees, and with a window the first one."""
    shape = (PARTITIONS, call.queries // PARTITIONS)
    bounds = Bounds(upper=work.tile(shape, nl.float32))
    query_positions(bounds.upper, 1)
    if call.band.window > 0:
        bounds.lower = work.tile(shape, nl.float32)
        nisa.tensor_scalar(
            dst=bounds.lower, data=bounds.upper, op0=nl.add, operand0=float(1 - call.band.window)
        )
    return bounds


def _validate(
    q: Any, k: Any, v: Any, o: Any, dy: Any, lse: Any, sinks: Any, causal: bool, window: int
) -> None:
    """Raises AssertionError."""
    kernel_assert(len(q.shape) == 4, f"q_ref must be [b, h, d, queries], it is {q.shape}")
    kernel_assert(len(k.shape) == 4, f"k_ref must be [b, h_kv, d, keys], it is {k.shape}")
    batch, heads, size, queries = q.shape
    key_heads, keys = k.shape[1], k.shape[3]
    kernel_assert(
        key_heads > 0 and heads % key_heads == 0,
        f"q_ref has {heads} heads, which must be a multiple of the {key_heads} of k_ref",
    )
    assert_shape(k, (batch, key_heads, size, keys), "k_ref")
    assert_shape(v, (batch, key_heads, size, keys), "v_ref")
    assert_shape(o, (batch, heads, size, queries), "o_ref")
    assert_shape(dy, (batch, heads, size, queries), "dy_ref")
    for pair in ((k, "k_ref"), (v, "v_ref"), (o, "o_ref"), (dy, "dy_ref")):
        tensor, name = pair
        kernel_assert(
            tensor.dtype == q.dtype, f"{name} is {tensor.dtype}, q_ref is {q.dtype}: they must agree"
        )
    assert_dtypes(((q, "q_ref"), (lse, "lse_ref"), (sinks, "sinks_ref")), FLOATS)
    _validate_sizes(size, queries, keys)
    assert_shape(lse, (batch, heads, PARTITIONS, queries // PARTITIONS), "lse_ref")
    if sinks is not None:
        fits = len(sinks.shape) in (2, 3) and tuple(sinks.shape[0:2]) == (batch, heads)
        kernel_assert(
            fits and sinks.size > 0,
            f"sinks_ref must be [{batch}, {heads}] or [{batch}, {heads}, n], it is {sinks.shape}",
        )
    kernel_assert(
        not causal or queries == keys, f"use_causal_mask needs as many queries as keys: {queries}, {keys}"
    )
    kernel_assert(window == 0 or causal, "sliding_window needs use_causal_mask=True")


def _validate_sizes(size: int, queries: int, keys: int) -> None:
    parts = div_ceil(size, PARTITIONS)
    kernel_assert(
        size > 0 and size % parts == 0, f"d = {size} does not divide into {parts} equal tiles of at most 128"
    )
    kernel_assert(parts <= MOST_PARTS, f"d = {size} is more than {MOST_PARTS * PARTITIONS}")
    kernel_assert(
        queries > 0 and queries % PARTITIONS == 0, f"there are {queries} queries, no multiple of 128"
    )
    width = width_of(keys)
    fits = keys > 0 and width % PARTITIONS == 0 and keys % width == 0
    kernel_assert(fits, f"there are {keys} keys; allowed are 128, 256 and multiples of 512")
