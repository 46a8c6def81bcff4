"""Simulation by the host, which the new language does not offer."""

from __future__ import annotations

import ast

from ..reasons import Reason, Work
from .kernels import SIMULATE, Kernels


def simulations(kernels: Kernels) -> Work:
    """What is said at each call of ``nki.simulate_kernel``.

    Where it is imported by name, the file keeps that import, and the place is left to a person; spelled
    through the module it becomes a name of the new one, which is noted.
    """
    calls = [
        link
        for use in kernels.ctx.module.uses
        for link in use.links
        if isinstance(link, ast.Call) and kernels.names.qualified(link.func) == SIMULATE
    ]
    said = tuple(Reason(call, "M-SIM") for call in calls)
    by_name = any(kernels.ctx.target(binding) == SIMULATE for binding in kernels.ctx.module.imports)
    return Work(left=said) if by_name else Work(notes=said)
