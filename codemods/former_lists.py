"""Where lists of the old release, tuples now, are used as only a list can be."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .analysis import values as v
from .analysis.context import FileContext, once
from .analysis.scopes import Binding, Use
from .list_needs import MADE, Former, Need, evident, former, needed, sole_binding
from .receivers import Receiver, receiver
from .record import record
from .sight import uses_type
from .view_copies import view_copies

_IN_PLACE = {"append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse", "__setitem__"}
_ROUNDS = 4


@record
class ListUse:
    """An expression whose value was a list, at a place where a tuple will not do.

    ``place`` is the node to report; ``node`` the expression to convert.
    """

    node: ast.expr
    place: ast.AST
    need: Need


def changed_in_place(ctx: FileContext) -> set[ast.expr]:
    """The expressions through which an object's own list was changed."""
    return {use.node for use in list_uses(ctx) if use.need is Need.IN_PLACE}


@once
def list_uses(ctx: FileContext) -> list[ListUse]:
    """All such places of a file, given that names are lists whose lists are made where they are assigned."""
    if not any(kind.tuples and uses_type(ctx, name) for name, kind in ctx.release.types.items()):
        return []
    old = _is_old(ctx)
    made: dict[int, ListUse] = {}
    for _ in range(_ROUNDS):
        found, sources = _places(ctx, old)
        new = {**made, **sources, **_become_lists(ctx, {use.node for use in found})}
        if new.keys() == made.keys():
            break
        made = new
        ctx.memory[MADE] = frozenset(made)
        ctx.evaluator.assume(dict.fromkeys(made, v.Sequence(None)))
    places = {use.node: use for use in (*found, *made.values()) if use.node is not None}
    return list(places.values())


def _is_old(ctx: FileContext) -> bool:
    """Whether the file uses an attribute or a constructor that only the old release has."""
    if any(copy.rest for copy in view_copies(ctx)):
        return True
    for kind in ctx.release.types.values():
        for access in ctx.attributes:
            if (
                access.node.attr in kind.attributes
                and receiver(ctx, access.owner, kind.name) is Receiver.SURE
            ):
                return True
    return False


def _places(ctx: FileContext, old: bool) -> tuple[list[ListUse], dict[int, ListUse]]:
    """Places that need a list, and assignments that should make one, by binding."""
    found: list[ListUse] = []
    sources: dict[int, ListUse] = {}
    for use in ctx.uses:
        for link, following, value in _former_links(ctx, use, old):
            for place in _at(ctx, use, link, following, value):
                source = _source(ctx, use, link, value) if place.need is Need.IN_PLACE else None
                if source is None:
                    found.append(place)
                elif source.value is not None:
                    sources[id(source)] = ListUse(source.value, source.value, Need.LIST)
    return found, sources


def _former_links(
    ctx: FileContext, use: Use, old: bool
) -> Iterator[tuple[ast.expr, ast.expr | None, Former]]:
    for index, value in enumerate(ctx.evaluator.steps(use)):
        known = former(value, old)
        if known is not None:
            following = use.links[index + 1] if index + 1 < len(use.links) else None
            yield use.links[index], following, known


def _at(
    ctx: FileContext, use: Use, link: ast.expr, following: ast.expr | None, value: Former
) -> Iterator[ListUse]:
    """What the place of one link needs."""
    if isinstance(following, ast.Attribute):
        if following.attr in _IN_PLACE:
            yield ListUse(link, following, Need.IN_PLACE)
        elif following.attr == "copy" and value.certain:
            yield ListUse(link, link, Need.LIST)
    elif isinstance(following, ast.Subscript):
        if not isinstance(following.ctx, ast.Load):
            yield ListUse(link, following, Need.IN_PLACE)
    elif not isinstance(getattr(link, "ctx", ast.Load()), ast.Load):
        if isinstance(link, ast.Attribute) or isinstance(use.inside, ast.AugAssign):
            yield ListUse(link, use.stmt, Need.IN_PLACE)
    elif following is None:
        yield from (ListUse(node, node, need) for node, need in needed(ctx, use, link, value))


# -- lists made by the code itself ----------------------------------------------------------------------


def _source(ctx: FileContext, use: Use, link: ast.expr, value: Former) -> Binding | None:
    """The assignment that made the list which is changed here, when nothing but the code itself has it."""
    if value.own or not isinstance(link, ast.Name):
        return None
    binding = sole_binding(ctx, use, link)
    fits = binding is not None and binding.kind == "assign" and not binding.path and binding.value is not None
    return binding if fits else None


def _become_lists(ctx: FileContext, wrapped: set[ast.expr]) -> dict[int, ListUse]:
    """Bindings to a choice between lists, once the places in it are lists; there is nothing to report."""
    bindings = [b for b in ctx.module.bindings if b.kind == "assign" and not b.path]
    choices = [b for b in bindings if isinstance(b.value, ast.IfExp | ast.BoolOp)]
    return {
        id(b): ListUse(node, node, Need.LIST)
        for b in choices
        for node in _leaves(b.value)
        if node in wrapped
        and all(leaf in wrapped or evident(ctx, leaf, b) is ast.List for leaf in _leaves(b.value))
    }


def _leaves(node: ast.expr | None) -> list[ast.expr]:
    """The expressions that a choice may give."""
    if isinstance(node, ast.IfExp):
        return _leaves(node.body) + _leaves(node.orelse)
    if isinstance(node, ast.BoolOp):
        return [leaf for value in node.values for leaf in _leaves(value)]
    return [node] if node is not None else []
