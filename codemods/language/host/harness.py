"""What harnesses have from the old language: its simulator, and a level of logging."""

from __future__ import annotations

import ast

from ...analysis.scopes import Use
from ...model import ReplaceCode, ReplaceLines
from ..reasons import Change, Reason, Work
from .kernels import SIMULATE, Kernels

CODE = "NKL106"


def simulations(kernels: Kernels) -> Work:
    """What is said at each call of ``nki.simulate_kernel``.

    Where it is imported by name, the file keeps that import, and the place is left to a person; spelled
    through the module it becomes a name of the new one, which is noted, and which a partial migration marks.
    """
    calls = [
        link
        for use in kernels.ctx.module.uses
        for link in use.links
        if isinstance(link, ast.Call) and kernels.names.qualified(link.func) == SIMULATE
    ]
    said = tuple(Reason(call, "M-SIM") for call in calls)
    aliases = [use for use in kernels.ctx.module.uses if _is_alias(kernels, use)]
    work = sum((_spelled_out(kernels, alias) for alias in aliases), Work())
    by_name = any(kernels.ctx.target(binding) == SIMULATE for binding in kernels.ctx.module.imports)
    if by_name:
        return work + Work(left=said)
    return work + (Work(reasons=said) if kernels.module.partial else Work(notes=said))


def levels(kernels: Kernels) -> Work:
    """What is said of ``logging.OFF``, which Python does not have: harnesses that silence the compiler use it
    because importing ``neuronxcc`` defines it.
    """
    links = (link for use in kernels.ctx.module.uses for link in use.links if isinstance(link, ast.Attribute))
    found = (link for link in links if link.attr == "OFF" and kernels.names.qualified(link) == "logging.OFF")
    return Work(notes=tuple(Reason(link, "M-LEVEL") for link in found))


def _is_alias(kernels: Kernels, use: Use) -> bool:
    """``name = nki.simulate_kernel``, which would fail when the file is imported."""
    statement = use.inside
    whole = isinstance(statement, ast.Assign) and statement.value is use.top
    return whole and kernels.names.qualified(use.top) == SIMULATE and isinstance(use.top, ast.Attribute)


def _spelled_out(kernels: Kernels, alias: Use) -> Work:
    """What is called by the alias is called by its own name, so that only the call fails."""
    statement, source = alias.inside, kernels.ctx.source
    assert isinstance(statement, ast.Assign)
    target = statement.targets[0]
    if len(statement.targets) != 1 or not isinstance(target, ast.Name) or target.id in kernels.ctx.pinned:
        return Work(reasons=(Reason(statement, "M-SIM"),))
    spelled = kernels.ctx.segment(alias.top)
    uses = [u for u in kernels.ctx.module.by_name.get(target.id, ()) if u.links[0] is not target]
    text = f"`{target.id}` is spelled `{spelled}`, which only fails when it is called"
    gone = Change(statement, CODE, text, (ReplaceLines(kernels.whole_lines(statement), ""),))
    said = f"`{target.id}` is `{spelled}`"
    renamed = tuple(
        Change(u.links[0], CODE, said, (ReplaceCode(source.span(u.links[0]), target.id, spelled),))
        for u in uses
    )
    return Work((gone, *renamed))
