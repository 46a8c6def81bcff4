"""Rows folded over several partitions of SBUF: stage s of row r, a stretch of it, is on ``r·fold + s``."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.memory import PARTITIONS
from ...blocks.tiles import as_view
from ..utils.kernel_assert import kernel_assert
from ..utils.kernel_helpers import div_ceil
from ..utils.kernel_helpers import reduce as _reduce
from ..utils.tensor_view import TensorView


def reduce(op: str = "mul", input_list: list[Any] | None = None, initial_value: Any = None) -> Any:
    """Fold numbers from the left, starting with ``initial_value``; ``op`` is mul, add, min or max."""
    return _reduce(op, input_list, initial_value)


def own_rows(rows: int, program_id: int, n_programs: int) -> tuple[int, int]:
    """``(start, size)`` of a core's rows: ⌈rows / cores⌉ each, the last core's fewer."""
    share = div_ceil(rows, n_programs)
    start = program_id * share
    return start, min(share, rows - start)


def predicated_folded_load(
    data_hbm: nl.ndarray,
    fold_factor: int,
    program_id: int = 0,
    n_programs: int = 1,
    fill_value: float = -9948.0,
    data_sb: nl.ndarray | None = None,
) -> nl.ndarray | None:
    """Load this core's rows, each folded over ``fold_factor`` partitions.

    Args:
        data_hbm: HBM ``[b, n]``. fill_value: of stages where a row has no elements left.
        data_sb: SBUF ``[≥ rows·fold, ≥ ⌈n/fold⌉]`` to fill from the left; the load converts to its dtype.

    Returns:
        SBUF ``[rows·fold, ⌈n/fold⌉]`` of the dtype of ``data_hbm``, or None when ``data_sb`` is given.

    Raises AssertionError for another rank, or more than 128 partitions.
    """
    rows, start = _validated(data_hbm, fold_factor, program_id, n_programs)
    length = data_hbm.shape[1]
    width = div_ceil(length, fold_factor)
    tile = data_sb
    if data_sb is None:
        tile = nl.ndarray((rows * fold_factor, width), dtype=data_hbm.dtype, buffer=nl.sbuf)
    into = as_view(tile).slice(0, 0, rows * fold_factor).slice(1, 0, width)
    if length < width * fold_factor:
        nisa.memset(dst=into.get_view(), value=fill_value)
    source = as_view(data_hbm).slice(0, start, start + rows)
    _move_stages(into, source, fold_factor, True)
    return tile if data_sb is None else None


def unfolded_store(
    sbuf: nl.ndarray, data_hbm: nl.ndarray, fold_factor: int, program_id: int = 0, n_programs: int = 1
) -> None:
    """The inverse: SBUF ``[rows·fold, ⌈n/fold⌉]`` to this core's rows of HBM ``[b, n]``.

    Raises AssertionError for another rank, or more than 128 partitions.
    """
    rows, start = _validated(data_hbm, fold_factor, program_id, n_programs)
    width = div_ceil(data_hbm.shape[1], fold_factor)
    held = as_view(sbuf).slice(0, 0, rows * fold_factor).slice(1, 0, width)
    _move_stages(held, as_view(data_hbm).slice(0, start, start + rows), fold_factor, False)


def _validated(data_hbm: nl.ndarray, fold: int, program_id: int, n_programs: int) -> tuple[int, int]:
    """``(rows, start)``."""
    shape = tuple(data_hbm.shape)
    kernel_assert(len(shape) == 2, f"folded data must be 2-D in HBM, its shape is {shape}")
    start, rows = own_rows(shape[0], program_id, n_programs)
    kernel_assert(
        rows * fold <= PARTITIONS, f"{rows} rows folded by {fold} need more than the {PARTITIONS} partitions"
    )
    return rows, start


def _move_stages(tile: TensorView, rows: TensorView, fold: int, load: bool) -> None:
    """Between ``[rows·fold, width]`` and HBM ``[rows, n]``; in few DMAs, whose partitions have one stride."""
    count, length = rows.shape
    width = tile.shape[1]
    whole = length // width
    if whole == fold:
        _move(tile, rows.reshape_dim(1, (fold, width)).flatten_dims(0, 1), load)
        return
    if count <= whole:
        for row in range(count):
            stages = rows.select(0, row).slice(0, 0, whole * width).reshape_dim(0, (whole, width))
            _move(tile.slice(0, row * fold, row * fold + whole), stages, load)
    else:
        for stage in range(whole):
            part = rows.slice(1, stage * width, (stage + 1) * width)
            _move(tile.slice(0, stage, count * fold, fold), part, load)
    rest = length - whole * width
    if rest > 0:
        last = tile.slice(0, whole, count * fold, fold).slice(1, 0, rest)
        _move(last, rows.slice(1, whole * width, length), load)


def _move(tile: TensorView, hbm: TensorView, load: bool) -> None:
    if load:
        nisa.dma_copy(dst=tile.get_view(), src=hbm.get_view())
    else:
        nisa.dma_copy(dst=hbm.get_view(), src=tile.get_view())
