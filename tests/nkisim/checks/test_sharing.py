"""Races between the cores of a launch, and launches whose cores take turns at random."""

from __future__ import annotations

import numpy as np
import pytest

import nkisim
import nkisim.isa as nisa
import nkisim.language as nl
from nkisim import SimulationError
from nkisim.core.context import state

X = np.arange(128 * 8, dtype=np.float32).reshape(128, 8)
BOTH = (0, 1)


def line(text: str) -> str:
    """``file:line`` of a comment in this file."""
    with open(__file__, encoding="utf-8") as file:
        return f"{__file__}:{next(n for n, row in enumerate(file, 1) if row.rstrip().endswith('# ' + text))}"


def exchange(x, barrier):
    """Each core writes x + its number to its half of a shared tensor, then reads the other half."""
    shared = nl.ndarray((2, 128, 8), dtype=nl.float32, buffer=nl.shared_hbm, name="shared")
    out = nl.ndarray((2, 128, 8), dtype=nl.float32, buffer=nl.shared_hbm, name="out")
    tile = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    core = nl.program_id(axis=0)
    nisa.dma_copy(dst=tile, src=x)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.add, operand0=float(core))
    nisa.dma_copy(dst=shared[core], src=tile)  # exchange writes
    if barrier:
        nisa.core_barrier(data=shared, cores=BOTH)
    nisa.dma_copy(dst=tile, src=shared[1 - core])  # exchange reads
    nisa.dma_copy(dst=out[core], src=tile)
    return out


def test_a_missing_barrier_is_found():
    with nkisim.races(), pytest.raises(SimulationError) as caught:
        nkisim.jit(exchange)[2](X, False)
    text = str(caught.value)
    assert text.startswith("races in exchange:")
    assert (
        f"HBM 'shared': core 0: nisa.dma_copy reads it at {line('exchange reads')}; "
        f"core 1: nisa.dma_copy writes it at {line('exchange writes')}; no core_barrier or sendrecv orders them"
    ) in text
    assert (
        f"core 0: nisa.dma_copy writes it at {line('exchange writes')}; core 1: nisa.dma_copy reads" in text
    )
    assert text.count("HBM ") == 2


def test_a_barrier_is_enough():
    with nkisim.races():
        result = nkisim.jit(exchange)[2](X, True)
    assert np.array_equal(result, np.stack([X + 1, X]))


def test_without_the_mode_nothing_is_said():
    nkisim.jit(exchange)[2](X, False)
    assert state.listeners == []


def test_one_core_has_nobody_to_race_with():
    with nkisim.races():
        assert np.array_equal(nkisim.jit(halves)(X, 0), np.zeros((128, 8)))


def halves(x, overlap):
    """Core 0 writes columns below 4 + overlap, core 1 those from 4 on."""
    out = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.shared_hbm, name="out")
    tile = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    core = nl.program_id(axis=0)
    nisa.memset(dst=tile, value=float(core))
    first, last = (0, 4 + overlap) if core == 0 else (4, 8)
    nisa.dma_copy(dst=out[:, first:last], src=tile[:, first:last])  # halves
    if nl.num_programs(axes=0) == 1:
        nisa.dma_copy(dst=out[:, 4:8], src=tile[:, 4:8])
    return out


def test_columns_that_alternate_in_memory_do_not_overlap():
    with nkisim.races():
        result = nkisim.jit(halves)[2](X, 0)
    assert np.array_equal(result, np.repeat([[0, 0, 0, 0, 1, 1, 1, 1]], 128, axis=0))


def test_two_writes_of_one_place():
    with (
        nkisim.races(),
        pytest.raises(SimulationError, match=r"core 0: .* writes it .* core 1: .* writes it"),
    ):
        nkisim.jit(halves)[2](X, 1)


def both_read(x):
    out = nl.ndarray((2, 128, 8), dtype=nl.float32, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out[nl.program_id(axis=0)], src=x)
    return out


def test_reading_the_same_is_no_race():
    with nkisim.races():
        assert np.array_equal(nkisim.jit(both_read)[2](X), np.stack([X, X]))


def scatter(x, shift):
    """Core c writes rows 2 i + c (through indices), core 1's all moved by shift."""
    out = nl.ndarray((256, 8), dtype=nl.float32, buffer=nl.shared_hbm, name="rows")
    tile = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    rows = nl.ndarray((128, 1), dtype=nl.int32, buffer=nl.sbuf)
    core = nl.program_id(axis=0)
    nisa.dma_copy(dst=tile, src=x)
    nisa.iota(dst=rows, pattern=[[0, 1]], offset=core + core * shift, channel_multiplier=2)
    nisa.dma_copy(
        dst=out.ap(pattern=[[8, 128], [1, 8]], offset=0, vector_offset=rows, indirect_dim=0),
        src=tile,
        oob_mode=nisa.oob_mode.skip,
    )
    return out


def test_scattered_rows():
    with nkisim.races():
        result = nkisim.jit(scatter)[2](X, 0)
    assert np.array_equal(result, np.repeat(X, 2, axis=0))
    with nkisim.races():
        nkisim.jit(scatter)[2](X, 256)  # all of core 1's rows are out of range and skipped
    with nkisim.races(), pytest.raises(SimulationError, match="HBM 'rows'"):
        nkisim.jit(scatter)[2](X, 1)


