"""dma_copy between random accesses of random tensors, against loops over flat memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tiles import tile

from nkisim import isa as nisa
from nkisim import language as nl
from nkisim.core.registers import Register
from nkisim.core.tensor import Tensor

KINDS = ("float32", "bfloat16", "int16")
OUTSIDE = (-1, 77, 2**31 - 1)
"""Indices that no tensor here has."""


@dataclass
class Access:
    """A tensor of small integers, a view of it, and for each row of the view its elements' flat numbers."""

    tensor: Tensor
    view: Tensor
    places: list[list[int] | None]

    def contents(self) -> Any:
        return np.array(self.tensor.read()).reshape(-1)


def made(shape: tuple[int, ...], buffer: str, kind: str, first: int) -> Tensor:
    values = (np.arange(np.prod(shape)) + first) % 100 - 50
    return tile(values.reshape(shape), kind, buffer)


@st.composite
def accesses(draw: Any, rows: int, wide: int, distinct: bool, skips: bool) -> Access:
    """``rows × wide`` elements: at fixed places, moved by a register, or rows that indices name."""
    inner = (draw(st.integers(1, 3)), draw(st.integers(1, 4)))
    size = inner[0] * inner[1]
    step = draw(st.integers(int(distinct), max(int(distinct), (size - 1) // max(wide - 1, 1))))
    wide_enough = step * (wide - 1) < size
    shape = (draw(st.integers(rows, 8)), *(inner if wide_enough else (1, step * (wide - 1) + 1)))
    size = shape[1] * shape[2]
    element = draw(st.integers(0, size - 1 - step * (wide - 1)))
    buffer, kind = draw(st.sampled_from(["hbm", "sbuf"])), draw(st.sampled_from(KINDS))
    tensor = made(shape, buffer, kind, draw(st.integers(0, 99)))
    across = [[step, wide]]
    how = draw(st.sampled_from(["fixed", "register", "indices"]))
    if how == "indices":
        known = st.integers(0, shape[0] - 1)
        index = draw(
            st.lists(
                st.one_of(known, st.sampled_from(OUTSIDE)) if skips else known, min_size=rows, max_size=rows
            )
        )
        view = tensor.ap(
            [[size, rows], *across], offset=element, vector_offset=tile(np.array(index, np.int32)[:, None])
        )
        starts = [i * size + element if 0 <= i < shape[0] else None for i in index]
    else:
        partition = draw(st.integers(0, shape[0] - rows))
        start = partition * size + element
        pattern = [[size, rows], *across]
        moved = 0
        view = tensor.ap(pattern, offset=start)
        if how == "register":
            axis = draw(st.integers(0, 2))
            unit = (size, shape[2], 1)[axis]
            room = (
                shape[0] - rows - partition if axis == 0 else (size - 1 - step * (wide - 1) - element) // unit
            )
            times = draw(st.integers(0, min(room, shape[axis] - 1)))
            moved = times * unit
            view = tensor.ap(pattern, offset=start, scalar_offset=Register(times), indirect_dim=axis)
        starts = [start + moved + r * size for r in range(rows)]
    return Access(tensor, view, [None if s is None else [s + step * e for e in range(wide)] for s in starts])


@settings(max_examples=400)
@given(
    data=st.data(),
    rows=st.integers(1, 5),
    wide=st.integers(1, 5),
    mode=st.sampled_from(["copy", "skip", "add"]),
)
def test_copies(data: st.DataObject, rows: int, wide: int, mode: str) -> None:
    source = data.draw(accesses(rows, wide, False, mode == "skip"))
    target = data.draw(accesses(rows, wide, True, mode == "skip"))
    given_values, expected = source.contents(), target.contents()
    for taken, put in zip(source.places, target.places, strict=True):
        if taken is not None and put is not None:
            for a, b in zip(taken, put, strict=True):
                expected[b] = given_values[a] + (expected[b] if mode == "add" else 0)
    nisa.dma_copy(
        dst=target.view,
        src=source.view,
        dst_rmw_op=nl.add if mode == "add" else None,
        oob_mode=nisa.oob_mode.skip if mode == "skip" else nisa.oob_mode.error,
        unique_indices=False,
    )
    assert target.contents().tolist() == expected.tolist()
    assert source.contents().tolist() == given_values.tolist()
