"""What :mod:`.qkv_cte` accepts, and the sizes that follow from it."""

from dataclasses import dataclass
from typing import Any

import nki.language as nl

from ... import insides
from ...blocks.arguments import (
    assert_integer,
    assert_integers,
    assert_layout,
    assert_not_negative,
    assert_number,
)
from ...blocks.dtypes import (
    FLOATS,
    FLOATS_AND_FP8,
    PACKED_MX,
    assert_dtype,
    assert_dtype_parameter,
    assert_dtypes,
    is_fp8,
    is_one_of,
)
from ...blocks.memory import PARTITIONS
from ...blocks.mx import LANES, TILE
from ..utils.allocator import SbufManager
from ..utils.common_types import NormType, QKVOutputLayout, QuantizationType
from ..utils.kernel_assert import assert_shape, kernel_assert
from ..utils.kernel_helpers import get_max_positive_value_for_dtype, is_hbm_buffer
from .products import Heads, validate_quantization, validate_scales

__getattr__ = insides.named(__name__)

MAX_HIDDEN, MAX_COLUMNS = 24576, 4096
HEAD_OF_NBSD = 128
GROUP_VALUES = 32
"""Values of the contraction that a row of MX scales is for."""


@dataclass
class QKV_CTE_UserInput(nl.NKIObject):
    """The arguments of :func:`.qkv_cte.qkv_cte`."""

    input: nl.ndarray
    fused_qkv_weights: nl.ndarray
    output_layout: QKVOutputLayout
    bias: nl.ndarray | None
    fused_residual_add: bool | None
    mlp_prev: nl.ndarray | None
    attention_prev: nl.ndarray | None
    fused_norm_type: NormType
    gamma_norm_weights: nl.ndarray | None
    layer_norm_bias: nl.ndarray | None
    norm_eps: float | None
    hidden_actual: int | None
    fused_rope: bool | None
    cos_cache: nl.ndarray | None
    sin_cache: nl.ndarray | None
    d_head: int | None
    num_q_heads: int | None
    num_kv_heads: int | None
    k_cache: nl.ndarray | None
    v_cache: nl.ndarray | None
    k_scale: nl.ndarray | None
    v_scale: nl.ndarray | None
    fp8_max: float | None
    fp8_min: float | None
    kv_dtype: Any
    use_block_kv: bool
    block_size: int | None
    slot_mapping: nl.ndarray | None
    store_output_in_sbuf: bool
    sbm: SbufManager | None
    use_auto_allocation: bool
    load_input_with_DMA_transpose: bool
    quantization_type: QuantizationType
    qkv_w_scale: nl.ndarray | None
    qkv_in_scale: nl.ndarray | None
    is_input_swizzled: bool


def is_mx(args: QKV_CTE_UserInput) -> bool:
    return args.quantization_type == QuantizationType.MX


def is_static(args: QKV_CTE_UserInput) -> bool:
    return args.quantization_type == QuantizationType.STATIC


def fills_cache(args: QKV_CTE_UserInput) -> bool:
    """Whether keys and values are quantised into caches."""
    return args.k_scale is not None and args.v_scale is not None


def compute_dtype(args: QKV_CTE_UserInput) -> Any:
    """Of values between steps: the input's, bfloat16 for float32."""
    if args.input.dtype == nl.float32:
        return nl.bfloat16
    return args.input.dtype


def head_size(args: QKV_CTE_UserInput) -> int:
    """d_head as given, or what the numbers of heads make of I; 0 when neither is known."""
    if args.d_head:
        return args.d_head
    if args.num_q_heads and args.num_kv_heads:
        return args.fused_qkv_weights.shape[1] // (args.num_q_heads + 2 * args.num_kv_heads)
    return 0


def heads_of(args: QKV_CTE_UserInput) -> Heads:
    """For calls whose heads are known."""
    return Heads(queries=args.num_q_heads, keys=args.num_kv_heads, depth=head_size(args))


