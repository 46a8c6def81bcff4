"""Values of parameters, from what a spec file says of them. Runs where the kernel runs.

A number, a text or a truth value stands for itself, a list for a tuple. A table says more:

======================================  ==============================================================
``{shape, dtype, values, …}``           an array; ``values`` names a generator of :data:`GENERATORS`
``{file = "x.npy"}``                    an array from a file, relative to the spec file
``{python = "np.tri(8)"}``              an expression, evaluated in the kernel's own module
``{items = […]}``, ``{fields = {…}}``   a list, a dictionary of such values
``{old = …, new = …}``                  a value for each side
======================================  ==============================================================

Arrays are the same on both sides: each has a random generator of its own, seeded with the parameter's name.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Generator = Callable[[np.random.Generator, tuple[int, ...], dict[str, Any]], Any]


class Unusable(Exception):
    """A value that cannot be made; the text says why."""


def _normal(random: np.random.Generator, shape: tuple[int, ...], said: dict[str, Any]) -> Any:
    return random.standard_normal(shape) * said.get("scale", 1.0)


def _uniform(random: np.random.Generator, shape: tuple[int, ...], said: dict[str, Any]) -> Any:
    return random.uniform(said.get("low", 0.0), said.get("high", 1.0), shape)


def _integers(random: np.random.Generator, shape: tuple[int, ...], said: dict[str, Any]) -> Any:
    return random.integers(said.get("low", 0), said.get("high", 128), shape)


def _arange(_random: np.random.Generator, shape: tuple[int, ...], said: dict[str, Any]) -> Any:
    return (np.arange(prod(shape)) * said.get("step", 1) + said.get("low", 0)).reshape(shape)


def _permutation(random: np.random.Generator, shape: tuple[int, ...], said: dict[str, Any]) -> Any:
    return (random.permutation(prod(shape)) + said.get("low", 0)).reshape(shape)


def _causal(_random: np.random.Generator, shape: tuple[int, ...], said: dict[str, Any]) -> Any:
    return np.broadcast_to(np.tri(shape[-2], shape[-1]), shape)


def _identity(_random: np.random.Generator, shape: tuple[int, ...], said: dict[str, Any]) -> Any:
    return np.broadcast_to(np.eye(shape[-2], shape[-1]), shape)


def _mask(random: np.random.Generator, shape: tuple[int, ...], said: dict[str, Any]) -> Any:
    return random.random(shape) < said.get("share", 0.5)


GENERATORS: dict[str, Generator] = {
    "normal": _normal,
    "uniform": _uniform,
    "integers": _integers,
    "zeros": lambda _random, shape, _said: np.zeros(shape),
    "ones": lambda _random, shape, _said: np.ones(shape),
    "constant": lambda _random, shape, said: np.full(shape, said.get("value", 0)),
    "arange": _arange,
    "permutation": _permutation,
    "causal": _causal,
    "identity": _identity,
    "mask": _mask,
}
"""Name → values. ``normal``: mean 0, standard deviation ``scale`` (1). ``uniform``: from ``low`` (0) to
``high`` (1). ``integers``: from ``low`` (0) to below ``high`` (128). ``arange``: counts from ``low`` (0) in
steps of ``step`` (1), last dimension fastest. ``permutation``: of as many integers as there are elements,
from ``low`` (0). ``causal``: 1 where column ≤ row, else 0. ``mask``: 1 for about a ``share`` (0.5)."""


@dataclass(frozen=True)
class Maker:
    """Makes the values of a case's parameters for one side.

    Attributes:
        side: ``old`` or ``new``.
        seed: the case's.
        names: those of the kernel's module, for expressions.
        folder: the spec file's.
    """

    side: str
    seed: int
    names: dict[str, Any]
    folder: str

    def value(self, said: Any, name: str) -> Any:
        """The value that a spec file gives a parameter.

        Args:
            said: as it stands in the file.
            name: the parameter's, with a path to the item in containers.

        Raises:
            Unusable: it says something that does not give a value.
        """
        if isinstance(said, list):
            return tuple(self.value(item, f"{name}[{i}]") for i, item in enumerate(said))
        if not isinstance(said, dict):
            return said
        if self.side in said:
            return self.value(said[self.side], name)
        if "items" in said:
            return list(self.value(said["items"], name))
        if "fields" in said:
            return {key: self.value(item, f"{name}.{key}") for key, item in said["fields"].items()}
        if "python" in said:
            return self._evaluated(said["python"], name)
        if "file" in said:
            return self._from_file(said, name)
        return _array(said, name, self.seed)

    def _evaluated(self, expression: str, name: str) -> Any:
        try:
            return eval(expression, self.names)
        except Exception as error:
            raise Unusable(f"{name}: `{expression}` fails: {type(error).__name__}: {error}") from None

    def _from_file(self, said: dict[str, Any], name: str) -> Array:
        try:
            array: Array = np.load(os.path.join(self.folder, said["file"]), allow_pickle=False)
        except (OSError, ValueError) as error:
            raise Unusable(f"{name}: {said['file']} cannot be read: {error}") from None
        return _as(array, said["dtype"], name) if "dtype" in said else array


def _array(said: dict[str, Any], name: str, seed: int) -> Array:
    dtype = said.get("dtype", "float32")
    exact = np.dtype(native(dtype, name)).kind in "iub"
    make = GENERATORS[said.get("values", "integers" if exact else "normal")]
    shape = tuple(said["shape"])
    random = np.random.default_rng([seed, zlib.crc32(name.encode())])
    array = make(random, shape, said)
    return _as(array, dtype, name)


def _as(array: Array, dtype: str, name: str) -> Array:
    # Through float32, as a kernel's own casts do: ml_dtypes rounds float64 differently in rare cases.
    wide = array.astype(np.float32) if array.dtype.kind == "f" else array
    return np.ascontiguousarray(wide.astype(native(dtype, name)))


def native(dtype: str, name: str) -> Any:
    """NumPy's type for a name such as ``bfloat16``. Raises Unusable for an unknown one."""
    from nkisim.core.dtypes import dtype_of

    try:
        return dtype_of(dtype).native
    except TypeError:
        pass
    try:
        return np.dtype(dtype)
    except TypeError:
        raise Unusable(f"{name}: no element type {dtype!r}") from None
