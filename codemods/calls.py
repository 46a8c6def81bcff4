"""Planning of one call's rewrite: which form it has, which change applies, and whether the result is
proven.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .analysis import values as v
from .analysis.classes import constructor
from .analysis.context import Call, FileContext
from .analysis.values import Callee
from .dialects import Pair, already_new, binds, fitting, likely, same_as_new, speaks_new, unclear_from
from .evidence import fit
from .model import EditCall
from .record import record, replace
from .release import CallChange, OldForm
from .signature import CallForm, Signature, Unbindable, bind, first_break, positional_from, prove

PARTIAL = v.Symbol("functools.partial")


@record
class Site:
    """A callable that changed, where a call may reach it.

    Attributes:
        target: the called value; ``arguments`` the positional ones that go to it.
        pairs: the changes that a call of it may need; ``form`` the arguments' shape as it gets them.
    """

    call: Call
    target: v.Value
    arguments: list[ast.expr]
    callee: Callee
    pairs: tuple[Pair, ...]
    form: CallForm


@record
class Plan:
    """What a call needs.

    ``edit`` holds everything that is needed at once (None when nothing is); ``problem`` says why it cannot be
    made, and ``start`` is the first position that means something else now. ``missing`` names the required
    parameter whose value cannot be given, ``by_hand`` that the table leaves such calls to a person.
    """

    call: Call
    callee: Callee
    change: CallChange
    form: OldForm
    edit: EditCall | None
    problem: str = ""
    start: int | None = None
    missing: str = ""
    by_hand: bool = False

    @property
    def name(self) -> str:
        return self.change.name.rpartition(".")[2]


def plans(ctx: FileContext) -> list[Plan]:
    """A plan for each call of a changed callable (computed once for a file)."""
    known: list[Plan] | None = ctx.memory.get("plans")  # type: ignore[assignment]
    if known is None:
        known = [plan for found in sites(ctx) for plan in _plan(ctx, found)]
        ctx.memory["plans"] = known
    return known


def sites(ctx: FileContext) -> list[list[Site]]:
    """What changed that a call may reach, for each call with any such (computed once for a file)."""
    known: list[list[Site]] | None = ctx.memory.get("sites")  # type: ignore[assignment]
    if known is None:
        known = [found for call in ctx.calls if (found := _sites(ctx, call))]
        ctx.memory["sites"] = known
    return known


def _sites(ctx: FileContext, call: Call) -> list[Site]:
    target, arguments = target_of(ctx, call)
    return [
        Site(call, target, arguments, callee, pairs, call_form(ctx, call, callee, arguments))
        for callee, pairs in _changed_callees(ctx, target)
    ]


def _plan(ctx: FileContext, found: list[Site]) -> Iterator[Plan]:
    first_site = found[0]
    call, form, arguments = first_site.call, first_site.form, first_site.arguments
    shapes = {(site.callee.first, site.callee.frozen): None for site in found}
    certain = v.callees(first_site.target)
    chosen = [_choose(ctx, call, form, site.callee, site.pairs, arguments) for site in found]
    plans_ = [p for p in chosen if p is not None]
    needing = [p for p in plans_ if p.edit or p.problem]
    if not needing:
        yield from _by_former_name(ctx, found)
        return
    first = _deciding(needing)
    if first.problem:
        yield first
    elif certain is None:
        yield _with_problem(first, "the callee may also be something else on another path")
    elif len(shapes) > 1 or not _agree(ctx, first, certain, form):
        yield _with_problem(first, "the functions it may call do not agree on the names of these parameters")
    else:
        yield first


def _by_former_name(ctx: FileContext, found: list[Site]) -> Iterator[Plan]:
    """A call by the former name, which an import kept, whose positions may be the former ones as well."""
    name = found[0].call.use.name
    owner = ctx.module.lookup(name, found[0].call.use.scope)
    if owner is None or all(binding.kind != "import" for binding in owner[1]):
        return
    for site in found:
        changes = ctx.release.changes.get(site.callee.name, ())
        renamed = (change for change in changes if not change.name.endswith(f".{name}"))
        for change, old in ((c, o) for c in renamed for o in c.old if o.name.endswith(f".{name}")):
            start = first_break(old.signature, change.signature, old.renamed)
            fits = site.form.complete and binds(old.signature, site.form)
            reached = start is not None and fits and site.form.reach() > start
            if reached and not speaks_new(change, old, site.form, site.arguments):
                problem = f"`{name}` is its former name, and the positions may be those it had then"
                yield Plan(site.call, site.callee, change, old, None, problem, start)
                return


def _with_problem(plan: Plan, problem: str) -> Plan:
    return replace(plan, edit=None, problem=problem)


def _deciding(needing: list[Plan]) -> Plan:
    """A legacy name says which release the call was written for; otherwise the earliest change decides."""
    legacy = [p for p in needing if p.form.name != p.change.name]
    return min(legacy or needing, key=lambda p: (not p.problem, p.start if p.start is not None else 1 << 30))


def _agree(ctx: FileContext, plan: Plan, certain: tuple[Callee, ...], form: CallForm) -> bool:
    """Whether every function the call may reach takes the new keywords."""
    names = [name for _, name in plan.edit.keywords] if plan.edit else []
    for callee in certain:
        name = _present(ctx, callee)
        pairs = ctx.release.forms.get(name, ())
        new = {n for change, _ in pairs for n in change.signature.names}
        by_new_name = {n for c in ctx.release.changes.get(name, ()) for n in c.signature.names}
        if not set(names) <= new | by_new_name:
            return False
    return True


def unfit(ctx: FileContext, target: str) -> bool:
    """Whether a call of a symbol would only mean something under its new name."""
    names = _all_revived(ctx)
    return bool(names) and ctx.release.defining(ctx.release.real(ctx.release.canonical(target))) in names


def _all_revived(ctx: FileContext) -> frozenset[str]:
    """Former names that a call gives arguments which they never took, but which fit what they are called now:
    renamed, the call would mean something, and nobody wrote what.
    """
    known: frozenset[str] | None = ctx.memory.get("revived")  # type: ignore[assignment]
    if known is None:
        known = frozenset(site.callee.name for found in sites(ctx) for site in found if _revived(site))
        ctx.memory["revived"] = known
    return known


def _revived(site: Site) -> bool:
    changes = [change for change, _ in site.pairs if change.name != site.callee.name]
    if not changes or any(binds(old.signature, site.form) for _, old in site.pairs):
        return False
    later = [s for c in changes for s in (c.signature, *(o.signature for o in c.old if o.name == c.name))]
    return any(binds(signature, site.form) for signature in later)


def target_of(ctx: FileContext, call: Call) -> tuple[v.Value, list[ast.expr]]:
    """The called value and the positional arguments that go to it; a ``partial`` call is seen through, and
    the object that a method of a class is called with is not counted.
    """
    if call.callee == PARTIAL and call.node.args:
        return ctx.evaluator.at(call.node.args[0], call.use), call.node.args[1:]
    if isinstance(call.callee, v.Symbol) and _unbound(ctx, call.callee.name):
        return call.callee, call.node.args[1:]
    return call.callee, call.node.args


def _unbound(ctx: FileContext, name: str) -> bool:
    owner, _, method = name.rpartition(".")
    static = owner in ctx.release.types and method in ctx.release.types[owner].static
    return name in ctx.release.forms and owner.rpartition(".")[2][:1].isupper() and not static


def _changed_callees(ctx: FileContext, target: v.Value) -> list[tuple[Callee, tuple[Pair, ...]]]:
    """The callees among a value's alternatives that changed, with their changes."""
    found = []
    options = v.options(target)
    for option in sorted(options, key=repr) if len(options) > 1 else options:
        for callee in v.callees(option) or ():
            name = _present(ctx, callee)
            pairs = ctx.release.forms.get(name)
            if pairs:
                found.append((replace(callee, name=name), pairs))
    return found


