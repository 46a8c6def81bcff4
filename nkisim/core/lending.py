"""Copies that a launch need not make when it is replayed.

What DMA copies to a tile, and instructions read once from there, they can as well read where it comes from,
in an argument that the launch does not write. Then views of the tile show the argument, and the copy is left
out; if its source has an address that depends on a value, the views are told that address instead. What is
read more often is worth bringing together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from .access import Dynamic
from .dtypes import Array
from .memory import Storage
from .tensor import Tensor

READERS = {
    "activation": {"data", "bias", "scale"},
    "activation_reduce": {"data", "bias", "scale"},
    "nc_matmul": {"stationary", "moving"},
    "nc_transpose": {"data"},
    "scalar_tensor_tensor": {"data", "operand0", "operand1"},
    "tensor_copy": {"src"},
    "tensor_reduce": {"data"},
    "tensor_scalar": {"data", "operand0", "operand1"},
    "tensor_tensor": {"data1", "data2"},
}
"""Instructions, and their operands, that only look at a tensor's elements."""


class Use(NamedTuple):
    """A tensor that an instruction has: its step, name and operand, and all that it was given."""

    step: int
    name: str
    what: str
    tensor: Tensor
    given: dict[str, Any]


class Loan(NamedTuple):
    """A view of a tile, and where in an argument's bytes the same elements are; ``step`` copied them."""

    view: Tensor
    storage: Storage
    start: int
    strides: tuple[int, ...]
    step: int


def loans(uses: Sequence[Use], unchanged: set[int]) -> list[Loan]:
    """Where the views of a tile are found in arguments; none when they are not. ``unchanged``: ids of the
    storages of arguments that the launch does not write.
    """
    copies = [use for use in uses if use.what == "dst"]
    reads = [use for use in uses if use.what != "dst"]
    if not copies or not all(_lendable(use, unchanged) for use in copies) or not _apart(copies):
        return []
    size = sum(use.tensor.array.size for use in copies)
    if sum(use.tensor.array.size for use in reads) > size:
        return []
    found = []
    for use in reads:
        loan = _found(use.tensor, [copy for copy in copies if copy.step < use.step])
        if use.what not in READERS.get(use.name, ()) or loan is None:
            return []
        found.append(loan)
    return found


def _lendable(use: Use, unchanged: set[int]) -> bool:
    """Whether it is a copy of bits from an argument, whose rows are neighbours in memory."""
    given, dst = use.given, use.tensor
    src = given.get("src")
    if use.name != "dma_copy" or not isinstance(src, Tensor) or id(src.storage) not in unchanged:
        return False
    found = _source(src)
    if found is None or dst.dynamic is not None or src.dtype is not dst.dtype:
        return False
    array, skips = found[0], getattr(given.get("oob_mode"), "name", "error") != "error"
    return (
        given.get("dst_rmw_op") is None
        and not skips
        and array.shape == dst.array.shape
        and min(*array.strides, *dst.array.strides) > 0
        and array.strides[-1] == array.itemsize
    )


def _source(src: Tensor) -> tuple[Array, int] | None:
    """The source's elements, and where in its storage they start; with a scalar in its address, for 0."""
    dynamic = src.dynamic
    if dynamic is None:
        return src.array, src.start_byte()
    if isinstance(dynamic, Dynamic) and dynamic.vector is None and dynamic.dtype is dynamic.tensor.dtype:
        return dynamic.at_zero()
    return None


def _apart(copies: Sequence[Use]) -> bool:
    """Whether no two of them write the same bytes; of some it is not seen."""
    ends = sorted(_ends(use.tensor) for use in copies)
    if all(last <= first for (_, last), (first, _) in pairwise(ends)):
        return True
    pitch = copies[0].tensor.storage.pitch
    rows = {use.tensor.array.strides[0] == pitch and use.tensor.start_byte() < pitch for use in copies}
    if rows != {True}:
        return False
    inner = sorted(_ends(use.tensor, 1) for use in copies)
    return all(last <= first for (_, last), (first, _) in pairwise(inner))


def _ends(tensor: Tensor, axis: int = 0) -> tuple[int, int]:
    """The first byte of a view, and the one after the last; without the first dimensions."""
    array, start = tensor.array, tensor.start_byte()
    pairs = zip(array.shape[axis:], array.strides[axis:], strict=True)
    return start, start + array.itemsize + sum((count - 1) * stride for count, stride in pairs)


def _found(view: Tensor, copies: Sequence[Use]) -> Loan | None:
    """The elements of a view where one of the copies has them from."""
    for copy in copies if view.dynamic is None else ():
        src, dst = copy.given["src"], copy.tensor
        source = _source(src)
        if source is None or view.dtype is not dst.dtype:
            continue
        array, start = source
        found = place(view.array, view.start_byte() - dst.start_byte(), _merged(dst.array, array))
        if found is not None:
            return Loan(view, src.storage, start + found[0], found[1], copy.step)
    return None


Axes = list[tuple[int, int, int]]
"""Count, bytes from one to the next in the tile, and in the argument; the longest steps first."""


def _merged(dst: Array, src: Array) -> Axes:
    """The dimensions of a copy; those that are one in both are one."""
    axes: Axes = []
    triples = sorted(zip(dst.strides, dst.shape, src.strides, strict=True), reverse=True)
    for step, count, source in triples:
        if count == 1:
            continue
        if axes and axes[-1][1:] == (step * count, source * count):
            axes[-1] = (axes[-1][0] * count, step, source)
        else:
            axes.append((count, step, source))
    return axes


def place(array: Array, rest: int, axes: Axes) -> tuple[int, tuple[int, ...]] | None:
    """First byte and strides in the argument, if all elements of a view are among the copied ones.

    ``rest``: where the view starts, counted from where the copy does.
    """
    nested = all(long >= step * count for (_, long, _), (count, step, _) in pairwise(axes))
    if rest < 0 or not nested:
        return None
    start, last = 0, []
    for _, step, source in axes:
        index, rest = divmod(rest, step)
        start += index * source
        last.append(index)
    strides = []
    for count, stride in zip(array.shape, array.strides, strict=True):
        if count == 1 or stride == 0:
            strides.append(0)
            continue
        at = next((at for at, (_, step, _) in enumerate(axes) if stride >= step and not stride % step), None)
        if at is None:
            return None
        steps = stride // axes[at][1]
        strides.append(steps * axes[at][2])
        last[at] += (count - 1) * steps
    inside = all(index < count for index, (count, _, _) in zip(last, axes, strict=True))
    return (start, tuple(strides)) if inside and not rest else None
