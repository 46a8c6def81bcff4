"""The protocol's side: documents in, diagnostics, quick fixes and hovers out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence

from lsprotocol import types as lsp
from pygls import uris
from pygls.lsp.server import LanguageServer
from pygls.workspace import ServerTextPosition, ServerTextRange, TextDocument

from .. import __version__, ruledocs
from ..codemods.model import Finding
from ..codemods.suppress import with_comment
from ..errors import UsageError
from ..report.lines import changes
from ..report.model import Problem
from ..report.view import NEEDS_YOU, NOTED, REWRITTEN, REWRITTEN_NOTED, kind
from .findings import Found, look

_SOURCE = "nkimigrate"
_FIX_ALL = f"{lsp.CodeActionKind.SourceFixAll.value}.{_SOURCE}"
_PAUSE = 0.25
"""Seconds without a keystroke before a file is looked at."""
_SEVERITIES = {
    REWRITTEN: lsp.DiagnosticSeverity.Warning,
    REWRITTEN_NOTED: lsp.DiagnosticSeverity.Warning,
    NOTED: lsp.DiagnosticSeverity.Information,
    NEEDS_YOU: lsp.DiagnosticSeverity.Error,
}


class Server(LanguageServer):
    """What the open files hold, by uri, and the look at them that is planned."""

    def __init__(self) -> None:
        super().__init__("nkimigrate", __version__)
        self.found: dict[str, Found] = {}
        self.planned: asyncio.Task[None] | None = None

    def plan(self, pause: float) -> None:
        """Look at the open files soon; an earlier plan is dropped."""
        if self.planned is not None:
            self.planned.cancel()
        self.planned = asyncio.get_running_loop().create_task(self._look(pause))

    async def _look(self, pause: float) -> None:
        await asyncio.sleep(pause)
        documents = {uri: d for uri, d in self.workspace.text_documents.items() if uris.to_fs_path(uri)}
        texts = {os.path.realpath(d.path): d.source.encode() for d in documents.values()}
        root = self.workspace.root_path or os.getcwd()
        try:
            found = await asyncio.to_thread(look, os.path.realpath(root), texts)
        except UsageError as error:
            self.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Error, f"nkimigrate: {error}"))
            return
        for uri, document in documents.items():
            here = found[os.path.realpath(document.path)]
            if document.source.encode() == here.data:
                self.found[uri] = here
                self._publish(document, here)

    def _publish(self, document: TextDocument, found: Found) -> None:
        shown = [_diagnostic(document, finding) for finding in found.findings if finding.cell is None]
        shown += [_problem(problem) for problem in found.problems]
        self.text_document_publish_diagnostics(
            lsp.PublishDiagnosticsParams(document.uri, shown, version=document.version)
        )


def serve() -> None:
    """Serve one editor over standard input and output."""
    made().start_io()


def made() -> Server:
    """The server with everything it can do."""
    server = Server()

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    async def opened(_params: lsp.DidOpenTextDocumentParams) -> None:
        server.plan(0)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(_params: lsp.DidChangeTextDocumentParams) -> None:
        server.plan(_PAUSE)

    @server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    async def saved(_params: lsp.DidSaveTextDocumentParams) -> None:
        server.plan(0)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    async def closed(params: lsp.DidCloseTextDocumentParams) -> None:
        server.found.pop(params.text_document.uri, None)
        server.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(params.text_document.uri, []))

    @server.feature(
        lsp.TEXT_DOCUMENT_CODE_ACTION,
        lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix, lsp.CodeActionKind.SourceFixAll]),
    )
    def actions(params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        document = server.workspace.get_text_document(params.text_document.uri)
        found = server.found.get(document.uri)
        if found is None or document.source.encode() != found.data:
            return []
        only = params.context.only or []
        offered = [*_fixes(document, found, params.range), *_fix_all(document, found)]
        return [a for a in offered if not only or any(_is_kind(a, wanted) for wanted in only)]

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    def hover(params: lsp.HoverParams) -> lsp.Hover | None:
        document = server.workspace.get_text_document(params.text_document.uri)
        found = server.found.get(document.uri)
        for finding in found.findings if found else ():
            place = _range(document, finding)
            if place.start <= params.position and not place.end < params.position:
                return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, _help(finding)), place)
        return None

    return server


def _diagnostic(document: TextDocument, finding: Finding) -> lsp.Diagnostic:
    step = (
        f"\n{'Next' if kind(finding) == NEEDS_YOU else 'Note'}: {finding.step}"
        if finding.step.strip()
        else ""
    )
    return lsp.Diagnostic(
        _range(document, finding),
        f"{finding.message}{step}",
        severity=_SEVERITIES[kind(finding)],
        code=finding.code,
        source=_SOURCE,
    )


def _problem(problem: Problem) -> lsp.Diagnostic:
    start = lsp.Position(problem.line - 1, problem.column - 1)
    end = lsp.Position(problem.line - 1, problem.column)
    return lsp.Diagnostic(
        lsp.Range(start, end),
        problem.message,
        severity=lsp.DiagnosticSeverity.Error,
        code=problem.code,
        source=_SOURCE,
    )


def _range(document: TextDocument, finding: Finding) -> lsp.Range:
    """The finding's place in the client's units."""
    start = ServerTextPosition(finding.line - 1, finding.column - 1)
    end = ServerTextPosition(finding.end_line - 1, finding.end_column - 1)
    return document.range_to_client_units(ServerTextRange(start, end))


def _help(finding: Finding) -> str:
    item = ruledocs.find(finding.code)
    return f"**{item.code} {item.name}**\n\n{ruledocs.as_markdown(item)}"


# -- quick fixes --------------------------------------------------------------------------------------


def _fixes(document: TextDocument, found: Found, where: lsp.Range) -> Iterator[lsp.CodeAction]:
    for finding in found.findings:
        place = _range(document, finding)
        if place.end < where.start or where.end < place.start or finding.cell is not None:
            continue
        diagnostics = [_diagnostic(document, finding)]
        if finding.edits:
            together = found.belonging(finding)
            new = found.fixed(document.path, together)
            title = f"Migrate: {finding.message}" + (
                f" (with {len(together) - 1} more)" if together[1:] else ""
            )
            if new is not None:
                yield _action(document, title, lsp.CodeActionKind.QuickFix, new, diagnostics, preferred=True)
        kept = with_comment(found.data, finding) if document.path.endswith((".py", ".pyi")) else None
        if kept is not None:
            title = f"Keep this line as it is: # nkimigrate: skip[{finding.code}]"
            yield _action(document, title, lsp.CodeActionKind.QuickFix, kept, diagnostics)


def _fix_all(document: TextDocument, found: Found) -> Iterator[lsp.CodeAction]:
    edited = [finding for finding in found.findings if finding.edits]
    new = found.fixed(document.path, edited) if edited else None
    if new is not None:
        title = f"Migrate this file ({len(edited)} places)" if edited[1:] else "Migrate this file (1 place)"
        yield _action(document, title, _FIX_ALL, new, [])


def _action(
    document: TextDocument,
    title: str,
    kind: str | lsp.CodeActionKind,
    new: bytes,
    diagnostics: list[lsp.Diagnostic],
    preferred: bool = False,
) -> lsp.CodeAction:
    edits = list(_edits(document, new.decode()))
    versioned = lsp.OptionalVersionedTextDocumentIdentifier(uri=document.uri, version=document.version)
    change = lsp.WorkspaceEdit(document_changes=[lsp.TextDocumentEdit(versioned, edits)])
    return lsp.CodeAction(title, kind, diagnostics or None, is_preferred=preferred or None, edit=change)


def _edits(document: TextDocument, new: str) -> Iterator[lsp.TextEdit]:
    """Whole lines, where they differ."""
    old_lines, new_lines = document.source.splitlines(keepends=True), new.splitlines(keepends=True)
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
