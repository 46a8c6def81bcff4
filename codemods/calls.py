"""Planning of one call's rewrite: which form it has, which change applies, and whether the result is
proven.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from .analysis import values as v
from .analysis.context import Call, FileContext, once
from .analysis.values import Callee
from .call_edits import Missing, edit_of
from .dialects import Pair, already_new, binds, fitting, likely, same_as_new, speaks_new, unclear_from
from .evidence import fit
from .model import EditCall
from .record import record, replace
from .release import CallChange, OldForm
from .signature import CallForm, Signature, Unbindable, bind, may_bind, prove
from .sites import Site, call_form, present_name, sites
from .trees import last_name


@record
class Plan:
    """What a call needs.

    Attributes:
        change, form: what the callable became, and the old form that the call was written for.
        edit: everything that is needed at once; None when nothing is, or when it cannot be made.
        problem: why it cannot be made, or "".
        start: the first position that means something else now.
        missing: the required parameter whose value cannot be given, or "".
        by_hand: whether the table leaves such calls to a person.
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


@once
def plans(ctx: FileContext) -> list[Plan]:
    """A plan for each call of a changed callable."""
    found = [plan for each in sites(ctx) for plan in _plan(ctx, each)]
    twofold = _twofold(ctx, found)
    reason = "another arm of this ladder calls it otherwise, so either may be the call of another release"
    return [_with_problem(plan, reason) if id(plan) in twofold else plan for plan in found]


def _twofold(ctx: FileContext, plans: Iterable[Plan]) -> set[int]:
    """Of plans with edits, those of calls in two arms of a ladder: one may be for the new release."""
    arms: dict[tuple[int, str], dict[str, list[Plan]]] = {}
    for plan in plans:
        block = ctx.module.bodies.get(plan.call.use.stmt) if plan.edit and plan.edit.keywords else None
        for around in block.chain() if block else ():
            if _is_ladder(ctx, around.owner):
                arms.setdefault((id(around.owner), plan.callee.name), {}).setdefault(around.arm, []).append(
                    plan
                )
    both = (found for by_arm in arms.values() if len(by_arm) > 1 for found in by_arm.values())
    return {id(plan) for found in both for plan in found}


def _is_ladder(ctx: FileContext, node: ast.AST) -> bool:
    """Whether the arms of a statement may be for several releases."""
    if isinstance(node, ast.Try):
        kinds = (h.type.elts if isinstance(h.type, ast.Tuple) else [h.type] for h in node.handlers)
        return any(last_name(each) == "TypeError" for kind in kinds for each in kind)
    return isinstance(node, ast.If) and any(map(_asks_for_release, ast.walk(node.test)))


def _asks_for_release(node: ast.AST) -> bool:
    name = last_name(node).lower()
    return "version" in name or "release" in name or name in {"hasattr", "signature"}


def _plan(ctx: FileContext, found: list[Site]) -> Iterator[Plan]:
    shapes = {(site.callee.first, site.callee.frozen) for site in found}
    certain = v.callees(found[0].target)
    chosen = [_choose(ctx, replace(site, form=found[0].form)) for site in found]
    needing = [plan for plan in chosen if plan is not None and (plan.edit or plan.problem)]
    if not needing:
        yield from _by_former_name(ctx, found)
        return
    first = _deciding(needing)
    if first.problem:
        yield first
    elif certain is None:
        yield _with_problem(first, "the callee may also be something else on another path")
    elif len(shapes) > 1 or not _agree(ctx, first, certain):
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
            start = old.first_break(change.signature)
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


def _agree(ctx: FileContext, plan: Plan, certain: tuple[Callee, ...]) -> bool:
    """Whether every function the call may reach takes the new keywords."""
    names = [name for _, name in plan.edit.keywords] if plan.edit else []
    for callee in certain:
        name = present_name(ctx, callee)
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


@once
def _all_revived(ctx: FileContext) -> frozenset[str]:
    """Former names that a call gives arguments which they never took, but which fit what they are called now.

    Renamed, the call would mean something, and nobody wrote what.
    """
    return frozenset(site.callee.name for found in sites(ctx) for site in found if _revived(site))


