"""Integer expressions of trace time: sizes, loop variables, offsets.

A :class:`Sym` is a polynomial with integer coefficients over *atoms*, kept in a canonical form so that equal
sizes compare equal however they are spelled, together with the spelling the kernel's author chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Monomial = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sym:
    """An integer expression.

    Attributes:
        terms: monomial (sorted atoms) → coefficient, without zeros; ``()`` is the constant's monomial.
        spelling: code for it as written by the author; not part of equality.
    """

    terms: tuple[tuple[Monomial, int], ...]
    spelling: str | None = field(default=None, compare=False)

    @classmethod
    def constant(cls, value: int, spelling: str | None = None) -> Sym:
        return cls((((), value),) if value else (), spelling)

    @classmethod
    def atom(cls, name: str, spelling: str | None = None) -> Sym:
        """``name`` is code without side effects that keeps its value, e.g. ``x.shape[0]``."""
        return cls((((name,), 1),), spelling)

    @property
    def value(self) -> int | None:
        """The number, when it is one."""
        if not self.terms:
            return 0
        if len(self.terms) == 1 and self.terms[0][0] == ():
            return self.terms[0][1]
        return None

    def __add__(self, other: Sym) -> Sym:
        return _sum(self, other, 1)

    def __sub__(self, other: Sym) -> Sym:
        return _sum(self, other, -1)

    def __mul__(self, other: Sym) -> Sym:
        product: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in other.terms:
                key = tuple(sorted(left + right))
                product[key] = product.get(key, 0) + a * b
        return _made(product)


def _sum(left: Sym, right: Sym, sign: int) -> Sym:
    total = dict(left.terms)
    for key, value in right.terms:
        total[key] = total.get(key, 0) + sign * value
    return _made(total)


def _made(terms: Mapping[Monomial, int]) -> Sym:
    return Sym(tuple(sorted((k, v) for k, v in terms.items() if v)))
