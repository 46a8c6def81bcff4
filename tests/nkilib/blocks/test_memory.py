"""Scratch tiles end where they should; PSUM banks can be chosen."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import pytest
from blockcheck import drawn
from kernels import launch, rejected

from nkilib.blocks.memory import manager, psum_tile, scratch
from nkilib.core.utils.allocator import SbufManager


def test_a_given_manager_is_used() -> None:
    sbm = SbufManager(0, 4096)
    assert manager(sbm) is sbm
    assert manager().is_auto_alloc()


@pytest.mark.parametrize("on_heap", [False, True])
def test_scratch_gives_its_memory_back(on_heap: bool) -> None:
    def kernel(x: Any) -> Any:
        sbm = SbufManager(0, 4096)
        sbm.open_scope()
        outer = scratch(sbm, on_heap)
        first = outer.tile((128, 16), nl.float32)
        inner = scratch(sbm, on_heap)
        second = inner.tile((128, 16), nl.bfloat16)
        third = inner.tile((4, 2), nl.float32)
        addresses.extend(tile.address for tile in (first, second, third))
        used.append(sbm.get_used_space())
        inner.close()
        used.append(sbm.get_used_space())
        outer.close()
        used.append(sbm.get_used_space())
        sbm.close_scope()
        return x

    addresses: list[Any] = []
    used: list[int] = []
    launch(kernel, drawn((1, 1)))
    assert used == [64 + 32 + 8, 64, 0]
    if on_heap:
        assert addresses == [(0, 4096 - 64), (0, 4096 - 96), (0, 4096 - 104)]
    else:
        assert addresses == [(0, 0), (0, 64), (0, 96)]


def test_scratch_that_does_not_fit() -> None:
    def kernel(x: Any) -> Any:
        scratch(SbufManager(0, 100)).tile((128, 26), nl.float32)
        return x

    with rejected("memory"):
        launch(kernel, drawn((1, 1)))


def test_psum_bank() -> None:
    def kernel(x: Any) -> Any:
        shapes.append((psum_tile((128, 512), bank=3).address, psum_tile((64, 8)).shape))
        return x

    shapes: list[Any] = []
    launch(kernel, drawn((1, 1)))
    assert shapes == [((0, 3 * 2048), (64, 8))]


def test_scratch_with_places_that_take_turns() -> None:
    """Of two places the third iteration has the first one's, whatever lay above in between."""
    places = []

    def kernel() -> None:
        sbm = SbufManager(0, 4096)
        loop = scratch(sbm, places=2)
        for _ in range(4):
            places.append(sbm.get_stack_curr_addr())
            loop.tile((128, 256), nl.float32)
            inner = scratch(sbm)
            inner.tile((128, 100), nl.float32)
            inner.close()
            loop.turn()
        loop.close()
        places.append(sbm.get_stack_curr_addr())

    launch(kernel)
    assert places == [0, 1024, 0, 1024, 0]
