"""What all block-wise kernels are asked: tokens in N blocks of B positions, each block for one expert.

    x = hidden[ids]                                      0 for padding
    m = act(clamp(x·Wg·sg + bg)) ∘ clamp(x·Wu·su + bu)
    out[ids] (+)= a·(m·Wd·sd + bd)                       a = affinities[ids, expert]

Kernels differ in how cores share the work (:class:`Share`) and where ``a`` multiplies (:class:`Scaling`).
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.arguments import assert_limits
from ....blocks.dtypes import (
    EXACT,
    FLOATS,
    FLOATS_16,
    FLOATS_AND_FP8,
    assert_dtype,
    assert_dtype_parameter,
    is_fp8,
)
from ....blocks.indirect import gather_or_zero, gather_rows
from ....blocks.lnc import Cores
from ....blocks.memory import PARTITIONS, Scratch, scratch
from ....blocks.softmax import spread_column
from ....blocks.tiles import as_view, from_runtime_start, load_broadcast
from ...utils.allocator import SbufManager
from ...utils.common_types import QuantizationType
from ...utils.kernel_assert import assert_shape, kernel_assert
from ...utils.tensor_view import TensorView
from ..experts import Experts, expert_count, hidden_size, inner_size
from .block_inputs import Operands, check_elements


class Scaling(nl.NKIObject):
    """Where affinities multiply: x, both clamped products before the activation, m, the result."""

    on_input: bool = False
    on_gates: bool = False
    on_product: bool = False
    on_output: bool = False


class Task(nl.NKIObject):
    """The tensors, all in HBM, and options.

    Attributes:
        hidden: ``[R, H]``. affinities: ``[R·E, 1]``. experts: their weights.
        token_ids: int32 ``[N·B]``. block_experts: int32 ``[N]`` or ``[N, 1]``; None: block b has expert b.
        block: B, a multiple of 128. skip: padding has the id -1, not R - 1; it is neither read nor written.
        dtype: of x and m in products. scaling: see there.
        output: ``[rows, …]``, of which row ``ids`` receives results. accumulating: adds to what is there.
        gates_out: None, or ``[N, 2, I, B]``, receives the clamped products. down_out: None, or ``[N, B, H]``,
            receives ``m·Wd·sd + bd``.
        marks: which rows of the output hold something, as :mod:`.block_marks` says; None: all do.
    """

    hidden: nl.ndarray
    affinities: nl.ndarray
    experts: Experts
    token_ids: nl.ndarray
    block_experts: Any
    block: int
    skip: bool
    dtype: Any
    scaling: Scaling
    output: nl.ndarray
    accumulating: bool
    gates_out: Any = None
    down_out: Any = None
    marks: Any = None


class Share(nl.NKIObject):
    """A core's part of a block.

    Attributes:
        here: the cores that share blocks. hidden: (start, size) of the columns of x and of the result.
        inner: (start, size) of I. sums_gates: each core has only a part of the first products' sums.
        sums_down: each core has only a part of the result's sums, and delivers half of the tokens.
        start: element of an output row at which column 0 lies.
        marks: first row of this core's marks.
    """

    here: Cores
    hidden: tuple[int, int]
    inner: tuple[int, int]
    sums_gates: bool = False
    sums_down: bool = False
    start: int = 0
    marks: int = 0


class Tokens(nl.NKIObject):
    """Positions ``first`` to ``first + count - 1`` of a block; position ``first + 128 j + p`` at (p, j).

    Attributes:
        ids: int32 ``[128, J]``, -1 for padding. affinity: fp32 ``[128, J]``, 0 for padding; None if it
            multiplies nowhere.
        spread: the same as fp32 ``[128, count]`` on all partitions, or None if not needed.
    """

    first: int
    count: int
    ids: nl.ndarray
    affinity: Any
    spread: Any


def block_count(task: Task) -> int:
    return int(task.token_ids.shape[0] // task.block)


def task_of(given: Operands, experts: Experts, scaling: Scaling, dtype: Any, output: nl.ndarray) -> Task:
    """Raises AssertionError for tensors that do not fit each other, and for element types."""
    task = Task(
        hidden=given.hidden,
        affinities=given.affinities,
        experts=experts,
        token_ids=given.token_ids,
        block_experts=given.block_experts,
        block=given.block,
        skip=given.skip.skip_token,
        dtype=dtype,
        scaling=scaling,
        output=output,
        accumulating=given.accumulating,
        gates_out=given.gates_out,
        down_out=given.down_out,
    )
    _check_task(task)
    return task


def _check_task(task: Task) -> None:
    experts = task.experts
    mx = experts.kind == QuantizationType.MX
    assert_dtype(task.hidden, FLOATS_16 if mx else FLOATS, "hidden_states")
    assert_dtype_parameter(task.dtype, FLOATS, "compute_dtype")
    assert_dtype(task.affinities, FLOATS, "expert_affinities_masked")
    assert_dtype(task.gates_out, FLOATS_AND_FP8, "gate_up_activations_T")
    assert_dtype(task.down_out, FLOATS_AND_FP8, "down_activations")
    assert_limits(experts.gating.gate, experts.gating.up)
    (rows, hidden), count, width = task.hidden.shape, expert_count(experts), hidden_size(experts)
    kernel_assert(
        hidden == width, f"hidden_states must be [R, {width}] as the weights, it is {task.hidden.shape}"
    )
    check_elements(task.token_ids, block_count(task) * task.block, "token_position_to_id", "N·B")
    check_elements(task.affinities, rows * count, "expert_affinities_masked", "R·E")
    if task.block_experts is not None:
        check_elements(task.block_experts, block_count(task), "block_to_expert", "N")
    if task.gates_out is not None:
        wanted = (block_count(task), 2, inner_size(experts), task.block)
        assert_shape(task.gates_out, wanted, "gate_up_activations_T")
    if task.down_out is not None:
        assert_shape(task.down_out, (block_count(task), task.block, hidden), "down_activations")


def weight_dtype(task: Task, weights: nl.ndarray) -> Any:
    """Of weights in products: 8 bits stay as they are, but beside float32, with which they do not mix."""
    return weights.dtype if is_fp8(weights.dtype) and task.dtype != nl.float32 else task.dtype


def expert_of(task: Task, number: Any, work: Scratch) -> Any:
    """The expert of a block, int32 ``[1, 1]`` in SBUF (or a number); ``number`` of the block is as that."""
    if task.block_experts is None:
        return number
    expert = work.tile((1, 1), nl.int32)
    nisa.dma_copy(dst=expert, src=_own_expert(task, number).get_view())
    return expert


def _own_expert(task: Task, number: Any) -> TensorView:
    """``[1, 1]`` in HBM."""
    experts = as_view(task.block_experts.reshape((block_count(task), 1)))
    return experts.select(0, number).expand_dim(0)


def load_tokens(
    task: Task, number: Any, expert: Any, first: int, count: int, work: Scratch, sbm: SbufManager
) -> Tokens:
    """Ids and affinities of some positions of block ``number``, in tiles of ``work``."""
    tiles = count // PARTITIONS
    ids = work.tile((PARTITIONS, tiles), nl.int32)
    blocks = as_view(task.token_ids.reshape((block_count(task), task.block)))
    own = blocks.select(0, number).slice(0, first, first + count)
    nisa.dma_copy(dst=ids, src=own.reshape_dim(0, (tiles, PARTITIONS)).permute((1, 0)).get_view())
    if not task.skip:
        _mark_padding(ids, task.hidden.shape[0] - 1, sbm)
    scaling, affinity, spread = task.scaling, None, None
    if scaling.on_input or scaling.on_gates or scaling.on_product or scaling.on_output:
        affinity = _load_affinities(task, ids, number, expert, work, sbm)
    if scaling.on_gates or scaling.on_product:
        spread = work.tile((PARTITIONS, count), nl.float32)
        for tile in range(tiles):
            column = spread_column(as_view(affinity).slice(1, tile, tile + 1), PARTITIONS)
            nisa.tensor_copy(dst=spread[:, tile * PARTITIONS : (tile + 1) * PARTITIONS], src=column)
    return Tokens(first=first, count=count, ids=ids, affinity=affinity, spread=spread)


def _mark_padding(ids: nl.ndarray, padding: int, sbm: SbufManager) -> None:
    """Ids of padding become -1: ``(ids < padding)·(ids + 1) - 1``. Exact up to 2²⁴.

    So that cores whose blocks both have padding do not both write its row.
    """
    work = scratch(sbm, name="mark_padding")
    after = work.tile(tuple(ids.shape), nl.int32)
    nisa.tensor_scalar(dst=after, data=ids, op0=nl.add, operand0=1)
    nisa.scalar_tensor_tensor(
        dst=ids, data=ids, op0=nl.less, operand0=float(padding), op1=nl.multiply, operand1=after
    )
    nisa.tensor_scalar(dst=ids, data=ids, op0=nl.subtract, operand0=1)
    work.close()


def _load_affinities(
    task: Task, ids: nl.ndarray, number: Any, expert: Any, work: Scratch, sbm: SbufManager
) -> nl.ndarray:
    """``affinities[ids, expert]``, fp32 ``[128, J]``; 0 for padding."""
    affinity = work.tile(tuple(ids.shape), nl.float32)
    held = scratch(sbm, name="affinities")
    if task.hidden.shape[0] * expert_count(task.experts) <= EXACT:
        _gather_affinities(affinity, task, ids, number, expert, held)
    else:
        _pick_affinities(affinity, task, ids, expert, held)
    held.close()
    return affinity


def _gather_affinities(
    affinity: nl.ndarray, task: Task, ids: nl.ndarray, number: Any, expert: Any, held: Scratch
) -> None:
    """By their numbers ``ids·E + expert``, which are negative for padding."""
    count, own = expert_count(task.experts), expert
    if not isinstance(expert, int):
        own = held.tile((PARTITIONS, 1), nl.float32)
        load_broadcast(own, _own_expert(task, number))
    numbers = held.tile(tuple(ids.shape), nl.int32)
    nisa.tensor_scalar(
        dst=numbers, data=ids, op0=nl.multiply, operand0=float(count), op1=nl.add, operand1=own
    )
    nisa.memset(dst=affinity, value=0.0)
    source = task.affinities.reshape((task.hidden.shape[0] * count, 1))
    for tile in range(ids.shape[1]):
        gather_rows(affinity[:, tile : tile + 1], source, numbers[:, tile : tile + 1], skip=True)


def _pick_affinities(affinity: nl.ndarray, task: Task, ids: nl.ndarray, expert: Any, held: Scratch) -> None:
    """From whole rows, where float32 has not all of their numbers."""
    count = expert_count(task.experts)
    rows = held.tile((PARTITIONS, ids.shape[1], count), task.affinities.dtype)
    source = task.affinities.reshape((task.hidden.shape[0], count))
    for tile in range(ids.shape[1]):
        gather_or_zero(rows[:, tile, :], source, ids[:, tile : tile + 1])
    column = as_view(rows)
    if isinstance(expert, int):
        column = column.slice(2, expert, expert + 1)
    else:
        column = from_runtime_start(column.slice(2, 0, 1), 2, expert)
    nisa.tensor_copy(dst=affinity, src=column.get_view())