def _revived(site: Site) -> bool:
    changes = [change for change, _ in site.pairs if change.name != site.callee.name]
    if not changes or any(binds(old.signature, site.form) for _, old in site.pairs):
        return False
    later = [s for c in changes for s in (c.signature, *(o.signature for o in c.old if o.name == c.name))]
    return any(binds(signature, site.form) for signature in later)


def _choose(ctx: FileContext, site: Site) -> Plan | None:
    """The plan by the first dialect that the call fits; None when the call is already that of the new
    release.
    """
    call, callee, pairs = site.call, site.callee, site.pairs
    form, arguments = site.form, site.arguments
    unclear = unclear_from(ctx, pairs, form, arguments)
    if any(old.template for _, old in pairs):
        pairs = tuple(p for p in pairs if not p[1].template)
        if not pairs or template_form(ctx, site) is not None:
            return None
    misfit = _misfit(callee, pairs, form)
    if misfit:
        return Plan(call, callee, *pairs[0], None, misfit)
    forms = likely(ctx, pairs, form, arguments, call.node.keywords)
    if not forms:
        unchanged = same_as_new(*pairs[0])
        return None if unclear is None else _by_form(ctx, site, *unchanged, unclear)
    open_forms = [pair for pair in forms if not already_new(*pair, form, arguments)]
    for change, old in open_forms:
        plan = _by_form(ctx, site, change, old, unclear)
        if not plan.problem or (may_bind(old.signature, form) and not plan.by_hand):
            return plan
    if len(open_forms) < len(forms):
        return None
    change, old = forms[0]
    only_new = binds(change.signature, form) and not any(binds(o.signature, form) for _, o in pairs)
    if form.complete and old.name == change.name and only_new:
        return None
    return _by_form(ctx, site, change, old, unclear)


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
        if named <= signature.known:
            try:
                bind(signature, form)
            except Unbindable as error:
                reasons.append(str(error))
            else:
                return ""
    return reasons[0] if reasons else ""


def template_form(ctx: FileContext, site: Site) -> Pair | None:
    """The form with a rewriting rule of its own that a call was written for, if its arguments suit no other
    form better.
    """
    known = ctx.release.forms[site.callee.name]
    pairs = likely(ctx, known, site.form, site.arguments, site.call.node.keywords)
    if not pairs:
        return None
    given = [*site.arguments, *(k.value for k in site.call.node.keywords)]
    forms: list[tuple[Signature, Pair | None]] = [(p[1].signature, p) for p in pairs]
    forms += [(change.signature, None) for change, old in pairs[:1] if old.name == change.name]
    rated = [(fit(ctx, site.call.use, signature, site.form, given), pair) for signature, pair in forms]
    best = max((rate for rate, _ in rated if rate is not None), default=None)
    if best is None:
        pair = next((p for p in known if p[1].template), None)
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


def _by_form(ctx: FileContext, site: Site, change: CallChange, old: OldForm, unclear: int | None) -> Plan:
    """The plan of a call that was written for an old form.

    ``unclear``: a position from which on keywords are needed although it did not change its meaning.
    """
    call, form = site.call, site.form
    starts = (old.first_break(change.signature), unclear)
    start = min((s for s in starts if s is not None), default=None)
    base = Plan(call, site.callee, change, old, None, "", start)
    if old.rewrite == "human":
        return replace(base, problem=old.step, by_hand=True)
    try:
        edit = edit_of(ctx, site, old, start)
    except Missing as error:
        return replace(base, problem=str(error), missing=error.parameter)
    except Unbindable as error:
        return _with_problem(base, str(error))
    if edit is None:
        if not form.complete or not binds(old.signature, form) or binds(change.signature, form):
            return base
        reason = prove(old.signature, change.signature, form, EditCall((0, 0)), old.renamed)
        return _with_problem(base, reason or "")
    relative = _relative(edit, len(call.node.args) - len(site.arguments))
    reason = prove(old.signature, change.signature, form, relative, old.renamed)
    return replace(base, edit=None if reason else edit, problem=reason or "")


def _relative(edit: EditCall, shift: int) -> EditCall:
    keywords = tuple((index - shift, name) for index, name in edit.keywords)
    dropped = tuple(key - shift if isinstance(key, int) else key for key in edit.dropped)
    return EditCall(edit.span, keywords, edit.renamed, dropped, edit.added)
