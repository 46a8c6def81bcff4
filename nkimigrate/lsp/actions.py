"""Quick fixes: a finding's rewrite, a comment that keeps its line, and the migration of the whole file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lsprotocol import types as lsp
from pygls.workspace import ServerTextPosition, TextDocument

from ..codemods.source import split_lines
from ..codemods.suppress import with_comment
from ..report.lines import changes
from .diagnostics import SOURCE, diagnostic, place_of
from .documents import File
from .findings import Found

_FIX_ALL = f"{lsp.CodeActionKind.SourceFixAll.value}.{SOURCE}"


def actions(
    file: File,
    document: TextDocument,
    found: Found,
    where: lsp.Range,
    only: Sequence[str | lsp.CodeActionKind],
) -> list[lsp.CodeAction]:
    """What is offered at a place of a document; ``only``: of these kinds, if there are any."""
    offered = [*_fixes(file, document, found, where), *_fix_all(file, found)]
    return [action for action in offered if not only or any(_is_kind(action, wanted) for wanted in only)]


def _fixes(file: File, document: TextDocument, found: Found, where: lsp.Range) -> Iterator[lsp.CodeAction]:
    """Fixes of the findings at a place, and comments that keep their lines as they are."""
    for finding in found.findings:
        if file.document_of(finding) is not document:
            continue
        place = place_of(document, finding)
        if place.end < where.start or where.end < place.start:
            continue
        diagnostics = [diagnostic(document, finding)]
        if finding.edits:
            together = found.belonging(finding)
            new = found.fixed(file.path, together)
            more = f" (with {len(together) - 1} more)" if together[1:] else ""
            title = f"Migrate: {finding.message}{more}"
            if new is not None:
                yield _action(file, title, lsp.CodeActionKind.QuickFix, new, diagnostics, preferred=True)
        kept = with_comment(found.data, finding) if file.path.endswith((".py", ".pyi")) else None
        if kept is not None:
            title = f"Keep this line as it is: # nkimigrate: skip[{finding.code}]"
            yield _action(file, title, lsp.CodeActionKind.QuickFix, kept, diagnostics)


def _fix_all(file: File, found: Found) -> Iterator[lsp.CodeAction]:
    edited = [finding for finding in found.findings if finding.edits]
    new = found.fixed(file.path, edited) if edited else None
    if new is not None:
        title = f"Migrate this file ({len(edited)} places)" if edited[1:] else "Migrate this file (1 place)"
        yield _action(file, title, _FIX_ALL, new, [])


def _action(
    file: File,
    title: str,
    kind: str | lsp.CodeActionKind,
    new: bytes,
    diagnostics: list[lsp.Diagnostic],
    preferred: bool = False,
) -> lsp.CodeAction:
    changed = [
        lsp.TextDocumentEdit(
            lsp.OptionalVersionedTextDocumentIdentifier(uri=document.uri, version=document.version),
            list(_edits(document, text)),
        )
        for document, text in zip(file.documents, file.texts(new), strict=True)
        if text != document.source
    ]
    change = lsp.WorkspaceEdit(document_changes=changed)
    return lsp.CodeAction(title, kind, diagnostics or None, is_preferred=preferred or None, edit=change)


def _edits(document: TextDocument, new: str) -> Iterator[lsp.TextEdit]:
    """Whole lines, where they differ."""
    old_lines, new_lines = document.lines, split_lines(new, keepends=True)
    for start, end, new_start, new_end in changes(old_lines, new_lines):
        place = lsp.Range(_line_start(document, old_lines, start), _line_start(document, old_lines, end))
        yield lsp.TextEdit(place, "".join(new_lines[new_start:new_end]))


def _line_start(document: TextDocument, lines: Sequence[str], index: int) -> lsp.Position:
    """Where a line begins; behind the last one, where the text ends."""
    if index < len(lines) or not lines or lines[-1].endswith(("\n", "\r")):
        return lsp.Position(index, 0)
    return document.position_to_client_units(ServerTextPosition(index - 1, len(lines[-1])))


def _is_kind(action: lsp.CodeAction, wanted: str | lsp.CodeActionKind) -> bool:
    """Kinds are dotted paths; a client asks for one and gets everything below it."""
    asked = wanted.value if isinstance(wanted, lsp.CodeActionKind) else wanted
    given = action.kind.value if isinstance(action.kind, lsp.CodeActionKind) else action.kind or ""
    return given == asked or given.startswith(f"{asked}.")
