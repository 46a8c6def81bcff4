"""Keyword arguments that reach a call through ``**``: which keys a mapping has, and what they are now.

The keys are known where the mapping is a display or ``dict(…)`` in the call itself, or a variable that is
bound to one, once, and used for nothing but constant keys and such calls.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from .analysis.context import Call, FileContext, once
from .analysis.scopes import Binding, Use
from .analysis.values import callees
from .calls import plans
from .dialects import fitting
from .model import Edit, EditCall, ReplaceString
from .patterns import pattern
from .record import record, replace
from .release import CallChange, OldForm
from .signature import CallForm, Unbindable, bind, first_break, positional_from, prove
from .sites import Site, sites, target_of

_LITERAL = pattern(r"[rRuU]?(['\"]{3}|['\"])[A-Za-z_]\w*\1")


@record
class Key:
    """A key and the node that spells it: a string, or a call of ``dict``."""

    name: str
    node: ast.expr


@record
class Splat:
    """A call with ``**`` arguments of a callable whose parameters were renamed or dropped.

    Attributes:
        pairs: the changes it may need; ``change`` and ``form`` are the likely one.
        lost: parameters that the mapping may hold under a name that is gone.
        keys: the known keys of the mappings; ``closed`` whether these are all.
        bindings: the variables among the mappings.
    """

    call: Call
    change: CallChange
    form: OldForm
    shape: CallForm
    pairs: tuple[tuple[CallChange, OldForm], ...]
    lost: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    closed: bool = True
    bindings: tuple[Binding, ...] = ()

    @property
    def name(self) -> str:
        return self.change.name.rpartition(".")[2]

    @property
    def affected(self) -> bool:
        """Whether one of the known keys is gone."""
        return any(key.name in self.lost for key in self.keys)


@record
class KeyRename:
    """The renamed keys at one node, and the mapping they belong to."""

    node: ast.expr
    names: tuple[tuple[str, str], ...]
    edit: Edit
    splat: Splat
    group: str


@once
def splats(ctx: FileContext) -> tuple[list[KeyRename], list[Splat]]:
    """The keys to rename, and the calls that a person has to look at."""
    reported = {id(plan.call.node) for plan in plans(ctx) if plan.problem}
    firsts = (reached[0] for reached in sites(ctx) if id(reached[0].call.node) not in reported)
    found = [splat for site in firsts if (splat := _candidate(site))]
    whose = {id(splat.call.node): splat for splat in found}
    read = [_with_keys(ctx, splat, whose) for splat in found]
    left = [splat for splat in read if _open(ctx, splat)]
    stuck = {id(binding) for splat in left for binding in splat.bindings}
    left += [s for s in read if s not in left and s.affected and stuck & {*map(id, s.bindings)}]
    renames = [r for splat in read if splat.affected and splat not in left for r in _renames(ctx, splat)]
    return list({id(rename.node): rename for rename in renames}.values()), left


def _open(ctx: FileContext, splat: Splat) -> bool:
    """Whether a call may be affected and cannot be put right through its keys."""
    return splat.affected and not _proven(ctx, splat) if splat.closed else bool(splat.lost)


# -- calls --------------------------------------------------------------------------------------------


def _candidate(site: Site) -> Splat | None:
    """The call, when it has a ``**`` argument that may hold a name that is gone."""
    if None not in site.form.keywords:
        return None
    pairs = tuple(pair for pair in site.pairs if pair[1].rewrite == "keywords")
    gone = any(_lost(change, old, site.form) for change, old in pairs)
    return Splat(site.call, *pairs[0], site.form, pairs) if gone else None


def _for_form(ctx: FileContext, splat: Splat) -> Splat:
    """The call with the form that it was written for, as far as its keywords and keys say."""
    known = (*splat.shape.keywords, *(key.name for key in splat.keys))
    change, old = fitting(ctx, splat.pairs, replace(splat.shape, keywords=known))[0]
    lost = _lost(change, old, splat.shape)
    return replace(splat, change=change, form=old, lost=lost)


def _lost(change: CallChange, old: OldForm, shape: CallForm) -> tuple[str, ...]:
    """The names that are gone and can still be given through ``**``."""
    if any(k in change.signature.names and k not in old.signature.names for k in shape.keywords):
        return ()
    gone = [name for name in (*old.renamed, *old.dropped) if name not in change.signature.names]
    try:
        given = {*bind(old.signature, shape), *old.signature.positional[: shape.first]}
    except Unbindable:
        given = {k for k in shape.keywords if k}
    return tuple(name for name in gone if name not in given and name not in shape.frozen)


def _proven(ctx: FileContext, splat: Splat) -> bool:
    """Whether the call means the same when the keys have their new names."""
    if len(callees(target_of(ctx, splat.call)[0]) or ()) != 1:
        return False
    old, new, renamed = splat.form.signature, splat.change.signature, splat.form.renamed
    names = tuple(dict.fromkeys(key.name for key in splat.keys))
    shape = replace(splat.shape, keywords=(*(k for k in splat.shape.keywords if k), *names))
    start = first_break(old, new, renamed)
    try:
        new_names = tuple(renamed.get(n, n) for n in old.positional)
        keyed = () if start is None else positional_from(shape, start, new_names)
    except Unbindable:
        return False
    again = tuple((k, renamed[k]) for k in shape.keywords if k and k in renamed)
    edit = EditCall((0, 0), keyed, again)
    return prove(old, new, shape, edit, renamed) is None


# -- mappings -----------------------------------------------------------------------------------------


def _with_keys(ctx: FileContext, splat: Splat, whose: Mapping[int, Splat]) -> Splat:
    """The call with the keys of its mappings, and the form that these are for."""
    for value in (k.value for k in splat.call.node.keywords if k.arg is None):
        binding = _variable(ctx, splat.call.use, value)
        own = _made(ctx, splat.call.use, value if binding is None else binding.value)
        stored = [] if binding is None else _stored(ctx, binding, splat, whose)
        splat = replace(
            splat,
            keys=(*splat.keys, *(own or ()), *(stored or ())),
            bindings=(*splat.bindings, binding) if binding else splat.bindings,
            closed=splat.closed and own is not None and stored is not None,
        )
    return _for_form(ctx, splat)


def _made(ctx: FileContext, use: Use, node: ast.expr | None) -> list[Key] | None:
    """The keys of a display or of ``dict(name=…)``; None for anything else."""
    if isinstance(node, ast.Dict):
        keys = [_key(ctx, key) for key in node.keys]
        return None if None in keys else [key for key in keys if key]
    plain = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict"
    if not isinstance(node, ast.Call) or not plain or ctx.module.lookup("dict", use.scope):
        return None
    if node.args or any(k.arg is None for k in node.keywords):
        return None
    return [Key(str(k.arg), node) for k in node.keywords]


def _key(ctx: FileContext, node: ast.expr | None) -> Key | None:
    """A string as it is usually written, which can be given another value."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return None
    return Key(node.value, node) if _LITERAL.fullmatch(ctx.segment(node)) else None


