"""Whether the iterations of loops mean different elements of a tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...record import record
from .access import Access
from .facts import Facts
from .symbols import ONE, ZERO, Atom, Name, Quotient, Sym, Terms, maximum, minimum


@record
class Counter:
    """The variable of a loop, and its bounds where they are known."""

    variable: Sym
    start: Sym | None
    stop: Sym | None
    step: Sym | None


def distinct(access: Access, counters: Sequence[Counter], facts: Facts) -> bool:
    """Whether no element is met in two iterations of loops, which are given from the outside in."""
    if access.dynamic is not None:
        return False
    for depth, counter in enumerate(counters):
        inner = counters[depth + 1 :]
        if not any(_moves_on(access, dim, counter, inner, facts) for dim in range(len(access.dims))):
            return False
    return True


def _moves_on(access: Access, dim: int, counter: Counter, inner: Sequence[Counter], facts: Facts) -> bool:
    """Whether a dimension's elements in an iteration lie behind (or before) all of those in the one before,
    whatever the loops inside are at.
    """
    base, step = access.bases[dim], counter.step
    if step is None or step.value is None or step.value <= 0:
        return False
    size = _size(access, dim)
    moved = _replaced(base, {_name(counter.variable): counter.variable + step}) - base
    variables = {_name(each.variable) for each in (counter, *inner)}
    if size is None or variables & _names(moved.terms):  # not the same step each time
        return False
    known = facts.copy()
    other: dict[Name, Sym] = {}
    for each in inner:
        name = _name(each.variable)
        other[name] = Sym.atom(f"{name.text} of the next")
        bounds = (each.start, each.stop, each.step)
        if all(bound is not None and not _names(bound.terms) & variables for bound in bounds):
            known.loop(other[name], *(bound for bound in bounds if bound is not None))
    there = _replaced(base, other)
    ahead = there + moved - base
    return known.holds_at_most(size, ahead) or known.holds_at_most(size, -ahead)


def _size(access: Access, dim: int) -> Sym | None:
    """From a dimension's first element to behind its last; None when it may run backwards."""
    found = ONE
    for step, count in zip(access.steps[dim], access.shape, strict=True):
        if step.value is None or step.value < 0:
            return None
        found = found + step * (count - 1)
    return found


def _name(variable: Sym) -> Name:
    (atom,) = variable.atoms
    assert isinstance(atom, Name)
    return atom


def _names(terms: Terms) -> set[Name]:
    """The names in an expression, wherever."""
    found: set[Name] = set()
    for monomial, _ in terms:
        for atom in monomial:
            if isinstance(atom, Name):
                found.add(atom)
            elif isinstance(atom, Quotient):
                found |= _names(atom.numerator) | _names(atom.denominator)
            else:
                found = found.union(*map(_names, atom.arguments))
    return found


def _replaced(value: Sym, new: Mapping[Name, Sym]) -> Sym:
    """An expression with others in the place of names."""
    return _of(value.terms, new)


def _of(terms: Terms, new: Mapping[Name, Sym]) -> Sym:
    total = ZERO
    for monomial, coefficient in terms:
        part = Sym.constant(coefficient)
        for atom in monomial:
            part = part * _atom(atom, new)
        total = total + part
    return total


def _atom(atom: Atom, new: Mapping[Name, Sym]) -> Sym:
    if isinstance(atom, Name):
        return new.get(atom) or Sym.atom(atom.text)
    if isinstance(atom, Quotient):
        return _of(atom.numerator, new) // _of(atom.denominator, new)
    function = minimum if atom.function == "min" else maximum
    return function(*(_of(each, new) for each in atom.arguments))