def cache_bounds(args: QKV_CTE_UserInput) -> tuple[float, float]:
    """Largest and smallest value in the caches; by default those of their dtype."""
    largest = get_max_positive_value_for_dtype(cache_dtype(args))
    high, low = args.fp8_max, args.fp8_min
    kernel_assert(
        largest is not None or (high is not None and low is not None),
        f"kv_dtype {cache_dtype(args)} has no largest value: give fp8_max and fp8_min",
    )
    bound = largest or 0.0
    return (bound if high is None else high, -bound if low is None else low)


def cache_dtype(args: QKV_CTE_UserInput) -> Any:
    return args.input.dtype if args.kv_dtype is None else args.kv_dtype


# -- checks -----------------------------------------------------------------------------------------------


def validate(args: QKV_CTE_UserInput, cores: int) -> None:
    """Raises AssertionError for what the kernel cannot do."""
    known = [QuantizationType.NONE, QuantizationType.STATIC, QuantizationType.MX]
    validate_quantization(args.quantization_type, known)
    _check_numbers(args)
    _check_sizes(args)
    _check_types(args)
    _check_layout(args)
    _check_residual(args)
    _check_norm(args)
    _check_quantization(args, cores)
    _check_heads(args)
    _check_rope(args)
    _check_cache(args)
    _check(not args.store_output_in_sbuf, "store_output_in_sbuf is not available, results go to HBM")
    if args.sbm is not None:
        same = args.sbm.is_auto_alloc() == args.use_auto_allocation
        _check(same, "use_auto_allocation must say what sbm does")


def _check(condition: bool, text: str) -> None:
    kernel_assert(condition, f"[QKV CTE Kernel] {text}")


def _check_numbers(args: QKV_CTE_UserInput) -> None:
    """Of heads, and of blocks where there are some."""
    assert_integers(
        ((args.d_head, "d_head"), (args.num_q_heads, "num_q_heads"), (args.num_kv_heads, "num_kv_heads")), 0
    )
    if args.use_block_kv:
        assert_integers(((args.block_size, "block_size"),), 1)


def _check_sizes(args: QKV_CTE_UserInput) -> None:
    shape = tuple(args.input.shape)
    _check(len(shape) == 3, f"input must be [B, S, H], its shape is {shape}")
    _check(is_hbm_buffer(args.input), "input must be in HBM")
    assert_layout(args.fused_qkv_weights, 2, "[H, I]", "fused_qkv_weights")
    hidden, (rows, columns) = shape[2], args.fused_qkv_weights.shape
    _check(hidden <= MAX_HIDDEN, f"H must be at most {MAX_HIDDEN}, it is {hidden}")
    _check(hidden % PARTITIONS == 0, f"H must be a multiple of {PARTITIONS}, it is {hidden}")
    _check(columns <= MAX_COLUMNS, f"I must be at most {MAX_COLUMNS}, it is {columns}")
    wanted = hidden // LANES if is_mx(args) else hidden
    _check(rows == wanted, f"fused_qkv_weights must have {wanted} rows for H = {hidden}, they have {rows}")
    if args.bias is not None:
        assert_shape(args.bias, (1, columns), "[QKV CTE Kernel] bias")
    if args.hidden_actual is not None:
        assert_integer(args.hidden_actual, "[QKV CTE Kernel] hidden_actual", 0)
        most = f"hidden_actual must be at most H = {hidden}, it is {args.hidden_actual}"
        _check(args.hidden_actual <= hidden, most)


def _check_types(args: QKV_CTE_UserInput) -> None:
    """MX weights are the matter of :func:`_check_mx`."""
    floats = (
        (args.input, "input"), (args.bias, "bias"),
        (args.mlp_prev, "mlp_prev"), (args.attention_prev, "attention_prev"),
        (args.gamma_norm_weights, "gamma_norm_weights"), (args.layer_norm_bias, "layer_norm_bias"),
        (args.cos_cache, "cos_cache"), (args.sin_cache, "sin_cache"),
    )  # fmt: skip
    assert_dtypes(floats, FLOATS)
    if not is_mx(args):
        assert_dtype(args.fused_qkv_weights, FLOATS_AND_FP8, "fused_qkv_weights")
    if fills_cache(args):
        assert_dtypes(((args.k_cache, "k_cache"), (args.v_cache, "v_cache")), FLOATS_AND_FP8)


