"""Cells and code blocks that name the library and cannot be taken as Python.

What it does
    The Python in code cells of notebooks, and with ``--docs`` in code blocks and interactive sessions
    (``>>>``) of Markdown and reStructuredText, is migrated like a file: the cells of a notebook make one
    module, the blocks of a document another. Magics and shell lines stay as they are, and the names they
    use stay bound. This rule reports what is left: a cell that does not parse, or whose magic (``%%bash``,
    ``%%writefile``) says that it is not Python to run here, if it names the library.

Why
    Nothing is changed that cannot be parsed, and nothing that is affected passes in silence.

Before
    In ``demo.ipynb``:

        {
         "cells": [
          {
           "cell_type": "code",
           "source": [
            "%%writefile model.py\\n",
            "from nkilib_standalone.nkilib.core.qkv.qkv import qkv"
           ]
          }
         ],
         "nbformat": 4
        }

After
    Unchanged, with a finding that names the cell.

When it stays silent
    When the cell or block does not name the library. Text cells and outputs never count.
"""

from __future__ import annotations

CODE = "NKM905"
