"""What nkilib.compat costs: calls through it beside calls of the kernel itself, on one MLP launch.

Usage: python benchmarks/compat.py (or ``make bench-compat``)

Prints the ratio of an old call (by the old name, arguments by position) and of a new call to the kernel's own
call; what an adapter adds to a call that does nothing; what compat adds to views that the library makes; and
how long importing it and reading the table take.
"""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from timing import compared

import nkilib  # makes `import nki` work

SECONDS = 20.0
MANY = 20000


def main() -> None:
    assert nkilib
    warnings.simplefilter("ignore", DeprecationWarning)
    kernel, view = importlib.import_module("nkilib.core.mlp.mlp").mlp, _views()
    launch = _launch(kernel)
    before = _each(view), _each(view)
    (alone,) = compared([launch], SECONDS)
    start = time.perf_counter()
    importlib.import_module("nkilib.compat")
    imported = time.perf_counter()
    module = importlib.import_module("nkilib.core.mlp.mlp")
    adapters = module.mlp_kernel, module.mlp
    ready = time.perf_counter()
    after = _each(view), _each(view)
    (beside,) = compared([launch], SECONDS)
    _launches(kernel, *adapters)
    _adding()
    print(f"the kernel's own call once compat is imported: {beside / alone:.3f} of what it took before")
    print(f"a view made inside the library: {min(before):.2f} µs, with compat {min(after):.2f} µs")
    took = [(imported - start) * 1e3, (ready - imported) * 1e3]
    print(f"importing compat: {took[0]:.0f} ms; the first name: {took[1]:.0f} ms")


def _launch(kernel: Any, *tail: Any, **options: Any) -> Callable[[], Any]:
    """Ten calls of an MLP kernel in token generation, on two cores."""
    draw = np.random.default_rng(0)
    shapes = ((1, 4, 512), (512, 512), (512, 512), (512, 512))
    tensors = [(draw.normal(size=shape) * 0.1).astype(ml_dtypes.bfloat16) for shape in shapes]
    return lambda: [kernel[2](*tensors, *tail, **options) for _ in range(10)]


def _launches(kernel: Any, old: Any, new: Any) -> None:
    types = importlib.import_module("nkilib.core.utils.common_types")
    dtype = importlib.import_module("nki.language").bfloat16
    tail = [None] * 6 + [False, types.ActFnType.SiLU, types.NormType.NO_NORM, dtype]
    calls = [_launch(kernel, output_dtype=dtype), _launch(old, *tail), _launch(new, output_dtype=dtype)]
    direct, positional, keyword = compared(calls, SECONDS)
    print(f"an MLP launch: {direct * 1e2:.1f} ms of CPU")
    print(f"the old call through compat: {positional / direct:.3f}; the new call: {keyword / direct:.3f}")


def _adding() -> None:
    """Microseconds that an adapter adds to calls of a function that does nothing."""
    adaptation = importlib.import_module("nkilib.compat.adaptation").Adaptation

    def nothing(*args: Any, **kwargs: Any) -> None:
        return None

    found = []
    for name, arguments in (
        ("utils.tiled_range.TiledRangeIterator", (1, 2, 3, 4)),
        ("qkv.qkv.qkv", (1,) * 6),
    ):
        call = adaptation(f"nkilib.core.{name}").call
        found.append(
            _each(lambda call=call, a=arguments: call(nothing, a, {}))
            - _each(lambda a=arguments: nothing(*a))
        )
    print(f"an adapter adds {found[0]:.2f} µs to a new call, {found[1]:.1f} µs to an old one")


def _views() -> Callable[[], Any]:
    language = importlib.import_module("nki.language")
    make = importlib.import_module("nkilib.core.utils.tensor_view").TensorView
    view = make(language.ndarray((128, 64), dtype=language.bfloat16, buffer=language.hbm))
    library = {"__name__": "nkilib.core.example", "view": view}
    made: Callable[[], Any] = eval("lambda: view.reshape_dim(1, (8, 8))", library)
    return made


def _each(call: Callable[[], Any]) -> float:
    start = time.process_time()
    for _ in range(MANY):
        call()
    return (time.process_time() - start) / MANY * 1e6


if __name__ == "__main__":
    main()
