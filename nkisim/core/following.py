"""What code reads besides its arguments: globals, attributes of modules and classes, closures, defaults.

:func:`reads_of` looks up what code that was watched (:mod:`.watcher`) refers to. While all of that is what it
was, the same arguments let the same code do the same. :class:`Refused` says why that cannot be told: the
code may change something, may read what no one can compare (files, clocks, random numbers), or hides what it
reads.
"""

from __future__ import annotations

import dis
import functools
import logging
import sys
import types
from collections import namedtuple
from collections.abc import Callable
from enum import Enum, EnumMeta
from typing import Any

import numpy as np

from .dtypes import DType
from .operators import Operator
from .reads import Reads
from .regions import Buffer
from .watcher import HERE, OWN, PURE_MODULES, Names, Watcher, root_of

_IMPURE_NAMES = frozenset({"random", "seterr", "memmap", "fromfile", "load", "empty", "empty_like"})
"""Names in modules of pure functions that are not so."""
_PURE_BUILTINS = frozenset([
    "abs", "all", "any", "bin", "bool", "bytearray", "bytes", "callable", "chr", "classmethod", "complex",
    "dict", "divmod", "enumerate", "filter", "float", "format", "frozenset", "getattr", "hasattr", "hex",
    "int", "isinstance", "issubclass", "iter", "len", "list", "map", "max", "min", "next", "object", "oct",
    "ord", "pow", "print", "property", "range", "repr", "reversed", "round", "set", "slice", "sorted",
    "staticmethod", "str", "sum", "super", "tuple", "type", "zip", "Ellipsis", "False", "None",
    "NotImplemented", "True", "__debug__", "__build_class__",
])  # fmt: skip
_BY_NAME = frozenset({"getattr", "hasattr"})
_READ, _ATTRIBUTE = ("LOAD_GLOBAL", "LOAD_NAME"), ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR")
_REFUSED = {
    "STORE_GLOBAL": "sets a global", "DELETE_GLOBAL": "deletes a global", "IMPORT_NAME": "imports",
    "LOAD_FROM_DICT_OR_GLOBALS": "reads names in a class body",
}  # fmt: skip
_HIDING = frozenset(
    {"__builtins__", "__code__", "__dict__", "__globals__", "__subclasses__", "cell_contents"}
)
"""Attributes by which code reaches what it does not name."""
_ATOMS = frozenset({
    bool, int, float, complex, str, bytes, range, types.EllipsisType, types.NotImplementedType,
    types.NoneType, types.GenericAlias, types.UnionType,
})  # fmt: skip
_ATOM_KINDS = (Buffer, DType, Operator, np.generic, np.dtype, logging.Logger)
_DESCRIPTORS = (types.GetSetDescriptorType, types.MemberDescriptorType, types.WrapperDescriptorType)
_METACLASSES = ("abc.ABCMeta", "enum.EnumMeta", "enum.EnumType", "builtins.type")
_KERNEL = f"{OWN}.kernel"
_HEAP_TYPE = 1 << 9
_IMMUTABLE_TYPE = 1 << 8
_PLAIN_SIZE: int = type("_Plain", (), {}).__basicsize__
"""Bytes of an object without slots."""
_MOST_ITEMS = 2_000
_FIELD: Any = type(vars(namedtuple("_Fields", ["first"]))["first"])
"""How a named tuple finds a field."""


class Refused(Exception):
    """It cannot be told whether the code would do the same again."""


def reads_of(watcher: Watcher, given: Any) -> Reads:
    """What the code read that was watched; ``given`` are the function and the arguments that it ran with.

    Raises Refused.
    """
    ran = watcher.ran
    search = _Search({id(code) for code, _ in ran.values()})
    search.given(given)
    for code, place in ran.values():
        search.code(code, place)
    search.check_accounted([code for code, _ in ran.values()])
    return search.reads


