"""Tensors of the SBUF managers in a kernel: equal addresses are equal bytes."""

from __future__ import annotations

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from kernels import launch

from nkilib.core.utils.allocator import SbufManager
from nkilib.core.utils.logging import Logger, LogLevel
from nkilib.core.utils.modular_allocator import ModularAllocator

X = np.arange(256, dtype=np.float32).reshape(128, 2)


@pytest.mark.parametrize("auto", [False, True])
def test_in_a_kernel(auto) -> None:
    """Tensors that share an address share their bytes; those that the compiler places do not."""

    def kernel(x):
        sbm = SbufManager(0, 4096, Logger("", LogLevel.OFF), use_auto_alloc=auto)
        result = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        sbm.open_scope(2)
        tiles = []
        for _ in range(3):
            tiles.append(sbm.alloc_stack(x.shape, x.dtype))
            sbm.increment_section()
        nisa.memset(dst=tiles[0], value=0.0)
        nisa.dma_copy(dst=tiles[2], src=x)
        nisa.dma_copy(dst=result, src=tiles[0])
        sbm.close_scope()
        return result

    assert np.array_equal(launch(kernel, X), np.zeros_like(X) if auto else X)


@pytest.mark.parametrize("buffers", [1, 2])
def test_tiles_that_take_turns(buffers) -> None:
    """Of two tiles the first is overwritten by the second when there is one buffer."""

    def kernel(x):
        tiles = ModularAllocator().alloc_sbuf_tensor(x.shape, x.dtype, [2], [buffers])
        result = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        nisa.memset(dst=tiles[0], value=0.0)
        nisa.dma_copy(dst=tiles[1], src=x)
        nisa.dma_copy(dst=result, src=tiles[0])
        return result

    assert np.array_equal(launch(kernel, X), X if buffers == 1 else np.zeros_like(X))
