"""One file's edits carried out together."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate

from ..model import AddImport, Edit, EditCall, EditImport, InsertBefore, ReplaceStatement, ReplaceString, ReplaceText
from ..model import Rename, Wrap
from ..source import Source
from . import calls, imports
from .locate import locate, parse
from .refusal import EditRefused as EditRefused
from .splices import Splice, ordered, splice
from .statements import behind, inserted, removed, replaced
from .strings import replaced as replaced_string
from .text import apply_text as apply_text
from .toplevel import additions
from .units import Unit, units
from .wraps import wrapped


def apply(source: Source, edits: Iterable[Edit], tree: ast.Module | None = None) -> str:
    """The file's text with all edits carried out; what they do not name stays as it is, byte for byte.

    Args:
        source: the file.
        edits: in any order; equal ones count once. AddImport sees the result of the others.
        tree: ``ast.parse(source.text)``, if the caller has it.

    Raises:
        EditRefused: one of the edits cannot be carried out exactly, contradicts another, or does not leave
            Python code behind. Nothing is done then.
    """
    wanted = tuple(dict.fromkeys(edits))
    if not wanted:
        return source.text
    tree = tree or _parsed(source.text, wanted[0])
    new = [edit for edit in wanted if isinstance(edit, AddImport)]
    source, tree = _spliced(source, tree, _splices(source, tree, [edit for edit in wanted if edit not in new]))
    return _spliced(source, tree, additions(source, tree, new))[0].text


def _parsed(text: str, edit: Edit) -> ast.Module:
    try:
        return parse(text)
    except SyntaxError as error:
        raise EditRefused(edit, f"the file does not parse: {error}") from error
