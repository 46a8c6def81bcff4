"""What the names of a function stand for at one place of its control flow."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from ...record import fresh, record, replace
from ..analysis import values as v
from ..analysis.facts import Facts
from ..analysis.symbols import Atom, Sym, Terms
from ..lowering.instructions import NOT_OPERATIONS
from .bindings import Values
from .freed import Former, freed
from .plan import Function
from .values import VIRTUAL, Absent, Blocks, Choice, Lost, Tiles, Value

_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_VERSION = re.compile(r"([A-Za-z_]\w*)@(\d+)")


@record
class Loop:
    """A loop around a place.

    Attributes:
        node: the statement; None for one whose iterations were programs.
        traced_once: whether the former tracer ran its body once.
        sym, start, stop, step: the variable and its range, as far as known.
        branches: how many branches there are around the loop.
    """

    node: ast.For | None
    variable: str
    traced_once: bool
    sym: Sym | None = None
    start: Sym | None = None
    stop: Sym | None = None
    step: Sym | None = None
    branches: int = 0


@record(frozen=False)
class Environment:
    """Names → values, with what is known about sizes.

    Attributes:
        often: names that the function binds more than once; their integers get an identity for each binding.
        branches: how many branches there are around the place.
        depths: how many loops there were around the place where a name was bound.
        products: places in PSUM that a matrix product has been written to.
        sizes: names that the new code has for sizes.
        versions: how often such a name has been bound so far. integers: names that hold integers.
        ranks: how many dimensions a function uses of tensors.
        decided: conditions that are true or false at the place, by their code with :meth:`identity`.
    """

    often: frozenset[str]
    integers: frozenset[str] = frozenset()
    ranks: Mapping[str, int] = fresh(factory=dict)
    values: Values = fresh(factory=Values)
    versions: Counter[str] = fresh(factory=Counter)
    facts: Facts = fresh(factory=Facts)
    loops: tuple[Loop, ...] = ()
    sizes: dict[Terms, str] = fresh(factory=dict)
    branches: int = 0
    depths: dict[str, int] = fresh(factory=dict)
    products: set[str] = fresh(factory=set)
    decided: Mapping[str, bool] = fresh(factory=dict)

    def copy(self) -> Environment:
        copied = replace(self, values=self.values.copy(), versions=Counter(self.versions))
        copied.facts, copied.sizes = self.facts.copy(), dict(self.sizes)
        copied.depths, copied.products = dict(self.depths), set(self.products)
        return copied

    def follow(self, inner: Environment, **kept: Any) -> None:
        """What holds here is what holds at the end of a statement's body, except for what is kept."""
        changed = self.values.changed
        changed.update(inner.values.changed)
        for name in self.__match_args__:
            setattr(self, name, kept[name] if name in kept else getattr(inner, name))
        self.values.changed = changed

    def decide(self, test: str, holds: bool) -> None:
        """The place is in the arm of a branch whose condition, if it calls nothing, is true, or false."""
        if "(" not in test:
            self.decided = {**self.decided, self.identity(test): holds}

    def chosen(self, value: Value) -> Value:
        """An index tile, or mask, that depends on a condition, where it is known which it is."""
        while isinstance(value, Choice) and value.test in self.decided:
            value = value.one if self.decided[value.test] else value.two
        return value

    def bind(self, name: str, value: Value) -> None:
        if name in self.often:
            self.rebound(name)
        self.values[name] = value
        self.depths[name] = len(self.loops)

    def rebound(self, name: str) -> None:
        """A name may stand for something else from now on: what others hold is not spelled with it."""
        self.versions[name] += 1
        self.values.changed[name] = None
        former, spellings = self.former(name), self.values.spellings
        for other in spellings.spelled_with(name):
            value = self.values.get(other)
            if value is not None and other != name and name in spellings.words(value):
                self.values[other] = freed(other, value, former)

    def former(self, name: str) -> Former:
        """What a name stood for before it was bound last."""
        return Former(name, f"{name}@{self.versions[name] - 1}")

    def of_tensor(self, code: str) -> Sym:
        """A dimension of the tensor that a name in the code stands for at present."""
        return Sym.atom(_NAME.sub(lambda m: self._present(m[0]), code) if self.often else code, code)

    def _present(self, name: str) -> str:
        version = self.versions[name] if name in self.often else 0
        return f"{name}@{version}" if version > 1 else name

    def carried(self, name: str) -> bool:
        """Whether a name comes from outside of a loop whose body was traced once, or of one of programs."""
        around = self.loops[self.depths.get(name, 0) :]
        return any(loop.traced_once or loop.node is None for loop in around)

    def identity(self, code: str) -> str:
        """What tells the present value of an expression from what the same code means elsewhere."""
        if not self.often:
            return code
        return _NAME.sub(lambda m: f"{m[0]}@{self.versions[m[0]]}" if m[0] in self.often else m[0], code)

    def atom(self, code: str) -> Sym:
        """An integer of unknown value that the code stands for."""
        return Sym.atom(self.identity(code), code)

    def number(self, name: str, sym: Sym | None) -> v.Scalar:
        """The value of a name that is bound to a number.

        One that is made from what the name stood for before, which has no name any more, is its own.
        """
        if sym is not None and self.outdated(sym) is not None:
            sym = self.atom(name)
        if sym is not None and name not in self.often:
            if sym.value is None and not sym.text.isidentifier():
                self.sizes.setdefault(sym.terms, name)
            return v.Scalar(name, sym.named(name))
        return v.Scalar(name, self.atom(name) if sym is None and name in self.integers else sym)

    def outdated(self, sym: Sym) -> str | None:
        """A name in the expression that stands for something else by now.

        A size that is spelled with another name, ``n`` for ``x.shape[0]``, is what it was when ``x`` is not.
        """
        for atom in sym.atoms:
            versions, names = _named(atom)
            for name, version in versions:
                if self.versions[name] != version:
                    return name
            for name in names:
                if name in self.often and self.versions[name] > 1 and name in _NAME.findall(sym.text):
                    return name
        return None

    def changes(self, sym: Sym) -> bool:
        """Whether names in the expression are bound several times in the function."""
        return any(_VERSION.search(repr(atom)) for atom in sym.atoms)

    def choice(self, name: str) -> str | None:
        """The condition that decides which index tile, or mask, a name stands for; None where it is known."""
        value = self.values.get(name)
        value = self.chosen(value) if isinstance(value, Choice) else None
        code = _VERSION.sub(r"\1", value.test) if isinstance(value, Choice) else ""
        return code if code and isinstance(value, Choice) and self.identity(code) == value.test else None

    def join(self, other: Environment, test: str = "") -> None:
        """After a branch, for whose arms the environment was copied: only what both agree on is certain.

        ``test``: the :meth:`identity` of the condition for ``other``, if there is one.
        """
        self.sizes = {terms: name for terms, name in self.sizes.items() if other.sizes.get(terms) == name}
        self.products |= other.products
        rebound = [name for name in self._changed(other) if self.versions[name] != other.versions[name]]
        for name in rebound:
            self.versions[name] = max(self.versions[name], other.versions[name])
            self.rebound(name)
        for name in self._changed(other):
            mine, theirs = self.values.get(name), other.values.get(name)
            if mine is None or theirs is None:
                self.values[name] = mine if theirs is None else theirs  # type: ignore[assignment]
            elif mine != theirs:
                self.values[name] = self.joined(name, mine, theirs, test)

    def _changed(self, other: Environment) -> list[str]:
        """Names that have a value in either, and are changed in one."""
        names = {**self.values.changed, **other.values.changed}
        return [name for name in names if name in self.values or name in other.values]

    def joined(self, name: str, one: Value, two: Value, test: str = "") -> Value:
        """What a name stands for that is one of two values; what may be None is used where it is not.

        ``test``: the :meth:`identity` of the condition for the second one, if there is one.
        """
        for value, other in ((one, two), (two, one)):
            if isinstance(value, Lost):
                return value
            if isinstance(value, Absent) or (isinstance(other, Tiles) and _is_empty(value)):
                return other
        if isinstance(one, Tiles) and isinstance(two, Tiles) and one.item == two.item:
            return replace(one, text=name)
        if isinstance(one, VIRTUAL) or isinstance(two, VIRTUAL):
            return (
                Choice(name, test, two, one) if test else Choice(name, "", v.Unknown(name), v.Unknown(name))
            )
        if isinstance(one, v.Tensor) and isinstance(two, v.Tensor):
            return self._tensor(name, one, two)
        if isinstance(one, Blocks) and isinstance(two, Blocks) and _alike(one, two):
            whole = self._tensor(name, one.whole, two.whole, one.sizes(name), one.tile(name))
            return replace(one, text=name, whole=whole)
        if isinstance(one, v.Token) and isinstance(two, v.Token):
            certain = one.name if one.name == two.name else ""
            return v.Unknown(name) if NOT_OPERATIONS & {one.name, two.name} else v.Token(certain, name)
        if isinstance(one, v.Dtype) and isinstance(two, v.Dtype):
            return v.Dtype(name, one.known if one.known == two.known else None, self.identity(name))
        if isinstance(one, v.Scalar) and isinstance(two, v.Scalar):
            return v.Scalar(name, self.atom(name) if one.sym and two.sym else None)
        return v.Unknown(name)

    def _tensor(
        self, name: str, one: v.Tensor, two: v.Tensor, codes: Sequence[str] = (), tile: str = ""
    ) -> v.Tensor:
        """One of two tensors; ``codes`` and ``tile`` spell what a list of tiles consists of."""
        shape = None
        codes = codes or [f"{name}.shape[{axis}]" for axis in range(len(one.shape or ()))]
        if one.shape is not None and two.shape is not None and len(one.shape) == len(two.shape):
            shape = tuple(
                a if a == b else self.atom(code)
                for code, a, b in zip(codes, one.shape, two.shape, strict=True)
            )
        dtype = one.dtype if one.dtype == two.dtype else None
        if dtype is None:
            dtype = v.Dtype(f"{tile or name}.dtype", None, self.identity(name))
        space = one.space if one.space == two.space else None
        extents = one.extents
        if extents != two.extents:
            uncut = Sym.unwritten(self.identity(f"{name}, uncut"))
            extents = tuple(uncut for _ in shape or ())
        return replace(one, text=name, shape=shape, dtype=dtype, space=space, extents=extents)


