"""What :mod:`.qkv_tkg` accepts."""

from typing import Any

import nki.language as nl

from ...blocks.arguments import assert_integers, assert_layout, assert_not_negative
from ...blocks.dtypes import FLOATS, FLOATS_AND_FP8, assert_dtype
from ...blocks.lnc import Cores
from ...blocks.memory import PARTITIONS
from ..subkernels import layernorm_tkg as layernorm
from ..subkernels import rmsnorm_tkg as rmsnorm
from ..utils.allocator import SbufManager
from ..utils.common_types import NormType, QKVOutputLayout
from ..utils.kernel_assert import assert_shape, kernel_assert
from ..utils.kernel_helpers import is_hbm_buffer

MOST_TOKENS = 128
MOST_COLUMNS_IN_SBUF = 4096


class Norm(nl.NKIObject):
    """The fused norm.

    Attributes:
        kind: NO_NORM, RMS_NORM or LAYER_NORM. gamma, beta: HBM ``[1, H]`` or None. eps: what is added to the
            mean square or variance. hidden_actual: divisor of RMS_NORM's sum; None or 0 is H.
    """

    kind: NormType
    gamma: Any
    beta: Any
    eps: float
    hidden_actual: Any


def tokens_of(hidden: nl.ndarray) -> int:
    """B·S of HBM ``[B, S, H]`` or SBUF ``[128, B·S, H/128]``."""
    if is_hbm_buffer(hidden):
        return hidden.shape[0] * hidden.shape[1]
    return hidden.shape[1]


def width_of(hidden: nl.ndarray) -> int:
    """H."""
    if is_hbm_buffer(hidden):
        return hidden.shape[2]
    return hidden.shape[2] * PARTITIONS


def threshold(norm: Norm) -> int:
    """Most tokens that every core normalises by itself."""
    if norm.kind == NormType.RMS_NORM:
        return rmsnorm.SHARDING_THRESHOLD
    return layernorm.SHARDING_THRESHOLD


def validate_operands(
    hidden: nl.ndarray, weight: nl.ndarray, bias: Any, here: Cores, sbm: SbufManager
) -> None:
    kernel_assert(sbm.is_auto_alloc(), "sbm must leave addresses to the compiler (use_auto_alloc)")
    kernel_assert(len(hidden.shape) == 3, f"hidden must have 3 dimensions, its shape is {hidden.shape}")
    if not is_hbm_buffer(hidden):
        kernel_assert(
            hidden.shape[0] == PARTITIONS, f"hidden in SBUF must have 128 partitions, it is {hidden.shape}"
        )
    tokens, width = tokens_of(hidden), width_of(hidden)
    kernel_assert(width % PARTITIONS == 0, f"H must be a multiple of 128, it is {width}")
    planes = width // PARTITIONS
    kernel_assert(planes % here.count == 0, f"H/128 = {planes} must divide by the {here.count} cores")
    kernel_assert(tokens > 0, f"hidden must have tokens, its shape is {hidden.shape}")
    kernel_assert(tokens <= MOST_TOKENS, f"B·S must be at most {MOST_TOKENS}, it is {tokens}")
    assert_layout(weight, 2, "[H, I]", "qkv_w")
    kernel_assert(weight.shape[0] == width, f"qkv_w must have H = {width} rows, it has {weight.shape[0]}")
    assert_dtype(hidden, FLOATS, "hidden")
    assert_dtype(weight, FLOATS_AND_FP8, "qkv_w")
    assert_dtype(bias, FLOATS, "qkv_bias")
    wide = (hidden.dtype == nl.float32) == (weight.dtype == nl.float32)
    kernel_assert(wide, f"float32 goes with float32 only: hidden is {hidden.dtype}, qkv_w {weight.dtype}")
    if bias is not None:
        assert_shape(bias, (1, weight.shape[1]), "qkv_bias")


def validate_output(
    hidden: nl.ndarray, weight: nl.ndarray, layout: QKVOutputLayout, depth: Any, in_sbuf: bool
) -> None:
    columns = weight.shape[1]
    known = layout == QKVOutputLayout.BSD or layout == QKVOutputLayout.NBSd
    kernel_assert(known, f"output_layout must be BSD or NBSd, it is {layout}")
    if layout == QKVOutputLayout.NBSd:
        kernel_assert(bool(depth), "NBSd needs d_head")
        kernel_assert(columns % depth == 0, f"NBSd needs I in heads of {depth}, it is {columns}")
    if in_sbuf:
        most = MOST_COLUMNS_IN_SBUF
        kernel_assert(columns <= most, f"a result in SBUF has at most {most} columns, I is {columns}")
    else:
        kernel_assert(is_hbm_buffer(hidden), "hidden in SBUF needs output_in_sbuf")


def validate_norm(norm: Norm, width: int) -> None:
    kind = norm.kind
    assert_dtype(norm.gamma, FLOATS, "norm_w")
    assert_dtype(norm.beta, FLOATS, "norm_bias")
    known = kind == NormType.NO_NORM or kind == NormType.RMS_NORM or kind == NormType.LAYER_NORM
    kernel_assert(known, f"norm_type must be NO_NORM, RMS_NORM or LAYER_NORM, it is {kind}")
    if norm.beta is not None:
        kernel_assert(kind == NormType.LAYER_NORM, f"norm_bias goes with LAYER_NORM only, not with {kind}")
        assert_shape(norm.beta, (1, width), "norm_bias")
    if kind == NormType.NO_NORM:
        return
    assert_not_negative(norm.eps, "eps")
    assert_integers(((norm.hidden_actual, "hidden_actual"),), 0, width)
    kernel_assert(norm.gamma is not None, f"{kind} needs norm_w")
    assert_shape(norm.gamma, (1, width), "norm_w")


def validate_add(hidden: nl.ndarray, attention: Any, mlp: Any, norm: Norm, here: Cores) -> None:
    kernel_assert(is_hbm_buffer(hidden), "fused_add needs hidden in HBM")
    kernel_assert(attention is not None and mlp is not None, "fused_add needs attn_prev and mlp_prev")
    assert_shape(attention, tuple(hidden.shape), "attn_prev")
    assert_shape(mlp, tuple(hidden.shape), "mlp_prev")
    assert_dtype(attention, FLOATS, "attn_prev")
    assert_dtype(mlp, FLOATS, "mlp_prev")
    tokens = tokens_of(hidden)
    divided = here.count == 2 and norm.kind != NormType.NO_NORM and tokens > threshold(norm)
    kernel_assert(
        not divided or tokens % 2 == 0,
        f"two cores divide more than {threshold(norm)} tokens of a sum that is normalised: B·S must be even, "
        f"it is {tokens}",
    )
