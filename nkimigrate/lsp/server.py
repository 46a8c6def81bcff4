"""The protocol's side: documents in, diagnostics, quick fixes and hovers out."""

from __future__ import annotations

import asyncio

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.workspace import TextDocument

from .. import __version__
from ..errors import UsageError
from .actions import actions
from .diagnostics import diagnostic, help_on, of_problem, place_of
from .documents import File, open_files, roots
from .findings import Found, look

_PAUSE = 0.25
"""Seconds without a keystroke before a file is looked at."""
_NOTEBOOKS = lsp.NotebookDocumentSyncOptions(
    [lsp.NotebookDocumentFilterWithCells([lsp.NotebookCellLanguage("python")])], save=True
)
_ACTIONS = lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix, lsp.CodeActionKind.SourceFixAll])


class Server(LanguageServer):
    """What was found in the open files, by uri of the document, and the look at them that is planned."""

    def __init__(self) -> None:
        super().__init__("nkimigrate", __version__, notebook_document_sync=_NOTEBOOKS)
        self.found: dict[str, tuple[File, Found]] = {}
        self.planned: asyncio.Task[None] | None = None

    def plan(self, pause: float) -> None:
        """Look at the open files soon; an earlier plan is dropped."""
        if self.planned is not None:
            self.planned.cancel()
        self.planned = asyncio.get_running_loop().create_task(self._look(pause))

    async def _look(self, pause: float) -> None:
        await asyncio.sleep(pause)
        files = list(open_files(self.workspace))
        texts = {file.path: file.data for file in files}
        try:
            found = await asyncio.to_thread(look, roots(self.workspace), texts)
        except UsageError as error:
            self.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Error, f"nkimigrate: {error}"))
            return
        for file in files:
            here = found[file.path]
            if file.data == here.data:
                self._publish(file, here)

    def _publish(self, file: File, found: Found) -> None:
        for document in file.documents:
            self.found[document.uri] = file, found
            shown = [diagnostic(document, f) for f in found.findings if file.document_of(f) is document]
            if document is file.documents[0]:
                shown += [of_problem(problem) for problem in found.problems]
            self.text_document_publish_diagnostics(
                lsp.PublishDiagnosticsParams(document.uri, shown, version=document.version)
            )

    def current(self, uri: str) -> tuple[File, TextDocument, Found] | None:
        """What was found in a document's file, if that has not changed since."""
        document = self.workspace.get_text_document(uri)
        file, found = self.found.get(document.uri, (None, None))
        if file is None or found is None or file.data != found.data:
            return None
        return file, document, found

    def forget(self, uri: str) -> None:
        """Show nothing any more in a document that is closed."""
        self.found.pop(uri, None)
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))


def serve() -> None:
    """Serve one editor over standard input and output."""
    server = Server()
    for method, options, handler in _FEATURES:
        server.feature(method, options)(handler)
    server.start_io()


# -- what the editor tells and asks; pygls gives handlers the server, by their annotation ----------------


async def _opened(
    server: Server, _params: lsp.DidOpenTextDocumentParams | lsp.DidOpenNotebookDocumentParams
) -> None:
    server.plan(0)


async def _changed(server: Server, _params: lsp.DidChangeTextDocumentParams) -> None:
    server.plan(_PAUSE)


async def _saved(
    server: Server, _params: lsp.DidSaveTextDocumentParams | lsp.DidSaveNotebookDocumentParams
) -> None:
    server.plan(0)


async def _closed(server: Server, params: lsp.DidCloseTextDocumentParams) -> None:
    server.forget(params.text_document.uri)


async def _notebook_changed(server: Server, params: lsp.DidChangeNotebookDocumentParams) -> None:
    cells = params.change.cells
    for closed in (cells.structure.did_close or []) if cells and cells.structure else []:
        server.forget(closed.uri)
    server.plan(_PAUSE)


async def _notebook_closed(server: Server, params: lsp.DidCloseNotebookDocumentParams) -> None:
    for cell in params.cell_text_documents:
        server.forget(cell.uri)


def _code_actions(server: Server, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    current = server.current(params.text_document.uri)
    return actions(*current, params.range, params.context.only or []) if current else []


def _hover(server: Server, params: lsp.HoverParams) -> lsp.Hover | None:
    current = server.current(params.text_document.uri)
    if current is None:
        return None
    file, document, found = current
    there: dict[str, lsp.Range] = {}
    for finding in found.findings:
        if file.document_of(finding) is document:
            place = place_of(document, finding)
            if place.start <= params.position and not place.end < params.position:
                there.setdefault(help_on(finding), place)
    if not there:
        return None
    text = lsp.MarkupContent(lsp.MarkupKind.Markdown, "\n\n---\n\n".join(there))
    return lsp.Hover(text, next(iter(there.values())))


_FEATURES = (
    (lsp.TEXT_DOCUMENT_DID_OPEN, None, _opened),
    (lsp.TEXT_DOCUMENT_DID_CHANGE, None, _changed),
    (lsp.TEXT_DOCUMENT_DID_SAVE, None, _saved),
    (lsp.TEXT_DOCUMENT_DID_CLOSE, None, _closed),
    (lsp.NOTEBOOK_DOCUMENT_DID_OPEN, None, _opened),
    (lsp.NOTEBOOK_DOCUMENT_DID_CHANGE, None, _notebook_changed),
    (lsp.NOTEBOOK_DOCUMENT_DID_SAVE, None, _saved),
    (lsp.NOTEBOOK_DOCUMENT_DID_CLOSE, None, _notebook_closed),
    (lsp.TEXT_DOCUMENT_CODE_ACTION, _ACTIONS, _code_actions),
    (lsp.TEXT_DOCUMENT_HOVER, None, _hover),
)
"""The protocol's methods, each with the options that it is registered with and what handles it."""
