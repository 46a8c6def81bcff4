"""What an instruction costs by the documented formulas: engine cycles, DMA bytes, multiply-adds.

The formulas are those of the API pages and architecture guides: cycles that an engine is busy, as a function
of the elements N in each partition. They leave out fixed start-up costs and stalls; sums are a lower bound.
Rows that a DMA skips, because their numbers are out of range, do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from .access import Dynamic
from .dtypes import FLOAT, Array
from .memory import OFF_CHIP, PSUM
from .tensor import Tensor

TENSOR, VECTOR, SCALAR, GPSIMD, DMA, SYNC = "tensor", "vector", "scalar", "gpsimd", "dma", "sync"
ENGINES = (TENSOR, VECTOR, SCALAR, GPSIMD, DMA, SYNC)
Operands = Mapping[str, Any]

GIGAHERTZ = {
    2: {TENSOR: 2.8, VECTOR: 1.12, SCALAR: 1.4, GPSIMD: 1.4, SYNC: 1.4},
    3: {TENSOR: 2.4, VECTOR: 0.96, SCALAR: 1.2, GPSIMD: 1.2, SYNC: 1.2},
    4: {TENSOR: 2.4, VECTOR: 1.2, SCALAR: 1.2, GPSIMD: 1.2, SYNC: 1.2},
}
"""Engine clocks by generation."""
DMA_BYTES_PER_MICROSECOND = 16 * 27 * 1024**3 / 1e6
"""Sixteen DMA engines of 27 GiB/s each."""
FLOOR = 64
"""Cycles that any instruction of VectorE and ScalarE takes at least."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one instruction: cycles of its engine (0 for DMA, whose time is bytes), bytes that DMA moves."""

    engine: str
    cycles: float = 0.0
    macs: int = 0
    source: str = ""
    target: str = ""
    read: int = 0
    written: int = 0

    def microseconds(self, generation: int) -> float:
        """Time that the engine is busy."""
        if self.engine == DMA:
            return max(self.read, self.written) / DMA_BYTES_PER_MICROSECOND
        return self.cycles / GIGAHERTZ[generation][self.engine] / 1e3


def elements(tensor: Any) -> int:
    """Elements in one partition of a tensor (of its access, when the address is dynamic)."""
    if not isinstance(tensor, Tensor):
        return 0
    return prod(tensor.shape[1:] if tensor.partitioned else tensor.shape)


def tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in an operand."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)


def cost(name: str, operands: Operands) -> Cost:
    """The cost of instruction ``name``; VectorE and N cycles when no formula is documented."""
    if name in _COPIES:
        return _moved(operands)
    engine, formula = _FORMULAS.get(name, (VECTOR, _once))
    cycles = formula(operands)
    return Cost(_chosen(operands, engine), cycles, _macs(name, operands))


def _chosen(operands: Operands, usual: str) -> str:
    asked = getattr(operands.get("engine"), "name", "")
    return asked if asked in ENGINES and asked != DMA else usual


def _moved(operands: Operands) -> Cost:
    """Bytes of whole operands, but for rows that are out of range and skipped: these do not move."""
    sources = [t for what in ("src", "srcs") for t in tensors(operands.get(what))]
    target = next(tensors(operands.get("dst")), None)
    skips = getattr(operands.get("oob_mode"), "name", "") == "skip"
    into = _existing(target) if skips and target is not None else None
    read = [(source, _both(_existing(source) if skips else None, into)) for source in sources]
    written = read[0][1] if "src" in operands and read else into
    return Cost(
        DMA,
        source=_place(sources[0]) if sources else "",
        target=_place(target) if target is not None else "",
        read=sum(_bytes(source, rows) for source, rows in read),
        written=0 if target is None else _bytes(target, written),
    )


def _existing(tensor: Tensor) -> Array | None:
    """Which rows of an access with a dynamic address are in range; None is all."""
    return tensor.dynamic.in_range() if isinstance(tensor.dynamic, Dynamic) else None


def _both(one: Array | None, other: Array | None) -> Array | None:
    """Rows that both ends have; where they are cut into different rows, those of the end that has fewer."""
    if one is None or other is None:
        return other if one is None else one
    if one.size != other.size:
        return min(one, other, key=lambda rows: float(rows.mean()))
    found: Array = one & other
    return found