def _check_layout(args: QKV_CTE_UserInput) -> None:
    layout = args.output_layout
    known = layout == QKVOutputLayout.BSD or layout == QKVOutputLayout.NBSd
    _check(known, f"output_layout must be BSD or NBSd, it is {layout}")
    if layout == QKVOutputLayout.NBSd:
        columns = args.fused_qkv_weights.shape[1]
        _check(args.d_head == HEAD_OF_NBSD, f"NBSd needs d_head = {HEAD_OF_NBSD}, it is {args.d_head}")
        _check(columns % HEAD_OF_NBSD == 0, f"NBSd needs I in heads of {HEAD_OF_NBSD}, it is {columns}")


def _check_residual(args: QKV_CTE_UserInput) -> None:
    mlp, attention = args.mlp_prev, args.attention_prev
    if not args.fused_residual_add:
        none = mlp is None and attention is None
        _check(none, "mlp_prev and attention_prev go with fused_residual_add only")
        return
    _check(mlp is not None and attention is not None, "fused_residual_add needs mlp_prev and attention_prev")
    assert_shape(mlp, tuple(args.input.shape), "[QKV CTE Kernel] mlp_prev")
    assert_shape(attention, tuple(args.input.shape), "[QKV CTE Kernel] attention_prev")


def _check_norm(args: QKV_CTE_UserInput) -> None:
    kind, gamma, beta = args.fused_norm_type, args.gamma_norm_weights, args.layer_norm_bias
    row = (1, args.input.shape[2])
    _check(isinstance(kind, NormType), f"fused_norm_type: {kind} is no NormType")
    if kind == NormType.RMS_NORM or kind == NormType.LAYER_NORM:
        _check(gamma is not None, f"{kind} needs gamma_norm_weights")
        assert_shape(gamma, row, "[QKV CTE Kernel] gamma_norm_weights")
    else:
        _check(gamma is None, f"gamma_norm_weights do not go with {kind}")
    if kind != NormType.NO_NORM:
        _check(args.norm_eps is not None, f"{kind} needs norm_eps")
        assert_not_negative(args.norm_eps, "[QKV CTE Kernel] norm_eps")
    if beta is not None:
        _check(kind == NormType.LAYER_NORM, f"layer_norm_bias goes with LAYER_NORM only, not with {kind}")
        assert_shape(beta, row, "[QKV CTE Kernel] layer_norm_bias")


def _check_quantization(args: QKV_CTE_UserInput, cores: int) -> None:
    if args.is_input_swizzled:
        plain = args.fused_norm_type == NormType.NO_NORM and not args.fused_residual_add
        _check(is_mx(args), "is_input_swizzled goes with MX only")
        _check(plain, "is_input_swizzled goes with NO_NORM and without fused_residual_add")
    if is_static(args):
        weight = args.fused_qkv_weights
        _check(is_fp8(weight.dtype), f"STATIC needs fp8 fused_qkv_weights, their dtype is {weight.dtype}")
        validate_scales(
            args.qkv_w_scale, args.qkv_in_scale, [head_size(args), args.num_q_heads, args.num_kv_heads],
            weight.shape[1],
        )  # fmt: skip
    if is_mx(args):
        _check_mx(args, cores)


