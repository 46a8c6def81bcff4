"""Classes and stand-ins that rely on how a class or function of the library was made.

What it does
    Reports classes that derive from a class whose constructor, methods or attributes changed, calls of such a
    constructor through ``super()``, objects that stand in for a tensor without an attribute that is read now,
    functions put in a kernel's place whose parameters are those of the old release, and reads of a class's
    fields by position.

Why
    What a subclass overrides, and what a fake takes, is decided by its author; no call shows it.

Before
        from nkilib.core.utils.tensor_view import TensorView


        class Tile(TensorView):
            def __init__(self, tensor, sizes):
                super().__init__(tensor, sizes=sizes)

After
    Unchanged. You call ``super().__init__(tensor)`` and make other views with the methods.

When it stays silent
    For subclasses without a body of their own, classes that only hold such an object, and stand-ins that have
    what is needed or take any arguments.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis import values as v
from ..analysis.classes import bases
from ..analysis.context import Call, FileContext
from ..calls import plans
from ..changed_parameters import changed, shape
from ..dialects import already_new, fitting
from ..model import Finding, Outcome
from ..release import CallChange
from ..signature import Unbindable, bind
from ..sites import call_form
from ..stand_ins import bare_objects, fakes
from ..trees import last_name

CODE = "NKM306"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each such class or place."""
    yield from _subclasses(ctx)
    yield from _constructors(ctx)
    yield from _made_constructors(ctx)
    yield from _stand_ins(ctx)
    yield from _read_by_position(ctx)


# -- subclasses -----------------------------------------------------------------------------------------


def _subclasses(ctx: FileContext) -> Iterator[Finding]:
    table = ctx.release.behaviours_of("subclass")
    for binding in ctx.module.bindings:
        node = binding.node
        if not isinstance(node, ast.ClassDef) or binding.name not in ctx.affected_names:
            continue
        if not any(map(_own, node.body)):
            continue
        for name in bases(ctx.evaluator, node) if node.bases else ():
            for behaviour in table.get(name, ()):
                message = f"`{node.name}`: {behaviour.message}"
                outcome = Outcome(behaviour.outcome)
                yield ctx.finding(CODE, node.bases[0], message, outcome=outcome, step=behaviour.step)


def _own(stmt: ast.stmt) -> bool:
    """Whether a statement of a class body is more than a placeholder or a documentation."""
    return not isinstance(stmt, ast.Pass) and not (
        isinstance(stmt, ast.Expr) and isinstance(stmt.value, ast.Constant)
    )


def _constructors(ctx: FileContext) -> Iterator[Finding]:
    """``super().__init__(…)`` and ``Base.__init__(self, …)`` with arguments that the base does not take."""
    for call in ctx.calls:
        callee = v.callees(call.callee) or ()
        base, _, method = callee[0].name.rpartition(".") if len(callee) == 1 else ("", "", "")
        if method == "__init__" and base in ctx.release.forms:
            change, why = _misfit(ctx, call, base)
            if why:
                short = base.rpartition(".")[2]
                step = f"Call the constructor as `{short}{change.signature.text}` wants it."
                yield ctx.needs_you(CODE, call.node, f"constructor of `{short}`: {why}", step)


def _made_constructors(ctx: FileContext) -> Iterator[Finding]:
    """Calls of data classes with fields of their own behind those of a base whose fields moved."""
    planned = {plan.call.node for plan in plans(ctx)}
    for call in ctx.calls:
        name = call.callee.name if isinstance(call.callee, v.Symbol) else ""
        node = ctx.evaluator.classes.get(name)
        if node is None or call.node in planned or not _makes_constructor(node):
            continue
        for found in filter(None, (changed(ctx, base) for base in bases(ctx.evaluator, node))):
            if found.concerns(*shape(call.node.args, call.node.keywords)):
                message = f"`{node.name}` takes the fields of `{found.name}` first, of which {found.summary}"
                yield ctx.needs_you(
                    CODE, call.node, message, "Pass the fields by keyword, by their names of today."
                )


