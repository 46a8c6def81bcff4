"""Decode RMSNorm: ``y = x·γ / √(Σ_h x² / hidden_actual + eps)``, in the layout that decode matmuls take.

fp32 throughout, one rounding to the output's dtype. An input in HBM is loaded into the buffer of the result
first, that is converted to its dtype. See :mod:`.norm_tkg_utils` for the layout.

Two cores divide the tokens when these are more than ``SHARDING_THRESHOLD`` and even in number: an output in
SBUF is completed by exchange, one in HBM is stored in halves. Otherwise each core does everything.
"""

import nki.language as nl

from ...blocks.arguments import assert_classes, assert_integers, assert_not_negative
from ...blocks.dtypes import FLOATS_AND_E4M3, assert_dtype
from ...blocks.lnc import cores, sharing
from ...blocks.memory import PARTITIONS, manager, scratch
from ...blocks.norm import rms_norm_spread, rms_norm_spread_with
from ...blocks.tiles import as_view
from ..utils.allocator import SbufManager
from ..utils.kernel_assert import assert_shape, kernel_assert
from ..utils.tensor_view import TensorView
from .norm_tkg_utils import (
    deliver,
    load_gamma_to_sbuf,
    load_input_to_sbuf,
    own_input,
    own_tokens,
    result_buffer,
    validate_shapes,
)

SHARDING_THRESHOLD = 18
"""Most tokens that two cores do not divide."""
BxS_FULL_TILE_SIZE = 512
"""Most tokens of :func:`process_rmsnorm_tile`."""


def rmsnorm_tkg(
    input: TensorView | nl.ndarray,
    gamma: TensorView | nl.ndarray | None,
    output: TensorView | nl.ndarray,
    eps: float = 1e-6,
    hidden_actual: int | None = None,
    hidden_dim_tp: bool = False,
    single_core_forced: bool = False,
    use_heap_memory: bool = False,
    sbm: SbufManager | None = None,
) -> TensorView | nl.ndarray:
    """Normalise ``input`` into ``output``, which is returned.

    Args:
        input: HBM ``[B, S, H]``, or SBUF ``[128, B·S, H/128]`` in the layout of the output. All tensors are
            bfloat16, float16, float32 or float8_e4m3.
        gamma: HBM ``[1, H]``; None is γ = 1.
        output: HBM or SBUF ``[128, B·S, H/128]``; its hidden layout has one shard for each core.
        eps: added to the mean square.
        hidden_actual: divisor of the sum of squares for a padded H; None or 0 is H. The sum is over all of H.
        hidden_dim_tp: transposed hidden layout, which has one shard.
        single_core_forced: each core works for itself, and the layout has one shard.
        use_heap_memory: scratch from the heap side of ``sbm``.
        sbm: SBUF manager; None leaves addresses to the compiler.

    Raises AssertionError for shapes that do not match, and when H/128 does not divide by the cores.
    """
    assert_classes(
        tensors=((input, "input"), (output, "output")),
        optional=((gamma, "gamma"),),
        flags=(
            (hidden_dim_tp, "hidden_dim_tp"), (single_core_forced, "single_core_forced"),
            (use_heap_memory, "use_heap_memory"),
        ),
    )  # fmt: skip
    sbm = manager(sbm)
    source, target = as_view(input), as_view(output)
    weights = None if gamma is None else as_view(gamma)
    tokens, _, _, width = validate_shapes(source, weights, target)
    assert_not_negative(eps, "eps")
    assert_integers(((hidden_actual, "hidden_actual"),), 0, width * PARTITIONS)
    assert_dtype(source, FLOATS_AND_E4M3, "input")
    assert_dtype(target, FLOATS_AND_E4M3, "output")
    assert_dtype(weights, FLOATS_AND_E4M3, "gamma")
    here = cores(alone=single_core_forced)
    shards = 1 if hidden_dim_tp else here.count
    kernel_assert(width % shards == 0, f"H/128 = {width} must divide by the {shards} cores of the launch")
    share = sharing(tokens, here, SHARDING_THRESHOLD)
    work = scratch(sbm, use_heap_memory, "rmsnorm_tkg")
    result = result_buffer(own_tokens(target, share), source.dtype, work)
    rmsnorm_tkg_llama_impl(
        own_input(source, share),
        weights,
        result,
        shards,
        hidden_actual,
        eps,
        hidden_dim_tp,
        use_heap_memory,
        sbm,
    )
    deliver(target, result, share)
    work.close()
    return output


def rmsnorm_tkg_llama_impl(
    input: TensorView,
    gamma: TensorView | None,
    output: TensorView,
    num_H_shards: int,
    hidden_actual: int | None,
    eps: float,
    hidden_dim_tp: bool = False,
    use_heap_memory: bool = False,
    sbm: SbufManager | None = None,
) -> None:
    """The body for one core: HBM ``[T, H]`` or SBUF ``[128, T, H/128]`` into SBUF ``[128, T, H/128]``.

    ``num_H_shards`` is the number of shards of the hidden layout, 1 with ``hidden_dim_tp``; the rest is as
    for :func:`rmsnorm_tkg`.
    """
    sbm = manager(sbm)
    width = output.shape[2]
    kernel_assert(not hidden_dim_tp or num_H_shards == 1, "hidden_dim_tp needs one shard of H")
    work = scratch(sbm, use_heap_memory, "rmsnorm_tkg_llama_impl")
    weights = None
    if gamma is not None:
        weights = as_view(work.tile((PARTITIONS, width), gamma.dtype))
        load_gamma_to_sbuf(gamma, weights, num_H_shards, hidden_dim_tp)
    values = input
    if not input.is_sbuf():
        values = load_input_to_sbuf(input, output, num_H_shards, hidden_dim_tp)
    count = hidden_actual or width * PARTITIONS
    rms_norm_spread(output, values, weights, eps, count, sbm, use_heap_memory)
    work.close()


def process_rmsnorm_tile(
    input_sb_view: TensorView,
    gamma_sb_view: TensorView,
    output_sb_view: TensorView,
    eps_view: TensorView,
    matmul_reduction_const_view: TensorView,
    bxs_tile: tuple[int, ...],
    hidden_actual: int,
    use_heap_memory: bool = False,
    sbm: SbufManager | None = None,
) -> None:
    """Normalise one chunk of tokens with constants that the caller has in SBUF.

    Args:
        input_sb_view, gamma_sb_view, output_sb_view: SBUF ``[128, T, H/128]``; gamma is the same for every t.
        eps_view: fp32 ``[128, 1]``. matmul_reduction_const_view: fp32 ``[128, 128]`` of ones.
        bxs_tile: which tokens of the caller's these are; without effect on values.
        hidden_actual: divisor of the sum of squares.
    """
    shape = tuple(input_sb_view.shape)
    assert_shape(output_sb_view, shape, "output tile", "It is that of the input tile.")
    kernel_assert(shape[1] <= BxS_FULL_TILE_SIZE, f"a chunk is at most 512 tokens, it has {shape[1]}")
    rms_norm_spread_with(
        output_sb_view,
        input_sb_view,
        gamma_sb_view,
        eps_view,
        matmul_reduction_const_view,
        hidden_actual,
        manager(sbm),
        use_heap_memory,
    )
