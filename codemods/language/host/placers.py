"""Objects at the top of a file that place the tiles of kernels, which make them themselves from now on."""

from __future__ import annotations

from ...model import ReplaceLines
from ..reasons import Change, Work
from .classes import derived
from .kernels import Kernels

CODE = "NKL214"


def placers(kernels: Kernels) -> Work:
    """What becomes of them: the objects go, and their classes derive from ``nl.NKIObject``."""
    work = Work()
    for name, placer in kernels.module.placers.items():
        gone = ReplaceLines(kernels.whole_lines(placer.made), "")
        work += Work(
            (
                Change(placer.made, CODE, f"kernels make `{name}` themselves now", (gone,)),
                Change(
                    placer.node,
                    CODE,
                    f"`{placer.node.name}` is a class of the language",
                    (derived(kernels, placer.node),),
                ),
            )
        )
    return work
