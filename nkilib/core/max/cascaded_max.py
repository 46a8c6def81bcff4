"""The largest element of each row, and where it stands.

Rows are cut into n stages of ⌈V/n⌉ elements, on a partition each, so that few rows use all partitions. Of
equal largest elements the first one in the last stage that has one counts.
"""

from typing import Any

import nki
import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_classes
from ...blocks.lnc import Cores, cores
from ...blocks.memory import PARTITIONS, Scratch, manager, psum_tile, scratch
from ...blocks.tiles import as_view
from ...blocks.topk import EIGHT, SEARCHED
from ..utils.kernel_assert import kernel_assert
from ..utils.kernel_helpers import div_ceil
from .cascaded_max_utils import own_rows, predicated_folded_load, reduce

_LEAST = 128
"""Elements of a stage, at least."""


class CascadedMaxConfig(nl.NKIObject):
    """How rows are cut, for the cores of the launch.

    Attributes:
        BxS, vocab_size: rows and their elements. here: the cores that divide the rows; one row each has.
        per_lnc_BxS: rows of a core, at most. n_stages, stage_size: how each row is cut.
    """

    def __init__(self, inp_shape: tuple[int, ...], inp_dtype: Any = None) -> None:
        self.inp_shape = inp_shape
        self.inp_dtype = inp_dtype
        rank = len(inp_shape)
        self.vocab_size = inp_shape[rank - 1]
        self.BxS = reduce("mul", list(inp_shape[0 : rank - 1]), 1)
        self.here = cores(alone=self.BxS == 1)
        self.per_lnc_BxS = div_ceil(self.BxS, self.here.count)
        self.n_stages = 0
        self.stage_size = self.vocab_size
        if self.inp_shape_valid() and self.BxS_dim_valid():
            self.n_stages = min(PARTITIONS // self.per_lnc_BxS, self.vocab_size // _LEAST)
            self.stage_size = div_ceil(self.vocab_size, self.n_stages)

    def inp_shape_valid(self) -> bool:
        """Whether rows are long enough to be searched."""
        return self.vocab_size >= _LEAST

    def BxS_dim_valid(self) -> bool:
        """Whether a core's rows have a partition each."""
        return 0 < self.per_lnc_BxS <= PARTITIONS


@nki.jit
def cascaded_max(input_tensor: nl.ndarray) -> tuple[nl.ndarray, nl.ndarray]:
    """Largest elements and their positions along the last axis.

    Args:
        input_tensor: HBM ``[…, V]`` of a float dtype without NaN, V ≥ 128; at most 128 rows for each core.

    Returns:
        HBM ``[…, 1]`` of the input's dtype, and uint32.

    Raises AssertionError for other sizes.
    """
    assert_classes(tensors=((input_tensor, "input_tensor"),))
    shape = tuple(input_tensor.shape)
    config = CascadedMaxConfig(shape, input_tensor.dtype)
    single = list(shape)
    single[len(shape) - 1] = 1
    values = nl.ndarray(tuple(single), dtype=input_tensor.dtype, buffer=nl.shared_hbm, name="max_values")
    indices = nl.ndarray(tuple(single), dtype=nl.uint32, buffer=nl.shared_hbm, name="max_indices")
    best, places = cascaded_max_core(input_tensor.reshape((config.BxS, config.vocab_size)), config)
    start, count = own_rows(config.BxS, config.here.index, config.here.count)
    nisa.dma_copy(dst=values.reshape((1, config.BxS))[:, start : start + count], src=best)
    nisa.dma_copy(dst=indices.reshape((1, config.BxS))[:, start : start + count], src=places)
    return values, indices


def cascaded_max_core(inp: nl.ndarray, config: CascadedMaxConfig) -> tuple[nl.ndarray, nl.ndarray]:
    """The same for this core's rows of HBM ``[BxS, V]``.

    Returns:
        SBUF ``[1, rows]``, fp32 and uint32.

    Raises AssertionError for sizes that the config does not allow.
    """
    _validate(config)
    here, fold = config.here, config.n_stages
    _, count = own_rows(config.BxS, here.index, here.count)
    best = nl.ndarray((1, count), dtype=nl.float32, buffer=nl.sbuf)
    places = nl.ndarray((1, count), dtype=nl.uint32, buffer=nl.sbuf)
    work = scratch(manager(), name="cascaded_max")
    data = work.tile((count * fold, config.stage_size), nl.float32)
    _load(data, inp, config, here)
    largest = work.tile((count * fold, EIGHT), nl.float32)
    found = work.tile((count * fold, EIGHT), nl.uint32)
    nisa.max8(dst=largest, src=data)
    nisa.nc_find_index8(dst=found, data=data, vals=largest)
    _cascade(best, places, largest[:, 0:1], found[:, 0:1], config, work)
    work.close()
    return best, places


def _load(data: nl.ndarray, inp: nl.ndarray, config: CascadedMaxConfig, here: Cores) -> None:
    """Folded rows; a last stage that is too short repeats its row's last element, which changes nothing."""
    predicated_folded_load(inp, config.n_stages, here.index, here.count, data_sb=data)
    missing = config.n_stages * config.stage_size - config.vocab_size
    if missing == 0:
        return
    start, count = own_rows(config.BxS, here.index, here.count)
    rows, columns = count * config.n_stages, config.stage_size
    ends = as_view(data).slice(0, config.n_stages - 1, rows, config.n_stages)
    last = as_view(inp).slice(0, start, start + count).slice(1, config.vocab_size - 1, config.vocab_size)
    nisa.dma_copy(
        dst=ends.slice(1, columns - missing, columns).get_view(), src=last.broadcast(1, missing).get_view()
    )


def _cascade(
    best: nl.ndarray, places: nl.ndarray, largest: nl.ndarray, found: nl.ndarray, config: Any, work: Scratch
) -> None:
    """From stages ``[rows·n, 1]`` to rows ``[1, rows]``: the maximum, and the highest place that has it."""
    stages, fold, count = largest.shape[0], config.n_stages, best.shape[1]
    counted = work.tile((stages, 1), nl.float32)
    values, numbers = _as_row(largest, count, work), work.tile((1, count, fold), nl.float32)
    nisa.tensor_copy(dst=counted, src=found)
    inside = _as_row(counted, count, work)
    nisa.tensor_reduce(dst=best, op=nl.maximum, data=values, axis=1)
    # Places count from 1 here, so that 0 is that of a stage without the maximum.
    nisa.iota(dst=numbers, pattern=[[0, count], [config.stage_size, fold]], offset=1, channel_multiplier=0)
    nisa.tensor_tensor(dst=numbers, data1=numbers, data2=inside, op=nl.add)
    spread = as_view(best).expand_dim(2).broadcast(2, fold).get_view()
    nisa.tensor_tensor(dst=values, data1=values, data2=spread, op=nl.equal)
    nisa.tensor_tensor(dst=numbers, data1=numbers, data2=values, op=nl.multiply)
    highest = work.tile((1, count), nl.float32)
    nisa.tensor_reduce(dst=highest, op=nl.maximum, data=numbers, axis=1)
    nisa.tensor_scalar(dst=places, data=highest, op0=nl.add, operand0=-1.0)


def _as_row(column: nl.ndarray, count: int, work: Scratch) -> nl.ndarray:
    """fp32 ``[rows·n, 1]`` as ``[1, rows, n]``."""
    stages = column.shape[0]
    flipped = psum_tile((1, stages))
    nisa.nc_transpose(dst=flipped, data=column, engine=nisa.tensor_engine)
    row = work.tile((1, count, stages // count), nl.float32)
    nisa.tensor_copy(dst=row, src=flipped)
    return row


def _validate(config: CascadedMaxConfig) -> None:
    rank = len(config.inp_shape)
    kernel_assert(rank >= 2, f"the input must have rows and columns, its shape is {config.inp_shape}")
    kernel_assert(
        config.BxS_dim_valid(), f"a core takes 1 to {PARTITIONS} rows, it would get {config.per_lnc_BxS}"
    )
    kernel_assert(
        config.inp_shape_valid(), f"rows must have at least {_LEAST} elements, they have {config.vocab_size}"
    )
    kernel_assert(
        config.stage_size <= SEARCHED,
        f"a stage of {config.stage_size} elements is too long, {SEARCHED} can be searched",
    )
