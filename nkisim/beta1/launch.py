"""``nki.jit`` and its kin: kernels that run when they are called.

Loops are ordinary Python loops and run as often as they say. The legacy tracer ran the body of a loop over
``nl.affine_range`` or ``nl.sequential_range`` once, with a symbol for the index: Python code in it that
counts (``n += 1``), appends to a list or prints did so once. Here it does so in every iteration, as it does
in newer releases; what instructions compute is the same.

The programs of a launch grid run one after the other; only ``nl.all_reduce`` makes them wait for each other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import product
from math import nan, prod
from typing import Any

from ..core.context import Core
from ..core.errors import fail
from ..core.launch import inside, run_on
from ..core.tensor import Tensor
from ..kernel import Kernel
from .source import with_bitwise_masks
from .tile import Operand, Tile

MODES = ("auto", "trace", "torchxla", "jax", "baremetal", "benchmark", "simulation", "profile")
CORES = 2
"""NeuronCores that a launch can name with ``nl.nc``."""


class Dimension:
    """An extent of a launch grid: ``outer`` × ``inner`` programs, of which one may be spread over cores.

    ``nl.nc(2)`` is two cores, ``nl.spmd_dim(nl.nc(2), 4)`` or ``nl.nc(2) * 4`` four neighbouring programs on
    each of them, ``nl.spmd_dim(4, nl.nc(2))`` or ``4 * nl.nc(2)`` neighbours on different ones.
    """

    def __init__(self, extents: tuple[tuple[int, bool], ...]) -> None:
        self.extents = extents

    @property
    def size(self) -> int:
        return prod(size for size, _ in self.extents)

    @property
    def cores(self) -> int:
        return prod(size for size, spread in self.extents if spread)

    def core(self, index: int) -> int:
        """Which core runs the program of this index."""
        found = 0
        for position, (size, spread) in enumerate(self.extents):
            inner = prod(n for n, _ in self.extents[position + 1 :])
            if spread:
                found = found * size + index // inner % size
        return found

    def __mul__(self, other: Any) -> Dimension:
        return spmd_dim(self, other)

    def __rmul__(self, other: Any) -> Dimension:
        return spmd_dim(other, self)

    def __repr__(self) -> str:
        return " * ".join(f"nc({size})" if spread else str(size) for size, spread in self.extents)


def nc(n: int) -> Dimension:
    """``n`` NeuronCores of a launch, 1 or 2. Raises SimulationError for another number."""
    if not 1 <= int(n) <= CORES:
        raise fail(f"nl.nc({n}): a launch spreads over 1 to {CORES} NeuronCores")
    return Dimension(((int(n), True),))


def dimension(size: Any) -> Dimension:
    """A number of programs as a dimension."""
    return size if isinstance(size, Dimension) else Dimension(((int(size), False),))


def spmd_dim(outer: Any, inner: Any) -> Dimension:
    """``outer × inner`` programs; either may be ``nl.nc(n)``."""
    return Dimension((*dimension(outer).extents, *dimension(inner).extents))


class LegacyKernel(Kernel):
    """A function to launch: ``kernel(…)``, or ``kernel[grid](…)``: once for each program of a grid.

    Called from inside a running kernel it runs inline. NumPy arrays (torch, jax) go in and come out;
    parameters that the kernel writes are updated in place.
    """

    dimensions: tuple[Dimension, ...] = ()

    @functools.cached_property
    def _body(self) -> Callable[..., Any]:
        return with_bitwise_masks(self.function)

    def _again(self, dimensions: tuple[Dimension, ...]) -> LegacyKernel:
        made = type(self)(self.function, tuple(each.size for each in dimensions), self.platform, self.options)
        made.dimensions = dimensions
        return made

    def __getitem__(self, grid: Any) -> LegacyKernel:
        """Raises ValueError for an extent below 1, SimulationError for more than 2 cores."""
        dimensions = tuple(dimension(size) for size in (grid if isinstance(grid, tuple | list) else (grid,)))
        if any(each.size < 1 for each in dimensions):
            raise ValueError(f"{self.name}[{grid}]: extents of a launch grid must be 1 or more")
        if prod(each.cores for each in dimensions) > CORES:
            raise fail(f"{self.name}[{grid}]: a launch spreads over at most {CORES} NeuronCores")
        return self._again(dimensions)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if inside():
            return self._body(*args, **kwargs)
        kernel = functools.partial(_in_tiles, self._body)
        # Modes check newer kernels: the language of this release is not theirs.
        return run_on(self._programs(), kernel, args, kwargs, self.platform, modes=False)

    def _programs(self) -> list[Core]:
        """A core for each program, in the order of their ids, last axis fastest."""
        sizes = self.grid
        if not sizes:
            return [Core(0, 1, ())]
        count, places = prod(sizes), product(*(range(size) for size in sizes))
        return [Core(i, count, sizes, self._processor(place)) for i, place in enumerate(places)]

    def _processor(self, place: tuple[int, ...]) -> int:
        found = 0
        for each, index in zip(self.dimensions, place, strict=True):
            found = found * each.cores + each.core(index)
        return found

    def __get__(self, instance: Any, owner: type | None = None) -> Kernel:
        if instance is None:
            return self
        bound = self._again(self.dimensions)
        bound.function = functools.partial(self._body, instance)
        return bound


class Benchmark(LegacyKernel):
    """A kernel of ``nki.benchmark``: it runs, and nothing is measured.

    ``benchmark_result.nc_latency.get_latency_percentile(p)`` is NaN: there is no device, and the time that a
    simulation takes says nothing about one. ``nkisim.trace()`` estimates cycles from documented costs.
    """

    @property
    def benchmark_result(self) -> BenchmarkResult:
        return BenchmarkResult()


class Latency:
    """Latencies that nobody measured."""

    def get_latency_percentile(self, percentile: float) -> float:
        return nan

    def __repr__(self) -> str:
        return "latency: not measured (simulated)"


class BenchmarkResult:
    """What ``nki.benchmark`` leaves on its kernel."""

    def __init__(self) -> None:
        self.nc_latency = Latency()


def _in_tiles(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a kernel with tiles for tensors, and give tensors for its tiles."""
    result = function(
        *(_tiles(value) for value in args), **{name: _tiles(value) for name, value in kwargs.items()}
    )
    return _tensors(result)


