"""RMSNorm, and quantisation of its result to fp8: the activations of quantised context-encoding MLPs.

For each row ``x[H]`` of the input, in fp32 with the result of each line rounded to bf16:

    x = hidden
    x = x / √(Σ x² / H + bf16(eps)) · γ                            unless norm_type is NO_NORM
    ROW:    x = clip(x, ±lower_bound) with a bound
            D = max(max|x| / 240, 1e-6);  q = fp8(x · (1 / D))     stored q, then the 4 bytes of D (fp32)
    STATIC: x = x · (1 / s);  q = fp8(clip(x, ±240))               stored q

Rows are processed in tiles of 128 ``[128, H]``, a row on each partition; γ is held on all partitions. The
programs of the launch take contiguous shares of the rows, the last one also the remainder.
"""

from dataclasses import dataclass

import nki
import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_classes, assert_number, assert_object
from ...blocks.dtypes import FLOATS, assert_dtype
from ...blocks.lnc import cores, split
from ...blocks.matmul import broadcast_row
from ...blocks.memory import PARTITIONS, Scratch, manager, scratch
from ...blocks.norm import rms_norm_rows
from ...blocks.quantize import invert, quantize_rows, quantize_static
from ...blocks.tiles import as_view
from ..utils.allocator import SbufManager, num_elts
from ..utils.common_types import NormType, QuantizationType
from ..utils.kernel_assert import assert_shape, kernel_assert
from ..utils.kernel_helpers import is_rms_normalization
from ..utils.tensor_view import TensorView
from .rmsnorm_quant_constants import SCALE_BYTES, RMSNormQuantConstants, build_rms_norm_quant_constants
from .rmsnorm_quant_tile_info import build_rms_norm_quant_tile_info

MAX_BATCH, MAX_SEQUENCE, MAX_HIDDEN = (
    RMSNormQuantConstants.MAX_B,
    RMSNormQuantConstants.MAX_S,
    RMSNormQuantConstants.MAX_H,
)
SMALLEST_BOUND = 1e-6


@dataclass
class RmsNormQuantKernelArgs(nl.NKIObject):
    """What to do: the norm, and how its result is quantised.

    Attributes:
        lower_bound: ROW clips to ± this before quantising; 0 does not clip.
        norm_type: NO_NORM or RMS_NORM. quantization_type: ROW or STATIC.
        eps: added to the mean square.

    Raises AssertionError for another norm or quantisation, and for negative numbers.
    """

    lower_bound: float = 0.0
    norm_type: NormType = NormType.RMS_NORM
    quantization_type: QuantizationType = QuantizationType.ROW
    eps: float = 1e-6

    def __post_init__(self) -> None:
        quantization, norm = self.quantization_type, self.norm_type
        allowed = quantization == QuantizationType.ROW or quantization == QuantizationType.STATIC
        kernel_assert(allowed, f"quantization_type must be ROW or STATIC, it is {quantization}")
        allowed = norm == NormType.NO_NORM or norm == NormType.RMS_NORM
        kernel_assert(allowed, f"norm_type must be NO_NORM or RMS_NORM, it is {norm}")
        bound = self.lower_bound
        if bound is not None:
            assert_number(bound, "lower_bound")
            kernel_assert(bound >= 0, f"lower_bound must not be negative, it is {bound}")
        assert_number(self.eps, "eps")
        kernel_assert(self.eps >= 0, f"eps must not be negative, it is {self.eps}")

    def needs_rms_normalization(self) -> bool:
        return is_rms_normalization(self.norm_type)

    def has_lower_bound(self) -> bool:
        return self.lower_bound is not None and self.lower_bound > SMALLEST_BOUND

    def is_row_quant(self) -> bool:
        return self.quantization_type == QuantizationType.ROW

    def is_static_quant(self) -> bool:
        return self.quantization_type == QuantizationType.STATIC