def by_message(x, exchange):
    """Core 0 writes shared memory and then sends; core 1 receives and then reads it."""
    shared = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.shared_hbm, name="shared")
    out = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.shared_hbm, name="out")
    tile = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    got = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    core = nl.program_id(axis=0)
    nisa.dma_copy(dst=tile, src=x)
    if core == 0:
        nisa.dma_copy(dst=shared, src=tile)
    if exchange:
        nisa.sendrecv(src=tile, dst=got, send_to_rank=1 - core, recv_from_rank=1 - core, pipe_id=0)
    if core == 1:
        nisa.dma_copy(dst=tile, src=shared)
        nisa.dma_copy(dst=out, src=tile)
    return out


def test_a_message_orders_what_is_before_and_after_it():
    with nkisim.races():
        assert np.array_equal(nkisim.jit(by_message)[2](X, True), X)
    with nkisim.races(), pytest.raises(SimulationError, match=r"core 0: .* writes .* core 1: .* reads"):
        nkisim.jit(by_message)[2](X, False)


def later_phase(x):
    """Core 0 writes before the first barrier, core 1 after the second: ordered. Both write after it: not."""
    shared = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.shared_hbm, name="shared")
    tile = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    core = nl.program_id(axis=0)
    nisa.memset(dst=tile, value=1.0)
    if core == 0:
        nisa.dma_copy(dst=shared, src=tile)
    nisa.core_barrier(data=shared, cores=BOTH)
    nisa.core_barrier(data=shared, cores=BOTH)
    if core == 1:
        nisa.dma_copy(dst=shared, src=tile)
    if x is not None:
        nisa.dma_copy(dst=shared, src=tile)
    return shared


def test_phases():
    with nkisim.races():
        nkisim.jit(later_phase)[2](None)
    with nkisim.races(), pytest.raises(SimulationError, match="races"):
        nkisim.jit(later_phase)[2](X)


def test_the_environment_turns_it_on(monkeypatch):
    monkeypatch.setenv("NKISIM_RACES", "1")
    with pytest.raises(SimulationError, match="races in exchange"):
        nkisim.jit(exchange)[2](X, False)


def test_a_kernel_s_own_error_comes_first():
    def kernel(x):
        exchange(x, False)
        assert x is None, "mine"

    with nkisim.races(), pytest.raises(AssertionError, match="mine"):
        nkisim.jit(kernel)[2](X)


# -- turns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_a_right_kernel_gives_the_same_bits_in_any_order(seed):
    x = np.random.default_rng(seed).standard_normal((128, 8)).astype(np.float32)
    expected = nkisim.jit(exchange)[2](x, True)
    with nkisim.interleave(seed):
        result = nkisim.jit(exchange)[2](x, True)
    assert np.array_equal(result.view(np.uint32), expected.view(np.uint32))


def test_a_missing_barrier_gives_other_results():
    """Without turns core 0 reads before core 1 has written; with them each seed has an order of its own."""
    results = set()
    for seed in range(8):
        with nkisim.interleave(seed):
            results.add(nkisim.jit(exchange)[2](X, False).tobytes())
    assert len(results) > 1
    assert nkisim.jit(exchange)[2](X, True).tobytes() in results


def test_a_seed_gives_one_order():
    def order(x):
        for _ in range(20):
            seen.append(nl.program_id(axis=0))
            nisa.memset(dst=nl.ndarray((1, 1), dtype=nl.float32, buffer=nl.sbuf), value=0)

    runs = []
    for seed in (3, 3, 4):
        seen: list[int] = []
        with nkisim.interleave(seed):
            nkisim.jit(order)[2](X)
        assert sorted(seen) == [0] * 20 + [1] * 20
        runs.append(seen)
    assert runs[0] == runs[1] != runs[2]
    assert sum(a != b for a, b in zip(runs[0], runs[0][1:], strict=False)) > 5


def test_turns_by_the_environment(monkeypatch):
    monkeypatch.setenv("NKISIM_INTERLEAVE", "5")
    assert np.array_equal(nkisim.jit(exchange)[2](X, True), np.stack([X + 1, X]))
    assert np.array_equal(nkisim.jit(both_read)(X)[0], X)


def test_errors_and_deadlocks_under_turns():
    def kernel(x):
        if nl.program_id(axis=0):
            nisa.core_barrier(data=x, cores=BOTH)
        nisa.memset(dst=nl.ndarray((1, 1), dtype=nl.float32, buffer=nl.sbuf), value=0)

    for seed in range(4):
        with nkisim.interleave(seed), pytest.raises(SimulationError, match="deadlock: core 0 has returned"):
            nkisim.jit(kernel)[2](X)


def test_all_modes_together():
    with nkisim.strict(), nkisim.races(), nkisim.interleave(1), nkisim.trace() as trace:
        assert np.array_equal(nkisim.jit(exchange)[2](X, True), np.stack([X + 1, X]))
    assert len(trace.events) == 12


def in_place(x, apart):
    tile = nl.ndarray((64, 8), dtype=nl.float32, buffer=nl.sbuf)
    nisa.memset(dst=tile, value=1.0)
    first = 64 * nl.program_id(axis=0) if apart else 0
    nisa.dma_copy(dst=x[first : first + 64, :], src=tile)


def test_arguments_are_shared_too():
    with nkisim.races():
        nkisim.jit(in_place)[2](X.copy(), True)
    with nkisim.races(), pytest.raises(SimulationError, match="races in in_place"):
        nkisim.jit(in_place)[2](X.copy(), False)
