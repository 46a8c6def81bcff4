"""What both QKV kernels do with products in PSUM, and the scales of STATIC quantisation.

    y = Σ fp8(clip(x / s, ±240)) · W · (w · s) + bias

with one input scale s, and weight scales w of the columns of queries, keys and values.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.dtypes import FLOATS, assert_dtype
from ...blocks.memory import PARTITIONS, Scratch
from ...blocks.projection import affine
from ...blocks.quantize import invert
from ...blocks.tiles import as_view, load_broadcast
from ..utils.allocator import SbufManager
from ..utils.common_types import QuantizationType
from ..utils.kernel_assert import kernel_assert
from ..utils.tensor_view import TensorView

KINDS = 3
"""Queries, keys, values."""


class Heads(nl.NKIObject):
    """The fused columns ``[0, (queries + 2·keys)·depth)``: heads of queries, then of keys, then of values."""

    queries: int
    keys: int
    depth: int

    def columns(self) -> int:
        return (self.queries + 2 * self.keys) * self.depth

    def end(self, kind: int) -> int:
        """Where the columns of queries (0), keys (1) and values (2) end."""
        return (self.queries + kind * self.keys) * self.depth


class Scales(nl.NKIObject):
    """STATIC quantisation on chip, fp32.

    Attributes:
        inverse: ``1 / s``, ``[128, 1]``. products: ``w · s`` by kind, ``[128, 3]``. heads: which columns.
    """

    inverse: nl.ndarray
    products: nl.ndarray
    heads: Heads


def load_scales(weight_scale: Any, input_scale: Any, heads: Heads, work: Scratch) -> Scales:
    """Scales of HBM, ``[128, 3]`` and ``[128, 1]``, or one row of each for all partitions."""
    inverse = work.tile((PARTITIONS, 1), nl.float32)
    products = work.tile((PARTITIONS, KINDS), nl.float32)
    _load_rows(inverse, input_scale)
    _load_rows(products, weight_scale)
    affine(products, products, work.sbm, scale=inverse)
    invert(inverse, inverse)
    return Scales(inverse=inverse, products=products, heads=heads)


def _load_rows(dst: nl.ndarray, src: Any) -> None:
    rows = as_view(src)
    if rows.shape[0] == 1:
        load_broadcast(dst, rows)
    else:
        nisa.dma_copy(dst=dst, src=rows.get_view())


def leave(dst: Any, product: nl.ndarray, bias: Any, scales: Any, first: int, sbm: SbufManager) -> None:
    """``dst = product · scale + bias`` out of PSUM: an instruction for each kind of column in it.

    Args:
        dst: SBUF ``[T, N]``. product: PSUM ``[≥ T, N]``, fused columns ``first`` to ``first + N - 1``.
        bias: SBUF ``[≥ T, N]``, or None. scales: :class:`Scales`, or None.
    """
    into = as_view(dst)
    rows, width = into.shape[0], into.shape[1]
    source = as_view(product).slice(0, 0, rows)
    added = None if bias is None else as_view(bias).slice(0, 0, rows)
    if scales is None:
        affine(into, source, sbm, shift=added)
        return
    for kind in range(KINDS):
        start = max(0, (scales.heads.end(kind - 1) if kind > 0 else 0) - first)
        end = min(width, scales.heads.end(kind) - first)
        if start < end:
            affine(
                into.slice(1, start, end),
                source.slice(1, start, end),
                sbm,
                scale=as_view(scales.products).slice(0, 0, rows).slice(1, kind, kind + 1).get_view(),
                shift=None if added is None else added.slice(1, start, end),
            )


def by_head(rows: TensorView, depth: int) -> TensorView:
    """Columns of heads ``[T, n·d]`` as ``[T, n, d]``."""
    return rows.reshape_dim(1, (rows.shape[1] // depth, depth))


def validate_scales(weight_scale: Any, input_scale: Any, heads: Any, columns: int) -> None:
    """What STATIC needs; ``heads`` are d_head, num_q_heads and num_kv_heads, each of which may be None."""
    given = weight_scale is not None and input_scale is not None
    kernel_assert(given, "STATIC needs qkv_w_scale and qkv_in_scale")
    _check_scale("qkv_w_scale", weight_scale, KINDS)
    _check_scale("qkv_in_scale", input_scale, 1)
    for value in heads:
        kernel_assert(bool(value), "STATIC needs d_head, num_q_heads and num_kv_heads")
    depth, queries, keys = heads
    kernel_assert(
        (queries + 2 * keys) * depth == columns,
        f"{queries} + 2·{keys} heads of {depth} must be I = {columns} columns",
    )


def _check_scale(name: str, scale: Any, columns: int) -> None:
    shape = tuple(scale.shape)
    fits = shape == (PARTITIONS, columns) or shape == (1, columns)
    kernel_assert(fits, f"{name} must be [128, {columns}] or [1, {columns}], it is {shape}")
    assert_dtype(scale, FLOATS, name)


def validate_quantization(kind: QuantizationType, allowed: list[QuantizationType]) -> None:
    known = False
    for each in allowed:
        known = known or kind == each
    kernel_assert(known, f"quantization_type must be one of {allowed}, it is {kind}")
