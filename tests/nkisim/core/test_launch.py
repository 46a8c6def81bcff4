"""Launches on one and two cores."""

from __future__ import annotations

import signal
import threading

import numpy as np
import pytest

import nkisim.isa as nisa
import nkisim.language as nl
from nkisim.core.context import Core, state, target_generation
from nkisim.core.errors import SimulationError
from nkisim.core.launch import COPIES
from nkisim.core.running import run
from nkisim.core.tensor import Tensor


def doubled(source):
    """Load, double, store."""
    tile = Tensor(source.shape, source.dtype)
    tile.write(source.read() * 2)
    out = Tensor(source.shape, source.dtype, "shared_hbm")
    out.write(tile.read())
    return out


def test_one_core():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(run(doubled, (), [array], {}), array * 2)
    assert np.array_equal(run(doubled, (1,), [], {"source": array}), array * 2)
    assert state.core is None


def test_nested_kernels_run_inline():
    def outer(source):
        inner = run(doubled, (), [source], {})
        assert isinstance(inner, Tensor)
        return inner

    assert run(outer, (), [np.ones((2, 2), np.float32)], {}).tolist() == [[2, 2], [2, 2]]


def halves(source):
    """Each core writes its half of a shared output."""
    index = state.core.index
    out = Tensor(source.shape, source.dtype, "shared_hbm")
    out[index * 2 : index * 2 + 2].write(source[index * 2 : index * 2 + 2].read() + index)
    return out


def test_two_cores_share_hbm():
    array = np.zeros((4, 3), np.float32)
    assert run(halves, (2,), [array], {})[:, 0].tolist() == [0, 0, 1, 1]


def test_named_and_unnamed_shared_hbm():
    def kernel():
        index = state.core.index
        if index == 0:
            out = Tensor((2,), "float32", "shared_hbm", name="out")
        else:
            out = Tensor((2,), "float32", "shared_hbm", name="out")
        rows = [Tensor((2,), "float32", "shared_hbm") for _ in range(2)]
        out[index].write(np.full((1, 1), index + 1, np.float32))
        for number, row in enumerate(rows):
            row[index].write(np.full((1, 1), 10 * number + index + 1, np.float32))
        return out, *rows

    assert [r.tolist() for r in run(kernel, (2,), [], {})] == [[1, 2], [1, 2], [11, 12]]


def test_a_shared_name_has_one_shape():
    def kernel():
        return Tensor((2 + state.core.index,), "float32", "shared_hbm", name="out")

    with pytest.raises(SimulationError, match=r"shared HBM 'out' is \[2\] on another core, \[3\] here"):
        run(kernel, (2,), [], {})


def test_private_outputs_are_merged():
    def kernel():
        index = state.core.index
        out = Tensor((4,), "float32", "hbm")
        out[index * 2 : index * 2 + 2].write(np.full((1, 2), index + 1, np.float32))
        return {"out": out}

    assert run(kernel, (2,), [], {})["out"].tolist() == [1, 1, 2, 2]


def meet(what, ready):
    state.launch.wait(state.core, ready, what)


def test_cores_wait_for_each_other_in_turn():
    order = []

    def kernel():
        index = state.core.index
        for step in range(3):
            order.append((step, index))
            meet("step", lambda step=step: sum(s == step for s, _ in order) == 2)
        assert state.core.index == index

    run(kernel, (2,), [], {})
    assert sorted(order) == [(s, c) for s in range(3) for c in range(2)]
    again, order[:] = order[:], []
    run(kernel, (2,), [], {})
    assert order == again


def test_cores_progress_side_by_side():
    """Copies into HBM alternate, so that no core gets far ahead; those on chip, which no other sees, do not."""
    order = []

    def kernel():
        index = state.core.index
        out = Tensor((2, 1), "float32", "shared_hbm")
        tile = Tensor((1, 1), "float32")
        nisa.memset(tile, float(index))
        for _ in range(200):
            nisa.dma_copy(dst=tile, src=tile)
            nisa.dma_copy(dst=out[index : index + 1], src=tile)
            order.append(index)
        return out

    assert run(kernel, (2,), [], {}).tolist() == [[0], [1]]
    ahead = np.cumsum(np.where(np.array(order) == 0, 1, -1))
    assert (len(order), ahead[-1]) == (400, 0)
    assert np.abs(ahead).max() <= COPIES