def _variable(ctx: FileContext, use: Use, node: ast.expr) -> Binding | None:
    """The only binding of a variable that no other file and no second name can reach."""
    owner = ctx.module.lookup(node.id, use.scope) if isinstance(node, ast.Name) else None
    if owner is None or len(owner[1]) != 1 or owner[0].kind == "class":
        return None
    binding = owner[1][0]
    shared = owner[0] is ctx.module.top and (not binding.name.startswith("_") or binding.name in ctx.pinned)
    made = binding.node
    alone = isinstance(made, ast.AnnAssign) or (isinstance(made, ast.Assign) and len(made.targets) == 1)
    plain = alone and binding.kind == "assign" and not binding.path and not binding.foreign
    return binding if plain and not shared else None


def _stored(ctx: FileContext, binding: Binding, splat: Splat, whose: Mapping[int, Splat]) -> list[Key] | None:
    """The keys by which a variable is used; None when it is used in any other way."""
    keys: list[Key] = []
    for use in ctx.module.by_name.get(binding.name, ()):
        owner = ctx.module.lookup(binding.name, use.scope)
        if owner is None or owner[0] is not binding.scope:
            continue
        link = use.links[1] if len(use.links) > 1 else None
        key = _key(ctx, link.slice) if isinstance(link, ast.Subscript) else None
        if key is not None:
            keys.append(key)
        elif not _goes_to(use, splat, whose):
            return None
    return keys


def _goes_to(use: Use, splat: Splat, whose: Mapping[int, Splat]) -> bool:
    """Whether a variable is the ``**`` argument of a call of the same callable."""
    call = use.inside
    if len(use.links) > 1 or not isinstance(call, ast.Call):
        return False
    unpacked = any(k.arg is None and k.value is use.top for k in call.keywords)
    other = whose.get(id(call))
    return unpacked and other is not None and other.pairs == splat.pairs


# -- edits --------------------------------------------------------------------------------------------


def _renames(ctx: FileContext, splat: Splat) -> Iterator[KeyRename]:
    """One for each node that spells keys; the keys of variables are renamed together."""
    group = f"keys:{splat.bindings[0].order}" if splat.bindings else ""
    nodes = {id(key.node): key.node for key in splat.keys if key.name in splat.lost}
    for node in nodes.values():
        here = (k.name for k in splat.keys if k.node is node and k.name in splat.lost)
        names = tuple((name, splat.form.renamed[name]) for name in here)
        yield KeyRename(node, names, _edit(ctx, node, names), splat, group)


def _edit(ctx: FileContext, node: ast.expr, names: tuple[tuple[str, str], ...]) -> Edit:
    span = ctx.source.span(node)
    if isinstance(node, ast.Call):
        return EditCall(span, renamed=names)
    return ReplaceString(span, *names[0])
