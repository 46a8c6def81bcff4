"""What the host's side of a file asks of a kernel's body."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING

from ...analysis.context import FileContext
from ...elsewhere import Kernel, Seen
from ...fresh_names import Taken
from ...record import cached_property, fresh, record
from ..step import LanguageStep
from .names import Names
from .nodes import Nodes

if TYPE_CHECKING:
    from .placers import Placer


class Staying(Enum):
    """An import that only code uses which stays in the old language.

    ``KEPT``: it stays as it is. ``OTHER_NAME``: the code has another name for it from now on.
    """

    KEPT = 1
    OTHER_NAME = 2


@record
class Plan:
    """How a kernel is launched and what its callers expect, as far as its body must change for it.

    Attributes:
        grid: for each axis of the launch grid that becomes a loop in the kernel, code for its extent in terms
            of the kernel's parameters; empty when programs stay programs.
        returned: parameters written in place that the kernel returns from now on.
        outputs: those of them that callers have to take from what it returns.
        looped: whether its launches have no grid any more, as programs are loops in it or make no difference.
    """

    grid: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    looped: bool = False


@record(frozen=False)
class Function:
    """A function that is written in the language.

    Attributes:
        node: its definition. kernel: whether it is decorated to be launched (otherwise kernels call it).
        callers: calls of it from other functions of the language in this file.
        plan: see :class:`Plan`.
        inner: kernels that are defined in it and stay as they are; it is code of the host's then.
        around: functions of the host that a kernel is defined in, the outermost first.
        used: by way and parameter, whether it uses parameters in some way (see :mod:`.parameters`).
    """

    node: ast.FunctionDef
    kernel: bool
    callers: list[ast.Call] = fresh(factory=list)
    inner: tuple[Function, ...] = ()
    around: tuple[ast.FunctionDef, ...] = ()
    plan: Plan = fresh(factory=Plan)
    used: dict[tuple[object, str], bool] = fresh(factory=dict)

    @cached_property
    def nodes(self) -> Nodes:
        """Everything in it."""
        return Nodes(self.node)


@record(frozen=False)
class LanguageModule:
    """A file with kernels, as the walker and the host's side see it.

    Attributes:
        ctx: the file. names: resolves its names. step: what changed in the language.
        functions: those written in the language, by the name of the definition, in the order of the file.
        numbers: those that are bound once at the top of the file. changing: names that functions rebind.
        placers: objects that say where tiles lie, by name.
        needs: modules that rewritten code spells, filled in while functions are walked: the aliases
            ``nl``, ``nisa``, ``nki``, or a module by its name.
        helpers: helper functions that it calls → their names in the file.
        texts: of nodes, on one line.
        elsewhere: kernels of other files as this one spells them.
        launches: for kernels of this file that other files use, the grids they launch them with.
        partial: places that need a person are left as they are, with a comment.
        marked_before: an earlier run left such comments, which a person has to take away first.
        marked: the reasons that have one, by message and place.
        staying: what becomes of imports that only code uses which stays, by their local and imported names.
    """

    ctx: FileContext
    names: Names
    step: LanguageStep
    functions: Mapping[str, Function]
    numbers: Mapping[str, int | float] = fresh(factory=dict)
    changing: frozenset[str] = frozenset()
    placers: Mapping[str, Placer] = fresh(factory=dict)
    needs: set[str] = fresh(factory=set)
    helpers: dict[str, str] = fresh(factory=dict)
    texts: dict[ast.AST, str] = fresh(factory=dict)
    elsewhere: Mapping[str, Kernel] = fresh(factory=dict)
    launches: Mapping[str, frozenset[Seen]] = fresh(factory=dict)
    partial: bool = False
    marked_before: bool = False
    marked: set[tuple[str, int]] = fresh(factory=set)
    staying: Mapping[tuple[str, str], Staying] = fresh(factory=dict)

    @property
    def unit(self) -> str:
        """What the file indents by."""
        for function in self.functions.values():
            node = function.node
            if node.body[0].lineno > node.lineno:
                line = self.ctx.source.lines[node.body[0].lineno - 1]
                return line[node.col_offset : node.body[0].col_offset] or "    "
        return "    "

    def helper(self, name: str) -> str:
        """The name that the file has a helper function under, which is added to it."""
        if name not in self.helpers:
            self.helpers[name] = Taken(self._bound).fresh(name)
        return self.helpers[name]

    @cached_property
    def taken(self) -> frozenset[str]:
        """Names that are bound at the top of the file and mean something where they stand alone."""
        module = self.ctx.module
        return frozenset({n.id for n in module.nodes if isinstance(n, ast.Name)} & module.top.bindings.keys())

    @cached_property
    def _bound(self) -> frozenset[str]:
        """Names that anything in the file is bound to, wherever."""
        nodes = self.ctx.module.nodes
        stored = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
        return self.taken | stored | {n.arg for n in nodes if isinstance(n, ast.arg)}

    def import_name(self, name: str) -> str:
        """The name that the file has a module of the new language under."""
        self.needs.add(name)
        return {"nki.tensor": "ntensor"}.get(name, name.rpartition(".")[2])