@nki.jit
def rmsnorm_quant_kernel(
    hidden: nl.ndarray,
    ln_w: nl.ndarray,
    kargs: RmsNormQuantKernelArgs,
    input_dequant_scale: nl.ndarray | None = None,
) -> nl.ndarray:
    """Normalise the rows of ``hidden`` and quantise them to fp8 e4m3.

    Args:
        hidden: HBM ``[…, H]`` of rank 2 or more, bf16, fp16 or fp32.
        ln_w: HBM γ, ``[H]`` or ``[1, H]``; not read for NO_NORM.
        kargs: see :class:`RmsNormQuantKernelArgs`.
        input_dequant_scale: HBM fp32 ``[128, 1]``, for STATIC: s of ``x ≈ q·s``, the same in all rows.

    Returns:
        HBM fp8 ``[…, H + 4]`` for ROW, whose last 4 elements are the bytes of the row's fp32 scale (least
        significant first), and ``[…, H]`` for STATIC.
    """
    assert_classes(
        tensors=((hidden, "hidden"),),
        optional=(
            (ln_w, "ln_w"),
            (input_dequant_scale, "input_dequant_scale"),
        ),
    )
    assert_object(kargs, RmsNormQuantKernelArgs, "kargs")
    _validate(hidden, ln_w, kargs, input_dequant_scale)
    leading, width = _rows_and_width(hidden)
    rows = num_elts(leading)
    start, count = split(rows, cores())
    tiles = build_rms_norm_quant_tile_info((count, width))
    constants = build_rms_norm_quant_constants(tiles, kargs.eps, (count, width))
    stored = width + constants.dequant_scale_size if kargs.is_row_quant() else width
    out = nl.ndarray(
        tuple(leading) + (stored,),  # noqa: RUF005
        dtype=constants.quant_data_type,
        buffer=nl.shared_hbm,
    )
    sbm = manager()
    work = scratch(sbm, name="rmsnorm_quant")
    gamma = (
        _load_gamma(ln_w, min(count, PARTITIONS), constants, work, sbm)
        if kargs.needs_rms_normalization()
        else None
    )
    inverse = _load_inverse(input_dequant_scale, work) if kargs.is_static_quant() else None
    source, target = as_view(hidden.reshape((rows, width))), as_view(out.reshape((rows, stored)))
    for tile in range(tiles.outer_dim_tile.tile_count):
        first = start + tile * tiles.outer_dim_tile.tile_size
        last = first + tiles.outer_dim_tile.get_tile_bound(tile)
        into, read = target.slice(0, first, last), source.slice(0, first, last)
        _quantize_tile(into, read, gamma, inverse, kargs, constants, sbm)
    work.close()
    return out


def _rows_and_width(hidden: nl.ndarray) -> tuple[tuple[int, ...], int]:
    """The leading dimensions, which count the rows, and the last one, H."""
    last = len(hidden.shape) - 1
    return hidden.shape[0:last], hidden.shape[last]


def _load_gamma(
    ln_w: nl.ndarray, rows: int, constants: RMSNormQuantConstants, work: Scratch, sbm: SbufManager
) -> TensorView:
    """γ on the partitions of a tile: ``[rows, H]`` in its own type."""
    width = constants.proc_dim_size
    gamma = work.tile((rows, width), ln_w.dtype)
    inner = scratch(sbm, name="gamma")
    ones = constants.pe_broadcast_ones_vector_sbuf
    row = inner.tile((1, width), ones.dtype)
    nisa.dma_copy(dst=row, src=ln_w)
    broadcast_row(gamma, row, sbm, ones[:, 0:rows])
    inner.close()
    return as_view(gamma)


def _load_inverse(scale: nl.ndarray, work: Scratch) -> TensorView:
    """``1 / s`` as fp32 ``[128, 1]``."""
    inverse = work.tile((PARTITIONS, 1), nl.float32)
    nisa.dma_copy(dst=inverse, src=scale)
    invert(inverse, inverse)
    return as_view(inverse)