def _makes_constructor(node: ast.ClassDef) -> bool:
    """Whether a class is a data class with fields that gets its constructor made."""
    decorators = (d.func if isinstance(d, ast.Call) else d for d in node.decorator_list)
    own = any(isinstance(s, ast.FunctionDef) and s.name == "__init__" for s in node.body)
    fields = any(isinstance(s, ast.AnnAssign) for s in node.body)
    return fields and not own and any(last_name(d) == "dataclass" for d in decorators)


def _misfit(ctx: FileContext, call: Call, base: str) -> tuple[CallChange, str]:
    """Why the arguments do not mean the same to the base's new constructor; "" when they do."""
    arguments = call.node.args[1:] if isinstance(call.callee, v.Symbol) else call.node.args
    form = call_form(ctx, call, v.Callee(base), arguments)
    change, old = fitting(ctx, ctx.release.forms[base], form)[0]
    if already_new(change, old, form, arguments):
        return change, ""
    try:
        bind(change.signature, form)
    except Unbindable as error:
        return change, str(error)
    found = changed(ctx, base)
    affected = found is not None and found.concerns(form.reach(), {*form.keywords})
    return change, found.summary if found is not None and affected else ""


# -- stand-ins ------------------------------------------------------------------------------------------


def _stand_ins(ctx: FileContext) -> Iterator[Finding]:
    for fake in fakes(ctx):
        message = f"`{fake.name}` stands in for `{fake.changed.name}`, but {fake.why}"
        step = f"Give it the parameters `{fake.changed.change.signature.text}`, or `*args, **kwargs`."
        yield ctx.needs_you(CODE, fake.node, message, step)
    for bare in bare_objects(ctx):
        names = ", ".join(f"`{name}`" for name in bare.missing)
        message = f"{bare.type} reads {names} of the object it is given now, and this one has none"
        yield ctx.needs_you(CODE, bare.call, message, f"Give the object that stands in for a tensor {names}.")


# -- fields by position -----------------------------------------------------------------------------------


def _read_by_position(ctx: FileContext) -> Iterator[Finding]:
    """``astuple(object)``, and positional patterns of a class whose fields moved."""
    for call in ctx.calls:
        if call.callee == v.Symbol("dataclasses.astuple") and call.node.args:
            value = ctx.evaluator.at(call.node.args[0], call.use)
            kinds = [o.of for o in v.options(value) if isinstance(o, v.Instance)]
            yield from _moved(ctx, call.node, kinds, _unpacked(ctx, call.node))
    for reference in ctx.references:
        pattern = reference.use.inside
        if isinstance(pattern, ast.MatchClass) and pattern.cls is reference.node:
            yield from _moved(ctx, reference.node, [reference.symbol], len(pattern.patterns))


def _moved(ctx: FileContext, node: ast.expr, kinds: list[str], count: int | None) -> Iterator[Finding]:
    for kind in kinds:
        found = changed(ctx, kind)
        if found is None or found.start is None or (count is not None and count <= found.start):
            continue
        new = found.change.signature.positional
        if count == len(new) != len(found.form.signature.positional):
            continue
        names = ", ".join(f"`{name}`" for name in new[found.start :][:3])
        message = f"from position {found.start} on the fields of {found.name} are {names}, … now"
        yield ctx.needs_you(CODE, node, message, "Read the fields by their names.")


def _unpacked(ctx: FileContext, call: ast.Call) -> int | None:
    """How many names take the items; None when that is not known."""
    parent = ctx.parent(call)
    target = parent.targets[0] if isinstance(parent, ast.Assign) else None
    plain = isinstance(target, ast.Tuple | ast.List) and not any(
        isinstance(e, ast.Starred) for e in target.elts
    )
    return len(target.elts) if plain and isinstance(target, ast.Tuple | ast.List) else None
