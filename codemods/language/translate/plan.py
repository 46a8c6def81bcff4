"""What the host's side of a file asks of a kernel's body."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...analysis.context import FileContext
from .names import Names


@dataclass(frozen=True, slots=True)
class Plan:
    """How a kernel is launched and what its callers expect, as far as its body must change for it.

    Attributes:
        grid: for each axis of the launch grid that becomes a loop in the kernel, code for its extent in terms
            of the kernel's parameters; empty when programs stay programs.
        returned: parameters written in place that the kernel returns from now on.
    """

    grid: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()


@dataclass
class Function:
    """A function that is written in the language.

    Attributes:
        node: its definition. kernel: whether it is decorated to be launched (otherwise kernels call it).
        callers: calls of it from other functions of the language in this file.
        plan: see :class:`Plan`.
    """

    node: ast.FunctionDef
    kernel: bool
    callers: list[ast.Call] = field(default_factory=list)
    plan: Plan = field(default_factory=Plan)


@dataclass
class LanguageModule:
    """A file with kernels, as the walker and the host's side see it.

    Attributes:
        ctx: the file. names: resolves its names.
        functions: those written in the language, by the name of the definition, in the order of the file.
        needs: the modules that rewritten code spells by their customary alias, filled in by the walker:
            ``nki.language`` (``nl``), ``nki.isa`` (``nisa``), and the helper functions it calls.
    """

    ctx: FileContext
    names: Names
    functions: Mapping[str, Function]
    needs: set[str] = field(default_factory=set)
    helpers: dict[str, str] = field(default_factory=dict)
