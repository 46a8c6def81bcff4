"""Simulation by the host, which the new language does not offer."""

from __future__ import annotations

import ast

from ..reasons import Reason, Work
from .kernels import SIMULATE, Kernels


def simulations(kernels: Kernels) -> Work:
    """One note for each call of ``nki.simulate_kernel``."""
    calls = [
        link
        for use in kernels.ctx.module.uses
        for link in use.links
        if isinstance(link, ast.Call) and kernels.names.qualified(link.func) == SIMULATE
    ]
    return Work(left=tuple(Reason(call, "M-SIM") for call in calls))
