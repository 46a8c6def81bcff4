"""Classes of values that cost little to define.

A frozen :mod:`dataclasses` class with slots takes half a millisecond to define, because its methods are
compiled one by one, and importing that module takes another ten. A check of one file defines a hundred such
classes and uses a third of them: here only the constructor is compiled, when it is first called, and once for
all classes with as many fields.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from operator import attrgetter
from types import FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from functools import cached_property as cached_property
    from typing import Any, TypeVar

    from typing_extensions import dataclass_transform

    Value = TypeVar("Value")
else:

    class cached_property:
        """That of functools without its lock, which Python takes before 3.12."""

        def __init__(self, make):
            self._make = make
            self.__doc__ = make.__doc__

        def __set_name__(self, _, name):
            self._name = name

        def __get__(self, item, _=None):
            if item is None:
                return self
            found = item.__dict__[self._name] = self._make(item)
            return found

    def dataclass_transform(**_):
        """What type checkers read has no meaning at run time."""
        return lambda decorator: decorator


class _Fresh:
    """A default that is made anew for each object."""

    __slots__ = ("factory",)

    def __init__(self, factory: Callable[[], object]) -> None:
        self.factory = factory


def fresh(*, factory: Callable[[], Any]) -> Any:
    """The default of a field that ``factory`` makes for each object without a value of its own."""
    return _Fresh(factory)


class _DataclassFields:
    """Lets :func:`dataclasses.replace` and its like take records, for those who have imported them."""

    def __get__(self, _: object, cls: Any) -> object:
        from dataclasses import fields, make_dataclass

        made = make_dataclass(cls.__name__, cls.__match_args__)
        cls.__dataclass_fields__ = {field.name: field for field in fields(made)}
        return cls.__dataclass_fields__


@dataclass_transform(frozen_default=True, field_specifiers=(fresh,))
def record(cls: Any = None, *, frozen: bool = True, aside: tuple[str, ...] = ()) -> Any:
    """A class whose annotated names are its fields, in the order of its constructor's parameters.

    Its objects are equal, and hash alike, when they are of the class and their fields are equal. They have
    slots, and a ``__dict__`` only for what :class:`cached_property` keeps. That the fields of a
    ``frozen`` one are not set again is left to type checkers. Fields that are left ``aside`` are neither
    compared nor shown; a class may have methods of its own for all of that.
    """
    return partial(_made, aside=aside) if cls is None else _made(cls, aside)


def _made(cls: type, aside: tuple[str, ...]) -> type:
    names = tuple(cls.__annotations__)
    body = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    defaults = {name: body.pop(name) for name in names if name in body}
    caching = any(isinstance(value, cached_property) for value in body.values())
    shown = tuple(name for name in names if name not in aside)
    fields: Callable[[object], object] = attrgetter(*shown) if shown else lambda _: ()

    def __eq__(self: object, other: object) -> bool:
        return fields(self) == fields(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: object) -> int:
        return hash(fields(self))

    def __repr__(self: object) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def __reduce__(self: object) -> tuple[type, tuple[object, ...]]:
        return self.__class__, tuple(getattr(self, name) for name in names)

    body.update(
        __slots__=(*names, "__dict__") if caching else names,
        __match_args__=names,
        __defaults__=defaults,
        __dataclass_fields__=_DataclassFields(),
        __init__=_first,
        __reduce__=__reduce__,
    )
    for name, method in (("__repr__", __repr__), ("__eq__", __eq__), ("__hash__", __hash__)):
        body.setdefault(name, method)
    return type(cls)(cls.__name__, cls.__bases__, body)


def replace(value: Value, /, **changes: Any) -> Value:
    """A copy of a record in which some fields have other values."""
    kept = {name: getattr(value, name) for name in value.__match_args__}  # type: ignore[attr-defined]
    return value.__class__(**{**kept, **changes})


def _first(self: object, /, *args: object, **kwargs: object) -> None:
    """The constructor of a class until it is called: compiles the one that is called from then on."""
    cls: Any = next(base for base in type(self).__mro__ if vars(base).get("__init__") is _first)
    cls.__init__ = _constructor(cls.__match_args__, cls.__defaults__)
    cls.__init__(self, *args, **kwargs)


def _constructor(names: tuple[str, ...], defaults: dict[str, object]) -> Callable[..., None]:
    """The code that was compiled for another class with as many fields does, under these names."""
    made = tuple(place for place, name in enumerate(names) if isinstance(defaults.get(name), _Fresh))
    template = _template(len(names), made)
    code = template.__code__
    own = {f"field{place}": name for place, name in enumerate(names)}
    named = code.replace(
        co_names=tuple(own.get(name, name) for name in code.co_names),
        co_varnames=tuple(own.get(name, name) for name in code.co_varnames),
    )
    return FunctionType(named, template.__globals__, "__init__", tuple(defaults.values()))


@cache
def _template(count: int, made: tuple[int, ...]) -> FunctionType:
    """A constructor that sets so many fields, at some places with what is made for the object."""
    names = [f"field{place}" for place in range(count)]
    lines = [f"if field{n}.__class__ is _Fresh: field{n} = field{n}.factory()" for n in made]
    lines += [f"self.{name} = {name}" for name in names] or ["pass"]
    space: dict[str, Any] = {"_Fresh": _Fresh}
    exec(f"def __init__({', '.join(('self', *names))}):\n " + "\n ".join(lines), space)
    template: FunctionType = space["__init__"]
    return template