def _quantize_tile(
    target: TensorView,
    source: TensorView,
    gamma: TensorView | None,
    inverse: TensorView | None,
    kargs: RmsNormQuantKernelArgs,
    constants: RMSNormQuantConstants,
    sbm: SbufManager,
) -> None:
    """Up to 128 rows from HBM ``[rows, H]`` to HBM fp8 ``[rows, H (+ 4)]``."""
    rows, width = source.shape
    work = scratch(sbm, name="tile")
    x = work.tile((rows, width), constants.compute_data_type)
    stored = work.tile((rows, target.shape[1]), constants.quant_data_type)
    values = as_view(stored).slice(1, 0, width)
    nisa.dma_copy(dst=x, src=source.get_view())
    if gamma is not None:
        eps = as_view(constants.rmsn_eps_bias_sbuf).slice(0, 0, rows).get_view()
        rms_norm_rows(x, x, eps, sbm, gamma.slice(0, 0, rows))
    if inverse is not None:
        quantize_static(values, x, inverse.slice(0, 0, rows).get_view(), sbm)
    else:
        scale = work.tile((rows, 1), nl.float32)
        quantize_rows(values, scale, x, sbm, kargs.lower_bound if kargs.has_lower_bound() else None)
        _append_bytes(stored, scale, width)
    nisa.dma_copy(dst=target.get_view(), src=stored)
    work.close()


def _append_bytes(stored: nl.ndarray, scale: nl.ndarray, width: int) -> None:
    """The 4 bytes of each row's scale, unchanged, behind its ``width`` fp8 values."""
    rows = scale.shape[0]
    into = stored.ap(pattern=[[width + SCALE_BYTES, rows], [1, SCALE_BYTES]], offset=width, dtype=nl.uint8)
    data = scale.ap(pattern=[[SCALE_BYTES, rows], [1, SCALE_BYTES]], offset=0, dtype=nl.uint8)
    nisa.tensor_copy(dst=into, src=data)


def _validate(
    hidden: nl.ndarray,
    ln_w: nl.ndarray,
    kargs: RmsNormQuantKernelArgs,
    scale: nl.ndarray | None,
) -> None:
    shape = tuple(hidden.shape)
    kernel_assert(len(shape) >= 2, f"hidden must have at least 2 dimensions, its shape is {shape}")
    kernel_assert(num_elts(shape) > 0, f"hidden must not be empty, its shape is {shape}")
    assert_dtype(hidden, FLOATS, "hidden")
    leading, width = _rows_and_width(hidden)
    rows = num_elts(leading)
    _validate_sizes(shape, rows, width)
    programs = cores().count
    kernel_assert(rows >= programs, f"{rows} rows are too few for {programs} programs")
    if kargs.needs_rms_normalization():
        assert_classes(tensors=((ln_w, "ln_w"),))
        given = tuple(ln_w.shape)
        kernel_assert(
            given == (width,) or given == (1, width), f"ln_w must be [{width}] or [1, {width}], it is {given}"
        )
        assert_dtype(ln_w, FLOATS, "ln_w")
    if kargs.is_static_quant():
        kernel_assert(scale is not None, "STATIC needs input_dequant_scale")
        assert_shape(scale, (PARTITIONS, 1), "input_dequant_scale")


def _validate_sizes(shape: tuple[int, ...], rows: int, width: int) -> None:
    kernel_assert(width <= MAX_HIDDEN, f"H must be at most {MAX_HIDDEN}, it is {width}")
    if len(shape) == 2:
        most = MAX_BATCH * MAX_SEQUENCE
        kernel_assert(rows <= most, f"there may be at most {most} rows, hidden is {shape}")
        return
    kernel_assert(shape[0] <= MAX_BATCH, f"the batch must be at most {MAX_BATCH}, hidden is {shape}")
    kernel_assert(shape[1] <= MAX_SEQUENCE, f"the sequence must be at most {MAX_SEQUENCE}, hidden is {shape}")
    kernel_assert(shape[2] <= MAX_HIDDEN, f"dimension 2 must be at most {MAX_HIDDEN}, hidden is {shape}")
