"""Integer expressions of trace time: sizes, loop variables, offsets.

A :class:`Sym` is a polynomial with integer coefficients over *atoms*, kept in a canonical form so that equal
values compare equal however they are spelled, together with the spelling the kernel's author chose. Atoms are
names, floor quotients, minima and maxima; a remainder is ``n - d * (n // d)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from math import gcd

from ...record import cached_property, record
from .spelling import (
    Binary,
    Call,
    Form,
    Leaf,
    leaves,
    minus,
    negated,
    number,
    number_of,
    plus,
    render,
    respelled,
    times,
)


@record
class Name:
    """Code without side effects that keeps its value, e.g. ``x.shape[0]``."""

    text: str


@record
class Quotient:
    """``numerator // denominator``."""

    numerator: Terms
    denominator: Terms

    @cached_property
    def _hash(self) -> int:
        return hash((self.numerator, self.denominator))

    def __hash__(self) -> int:
        return self._hash


@record
class Extreme:
    """The least (``min``) or greatest (``max``) of several expressions."""

    function: str
    arguments: tuple[Terms, ...]

    @cached_property
    def _hash(self) -> int:
        return hash((self.function, self.arguments))

    def __hash__(self) -> int:
        return self._hash


Atom = Name | Quotient | Extreme
Monomial = tuple[Atom, ...]
Terms = tuple[tuple[Monomial, int], ...]


@record
class Sym:
    """An integer expression.

    Attributes:
        terms: monomial (sorted atoms) → coefficient, without zeros; ``()`` is the constant's monomial.
        form: how it is written; not part of equality.
    """

    terms: Terms
    form: Form

    def __eq__(self, other: object) -> bool:
        return other.__class__ is Sym and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(self.terms)

    @classmethod
    def constant(cls, value: int, spelling: str | None = None) -> Sym:
        """A number, under the author's name for it if given."""
        terms: Terms = (((), value),) if value else ()
        return cls(terms, number(value) if spelling is None else Leaf(spelling, terms))

    @classmethod
    def atom(cls, name: str, spelling: str | None = None) -> Sym:
        """``name`` identifies a value; ``spelling`` is the code for it where that is not ``name``."""
        terms: Terms = (((Name(name),), 1),)
        return cls(terms, Leaf(name if spelling is None else spelling, terms))

    @classmethod
    def unwritten(cls, name: str) -> Sym:
        """A value that no code gives: what needs it in the new code is refused."""
        return cls.atom(name, "")

    def named(self, spelling: str) -> Sym:
        """The same value, written in another way."""
        return Sym(self.terms, Leaf(spelling, self.terms))

    def respelled(self, names: Mapping[Terms, str]) -> Sym:
        """The same value, written with the names that a kernel has for sizes: ``rows`` for ``x.shape[0]``."""
        form = respelled(self.form, names)
        return self if form is self.form else Sym(self.terms, form)

    @property
    def is_written(self) -> bool:
        """Whether there is code for it."""
        return all(leaf.text for leaf in leaves(self.form))

    @property
    def value(self) -> int | None:
        """The number, when it is one."""
        if not self.terms:
            return 0
        if len(self.terms) == 1 and self.terms[0][0] == ():
            return self.terms[0][1]
        return None

    @cached_property
    def text(self) -> str:
        """Code for it, as the author would write it."""
        return render(self.form)

    @property
    def atoms(self) -> frozenset[Atom]:
        """The atoms it consists of."""
        return frozenset(atom for monomial, _ in self.terms for atom in monomial)

    def __add__(self, other: Sym | int) -> Sym:
        return _sum(self, as_sym(other), 1)

    def __radd__(self, other: int) -> Sym:
        return as_sym(other) + self

    def __sub__(self, other: Sym | int) -> Sym:
        return _sum(self, as_sym(other), -1)

    def __rsub__(self, other: int) -> Sym:
        return as_sym(other) - self

    def __neg__(self) -> Sym:
        return Sym(scaled(self.terms, -1), negated(self.form))

    def __mul__(self, other: Sym | int) -> Sym:
        other = as_sym(other)
        terms = multiplied(self.terms, other.terms)
        return Sym(terms, times(self.form, other.form))

    def __rmul__(self, other: int) -> Sym:
        return as_sym(other) * self

    def __floordiv__(self, other: Sym | int) -> Sym:
        other = as_sym(other)
        return _spelled(divided(self.terms, other.terms), Binary("//", self.form, other.form))

    def __mod__(self, other: Sym | int) -> Sym:
        other = as_sym(other)
        whole = multiplied(divided(self.terms, other.terms), other.terms)
        terms = added(self.terms, whole, -1)
        return _spelled(terms, Binary("%", self.form, other.form))


