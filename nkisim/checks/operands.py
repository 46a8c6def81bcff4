"""What engines take as operands of an instruction, by the architecture guide and the instructions' pages.

The partitions of an operand follow each other, and start where the engines' ports do. Columns (one element
for each partition) have certain element types. DMA is free of this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.dtypes import DType, bfloat16, float16, float32
from ..core.errors import fail
from ..core.operators import Operator
from ..core.tensor import Tensor
from .shadow import bound, tensors

FREE = frozenset({"core_barrier", "dma_compute", "dma_copy", "dma_transpose", "sendrecv"})
"""Instructions of the DMA engines; those of registers are, too."""
SCALES = frozenset({"stationary_scale", "moving_scale", "dst_scale"})
"""Operands with a layout of their own: MX scales."""
STARTS = {1: (0, 32, 64, 96), 2: (0, 64), 3: (0,), 4: (0,)}
"""Quadrants that an operand has → partitions that it may start at."""
COLUMNS: dict[str, dict[str, tuple[DType, ...]]] = {
    "activation": {"scale": (float32,), "bias": (float32, float16, bfloat16)},
    "activation_reduce": {"scale": (float32,), "bias": (float32, float16, bfloat16)},
    "exponential": {"max_value": (float32,), "reduce_init": (float32,)},
    "tensor_scalar": {"operand0": (float32,), "operand1": (float32,)},
    "tensor_scalar_cumulative": {"imm0": (float32,), "imm1": (float32,)},
    "tensor_scalar_reduce": {"operand0": (float32,)},
}
"""Instruction → element types of its columns, where not all are allowed; bitvec operators take integers."""


def check_operands(function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> None:
    """Raises SimulationError when an operand is not one that its engine takes."""
    name = function.__name__
    if name in FREE or name.startswith("register_"):
        return
    given = bound(function, args, kwargs)
    for operand, value in given.items():
        for what, tensor in tensors(operand, value):
            if operand not in SCALES:
                _check_partitions(name, what, tensor)
    for what, allowed in COLUMNS.get(name, {}).items():
        _check_type(name, what, given, allowed)


def _check_partitions(name: str, what: str, tensor: Tensor) -> None:
    storage, array = tensor.storage, tensor.array
    if storage.pitch is None or tensor.dynamic is not None or not array.size:
        return
    rows = array.shape[0] if tensor.partitioned else 1
    step = array.strides[0] / storage.pitch if rows > 1 else 1
    if step != 1:
        raise fail(
            f"nisa.{name}: {what} is a {tensor!r} with {step:g} partitions from one to the next; "
            "an engine reaches partitions that follow each other"
        )
    start = (tensor.start_byte() - storage.base) // storage.pitch
    start += int(tensor.address[0]) if tensor.address is not None else 0
    allowed = STARTS[-(-rows // 32)]
    if start not in allowed:
        raise fail(
            f"nisa.{name}: {what} is a {tensor!r} that starts at partition {start}; an operand of {rows} "
            f"partitions starts at {' or '.join(map(str, allowed))}"
        )


def _check_type(name: str, what: str, given: dict[str, Any], allowed: tuple[DType, ...]) -> None:
    column, op = given.get(what), given.get("op0")
    bits = isinstance(op, Operator) and op.bitwise
    if isinstance(column, Tensor) and not bits and column.dtype not in allowed:
        names = ", ".join(map(repr, allowed))
        raise fail(f"nisa.{name}: {what} is a {column!r}; its element type must be one of {names}")