def _present(ctx: FileContext, callee: Callee) -> str:
    """The name of a callee; one that its path has no more is called as what it moved to."""
    name = constructor(ctx.evaluator, callee.name)
    return name if name in ctx.release.forms else ctx.release.new_symbol.get(name, name)


def call_form(ctx: FileContext, call: Call, callee: Callee, arguments: list[ast.expr]) -> CallForm:
    """The shape of the argument list as it reaches ``callee``."""
    widths = tuple(ctx.evaluator.width(a, call.use) for a in arguments)
    if callee.first is None:
        widths = (None, *widths)
    keywords = tuple(k.arg for k in call.node.keywords)
    unfinished = call.callee == PARTIAL
    return CallForm(widths, keywords, callee.first or 0, callee.frozen, unfinished)


def _choose(
    ctx: FileContext,
    call: Call,
    form: CallForm,
    callee: Callee,
    pairs: tuple[Pair, ...],
    arguments: list[ast.expr],
) -> Plan | None:
    """The plan by the first dialect that the call fits; None when the call is already that of the new
    release.
    """
    unclear = unclear_from(ctx, pairs, form, arguments)
    if any(old.template for _, old in pairs):
        pairs = tuple(p for p in pairs if not p[1].template)
        if not pairs or template_form(ctx, call, form, callee, arguments) is not None:
            return None
    misfit = _misfit(callee, pairs, form)
    if misfit:
        return Plan(call, callee, *pairs[0], None, misfit)
    forms = likely(ctx, pairs, form, arguments)
    if not forms:
        unchanged = same_as_new(*pairs[0])
        return None if unclear is None else _by_form(ctx, call, form, callee, *unchanged, arguments, unclear)
    open_forms = [pair for pair in forms if not already_new(*pair, form, arguments)]
    for change, old in open_forms:
        plan = _by_form(ctx, call, form, callee, change, old, arguments, unclear)
        if not plan.problem:
            return plan
    if len(open_forms) < len(forms):
        return None
    change, old = forms[0]
    only_new = binds(change.signature, form) and not any(binds(o.signature, form) for _, o in pairs)
    if form.complete and old.name == change.name and only_new:
        return None
    return _by_form(ctx, call, form, callee, change, old, arguments, unclear)


