"""What an expression can denote, as far as it matters here. ``None`` stands for "unknown"."""

from __future__ import annotations

from collections.abc import Collection

from ..record import record


@record
class Symbol:
    """A module, class, function or constant, by its qualified name under the release's own root."""

    name: str


@record
class Launched:
    """``kernel[grid]`` or ``kernel.__wrapped__``: calls like the kernel."""

    kernel: Value


@record
class Jitted:
    """``nki.jit(kernel)``: calls like the kernel."""

    kernel: Value


@record
class Partial:
    """``functools.partial(function, …)``: the first parameters and some keywords are taken.

    ``first`` is None when a starred argument hides how many are.
    """

    function: Value
    first: int | None
    frozen: tuple[str, ...]


@record
class Instance:
    """An object made by a class (``of`` is its qualified name)."""

    of: str


@record
class Sequence:
    """A list, tuple or other iterable whose elements all denote the same."""

    element: Value


@record
class Row:
    """A short tuple, item by item."""

    items: tuple[Value, ...]


@record
class FormerList:
    """What was a list in the old release and is a tuple in the new one.

    ``own`` tells the object's own attribute, through which the object could be changed, from a copy. ``era``
    says in which release there is such a thing: ``old``, ``new``, or ``either``.
    """

    own: bool
    era: str = "either"


@record
class Mapping:
    """A dict: its items by constant key; the key ``...`` stands for any other."""

    items: tuple[tuple[object, Value], ...]

    def get(self, key: object) -> Value:
        """The value of a key; of one that is not among the constant ones, any of the values."""
        for known, value in self.items:
            if known == key:
                return value
        return one_of([value for _, value in self.items])


@record
class Names:
    """The names of a module as a dict: ``vars(module)`` and ``module.__dict__``."""

    of: Value


@record
class Constant:
    """A literal: a string, number, bool or None."""

    value: object


@record
class OneOf:
    """Any of several values, depending on the control flow. A None among them is "something unknown"."""

    options: frozenset[Value]


@record
class Function:
    """A function or lambda of the user's code; ``returns`` is what a call of it gives."""

    name: str
    returns: Value


@record
class Method:
    """A method looked up on an instance of a known class: ``owner`` is the class's qualified name."""

    owner: str
    name: str


Value = (
    Symbol
    | Launched
    | Jitted
    | Partial
    | Instance
    | Sequence
    | Row
    | FormerList
    | Mapping
    | Names
    | Constant
    | OneOf
    | Function
    | Method
    | None
)


def one_of(values: list[Value]) -> Value:
    """The union of several possible values; a literal None is a placeholder for "not available" and drops
    out.
    """
    if len(values) == 1:
        return values[0]
    flat: set[Value] = set()
    for value in values:
        flat |= value.options if isinstance(value, OneOf) else {value}
    meaningful = {v for v in flat if v != Constant(None)} or flat
    return (
        next(iter(meaningful))
        if len(meaningful) == 1
        else OneOf(frozenset(meaningful))
        if meaningful
        else None
    )


def options(value: Value) -> Collection[Value]:
    """All alternatives of a value, each once."""
    return value.options if isinstance(value, OneOf) else (value,)


def may_be_unknown(value: Value) -> bool:
    """Whether something unknown is among the alternatives of a value."""
    return value is None or (isinstance(value, OneOf) and None in value.options)


@record
class Callee:
    """A callable symbol with what wrappers have already put in front of its arguments."""

    name: str
    first: int | None = 0
    frozen: tuple[str, ...] = ()
    jitted: bool = False


def callees(value: Value) -> tuple[Callee, ...] | None:
    """The symbols a call of ``value`` may reach, seen through launches, jit and partial; None when unknown
    joins in.
    """
    if isinstance(value, Symbol):
        return (Callee(value.name),)
    found: list[Callee] = []
    for option in options(value):
        callee = _callee(option)
        if callee is None:
            return None
        found.extend(callee)
    return tuple(sorted(found, key=lambda c: c.name)) or None


def _callee(value: Value) -> tuple[Callee, ...] | None:
    if isinstance(value, Symbol):
        return (Callee(value.name),)
    if isinstance(value, Method):
        return (Callee(f"{value.owner}.{value.name}"),)
    if isinstance(value, Launched):
        return callees(value.kernel)
    if isinstance(value, Jitted):
        inner = callees(value.kernel)
        return inner and tuple(Callee(c.name, c.first, c.frozen, True) for c in inner)
    if isinstance(value, Partial):
        inner = callees(value.function)
        return inner and tuple(_taken(c, value) for c in inner)
    return None


def _taken(callee: Callee, partial: Partial) -> Callee:
    first = None if partial.first is None or callee.first is None else callee.first + partial.first
    return Callee(callee.name, first, callee.frozen + partial.frozen, callee.jitted)
