"""The pieces of a top-k over rows that are folded over several partitions."""

from dataclasses import dataclass, field
from typing import Any

import nki.isa as nisa
import nki.language as nl

from ... import insides
from ...blocks.arguments import assert_integer
from ...blocks.memory import PARTITIONS, PSUM_COLUMNS, Scratch, manager, psum_tile, scratch
from ...blocks.tiles import as_tile, as_view
from ...blocks.topk import EIGHT, LOWEST, SEARCHED, clamp_finite, take_sorted
from ..max.cascaded_max_utils import own_rows, predicated_folded_load, reduce
from ..utils.kernel_assert import kernel_assert
from ..utils.kernel_helpers import div_ceil, get_program_sharding_info
from ..utils.kernel_helpers import get_ceil_aligned_size as _aligned

__getattr__ = insides.named(__name__)

FLOAT32_MIN = LOWEST
BFLOAT16_MIN = -9948.0
"""What the original kernel fills up rows of bfloat16 with; here it is FLOAT32_MIN for them, too."""


@dataclass
class TopkHardwareParams(nl.NKIObject):
    """Vector Engine, as far as a top-k needs it; what is changed in an object changes no kernel.

    Attributes:
        dve_max_alus, topk_per_stage: elements that it finds at a time. max_free_dim: most elements of a row.
        fixed_dve_inst_overhead: cycles of an instruction besides one for each element.
        num_sbuf_quadrants: groups of 32 partitions.
    """

    dve_max_alus: int = EIGHT
    topk_per_stage: int = field(init=False)
    index_dtype: Any = nl.uint32
    num_sbuf_quadrants: int = 4
    fixed_dve_inst_overhead: int = 144
    max_free_dim: int = SEARCHED

    def __post_init__(self) -> None:
        self.topk_per_stage = self.dve_max_alus


HW_PARAMS = TopkHardwareParams()


def get_ceil_aligned_size(size: int, alignment: int) -> int:
    """The smallest multiple of ``alignment`` that is not below ``size``."""
    return _aligned(size, alignment)


class TopkConfig(nl.NKIObject):
    """What is looked for: the k largest along the last axis of ``inp_shape``.

    Attributes:
        out_shape: of the results. BxS, vocab_size: rows and their elements. index_dtype: of the indices.
        n_prgs: cores that divide the rows, those of the launch or else ``num_programs``; 1 for one row.
        prg_id: which of them this is. per_lnc_BxS: rows of a core, at most.
    """

    def __init__(
        self, inp_shape: tuple[int, ...], inp_dtype: Any, k: int, sorted: bool = True, num_programs: int = 2
    ) -> None:
        assert_integer(k, "k")
        rank = len(inp_shape)
        self.inp_shape = inp_shape
        self.inp_dtype = inp_dtype
        self.index_dtype = nl.uint32
        self.k = k
        self.sorted = sorted
        self.vocab_size = inp_shape[rank - 1]
        kernel_assert(self.vocab_size > 0, f"the input must have elements, its shape is {inp_shape}")
        self.BxS = reduce("mul", list(inp_shape[0 : rank - 1]), 1)
        out_shape = list(inp_shape)
        out_shape[rank - 1] = k
        self.out_shape = tuple(out_shape)
        dimensions, count, index = get_program_sharding_info()
        launched = count if dimensions > 0 else num_programs
        self.n_prgs = 1 if self.BxS == 1 else launched
        self.prg_id = 0 if self.BxS == 1 else index
        self.per_lnc_BxS = div_ceil(self.BxS, self.n_prgs)

    def update_shard_info(self) -> None:
        """Take this core's number from the launch, whose cores must be those that were planned for."""
        if self.BxS > 1:
            _, count, index = get_program_sharding_info()
            kernel_assert(count == self.n_prgs, f"planned for {self.n_prgs} cores, launched on {count}")
            self.prg_id = index

    def inp_shape_valid(self) -> bool:
        """Whether there are rows, and each core's have a partition each."""
        return len(self.inp_shape) >= 2 and 0 < self.per_lnc_BxS <= PARTITIONS

    def vocab_size_valid(self) -> bool:
        """Whether rows have k elements."""
        return 0 < self.k <= self.vocab_size

    def is_valid(self) -> bool:
        return self.inp_shape_valid() and self.vocab_size_valid()

    def cost_estimate(self) -> int:
        """Cycles of Vector Engine when whole rows are searched: two instructions for every eight elements."""
        return div_ceil(self.k, EIGHT) * 2 * (self.vocab_size + HW_PARAMS.fixed_dve_inst_overhead)


