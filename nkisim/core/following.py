"""What code reads besides its arguments: globals, attributes of modules and classes, closures, defaults.

:func:`reads_of` looks up what code that was watched (:mod:`.watcher`) refers to. While all of that is what it
was, the same arguments let the same code do the same. :class:`Refused` says why that cannot be told: the
code may change something, may read what no one can compare (files, clocks, random numbers), or hides what it
reads.
"""

from __future__ import annotations

import functools
import types
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import Field
from enum import Enum, EnumMeta
from typing import Any

import numpy as np

from .bytecode import CHANGED, named_globals
from .dtypes import DType
from .operators import Operator
from .purity import (
    HEAP_TYPE,
    IMPURE_NAMES,
    PURE_BUILTINS,
    is_a,
    is_here,
    is_own_class,
    is_own_module,
    is_plain,
    is_scalar,
    written_in_python,
)
from .reads import Reads, attributes_of
from .regions import Buffer
from .tensor import Tensor
from .watcher import HERE, OWN, PURE_MODULES, Names, Watcher, root_of

_NAMES = frozenset({"__name__", "__qualname__"})
_BOOKKEEPING = frozenset([
    "__abstractmethods__", "__annotate__", "__annotations__", "__annotations_cache__", "__classcell__",
    "__dataclass_params__", "__doc__", "__firstlineno__", "__hash__", "__match_args__", "__module__",
    "__non_callable_proto_members__", "__orig_bases__", "__parameters__", "__protocol_attrs__",
    "__qualname__", "__slots__", "__static_attributes__", "__type_params__",
])  # fmt: skip
"""Attributes of classes that no code sees which names only what is special in it."""
_ATOMS = frozenset({
    bool, int, float, complex, str, bytes, range, types.EllipsisType, types.NotImplementedType,
    types.NoneType, Buffer, DType, Operator,
})  # fmt: skip
_DESCRIPTORS = (types.GetSetDescriptorType, types.MemberDescriptorType, types.WrapperDescriptorType)
_METACLASSES = ("abc.ABCMeta", "enum.EnumMeta", "enum.EnumType", "builtins.type")
_KERNEL = f"{OWN}.kernel"
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
    search = _Search([code for code, _ in ran.values()])
    search.given(given)
    for code, place in ran.values():
        search.code(code, place)
    search.all_names(vars(Tensor))  # which gets and makes tensors before instructions run
    search.check_accounted([code for code, _ in ran.values()])
    return search.reads


