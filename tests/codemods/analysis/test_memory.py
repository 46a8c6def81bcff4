"""What the analysis of a file leaves behind."""

from __future__ import annotations

import gc

from nkimigrate.codemods.analyse import Place, World, analyse
from nkimigrate.codemods.rules import checks
from nkimigrate.releases import load

PROGRAM = """\
import torch
from functools import partial
from nkilib.core.mlp.mlp import mlp_kernel


class Layer(torch.nn.Module):
    def __init__(self, hidden):
        self.gate = torch.zeros(hidden)
        self.kernel = partial(mlp_kernel, self.gate)

    def forward(self, x):
        def inner(y):
            global seen
            seen = [z for z in y if (w := z)]
            return lambda u: self.kernel(u, x, w)

        return mlp_kernel[2](x, self.gate, self.gate, self.gate)[0] + inner(x)(x)


seen = Layer(4).forward
"""


def test_no_cycle_waits_for_the_garbage_collector() -> None:
    """Trees, scopes and bindings of a file are freed at once: a thousand files need no more memory than one."""

    def left_behind() -> int:
        found = analyse(PROGRAM.encode(), Place("a.py", "a"), load("2.27", "2.28"), checks(), World())
        assert found.findings
        return gc.collect()

    left_behind()  # what is made once
    gc.disable()
    try:
        assert left_behind() == 0
    finally:
        gc.enable()