def as_sym(value: Sym | int) -> Sym:
    """An integer as a Sym."""
    return value if isinstance(value, Sym) else _number(value)


@lru_cache(maxsize=1024, typed=True)
def _number(value: int) -> Sym:
    return Sym.constant(value)


ZERO = Sym.constant(0)
ONE = Sym.constant(1)


def minimum(*values: Sym | int) -> Sym:
    """``min(...)``."""
    return _extreme("min", [as_sym(value) for value in values])


def maximum(*values: Sym | int) -> Sym:
    """``max(...)``."""
    return _extreme("max", [as_sym(value) for value in values])


def ceil_div(numerator: Sym, denominator: Sym, spelling: str | None = None) -> Sym:
    """The quotient rounded up, written ``(n + d - 1) // d`` unless ``spelling`` says otherwise."""
    found = (numerator + denominator - 1) // denominator
    return found if spelling is None else found.named(spelling)


def product(values: Iterable[Sym]) -> Sym:
    """All multiplied."""
    found = ONE
    for value in values:
        found = found * value
    return found


def exactly(terms: Terms, *vocabulary: Sym) -> Sym:
    """These terms, written with the names that occur in the expressions given."""
    return Sym(terms, _written(terms, [each.form for each in vocabulary]))


# ---- Terms: the arithmetic


def substituted(terms: Terms, values: Mapping[Atom, Terms]) -> Terms:
    """The terms with atoms replaced, each once, also inside of quotients and extremes."""
    total: Terms = ()
    for monomial, coefficient in terms:
        part: Terms = (((), coefficient),)
        for atom in monomial:
            part = multiplied(part, _substitute(atom, values))
        total = added(total, part)
    return total


def _substitute(atom: Atom, values: Mapping[Atom, Terms]) -> Terms:
    if atom in values:
        return values[atom]
    if isinstance(atom, Quotient):
        return divided(substituted(atom.numerator, values), substituted(atom.denominator, values))
    if isinstance(atom, Extreme):
        return extreme_of(atom.function, [substituted(each, values) for each in atom.arguments])
    return (((atom,), 1),)


def inner_atoms(terms: Terms) -> Iterator[Atom]:
    """Its atoms, and those inside of quotients and extremes."""
    for monomial, _ in terms:
        for atom in monomial:
            yield atom
            if isinstance(atom, Quotient):
                yield from inner_atoms(atom.numerator)
                yield from inner_atoms(atom.denominator)
            elif isinstance(atom, Extreme):
                for each in atom.arguments:
                    yield from inner_atoms(each)


def collected(terms: Mapping[Monomial, int]) -> Terms:
    """Canonical terms."""
    return tuple(sorted(((k, v) for k, v in terms.items() if v), key=_order))


def _order(term: tuple[Monomial, int]) -> tuple[str, ...]:
    return tuple(rank(atom) for atom in term[0])


