"""Which qualified name an expression denotes, as the file's imports spell it."""

from __future__ import annotations

import ast
from functools import lru_cache

from ...analysis.context import FileContext
from ...analysis.reaching import reaching
from ...analysis.scopes import Binding, Use
from ...record import cached_property

BETA1 = "neuronxcc.nki"
_SHORT = {
    f"{BETA1}.language": "nl",
    f"{BETA1}.isa": "nisa",
    f"{BETA1}.isa.constants": "nisa",
    f"{BETA1}.compiler": "ncc",
    f"{BETA1}.typing": "nt",
    BETA1: "nki",
}
_DEPTH = 8


class Names:
    """Resolves names and attributes of one file; strangers with the same spelling resolve to themselves."""

    def __init__(self, ctx: FileContext) -> None:
        self._ctx = ctx
        self._uses = {id(link): use for use in ctx.module.uses for link in use.links}
        self._known: dict[int, str] = {}
        self._bases: dict[tuple[Use, int], str] = {}
        self._targets: dict[tuple[Binding, int], str] = {}

    def place(self, node: ast.AST) -> tuple[Use, int] | None:
        """The chain that a node is a link of, and which."""
        use = self._uses.get(id(node))
        return None if use is None else (use, use.links.index(node))  # type: ignore[arg-type]

    @cached_property
    def calls(self) -> list[ast.Call]:
        """Every call of the file."""
        return [link for use in self._ctx.module.uses for link in use.links if link.__class__ is ast.Call]

    def qualified(self, node: ast.AST) -> str:
        """``neuronxcc.nki.language.load``, ``numpy.float32``, ``builtins.range``; else "".

        Names the file itself defines, other than aliases of imported ones, give "".
        """
        found = self._known.get(id(node))
        if found is not None:
            return found
        place = self.place(node)
        if place is None:
            return ""
        self._known[id(node)] = name = self._chain(*place, _DEPTH)
        return name

    def short(self, node: ast.AST) -> str:
        """As :meth:`qualified`, with the customary alias of the language's modules: ``nl.load``."""
        return _shortened(self.qualified(node))

    def _chain(self, use: Use, index: int, depth: int) -> str:
        first, *trailers = use.links[: index + 1]
        if not isinstance(first, ast.Name) or depth == 0:
            return ""
        parts = [link.attr for link in trailers if isinstance(link, ast.Attribute)]
        name = self._base(use, depth) if len(parts) == len(trailers) else ""
        return ".".join((name, *parts)) if name else ""

    def _base(self, use: Use, depth: int) -> str:
        found = self._bases.get((use, depth))
        if found is None:
            found = self._bases[use, depth] = self._first(use, depth)
        return found

    def _first(self, use: Use, depth: int) -> str:
        """What the name stands for that a chain starts with."""
        owner = self._ctx.module.lookup(use.name, use.scope)
        if owner is None:
            return f"builtins.{use.name}"
        targets = {self._bound(b, depth) for b in reaching(owner[1], use, owner[0])}
        ours = {t for t in targets if f"{t}.".startswith(f"{BETA1}.")}
        chosen = ours or targets
        return chosen.pop() if len(chosen) == 1 else ""

    def _bound(self, binding: Binding, depth: int) -> str:
        found = self._targets.get((binding, depth))
        if found is None:
            found = self._targets[binding, depth] = self._target(binding, depth)
        return found

    def _target(self, binding: Binding, depth: int) -> str:
        if binding.kind == "import" and binding.alias is not None:
            target = self._ctx.target(binding)
            plain = isinstance(binding.node, ast.Import) and not binding.alias.asname
            return target.partition(".")[0] if plain else target
        alone = binding.kind == "assign" and not binding.path and binding.value is not None
        found = self.place(binding.value) if alone and binding.value is not None else None
        return self._chain(*found, depth - 1) if found else ""


@lru_cache(maxsize=4096)
def _shortened(name: str) -> str:
    head, _, tail = name.rpartition(".")
    while head:
        if head in _SHORT:
            return f"{_SHORT[head]}.{tail}"
        head, _, more = head.rpartition(".")
        tail = f"{more}.{tail}"
    return name
