"""Convolution along one axis in which each channel has a filter of its own.

    out[n, c, 0, q] = Σ_s padded[n, c, q·stride + s] · filter[c, 0, 0, s]

Channels are on the partitions. Sums are fp32 and rounded once, to the dtype of the image. Every multiply-add
passes through Vector Engine: for each s over all q where there are more q, otherwise for each q over all s.
"""

import nki
import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_classes, assert_integer_pair, assert_tuple
from ...blocks.dtypes import FLOATS, assert_dtype
from ...blocks.lnc import cores, split
from ...blocks.memory import PARTITIONS, manager, scratch
from ...blocks.tiles import as_view
from ...core.utils.allocator import SbufManager
from ...core.utils.kernel_assert import assert_shape, kernel_assert
from ...core.utils.tensor_view import TensorView

_OUTPUTS = 2048
_SPAN = 16384
"""Results, and elements of the image, of a partition at a time; at least one result and what it needs."""


class Window(nl.NKIObject):
    """How filters move over the image.

    Attributes:
        before: zeros in front of the image. stride: from one result to the next. count: of results.
    """

    before: int
    stride: int
    count: int


@nki.jit(platform_target="trn2")
def depthwise_conv1d_implicit_gemm(
    img_ref: nl.ndarray,
    filter_ref: nl.ndarray,
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
    stride: tuple[int, int] = (1, 1),
    rhs_dilation: tuple[int, int] = (1, 1),
    lhs_dilation: tuple[int, int] = (1, 1),
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    in_perm: tuple[int, ...] | None = None,
    kern_perm: tuple[int, ...] | None = None,
    out_perm: tuple[int, ...] | None = None,
) -> nl.ndarray:
    """Convolve each channel with its filter (a cross-correlation); channels are divided between the cores.

    Args:
        img_ref: HBM ``[N, C, 1, W]``. filter_ref: HBM ``[C, 1, 1, S]``. Both bfloat16, float16 or float32.
        padding: zeros before and after each axis; of these only the last pair counts.
        stride: (1, from one result to the next).
        rhs_dilation, lhs_dilation, batch_group_count: ones only.
        feature_group_count: C.
        in_perm, kern_perm, out_perm: not looked at.

    Returns:
        HBM ``[N, C, 1, Q]`` of the image's dtype, ``Q = ⌊(W + zeros - S) / stride⌋ + 1``.

    Raises AssertionError for anything else.
    """
    assert_classes(tensors=((img_ref, "img_ref"), (filter_ref, "filter_ref")))
    _validate_pairs(padding, stride, rhs_dilation, lhs_dilation)
    _validate(img_ref, filter_ref, feature_group_count, batch_group_count)
    batch, channels, _, width = img_ref.shape
    before, after = padding[1]
    taps = filter_ref.shape[3]
    count = (width + before + after - taps) // stride[1] + 1
    kernel_assert(
        width + before + after >= taps,
        f"the filter of {taps} is longer than the image of {width} with {before} + {after} zeros",
    )
    here = cores()
    kernel_assert(channels % here.count == 0, f"C = {channels} must divide by the {here.count} cores")
    window = Window(before=before, stride=stride[1], count=count)
    out = nl.ndarray((batch, channels, 1, count), dtype=img_ref.dtype, buffer=nl.shared_hbm)
    sbm = manager()
    start, size = split(channels, here)
    for first in range(start, start + size, PARTITIONS):
        last = min(first + PARTITIONS, start + size)
        work = scratch(sbm, name="channels")
        filters = work.tile((last - first, taps), nl.float32)
        nisa.dma_copy(dst=filters, src=as_view(filter_ref).slice(0, first, last).get_view())
        for row in range(batch):
            image = as_view(img_ref).select(0, row).slice(0, first, last).select(1, 0)
            target = as_view(out).select(0, row).slice(0, first, last).select(1, 0)
            _convolve_rows(target, image, filters, window, sbm)
        work.close()
    return out


