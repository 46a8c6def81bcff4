"""New statements, which are written without indentation, indented for the block that they go into."""

from __future__ import annotations

import libcst as cst

from ..model import Edit
from .refusal import EditRefused


class _BlankLines(cst.CSTTransformer):
    """Blank lines stay empty however deep the block is."""

    def leave_EmptyLine(self, original_node: cst.EmptyLine, updated_node: cst.EmptyLine) -> cst.EmptyLine:
        return updated_node if updated_node.comment else updated_node.with_changes(indent=False)


def in_block(text: str, indentation: str, newline: str, edit: Edit) -> str:
    """The statements in ``text``, each line but the first indented, without the newline at the end.

    The first line goes where a statement's indentation already stands. libcst knows which lines are inside of
    a string: they stay as they are.

    Raises:
        EditRefused: the code does not parse.
    """
    try:
        module = cst.parse_module(text + newline)
    except (cst.ParserSyntaxError, RecursionError) as error:
        raise EditRefused(edit, f"the new code does not parse: {error}") from error
    module = module.visit(_BlankLines())
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
