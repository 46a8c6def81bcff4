"""What the analysis of a file leaves behind."""

from __future__ import annotations

import gc
from functools import partial

from nkimigrate.codemods.analyse import Place, World, analyse
from nkimigrate.codemods.analysis.context import FileContext
from nkimigrate.codemods.analysis.scopes import Module
from nkimigrate.codemods.language.findings import language_findings
from nkimigrate.codemods.language.host.kernels import Kernels
from nkimigrate.codemods.rules import checks
from nkimigrate.releases import load, load_language

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


KERNELS = """\
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl


@nki.jit
def kernel(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    def loaded(y):
        return nl.load(y)
    nl.store(out, loaded(x))
    return out


@nki.jit
def noisy(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.rand(x.shape))
    return out


def run(x):
    return kernel[2](x) + noisy(x)
"""


def test_the_language_step_leaves_no_file_behind() -> None:
    """Neither the file, nor those with parts of it or in plainer Python that the step looks at."""
    step = load_language("2.27", "2.28")
    assert step is not None
    look = partial(language_findings, step=step, wants=lambda _: True)
    gc.collect()
    gc.disable()
    try:
        found = analyse(
            KERNELS.encode(), Place("a.py", "a"), load("2.27", "2.28"), (), World(), language=[look]
        )
        assert {f.code for f in found.findings} >= {"NKL200", "NKL202"}  # one goes and one stays
        assert not [each for each in gc.get_objects() if isinstance(each, FileContext | Module | Kernels)]
    finally:
        gc.enable()
