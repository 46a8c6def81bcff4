"""Where the elements of columns are not 0.

    indices[e] = the t, ascending, with x[t, e] ≠ 0, then -1;  nonzero_counts[e] = how many there are

GpSimd Engine searches eight rows at a time, on partitions 0, 16, …, 112, so columns become rows first.
Columns are divided between the cores.
"""

from typing import Any

import nki
import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_classes, assert_integers, assert_layout
from ...blocks.dtypes import is_one_of
from ...blocks.lnc import cores, split
from ...blocks.matmul import load_transposed
from ...blocks.memory import PARTITIONS, manager, scratch
from ...blocks.tiles import as_view, from_runtime_start
from ...core.utils.allocator import SbufManager, sizeinbytes
from ...core.utils.kernel_assert import kernel_assert
from ...core.utils.kernel_helpers import div_ceil
from ...core.utils.tensor_view import TensorView

_SPACING = 16
_GROUP = PARTITIONS // _SPACING
"""Rows that are searched at a time, and the partitions between them."""

_TOKENS = 12288
"""Tokens at a time, at most: three tiles have so many elements of 4 bytes."""

_EXACT = (
    (nl.int32, 1 << 31), (nl.float32, 1 << 24), (nl.int16, 1 << 15), (nl.float16, 1 << 11),
    (nl.bfloat16, 1 << 8), (nl.int8, 1 << 7),
)  # fmt: skip
"""Element types that have -1, and how many tokens they count exactly."""


@nki.jit
def find_nonzero_indices(
    input_tensor: nl.ndarray,
    row_start_id: nl.ndarray | None = None,
    n_rows: int | None = None,
    chunk_size: int | None = None,
    index_dtype: Any = nl.int32,
) -> tuple[nl.ndarray, nl.ndarray]:
    """Find what is not 0 in each column.

    Args:
        input_tensor: HBM ``[T, E]``, int32, uint32 or float32; -0.0 counts as 0.
        row_start_id: HBM int32 ``[1]``, the first column to search; None searches all.
        n_rows: with ``row_start_id``, how many columns.
        chunk_size: tokens to search at a time, at most; None is T.
        index_dtype: of the indices: int32, or another type that has -1 and all numbers up to T - 1.

    Returns:
        HBM indices ``[columns, T]`` and int32 counts ``[columns]``.

    Raises AssertionError for another rank or type, or a ``row_start_id`` without ``n_rows``.
    """
    assert_classes(tensors=((input_tensor, "input_tensor"),), optional=((row_start_id, "row_start_id"),))
    columns = _validate(input_tensor, row_start_id, n_rows, chunk_size)
    tokens = input_tensor.shape[0]
    _validate_indices(index_dtype, tokens)
    indices = nl.ndarray((columns, tokens), dtype=index_dtype, buffer=nl.shared_hbm)
    counts = nl.ndarray((columns,), dtype=nl.int32, buffer=nl.shared_hbm)
    sbm = manager()
    work = scratch(sbm, name="find_nonzero_indices")
    begin = None
    if row_start_id is not None:
        begin = work.tile((1, 1), nl.int32)
        nisa.dma_copy(dst=begin, src=row_start_id)
    step = min(tokens, _TOKENS, tokens if chunk_size is None else chunk_size)
    start, size = split(columns, cores())
    for first in range(start, start + size, PARTITIONS):
        block = (first, min(PARTITIONS, start + size - first))
        totals = work.tile((PARTITIONS, div_ceil(block[1], _GROUP)), nl.int32)
        nisa.memset(dst=totals, value=0)
        if step < tokens:
            _fill(indices, block, step, sbm)
        for token in range(0, tokens, step):
            part = as_view(input_tensor).slice(0, token, token + step).slice(1, first, first + block[1])
            if begin is not None:
                part = from_runtime_start(part, 1, begin)
            _search_block(indices, part, totals, block, token, step < tokens, sbm)
        _store_counts(counts, totals, block)
    work.close()
    return indices, counts


