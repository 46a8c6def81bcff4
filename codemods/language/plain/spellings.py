"""How a file spells functions of libraries that the rules ask for."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Set

from ...record import cached_property
from ...trees import last_name
from ..translate.plan import LanguageModule

_GRIDS = ("nl.arange", "nl.mgrid")
_PRODUCTS = ("math.prod", "numpy.prod")
_FOLDS = ("functools.reduce",)
_OPERATORS = {"operator.mul": "*", "operator.add": "+", "operator.sub": "-"}


class Spellings:
    """Code that denotes such functions in a file; looked for when it is asked for."""

    def __init__(self, module: LanguageModule) -> None:
        self._module = module

    @cached_property
    def grids(self) -> Set[str]:
        """What makes index tiles."""
        return self._of(*_GRIDS).keys()

    @cached_property
    def products(self) -> Set[str]:
        """What multiplies the items of something."""
        return self._of(*_PRODUCTS).keys()

    @cached_property
    def folds(self) -> Set[str]:
        """What combines the items of something by a function."""
        return self._of(*_FOLDS).keys()

    @cached_property
    def operators(self) -> Mapping[str, str]:
        """Functions that do what a sign does, and the sign."""
        return {code: _OPERATORS[name] for code, name in self._of(*_OPERATORS).items()}

    def _of(self, *names: str) -> Mapping[str, str]:
        """Code that denotes functions of these names → the name."""
        last = {name.rpartition(".")[2] for name in names}
        if not any(word in self._module.ctx.source.text for word in last):
            return {}
        found: dict[str, str] = {}
        aliases = self._aliases(last)
        for link in (link for use in self._module.ctx.module.uses for link in use.links):
            named = link.attr in last if isinstance(link, ast.Attribute) else last_name(link) in aliases
            if named and (name := self._module.names.short(link)) in names:
                found[ast.unparse(link)] = name
        return found

    def _aliases(self, last: Set[str]) -> Set[str]:
        """Names without a dot that may denote something that ends with one of these."""
        found: set[str] = set()
        for scope in {*self._module.ctx.module.scope_of.values()}:
            for binding in (each for same in scope.bindings.values() for each in same):
                imported = binding.alias is not None and binding.alias.name.rpartition(".")[2] in last
                value = binding.value if binding.kind == "assign" else None
                if (
                    imported
                    or isinstance(value, ast.Name)
                    or (value is not None and last_name(value) in last)
                ):
                    found.add(binding.name)
        return found
