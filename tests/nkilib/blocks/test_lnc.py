"""Two cores: shares, exchange, sums and halves."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, FP32, drawn, in_sbuf, per_core
from kernels import launch, rejected

from nkilib.blocks import lnc
from nkilib.blocks.memory import manager


@pytest.mark.parametrize(
    ("length", "count", "unit", "want"),
    [
        (10, 1, 1, [(0, 10)]),
        (10, 2, 1, [(0, 5), (5, 5)]),
        (5, 2, 1, [(0, 2), (2, 3)]),
        (1, 2, 1, [(0, 0), (0, 1)]),
        (300, 2, 128, [(0, 128), (128, 172)]),
    ],
)
def test_split(length: int, count: int, unit: int, want: list[tuple[int, int]]) -> None:
    shares = [lnc.split(length, lnc.Cores(count=count, index=i), unit) for i in range(count)]
    assert shares == want


@pytest.mark.parametrize(
    ("cores", "alone", "want"),
    [(0, False, [[1, 0]]), (1, False, [[1, 0]]), (2, False, [[2, 0], [2, 1]]), (2, True, [[1, 0], [1, 0]])],
)
def test_cores_of_the_launch(cores: int, alone: bool, want: Any) -> None:
    def kernel(x: Any) -> Any:
        here = lnc.cores(alone)
        tile = nl.ndarray((1, 2), dtype=nl.int32, buffer=nl.sbuf)
        nisa.memset(dst=tile[:, 0:1], value=here.count)
        nisa.memset(dst=tile[:, 1:2], value=here.index)
        return per_core(tile)

    assert launch(kernel, drawn((1, 1)), lnc=cores)[:, 0].tolist() == want


def test_exchange() -> None:
    def kernel(x: Any) -> Any:
        here = lnc.cores()
        mine = in_sbuf(x[here.index])
        theirs = nl.ndarray(mine.shape, dtype=mine.dtype, buffer=nl.sbuf)
        lnc.exchange(theirs, mine, here)
        return per_core(theirs)

    x = drawn((2, 16, 5))
    assert np.array_equal(launch(kernel, x, lnc=2), x[::-1])


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("cores", [1, 2])
def test_sum_over_cores(cores: int, apart: bool) -> None:
    def kernel(x: Any) -> Any:
        here = lnc.cores()
        sbm = manager()
        mine = in_sbuf(x[here.index])
        if not apart:
            lnc.sum_over_cores(mine, here, sbm)
            return per_core(mine)
        total = nl.ndarray(mine.shape, dtype=nl.bfloat16, buffer=nl.sbuf)
        lnc.sum_over_cores(mine, here, sbm, total)
        return per_core(total)

    x = drawn((cores, 16, 3, 5), FP32)
    want = x.sum(0, dtype=np.float32).astype(BF16 if apart else FP32)
    assert np.array_equal(launch(kernel, x, lnc=cores), np.repeat(want[None], cores, 0))


@pytest.mark.parametrize("dim", [1, 2])
def test_gather_completes_both_halves(dim: int) -> None:
    def kernel(x: Any) -> Any:
        here = lnc.cores()
        full = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
        half = x.shape[dim] // here.count
        start, end = here.index * half, (here.index + 1) * half
        if dim == 1:
            nisa.dma_copy(dst=full[:, start:end, :], src=x[:, start:end, :])
        else:
            nisa.dma_copy(dst=full[:, :, start:end], src=x[:, :, start:end])
        lnc.gather(full, dim, here)
        return per_core(full)

    x = drawn((16, 4, 6))
    assert np.array_equal(launch(kernel, x, lnc=2), np.stack([x, x]))
    assert np.array_equal(launch(kernel, x, lnc=1), x[None])


def test_what_is_not_between_two_halves_of_two_cores() -> None:
    def exchanged(x: Any) -> Any:
        tile = in_sbuf(x)
        lnc.exchange(tile, tile, lnc.cores())

    def gathered(x: Any) -> Any:
        lnc.gather(in_sbuf(x), 1, lnc.cores())

    with rejected("exchange is between two cores"):
        launch(exchanged, drawn((16, 5)), lnc=1)
    with rejected("gather needs two equal halves, dimension is 5"):
        launch(gathered, drawn((16, 5)), lnc=2)


@pytest.mark.parametrize("gpsimd", [False, True])
def test_who_moves_what_is_exchanged(gpsimd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def recorded(**options: Any) -> None:
        asked.append(options["use_gpsimd_dma"])
        send(**options)

    def kernel(x: Any) -> Any:
        here, tile = lnc.cores(), in_sbuf(x)
        lnc.sum_over_cores(tile, here, manager(), gpsimd=gpsimd)
        lnc.gather(tile, 1, here, gpsimd=gpsimd)
        return per_core(tile)

    send = nisa.sendrecv
    monkeypatch.setattr(nisa, "sendrecv", recorded)
    launch(kernel, drawn((16, 4)), lnc=2)
    assert asked == [gpsimd] * 4


def test_barrier_orders_what_cores_write() -> None:
    def kernel(x: Any) -> Any:
        here = lnc.cores()
        between = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        nisa.dma_copy(dst=between[here.index], src=x[here.index])
        lnc.barrier(between, here)
        return per_core(in_sbuf(between[1 - here.index]))

    x = drawn((2, 16, 5))
    assert np.array_equal(launch(kernel, x, lnc=2), x[::-1])
