"""One function of the language, rewritten."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from ...fresh_names import Taken
from ...model import ReplaceLines
from ...record import record
from ..analysis.values import Tensor
from ..changed import changed
from ..lowering.helpers import HELPERS
from ..reasons import Reason
from . import accumulation, assignments, blocks, foreseen, parameters, placers, programs
from .body import Lines
from .environment import Environment, bound_often
from .plan import Function, LanguageModule
from .values import Value
from .walker import Walker
from .writer import Goal, Shared, Writer

_WALKS = 4
"""How often a function is walked through at most."""


@record
class Translated:
    """What became of a function: edits of its body's lines, or reasons against.

    Attributes:
        returned: what its return statements give. calls: of functions of the file, with their parameters.
    """

    function: Function
    edits: tuple[ReplaceLines, ...]
    reasons: tuple[Reason, ...]
    notes: tuple[Reason, ...]
    returned: tuple[Value, ...]
    calls: tuple[tuple[str, Mapping[str, Value]], ...]


def walked(
    module: LanguageModule,
    function: Function,
    lines: Lines,
    shared: Shared,
    given: Sequence[Mapping[str, Value]],
) -> Translated:
    """Walk through a function's body; ``given`` is what each call in the file gives it.

    Where they all give the same, the walk that told what the function returns for that is the one.
    """
    contexts = {shared.context(function.node.name, call) for call in given}
    context = contexts.pop() if len(contexts) == 1 and not module.partial else None
    known: Translated | None = shared.walks.get(context) if context is not None else None
    if known is not None:
        return known
    cuts = shared.cuts
    found = _walked(module, function, lines, shared, given)
    if context is not None and shared.cuts == cuts:
        shared.walks[context] = found
    return found


def _walked(
    module: LanguageModule,
    function: Function,
    lines: Lines,
    shared: Shared,
    given: Sequence[Mapping[str, Value]],
) -> Translated:
    node = function.node
    taken, shared.taken = shared.taken, _reserved(module, function)
    indent = lines.indentation(node.body[0])
    unit = indent[len(lines.indentation(node)) :] or "    "
    uses = parameters.Uses(function, module.names, module.functions)
    env = Environment(bound_often(function), uses.integers(), uses.ranks())
    sums, preceded = accumulation.sums(function, module.names), accumulation.preceded(function, module.names)
    first = Walker(
        module, function, shared, env, lines, unit, Writer(shared, env, Goal("tile")), sums, preceded
    )
    for name, value in _starting(env, parameters.values(node, uses, function.kernel), given).items():
        assignments.bind(first, name, value)
        _cut(env, value)
    begin, last = _extent(node)
    w, new = _settled(first, begin - 1, indent)
    made = placers.made_in(module.placers, module.ctx, function)
    behind = len(lines.between(begin, node.body[0].end_lineno or 0)) if ast.get_docstring(node, False) else 0
    new[behind:behind] = [indent + line for line in made]
    edits = tuple(changed(module.ctx.source, lines.between(begin, last), new, begin))
    shared.taken = taken
    return Translated(function, edits, tuple(w.reasons), tuple(w.notes), tuple(w.returned), tuple(w.calls))


def _reserved(module: LanguageModule, function: Function) -> Taken:
    """Names that no new variable gets: of the file, the function, and functions that may be added."""
    return Taken((), module.taken, HELPERS, function.nodes.names)


def _starting(
    env: Environment, alone: dict[str, Value], given: Sequence[Mapping[str, Value]]
) -> dict[str, Value]:
    """What parameters stand for: what all calls give, or as the function itself tells."""
    found = dict(alone)
    for name in alone:
        values = [call[name] for call in given if name in call]
        if values:
            found[name] = values[0]
            for other in values[1:]:
                if other != found[name]:
                    found[name] = env.joined(name, found[name], other)
    return found


def _cut(env: Environment, value: Value) -> None:
    """A tile of which a mask left a part has at least one element, and not more than before."""
    if isinstance(value, Tensor) and value.shape is not None:
        for size, was in zip(value.shape, value.extents, strict=False):
            if was is not None and size.value is None:
                env.facts.at_least(size, 1)
                env.facts.at_most(size, was)


def _settled(start: Walker, after: int, indent: str) -> tuple[Walker, list[str]]:
    """A walk that finds tiles with block dimensions to belong where it took them to, and its lines.

    What is foreseen holds for most functions. Others are walked again with what was found. A partial
    migration leaves statements to a person, which are not walked to their ends: it takes what a walk finds
    that knows of no places.
    """
    partial = start.module.partial
    places, walks = ({}, 2) if partial else (foreseen.placings(start), _WALKS)
    for left in reversed(range(walks)):
        start.shared.taken = _reserved(start.module, start.function)
        w = start.again(places)
        lines = programs.walked(w, start.function.node, after, indent)
        found = blocks.placings(w)
        if not left or found.items() <= places.items():
            break
        places = found
        start.module.marked -= {(r.message, id(r.node)) for r in w.reasons}
    return w, lines


def _extent(node: ast.FunctionDef) -> tuple[int, int]:
    return node.body[0].lineno, node.end_lineno or node.lineno
