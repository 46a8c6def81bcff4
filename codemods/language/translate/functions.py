"""Calls of the file's own functions."""

from __future__ import annotations

import ast

from ..analysis import values as v
from . import operations
from .values import UserFunction, Value
from .walker import Walker, known, text


def call(w: Walker, node: ast.Call, function: UserFunction) -> Value:
    """A call of a function that is written in the language."""
    nodes = [*node.args, *(keyword.value for keyword in node.keywords)]
    found = [known(operations.nested(w, argument)) for argument in nodes]
    pairs = [(n, text(x)) for n, x in zip(nodes, found, strict=True)]
    return v.Unknown(w.respelled(node, pairs))