def _tiles(value: Any) -> Any:
    if isinstance(value, Tensor):
        return Tile(value)
    return _rebuilt(value, _tiles)


def _tensors(value: Any) -> Any:
    if isinstance(value, Operand):
        return value.tile.tensor if isinstance(value, Tile) else value.part(None)
    return _rebuilt(value, _tensors)


def _rebuilt(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {key: change(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [change(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def jit(func: Any = None, mode: str = "auto", *, platform_target: str = "", **kwargs: Any) -> Any:
    """``@nki.jit``, ``@nki.jit(mode=…)``: every mode simulates; compiler options have no effect.

    Args:
        mode: one of :data:`MODES`; ``benchmark`` gives a :class:`Benchmark`. Raises ValueError for another.
        platform_target: trn1, trn2, trn3; before ``NEURON_PLATFORM_TARGET_OVERRIDE``, before trn2.
    """
    if mode not in MODES:
        raise ValueError(f"nki.jit: mode is {mode!r}; one of {', '.join(MODES)}")
    if func is None:
        return functools.partial(jit, mode=mode, platform_target=platform_target, **kwargs)
    made = Benchmark if mode == "benchmark" else LegacyKernel
    options = {"mode": mode, **kwargs}
    if isinstance(func, LegacyKernel):
        again = made(func.function, func.grid, platform_target or func.platform, {**func.options, **options})
        again.dimensions = func.dimensions
        return again
    return made(func, (), platform_target, options)


def _wrapper(name: str, mode: str) -> Callable[..., Any]:
    def decorate(kernel: Any = None, func: Any = None, **kwargs: Any) -> Any:
        return jit(kernel or func, mode=mode, **kwargs)

    decorate.__name__ = decorate.__qualname__ = name
    decorate.__doc__ = f"``@nki.{name}``, ``@nki.{name}(…)``: the kernel, simulated. Options have no effect."
    return decorate


trace = _wrapper("trace", "trace")
baremetal = _wrapper("baremetal", "baremetal")
benchmark = _wrapper("benchmark", "benchmark")
profile = _wrapper("profile", "profile")


def simulate_kernel(kernel: Any, *args: Any, **kwargs: Any) -> Any:
    """Run a kernel, jitted or not, on these arguments."""
    return (kernel if isinstance(kernel, LegacyKernel) else jit(kernel))(*args, **kwargs)


class FrameworkKernel:
    """Base class of kernels as custom operators of a framework. Raises SimulationError when made."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise fail(
            "nki.FrameworkKernel registers a kernel with a framework's compiler; use nki.jit to simulate it"
        )