@lru_cache(maxsize=4096)
def _named(atom: Atom) -> tuple[tuple[tuple[str, int], ...], tuple[str, ...]]:
    """The names that an atom is identified by: those with the number of a binding, and the others."""
    code = repr(atom)
    versions = tuple((name, int(version)) for name, version in _VERSION.findall(code))
    return versions, tuple(_NAME.findall(_VERSION.sub("", code)))


def _is_empty(value: Value) -> bool:
    """Whether it is a list that nothing has been put into."""
    return isinstance(value, v.Items) and not value.items


def _alike(one: Blocks, two: Blocks) -> bool:
    """Whether two lists of tiles, handed to a function by its callers, are nested and laid out alike."""
    ranks = {len(each.whole.shape or ()) for each in (one, two)}
    same = (one.partition, one.layout, one.whole.space) == (two.partition, two.layout, two.whole.space)
    return one.handed and two.handed and same and len(ranks) == 1


def bound_often(function: Function) -> frozenset[str]:
    """Names that a function binds at more than one place."""
    arguments = function.node.args
    found = Counter(a.arg for a in (*arguments.args, *arguments.kwonlyargs, *arguments.posonlyargs))
    for inner in function.nodes.every:
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            found[inner.id] += 1
    return frozenset(name for name, count in found.items() if count > 1)
