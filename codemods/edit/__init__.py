"""Carrying out edits: :func:`.apply.apply` for Python, :func:`.text.apply_text` for everything else.

Nothing here imports libcst before :mod:`.apply` is imported.
"""

from __future__ import annotations

from .refusal import EditRefused as EditRefused