def _fill(indices: nl.ndarray, block: tuple[int, int], width: int, sbm: SbufManager) -> None:
    """Rows of indices become -1: what is found later is written over it."""
    first, count = block
    tokens = indices.shape[1]
    work = scratch(sbm, name="fill")
    tile = work.tile((count, width), indices.dtype)
    nisa.memset(dst=tile, value=-1)
    for start in range(0, tokens, width):
        end = min(tokens, start + width)
        nisa.dma_copy(dst=indices[first : first + count, start:end], src=tile[:, 0 : end - start])
    work.close()


def _search_block(
    indices: nl.ndarray,
    part: TensorView,
    totals: nl.ndarray,
    block: tuple[int, int],
    token: int,
    counted: bool,
    sbm: SbufManager,
) -> None:
    """Tokens of up to 128 columns; with ``counted`` behind what was found before, as ``totals`` has it."""
    size = part.shape[0]
    first, count = block
    work = scratch(sbm, name="search")
    rows = work.tile((count, size), nl.float32)
    load_transposed(rows, part, sbm)
    apart = work.tile((PARTITIONS, size), nl.float32)
    found = work.tile((PARTITIONS, size + 1), nl.int32)
    nisa.memset(dst=apart, value=0.0)
    nisa.memset(dst=found, value=0)
    for group in range(div_ceil(count, _GROUP)):
        start = group * _GROUP
        filled = min(_GROUP, count - start)
        spaced = as_view(apart).slice(0, 0, filled * _SPACING, _SPACING)
        nisa.dma_copy(dst=spaced.get_view(), src=rows[start : start + filled, :])
        nisa.nonzero_with_count(dst=found, src=apart, index_offset=token, padding_val=-1)
        for row in range(filled):
            place = row * _SPACING
            target = as_view(indices).select(0, first + start + row).slice(0, 0, size).expand_dim(0)
            if counted:
                target = from_runtime_start(target, 1, totals[place : place + 1, group : group + 1])
            nisa.dma_copy(dst=target.get_view(), src=found[place : place + 1, 0:size])
        total = totals[:, group : group + 1]
        nisa.tensor_tensor(dst=total, data1=total, data2=found[:, size : size + 1], op=nl.add)
    work.close()


def _store_counts(counts: nl.ndarray, totals: nl.ndarray, block: tuple[int, int]) -> None:
    first, count = block
    for group in range(totals.shape[1]):
        start = group * _GROUP
        filled = min(_GROUP, count - start)
        spaced = as_view(totals).slice(0, 0, filled * _SPACING, _SPACING).slice(1, group, group + 1)
        nisa.dma_copy(dst=counts[first + start : first + start + filled], src=spaced.get_view())


def _validate(
    input_tensor: nl.ndarray, row_start_id: nl.ndarray | None, n_rows: Any, chunk_size: int | None
) -> int:
    """The number of columns to search."""
    assert_layout(input_tensor, 2, "[T, E]", "input_tensor")
    shape = tuple(input_tensor.shape)
    kernel_assert(
        sizeinbytes(input_tensor.dtype) == 4, f"elements must have 4 bytes, the input is {input_tensor.dtype}"
    )
    assert_integers(((chunk_size, "chunk_size"), (n_rows, "n_rows")))
    positive = chunk_size is None or chunk_size > 0
    kernel_assert(positive, f"chunk_size must be positive, it is {chunk_size}")
    if row_start_id is None:
        return shape[1]
    kernel_assert(n_rows is not None, "row_start_id needs n_rows")
    one = tuple(row_start_id.shape) == (1,)
    kernel_assert(one, f"row_start_id must have shape (1,), it has {row_start_id.shape}")
    kernel_assert(0 < n_rows <= shape[1], f"n_rows must be 1 to E = {shape[1]}, it is {n_rows}")
    return int(n_rows)


def _validate_indices(dtype: Any, tokens: int) -> None:
    most = 0
    for pair in _EXACT:
        if is_one_of(dtype, [pair[0]]):
            most = pair[1]
    kernel_assert(
        tokens <= most,
        f"index_dtype must have -1 and all numbers below T = {tokens}, as int32 has, it is {dtype}",
    )
