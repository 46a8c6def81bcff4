"""``nki.jit`` and ``nki.simulate``: functions that run on simulated cores when they are called."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import MethodType
from typing import Any

from .core.running import run

MOST_CORES = 2
"""NeuronCores in a logical one."""


class Kernel:
    """A function to launch: ``kernel(…)`` on one core, ``kernel[2](…)`` on two that work together.

    Called from inside a running kernel it runs inline, whatever its subscript. NumPy, torch and jax arrays go
    in, and the same kind comes out.

    Attributes:
        function: the function itself, also ``__wrapped__``. grid: the subscript, () without one.
        platform: target that the decorator named, or "".
    """

    def __init__(
        self,
        function: Callable[..., Any],
        grid: tuple[int, ...] = (),
        platform: str = "",
        options: dict[str, Any] | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.name = getattr(function, "__qualname__", repr(function))
        self.function = function
        self.grid = grid
        self.platform = platform
        self.options = options or {}

    def __getitem__(self, grid: Any) -> Kernel:
        """Raises ValueError unless it is 1, 2, or a tuple of one of them."""
        cores = grid if isinstance(grid, tuple | list) else (grid,)
        if len(cores) != 1 or int(cores[0]) not in range(1, MOST_CORES + 1):
            raise ValueError(f"{self.name}[{grid}]: a launch takes one number of cores, 1 to {MOST_CORES}")
        return Kernel(self.function, (int(cores[0]),), self.platform, self.options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return run(self.function, self.grid, args, kwargs, self.platform)

    def __get__(self, instance: Any, owner: type | None = None) -> Kernel:
        if instance is None:
            return self
        return Kernel(MethodType(self.function, instance), self.grid, self.platform, self.options)

    def __repr__(self) -> str:
        grid = f"[{self.grid[0]}]" if self.grid else ""
        return f"<kernel {self.name}{grid}>"


def jit(func: Any = None, mode: str = "auto", *, platform_target: str = "", **kwargs: Any) -> Any:
    """``@nki.jit``, ``@nki.jit()`` and ``@nki.jit(mode=…, platform_target=…)``.

    Args:
        mode: kept, without effect: every mode simulates.
        platform_target: trn1, trn2, trn3 (or gen2, gen3, gen4); before ``NEURON_PLATFORM_TARGET_OVERRIDE``,
            before trn2.
        kwargs: compiler options, kept without effect.
    """
    if func is None:
        return functools.partial(jit, mode=mode, platform_target=platform_target, **kwargs)
    options = {"mode": mode, **kwargs}
    if isinstance(func, Kernel):
        return Kernel(func.function, func.grid, platform_target or func.platform, {**func.options, **options})
    return Kernel(func, (), platform_target, options)


def simulate(kernel: Any, *, platform_target: str = "") -> Kernel:
    """The kernel, to be launched on simulated cores: ``nki.simulate(kernel)[2](x)``.

    Takes a function, a jitted one of this package, or one that another package's decorator wrapped.
    """
    if isinstance(kernel, Kernel):
        return Kernel(kernel.function, kernel.grid, platform_target or kernel.platform, kernel.options)
    inner = getattr(kernel, "__wrapped__", None)
    return Kernel(kernel if inner is None else inner, (), platform_target)