def _bytes(tensor: Tensor, rows: Array | None = None) -> int:
    """Of the tensor, or of those of its equal parts that ``rows`` marks."""
    whole = tensor.size * tensor.dtype.itemsize
    return whole if rows is None else whole * int(rows.sum()) // rows.size


def _place(tensor: Tensor) -> str:
    return "hbm" if tensor.buffer in OFF_CHIP else tensor.buffer


def _macs(name: str, operands: Operands) -> int:
    if name not in {"nc_matmul", "nc_matmul_mx"}:
        return 0
    stationary, moving = operands["stationary"], operands["moving"]
    rows = stationary.shape[0] if stationary.partitioned else 1
    packed = 4 if name == "nc_matmul_mx" else 1
    doubled = 2 if _double(operands) else 1
    return int(rows * elements(stationary) * elements(moving) // doubled * packed)


def _double(operands: Operands) -> bool:
    return getattr(operands.get("perf_mode"), "name", "") == "double_row"


def _data(operands: Operands) -> Any:
    found = (
        operands.get(what) for what in ("data", "src", "data1", "data0", "on_true_tile", "on_true", "dst")
    )
    return next((value for value in found if isinstance(value, Tensor)), None)


def _narrow(*values: Any) -> bool:
    """Whether all tensors hold 16-bit floats."""
    return all(t.dtype.kind == FLOAT and t.dtype.itemsize == 2 for t in values if isinstance(t, Tensor))


def _times(factor: float, extra: float = 0.0) -> Callable[[Operands], float]:
    return lambda operands: max(FLOOR, factor * elements(_data(operands))) + extra


_once = _times(1)


def _matmul(operands: Operands) -> float:
    moving = operands["moving"]
    share = 2 if _double(operands) else 1
    cycles = max(min(64, elements(operands["stationary"]) // share), elements(moving) // share)
    return 4 * cycles if moving.dtype.kind == FLOAT and moving.dtype.itemsize == 4 else cycles


def _transpose(operands: Operands) -> float:
    data = operands["data"]
    if _chosen(operands, TENSOR) == VECTOR:
        return _once(operands)
    return max(data.shape[0] if data.partitioned else 1, min(64, elements(data)))


def _two_tensors(operands: Operands) -> float:
    one, other = operands["data1"], operands["data2"]
    fast = PSUM in (one.buffer, other.buffer) or _narrow(one, other, operands["dst"])
    return max(FLOOR, (1 if fast else 2) * elements(one))


def _reduced(operands: Operands) -> float:
    data = operands["data"]
    return max(FLOOR, elements(data) / (2 if _narrow(data, operands["dst"]) else 1))


def _gpsimd(operands: Operands) -> float:
    return 150 + max(elements(_data(operands)), elements(operands.get("dst")))


def _copied(operands: Operands) -> float:
    dynamic = any(t.dynamic is not None for t in tensors([operands.get("dst"), operands.get("src")]))
    return max(600.0 if dynamic else FLOOR, elements(operands.get("src")))


_COPIES = frozenset({"dma_copy", "dma_transpose", "dma_compute", "sendrecv"})
_FORMULAS: dict[str, tuple[str, Callable[[Operands], float]]] = {
    "nc_matmul": (TENSOR, _matmul),
    "nc_matmul_mx": (TENSOR, lambda operands: max(FLOOR, elements(operands["moving"]))),
    "nc_transpose": (TENSOR, _transpose),
    "activation": (SCALAR, _once),
    "activation_reduce": (SCALAR, _times(1, 64)),
    "tensor_tensor": (VECTOR, _two_tensors),
    "tensor_copy": (VECTOR, _copied),
    "tensor_scalar_reduce": (VECTOR, _times(1, 64)),
    "scalar_tensor_tensor": (VECTOR, _times(2)),
    "tensor_reduce": (VECTOR, _reduced),
    "reciprocal": (VECTOR, _times(8)),
    "bn_aggr": (VECTOR, _times(13 / 3)),
    "tensor_tensor_scan": (VECTOR, _times(2)),
    "core_barrier": (SYNC, lambda operands: 0.0),
    **dict.fromkeys(
        (
            "iota",
            "affine_select",
            "local_gather",
            "nc_n_gather",
            "nonzero_with_count",
            "sequence_bounds",
            "tensor_partition_reduce",
        ),
        (GPSIMD, _gpsimd),
    ),
    **dict.fromkeys(
        ("register_alloc", "register_load", "register_move", "register_store"),
        (SYNC, lambda operands: 0.0),
    ),
}