class _Search:
    """Follows names to what they refer to, as far as code that ran may see it."""

    def __init__(self, ran: set[int]) -> None:
        self.reads = Reads()
        self._ran = ran
        self._known: dict[int, Any] = {}
        self._accounted: set[int] = set()

    def code(self, code: types.CodeType, place: Names) -> None:
        names, attributes, refused = _names(code)
        if refused:
            raise Refused(f"{code.co_name} {refused}")
        inner = place.get("__builtins__", {})
        builtins: Any = inner if isinstance(inner, dict) else vars(inner)
        absent = {name for name in names if name not in place}
        by_name = not absent.isdisjoint(_BY_NAME)
        for name in names - absent:
            value = place[name]
            if by_name and isinstance(value, types.ModuleType) and not _is_own_module(value):
                raise Refused(f"{code.co_name} may read any name of module {name}")
            self._named(place, name, value, attributes)
        for name in absent:
            self._builtin(builtins, name)
        if absent:
            self.reads.absent(place, absent)

    def given(self, value: Any) -> None:
        """Note functions and classes of what the code was given; the values are compared elsewhere."""
        if isinstance(value, types.FunctionType | type):
            self.admit(value, value.__name__)
        elif isinstance(value, list | tuple):
            for item in value:
                self.given(item)
        elif isinstance(value, dict):
            self.given([*value.keys(), *value.values()])
        elif isinstance(value, Enum):
            self.admit(value, str(value))
        elif type(value).__flags__ & _HEAP_TYPE and not _is_own_class(type(value)):
            self.admit(type(value), type(value).__name__)
            self.given(vars(value))

    def _named(self, place: Any, name: str, value: Any, attributes: frozenset[str]) -> None:
        new = self.reads.name(place, name, value)
        if isinstance(value, types.ModuleType):
            self._module(value, attributes)
        elif new:
            self.admit(value, name)

    def _builtin(self, builtins: Names, name: str) -> None:
        if name not in builtins:
            self.reads.absent(builtins, {name})  # whoever reads it fails
            return
        value = builtins[name]
        error = isinstance(value, type) and issubclass(value, BaseException)
        if not (error or name in _PURE_BUILTINS):
            raise Refused(f"it reads {name}")
        self.reads.name(builtins, name, value)

    def _module(self, module: types.ModuleType, attributes: frozenset[str]) -> None:
        if _is_own_module(module):
            if not attributes.isdisjoint(_IMPURE_NAMES) and not _is_here(module):
                raise Refused(f"it may use {module.__name__}.{min(attributes & _IMPURE_NAMES)}")
            return
        place = vars(module)
        if "__getattr__" in place:
            raise Refused(f"module {module.__name__} makes its names")
        for name in attributes & place.keys():
            self._named(place, name, place[name], attributes)

    def admit(self, value: Any, name: str) -> None:
        """Note what can be reached from a value, so far as it may change.

        Raises Refused if that cannot be told.
        """
        if type(value) in _ATOMS or isinstance(value, _ATOM_KINDS) or id(value) in self._known:
            return
        self._known[id(value)] = value
        for kinds, way in _WAYS:
            if isinstance(value, kinds):
                way(self, value, name)
                return
        self._object(value, name)

    def _all(self, values: Any, name: str) -> None:
        if len(values) > _MOST_ITEMS:
            raise Refused(f"{name} has {len(values)} items")
        for item in values:
            self.admit(item, name)

    def _attributes(self, place: Names, name: str) -> None:
        self.reads.whole(place)
        for key, item in place.items():
            self.reads.name(place, key, item)
            self.admit(item, f"{name}.{key}")

    def _list(self, value: Any, name: str) -> None:
        if not isinstance(value, tuple | frozenset):
            self.reads.items(lambda: tuple(value))
        self._all(value, name)
        self._subclass(value, name)

    def _dict(self, value: dict[Any, Any], name: str) -> None:
        self.reads.items(lambda: (*value.keys(), *value.values()))
        self._all([*value.keys(), *value.values()], name)
        self._subclass(value, name)

    def _subclass(self, value: Any, name: str) -> None:
        if type(value).__flags__ & _HEAP_TYPE:
            self.admit(type(value), name)
            self.reads.kind(value)
            self._attributes(getattr(value, "__dict__", {}), name)

    def _enum(self, value: Enum, name: str) -> None:
        self._all((type(value), value.value), name)

    def _array(self, value: Any, name: str) -> None:
        raise Refused(f"{name} is an array")

    def _function(self, function: types.FunctionType, name: str) -> None:
        code = function.__code__
        self._accounted.add(id(code))
        if code.co_filename.startswith(HERE):
            return
        self._attributes(vars(function), name)
        if id(code) not in self._ran:
            return
        self.reads.function(function)
        self._all(function.__defaults__ or (), name)
        if function.__kwdefaults__:
            self.admit(function.__kwdefaults__, name)
        cells = function.__closure__
        if cells:
            contents = tuple([_content(cell, name) for cell in cells])
            self.reads.items(lambda: tuple([cell.cell_contents for cell in cells]))
            self._all(contents, name)

    def _wrapped(self, value: Any, name: str) -> None:
        self.admit(value.__func__, name)

    def _method(self, value: types.MethodType, name: str) -> None:
        self._all((value.__self__, value.__func__), name)

    def _property(self, value: property, name: str) -> None:
        self._all((value.fget, value.fset, value.fdel), name)

    def _partial(self, value: Any, name: str) -> None:
        self._all((value.func, value.args, value.keywords), name)

    def _cached(self, value: Any, name: str) -> None:
        raise Refused(f"{name} remembers what it gave")

    def _native(self, value: Any, name: str) -> None:
        owner = getattr(value, "__self__", None) or getattr(value, "__objclass__", None)
        if isinstance(owner, type):
            self.admit(owner, owner.__name__)
            return
        bound = owner is not None and not isinstance(owner, types.ModuleType)
        module = owner.__name__ if isinstance(owner, types.ModuleType) else value.__module__
        root = root_of(module)
        pure = value.__name__ in _PURE_BUILTINS if root == "builtins" else root in PURE_MODULES
        if bound or not pure or value.__name__ in _IMPURE_NAMES:
            raise Refused(f"{name} is a function that may read anything")

    def _module_value(self, value: types.ModuleType, name: str) -> None:
        if not _is_own_module(value):
            raise Refused(f"module {value.__name__} is handed on")

    def _class(self, value: type, name: str) -> None:
        if not value.__flags__ & _HEAP_TYPE or _is_own_class(value):
            self._native_class(value, name)
            return
        meta = type(value)
        if f"{meta.__module__}.{meta.__qualname__}" not in _METACLASSES and not _is_own_class(meta):
            raise Refused(f"class {value.__name__} has a metaclass of its own")
        self.reads.kind(value)
        place = vars(value)
        self.reads.whole(place)
        for key, item in place.items():
            self._member(value, place, key, item)
        self._all(value.__bases__, name)

    def _native_class(self, value: type, name: str) -> None:
        if root_of(value.__module__) not in PURE_MODULES and not _is_own_class(value):
            raise Refused(f"{name} is a class of {value.__module__}")
        builtin = value.__module__ == "builtins" and not issubclass(value, BaseException)
        if builtin and value.__name__ not in _PURE_BUILTINS:
            raise Refused(f"it reads {name}")

    def _member(self, owner: type, place: Any, key: str, item: Any) -> None:
        function = isinstance(item, types.FunctionType | staticmethod | classmethod | property)
        bookkeeping = key.startswith("__") and key.endswith("__") and not function
        sunder = isinstance(owner, EnumMeta) and key.startswith("_") and key.endswith("_")
        if bookkeeping or key == "_abc_impl" or (sunder and not function):
            return
        self.reads.name(place, key, item)
        if not isinstance(item, _DESCRIPTORS):
            self.admit(item, f"{owner.__name__}.{key}")

    def _object(self, value: Any, name: str) -> None:
        kind = type(value)
        if root_of(kind.__module__) in {"dataclasses", "enum", "ml_dtypes", "typing"} or kind is _FIELD:
            return
        if kind.__module__ == _KERNEL:
            self._attributes(vars(value), name)
            return
        if not is_plain(kind) or (_is_own_class(kind) and kind.__name__ != "NKIObject"):
            raise Refused(f"{name} is a {kind.__module__}.{kind.__qualname__}")
        self.reads.kind(value)
        self._attributes(vars(value), name)
        self.admit(kind, kind.__name__)

    def check_accounted(self, ran: list[types.CodeType]) -> None:
        """Raises Refused when a function ran that nothing leads to."""
        waiting = [code for code in ran if id(code) in self._accounted]
        while waiting:
            inner = [c for c in waiting.pop().co_consts if isinstance(c, types.CodeType)]
            fresh = [code for code in inner if id(code) not in self._accounted]
            self._accounted.update(map(id, fresh))
            waiting += fresh
        for code in ran:
            if id(code) not in self._accounted:
                raise Refused(f"it is not known where {code.co_name} comes from")


