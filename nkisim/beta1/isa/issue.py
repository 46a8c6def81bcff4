"""How a value-returning instruction is made of nkisim's, which writes into ``dst``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...core.dtypes import dtype_of
from ...core.errors import fail
from ...core.memory import SBUF
from ...core.operators import Operator
from ...core.tensor import Tensor
from ..access import Access
from ..compute import active, computed
from ..elementwise import tile_operand
from ..masks import Region
from ..memory import holding
from ..operators import operator_of
from ..tile import Operand, Tile


def token(op: Any, name: str, what: str = "op") -> Operator:
    """An operator that ``op=`` names. Raises SimulationError."""
    return operator_of(op, name, what)


def chip_operand(value: Any, name: str, what: str) -> Operand:
    """A tile in SBUF or PSUM. Raises SimulationError otherwise."""
    return tile_operand(value, name, what, "nisa")


def maybe_token(op: Any, name: str, what: str = "op") -> Operator | None:
    return None if op is None else operator_of(op, name, what)


def issue(
    instruction: Callable[..., None],
    data: Any,
    dtype: Any,
    mask: Any,
    *operands: Any,
    what: str = "data",
    shape: Sequence[int] | None = None,
    buffer: str = SBUF,
    fill: float | None = None,
    results: Sequence[Any] = (),
    **options: Any,
) -> Tile:
    """A new tile, written by ``instruction(dst, data, *operands, *results, **options)`` where the mask holds.

    Args:
        data: the operand whose shape the mask is about. dtype: the result's, or None for that of data.
        shape: the result's, where it differs. fill: see :func:`..compute.computed`.
        operands: tiles or numbers; those of another shape are cut on the axes that they share with data.
        results: tiles that receive a second result, or None; passed last.
    """
    name = instruction.__name__
    source = chip_operand(data, name, what)
    for index, operand in enumerate(operands):
        if isinstance(operand, Operand):
            chip_operand(operand, name, f"operand {index}")
    kind = dtype_of(dtype or source.dtype)
    region = active(mask, source.shape, (source, *operands))

    def body(dst: Tensor, *inputs: Any) -> None:
        into = [Landing(result, region) for result in results]
        instruction(dst, *inputs, *(landing.tensor for landing in into), **options)
        for landing in into:
            landing.settle()

    return computed(
        body,
        source.shape,
        kind,
        mask,
        (source, *operands),
        shape=None if shape is None else tuple(int(n) for n in shape),
        buffer=buffer,
        fill=fill,
    )


class Landing:
    """Where an instruction writes into a tile that the kernel gave: the tile's memory, or memory beside it.

    ``tensor`` is what to write; :meth:`settle` brings it to an access that is scattered.
    """

    def __init__(self, target: Operand | None, region: Region | None) -> None:
        self.target = target
        self.region = None if target is None or region is None else _on(region, target.shape)
        self.tensor: Tensor | None = None
        self.beside = False
        if target is None:
            return
        if not isinstance(target, Operand):
            raise fail(f"a result must be written to a tile, not to a {type(target).__name__}")
        self.beside = isinstance(target, Access) and not target.affine
        self.beside |= self.region is not None and self.region.lanes is not None
        if self.beside:
            held = target.part(self.region)
            self.tensor = holding(
                np.array(held.read_raw()).reshape(held.array.shape), held.dtype, held.buffer
            )
        else:
            self.tensor = target.part(self.region)

    def settle(self) -> None:
        if self.beside and self.target is not None and self.tensor is not None:
            self.target.put(self.tensor, self.region)


def _on(region: Region, shape: tuple[int, ...]) -> Region:
    """The partitions of a region, for a tile with other free dimensions."""
    return (
        region.on(shape)
        if len(shape) == len(region.shape)
        else Region(
            shape,
            (region.box[0] if region.shape[0] == shape[0] else (0, shape[0]), *((0, n) for n in shape[1:])),
        )
    )
