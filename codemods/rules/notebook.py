"""Notebooks whose code uses the library.

What it does
    Reports the notebook and how many of its code cells mention the library. Nothing in it is changed.

Why
    Cells hold magics and shell lines beside Python, and outputs that must keep their bytes.

Before
    In ``demo.ipynb``:

        {
         "cells": [
          {
           "cell_type": "code",
           "source": ["from nkilib_standalone.nkilib.core.qkv.qkv import qkv"]
          }
         ],
         "nbformat": 4
        }

After
    Unchanged, with a finding that names the notebook.

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