def test_a_core_ahead_does_not_lose_what_it_stored():
    """Both zero the whole output; then each stores its half. On the chip all zeroing is long over by then."""
    tiles = 2 * COPIES

    def kernel():
        index = state.core.index
        out = Tensor((tiles, 4), "float32", "shared_hbm")
        tile = Tensor((1, 4), "float32")
        for value, rows in ((0.0, range(tiles)), (index + 1.0, range(index, tiles, 2))):
            nisa.memset(tile, value)
            for row in rows:
                nisa.dma_copy(dst=out[row : row + 1], src=tile)
        return out

    result = run(kernel, (2,), [], {})
    assert (result[COPIES::2] == 1).all()
    assert (result[COPIES + 1 :: 2] == 2).all()


def test_a_deadlock_names_where_each_core_waits():
    def kernel():
        meet(f"barrier {state.core.index}", lambda: False)

    with pytest.raises(
        SimulationError, match=r"deadlock: .*core 0 waits for barrier 0 at .*test_launch\.py:\d+"
    ) as caught:
        run(kernel, (2,), [], {})
    assert "core 1 waits for barrier 1 at" in str(caught.value)
    assert state.core is None


def test_a_core_that_returned_leaves_the_other_waiting():
    def kernel():
        if state.core.index == 0:
            meet("message", lambda: False)

    with pytest.raises(SimulationError, match=r"core 0 waits for message at .*; core 1 has returned"):
        run(kernel, (2,), [], {})


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_on_one_core_stops_the_other(failing):
    went_on = []

    def kernel():
        if state.core.index == failing:
            raise ValueError("the kernel's own")
        meet("other", lambda: False)
        went_on.append(state.core.index)

    with pytest.raises(ValueError, match="the kernel's own"):
        run(kernel, (2,), [], {})
    assert went_on == []
    assert state.core is None


def test_memory_and_random_numbers_of_cores_are_apart():
    def kernel():
        index = state.core.index
        tile = Tensor((1, 1), "float32", "sbuf", address=(0, 0))
        tile.write(np.full((1, 1), index, np.float32))
        others = state.core.random.random()
        meet("both", lambda seen=[]: seen.append(1) or len(seen) > 1)
        assert tile.read().item() == index
        out = Tensor((2,), "float32", "shared_hbm", name="random")
        out[index].write(np.full((1, 1), others, np.float32))
        return out

    first = run(kernel, (2,), [], {})
    assert first[0] != first[1]
    assert np.array_equal(run(kernel, (2,), [], {}), first)


def test_no_division_warnings_in_kernels(recwarn):
    def kernel():
        np.ones(2, np.float32) / np.zeros(2, np.float32)

    run(kernel, (), [], {})
    run(kernel, (2,), [], {})
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


@pytest.mark.parametrize(
    ("name", "generation"), [("trn1", 2), ("inf2", 2), ("TRN2", 3), ("trn3", 4), ("gen4", 4)]
)
def test_targets(name, generation, monkeypatch):
    monkeypatch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", name)
    assert target_generation() == generation
    assert target_generation("trn2") == 3
    seen = []
    run(lambda: seen.append(state.generation), (), [], {})
    assert seen == [generation]


def test_unknown_target():
    with pytest.raises(ValueError, match="unknown platform target 'trn9'; known: gen2"):
        target_generation("trn9")


def test_outside_a_kernel_a_standby_core_allocates():
    assert isinstance(state.running(), Core)
    assert Tensor((2, 2), "float32").shape == (2, 2)


@pytest.mark.parametrize("grid", [(), (2,)])
def test_a_launch_of_another_thread_waits(grid):
    array, results, waited = np.arange(6, dtype=np.float32).reshape(2, 3), [], []

    def launch():
        results.append(run(doubled, grid, [array], {}))

    other = threading.Thread(target=launch)

    def slow(source):
        if nl.program_id(0) == 0:
            other.start()
            other.join(0.2)
            waited.append(other.is_alive())
        return doubled(source)

    assert np.array_equal(run(slow, grid, [array + 1], {}), 2 * array + 2)
    other.join()
    assert waited == [True]
    assert isinstance(results[0], np.ndarray)
    assert np.array_equal(results[0], 2 * array)


def test_an_interrupt_ends_both_cores():
    def interrupted(source):
        tile = Tensor(source.shape, source.dtype)
        if nl.program_id(0) == 0:
            signal.raise_signal(signal.SIGINT)
        for _ in range(10 * COPIES):
            nisa.dma_copy(dst=tile, src=source)
            nisa.dma_copy(dst=source, src=tile)
        return source

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        run(interrupted, (2,), [np.ones((2, 2), np.float32)], {})
    assert threading.active_count() == before
    assert state.core is None
    assert run(doubled, (2,), [np.ones((2, 2), np.float32)], {}).tolist() == [[2, 2], [2, 2]]
