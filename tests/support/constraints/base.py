"""What a kernel's documentation demands, and how it is shown that the kernel sees to it.

A row is one demand: with a call that violates it and the words of the error, or with the test that shows it. A table
is the demands of one kernel, beside a call that violates none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from blockcheck import BF16
from expected_errors import Seen
from kernels import launch

from nkisim.core.errors import SimulationError

Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One demand.

    Attributes:
        demand: in words. words: of the error when it is violated. changes: arguments of the call that violate it, or
            what makes them of the call's arguments. lnc, target: of the launch, where they are not the table's.
        test: the one that violates it, ``file::function`` under ``tests/nkilib``. of: the function that it calls,
            or a module of such, where it is none of the table's. defined: whether a violation is no error, but has
            an outcome that the test compares; words are then of the test's text.
        raises: the exception.
    """

    demand: str
    words: str
    changes: Changes | Callable[[dict[str, Any]], Changes] | None = None
    lnc: int | None = None
    target: str | None = None
    test: str = ""
    of: str = ""
    defined: bool = False
    raises: type[Exception] = AssertionError

    def violated(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The call's arguments with the change; an argument that becomes :data:`ABSENT` is not given."""
        changes = self.changes(arguments) if callable(self.changes) else self.changes
        changed = {**arguments, **(changes or {})}
        return {name: value for name, value in changed.items() if value is not ABSENT}


ABSENT = object()


@dataclass(frozen=True)
class Table:
    """The demands of one kernel.

    Attributes:
        name: its qualified name. call: the kernel, or a function that calls it. arguments: makes those of a call that
            violates nothing, as small as can be. rows: the demands. left: demands that no call here can violate, or
            whose violation has no defined outcome → why. lnc, target: of the launch; 0 is none. of: of a table that
            is not about one kernel, the module or package of the functions that its tests call.
    """

    name: str
    call: Callable[..., Any] | None = None
    arguments: Callable[[], dict[str, Any]] = dict
    rows: Sequence[Row] = ()
    left: Mapping[str, str] = field(default_factory=dict)
    lnc: int = 1
    target: str = "trn2"
    of: str = ""

    @property
    def id(self) -> str:
        return self.name.rpartition(".")[2]

    def violations(self, row: Row, seen: Iterable[Seen]) -> list[Seen]:
        """The errors with a row's words, when a test called what the row is about."""
        called = row.of or self.of or self.name
        return [
            error
            for error in seen
            if row.words in error.words and (error.entry == called or error.entry.startswith(f"{called}."))
        ]

    def run(self, arguments: dict[str, Any], lnc: int | None = None, target: str | None = None) -> Any:
        return launch(
            self.call, lnc=self.lnc if lnc is None else lnc, target=target or self.target, **arguments
        )


def refused(
    demand: str,
    words: str,
    made: Callable[[dict[str, Any]], Changes] | None = None,
    *,
    lnc: int | None = None,
    target: str | None = None,
    **changes: Any,
) -> Row:
    """A call with these arguments is an error that says ``words``; ``made`` makes them of the table's."""
    return Row(demand, words, made or changes, lnc, target)


def beyond(
    demand: str, words: str, made: Callable[[dict[str, Any]], Changes] | None = None, **changes: Any
) -> Row:
    """A number that is read at run time leads beyond a tensor: the kernel cannot know, the simulator refuses it."""
    return Row(demand, words, made or changes, raises=SimulationError)


def shown(test: str, demands: Mapping[str, str], of: str = "") -> list[Row]:
    """Demand → words of the error that the test expects when it violates it."""
    return [Row(demand, words, test=test, of=of) for demand, words in demands.items()]


def defined(test: str, demands: Mapping[str, str]) -> list[Row]:
    """What is no error when it is not as usual → words of the test that shows what happens then."""
    return [Row(demand, words, test=test, defined=True) for demand, words in demands.items()]


FLOATS = "bfloat16, float16 or float32"
FLOATS_AND_E4M3 = "bfloat16, float16, float32 or float8_e4m3"
FLOATS_AND_FP8 = "bfloat16, float16, float32, float8_e4m3 or float8_e5m2"


def typed(
    names: Mapping[str, str],
    allowed: str = FLOATS,
    dtype: Any = np.int32,
    made: Callable[[dict[str, Any]], Changes] | None = None,
    prefix: str = "",
    **options: Any,
) -> list[Row]:
    """Tensors of an element type that is refused: argument → its name in the error. ``made`` makes arguments first."""

    def row(name: str, spoken: str) -> Row:
        def changes(arguments: dict[str, Any]) -> Changes:
            given = {**arguments, **(made(arguments) if made else {})}
            return {**given, name: given[name].astype(dtype)}

        found = np.dtype(dtype)
        words = f"{spoken} must be {allowed}, its dtype is {found}"
        return refused(f"{prefix}{name} is {allowed}, not {found}", words, changes, **options)

    return [row(name, spoken) for name, spoken in names.items()]


def of_type(
    name: str, allowed: str = FLOATS, made: Callable[[dict[str, Any]], Changes] | None = None, **options: Any
) -> Row:
    """An argument that is itself an element type, and here int32, which is refused. ``made`` as for :func:`typed`."""
    given = made or (lambda _: {})
    words = f"{name} must be {allowed}, it is int32"
    return refused(f"{name} is {allowed}", words, lambda every: {**given(every), name: "int32"}, **options)


def of_number(
    *names: str,
    kind: str = "an int",
    other: Any = 1.5,
    made: Callable[[dict[str, Any]], Changes] | None = None,
    **options: Any,
) -> list[Row]:
    """Arguments that are integers, or of another ``kind``, and here not. ``made`` as for :func:`typed`."""
    given = made or (lambda _: {})

    def row(name: str) -> Row:
        words = f"{name} must be {kind}, it is {other}"
        return refused(f"{name} is {kind}", words, lambda every: {**given(every), name: other}, **options)

    return [row(name) for name in names]


def of_tensors(*names: str, made: Callable[[dict[str, Any]], Changes] | None = None) -> list[Row]:
    """Tensors, and here a number."""
    return of_number(*names, kind="a tensor", other=3, made=made)


def of_flags(*names: str, made: Callable[[dict[str, Any]], Changes] | None = None) -> list[Row]:
    """Truth values, and here a number."""
    return of_number(*names, kind="True or False", other=2, made=made)


def of_class(name: str, cls: type, **options: Any) -> Row:
    """An argument that is an object of a class, and here a number."""
    return of_number(name, kind=f"of the class {cls.__name__}", other=3, **options)[0]


def below_0(
    *names: str, made: Callable[[dict[str, Any]], Changes] | None = None, **options: Any
) -> list[Row]:
    """Numbers that are at least 0, and here not."""
    return of_number(*names, kind="at least 0", other=-1, made=made, **options)


def laid_out(
    layouts: Mapping[str, str],
    made: Callable[[dict[str, Any]], Changes] | None = None,
    **options: Any,
) -> list[Row]:
    """Argument → its dimensions in the error: with one more, and without elements. ``made`` as for :func:`typed`."""

    def row(name: str, change: Callable[[Any], Any], what: str, words: str) -> Row:
        def changes(arguments: dict[str, Any]) -> Changes:
            given = {**arguments, **(made(arguments) if made else {})}
            return {**given, name: change(given[name])}

        return refused(f"{name} {what}", words, changes, **options)

    rows = []
    for name, layout in layouts.items():
        words = f"{name} must be {layout}"
        rows.append(row(name, lambda value: value[None], f"is {layout}", f"{words}, its shape is"))
        rows.append(row(name, lambda value: value[:0], f"{layout} has elements", f"{words} with elements"))
    return rows


def named(*names: str) -> dict[str, str]:
    """Arguments that errors call by their names."""
    return {name: name for name in names}


def zeros(*shape: int, dtype: Any = BF16) -> Any:
    return np.zeros(shape, dtype)


def cut(name: str, dim: int = -1) -> Callable[[dict[str, Any]], Changes]:
    """The argument without its last part of a dimension."""

    def made(arguments: dict[str, Any]) -> Changes:
        value = arguments[name]
        return {name: np.ascontiguousarray(np.take(value, range(value.shape[dim] - 1), dim))}

    return made
