"""Launches: grids, cores, modes, arguments, loops, and masks combined with ``and``."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nkisim
import nkisim.beta1 as nki
import nkisim.beta1.isa as nisa
import nkisim.beta1.language as nl
from nkisim.core.errors import SimulationError


@nki.jit
def doubled(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.load(x) * 2)
    return out


@pytest.mark.parametrize(
    "mode", ["auto", "simulation", "baremetal", "benchmark", "trace", "jax", "torchxla", "profile"]
)
def test_modes(mode, rng):
    x = rng.standard_normal((8, 12)).astype(np.float32)
    np.testing.assert_array_equal(nki.jit(doubled, mode=mode)(x), x * 2)
    np.testing.assert_array_equal(nki.jit(mode=mode, show_compiler_tb=True)(doubled.function)(x), x * 2)


def test_an_unknown_mode():
    with pytest.raises(ValueError, match="mode is 'fast'; one of auto, trace"):
        nki.jit(doubled, mode="fast")


@pytest.mark.parametrize("name", ["baremetal", "benchmark", "profile", "trace"])
def test_decorators(name, rng):
    x = rng.standard_normal((8, 12)).astype(np.float32)
    decorate = getattr(nki, name)
    np.testing.assert_array_equal(decorate(doubled.function)(x), x * 2)
    np.testing.assert_array_equal(decorate(warmup=2, iters=3)(doubled.function)(x), x * 2)
    np.testing.assert_array_equal(nki.simulate_kernel(decorate(doubled.function), x), x * 2)


def test_nothing_is_measured():
    kernel = nki.benchmark(warmup=1, iters=1)(doubled)
    kernel(np.zeros((4, 4), np.float32))
    assert math.isnan(kernel.benchmark_result.nc_latency.get_latency_percentile(99))
    assert "not measured" in repr(kernel.benchmark_result.nc_latency)


def test_parameters_that_are_written(rng):
    x, out = rng.standard_normal((8, 12)).astype(np.float32), np.zeros((12, 8), np.float32).T

    @nki.trace
    def kernel(source, target):
        nl.store(target, nl.load(source) + 1)

    nki.simulate_kernel(kernel, x, out)
    np.testing.assert_array_equal(out, x + 1)


def test_containers_and_results(rng):
    x = rng.standard_normal((8, 12)).astype(np.float32)

    @nki.jit
    def kernel(pair, options, scale=1.0):
        tile = nl.load(pair[0]) * scale
        return {"sum": tile + nl.load(options["other"])}, (tile, None), tile[0:2, 0:3]

    found, pair, part = kernel([x], {"other": x}, scale=2.0)
    np.testing.assert_array_equal(found["sum"], x * 2 + x)
    np.testing.assert_array_equal(pair[0], x * 2)
    assert pair[1] is None
    np.testing.assert_array_equal(part, (x * 2)[:2, :3])


def test_kernels_call_kernels_and_are_methods(rng):
    x = rng.standard_normal((8, 12)).astype(np.float32)

    @nki.jit(mode="trace")
    def inner(tile):
        return nl.exp(tile)

    class Model:
        scale = 3.0

        @nki.jit
        def run(self, t):
            return inner(nl.load(t)) * self.scale

    np.testing.assert_allclose(Model().run(x), np.exp(x.astype(np.float64)) * 3, rtol=1e-6)


@pytest.mark.parametrize("grid", [3, (3,), (2, 3), (2, 1, 3), (2, 2, 1, 2)])
def test_grids_of_any_rank(grid):
    sizes = (grid,) if isinstance(grid, int) else grid

    @nki.jit
    def kernel(x):
        out = nl.ndarray((*sizes, 1, 4), dtype=nl.int32, buffer=nl.shared_hbm)
        place = tuple(nl.program_id(axis) for axis in range(nl.program_ndim()))
        assert nl.program_ndim() == len(sizes)
        assert nl.num_programs() == math.prod(sizes)
        assert nl.num_programs(0) == sizes[0]
        assert nl.num_programs(axes=tuple(range(len(sizes)))) == math.prod(sizes)
        number = 0
        for index, size in zip(place, sizes, strict=True):
            number = number * size + index
        nl.store(out[place], nl.load(x) + number)
        return out

    found = kernel[grid](np.zeros((1, 4), np.int32))
    expected = np.arange(math.prod(sizes)).reshape(*sizes, 1, 1)
    np.testing.assert_array_equal(found, np.broadcast_to(expected, found.shape))


GRIDS = [
    (lambda: (nl.nc(2), 4), [0, 0, 0, 0, 1, 1, 1, 1]),
    (lambda: (nl.spmd_dim(nl.nc(2), 2), 2), [0, 0, 0, 0, 1, 1, 1, 1]),
    (lambda: (nl.nc(2) * 2, 2), [0, 0, 0, 0, 1, 1, 1, 1]),
    (lambda: (nl.spmd_dim(2, nl.nc(2)), 2), [0, 0, 1, 1, 0, 0, 1, 1]),
    (lambda: (2 * nl.nc(2), 2), [0, 0, 1, 1, 0, 0, 1, 1]),
    (lambda: (4, nl.nc(2)), [0, 1, 0, 1, 0, 1, 0, 1]),
]


@pytest.mark.parametrize(("grid", "cores"), GRIDS)
def test_programs_are_spread_over_cores(grid, cores):
    order = []

    @nki.jit
    def kernel(x):
        order.append((nl.program_id(0), nl.program_id(1)))
        nl.load(x)

    with nkisim.trace() as trace:
        kernel[grid()](np.zeros((1, 4), np.float32))
    assert order == [
        (i, j) for i in range(8 // len({j for _, j in order})) for j in range(len({j for _, j in order}))
    ]
    assert [event.core for event in trace.events] == cores


def test_grids_that_cannot_be():
    with pytest.raises(SimulationError, match="spreads over 1 to 2 NeuronCores"):
        nl.nc(3)
    with pytest.raises(SimulationError, match="at most 2 NeuronCores"):
        doubled[nl.nc(2), nl.nc(2)]
    with pytest.raises(ValueError, match="must be 1 or more"):
        doubled[0]

    @nki.jit
    def kernel():
        nl.program_id(2)

    with pytest.raises(SimulationError, match="axis 2: the launch grid"):
        kernel[2, 2]()


def test_all_reduce(rng):
    x = rng.standard_normal((2, 3, 8, 4)).astype(np.float32)

    @nki.jit
    def kernel(t):
        out = nl.ndarray(t.shape, dtype=t.dtype, buffer=nl.shared_hbm)
        i, j = nl.program_id(0), nl.program_id(1)
        total = nl.all_reduce(nl.load(t[i, j]), op=np.add, program_axes=[1])
        largest = nl.all_reduce(total, op=np.max, program_axes=0)
        nl.store(out[i, j], total + largest)
        return out

    total = x.astype(np.float64).sum(axis=1, keepdims=True)
    expected = np.broadcast_to(total + total.max(axis=0, keepdims=True), x.shape)
    np.testing.assert_allclose(kernel[2, 3](x), expected, rtol=1e-5, atol=1e-5)


def test_a_program_that_never_comes():
    @nki.jit
    def kernel(t):
        if nl.program_id(0) == 0:
            nl.all_reduce(nl.load(t), op=np.add, program_axes=0)

    with pytest.raises(SimulationError, match=r"deadlock: core 0 waits for all_reduce.*test_launch"):
        kernel[2](np.zeros((4, 4), np.float32))


def test_private_hbm_holds_what_its_program_wrote():
    @nki.jit
    def kernel():
        out = nl.zeros((2, 1, 4), dtype=nl.float32, buffer=nl.hbm)
        nl.store(out[nl.program_id(0)], nl.full((1, 4), nl.program_id(0) + 1.0, nl.float32))
        return out

    np.testing.assert_array_equal(kernel[2](), [[[1] * 4], [[2] * 4]])


def test_loops_are_python_loops():
    @nki.jit
    def kernel():
        for kind in (nl.affine_range, nl.sequential_range, nl.static_range):
            count.append(sum(1 for _ in kind(5)))
            count.append(list(kind(2, 8, 3)))

    count = []
    kernel()
    assert count == [5, [2, 5]] * 3


def test_loop_reduce(rng):
    x = rng.standard_normal((4, 8, 6)).astype(np.float32)

    @nki.jit
    def kernel(t):
        largest = nl.full((8, 6), -10.0, nl.float32)
        total = nl.zeros((8, 12), nl.float32)
        for i in nl.affine_range(4):
            tile = nl.load(t[i])
            largest = nl.loop_reduce(tile, op=np.max, loop_indices=[i])
            total[:, 6:12] = nl.loop_reduce(tile, op=np.add, loop_indices=[i], dtype=nl.float32)
        return largest, total

    largest, total = kernel(x)
    np.testing.assert_array_equal(largest, x.max(axis=0))
    np.testing.assert_allclose(total[:, 6:], x.astype(np.float64).sum(axis=0), rtol=1e-5, atol=1e-6)
    assert (total[:, :6] == 0).all()

    @nki.jit
    def wrong(t):
        fresh = nl.loop_reduce(nl.load(t[0]), op=np.add, loop_indices=[0])
        nl.device_print("", fresh)

    with pytest.raises(SimulationError, match="fresh holds no tile"):
        wrong(x)


def test_masks_combined_with_and(rng):
    x = rng.standard_normal((8, 12)).astype(np.float32)
    rows = 5

    @nki.jit
    def kernel(t, columns, *, flag=True):
        i, j = nl.mgrid[0:8, 0:12]
        tile = nl.full((8, 12), -1.0, nl.float32)
        tile[i, j] = nl.load(t[i, j], mask=(i < rows and j < columns and flag))
        if flag and columns:
            tile[i, j] += nl.exp(tile[i, j], mask=(i < 1 or j < 1))
        return tile

    expected = np.full((8, 12), -1, np.float32)
    expected[:5, :7] = x[:5, :7]
    p, f = np.mgrid[0:8, 0:12]
    expected = np.where((p < 1) | (f < 1), expected + np.exp(expected), expected)
    np.testing.assert_allclose(kernel(x, 7), expected, rtol=1e-6)
    assert kernel.function.__code__ is not kernel._body.__code__


def test_errors_in_kernels_with_such_masks_name_their_line():
    @nki.jit
    def kernel(t):
        i, j = nl.mgrid[0:8, 0:12]
        nl.load(t[i, j], mask=(i < 3 and j < 12))
        nl.load(t[0:99])

    line = kernel.function.__code__.co_firstlineno + 4
    with pytest.raises(SimulationError, match=rf"test_launch\.py:{line}: index 99 is out of bounds"):
        kernel(np.zeros((8, 12), np.float32))


def test_counting_of_instructions(rng):
    with nkisim.trace() as trace:
        doubled(np.zeros((8, 12), np.float32))
    assert trace.instructions() == {"vector": {"tensor_scalar": 1}, "dma": {"dma_copy": 2}}
    assert trace.dma_bytes() == {"hbm→sbuf": 384, "sbuf→hbm": 384}


def test_framework_kernels_are_not_simulated():
    with pytest.raises(SimulationError, match="to simulate it"):
        nki.FrameworkKernel()
    assert nisa.get_nc_version().name == "gen3"


def test_names_of_a_loops_bounds_are_not_hints():
    @nki.jit
    def kernel(x):
        for _ in nl.affine_range(0, 8, step=2):
            nl.load(x)

    with pytest.raises(SimulationError, match="start, stop and step are given in this order, without names"):
        kernel(np.zeros((8, 12), np.float32))