def _convolve_rows(
    dst: TensorView, image: TensorView, filters: nl.ndarray, window: Window, sbm: SbufManager
) -> None:
    """HBM ``[C ≤ 128, Q]`` of ``[C, W]``, some results at a time."""
    rows, taps = filters.shape
    step = max(1, min(_OUTPUTS, (_SPAN - taps) // window.stride + 1))
    for first in range(0, window.count, step):
        count = min(step, window.count - first)
        work = scratch(sbm, name="results")
        held = work.tile((rows, (count - 1) * window.stride + taps), image.dtype)
        _load_padded(held, image, first * window.stride - window.before)
        sums = work.tile((rows, count), nl.float32)
        if count >= taps:
            _by_tap(sums, held, filters, window.stride)
        else:
            _by_result(sums, held, filters, window.stride, sbm)
        nisa.dma_copy(dst=dst.slice(1, first, first + count).get_view(), src=sums)
        work.close()


def _load_padded(dst: nl.ndarray, image: TensorView, start: int) -> None:
    """Columns of the image from ``start`` on, which may be negative; 0 where it has none."""
    end = start + dst.shape[1]
    first, last = max(0, start), min(image.shape[1], end)
    if first > start or last < end:
        nisa.memset(dst=dst, value=0.0)
    if first < last:
        nisa.dma_copy(dst=dst[:, first - start : last - start], src=image.slice(1, first, last).get_view())


def _by_tap(dst: nl.ndarray, held: nl.ndarray, filters: nl.ndarray, stride: int) -> None:
    """One tap of the filter for all results at a time."""
    count = dst.shape[1]
    for tap in range(filters.shape[1]):
        seen = as_view(held).slice(1, tap, tap + (count - 1) * stride + 1, stride).get_view()
        factor = filters[:, tap : tap + 1]
        if tap == 0:
            nisa.tensor_scalar(dst=dst, data=seen, op0=nl.multiply, operand0=factor)
        else:
            nisa.scalar_tensor_tensor(
                dst=dst, data=seen, op0=nl.multiply, operand0=factor, op1=nl.add, operand1=dst
            )


def _by_result(dst: nl.ndarray, held: nl.ndarray, filters: nl.ndarray, stride: int, sbm: SbufManager) -> None:
    """All taps of the filter for one result at a time."""
    rows, taps = filters.shape
    for result in range(dst.shape[1]):
        work = scratch(sbm, name="products")
        products = work.tile((rows, taps), nl.float32)
        seen = held[:, result * stride : result * stride + taps]
        nisa.tensor_tensor(dst=products, data1=seen, data2=filters, op=nl.multiply)
        nisa.tensor_reduce(dst=dst[:, result : result + 1], op=nl.add, data=products, axis=1)
        work.close()


def _validate_pairs(
    padding: tuple[tuple[int, int], tuple[int, int]],
    stride: tuple[int, int],
    rhs_dilation: tuple[int, int],
    lhs_dilation: tuple[int, int],
) -> None:
    assert_tuple(padding, 2, "pairs", "padding")
    assert_integer_pair(padding[0], "padding", 0)
    assert_integer_pair(padding[1], "padding", 0)
    for pair in ((stride, "stride"), (rhs_dilation, "rhs_dilation"), (lhs_dilation, "lhs_dilation")):
        assert_integer_pair(pair[0], pair[1], 1)
    kernel_assert(stride[0] == 1, f"stride must be (1, at least 1), it is {stride}")
    for dilation in (rhs_dilation, lhs_dilation):
        kernel_assert(dilation[0] == 1 and dilation[1] == 1, f"dilations must be (1, 1), one is {dilation}")


def _validate(
    img_ref: nl.ndarray, filter_ref: nl.ndarray, feature_group_count: int, batch_group_count: int
) -> None:
    shape = tuple(img_ref.shape)
    kernel_assert(len(shape) == 4 and shape[2] == 1, f"the image must be [N, C, 1, W], its shape is {shape}")
    kernel_assert(img_ref.size > 0, f"the image must have elements, its shape is {shape}")
    channels = shape[1]
    assert_shape(filter_ref, (channels, 1, 1, filter_ref.shape[len(filter_ref.shape) - 1]), "the filter")
    kernel_assert(filter_ref.size > 0, f"the filter must have elements, its shape is {filter_ref.shape}")
    assert_dtype(img_ref, FLOATS, "the image")
    assert_dtype(filter_ref, FLOATS, "the filter")
    kernel_assert(batch_group_count == 1, f"batch_group_count must be 1, it is {batch_group_count}")
    kernel_assert(
        feature_group_count == channels,
        f"feature_group_count must be C = {channels}, it is {feature_group_count}",
    )
