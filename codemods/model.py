"""The values that travel between analysis, editing and reporting: findings and edits.

Everything here is immutable data, cheap to pickle between processes, and free of heavy imports.
A *span* is a pair of byte offsets ``(start, end)`` into the file's text encoded as UTF-8 without its
byte-order mark (see :class:`~nkimigrate.codemods.source.Source`): the coordinates of :mod:`ast`.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

from .record import record

Span = tuple[int, int]


class Outcome(str, Enum):
    """What became of a place that the new release affects; there is no fourth."""

    REWRITTEN = "rewritten"
    NOTED = "noted"
    NEEDS_YOU = "needs-you"


@record
class Rename:
    """Replace one identifier: a name, the last part of an attribute, or a keyword's or import alias's name.

    ``span`` covers the identifier alone.
    """

    span: Span
    old: str
    new: str


@record
class ReplaceString:
    """Give a string literal another value, keeping its prefix and quotes. ``span`` covers the literal."""

    span: Span
    old: str
    new: str


@record
class Wrap:
    """Replace the expression at ``span`` by ``template``, in which ``{}`` stands for the (edited) expression.

    ``{0}``, ``{1}``, … stand for the (edited) expressions at ``parts``, which lie inside it; what another
    edit drops may live on there. A template with neither replaces the expression altogether.
    """

    span: Span
    template: str
    parts: tuple[Span, ...] = ()


@record
class Move:
    """Bind the (edited) expression at ``span`` to ``name`` in a line of its own before the statement at
    ``before``, and put the name in its place.
    """

    span: Span
    name: str
    before: Span


@record
class EditCall:
    """Change the argument list of the call at ``span``; values and their order stay.

    Attributes:
        keywords: ``(index, name)``: the positional argument at that index of the call gets this keyword.
        renamed: ``(old, new)``: keyword arguments that get another name.
        dropped: keyword arguments (by name) and positional ones (by index) that go.
        added: ``(name, expression)``: keyword arguments appended at the end.
    Keyword names in ``renamed`` and ``dropped`` are those the call has before any edit.
    Several EditCalls for one span are merged field by field.
    """

    span: Span
    keywords: tuple[tuple[int, str], ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str | int, ...] = ()
    added: tuple[tuple[str, str], ...] = ()


@record
class EditImport:
    """Change the import statement at ``span``.

    Attributes:
        module: ``(old, new)`` of the module in ``from module import …``, or None.
        names: ``(old, new)``, each ``"name"`` or ``"name as alias"`` exactly as the statement imports it;
            an empty ``new`` removes the name.
        also: whole import statements to put behind this one, at its indentation.
    Several EditImports for one span are merged. A statement left without names is replaced by ``also``.
    """

    span: Span
    module: tuple[str, str] | None = None
    names: tuple[tuple[str, str], ...] = ()
    also: tuple[str, ...] = ()


@record
class InsertBefore:
    """Put whole lines of code before the statement at ``span``, at its indentation."""

    span: Span
    lines: tuple[str, ...]


@record
class ReplaceStatement:
    """Replace the whole statement at ``span`` by ``code`` (lines at column 0, indented on insertion)."""

    span: Span
    code: str


@record
class ReplaceLines:
    """Replace whole physical lines by ``code``, which is indented as it is to stand there.

    ``span`` runs from the first byte of the first line to the first byte of the line after the last (or the
    end of the file). Lines of ``code`` end with ``\\n``; they get the file's newline. Empty code takes the
    lines away.
    """

    span: Span
    code: str


@record
class ReplaceCode:
    """Put ``new`` in the place of the code ``old`` at ``span``, whatever that is a part of.

    For what no other edit names: an annotation, a marker in a parameter list.
    """

    span: Span
    old: str
    new: str


@record
class RemoveStatement:
    """Take the simple statement at ``span`` away, with its lines and the comment behind it."""

    span: Span


@record
class KeepBody:
    """Replace the ``try`` statement at ``span`` by its body, in which other edits may apply.

    Edits inside the arms that go are dropped with them.
    """

    span: Span


@record
class ReplaceText:
    """Replace bytes in a file that is not Python (configuration, packaging)."""

    span: Span
    old: str
    new: str


@record
class AddImport:
    """Make sure the module imports a name: ``from module import name`` (``import module as name`` if
    ``whole``).
    """

    module: str
    name: str
    whole: bool = False


Edit = (
    Rename
    | ReplaceString
    | Wrap
    | Move
    | EditCall
    | EditImport
    | InsertBefore
    | ReplaceStatement
    | ReplaceLines
    | ReplaceCode
    | RemoveStatement
    | KeepBody
    | ReplaceText
    | AddImport
)


LANGUAGE = "NKL"
"""The group of a file's findings that the language step carries out together."""


@record
class Finding:
    """One affected place, and what became of it.

    Attributes:
        code: the rule's code, e.g. ``NKM201``.
        path: the file, as the user named it.
        line, column: 1-based, column in characters; ``end_line``, ``end_column`` exclusive in columns.
        message: what is affected and, for a rewrite, what it became.
        step: the exact next step for a person (``needs-you``), or what to know (``noted``).
        edits: what rewrites the place; empty for ``needs-you``.
        cell: 1-based code cell of a notebook, or None.
        group: findings of one file with the same group are carried out together or not at all ("" for alone).
    """

    code: str
    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    outcome: Outcome
    message: str
    step: str = ""
    edits: tuple[Edit, ...] = ()
    cell: int | None = None
    group: str = ""


def mixed(findings: Collection[Finding]) -> bool:
    """Whether something would be rewritten and something else needs a person."""
    return any(f.edits for f in findings) and any(f.outcome is Outcome.NEEDS_YOU for f in findings)
