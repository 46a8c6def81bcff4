"""The lines that come out of one statement: the walker's side of the lowerings' :class:`Emitter`."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from ...fresh_names import Taken
from ...record import fresh, record, replace
from ..analysis.access import subscript
from ..analysis.refusal import Refused
from ..analysis.symbols import Sym
from ..analysis.values import Dtype, Shape, Space, Tensor
from . import layout
from .environment import Environment

Window = tuple[Shape, Mapping[int, tuple[Sym, Sym]]]
"""The shape of a tile, and a part of it: ranges of axes, counted from the end."""


@record(frozen=False)
class Goal:
    """Where the value of an expression is to go.

    Attributes:
        hint: what a new tile is called: the assigned name, or after what it holds.
        exact: the hint is the assigned name itself and free to be used.
        target: the tile the statement assigns into.
        made: the tile that was handed out, once one was.
        window: the shape of a new tile, and the part of it that the operation fills.
        whole: that tile, once it is there.
        sink: the dtype of what the value is stored to, when that is all that happens to it.
        names: what the items of the value are assigned to.
        apart: what a function of the file returns gets a name, as new code may spell the value several times.
    """

    hint: str
    exact: bool = False
    target: Tensor | None = None
    made: Tensor | None = None
    window: Window | None = None
    whole: Tensor | None = None
    sink: Dtype | None = None
    names: tuple[str, ...] = ()
    apart: bool = False


Context = tuple[str, str]
"""See :meth:`Shared.context`."""


@record(frozen=False)
class Shared:
    """What the statements of a file share.

    Attributes:
        results: what functions of the file give, by the context they are called in (see :meth:`context`).
        ways: in how many contexts a function has been looked at for that.
        within: those that are being walked to find out. cuts: how often that was not done to the end.
        walks: what became of a function in a context, as a Translated.
        inlined: functions of which calls are written out, with these. inlining: those at hand.
        taken: names that mean something in the function at hand.
        needs: modules whose customary alias new code spells. helpers: helper functions it calls.
        helper_name: the name that the file has a helper function under; module_name: that of a module.
    """

    helper_name: Callable[[str], str]
    module_name: Callable[[str], str]
    taken: Taken = fresh(factory=Taken)
    results: dict[Context, Any] = fresh(factory=dict)
    ways: Counter[str] = fresh(factory=Counter)
    within: list[Context] = fresh(factory=list)
    cuts: int = 0
    walks: dict[Context, Any] = fresh(factory=dict)
    inlined: dict[str, set[ast.Call]] = fresh(factory=dict)
    inlining: list[str] = fresh(factory=list)
    needs: set[str] = fresh(factory=set)

    def context(self, function: str, given: Mapping[str, object]) -> Context:
        """A function of the file, and what a call gives its parameters."""
        return function, repr(sorted(given.items()))

    def fresh(self, hint: str) -> str:
        """A name that means nothing yet, made from ``hint``; then taken."""
        return self.taken.fresh(hint)


class Writer:
    """Collects logical lines; implements :class:`~..lowering.emitter.Emitter`."""

    def __init__(self, shared: Shared, environment: Environment, goal: Goal) -> None:
        self._shared = shared
        self._env = environment
        self._goals = [goal]
        self._entries: list[tuple[str, bool]] = []
        self.notes: list[tuple[str, dict[str, str]]] = []
        self.condition = ""

    # -- what the walker does -----------------------------------------------------------------------

    @property
    def touched(self) -> bool:
        """Whether anything has to be written."""
        return bool(self._entries)

    @property
    def innermost(self) -> Goal:
        """The place that the expression at hand fills."""
        return self._goals[-1]

    @contextmanager
    def goal(self, goal: Goal) -> Iterator[Goal]:
        """An inner expression with a place of its own for its value."""
        self._goals.append(goal)
        try:
            yield goal
        finally:
            self._goals.pop()

    def only_if(self, conditions: Sequence[str]) -> None:
        """The statement happens under conditions of trace time."""
        known = [self.condition] if self.condition else []
        self.condition = " and ".join([*known, *(c for c in conditions if c not in known)])

    def ahead(self, code: str) -> None:
        """A line that only prepares: an allocation or a size."""
        self._entries.append((code, True))

    def lines(self, indent: str, unit: str) -> list[str]:
        """Everything written, laid out at ``indent``; under a condition, what prepares comes before it."""
        entries, deeper = self._entries, ""
        found: list[str] = []
        if self.condition:
            for code, _ in (entry for entry in entries if entry[1]):
                found += layout.nested(code, indent, unit)
            entries, deeper = [entry for entry in entries if not entry[1]], unit
            found += layout.laid_out(f"if {self.condition}:", indent, unit) if entries else []
        for code, _ in entries:
            found += layout.nested(code, indent + deeper, unit)
        return found

    # -- what the lowerings do ----------------------------------------------------------------------

    def target(self) -> Tensor | None:
        goal = self._goals[-1]
        return goal.target if goal.made is None else None

    def destination(
        self, shape: Shape | None, dtype: Dtype | None, space: Space, like: Tensor | None = None
    ) -> Tensor:
        goal = self._goals[-1]
        if goal.made is None and goal.target is not None:
            goal.made = goal.target
            return goal.made
        own = goal.made is None and goal.exact
        window, goal.window = self._window(goal, shape), None
        if window is not None:
            shape, like = window[0], None
        made = self._allocate(goal.hint if own else self._shared.fresh(goal.hint), shape, dtype, space, like)
        if window is not None:
            goal.whole = made
            part = subscript(made, (Ellipsis,), self._env.facts).narrowed(window[1])
            made = replace(made, text=part.code(), shape=part.new_shape, whole=False)
        goal.made = goal.made or made
        return made

    def _window(self, goal: Goal, shape: Shape | None) -> Window | None:
        """The shape of a whole tile, and where a result of this shape lies in it: axes that the operation
        reduces are those of the result.
        """
        if goal.window is None or shape is None:
            return goal.window
        whole, ranges = list(shape), {}
        for axis, (low, high) in goal.window[1].items():
            own = axis + (len(shape) if len(shape) == len(goal.window[0]) else len(goal.window[0]))
            if own < len(shape) and self._env.facts.same(shape[own], high - low) is True:
                whole[own] = goal.window[0][axis]
                ranges[own - len(shape)] = (low, high)
        return tuple(whole), ranges

    def sink(self) -> Dtype | None:
        goal = self._goals[-1]
        return goal.sink if goal.made is None else None

    def temporary(
        self, hint: str, shape: Shape | None, dtype: Dtype | None, space: Space, like: Tensor | None = None
    ) -> Tensor:
        return self._allocate(self._shared.fresh(hint), shape, dtype, space, like, passing=True)

    def _allocate(
        self,
        name: str,
        shape: Shape | None,
        dtype: Dtype | None,
        space: Space,
        like: Tensor | None,
        passing: bool = False,
    ) -> Tensor:
        """``passing``: the tile serves this statement only, so that it is not needed where that does not
        happen.
        """
        dtype = dtype or (like.dtype if like else None)
        if like is not None and (shape is None or (like.whole and like.shape == shape)):
            size, shape = f"{like.text}.shape", like.shape
        else:
            if shape is None:  # nor is there another tile of that shape
                raise Refused("M-SHAPE", fn="a tile", operands=name)
            size = f"({sizes(tuple(each.respelled(self._env.sizes) for each in shape))})"
        if dtype is None:
            if like is None:  # nor is there another tile of that dtype
                raise Refused("M-DTYPE", fn="a tile", operands=name)
            dtype = Dtype(f"{like.text}.dtype", None, like.text)
        code = f"{name} = nl.ndarray({size}, dtype={dtype.text}, buffer=nl.{space.value})"
        self._entries.append((code, not passing))
        self._shared.needs.add("nl")
        if "(" in dtype.text:
            dtype = replace(dtype, text=f"{name}.dtype")
        return Tensor(name, shape, dtype, space)

    def emit(self, callee: str, **arguments: str) -> None:
        self.line(layout.call(callee, arguments))

    def line(self, code: str) -> None:
        for alias in ("nisa", "nl"):
            if f"{alias}." in code:
                self._shared.needs.add(alias)
        self._entries.append((code, False))

    def bind(self, hint: str, code: str) -> str:
        name = self._shared.fresh(hint)
        self.ahead(f"{name} = {code}")
        return name

    def named(self, hint: str, tensor: Tensor) -> Tensor:
        goal = self._goals[-1]
        own = goal.made is None and goal.target is None and goal.exact
        made = replace(tensor, text=goal.hint if own else self._shared.fresh(hint))
        self.ahead(f"{made.text} = {tensor.text}")
        goal.made = made if own else goal.made
        return made

    def helper(self, name: str) -> str:
        return self._shared.helper_name(name)

    def module(self, name: str) -> str:
        return self._shared.module_name(name)

    def note(self, message: str, **fields: str) -> None:
        self.notes.append((message, fields))

    def same(self, a: Sym, b: Sym) -> bool | None:
        return self._env.facts.same(a, b)

    def refuse(self, message: str, **fields: str) -> NoReturn:
        raise Refused(message, **fields)


def sizes(shape: Shape) -> str:
    """The inside of a shape tuple."""
    texts = [size.text for size in shape]
    return f"{texts[0]}," if len(texts) == 1 else ", ".join(texts)
