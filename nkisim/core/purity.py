"""What is known to be the same each time: functions of their arguments alone, and classes of plain objects.

"Own" is what is part of the simulator, or of the modules of pure functions that it knows: nobody changes it.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np

from .watcher import HERE, PURE_MODULES, root_of

IMPURE_NAMES = frozenset([
    "DataSource", "datetime64", "empty", "empty_like", "fromfile", "fromregex", "genfromtxt",
    "get_printoptions", "get_type_hints", "getbufsize", "geterr", "geterrcall", "info", "load", "loadtxt",
    "memmap", "printoptions", "random", "save", "savetxt", "savez", "savez_compressed",
    "set_printoptions", "set_string_function", "setbufsize", "seterr", "seterrcall", "show_config",
    "show_runtime", "test",
])  # fmt: skip
"""Names in modules of pure functions that are not so."""
_PURE_NUMPY = frozenset(
    {"numpy", "numpy.dtypes", "numpy.exceptions", "numpy.fft", "numpy.linalg", "numpy.typing"}
)
PURE_BUILTINS = frozenset([
    "abs", "all", "any", "bin", "bool", "bytearray", "bytes", "callable", "chr", "classmethod", "complex",
    "dict", "divmod", "enumerate", "filter", "float", "format", "frozenset", "getattr", "hasattr", "hex",
    "int", "isinstance", "issubclass", "iter", "len", "list", "map", "max", "min", "next", "object", "oct",
    "ord", "pow", "print", "property", "range", "repr", "reversed", "round", "set", "slice", "sorted",
    "staticmethod", "str", "sum", "super", "tuple", "type", "zip", "Ellipsis", "False", "None",
    "NotImplemented", "True", "__debug__", "__build_class__",
])  # fmt: skip
"""Builtins whose result depends on their arguments alone; ``print`` is watched elsewhere."""
_SCALARS = frozenset({"numpy", "ml_dtypes"})
HEAP_TYPE = 1 << 9
"""Flag of classes that Python code can make, as CPython numbers it; so is the next."""
_IMMUTABLE_TYPE = 1 << 8
_PLAIN_SIZE: int = type("_Plain", (), {}).__basicsize__
"""Bytes of an object without slots."""


def is_a(value: Any, kinds: Any) -> bool:
    """``isinstance``, without any code of the value's class."""
    return issubclass(type(value), kinds)


def is_scalar(value: Any) -> bool:
    """Whether it is a scalar or an element type of NumPy, which never changes."""
    if is_a(value, np.dtype):
        return not value.metadata
    scalar = is_a(value, np.generic) and not is_a(value, np.void)
    return scalar and root_of(type(value).__module__) in _SCALARS


def is_plain(kind: type) -> bool:
    """Whether attributes in a ``__dict__`` are all that objects of a class consist of.

    So they have no slots, and nothing that code in C keeps in them.
    """
    bases = kind.__mro__[:-1]
    slots = any(vars(base).get("__slots__") for base in bases)
    python = all(map(written_in_python, bases))
    return python and not slots and bool(kind.__dictoffset__) and kind.__basicsize__ <= _PLAIN_SIZE


def written_in_python(kind: type) -> bool:
    """Whether a ``class`` statement made the class."""
    return kind.__flags__ & (HEAP_TYPE | _IMMUTABLE_TYPE) == HEAP_TYPE


def is_here(module: types.ModuleType) -> bool:
    """Whether a module is one of the simulator's files."""
    return str(vars(module).get("__file__")).startswith(HERE)


def is_own_module(module: types.ModuleType) -> bool:
    """Whether a module is one of the simulator's, or one of pure functions that nobody put in its place."""
    name = str(vars(module).get("__name__"))
    pure = name in _PURE_NUMPY if root_of(name) == "numpy" else root_of(name) in PURE_MODULES
    return is_here(module) or (pure and sys.modules.get(name) is module)


def is_own_class(value: type) -> bool:
    """Whether a class is one of such modules', where it can be found by its name."""
    module = sys.modules.get(value.__module__)
    if module is None or not (is_here(module) or root_of(value.__module__) in PURE_MODULES):
        return False
    if not value.__flags__ & HEAP_TYPE:
        return True
    found: Any = module
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is value
