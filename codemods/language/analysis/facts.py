"""What is known of integer expressions: equalities, divisors and bounds, from assertions and loops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import gcd

from ...record import fresh, record
from .symbols import (
    Atom,
    Extreme,
    Monomial,
    Name,
    Quotient,
    Sym,
    Terms,
    added,
    as_sym,
    constant_of,
    divided,
    inner_atoms,
    maximum,
    minimum,
    multiplied,
    rank,
    scaled,
    substituted,
)

STEPS = 64
"""Expressions that a proof looks at before it gives up."""


class _Found:
    """What was found out from some facts, each thing once.

    Attributes:
        then: the same for these facts and another one: a loop's body that is walked again finds it there.
    """

    __slots__ = ("normal", "proved", "same", "then")

    def __init__(self) -> None:
        self.normal: dict[Terms, Terms] = {}
        self.proved: dict[Terms, bool] = {}
        self.same: dict[tuple[Terms, Terms], bool | None] = {}
        self.then: dict[tuple[str, Atom, Terms], _Found] = {}

    def after(self, relation: str, atom: Atom, terms: Terms) -> _Found:
        return self.then.setdefault((relation, atom, terms), _Found())


@record(frozen=False, aside=("_found",))
class Facts:
    """Facts that hold at one place of a kernel. ``copy()`` before a branch or a loop adds its own."""

    _equal: dict[Atom, Terms] = fresh(factory=dict)
    _lower: dict[Atom, tuple[Terms, ...]] = fresh(factory=dict)
    _upper: dict[Atom, tuple[Terms, ...]] = fresh(factory=dict)
    _found: _Found = fresh(factory=_Found)

    def copy(self) -> Facts:
        """Facts that may grow without these."""
        return Facts(dict(self._equal), dict(self._lower), dict(self._upper), self._found)

    # ---- what is learnt

    def equal(self, left: Sym | int, right: Sym | int) -> None:
        """``left == right``. Used where one side is a name times a number that divides the rest."""
        self._vanishes(added(self.terms(as_sym(left)), self.terms(as_sym(right)), -1))

    def divisible(self, value: Sym | int, divisor: int) -> None:
        """``value % divisor == 0`` for a number above 1."""
        terms = self.terms(as_sym(value))
        if len(terms) == 1 and len(terms[0][0]) == 1 and isinstance(terms[0][0][0], Name):
            atom = terms[0][0][0]
            step = divisor // gcd(divisor, terms[0][1])
            if step > 1:
                self._set(atom, (((Name(f"{atom.text}/{step}"),), step),))
            return
        quotient = divided(terms, (((), divisor),))
        self._vanishes(added(terms, scaled(quotient, divisor), -1))

    def at_least(self, value: Sym | int, bound: Sym | int) -> None:
        """``value >= bound``."""
        self._not_negative(added(self.terms(as_sym(value)), self.terms(as_sym(bound)), -1))

    def at_most(self, value: Sym | int, bound: Sym | int) -> None:
        """``value <= bound``."""
        self.at_least(bound, value)

    def loop(self, variable: Sym, start: Sym | int, stop: Sym | int, step: Sym | int = 1) -> None:
        """``variable`` runs through ``range(start, stop, step)`` with a positive step."""
        first, behind, by = as_sym(start), as_sym(stop), as_sym(step)
        if by.value is None or by.value <= 0:
            return
        if by.value == 1:
            self.at_least(variable, first)
            self.at_most(variable, behind - 1)
            return
        (atom,) = variable.atoms
        turn = Sym.atom(f"{rank(atom)}/{by.value}")
        self._set(atom, self.terms(first + turn * by))
        self.at_least(turn, 0)
        self.at_most(turn, (behind - first - 1) // by)

    def _vanishes(self, terms: Terms) -> None:
        """Solve ``terms == 0`` for a name; the youngest one in the order of names."""
        for monomial, coefficient in reversed(terms):
            if len(monomial) != 1 or not isinstance(monomial[0], Name):
                continue
            rest = tuple(term for term in terms if term[0] != monomial)
            if any(v % coefficient for _, v in rest) or monomial[0] in inner_atoms(rest):
                continue
            self._set(monomial[0], tuple((key, -v // coefficient) for key, v in rest))
            return
        for monomial, coefficient in terms:
            if len(monomial) == 1 and isinstance(monomial[0], Quotient) and abs(coefficient) == 1:
                rest = tuple(term for term in terms if term[0] != monomial)
                if monomial[0] not in inner_atoms(rest):
                    self._set(monomial[0], scaled(rest, -coefficient))
                    return

    def _set(self, atom: Atom, terms: Terms) -> None:
        self._equal[atom] = terms
        self._found = self._found.after("=", atom, terms)
        for bounds, sign in ((self._lower, 1), (self._upper, -1)):
            for bound in bounds.pop(atom, ()):
                self._not_negative(scaled(self._normal(added(terms, bound, -1)), sign))

    def _not_negative(self, terms: Terms) -> None:
        """Keep ``terms >= 0`` as a bound of each name (or quotient) in it with coefficient ±1."""
        for monomial, coefficient in terms:
            if len(monomial) != 1 or isinstance(monomial[0], Extreme):
                continue
            rest = tuple(term for term in terms if term[0] != monomial)
            if abs(coefficient) != 1:
                constant = constant_of(rest)
                if constant is None:
                    continue
                # c * a + r >= 0 bounds a by a number, rounded
                size = abs(coefficient)
                bound = -(constant // size) if coefficient > 0 else constant // size
                rest = ((((), bound)),) if bound else ()
            elif coefficient > 0:
                rest = scaled(rest, -1)
            self._found = self._found.after(">" if coefficient > 0 else "<", monomial[0], rest)
            where = self._lower if coefficient > 0 else self._upper
            where[monomial[0]] = (*where.get(monomial[0], ()), rest)

    # ---- what follows

    def terms(self, value: Sym) -> Terms:
        """The terms with everything replaced that is known to equal something simpler."""
        return self._normal(value.terms)

    def _normal(self, terms: Terms) -> Terms:
        if all(type(atom) is Name and atom not in self._equal for key, _ in terms for atom in key):
            return terms
        known = self._found.normal.get(terms)
        if known is not None:
            return known
        result = terms
        for _ in range(STEPS):
            found = substituted(result, self._equal)
            if found == result:
                break
            result = found
        self._found.normal[terms] = result
        return result

    def same(self, left: Sym | int, right: Sym | int) -> bool | None:
        """Whether they are equal; None when it cannot be known."""
        pair = as_sym(left).terms, as_sym(right).terms
        if pair[0] == pair[1]:
            return True
        if pair not in self._found.same:
            self._found.same[pair] = self._compared(*pair)
        return self._found.same[pair]

    def _compared(self, one: Terms, other: Terms) -> bool | None:
        difference = added(self._normal(one), self._normal(other), -1)
        constant = constant_of(difference)
        if constant is not None:
            return constant == 0
        lower = self._proves(added(difference, _MINUS_ONE))
        if lower or self._proves(added(scaled(difference, -1), _MINUS_ONE)):
            return False
        if self._proves(difference) and self._proves(scaled(difference, -1)):
            return True
        return None

    def holds_at_most(self, value: Sym | int, bound: Sym | int) -> bool:
        """Whether ``value <= bound`` is certain."""
        return self._proves(added(self.terms(as_sym(bound)), self.terms(as_sym(value)), -1))

    def holds_below(self, value: Sym | int, bound: Sym | int) -> bool:
        """Whether ``value < bound`` is certain."""
        return self.holds_at_most(as_sym(value) + 1, bound)

    def divides(self, divisor: Sym | int, value: Sym | int) -> bool:
        """Whether ``value % divisor == 0`` is certain."""
        terms, d = self.terms(as_sym(value)), self.terms(as_sym(divisor))
        return bool(d) and not added(terms, multiplied(divided(terms, d), d), -1)

    def least(self, *values: Sym) -> Sym:
        """``min(values)`` without those that are certainly not below another."""
        return minimum(*self._needed(list(values), 1))

    def greatest(self, *values: Sym) -> Sym:
        """``max(values)`` without those that are certainly not above another."""
        return maximum(*self._needed(list(values), -1))

    def _needed(self, values: list[Sym], sign: int) -> list[Sym]:
        kept: list[Sym] = []
        for value in values:
            if any(self._ordered(other, value, sign) for other in kept):
                continue
            kept = [other for other in kept if not self._ordered(value, other, sign)]
            kept.append(value)
        return kept

    def _ordered(self, left: Sym, right: Sym, sign: int) -> bool:
        return self.holds_at_most(left, right) if sign > 0 else self.holds_at_most(right, left)

    # ---- proofs

    def _proves(self, terms: Terms) -> bool:
        """Whether ``terms >= 0``."""
        found = self._found.proved.get(terms)
        if found is None:
            found = self._found.proved[terms] = self._search(terms)
        return found

    def _search(self, terms: Terms) -> bool:
        """Atoms are replaced by their bounds until a number is left."""
        seen: set[Terms] = set()
        waiting = [terms]
        while waiting and len(seen) < STEPS:
            current = waiting.pop(0)
            if current in seen:
                continue
            seen.add(current)
            if self._plain(current):
                return True
            split = self._split_extreme(current)
            if split is not None:
                if split[0] and all(self._proves(case) for case in split[1]):
                    return True
                if not split[0]:
                    waiting += split[1]
                continue
            waiting += self._weaker(current)
        return False

    def _plain(self, terms: Terms) -> bool:
        return all(
            coefficient >= 0 and all(self._sign_known(atom) for atom in monomial)
            for monomial, coefficient in terms
        )

    def _sign_known(self, atom: Atom) -> bool:
        """Whether the atom is certainly not negative."""
        if any((constant_of(bound) or -1) >= 0 or bound == () for bound in self._lower.get(atom, ())):
            return True
        if isinstance(atom, Quotient):
            d = constant_of(atom.denominator)
            return d is not None and d > 0 and self._plain(atom.numerator)
        return isinstance(atom, Extreme) and all(self._plain(each) for each in atom.arguments)

    def _split_extreme(self, terms: Terms) -> tuple[bool, list[Terms]] | None:
        """The cases of a minimum or maximum in the terms, and whether all of them must hold (or any)."""
        for monomial, coefficient in terms:
            for atom in monomial:
                if isinstance(atom, Extreme) and len(monomial) == 1:
                    every = (coefficient > 0) == (atom.function == "min")
                    return every, [_put(terms, atom, each) for each in atom.arguments]
        return None

    def _weaker(self, terms: Terms) -> Iterator[Terms]:
        """Expressions that are never greater: one atom replaced by a bound."""
        for monomial, coefficient in terms:
            for index, atom in enumerate(monomial):
                others = monomial[:index] + monomial[index + 1 :]
                if not all(self._sign_known(other) for other in others):
                    continue
                bounds = self._lower if coefficient > 0 else self._upper
                for bound in bounds.get(atom, ()):
                    change = multiplied(((others, coefficient),), added(bound, (((atom,), 1),), -1))
                    yield self._normal(added(terms, change))
                if not isinstance(atom, Quotient):
                    continue
                if not others:
                    yield from self._without_quotient(terms, atom, coefficient)
                elif atom.denominator == ((others, 1),):  # n - d + 1 <= d * (n // d) <= n, as d is above 0
                    low = added(added(atom.numerator, atom.denominator, -1), (((), 1),))
                    rest = tuple(term for term in terms if term[0] != monomial)
                    yield self._normal(added(rest, low if coefficient > 0 else atom.numerator, coefficient))

    def _without_quotient(self, terms: Terms, atom: Quotient, coefficient: int) -> Iterator[Terms]:
        """``n - d + 1 <= d * (n // d) <= n`` for a number d > 0; the whole expression times d if need be."""
        d = constant_of(atom.denominator)
        if d is None or d <= 0:
            return
        factor = 1 if coefficient % d == 0 else d
        rest = scaled(tuple(term for term in terms if term[0] != (atom,)), factor)
        low = added(atom.numerator, ((((), 1 - d)),) if d > 1 else ())
        yield self._normal(added(rest, low if coefficient > 0 else atom.numerator, coefficient * factor // d))


_MINUS_ONE: Terms = (((), -1),)


def _put(terms: Terms, atom: Atom, value: Terms) -> Terms:
    """The terms with an atom, where it stands alone, replaced."""
    coefficients: Mapping[Monomial, int] = dict(terms)
    rest = tuple(term for term in terms if term[0] != (atom,))
    return added(rest, value, coefficients[(atom,)])
