"""Which bindings of a name a use may see, by where they stand in the control flow."""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from operator import attrgetter

from .scopes import Binding, Block, Scope, Use

_order = attrgetter("order")


def exclusive(one: Block, two: Block) -> bool:
    """Whether two blocks are different arms of one ``if`` or ``match``, or different handlers of one
    ``try``.
    """
    arms = {id(block.owner): block for block in one.chain()}
    for block in two.chain():
        other = arms.get(id(block.owner))
        if other is None or other is block:
            continue
        if isinstance(block.owner, ast.If | ast.Match):
            return other.arm != block.arm
        if isinstance(block.owner, ast.Try):
            return other.arm != block.arm and "handler" in other.arm and "handler" in block.arm
    return False


def reaching(bindings: Sequence[Binding], use: Use, owner: Scope) -> list[Binding]:
    """The bindings whose value ``use`` may see.

    In another scope than the owner (a closure, a method) all of them; in the owner's scope the last one
    that surely ran before, those in branches after that one, those that a loop carries around, and those
    that functions make through ``global`` or ``nonlocal``. Empty only for a name that a class body has not
    bound yet. ``bindings`` are those of one name, in the order in which they stand.
    """
    whole_class = owner.kind == "class"
    if use.scope is not owner or use.block is None or (len(bindings) == 1 and not whole_class):
        return list(bindings)
    behind = bisect_left(bindings, use.order, key=_order)
    kept = _last(bindings, behind, use.block)
    if owner.shared and bindings:
        kept += [b for b in owner.shared.get(bindings[0].name, ()) if b not in kept]
    return kept + _carried(bindings, behind, use.block) or ([] if whole_class else list(bindings))


def _last(bindings: Sequence[Binding], behind: int, block: Block) -> list[Binding]:
    """Of the bindings in front of one, those from the last that surely ran before a block's place on."""
    kept: list[Binding] = []
    for number in range(behind - 1, -1, -1):
        binding = bindings[number]
        if exclusive(binding.block, block):
            continue
        kept.append(binding)
        if binding.block.encloses(block):
            break
    return kept[::-1]


def _carried(bindings: Sequence[Binding], behind: int, block: Block) -> list[Binding]:
    """Of a binding and those behind it, the ones of its own scope that a loop carries to a block."""
    found: list[Binding] = []
    loops = frozenset(each for each in block.chain() if each.loop)
    for number in range(behind, len(bindings) if loops else 0):
        binding = bindings[number]
        if binding.foreign:
            continue
        if loops.isdisjoint(binding.block.chain()):
            break
        found.append(binding)
    return found


def surely_bound(bindings: Iterable[Binding], use: Use) -> bool:
    """Whether one of the bindings has run whenever control reaches ``use``."""
    block = use.block
    return block is None or any(b.order < use.order and b.block.encloses(block) for b in bindings)