def _check_mx(args: QKV_CTE_UserInput, cores: int) -> None:
    _, sequence, hidden = args.input.shape
    _check(hidden % TILE == 0, f"MX needs H in multiples of {TILE}, it is {hidden}")
    share = sequence // cores
    _check(share % 2 == 0, f"MX needs an even number of tokens on each core, S / {cores} is {share}")
    _check(args.qkv_w_scale is not None, "MX needs qkv_w_scale")
    assert_dtype(args.fused_qkv_weights, PACKED_MX, "fused_qkv_weights")
    assert_dtype(args.qkv_w_scale, [nl.uint8], "qkv_w_scale")
    wanted = (hidden // GROUP_VALUES, args.fused_qkv_weights.shape[1])
    assert_shape(args.qkv_w_scale, wanted, "[QKV CTE Kernel] qkv_w_scale")


def _check_heads(args: QKV_CTE_UserInput) -> None:
    if args.num_q_heads and args.num_kv_heads:
        columns, heads = args.fused_qkv_weights.shape[1], heads_of(args)
        _check(
            heads.columns() == columns,
            f"{heads.queries} + 2·{heads.keys} heads of {heads.depth} must be I = {columns} columns",
        )


def _check_rope(args: QKV_CTE_UserInput) -> None:
    if not args.fused_rope:
        none = args.cos_cache is None and args.sin_cache is None
        _check(none, "cos_cache and sin_cache go with fused_rope only")
        return
    _check(args.cos_cache is not None and args.sin_cache is not None, "fused_rope needs both caches")
    _check(bool(args.num_q_heads and args.num_kv_heads), "fused_rope needs num_q_heads and num_kv_heads")
    depth = head_size(args)
    _check(depth % 2 == 0, f"fused_rope needs heads of an even size, it is {depth}")
    batch, sequence, _ = args.input.shape
    assert_shape(args.cos_cache, (batch, sequence, depth), "[QKV CTE Kernel] cos_cache")
    assert_shape(args.sin_cache, (batch, sequence, depth), "[QKV CTE Kernel] sin_cache")


def _check_cache(args: QKV_CTE_UserInput) -> None:
    both = (args.k_scale is None) == (args.v_scale is None)
    _check(both, "k_scale and v_scale go together")
    if not fills_cache(args):
        return
    _check(args.output_layout == QKVOutputLayout.BSD, "k_scale and v_scale go with BSD only")
    _check(not is_mx(args), "k_scale and v_scale do not go with MX")
    known = bool(args.num_q_heads and args.num_kv_heads and args.d_head)
    _check(known, "k_scale and v_scale need num_q_heads, num_kv_heads and d_head")
    _check(args.k_cache is not None and args.v_cache is not None, "k_scale and v_scale need both caches")
    assert_shape(args.k_scale, (PARTITIONS, 1), "[QKV CTE Kernel] k_scale")
    assert_shape(args.v_scale, (PARTITIONS, 1), "[QKV CTE Kernel] v_scale")
    assert_dtype_parameter(cache_dtype(args), FLOATS_AND_FP8, "[QKV CTE Kernel] kv_dtype")
    high, low = cache_bounds(args)
    assert_number(high, "fp8_max")
    assert_number(low, "fp8_min")
    _check(low <= high, f"fp8_min must be at most fp8_max, they are {low} and {high}")
    if args.use_block_kv:
        given = args.slot_mapping is not None and args.block_size is not None
        _check(given, "use_block_kv needs slot_mapping and block_size")
        assert_shape(args.slot_mapping, tuple(args.input.shape)[0:2], "[QKV CTE Kernel] slot_mapping")
    _check_cache_shape("k_cache", args.k_cache, args)
    _check_cache_shape("v_cache", args.v_cache, args)


def _check_cache_shape(name: str, cache: nl.ndarray, args: QKV_CTE_UserInput) -> None:
    batch, sequence, _ = args.input.shape
    heads = heads_of(args)
    width = heads.keys * heads.depth
    shape = tuple(cache.shape)
    _check(len(shape) == 3 and shape[2] == width, f"{name} must have rows of {width}, it is {shape}")
    if args.use_block_kv:
        size = args.block_size
        _check(shape[1] == size, f"{name} must have blocks of block_size = {size}, it is {shape}")
    else:
        fits = shape[0] == batch and shape[1] >= sequence
        _check(fits, f"{name} must be [{batch}, ≥ {sequence}, {width}], it is {shape}")
    same = is_one_of(cache.dtype, [cache_dtype(args)])
    _check(same, f"{name} must have kv_dtype, {cache_dtype(args)}, its dtype is {cache.dtype}")
