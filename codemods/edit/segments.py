"""Small pieces of code to libcst and back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import libcst as cst

from ..model import Edit
from .refusal import EditRefused

_Node = TypeVar("_Node", bound=cst.CSTNode)
_NEWLINE = re.compile(r"\r\n?|\n")


def code(node: cst.CSTNode, text: str) -> str:
    """The node printed; libcst takes the first newline of the ``text`` it parsed for the default."""
    match = _NEWLINE.search(text)
    return cst.Module([], default_newline=match[0] if match else "\n").code_for_node(node)


def parse_expression(edit: Edit, text: str) -> cst.BaseExpression:
    """The expression in ``text``; printing it gives ``text`` again."""
    return _parsed(edit, cst.parse_expression, text)


def parse_statement(edit: Edit, text: str) -> cst.BaseSmallStatement:
    """The single simple statement in ``text``; printing it gives ``text`` again."""
    return _parsed(edit, _small_statement, text)


def _small_statement(text: str) -> cst.BaseSmallStatement:
    line = cst.parse_statement(text)
    assert isinstance(line, cst.SimpleStatementLine)
    (statement,) = line.body
    return statement


def _parsed(edit: Edit, parser: Callable[[str], _Node], text: str) -> _Node:
    try:
        node = parser(text)
        same = code(node, text) == text
    except (cst.ParserSyntaxError, RecursionError) as error:
        reason = getattr(error, "message", "it is nested too deeply")
        raise EditRefused(edit, f"libcst does not read {_short(text)}: {reason}") from error
    if not same:
        raise EditRefused(edit, f"libcst does not give {_short(text)} back unchanged")
    return node


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
