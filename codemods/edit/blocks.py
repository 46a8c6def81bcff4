"""Whole statements written for column 0, at the indentation and with the newlines of a file."""

from __future__ import annotations

import re

import libcst as cst

from ..model import Edit
from .refusal import EditRefused

_NEWLINE = re.compile(r"\r\n?|\n")
_COMMENT = re.compile(r"[ \t\f]*(#.*)?\Z")


def indented(code: str, indentation: str, newline: str, edit: Edit) -> str:
    """``code`` at ``indentation``, except its first line's, and without a newline at its end.

    Lines inside of string literals are not indented.

    Raises:
        EditRefused: the code does not parse.
    """
    lines = _NEWLINE.split(code.rstrip("\r\n"))
    text = newline.join(lines)
    if not indentation or len(lines) == 1:
        return text
    if all(map(_COMMENT.match, lines)):
        return newline.join([lines[0], *(indentation + line if line else line for line in lines[1:])])
    return _in_block(text, indentation, newline, edit)


def _in_block(text: str, indentation: str, newline: str, edit: Edit) -> str:
    """libcst knows which line breaks are inside of a string."""
    try:
        module = cst.parse_module(text + newline)
    except (cst.ParserSyntaxError, RecursionError) as error:
        raise EditRefused(edit, f"the new code does not parse: {error}") from error
    first, *others = module.body
    leading = (*module.header, *getattr(first, "leading_lines", ()))
    body = (first.with_changes(leading_lines=leading), *others)
    block = cst.IndentedBlock(body=body, indent=indentation, footer=module.footer)
    around = module.with_changes(
        header=(),
        footer=(),
        body=(cst.If(cst.Name("_"), block),),
        default_newline=newline,
        default_indent="\t" if "\t" in indentation else module.default_indent,
    )
    return around.code.split(newline, 1)[1].removeprefix(indentation).removesuffix(newline)