def _misfit(callee: Callee, pairs: tuple[Pair, ...], form: CallForm) -> str:
    """Why a call fits no release at all; "" when it fits one, or may.

    A keyword that nobody knows may be that of a later release.
    """
    if not form.complete or any(old.rewrite == "human" for _, old in pairs):
        return ""
    now = [change.signature for change, _ in pairs if change.name == callee.name]
    named = {name for name in form.keywords if name}
    reasons: list[str] = []
    for signature in (*(old.signature for _, old in pairs), *now):
        if named <= set(signature.names):
            try:
                bind(signature, form)
            except Unbindable as error:
                reasons.append(str(error))
            else:
                return ""
    return reasons[0] if reasons else ""


def template_form(
    ctx: FileContext, call: Call, form: CallForm, callee: Callee, arguments: list[ast.expr]
) -> tuple[CallChange, OldForm] | None:
    """The form with a rewriting rule of its own that a call was written for, if its arguments suit no other
    form better.
    """
    pairs = likely(ctx, ctx.release.forms[callee.name], form, arguments)
    if not pairs:
        return None
    given = [*arguments, *(k.value for k in call.node.keywords)]
    forms: list[tuple[Signature, tuple[CallChange, OldForm] | None]] = [(p[1].signature, p) for p in pairs]
    forms += [(change.signature, None) for change, old in pairs[:1] if old.name == change.name]
    rated = [(fit(ctx, call.use, signature, form, given), pair) for signature, pair in forms]
    best = max((rate for rate, _ in rated if rate is not None), default=None)
    if best is None:
        pair = next((p for p in ctx.release.forms[callee.name] if p[1].template), None)
    else:
        pair = next(pair for rate, pair in rated if rate == best)
    return pair if pair is not None and pair[1].template else None


def chosen_signature(
    ctx: FileContext, call: Call, callee: Callee, arguments: list[ast.expr]
) -> Signature | None:
    """The parameters of a changed callable that a call was written for; None when it did not change."""
    pairs = ctx.release.forms.get(callee.name, ())
    form = call_form(ctx, call, callee, arguments)
    for change, old in fitting(ctx, pairs, form):
        return change.signature if already_new(change, old, form, arguments) else old.signature
    return next((change.signature for change in ctx.release.changes.get(callee.name, ())), None)


def _by_form(
    ctx: FileContext,
    call: Call,
    form: CallForm,
    callee: Callee,
    change: CallChange,
    old: OldForm,
    arguments: list[ast.expr],
    unclear: int | None,
) -> Plan:
    """``unclear``: a position from which on keywords are needed although it did not change its meaning."""
    starts = (first_break(old.signature, change.signature, old.renamed), unclear)
    start = min((s for s in starts if s is not None), default=None)
    base = Plan(call, callee, change, old, None, "", start)
    if old.rewrite == "human":
        return replace(base, problem=old.step, by_hand=True)
    try:
        edit = _edit(ctx, call, form, change, old, start, arguments)
    except _Missing as error:
        return replace(base, problem=str(error), missing=error.parameter)
    except Unbindable as error:
        return _with_problem(base, str(error))
    if edit is None:
        if not form.complete or not binds(old.signature, form) or binds(change.signature, form):
            return base
        reason = prove(old.signature, change.signature, form, EditCall((0, 0)), old.renamed)
        return _with_problem(base, reason or "")
    relative = _relative(edit, len(call.node.args) - len(arguments))
    reason = prove(old.signature, change.signature, form, relative, old.renamed)
    return Plan(call, callee, change, old, None if reason else edit, reason or "", start)


