"""Decode LayerNorm: ``y = (x - μ) / √(E[x²] - μ² + eps) · γ + β``, in the layout that decode matmuls take.

Moments are fp32; so are all steps, with one rounding to the output's dtype. The input is not changed. An
input in HBM is loaded into the buffer of the result first, that is converted to its dtype. See
:mod:`.norm_tkg_utils` for the layout.

Two cores divide the tokens when these are more than ``SHARDING_THRESHOLD`` and even in number: an output in
SBUF is completed by exchange, one in HBM is stored in halves. Otherwise each core does everything.
"""

import nki.language as nl

from ...blocks.arguments import assert_classes, assert_not_negative
from ...blocks.dtypes import FLOATS_AND_E4M3, assert_dtype
from ...blocks.lnc import cores, sharing
from ...blocks.memory import PARTITIONS, Scratch, manager, scratch
from ...blocks.norm import layer_norm_spread
from ...blocks.tiles import as_view
from ..utils.allocator import SbufManager
from ..utils.kernel_assert import assert_shape, kernel_assert
from ..utils.tensor_view import TensorView
from .norm_tkg_utils import (
    deliver,
    load_gamma_to_sbuf,
    load_input_to_sbuf,
    own_tokens,
    result_buffer,
    rows_of,
    validate_shapes,
)

SHARDING_THRESHOLD = 10
"""Most tokens that two cores do not divide."""


def layernorm_tkg(
    input: nl.ndarray,
    gamma: nl.ndarray | None,
    output: nl.ndarray,
    beta: nl.ndarray | None = None,
    eps: float = 1e-6,
    use_heap_memory: bool = False,
    sbm: SbufManager | None = None,
) -> TensorView | nl.ndarray:
    """Normalise ``input`` into ``output``, which is returned. Tensors may be TensorViews.

    Args:
        input: HBM ``[B, S, H]``, or SBUF ``[128, B·S, H/128]`` in the layout of the output. All tensors are
            bfloat16, float16, float32 or float8_e4m3.
        gamma, beta: HBM ``[1, H]``; None is γ = 1, β = 0.
        output: HBM or SBUF ``[128, B·S, H/128]``; its hidden layout has one shard for each core.
        eps: added to the variance.
        use_heap_memory: scratch from the heap side of ``sbm``.
        sbm: SBUF manager; None leaves addresses to the compiler.

    Raises AssertionError for shapes that do not match, and when H/128 does not divide by the cores.
    """
    assert_classes(
        tensors=((input, "input"), (output, "output")),
        optional=((gamma, "gamma"), (beta, "beta")),
        flags=((use_heap_memory, "use_heap_memory"),),
    )
    sbm = manager(sbm)
    source, target = as_view(input), as_view(output)
    weights = None if gamma is None else as_view(gamma)
    tokens, hidden, _, width = validate_shapes(source, weights, target)
    assert_not_negative(eps, "eps")
    assert_dtype(source, FLOATS_AND_E4M3, "input")
    assert_dtype(target, FLOATS_AND_E4M3, "output")
    assert_dtype(weights, FLOATS_AND_E4M3, "gamma")
    if beta is not None:
        assert_shape(beta, (1, hidden), "beta", "It is (1, H).")
        assert_dtype(beta, FLOATS_AND_E4M3, "beta")
    here = cores()
    kernel_assert(width % here.count == 0, f"H/128 = {width} must divide by the {here.count} cores")
    share = sharing(tokens, here, SHARDING_THRESHOLD)
    own = own_tokens(target, share)
    work = scratch(sbm, use_heap_memory, "layernorm_tkg")
    result = result_buffer(own, source.dtype, work)
    first = share.index * own.shape[1]
    layernorm_tkg_llama_impl(
        input, gamma, beta, result, first, own.shape[1], here.count, eps, use_heap_memory, sbm
    )
    deliver(target, result, share)
    work.close()
    return output


def layernorm_tkg_llama_impl(
    input: nl.ndarray,
    gamma: nl.ndarray | None,
    beta: nl.ndarray | None,
    result: nl.ndarray,
    bs_lb: int,
    bs_count: int,
    lnc: int,
    eps: float,
    use_heap_memory: bool,
    sbm: SbufManager,
) -> None:
    """The body for one core: tokens ``bs_lb … bs_lb + bs_count - 1`` of the input into ``result``.

    Args:
        input, gamma, beta: as for :func:`layernorm_tkg`.
        result: SBUF ``[128, bs_count, H/128]``.
        lnc: shards of the hidden layout.
    """
    source, into = as_view(input), as_view(result)
    work = scratch(sbm, use_heap_memory, "layernorm_tkg_llama_impl")
    scale = None if gamma is None else _loaded_row(gamma, lnc, work)
    shift = None if beta is None else _loaded_row(beta, lnc, work)
    if source.is_sbuf():
        values = source.slice(1, bs_lb, bs_lb + bs_count)
    else:
        values = load_input_to_sbuf(rows_of(source).slice(0, bs_lb, bs_lb + bs_count), into, lnc)
    layer_norm_spread(into, values, scale, shift, eps, sbm, use_heap_memory)
    work.close()


def _loaded_row(row: nl.ndarray, shards: int, work: Scratch) -> TensorView:
    """HBM ``[1, H]`` as SBUF ``[128, H/128]``."""
    view = as_view(row)
    loaded = as_view(work.tile((PARTITIONS, view.shape[1] // PARTITIONS), view.dtype))
    return load_gamma_to_sbuf(view, loaded, shards)
