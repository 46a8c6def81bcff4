"""Objects at the top of a file that place the tiles of kernels, which make them themselves from now on."""

from __future__ import annotations

import re

from ...model import ReplaceCode, ReplaceLines
from ..reasons import Change, Work
from ..translate.placers import Placer
from .kernels import Kernels

CODE = "NKL214"


def placers(kernels: Kernels) -> Work:
    """The objects go, and their classes derive from the language's own."""
    work = Work()
    for name, placer in kernels.module.placers.items():
        gone = ReplaceLines(kernels.whole_lines(placer.made), "")
        work += Work(
            (
                Change(placer.made, CODE, f"kernels make `{name}` themselves now", (gone,)),
                _derived(kernels, placer),
            )
        )
    return work


def _derived(kernels: Kernels, placer: Placer) -> Change:
    kernels.module.needs.add("nl")
    start, end = kernels.ctx.source.span(placer.node)
    found = re.match(r"class\s+\w+\s*(\([^()]*\))?", kernels.ctx.source.utf8[start:end].decode("utf-8"))
    assert found is not None, "a class starts with its name"
    old = found.group()
    new = f"{old.partition('(')[0].rstrip()}(nl.NKIObject)"
    edit = ReplaceCode((start, start + len(old.encode())), old, new)
    text = f"`{placer.node.name}` is a class of the language"
    return Change(placer.node, CODE, text, (edit,))