class RotationalTopkConfig(nl.NKIObject):
    """How it is looked for: rows ``[BxS, V]`` in stages that each give ``local_top_k_per_stage`` elements.

    Attributes:
        orig_k, n_prgs, prg_id, per_lnc_BxS, index_dtype: see :class:`TopkConfig`, which is ``topk_config``.
        tile_size, n_bxs_tiles: rows at a time, and how often; all of a core's, once.
        n_stages, stage_free_size: partitions of a row, and elements on each; padded_vocab_size: of both.
        padded_k: elements that all stages give. sorted: whether these must be put in order.
    """

    def __init__(self, inp_shape: tuple[int, ...], topk_config: TopkConfig) -> None:
        self.inp_shape = inp_shape
        self.topk_config = topk_config
        self.BxS, self.vocab_size = inp_shape[0], inp_shape[len(inp_shape) - 1]
        self.orig_k = topk_config.k
        self.inp_dtype = topk_config.inp_dtype
        self.index_dtype = topk_config.index_dtype
        self.n_prgs = topk_config.n_prgs
        self.prg_id = topk_config.prg_id
        self.per_lnc_BxS = topk_config.per_lnc_BxS
        self.tile_size = self.per_lnc_BxS
        self.n_bxs_tiles = 1
        most = max(1, PARTITIONS // max(1, self.per_lnc_BxS))
        eights = div_ceil(min(self.orig_k, self.vocab_size), EIGHT)
        self.n_stages = max(min(most, eights), div_ceil(self.vocab_size, SEARCHED))
        self.local_top_k_per_stage = get_ceil_aligned_size(div_ceil(self.orig_k, self.n_stages), EIGHT)
        self.padded_k = self.local_top_k_per_stage * self.n_stages
        self.stage_free_size = div_ceil(self.vocab_size, self.n_stages)
        self.padded_vocab_size = self.stage_free_size * self.n_stages
        self.sorted = topk_config.sorted or self.padded_k != self.orig_k

    def update_shard_info(self) -> None:
        """As :meth:`TopkConfig.update_shard_info`."""
        self.topk_config.update_shard_info()
        self.prg_id = self.topk_config.prg_id

    def inp_shape_valid(self) -> bool:
        """Whether the input is ``[BxS, V]``, of the rows that were asked for."""
        return len(self.inp_shape) == 2 and self.BxS == self.topk_config.BxS

    def vocab_size_valid(self) -> bool:
        """Whether a row has k elements, and a stage with all that pass by it can be searched."""
        return 0 < self.orig_k <= self.vocab_size and self.searched() <= SEARCHED

    def BxS_dim_valid(self) -> bool:
        """Whether the stages of a core's rows have a partition each."""
        return self.per_lnc_BxS > 0 and self.per_lnc_BxS * self.n_stages <= PARTITIONS

    def is_valid(self) -> bool:
        return self.inp_shape_valid() and self.vocab_size_valid() and self.BxS_dim_valid()

    def assert_valid(self) -> None:
        """Raise AssertionError unless it can be done so."""
        kernel_assert(
            self.inp_shape_valid(),
            f"the input must be [{self.topk_config.BxS}, V] as planned, its shape is {self.inp_shape}",
        )
        kernel_assert(
            0 < self.orig_k <= self.vocab_size, f"k must be 1 to V = {self.vocab_size}, it is {self.orig_k}"
        )
        rows, fold = self.per_lnc_BxS, self.n_stages
        kernel_assert(
            self.BxS_dim_valid(),
            f"{rows} rows of a core in {fold} stages need more than {PARTITIONS} partitions",
        )
        kernel_assert(
            self.vocab_size_valid(),
            f"a stage with {self.searched()} elements is too long, {SEARCHED} can be searched",
        )

    def searched(self) -> int:
        """Elements of a stage in the last round: its own, and what the other stages left there."""
        return max(EIGHT, self.stage_free_size) + (self.n_stages - 1) * self.local_top_k_per_stage


class RotationalConstants(nl.NKIObject):
    """What a rotation needs on chip.

    Attributes:
        rotation: SBUF fp32 ``[P, P]`` of 0 and 1, see :func:`rotate`.
        numbers: SBUF fp32 ``[P, columns]``; element f of stage p has number ``p·stage_free_size + f``.
    """

    rotation: nl.ndarray
    numbers: nl.ndarray

    def cleanup(self) -> None:
        """Nothing is kept outside the chip, where the constants end with the kernel."""


def make_constants(config: RotationalTopkConfig, rows: int, work: Scratch) -> RotationalConstants:
    """The constants for ``rows`` rows of a core."""
    stages, own = rows * config.n_stages, max(EIGHT, config.stage_free_size)
    numbers = work.tile((stages, config.searched()), nl.float32)
    nisa.iota(dst=numbers[:, 0:own], pattern=[[1, own]], offset=0, channel_multiplier=config.stage_free_size)
    return RotationalConstants(rotation=_rotation(rows, config.n_stages, work), numbers=numbers)


def _rotation(rows: int, fold: int, work: Scratch) -> nl.ndarray:
    """1 where column m, a stage, gets what row k has: ``m = k + 1``, the first stage that of the last one."""
    stages = rows * fold
    ones = work.tile((stages, stages), nl.float32)
    rotation = work.tile((stages, stages), nl.float32)
    nisa.memset(dst=ones, value=1.0)
    _choose(rotation, ones, [[-1, stages]], 1)
    firsts = as_view(rotation).slice(1, 0, stages, fold)
    _choose(firsts.get_view(), ones[:, 0:rows], [[-fold, rows]], 1 - fold)
    return rotation


def _choose(dst: nl.ndarray, ones: nl.ndarray, pattern: list[list[int]], offset: int) -> None:
    """1 where ``k + offset + Σ step·index = 0``, k the partition, and 0 elsewhere."""
    nisa.affine_select(
        dst=dst,
        pattern=pattern,
        offset=offset,
        channel_multiplier=1,
        on_true_tile=ones,
        on_false_value=0.0,
        cmp_op=nl.equal,
    )


def rotate(dst: Any, tensor: Any, rotation_matrix: nl.ndarray) -> None:
    """``dst[m] = tensor[k]`` where the matrix has its 1 in column m: every stage's elements go to the next.

    Scalar Engine empties PSUM, as Vector Engine is the one that searches.

    Args:
        dst, tensor: SBUF fp32 ``[P, N]``, finite. rotation_matrix: SBUF fp32 ``[P, P]``.
    """
    into, source = as_view(dst), as_view(tensor)
    for start in range(0, source.shape[1], PSUM_COLUMNS):
        end = min(start + PSUM_COLUMNS, source.shape[1])
        moved = psum_tile((source.shape[0], end - start))
        nisa.nc_matmul(dst=moved, stationary=rotation_matrix, moving=source.slice(1, start, end).get_view())
        nisa.activation(dst=into.slice(1, start, end).get_view(), op=nl.copy, data=moved)


def insert(tensor: Any, values: Any, offset: int = 0) -> None:
    """Put ``values`` ``[P, n]`` into columns ``offset`` on of ``tensor``; both in SBUF."""
    into, source = as_view(tensor), as_view(values)
    nisa.tensor_copy(dst=into.slice(1, offset, offset + source.shape[1]).get_view(), src=source.get_view())


def validate_topk_input(inp: nl.ndarray, n_fold: int = 1, local_top_k_per_stage: int = 0) -> None:
    """Raise AssertionError unless rows ``[BxS, V]``, cut into ``n_fold`` stages, can be searched."""
    shape = tuple(inp.shape)
    kernel_assert(len(shape) == 2, f"the input must be [BxS, V], its shape is {shape}")
    held = div_ceil(shape[1], n_fold) + local_top_k_per_stage
    kernel_assert(held <= SEARCHED, f"a stage with {held} elements is too long, {SEARCHED} can be searched")


def validate_config(topk_config: TopkConfig) -> None:
    """Raise AssertionError unless rows have k elements, and each core's a partition each."""
    kernel_assert(
        topk_config.vocab_size_valid(),
        f"k must be 1 to V = {topk_config.vocab_size}, it is {topk_config.k}",
    )
    rows = topk_config.per_lnc_BxS
    kernel_assert(
        topk_config.inp_shape_valid(),
        f"a core takes 1 to {PARTITIONS} rows, it would get {rows} of {topk_config.inp_shape}",
    )


def topk_core(data: Any, k: int) -> tuple[nl.ndarray, nl.ndarray]:
    """The k largest elements of each row and their places, descending; ``data`` loses them.

    Args:
        data: SBUF fp32 ``[P, N]``, 8 ≤ N ≤ 16384, finite.

    Returns:
        SBUF fp32 and uint32 ``[P, k]``, k rounded up to a multiple of 8.
    """
    shape = (data.shape[0], get_ceil_aligned_size(k, EIGHT))
    values = nl.ndarray(shape, dtype=nl.float32, buffer=nl.sbuf)
    places = nl.ndarray(shape, dtype=nl.uint32, buffer=nl.sbuf)
    take_sorted(values, places, data)
    return values, places


def sort(data_sbuf: nl.ndarray, indices: nl.ndarray | None = None) -> tuple[nl.ndarray, nl.ndarray]:
    """Rows in descending order, and ``indices`` along with them; ``data_sbuf`` is used up.

    Args:
        data_sbuf: SBUF fp32 ``[P, N]``, N a multiple of 8. indices: SBUF fp32 ``[P, N]``; places if omitted.

    Returns:
        SBUF fp32 values ``[P, N]``, and fp32 indices, or uint32 places.
    """
    values, places = topk_core(data_sbuf, data_sbuf.shape[1])
    if indices is None:
        return values, places
    return values, gather(indices, places)


def gather(data: Any, places: nl.ndarray) -> nl.ndarray:
    """``result[p, i] = data[p, places[p, i]]``, SBUF fp32."""
    found = nl.ndarray(places.shape, dtype=nl.float32, buffer=nl.sbuf)
    nisa.nc_n_gather(dst=found, data=as_tile(data), indices=places)
    return found


def reshape_with_dma(src: Any, fold_factor: int, dtype: Any) -> nl.ndarray:
    """SBUF ``[rows·fold, N]`` as ``[rows, fold·N]`` of ``dtype``: stages of a row side by side."""
    source = as_view(src)
    rows, width = source.shape[0] // fold_factor, source.shape[1] * fold_factor
    beside = nl.ndarray((rows, width), dtype=dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=beside, src=source.get_view())
    return beside


def naive_scanning_topk(inp: nl.ndarray, topk_config: TopkConfig) -> tuple[nl.ndarray, nl.ndarray]:
    """The k largest elements of this core's rows, each searched as a whole.

    Args:
        inp: HBM ``[BxS, V]``, V ≤ 16384.

    Returns:
        SBUF fp32 and uint32 ``[rows, k]``, k rounded up to a multiple of 8, descending.

    Raises AssertionError for rows that are too long or too many.
    """
    validate_topk_input(inp)
    validate_config(topk_config)
    _, rows = own_rows(topk_config.BxS, topk_config.prg_id, topk_config.n_prgs)
    work = scratch(manager(), name="naive_scanning_topk")
    data = work.tile((rows, max(EIGHT, inp.shape[1])), nl.float32)
    load_stages(data, inp, 1, topk_config)
    values, places = topk_core(data, topk_config.k)
    work.close()
    return values, places


def load_stages(data: nl.ndarray, inp: nl.ndarray, fold: int, topk_config: TopkConfig) -> None:
    """This core's rows in stages; :data:`LOWEST` where stages, or their first eight columns, hold nothing."""
    length = inp.shape[1]
    width = div_ceil(length, fold)
    if width < EIGHT:
        nisa.memset(dst=data[:, 0:EIGHT], value=LOWEST)
    predicated_folded_load(inp, fold, topk_config.prg_id, topk_config.n_prgs, LOWEST, data)
    clamp_finite(data[:, 0:width])
    if length < width * fold:
        _fill_ends(data, length, width, fold)


def _fill_ends(data: nl.ndarray, length: int, width: int, fold: int) -> None:
    """:data:`LOWEST` where rows have no elements left: below -∞, which :func:`clamp_finite` has raised."""
    rows = data.shape[0] // fold
    work = scratch(manager(), name="ends")
    lowest = work.tile((rows, width), data.dtype)
    nisa.memset(dst=lowest, value=LOWEST)
    for stage in range(length // width, fold):
        used = max(0, length - stage * width)
        ends = as_view(data).slice(0, stage, rows * fold, fold).slice(1, used, width)
        nisa.dma_copy(dst=ends.get_view(), src=lowest[:, 0 : width - used])
    work.close()
