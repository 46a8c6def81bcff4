"""Notebooks whose code uses the library.

What it does
    Reports the notebook and how many of its code cells mention the library. Nothing in it is changed.

Why
    Cells hold magics and shell lines beside Python, and outputs that must keep their bytes.

Before
    ``from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel`` in a code cell

After
    The same notebook, and a finding that names it.

When it stays silent
    When no code cell mentions the library; text cells and outputs do not count.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.context import FileContext
from ..model import Finding

CODE = "NKM905"


def check(_ctx: FileContext) -> Iterator[Finding]:
    """Nothing in Python files: :mod:`nkimigrate.codemods.notebooks` handles notebooks."""
    return iter(())
