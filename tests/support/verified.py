"""Kernels before and after a migration, and running ``nkimigrate verify`` on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nkimigrate import cli

OLD = """\
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
import numpy as np

"""
NEW = """\
import nki
import nki.isa as nisa
import nki.language as nl
import numpy as np

"""
ADD_OLD = """
@nki.jit
def add(a, b):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.add(nl.load(a), nl.load(b)))
    return out
"""
ADD_NEW = """
@nki.jit
def add(a, b):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    left = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.sbuf)
    right = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=left, src=a)
    nisa.dma_copy(dst=right, src=b)
    nisa.tensor_tensor(dst=left, data1=left, data2=right, op=nl.add)
    nisa.dma_copy(dst=out, src=left)
    return out
"""
ADD_SPEC = """
[[kernel]]
name = "add"
[kernel.inputs]
a = { shape = [128, 64] }
b = { shape = [128, 64] }
"""

Run = Callable[..., tuple[int, str, str]]


class Verifier:
    """Writes both sides into a folder and runs the command there, in this process (the kernels have their own)."""

    def __init__(self, folder: Path, capsys: Any) -> None:
        self.folder = folder
        self.capsys = capsys

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def command(self, *words: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        code = cli.main(words)
        return (code, *self.capsys.readouterr())

    def results(self, old: str, new: str, spec: str = "", *words: str) -> tuple[int, list[dict[str, Any]]]:
        """Exit code and the report's results for two files ``kernels.py`` and a spec file."""
        files = {"old/kernels.py": old, "new/kernels.py": new}
        self.write({**files, "nkimigrate_verify.toml": spec} if spec else files)
        code, out, err = self.command("verify", "old", "new", "--output-format", "json", *words)
        assert out, err
        document = json.loads(out)
        assert document["exit_code"] == code
        return code, document["results"]

    def result(self, old: str, new: str, spec: str = "", *words: str) -> dict[str, Any]:
        """The only result."""
        _, found = self.results(old, new, spec, *words)
        assert len(found) == 1, found
        return found[0]
