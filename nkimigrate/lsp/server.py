"""The protocol's side: documents in, diagnostics, quick fixes and hovers out."""

from __future__ import annotations

import asyncio
import os

from lsprotocol import types as lsp
from pygls import uris
from pygls.lsp.server import LanguageServer
from pygls.workspace import TextDocument

from .. import __version__
from ..errors import UsageError
from .actions import actions
from .diagnostics import diagnostic, help_on, of_problem, place_of
from .findings import Found, look

_PAUSE = 0.25
"""Seconds without a keystroke before a file is looked at."""
_ACTIONS = lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix, lsp.CodeActionKind.SourceFixAll])


class Server(LanguageServer):
    """What the open files hold, by uri, and the look at them that is planned."""

    def __init__(self) -> None:
        # Whole texts: pygls applies changes to lines that end at form feeds, which those of editors do not.
        super().__init__("nkimigrate", __version__, lsp.TextDocumentSyncKind.Full)
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
        shown = [diagnostic(document, finding) for finding in found.findings if finding.cell is None]
        shown += [of_problem(problem) for problem in found.problems]
        self.text_document_publish_diagnostics(
            lsp.PublishDiagnosticsParams(document.uri, shown, version=document.version)
        )


def serve() -> None:
    """Serve one editor over standard input and output."""
    server = Server()
    for method, options, handler in _FEATURES:
        server.feature(method, options)(handler)
    server.start_io()


# -- what the editor tells and asks; pygls gives handlers the server, by their annotation ----------------


async def _opened(server: Server, _params: lsp.DidOpenTextDocumentParams) -> None:
    server.plan(0)


async def _changed(server: Server, _params: lsp.DidChangeTextDocumentParams) -> None:
    server.plan(_PAUSE)


async def _saved(server: Server, _params: lsp.DidSaveTextDocumentParams) -> None:
    server.plan(0)


async def _closed(server: Server, params: lsp.DidCloseTextDocumentParams) -> None:
    server.found.pop(params.text_document.uri, None)
    server.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(params.text_document.uri, []))


def _code_actions(server: Server, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    document = server.workspace.get_text_document(params.text_document.uri)
    found = server.found.get(document.uri)
    if found is None or document.source.encode() != found.data:
        return []
    return actions(document, found, params.range, params.context.only or [])


def _hover(server: Server, params: lsp.HoverParams) -> lsp.Hover | None:
    document = server.workspace.get_text_document(params.text_document.uri)
    found = server.found.get(document.uri)
    for finding in found.findings if found else ():
        place = place_of(document, finding)
        if place.start <= params.position and not place.end < params.position:
            return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, help_on(finding)), place)
    return None


_FEATURES = (
    (lsp.TEXT_DOCUMENT_DID_OPEN, None, _opened),
    (lsp.TEXT_DOCUMENT_DID_CHANGE, None, _changed),
    (lsp.TEXT_DOCUMENT_DID_SAVE, None, _saved),
    (lsp.TEXT_DOCUMENT_DID_CLOSE, None, _closed),
    (lsp.TEXT_DOCUMENT_CODE_ACTION, _ACTIONS, _code_actions),
    (lsp.TEXT_DOCUMENT_HOVER, None, _hover),
)
"""The protocol's methods, each with the options that it is registered with and what handles it."""