_WAYS: tuple[tuple[Any, Callable[[_Search, Any, str], None]], ...] = (
    (Enum, _Search._enum),
    (types.FunctionType, _Search._function),
    ((types.BuiltinFunctionType, types.MethodDescriptorType, np.ufunc), _Search._native),
    (type, _Search._class),
    (types.ModuleType, _Search._module_value),
    ((list, tuple, set, frozenset), _Search._list),
    (dict, _Search._dict),
    (types.MethodType, _Search._method),
    ((staticmethod, classmethod), _Search._wrapped),
    (property, _Search._property),
    (functools.partial, _Search._partial),
    (functools._lru_cache_wrapper, _Search._cached),
    (np.ndarray, _Search._array),
)
"""How to follow each kind of value; the first that fits."""


@functools.lru_cache(maxsize=4096)
def _names(code: types.CodeType) -> tuple[frozenset[str], frozenset[str], str]:
    """Globals and attributes that code names, and what it does that cannot be followed, or ""."""
    names, attributes, refused = set(), set(), ""
    for instruction in dis.get_instructions(code):
        if instruction.opname in _READ:
            names.add(instruction.argval)
        elif instruction.opname in _ATTRIBUTE:
            attributes.add(instruction.argval)
            if instruction.argval in _HIDING:
                refused = f"uses {instruction.argval}"
        refused = refused or _REFUSED.get(instruction.opname, "")
    return frozenset(names), frozenset(attributes), refused


def is_plain(kind: type) -> bool:
    """Whether attributes in a ``__dict__`` are all that objects of a class consist of: no slots, and nothing
    that code in C keeps in them."""
    bases = kind.__mro__[:-1]
    slots = any(vars(base).get("__slots__") for base in bases)
    written_in_python = all(base.__flags__ & (_HEAP_TYPE | _IMMUTABLE_TYPE) == _HEAP_TYPE for base in bases)
    return written_in_python and not slots and bool(kind.__dictoffset__) and kind.__basicsize__ <= _PLAIN_SIZE


def _content(cell: types.CellType, name: str) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        raise Refused(f"{name} reads a name that is not set yet") from None


def _is_here(module: types.ModuleType) -> bool:
    return str(vars(module).get("__file__")).startswith(HERE)


def _is_own_module(module: types.ModuleType) -> bool:
    return _is_here(module) or root_of(vars(module).get("__name__")) in PURE_MODULES


def _is_own_class(value: type) -> bool:
    module = sys.modules.get(value.__module__)
    return module is not None and _is_own_module(module)
