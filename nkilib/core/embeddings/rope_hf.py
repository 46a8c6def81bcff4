"""Rotary position embedding of queries and keys in the layout of Hugging Face models, and its gradient.

With halves ``x = (x1, x2)`` of a head, and of the tables alike::

    forward    y1 = x1·c1 - x2·s1     y2 = x2·c2 + x1·s2
    backward   y1 = x1·c1 + x2·s2     y2 = x2·c2 - x1·s1

Backward is the transpose of forward, whatever the tables hold. Tables are rounded to the dtype of ``q``,
products to the input's, and so is their sum.

Sequence positions are on the partitions, some neighbouring ones on each. Each core takes a contiguous share.
"""

from typing import Any

import nki
import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_classes
from ...blocks.dtypes import FLOATS, assert_dtype
from ...blocks.lnc import Cores, cores, split
from ...blocks.memory import PARTITIONS, Scratch, manager, scratch
from ...blocks.rope import rotate_rows
from ...blocks.tiles import as_view, load_rows_by_partition
from ..utils.allocator import SbufManager
from ..utils.kernel_assert import assert_shape, kernel_assert
from ..utils.tensor_view import TensorView

NUM_COALESCE_TILES = 8
"""Sequence positions on a partition at a time, at most."""

COLUMNS = 4096
"""Elements of a partition that are turned at a time, unless one head has more."""


class Tables(nl.NKIObject):
    """Where cosines and sines lie in HBM.

    Attributes:
        cos, sin: ``[b, s', d]``, or ``[1, s', d]`` for every batch row.
    """

    cos: TensorView
    sin: TensorView


@nki.jit
def rope_hf(
    q: nl.ndarray,
    k: nl.ndarray,
    q_out: nl.ndarray,
    k_out: nl.ndarray,
    cos: nl.ndarray | None = None,
    sin: nl.ndarray | None = None,
    rope_cache: nl.ndarray | None = None,
    backward: bool = False,
) -> tuple[nl.ndarray, nl.ndarray]:
    """Turn queries and keys by the angles of their positions, or gradients back.

    Args:
        q, k: HBM ``[b, hq, s, d]``, ``[b, hk, s, d]``; s a multiple of 128 for each core. All tensors are
            bfloat16, float16 or float32.
        q_out, k_out: HBM of the same shapes; they are written and returned.
        cos, sin: HBM ``[s', d]`` or ``[b, s', d]``, s' ≥ s; row t is of position t.
        rope_cache: in their place, cosines beside sines: ``[s', 2d]`` or ``[b, s', 2d]``.
        backward: multiply by the transposed map.

    Raises AssertionError when a shape is another, or not exactly one form of tables is given.
    """
    assert_classes(
        tensors=((q, "q"), (k, "k"), (q_out, "q_out"), (k_out, "k_out")),
        optional=((cos, "cos"), (sin, "sin"), (rope_cache, "rope_cache")),
        flags=((backward, "backward"),),
    )
    here = cores()
    _validate(q, k, q_out, k_out, cos, sin, rope_cache, here)
    tables = _tables(q.shape[3], cos, sin, rope_cache)
    sbm = manager()
    start, size = split(q.shape[2], here)
    for first in range(start, start + size, NUM_COALESCE_TILES * PARTITIONS):
        rows = (first, min(start + size, first + NUM_COALESCE_TILES * PARTITIONS))
        for table in range(tables.cos.shape[0]):
            work = scratch(sbm, name="tables")
            cosine = _load_table(tables.cos.select(0, table), rows, q.dtype, work)
            sine = _load_table(tables.sin.select(0, table), rows, q.dtype, work)
            batch = (table, table + 1) if tables.cos.shape[0] > 1 else (0, q.shape[0])
            for row in range(batch[0], batch[1]):
                _turn(
                    as_view(q_out).select(0, row),
                    as_view(q).select(0, row),
                    rows,
                    sine,
                    cosine,
                    backward,
                    sbm,
                )
                _turn(
                    as_view(k_out).select(0, row),
                    as_view(k).select(0, row),
                    rows,
                    sine,
                    cosine,
                    backward,
                    sbm,
                )
            work.close()
    return q_out, k_out


def _tables(
    depth: int, cos: nl.ndarray | None, sin: nl.ndarray | None, rope_cache: nl.ndarray | None
) -> Tables:
    if rope_cache is not None:
        whole = _with_batch(rope_cache)
        return Tables(cos=whole.slice(2, 0, depth), sin=whole.slice(2, depth, 2 * depth))
    return Tables(cos=_with_batch(cos), sin=_with_batch(sin))


