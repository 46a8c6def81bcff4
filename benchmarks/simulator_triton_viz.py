"""triton-viz's NKI interpreter beside nkisim, on triton-viz's own example kernels.

Its interpreter replaces the operations of an installed ``nki`` by its own; nkisim serves the ``nki`` in which
it finds the names of enumerations and element types. The kernels are the files of its checkout, unchanged.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def _module(name: str, path: Path) -> Any:
    """A file as a module, without the rest of its package, which needs Triton."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


@contextmanager
def _own_nki() -> Iterator[None]:
    """What is imported here finds an ``nki`` of its own: its changes of it reach nothing else."""
    names = ("nki", "nki.language", "nki.isa")
    kept = {name: importlib.import_module(name) for name in names}
    for name, module in kept.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(vars(module))
    vars(sys.modules["nki"]).update(language=sys.modules["nki.language"], isa=sys.modules["nki.isa"])
    try:
        yield
    finally:
        sys.modules.update(kept)


class Peer:
    """The interpreter of a checkout, and its examples."""

    def __init__(self, checkout: Path) -> None:
        package = checkout / "triton_viz"
        self.examples = checkout / "examples" / "nki_beta2"
        for name in ("triton_viz", "triton_viz.utils", "triton_viz.core"):
            sys.modules[name] = ModuleType(name)
            sys.modules[name].__path__ = [str(package.joinpath(*name.split(".")[1:]))]
        with _own_nki():
            self._interpreter = _module("triton_viz.nki", package / "core" / "simulation" / "nki_beta2.py")
            self._interpreter.nki_patch_lang()
            self._theirs = {name: self._example(name) for name in {each[0] for each in EXAMPLES.values()}}
        self._ours = {name: self._example(name) for name in self._theirs}

    def _example(self, name: str) -> Any:
        return _module(f"example_{name}", self.examples / f"{name}.py")

    def theirs(self, example: str, name: str, arguments: tuple[Any, ...]) -> Callable[[], Any]:
        """The example in triton-viz's interpreter."""
        kernel = self._interpreter.NKIBeta2InterpretedFunction(getattr(self._theirs[example], name))
        return lambda: kernel.run(*arguments, grid=(1,))

    def ours(self, example: str, name: str, arguments: tuple[Any, ...]) -> Callable[[], Any]:
        """The example on nkisim, which like every user of it gets new arrays back."""
        import nkisim

        kernel = nkisim.simulate(getattr(self._ours[example], name))
        return lambda: kernel(*arguments)


def _random(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape, dtype=np.float32)


def _attention(length: int) -> tuple[Any, ...]:
    q, k, v = (_random(1, 2, length, 128) / np.float32(n) for n in (1, 2, 3))
    return q, k, v, np.empty_like(q), 1, 2, 2, 2, length, length, 128, 128


def _mlp(rows: int, inner: int, hidden: int, columns: int) -> tuple[Any, ...]:
    return (
        _random(inner, rows),
        _random(inner, hidden) / np.float32(inner**0.5),
        _random(hidden, columns) / np.float32(hidden**0.5),
        np.empty((rows, columns), np.float32),
    )


def _matmul(size: int) -> tuple[Any, ...]:
    return _random(size, size), _random(size, size + 1)[:, 1:].copy(), np.empty((size, size), np.float32)


def _softmax() -> tuple[Any, ...]:
    x = _random(256, 64)
    return x, np.empty_like(x)


def _rmsnorm() -> tuple[Any, ...]:
    x = _random(256, 128)
    return x, _random(256, 128), np.empty_like(x)


def _rope() -> tuple[Any, ...]:
    q, k = _random(1, 4, 128, 64), _random(1, 4, 64, 128).reshape(1, 4, 128, 64)
    angle = np.outer(np.arange(128), 1e4 ** (-np.arange(0, 64, 2) / 64)).astype(np.float32)
    angle = np.concatenate([angle, angle], axis=1)
    return q, k, np.cos(angle), np.sin(angle), np.empty_like(q), np.empty_like(k), 1, 4, 128, 64


Example = tuple[str, str, Callable[[], tuple[Any, ...]], tuple[int, ...]]
_ATTENTION, _MLP, _MATMUL = (
    ("tiled_attention", "tiled_attention_kernel"),
    ("mlp", "mlp_kernel"),
    ("matmul", "matmul_kernel"),
)
EXAMPLES: dict[str, Example] = {
    "tiled_attention b1 h2 s512": (*_ATTENTION, lambda: _attention(512), (3,)),
    "tiled_attention b1 h2 s1024": (*_ATTENTION, lambda: _attention(1024), (3,)),
    "mlp 256×512×512×512": (*_MLP, lambda: _mlp(256, 512, 512, 512), (3,)),
    "mlp 512×1024×1024×1024": (*_MLP, lambda: _mlp(512, 1024, 1024, 1024), (3,)),
    "matmul 512×512×512": (*_MATMUL, lambda: _matmul(512), (2,)),
    "matmul 1024×1024×1024": (*_MATMUL, lambda: _matmul(1024), (2,)),
    "softmax 256×64": ("softmax", "softmax_kernel", _softmax, (1,)),
    "rmsnorm 256×128": ("rmsnorm", "rmsnorm_kernel", _rmsnorm, (2,)),
    "rope b1 h4 s128 d64": ("rope", "rope_kernel", _rope, (4, 5)),
}
"""Name → file, function, arguments (float32), and which of these are results."""
