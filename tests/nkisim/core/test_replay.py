"""Launches that are replayed give what the kernel's Python gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import nkisim
import nkisim.isa as nisa
import nkisim.language as nl
from nkisim.core import replay
from nkisim.core.errors import SimulationError

runs: list[str] = []


@pytest.fixture(autouse=True)
def _replaying():
    runs.clear()
    with nkisim.replay():
        yield


def arrays(count: int, *shape: int, seed: int = 0) -> list[Any]:
    draw = np.random.default_rng(seed)
    return [draw.standard_normal(shape).astype(np.float32) for _ in range(count)]


@nkisim.jit
def scaled(x, factor, out=None):
    runs.append("scaled")
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.multiply, operand0=factor)
    made = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=made[0:1], src=tile[0:1])
    if out is not None:
        nisa.dma_copy(dst=out, src=tile)
    return made


def test_python_runs_once_and_instructions_on_the_new_arrays():
    for seed in range(3):
        (x,) = arrays(1, 4, 8, seed=seed)
        found = scaled(x, 3.0)
        assert np.array_equal(found[0], x[0] * np.float32(3))
        assert not found[1:].any()  # new memory each time
    assert runs == ["scaled"]


def test_results_are_the_callers_own():
    (x,) = arrays(1, 4, 8)
    first = scaled(x, 2.0)
    first[...] = 7
    second = scaled(x, 2.0)
    third = scaled(x, 2.0)
    second[...] = 9
    assert (first == 7).all()
    assert np.array_equal(third[0], x[0] * np.float32(2))


def test_parameters_are_written_in_place():
    for seed in range(3):
        x, out = arrays(2, 4, 8, seed=seed)
        scaled(x, 2.0, out)
        assert np.array_equal(out, x * np.float32(2))
        scaled(x, 0.5, x)
        assert np.array_equal(x * 4, out)
    assert len(runs) == 2  # a parameter that is given twice is another kernel


@pytest.mark.parametrize(
    "change",
    [
        lambda x: (x[:3].copy(), 2.0),
        lambda x: (x.astype(np.float16), 2.0),
        lambda x: (x, 3.0),
        lambda x: (x, 2),
        lambda x: (x, -2.0),
        lambda x: (x, 2.0, np.zeros_like(x)),
    ],
)
def test_other_launches_are_traced_anew(change):
    (x,) = arrays(1, 4, 8)
    scaled(x, 2.0)
    given = change(x)
    found = scaled(*given)
    assert len(runs) == 2
    assert np.array_equal(found[0], (given[0][0] * np.float32(given[1])).astype(given[0].dtype))


def test_zeros_of_both_signs_differ():
    (x,) = arrays(1, 4, 8)
    assert not np.signbit(scaled(np.abs(x), 0.0)[0]).any()
    assert np.signbit(scaled(np.abs(x), -0.0)[0]).all()


def test_cores_and_targets_are_told_apart(monkeypatch):
    (x,) = arrays(1, 4, 8)
    scaled(x, 2.0)
    scaled[2](x, 2.0)
    monkeypatch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", "trn3")
    scaled(x, 2.0)
    assert len(runs) == 4  # once on each core of the second launch


@dataclass
class Options:
    factor: float
    parts: list[int]


@nkisim.jit
def by_options(x, options):
    runs.append("by_options")
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    for part in options.parts:
        nisa.tensor_scalar(dst=tile[0:part], data=tile[0:part], op0=nl.multiply, operand0=options.factor)
    nisa.dma_copy(dst=out, src=tile)
    return out


def test_options_are_compared_by_their_values():
    (x,) = arrays(1, 4, 8)
    for factor, parts in ((2.0, [1]), (2.0, [1]), (3.0, [1]), (2.0, [1, 4])):
        wanted = x.copy()
        for part in parts:
            wanted[:part] *= np.float32(factor)
        assert np.array_equal(by_options(x, Options(factor, parts)), wanted)
    assert len(runs) == 3


@nkisim.jit
def memories(x):
    runs.append("memories")
    out = nl.ndarray((4, 64), dtype=nl.float32, buffer=nl.shared_hbm)
    tile = nl.ndarray((4, 16), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile[0:4, 0:8], src=x)  # the rest stays unwritten
    nisa.dma_copy(dst=out[0:4, 0:16], src=tile)
    placed = nl.ndarray((4, 16), dtype=nl.float32, buffer=nl.sbuf, address=(0, 0))
    nisa.dma_copy(dst=out[0:4, 16:32], src=placed)
    nisa.dma_copy(dst=placed[0:4, 0:8], src=x)
    sums = nl.zeros((4, 16), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_tensor(dst=sums[0:4, 0:8], data1=sums[0:4, 0:8], data2=tile[0:4, 0:8], op=nl.add)
    nisa.dma_copy(dst=out[0:4, 32:48], src=sums)
    product = nl.ndarray((8, 8), dtype=nl.float32, buffer=nl.psum)
    for _ in range(2):
        nisa.nc_matmul(dst=product, stationary=tile[0:4, 0:8], moving=tile[0:4, 0:8])
    nisa.tensor_copy(dst=sums[0:4, 0:8], src=product[0:4])
    nisa.dma_copy(dst=out[0:4, 48:56], src=sums[0:4, 0:8])
    kept = nl.ndarray((1, 8), dtype=nl.float32, buffer=nl.sbuf)
    nisa.rng(dst=kept.view(nl.uint32))
    nisa.dma_copy(dst=out[0:1, 56:64], src=kept)
    return out


def test_every_launch_starts_from_the_same_memory():
    launches = [memories(x) for x in arrays(3, 4, 8)]
    assert runs == ["memories"]
    for x, found in zip(arrays(3, 4, 8), launches, strict=True):
        wanted = np.zeros((4, 64), np.float32)
        wanted[:, :32] = np.nan
        wanted[:, :8] = wanted[:, 32:40] = x
        wanted[:, 48:56] = (2 * (x.T @ x))[:4]
        assert np.allclose(found[:, :56], wanted[:, :56], rtol=1e-5, equal_nan=True)
        assert found[:, 56:].tobytes() == launches[0][:, 56:].tobytes()


@nkisim.jit
def exchange(x):
    runs.append("exchange")
    core = nl.program_id(0)
    mine = nl.ndarray((4, 8), dtype=nl.float32, buffer=nl.sbuf)
    other = nl.ndarray((4, 8), dtype=nl.float32, buffer=nl.sbuf)
    out = nl.ndarray((2, 4, 8), dtype=nl.float32, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=mine, src=x[core])
    for _ in range(3):
        nisa.sendrecv(src=mine, dst=other, send_to_rank=1 - core, recv_from_rank=1 - core, pipe_id=0)
        nisa.tensor_scalar(dst=mine, data=other, op0=nl.multiply, operand0=core + 2.0)
    nisa.dma_copy(dst=out[core], src=mine)
    nisa.core_barrier(data=out, cores=(0, 1))
    nisa.dma_copy(dst=mine, src=out[1 - core])
    nisa.dma_copy(dst=out[core], src=mine)
    return out


def test_cores_that_exchange_tiles():
    for seed in range(3):
        (x,) = arrays(1, 2, 4, 8, seed=seed)
        mine = list(x)
        for _ in range(3):
            mine = [mine[1] * np.float32(2), mine[0] * np.float32(3)]
        found = exchange[2](x)
        assert np.array_equal(found[1], mine[1]) or np.array_equal(found[1], mine[0])
        with_python = np.array(found)
        with nkisim.trace():  # what is watched is not replayed
            assert np.array_equal(exchange[2](x), with_python)
    assert len(runs) == 2 + 3 * 2


@nkisim.jit
def gathered(x, index):
    runs.append("gathered")
    tile = nl.ndarray((4, 1), dtype=nl.int32, buffer=nl.sbuf)
    rows = nl.ndarray((4, 8), dtype=nl.float32, buffer=nl.sbuf)
    out = nl.ndarray((4, 8), dtype=nl.float32, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=tile, src=index)
    nisa.dma_copy(dst=rows, src=x.ap(pattern=[[8, 4], [1, 8]], offset=0, vector_offset=tile, indirect_dim=0))
    nisa.dma_copy(dst=out, src=rows)
    return out


def test_addresses_that_instructions_look_up():
    (x,) = arrays(1, 16, 8)
    for seed in range(3):
        index = np.random.default_rng(seed).integers(0, 16, (4, 1)).astype(np.int32)
        assert np.array_equal(gathered(x, index), x[index[:, 0]])
    assert runs == ["gathered"]


def test_errors_name_the_kernels_line():
    (x,) = arrays(1, 16, 8)
    index = np.zeros((4, 1), np.int32)
    gathered(x, index)
    with pytest.raises(SimulationError, match=r"test_replay\.py:\d+: .*vector offset 16 is outside"):
        gathered(x, index + 16)
    assert np.array_equal(gathered(x, index), x[[0] * 4])


@nkisim.jit
def by_value(x, where):
    runs.append("by_value")
    tile = nl.ndarray((1, 1), dtype=nl.int32, buffer=nl.sbuf)
    row = nl.ndarray((1, 8), dtype=nl.float32, buffer=nl.sbuf)
    out = nl.ndarray((1, 8), dtype=nl.float32, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=tile, src=where)
    nisa.dma_copy(dst=row, src=x[nl.ds(tile, 1)])
    nisa.dma_copy(dst=out, src=row)
    return out


@nkisim.jit
def by_register(x, where):
    runs.append("by_register")
    register = nisa.register_alloc(0)
    row = nl.ndarray((1, 8), dtype=nl.float32, buffer=nl.sbuf)
    out = nl.ndarray((1, 8), dtype=nl.float32, buffer=nl.shared_hbm)
    nisa.register_load(dst=register, src=where)
    nisa.dma_copy(dst=row, src=x[nl.ds(register + 1, 1)])
    nisa.dma_copy(dst=out, src=row)
    return out


@pytest.mark.parametrize(("kernel", "more"), [(by_value, 0), (by_register, 1)])
def test_what_depends_on_values_is_not_replayed(kernel, more):
    (x,) = arrays(1, 8, 8)
    for row in range(3):
        assert np.array_equal(kernel(x, np.full((1, 1), row, np.int32))[0], x[row + more])
    assert len(runs) == 3


def test_arrays_that_are_converted_are_not_replayed():
    (x,) = arrays(1, 4, 8)
    for seed in range(2):
        wide = arrays(1, 4, 8, seed=seed)[0].astype(np.float64)
        assert np.array_equal(scaled(wide, 2.0)[0], wide[0].astype(np.float32) * np.float32(2))
        apart = np.repeat(x, 2, axis=1)[:, ::2]
        out = np.zeros((8, 8), np.float32)[::2]
        scaled(apart, 2.0, out)
        assert np.array_equal(out, x * np.float32(2))
    assert len(runs) == 4


def test_blocks_nest_and_their_end_forgets(monkeypatch):
    (x,) = arrays(1, 4, 8)
    with nkisim.replay():
        scaled(x, 2.0)
    scaled(x, 2.0)  # the fixture's block is still open
    assert len(runs) == 1
    monkeypatch.setattr(replay, "_open", 0)
    for _ in range(2):
        with nkisim.replay():
            scaled(x, 2.0)
    assert len(runs) == 2


def test_without_it_python_runs_each_time(monkeypatch):
    monkeypatch.setattr(replay, "_open", 0)
    (x,) = arrays(1, 4, 8)
    for _ in range(2):
        scaled(x, 2.0)
    assert len(runs) == 2
    monkeypatch.setenv("NKISIM_REPLAY", "1")
    for _ in range(2):
        scaled(x, 2.0)
    assert len(runs) == 3