def added(left: Terms, right: Terms, factor: int = 1) -> Terms:
    """``left + factor * right``."""
    if not right:
        return left
    if not left:
        return scaled(right, factor)
    if len(right) == 1 and right[0][0] == ():
        return _plus_number(left, right[0][1] * factor)
    total = dict(left)
    for key, value in right:
        total[key] = total.get(key, 0) + factor * value
    return collected(total)


def _plus_number(terms: Terms, value: int) -> Terms:
    """A number added: its monomial is the first in the order."""
    first, number = terms[0]
    if first != ():
        return (((), value), *terms) if value else terms
    return (((), number + value), *terms[1:]) if number + value else terms[1:]


def scaled(terms: Terms, factor: int) -> Terms:
    """``terms * factor``."""
    return tuple((key, value * factor) for key, value in terms) if factor else ()


def multiplied(left: Terms, right: Terms) -> Terms:
    """``left * right``."""
    for one, other in ((left, right), (right, left)):
        number = constant_of(one)
        if number is not None:
            return scaled(other, number)
    total: dict[Monomial, int] = {}
    for first, a in left:
        for second, b in right:
            key = tuple(sorted(first + second, key=rank))
            total[key] = total.get(key, 0) + a * b
    return collected(total)


def divided(numerator: Terms, denominator: Terms) -> Terms:
    """``numerator // denominator``: what divides is divided, the rest becomes a Quotient."""
    if len(denominator) == 1:
        whole, rest = _split(numerator, denominator[0])
    elif numerator == denominator:
        return _constant(1)
    else:
        whole, rest = (), numerator
    return added(whole, _quotient(rest, denominator))


