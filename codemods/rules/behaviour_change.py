"""What behaves differently in the new release although the text may stay as it is.

What it does
    Names the calls, imports and tests concerned, and says what changed and what to do or to expect. Nothing
    is rewritten.

Why
    Such changes are the ones that nobody notices: an activation that 2.27 ignored is honoured, a check that
    failed passes now, an address moves.

Before
        from nkilib.core.mlp.mlp import mlp
        from nkilib.core.utils.common_types import ActFnType

        mlp(x, gate, up, down, activation_fn=ActFnType.GELU)

After
    Unchanged, with the note that 2.27 computed SiLU here and 2.28 computes GELU.

When it stays silent
    When an argument is proven to have the value for which nothing changed, and where it only may be passed,
    inside ``*args`` or ``**kwargs``. What concerns all uses of a name is said once for a file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from ..analysis import values as v
from ..analysis.context import Call, FileContext
from ..analysis.scopes import Use
from ..arguments import Reached, reached
from ..expected_failures import expectations, expected_to_fail, is_expecting
from ..model import Finding, Outcome
from ..release import Behaviour, Release
from ..signature import Signature

CODE = "NKM501"
Table = Mapping[str, tuple[Behaviour, ...]]


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each place and change."""
    calls = ctx.release.behaviours_of("call", "method", "raises")
    known = ctx.release.once(_signatures)
    for call in ctx.calls:
        for target in reached(ctx, call, known):
            yield from _called(ctx, call, target, calls[target.name])
    yield from _handed_over(ctx, calls)
    yield from _imported(ctx, ctx.release.behaviours_of("import"))
    yield from _told_apart(ctx, ctx.release.behaviours_of("members"))
    yield from _matched(ctx, ctx.release.behaviours_of("match"))


def _signatures(release: Release) -> Mapping[str, Signature | None]:
    """Of all callables whose calls changed, where it is not the table's own one for changed calls."""
    calls = release.behaviours_of("call", "method", "raises")
    return {name: next((b.signature for b in found if b.signature), None) for name, found in calls.items()}


def _finding(ctx: FileContext, node: ast.AST, behaviour: Behaviour) -> Finding:
    outcome = Outcome(behaviour.outcome)
    return ctx.finding(CODE, node, behaviour.message, outcome=outcome, step=behaviour.step)


# -- calls --------------------------------------------------------------------------------------------


def _called(
    ctx: FileContext, call: Call, target: Reached, behaviours: tuple[Behaviour, ...]
) -> Iterator[Finding]:
    for behaviour in behaviours:
        failing = behaviour.kind != "raises" or expected_to_fail(ctx, call.node, call.use)
        if failing and _concerned(ctx, call.use, target, behaviour):
            yield _finding(ctx, call.node, behaviour)


def _concerned(ctx: FileContext, use: Use, target: Reached, behaviour: Behaviour) -> bool:
    """Whether the arguments are those that the change is about."""
    given = target.given.get(behaviour.parameter)
    if behaviour.when == "always":
        return True
    if behaviour.when == "missing":
        other = not behaviour.value or behaviour.value in target.passed
        return target.closed and behaviour.parameter not in target.passed and other
    if given is None:
        return False
    if behaviour.when == "computed":
        return not isinstance(ctx.evaluator.at(given, use), v.Constant)
    if behaviour.when == "passed":
        return True
    return _is(ctx.evaluator.at(given, use), behaviour.value) == (behaviour.when == "equals")


def _is(value: v.Value, expected: str) -> bool:
    """Whether a value is proven to be a literal or an enum's member; strings may spell the member's name."""
    if isinstance(value, v.Symbol):
        return value.name == expected
    if not isinstance(value, v.Constant):
        return False
    if "." in expected:
        return str(value.value).lower() == expected.rpartition(".")[2].lower()
    return repr(value.value) == repr(ast.literal_eval(expected))


def _handed_over(ctx: FileContext, table: Table) -> Iterator[Finding]:
    """``assertRaises(AssertionError, function, …)``."""
    for use in ctx.uses:
        call = ctx.parent(use.top)
        if isinstance(call, ast.Call) and is_expecting(call) and use.top in call.args[1:2]:
            for callee in v.callees(ctx.evaluator.use(use)) or ():
                for behaviour in table.get(callee.name, ()):
                    if behaviour.kind == "raises":
                        yield _finding(ctx, call, behaviour)


# -- files --------------------------------------------------------------------------------------------


def _imported(ctx: FileContext, table: Table) -> Iterator[Finding]:
    """What concerns every use of a name, at the first place that names it."""
    places: dict[str, ast.AST] = {}
    for found in ctx.imports:
        places.setdefault(_canonical(ctx, found.target), found.alias)
    for reference in ctx.references:
        places.setdefault(reference.symbol, reference.node)
    said: set[str] = set()
    for name, node in places.items():
        for behaviour in table.get(name, ()):
            if behaviour.id not in said:
                said.add(behaviour.id)
                yield _finding(ctx, node, behaviour)


def _canonical(ctx: FileContext, target: str) -> str:
    return ctx.release.defining(ctx.release.canonical(target))


def _told_apart(ctx: FileContext, table: Table) -> Iterator[Finding]:
    """Tables and ``match`` statements that list the members of an enumeration, at the first member."""
    seen: set[tuple[int, str]] = set()
    for reference in ctx.references:
        parent = ctx.parent(reference.use.top)
        key = isinstance(parent, ast.Dict) and reference.use.top in parent.keys
        place = id(parent) if key else id(reference.use.scope)
        if key or isinstance(parent, ast.MatchValue):
            for behaviour in table.get(reference.symbol.rpartition(".")[0], ()):
                if (place, behaviour.id) not in seen:
                    seen.add((place, behaviour.id))
                    yield _finding(ctx, reference.node, behaviour)


def _matched(ctx: FileContext, table: Table) -> Iterator[Finding]:
    """Patterns anchored at the start of a message, around calls of anything below a package."""
    anchored = [e for e in expectations(ctx) if e.pattern and str(e.pattern.value).startswith(("^", r"\A"))]
    for package, behaviours in table.items() if anchored else ():
        inside = [call.node for call in ctx.calls if _below(call.callee, package)]
        for expectation in anchored:
            for behaviour in behaviours:
                known = ast.literal_eval(behaviour.value) in str(
                    expectation.pattern and expectation.pattern.value
                )
                if expectation.pattern and not known and any(map(expectation.holds, inside)):
                    yield _finding(ctx, expectation.pattern, behaviour)


def _below(value: v.Value, package: str) -> bool:
    """Whether a call of the value runs something below a package."""
    return any(c.name.startswith(package + ".") for o in v.options(value) for c in v.callees(o) or ())