def _with_batch(table: nl.ndarray) -> TensorView:
    view = as_view(table)
    return view if view.get_dim() == 3 else view.expand_dim(0)


def _load_table(table: TensorView, rows: tuple[int, int], dtype: type, work: Scratch) -> nl.ndarray:
    """Rows of ``[s', d]`` as ``[128, rows/128, d]``, neighbours on a partition."""
    held = work.tile((PARTITIONS, (rows[1] - rows[0]) // PARTITIONS, table.shape[1]), dtype)
    load_rows_by_partition(held, table.slice(0, rows[0], rows[1]))
    return held


def _turn(
    dst: TensorView,
    src: TensorView,
    rows: tuple[int, int],
    sine: nl.ndarray,
    cosine: nl.ndarray,
    back: bool,
    sbm: SbufManager,
) -> None:
    """All heads of one batch row, HBM ``[h, s, d]``, at sequence positions ``rows``."""
    heads, _, depth = src.shape
    each = (rows[1] - rows[0]) // PARTITIONS
    group = min(heads, max(1, COLUMNS // (each * depth)))
    for first in range(0, heads, group):
        last = min(heads, first + group)
        work = scratch(sbm, name="turn")
        held = work.tile((PARTITIONS, last - first, each, depth), src.dtype)
        nisa.dma_copy(dst=held, src=_by_partition(src, first, last, rows).get_view())
        rotate_rows(held, held, sine, cosine, sbm, quarters=True, back=back)
        nisa.dma_copy(dst=_by_partition(dst, first, last, rows).get_view(), src=held)
        work.close()


def _by_partition(tensor: TensorView, first: int, last: int, rows: tuple[int, int]) -> TensorView:
    """Heads ``first`` to ``last`` at some positions, ``[128, heads, rows/128, d]``."""
    part = tensor.slice(0, first, last).slice(1, rows[0], rows[1])
    return part.reshape_dim(1, (PARTITIONS, (rows[1] - rows[0]) // PARTITIONS)).permute((1, 0, 2, 3))


def _validate(
    q: nl.ndarray,
    k: nl.ndarray,
    q_out: nl.ndarray,
    k_out: nl.ndarray,
    cos: Any,
    sin: Any,
    rope_cache: Any,
    here: Cores,
) -> None:
    kernel_assert(len(q.shape) == 4, f"q must be [b, hq, s, d], its shape is {q.shape}")
    depth, wanted = q.shape[3], k.shape[len(k.shape) - 1]
    kernel_assert(depth == wanted, f"q and k must have one head size, they have {depth} and {wanted}")
    kernel_assert(depth % 2 == 0, f"heads have two halves: d must be even, it is {depth}")
    unit = PARTITIONS * here.count
    kernel_assert(
        q.shape[2] % unit == 0, f"s must be a multiple of {unit} on {here.count} cores, it is {q.shape[2]}"
    )
    assert_shape(k, (q.shape[0], k.shape[1], q.shape[2], depth), "k")
    assert_shape(q_out, tuple(q.shape), "q_out")
    assert_shape(k_out, tuple(k.shape), "k_out")
    assert_dtype(q, FLOATS, "q")
    assert_dtype(k, FLOATS, "k")
    assert_dtype(q_out, FLOATS, "q_out")
    assert_dtype(k_out, FLOATS, "k_out")
    if rope_cache is not None:
        kernel_assert(cos is None and sin is None, "give rope_cache, or cos and sin, not both")
        _validate_table(rope_cache, "rope_cache", q, 2 * depth)
        return
    kernel_assert(cos is not None and sin is not None, "give rope_cache, or both cos and sin")
    _validate_table(cos, "cos", q, depth)
    _validate_table(sin, "sin", q, depth)
    kernel_assert(
        tuple(cos.shape) == tuple(sin.shape),
        f"cos and sin must have one shape, they have {cos.shape} and {sin.shape}",
    )


def _validate_table(table: nl.ndarray, name: str, q: nl.ndarray, width: int) -> None:
    shape = tuple(table.shape)
    assert_dtype(table, FLOATS, name)
    ranked = len(shape) == 2 or len(shape) == 3
    kernel_assert(ranked, f"{name} must be [s', {width}] or [b, s', {width}], its shape is {shape}")
    length, columns = shape[len(shape) - 2], shape[len(shape) - 1]
    kernel_assert(columns == width, f"{name} must have {width} columns, it has {columns}")
    kernel_assert(length >= q.shape[2], f"{name} must have at least {q.shape[2]} rows, it has {length}")
    if len(shape) == 3:
        kernel_assert(
            shape[0] == q.shape[0], f"{name} is for a batch of {shape[0]}, q has one of {q.shape[0]}"
        )
