"""A rule of the language, and what its test may look at."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Scope:
    """What is known around a node.

    Attributes:
        imports: name → qualified name, of the module's imports. bound: names that the module or the function
            binds. sliced: local names that only ever hold a slice of a tensor.
    """

    imports: dict[str, str] = field(default_factory=dict)
    bound: frozenset[str] = frozenset()
    sliced: frozenset[str] = frozenset()

    def qualified(self, node: ast.AST) -> str:
        """The dotted name of an expression with its import resolved, "" when it is none."""
        if isinstance(node, ast.Name):
            return self.imports.get(node.id, "" if node.id in self.bound else node.id)
        if isinstance(node, ast.Attribute):
            owner = self.qualified(node.value)
            return f"{owner}.{node.attr}" if owner else ""
        return ""


def always(node: Any, scope: Scope) -> bool:
    """Holds for every node: the construct itself is what the language does not have."""
    return True


@dataclass(frozen=True)
class Rule:
    """One construct that the language does not have.

    Attributes:
        code: its name. nodes: classes of nodes that it looks at. text: what is wrong and what to write
            instead; ``{}`` stands for what ``found`` gives. found: False, or True, or what it found.
            level: error, or warning where the sources do not settle it.
    """

    code: str
    nodes: tuple[type[ast.AST], ...]
    text: str
    found: Callable[[Any, Scope], bool | str] = always
    level: str = ERROR