def _relative(edit: EditCall, shift: int) -> EditCall:
    keywords = tuple((index - shift, name) for index, name in edit.keywords)
    dropped = tuple(key - shift if isinstance(key, int) else key for key in edit.dropped)
    return EditCall(edit.span, keywords, edit.renamed, dropped, edit.added)


def _edit(
    ctx: FileContext,
    call: Call,
    form: CallForm,
    change: CallChange,
    old: OldForm,
    start: int | None,
    arguments: list[ast.expr],
) -> EditCall | None:
    """Everything the call needs, or None; raises Unbindable when something cannot be decided."""
    shift = len(call.node.args) - len(arguments)
    names = tuple(old.renamed.get(n, n) for n in old.signature.positional)
    first = 0 if ctx.all_keywords else start
    keywords = () if first is None else positional_from(form, first, names)
    renamed = tuple((k, old.renamed[k]) for k in form.keywords if k and k in old.renamed)
    dropped = _dropped(call, form, old, arguments, shift)
    added = _added(ctx, call, form, old, arguments)
    if not (keywords or renamed or dropped or added):
        return None
    shifted = tuple((i + shift, name) for i, name in keywords if i + shift not in dropped)
    return EditCall(ctx.source.span(call.node), shifted, renamed, dropped, added)


def _dropped(
    call: Call, form: CallForm, old: OldForm, arguments: list[ast.expr], shift: int
) -> tuple[str | int, ...]:
    """Arguments whose value is the literal that may go: keywords by name, positional ones by index."""
    if not old.dropped:
        return ()
    named = [k.arg for k in call.node.keywords if k.arg and old.dropped.get(k.arg) == ast.unparse(k.value)]
    bound = bind(old.signature, form)
    places = {p: bound[p] for p in old.dropped if bound.get(p, len(arguments)) < len(arguments)}
    by_place = [i + shift for p, i in places.items() if ast.unparse(arguments[i]) == old.dropped[p]]
    return (*named, *by_place)


def _parenthesised(node: ast.expr, text: str) -> str:
    simple = isinstance(node, ast.Name | ast.Constant | ast.Attribute) and "\n" not in text
    return text if simple else f"({text})"


def _added(
    ctx: FileContext, call: Call, form: CallForm, old: OldForm, arguments: list[ast.expr]
) -> tuple[tuple[str, str], ...]:
    """Newly required parameters with their values in terms of the old ones."""
    if not old.added or form.unfinished:
        return ()
    bound = bind(old.signature, form)
    given = [*arguments, *(k.value for k in call.node.keywords)]
    pairs = []
    for name, template in old.added.items():
        if name in form.keywords:
            continue
        values = {p: given[o] for p, o in bound.items() if f"{{{p}}}" in template}
        pairs.append((name, _filled(ctx, name, template, values)))
    return tuple(pairs)


class _Missing(Unbindable):
    """A required parameter whose value cannot be written down."""

    def __init__(self, parameter: str, why: str) -> None:
        super().__init__(f"`{parameter}` is required now, and {why}")
        self.parameter = parameter


def _filled(ctx: FileContext, name: str, template: str, values: dict[str, ast.expr]) -> str:
    """The template with the arguments' text, parenthesised where that matters."""
    if any(not isinstance(n, _PURE) for node in values.values() for n in ast.walk(node)):
        raise _Missing(name, "an argument would have to be evaluated twice for it")
    plain = {p: ctx.segment(node) for p, node in values.items()}
    try:
        safe = template.format(**{p: _parenthesised(node, plain[p]) for p, node in values.items()})
    except KeyError as missing:
        raise _Missing(name, f"{missing.args[0]} is not given") from None
    bare = template.format(**plain)
    if "\n" in bare:
        return safe
    same = ast.dump(ast.parse(bare, mode="eval")) == ast.dump(ast.parse(safe, mode="eval"))
    return bare if same else safe


_PURE = (
    ast.Name,
    ast.Constant,
    ast.Attribute,
    ast.BinOp,
    ast.UnaryOp,
    ast.operator,
    ast.unaryop,
    ast.expr_context,
)
