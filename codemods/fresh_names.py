"""Names for variables that a rewrite introduces."""

from __future__ import annotations

from collections.abc import Container, Iterable

from .analysis.context import FileContext
from .analysis.scopes import Scope


class Taken(set[str]):
    """Names that mean something already, as those in ``others`` do."""

    def __init__(self, names: Iterable[str] = (), *others: Container[str]) -> None:
        super().__init__(names)
        self._others = others
        self._numbers: dict[str, int] = {}
        self._log: list[tuple[str, str, int]] = []

    @property
    def given(self) -> int:
        """How many names have been given: a mark for :meth:`give_back`."""
        return len(self._log)

    def fresh(self, hint: str) -> str:
        """``hint``, or with a number behind it, so that it means nothing yet; then taken."""
        name, number = hint, self._numbers.get(hint, 1)
        before = number
        while name in self or any(name in names for names in self._others):
            number += 1
            name = f"{hint}_{number}"
        self._numbers[hint] = number
        self._log.append((name, hint, before))
        self.add(name)
        return name

    def give_back(self, given: int) -> None:
        """Names that have been given since a mark mean nothing again."""
        while len(self._log) > given:
            name, hint, self._numbers[hint] = self._log.pop()
            self.discard(name)


def fresh_name(ctx: FileContext, scope: Scope, wanted: str) -> str:
    """``wanted``, or with a number behind it, so that it means nothing yet in the scope; then taken."""
    taken = _taken(ctx).setdefault(scope, set())
    name, number = wanted, 2
    while name in taken or _known(ctx, scope, name):
        name, number = f"{wanted}_{number}", number + 1
    taken.add(name)
    return name


def _taken(ctx: FileContext) -> dict[Scope, set[str]]:
    return ctx.memory.setdefault("fresh names", {})  # type: ignore[no-any-return]


def _known(ctx: FileContext, scope: Scope, name: str) -> bool:
    """Whether the scope binds a name, or it or a scope in it uses it."""
    if name in scope.bindings or name in scope.declared:
        return True
    uses = ctx.module.by_name.get(name, ())
    return any(here is scope for use in uses for here in _chain(use.scope))


def _chain(scope: Scope | None) -> list[Scope]:
    found = []
    while scope is not None:
        found.append(scope)
        scope = scope.parent
    return found