class _Search:
    """Follows names to what they refer to, as far as code that ran may see it."""

    def __init__(self, ran: list[types.CodeType]) -> None:
        self.reads = Reads()
        self._ran = set(map(id, ran))
        self._names_functions = any(not _NAMES.isdisjoint(code.co_names) for code in ran)
        self._known: dict[int, Any] = {}
        self._accounted: set[int] = set()

    def code(self, code: types.CodeType, place: Names) -> None:
        chains, refused = named_globals(code)
        if refused:
            raise Refused(f"{code.co_name} {refused}")
        inner = place.get("__builtins__", {})
        builtins: Any = inner if isinstance(inner, dict) else vars(inner)
        names = {chain[0] for chain in chains}
        absent = {name for name in names if name not in place}
        for name in names - absent:
            self._named(place, name)
        for chain in chains:
            if chain[0] not in absent:
                self._chain(place[chain[0]], chain[1:])
        for name in absent:
            self._builtin(builtins, name)
        if absent:
            self.reads.absent(place, absent)

    def _chain(self, value: Any, names: tuple[str, ...]) -> None:
        """Follow ``module.name.…`` as far as there are modules."""
        for name in names:
            if not is_a(value, types.ModuleType):
                return
            value = self._attribute(value, name)
        if is_a(value, types.ModuleType):
            self._module_value(value, value.__name__)

    def _attribute(self, module: types.ModuleType, name: str) -> Any:
        place, own = vars(module), is_own_module(module)
        if name == CHANGED:
            raise Refused(f"it changes module {module.__name__}")
        if own and name in IMPURE_NAMES and not is_here(module):
            raise Refused(f"it may use {module.__name__}.{name}")
        if not own and ("__getattr__" in place or type(module) is not types.ModuleType):
            raise Refused(f"module {module.__name__} makes its names")
        if not own and root_of(module.__name__) in PURE_MODULES:
            raise Refused(f"it uses {module.__name__}")
        if name not in place:
            self.reads.absent(place, {name})
            return None
        if not own:
            self._named(place, name)
        else:
            self.reads.name(place, name, place[name])
            if is_here(module) and is_plain(type(place[name])):
                self._attributes(place[name], name)
                self.all_names(vars(type(place[name])))
        return place[name]

    def given(self, value: Any) -> None:
        """Note functions and classes of what the code was given; the values are compared elsewhere."""
        if is_a(value, (types.FunctionType, type, Enum, types.ModuleType)):
            self.admit(value, "an argument")
        elif is_a(value, (list, tuple)):
            for item in value:
                self.given(item)
        elif is_a(value, dict):
            self.given([*value.keys(), *value.values()])
        elif type(value).__flags__ & HEAP_TYPE and not is_own_class(type(value)):
            self.admit(type(value), type(value).__name__)
            self.given(attributes_of(value))

    def _named(self, place: Any, name: str) -> None:
        value = place[name]
        if self.reads.name(place, name, value) and not is_a(value, types.ModuleType):
            self.admit(value, name)

    def _builtin(self, builtins: Names, name: str) -> None:
        if name not in builtins:
            self.reads.absent(builtins, {name})  # whoever reads it fails
            return
        value = builtins[name]
        error = isinstance(value, type) and issubclass(value, BaseException)
        if not (error or name in PURE_BUILTINS):
            raise Refused(f"it reads {name}")
        self.reads.name(builtins, name, value)

    def admit(self, value: Any, name: str) -> None:
        """Note what can be reached from a value, so far as it may change.

        Raises Refused if that cannot be told.
        """
        if type(value) in _ATOMS or is_scalar(value) or id(value) in self._known:
            return
        self._known[id(value)] = value
        for kinds, way in _WAYS:
            if is_a(value, kinds):
                way(self, value, name)
                return
        self._object(value, name)

    def _all(self, values: Any, name: str) -> None:
        if len(values) > _MOST_ITEMS:
            raise Refused(f"{name} has {len(values)} items")
        for item in values:
            self.admit(item, name)

    def _attributes(self, owner: Any, name: str) -> None:
        self.reads.made_of(owner)
        self._held(attributes_of(owner), name)

    def _held(self, place: Any, name: str) -> None:
        """Note all names in an object's ``__dict__``, if it has one."""
        if place is None:
            return
        self.reads.whole(place)
        for key, item in place.items():
            self.reads.name(place, key, item)
            self.admit(item, f"{name}.{key}")

    def _list(self, value: Any, name: str) -> None:
        base = next(kind for kind in (list, tuple, set, frozenset) if is_a(value, kind))
        if base in (list, set):
            self.reads.items(lambda: tuple(base.__iter__(value)))
        self._all(tuple(base.__iter__(value)), name)
        self._subclass(value, base, name)

    def _dict(self, value: dict[Any, Any], name: str) -> None:
        self.reads.items(lambda: (*dict.keys(value), *dict.values(value)))
        self._all((*dict.keys(value), *dict.values(value)), name)
        self._subclass(value, dict, name)

    def _subclass(self, value: Any, base: type, name: str) -> None:
        kind = type(value)
        if kind in (base, OrderedDict):
            return
        others = [other for other in kind.__mro__[:-1] if other is not base]
        native = base is not tuple and not all(map(written_in_python, others))
        if native or any(vars(other).get("__slots__") for other in others):
            raise Refused(f"{name} is a {kind.__module__}.{kind.__qualname__}")
        if kind.__flags__ & HEAP_TYPE:
            self.admit(kind, name)
            self._attributes(value, name)

    def _enum(self, value: Enum, name: str) -> None:
        self._attributes(value, name)
        self.admit(type(value), name)

    def _alias(self, value: Any, name: str) -> None:
        self._all((getattr(value, "__origin__", None), *value.__args__), name)

    def _field(self, value: Any, name: str) -> None:
        if value.metadata:
            raise Refused(f"{name} has metadata")
        self.reads.items(lambda: (value.default, value.default_factory))
        self._all((value.default, value.default_factory), name)

    def _array(self, value: Any, name: str) -> None:
        raise Refused(f"{name} is an array")

    def _function(self, function: types.FunctionType, name: str) -> None:
        code = function.__code__
        self._accounted.add(id(code))
        if code.co_filename.startswith(HERE):
            return
        if root_of(function.__module__) in PURE_MODULES and function.__name__ in IMPURE_NAMES:
            raise Refused(f"it may use {function.__name__}")
        called = id(code) in self._ran
        (self.reads.made_of if called or self._names_functions else self.reads.kept)(function)
        self._held(function.__dict__, name)
        if not called:
            return
        self._all(function.__defaults__ or (), name)
        if function.__kwdefaults__:
            self.admit(function.__kwdefaults__, name)
        cells = function.__closure__
        if cells:
            contents = tuple([_content(cell, name) for cell in cells])
            self.reads.items(lambda: tuple([cell.cell_contents for cell in cells]))
            self._all(contents, name)

    def _wrapped(self, value: Any, name: str) -> None:
        self._only_kind(value, name)
        self._attributes(value, name)
        self.admit(value.__func__, name)

    def _method(self, value: types.MethodType, name: str) -> None:
        self._all((value.__self__, value.__func__), name)

    def _property(self, value: property, name: str) -> None:
        self._only_kind(value, name)
        self._all((value.fget, value.fset, value.fdel), name)

    def _only_kind(self, value: Any, name: str) -> None:
        if type(value) not in (property, staticmethod, classmethod, functools.partial):
            raise Refused(f"{name} is a {type(value).__qualname__}")

    def _partial(self, value: Any, name: str) -> None:
        self._only_kind(value, name)
        self._attributes(value, name)
        self.reads.items(lambda: (value.func, value.args, value.keywords))
        self._all((value.func, value.args, value.keywords), name)

    def _cached(self, value: Any, name: str) -> None:
        raise Refused(f"{name} remembers what it gave")

    def _native(self, value: Any, name: str) -> None:
        if is_a(value, np.ufunc) and getattr(np, value.__name__, None) is not value:
            raise Refused(f"{name} is a function that may read anything")
        owner = getattr(value, "__self__", None) or getattr(value, "__objclass__", None)
        if isinstance(owner, type):
            self.admit(owner, owner.__name__)
            return
        bound = owner is not None and not isinstance(owner, types.ModuleType)
        module = owner.__name__ if isinstance(owner, types.ModuleType) else value.__module__
        root = root_of(module)
        pure = value.__name__ in PURE_BUILTINS if root == "builtins" else root in PURE_MODULES
        if bound or not pure or value.__name__ in IMPURE_NAMES:
            raise Refused(f"{name} is a function that may read anything")

    def _module_value(self, value: types.ModuleType, name: str) -> None:
        if not is_own_module(value):
            raise Refused(f"module {value.__name__} is handed on")
        self.all_names(vars(value))

    def all_names(self, place: Any) -> None:
        """Note what names refer to, but not what that consists of."""
        self.reads.whole(place)
        for key, item in place.items():
            self.reads.name(place, key, item)

    def _class(self, value: type, name: str) -> None:
        if not value.__flags__ & HEAP_TYPE or is_own_class(value):
            self._native_class(value, name)
            return
        meta = type(value)
        if f"{meta.__module__}.{meta.__qualname__}" not in _METACLASSES and not is_own_class(meta):
            raise Refused(f"class {value.__name__} has a metaclass of its own")
        place = vars(value)
        if "__del__" in place:
            raise Refused(f"{value.__name__} has __del__")
        self.reads.made_of(value)
        self.reads.whole(place)
        for key, item in place.items():
            self._member(value, place, key, item)
        self._all(value.__bases__, name)
        if issubclass(meta, EnumMeta):
            self._all(list(place["_member_map_"].values()), name)

    def _native_class(self, value: type, name: str) -> None:
        if value.__name__ in IMPURE_NAMES or not (
            root_of(value.__module__) in PURE_MODULES or is_own_class(value)
        ):
            raise Refused(f"{name} is a class of {value.__module__}")
        nothing = value is types.NoneType or issubclass(value, BaseException)
        builtin = value.__module__ == "builtins" and not nothing
        if builtin and value.__name__ not in PURE_BUILTINS:
            raise Refused(f"it reads {name}")

    def _member(self, owner: type, place: Any, key: str, item: Any) -> None:
        if key in ("__dict__", "__weakref__", "_abc_impl"):
            return
        self.reads.name(place, key, item)
        if key == "__dataclass_fields__":
            self._all(list(item.values()), key)
            return
        sunder = isinstance(owner, EnumMeta) and key.startswith("_") and key.endswith("_")
        function = is_a(item, (types.FunctionType, staticmethod, classmethod, property))
        if function or not (key in _BOOKKEEPING or sunder or is_a(item, _DESCRIPTORS)):
            self.admit(item, f"{owner.__name__}.{key}")

    def _object(self, value: Any, name: str) -> None:
        kind = type(value)
        module = root_of(kind.__module__)
        if module in {"dataclasses", "ml_dtypes"} or kind is _FIELD:
            return
        if kind.__module__ == _KERNEL or module in {"enum", "typing"}:
            self._attributes(value, name)
            return
        if not is_plain(kind) or (is_own_class(kind) and kind.__name__ != "NKIObject"):
            raise Refused(f"{name} is a {kind.__module__}.{kind.__qualname__}")
        self._attributes(value, name)
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
    ((types.GenericAlias, types.UnionType), _Search._alias),
    (Field, _Search._field),
)
"""How to follow each kind of value; the first that fits."""


def _content(cell: types.CellType, name: str) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        raise Refused(f"{name} reads a name that is not set yet") from None
