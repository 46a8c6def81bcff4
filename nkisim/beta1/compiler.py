"""``neuronxcc.nki.compiler``: where tensors lie, and hints. Hints do not change what a kernel computes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..compiler import enable_stack_allocator as enable_stack_allocator
from ..compiler import force_auto_alloc as force_auto_alloc
from ..compiler import skip_middle_end_transformations as skip_middle_end_transformations
from ..core.errors import fail
from .memory import Buffer, modulo


class _Sbuf(Buffer):
    """``ncc.sbuf``; its blocks can be placed."""

    def mod_alloc(
        self,
        *,
        base_addr: int,
        base_partition: int = 0,
        num_par_tiles: Sequence[int] = (),
        num_free_tiles: Sequence[int] = (),
    ) -> Buffer:
        """Blocks take turns in ``num_free_tiles`` places from byte ``base_addr`` on."""
        return self.alloc(modulo((base_partition, base_addr), (tuple(num_par_tiles), tuple(num_free_tiles))))


class _Psum(Buffer):
    """``ncc.psum``; its blocks can be placed."""

    def mod_alloc(
        self,
        *,
        base_bank: int,
        base_addr: int = 0,
        base_partition: int = 0,
        num_bank_tiles: Sequence[int] = (),
        num_par_tiles: Sequence[int] = (),
        num_free_tiles: Sequence[int] = (),
    ) -> Buffer:
        """Blocks take turns in ``num_bank_tiles`` banks from ``base_bank`` on."""
        tiles = (tuple(num_bank_tiles), tuple(num_par_tiles), tuple(num_free_tiles))
        return self.alloc(modulo((base_bank, base_partition, base_addr), tiles))


sbuf, psum = _Sbuf("sbuf"), _Psum("psum")


@dataclass(frozen=True)
class MultiBuffer:
    """What :func:`multi_buffer` gives, for ``directives=`` of a loop."""

    factor: int


def multi_buffer(factor: int = 2) -> MultiBuffer:
    """A hint to keep ``factor`` buffers for the tensors of a loop. Raises SimulationError below 1."""
    if factor < 1:
        raise fail(f"ncc.multi_buffer: factor is {factor}; it must be 1 or more")
    return MultiBuffer(factor)


def no_reorder() -> contextlib.AbstractContextManager[None]:
    """Instructions inside keep their order, as they do here anyway."""
    return contextlib.nullcontext()


def allocation_scope(*_: Any, **__: Any) -> contextlib.AbstractContextManager[None]:
    """A scope of allocations; here tensors live as long as something uses them."""
    return contextlib.nullcontext()
