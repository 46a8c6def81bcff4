"""What code reads besides its arguments: globals, attributes of modules and classes, closures, defaults.

:func:`reads_of` looks up what code that was watched (:mod:`.watcher`) refers to. While all of that is what it
was, the same arguments let the same code do the same. :class:`Refused` says why that cannot be told: the
code may change something, may read what no one can compare (files, clocks, random numbers), or hides what it
reads.
"""

from __future__ import annotations

import dis
import functools
import sys
import types
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import Field
from enum import Enum, EnumMeta
from typing import Any

import numpy as np

from .dtypes import DType
from .operators import Operator
from .reads import Reads, attributes_of
from .regions import Buffer
from .tensor import Tensor
from .watcher import HERE, OWN, PURE_MODULES, Names, Watcher, root_of

_IMPURE_NAMES = frozenset([
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
_PURE_BUILTINS = frozenset([
    "abs", "all", "any", "bin", "bool", "bytearray", "bytes", "callable", "chr", "classmethod", "complex",
    "dict", "divmod", "enumerate", "filter", "float", "format", "frozenset", "getattr", "hasattr", "hex",
    "int", "isinstance", "issubclass", "iter", "len", "list", "map", "max", "min", "next", "object", "oct",
    "ord", "pow", "print", "property", "range", "repr", "reversed", "round", "set", "slice", "sorted",
    "staticmethod", "str", "sum", "super", "tuple", "type", "zip", "Ellipsis", "False", "None",
    "NotImplemented", "True", "__debug__", "__build_class__",
])  # fmt: skip
_READ, _ATTRIBUTE = ("LOAD_GLOBAL", "LOAD_NAME"), ("LOAD_ATTR", "LOAD_METHOD")
_ATTRIBUTES = (*_ATTRIBUTE, "LOAD_SUPER_ATTR", "STORE_ATTR", "DELETE_ATTR")
_SET = ("STORE_ATTR", "DELETE_ATTR")
_REFUSED = {
    "STORE_GLOBAL": "sets a global", "DELETE_GLOBAL": "deletes a global", "IMPORT_NAME": "imports",
    "LOAD_FROM_DICT_OR_GLOBALS": "reads names in a class body",
}  # fmt: skip
_HIDING = frozenset([
    "ag_frame", "cell_contents", "cr_frame", "f_back", "f_builtins", "f_globals", "f_locals", "gi_frame",
    "tb_frame", "dump", "tofile", "array", "before_write", "read", "read_raw", "storage", "write",
    "written_flags",
])  # fmt: skip
"""Attributes by which code reaches what it does not name, writes files, and looks at what tensors hold."""
_SPECIAL = frozenset([
    "__abs__", "__add__", "__and__", "__bool__", "__call__", "__class__", "__contains__", "__delattr__",
    "__delitem__", "__enter__", "__eq__", "__exit__", "__float__", "__floordiv__", "__format__", "__ge__",
    "__get__", "__getattr__", "__getattribute__", "__getitem__", "__gt__", "__index__", "__init__",
    "__init_subclass__", "__int__", "__invert__", "__iter__", "__le__", "__len__", "__lt__", "__mod__",
    "__mul__", "__name__", "__ne__", "__neg__", "__new__", "__next__", "__or__", "__pos__",
    "__post_init__", "__pow__", "__qualname__", "__radd__", "__repr__", "__rmul__", "__round__",
    "__rsub__", "__set__", "__set_name__", "__setattr__", "__setitem__", "__str__", "__sub__",
    "__truediv__", "__xor__",
])  # fmt: skip
"""Special attributes that hide nothing."""
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
_SCALARS = frozenset({"numpy", "ml_dtypes"})
_CHANGED = "="
"""Behind a name: its attributes are set."""
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
        chains, refused = _names(code)
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
            if not _is(value, types.ModuleType):
                return
            value = self._attribute(value, name)
        if _is(value, types.ModuleType):
            self._module_value(value, value.__name__)

    def _attribute(self, module: types.ModuleType, name: str) -> Any:
        place, own = vars(module), _is_own_module(module)
        if name == _CHANGED:
            raise Refused(f"it changes module {module.__name__}")
        if own and name in _IMPURE_NAMES and not _is_here(module):
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
            if _is_here(module) and is_plain(type(place[name])):
                self._attributes(place[name], name)
                self.all_names(vars(type(place[name])))
        return place[name]

    def given(self, value: Any) -> None:
        """Note functions and classes of what the code was given; the values are compared elsewhere."""
        if _is(value, (types.FunctionType, type, Enum, types.ModuleType)):
            self.admit(value, "an argument")
        elif _is(value, (list, tuple)):
            for item in value:
                self.given(item)
        elif _is(value, dict):
            self.given([*value.keys(), *value.values()])
        elif type(value).__flags__ & _HEAP_TYPE and not _is_own_class(type(value)):
            self.admit(type(value), type(value).__name__)
            self.given(attributes_of(value))

    def _named(self, place: Any, name: str) -> None:
        value = place[name]
        if self.reads.name(place, name, value) and not _is(value, types.ModuleType):
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

    def admit(self, value: Any, name: str) -> None:
        """Note what can be reached from a value, so far as it may change.

        Raises Refused if that cannot be told.
        """
        if type(value) in _ATOMS or _is_scalar(value) or id(value) in self._known:
            return
        self._known[id(value)] = value
        for kinds, way in _WAYS:
            if _is(value, kinds):
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
        base = next(kind for kind in (list, tuple, set, frozenset) if _is(value, kind))
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
        native = base is not tuple and not all(map(_written_in_python, others))
        if native or any(vars(other).get("__slots__") for other in others):
            raise Refused(f"{name} is a {kind.__module__}.{kind.__qualname__}")
        if kind.__flags__ & _HEAP_TYPE:
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
        if root_of(function.__module__) in PURE_MODULES and function.__name__ in _IMPURE_NAMES:
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
        if _is(value, np.ufunc) and getattr(np, value.__name__, None) is not value:
            raise Refused(f"{name} is a function that may read anything")
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
        self.all_names(vars(value))

    def all_names(self, place: Any) -> None:
        """Note what names refer to, but not what that consists of."""
        self.reads.whole(place)
        for key, item in place.items():
            self.reads.name(place, key, item)

    def _class(self, value: type, name: str) -> None:
        if not value.__flags__ & _HEAP_TYPE or _is_own_class(value):
            self._native_class(value, name)
            return
        meta = type(value)
        if f"{meta.__module__}.{meta.__qualname__}" not in _METACLASSES and not _is_own_class(meta):
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
        if value.__name__ in _IMPURE_NAMES or not (
            root_of(value.__module__) in PURE_MODULES or _is_own_class(value)
        ):
            raise Refused(f"{name} is a class of {value.__module__}")
        nothing = value is types.NoneType or issubclass(value, BaseException)
        builtin = value.__module__ == "builtins" and not nothing
        if builtin and value.__name__ not in _PURE_BUILTINS:
            raise Refused(f"it reads {name}")

    def _member(self, owner: type, place: Any, key: str, item: Any) -> None:
        if key in ("__dict__", "__weakref__", "_abc_impl"):
            return
        self.reads.name(place, key, item)
        if key == "__dataclass_fields__":
            self._all(list(item.values()), key)
            return
        sunder = isinstance(owner, EnumMeta) and key.startswith("_") and key.endswith("_")
        function = _is(item, (types.FunctionType, staticmethod, classmethod, property))
        if function or not (key in _BOOKKEEPING or sunder or _is(item, _DESCRIPTORS)):
            self.admit(item, f"{owner.__name__}.{key}")

    def _object(self, value: Any, name: str) -> None:
        kind = type(value)
        module = root_of(kind.__module__)
        if module in {"dataclasses", "ml_dtypes"} or kind is _FIELD:
            return
        if kind.__module__ == _KERNEL or module in {"enum", "typing"}:
            self._attributes(value, name)
            return
        if not is_plain(kind) or (_is_own_class(kind) and kind.__name__ != "NKIObject"):
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


@functools.lru_cache(maxsize=4096)
def _names(code: types.CodeType) -> tuple[frozenset[tuple[str, ...]], str]:
    """Globals that code names, each with the attributes that it reads from it at once, and what the code does
    that cannot be followed, or ""."""
    chains: set[tuple[str, ...]] = set()
    chain: tuple[str, ...] = ()
    refused = next((f"names {text}" for text in _texts(code.co_consts) if _hides(text)), "")
    for instruction in dis.get_instructions(code):
        operation, name = instruction.opname, instruction.argval
        if operation == "EXTENDED_ARG":
            continue
        if operation in _ATTRIBUTES and _hides(name):
            refused = f"uses {name}"
        if operation == "STORE_NAME" and name == "__del__":
            refused = "has __del__"
        refused = refused or _REFUSED.get(operation, "")
        if chain and operation in _ATTRIBUTE:
            chain = (*chain, name)
            continue
        if chain:
            chains.add((*chain, _CHANGED) if operation in _SET else chain)
        chain = (name,) if operation in _READ else ()
    return frozenset(chains), refused


def _texts(constants: tuple[Any, ...]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, tuple):
            yield from _texts(constant)


def _hides(name: str) -> bool:
    """Whether an attribute, or a text that may name it, leads to what cannot be followed."""
    return name in _HIDING or (name.startswith("__") and name.endswith("__") and name not in _SPECIAL)


def _is(value: Any, kinds: Any) -> bool:
    """``isinstance``, without any code of the value's class."""
    return issubclass(type(value), kinds)


def _is_scalar(value: Any) -> bool:
    """Whether it is a scalar or an element type of NumPy, which never changes."""
    if _is(value, np.dtype):
        return not value.metadata
    return _is(value, np.generic) and not _is(value, np.void) and root_of(type(value).__module__) in _SCALARS


def is_plain(kind: type) -> bool:
    """Whether attributes in a ``__dict__`` are all that objects of a class consist of: no slots, and nothing
    that code in C keeps in them."""
    bases = kind.__mro__[:-1]
    slots = any(vars(base).get("__slots__") for base in bases)
    python = all(map(_written_in_python, bases))
    return python and not slots and bool(kind.__dictoffset__) and kind.__basicsize__ <= _PLAIN_SIZE


def _written_in_python(kind: type) -> bool:
    return kind.__flags__ & (_HEAP_TYPE | _IMMUTABLE_TYPE) == _HEAP_TYPE


def _content(cell: types.CellType, name: str) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        raise Refused(f"{name} reads a name that is not set yet") from None


def _is_here(module: types.ModuleType) -> bool:
    return str(vars(module).get("__file__")).startswith(HERE)


def _is_own_module(module: types.ModuleType) -> bool:
    name = str(vars(module).get("__name__"))
    pure = name in _PURE_NUMPY if root_of(name) == "numpy" else root_of(name) in PURE_MODULES
    return _is_here(module) or (pure and sys.modules.get(name) is module)


def _is_own_class(value: type) -> bool:
    """Whether a class is one of these modules', where it can be found by its name."""
    module = sys.modules.get(value.__module__)
    if module is None or not (_is_here(module) or root_of(value.__module__) in PURE_MODULES):
        return False
    if not value.__flags__ & _HEAP_TYPE:
        return True
    found: Any = module
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is value
