"""Spellings of names that may lead to something affected.

From the names that do, others follow: of bindings whose value mentions one, of functions that return one, of
what is tested for being one. Spelling alone decides which bindings are asked for their value, and that takes
one look-up for each new name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from ..patterns import pattern
from .evaluate import Evaluator
from .scopes import Binding, Module, Use

_WORD = pattern(r"[A-Za-z_]\w*")


def spread(names: Iterable[str], module: Module, evaluator: Evaluator) -> frozenset[str]:
    """The names, and all that follow from them; those of attributes have a dot in front."""
    spreading = _Spreading(module, evaluator)
    spreading.add(names)
    grown = True
    while grown:
        before = len(spreading.names)
        spreading.through_bindings()
        spreading.through_returns()
        spreading.through_tests()
        spreading.through_bases()
        grown = len(spreading.names) > before
    return frozenset(spreading.names)


class _Agenda:
    """Places to look at in rounds, each once. A round goes from front to back; what comes up behind it waits
    for the next one.
    """

    def __init__(self) -> None:
        self._put: set[int] = set()
        self._round: list[int] = []
        self._next: list[int] = []
        self._at = -1

    def put(self, place: int) -> None:
        if place not in self._put:
            self._put.add(place)
            heappush(self._round if place > self._at else self._next, place)

    def round(self) -> Iterator[int]:
        while self._round:
            self._at = heappop(self._round)
            yield self._at
        self._at = -1
        self._round, self._next = self._next, self._round


class _Spreading:
    """The names so far, and what is to be looked at because it spells one of them."""

    def __init__(self, module: Module, evaluator: Evaluator) -> None:
        self.names: set[str] = set()
        self._module = module
        self._evaluator = evaluator
        stored = (*module.attributes.values(), *module.items.values())
        self._bindings = (*module.bindings, *(b for group in stored for b in group))
        self._to_evaluate = _Agenda()
        self._returning = _Agenda()
        self._owners: dict[int, Use] = {}
        self._tested = _tested(module)
        self._classes = {binding.name for binding in module.bindings if binding.kind == "class"}
        self._mentioning: dict[ast.stmt | None, list[tuple[int, int, int]]] = {}
        self._annotating: dict[str, list[int]] = {}
        mentioning = self._mentioning
        for place, binding in enumerate(self._bindings):
            start, end = binding.mentions
            if start < end:
                mentioning.setdefault(binding.stmt, []).append((place, start, end))
            if binding.annotation.__class__ is ast.Constant:
                text = _text(binding.annotation)
                for word in _WORD.findall(text) if text else ():
                    self._annotating.setdefault(word, []).append(place)

    def add(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.names:
                self.names.add(name)
                for use in self._module.spelling(name):
                    self._mentioned(use)
                for place in self._annotating.get(name, ()):
                    self._to_evaluate.put(place)

    def _mentioned(self, use: Use) -> None:
        """A use spells one of the names."""
        order = use.order
        for place, start, end in self._mentioning.get(use.stmt, ()):
            if start < order <= end:
                self._to_evaluate.put(place)
        if use.scope.kind == "function" and (
            use.stmt.__class__ is ast.Return or use.scope.node.__class__ is ast.Lambda
        ):
            self._owners[order] = use
            self._returning.put(order)

    def through_bindings(self) -> None:
        """What bindings bind whose values mention a name, unless these are known to be something else."""
        for place in self._to_evaluate.round():
            binding = self._bindings[place]
            attribute = binding.target.__class__ is ast.Attribute
            spellings = _spellings(binding, f".{binding.name}" if attribute else binding.name)
            if not spellings <= self.names and self._evaluator.binding(binding) is not None:
                self.add(spellings)

    def through_returns(self) -> None:
        """What functions that return a name are called."""
        for order in self._returning.round():
            scope = self._owners[order].scope
            method = scope.parent is not None and scope.parent.kind == "class"
            self.add((scope.name, f".{scope.name}") if method else (scope.name,))

    def through_tests(self) -> None:
        """Names that are tested for being an object of an affected class."""
        for name, kinds in self._tested:
            if kinds & self.names:
                self.add((name,))

    def through_bases(self) -> None:
        """``super()``, where a class derives from something that has one of the names."""
        if "super" not in self._module.by_name:
            return
        if not self.names.isdisjoint(self._classes):
            self.add(("super",))


def _tested(module: Module) -> list[tuple[str, set[str]]]:
    """Names that are the subject of ``isinstance``, with the names in the tests."""
    found = []
    for use in module.by_name.get("isinstance", ()):
        call = use.links[1] if len(use.links) > 1 else None
        if isinstance(call, ast.Call) and len(call.args) == 2 and isinstance(call.args[0], ast.Name):
            kinds = {n.id for n in ast.walk(call.args[1]) if isinstance(n, ast.Name)}
            found.append((call.args[0].id, kinds))
    return found


def _text(annotation: ast.expr | None) -> str:
    """What an annotation spells as a string."""
    value = annotation.value if isinstance(annotation, ast.Constant) else ""
    return value if isinstance(value, str) else ""


def _spellings(binding: Binding, key: str) -> set[str]:
    """How a bound name may be spelled: also as an attribute of its class, and a class as its methods' first
    parameter.
    """
    found = {key, f".{key}"} if binding.scope.kind == "class" else {key}
    if not isinstance(binding.node, ast.ClassDef):
        return found
    methods = [m for m in binding.node.body if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef)]
    return found | {a.arg for m in methods for a in (*m.args.posonlyargs, *m.args.args)[:1]}
