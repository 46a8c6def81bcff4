"""Carrying out edits of a Python file: :func:`.apply.apply`.

An edit is located on :mod:`ast`, which also proves that what it expects stands there. What only replaces an
identifier, a literal or a whole expression is spliced into the text; what changes a *layout* (argument lists,
import lists, indented blocks) goes through libcst, which is given that segment and nothing more. All
bytes outside the segments stay as they are by construction.

libcst is imported by the first edit that needs it, never by importing this package.
"""

from __future__ import annotations

from .refusal import EditRefused as EditRefused