def _split(numerator: Terms, divisor: tuple[Monomial, int]) -> tuple[Terms, Terms]:
    """``(q, r)`` with ``numerator == q * divisor + r``, where r has no term that the divisor divides."""
    atoms, d = divisor
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for monomial, c in numerator:
        left = _without(monomial, atoms)
        q = 0 if left is None else (c // d if monomial == () or c % d == 0 else 0)
        if left is not None and q:
            whole[left] = q
        rest[monomial] = c - q * d
    return collected(whole), collected(rest)


def _without(monomial: Monomial, atoms: Monomial) -> Monomial | None:
    found = list(monomial)
    for atom in atoms:
        if atom not in found:
            return None
        found.remove(atom)
    return tuple(found)


def _quotient(numerator: Terms, denominator: Terms) -> Terms:
    if not numerator:
        return ()
    n, d = constant_of(numerator), constant_of(denominator)
    if n is not None and d:
        return _constant(n // d)
    if d and d > 0:
        common = gcd(d, *(value for key, value in numerator if key))
        if common > 1:  # what is left over by the common divisor cannot reach the next multiple
            numerator = tuple((k, v // common) for k, v in numerator if v // common)
            denominator = _constant(d // common)
            if d == common:
                return numerator
            return divided(numerator, denominator)
        inner = _inner_quotient(numerator, d)
        if inner is not None:
            return inner
    return (((Quotient(numerator, denominator),), 1),)


def _inner_quotient(numerator: Terms, d: int) -> Terms | None:
    """``(n // a) // d`` is ``n // (a * d)`` for positive numbers."""
    if len(numerator) == 1 and numerator[0][1] == 1 and len(numerator[0][0]) == 1:
        atom = numerator[0][0][0]
        if isinstance(atom, Quotient):
            a = constant_of(atom.denominator)
            if a is not None and a > 0:
                return divided(atom.numerator, _constant(a * d))
    return None


def constant_of(terms: Terms) -> int | None:
    """The number, when the terms are one."""
    if not terms:
        return 0
    return terms[0][1] if len(terms) == 1 and terms[0][0] == () else None


def _constant(value: int) -> Terms:
    return (((), value),) if value else ()


def extreme_of(function: str, arguments: Iterable[Terms]) -> Terms:
    """``min`` or ``max``; arguments that differ by a number are one."""
    kept: list[Terms] = []
    for candidate in arguments:
        for index, other in enumerate(kept):
            apart = constant_of(added(candidate, other, -1))
            if apart is not None:
                if (apart < 0) == (function == "min"):
                    kept[index] = candidate
                break
        else:
            kept.append(candidate)
    if len(kept) == 1:
        return kept[0]
    kept.sort(key=terms_code)
    return (((Extreme(function, tuple(kept)),), 1),)


# ---- Spelling


def _sum(left: Sym, right: Sym, sign: int) -> Sym:
    terms = added(left.terms, right.terms, sign)
    form = plus(left.form, right.form) if sign > 0 else minus(left.form, right.form)
    cancelled = {key for key, _ in left.terms} & {key for key, _ in right.terms}
    if cancelled:
        cancelled -= {key for key, _ in terms}
    if cancelled - {()} or (cancelled and sign < 0 and number_of(right.form) is None):
        form = _shorter(terms, form, [left.form, right.form])
    return Sym(terms, form)


def _spelled(terms: Terms, form: Binary) -> Sym:
    """The form, or a shorter one when the division came out even."""
    if constant_of(terms) is not None and all(number_of(x) is not None for x in (form.left, form.right)):
        return Sym(terms, number(constant_of(terms) or 0))
    plain = not any(isinstance(atom, Quotient) for key, _ in terms for atom in key)
    if plain and not (isinstance(form.left, Leaf) and isinstance(form.right, Leaf)):
        return Sym(terms, _shorter(terms, form, [form.left, form.right]))
    return Sym(terms, form)


def _shorter(terms: Terms, form: Form, vocabulary: list[Form]) -> Form:
    """Terms in the names of the vocabulary, or the form where one of them has no name (``tile@2``)."""
    written = _written(terms, vocabulary)
    return form if any("@" in leaf.text for leaf in leaves(written)) else written


def _extreme(function: str, values: list[Sym]) -> Sym:
    terms = extreme_of(function, [value.terms for value in values])
    for value in values:
        if value.terms == terms:
            return value
    distinct: dict[Terms, Form] = {value.terms: value.form for value in values}
    return Sym(terms, Call(function, tuple(distinct.values())))


def _written(terms: Terms, vocabulary: Iterable[Form]) -> Form:
    """Terms in the names that the forms use."""
    words: dict[object, Form] = {}
    for form in vocabulary:
        for leaf in leaves(form):
            if leaf.key is not None:
                words.setdefault(leaf.key, leaf)
    if terms in words:
        return words[terms]
    found: Form = number(0)
    for monomial, coefficient in sorted(terms, key=lambda term: (term[1] < 0, -len(term[0]))):
        part = _written_product(monomial, abs(coefficient), words)
        found = plus(found, part) if coefficient > 0 else minus(found, part)
    return found


def _written_product(monomial: Monomial, coefficient: int, words: Mapping[object, Form]) -> Form:
    found: Form = number(1)
    for atom in monomial:
        key: Terms = (((atom,), 1),)
        found = times(found, words.get(key) or _written_atom(atom, words))
    if coefficient == 1:
        return found
    return times(found, words.get(_constant(coefficient)) or number(coefficient))


def _written_atom(atom: Atom, words: Mapping[object, Form]) -> Form:
    known = list(words.values())
    if isinstance(atom, Quotient):
        return Binary("//", _written(atom.numerator, known), _written(atom.denominator, known))
    if isinstance(atom, Extreme):
        return Call(atom.function, tuple(_written(each, known) for each in atom.arguments))
    return Leaf(atom.text, (((atom,), 1),))


@lru_cache(maxsize=8192)
def rank(atom: Atom) -> str:
    """The order of an atom among others."""
    return f"{render(_written_atom(atom, {}))} {type(atom).__name__}"


@lru_cache(maxsize=8192)
def terms_code(terms: Terms) -> str:
    """Canonical code of terms."""
    return render(_written(terms, ()))
