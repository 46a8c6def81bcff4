"""The language server, spoken to by a client over its standard input and output."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

pytest.importorskip("pygls", reason="install nkimigrate[lsp]")
from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

KERNELS = "from nkilib.core.mlp.mlp import mlp_kernel\n"
MODEL = "import kernels\n\n\ndef f(x, *rest):\n    s = 'é𝄞'; return kernels.mlp_kernel(x, *rest)\n"
WAIT = 20.0


class Client(LanguageClient):
    """A client that keeps the diagnostics it gets."""

    def __init__(self) -> None:
        super().__init__("test", "1")
        self.found_capabilities = lsp.ServerCapabilities()
        self.published: asyncio.Queue[lsp.PublishDiagnosticsParams] = asyncio.Queue()

        @self.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def keep(params: lsp.PublishDiagnosticsParams) -> None:
            self.published.put_nowait(params)

    async def diagnostics(self) -> list[lsp.Diagnostic]:
        params = await asyncio.wait_for(self.published.get(), WAIT)
        return sorted(params.diagnostics, key=lambda d: (d.range.start, d.code))

    def open(self, path: Path) -> str:
        uri = path.as_uri()
        item = lsp.TextDocumentItem(uri, "python", 1, path.read_text("utf-8"))
        self.text_document_did_open(lsp.DidOpenTextDocumentParams(item))
        return uri

    async def actions(self, uri: str, where: lsp.Range, *only: str) -> list[lsp.CodeAction]:
        context = lsp.CodeActionContext([], only=list(only) or None)
        params = lsp.CodeActionParams(lsp.TextDocumentIdentifier(uri), where, context)
        return [
            a
            for a in await self.text_document_code_action_async(params) or []
            if isinstance(a, lsp.CodeAction)
        ]


def talk(root: Path, conversation: Callable[[Client], Awaitable[None]]) -> None:
    """Start the server for a workspace, hold the conversation, and see that it leaves as the protocol says."""

    async def run() -> None:
        client = Client()
        await client.start_io(sys.executable, "-m", "nkimigrate.lsp")
        folders = [lsp.WorkspaceFolder(root.as_uri(), "w")]
        params = lsp.InitializeParams(
            lsp.ClientCapabilities(), root_uri=root.as_uri(), workspace_folders=folders
        )
        client.found_capabilities = (await client.initialize_async(params)).capabilities
        client.initialized(lsp.InitializedParams())
        await conversation(client)
        await client.shutdown_async(None)
        client.exit(None)
        await client.stop()

    asyncio.run(asyncio.wait_for(run(), 3 * WAIT))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "kernels.py").write_text(KERNELS)
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    return tmp_path


def edited(text: str, action: lsp.CodeAction) -> str:
    """``text`` with the action's edits, by an implementation of the protocol's own: UTF-16 code units."""
    assert action.edit is not None
    (change,) = action.edit.document_changes or []
    assert isinstance(change, lsp.TextDocumentEdit)
    lines = text.split("\n")

    def offset(position: lsp.Position) -> int:
        before = sum(len(line) + 1 for line in lines[: position.line])
        units = (
            lines[position.line].encode("utf-16-le")[: 2 * position.character] if position.character else b""
        )
        return before + len(units.decode("utf-16-le"))

    for edit in sorted(change.edits, key=lambda e: e.range.start, reverse=True):
        assert isinstance(edit, lsp.TextEdit)
        text = text[: offset(edit.range.start)] + edit.new_text + text[offset(edit.range.end) :]
    return text


def test_lines_end_where_those_of_editors_do(tmp_path: Path) -> None:
    """Not at form feeds and the like: a quick fix replaced another line than the one it was for."""
    text = "# one\x0c\n# two \x85 \u2028\n\x0c\ns = '𝄞\x1c𝄞'; from nkilib.core.mlp.mlp import mlp_kernel\ny = 'z'\n"
    path = tmp_path / "model.py"
    path.write_text(text, encoding="utf-8")

    async def conversation(client: Client) -> None:
        uri = client.open(path)
        rename = next(d for d in await client.diagnostics() if d.code == "NKM103")
        line = text.split("\n")[3]
        start = len(line[: line.index("mlp_kernel")].encode("utf-16-le")) // 2
        assert rename.range.start == lsp.Position(3, start)
        fix = next(a for a in await client.actions(uri, rename.range) if a.title.startswith("Migrate: "))
        new = edited(text, fix)
        assert new == text.replace("import mlp_kernel", "import mlp")
        versioned = lsp.VersionedTextDocumentIdentifier(2, uri)
        capabilities = client.found_capabilities.text_document_sync
        assert isinstance(capabilities, lsp.TextDocumentSyncOptions)
        assert capabilities.change == lsp.TextDocumentSyncKind.Full
        whole = lsp.TextDocumentContentChangeWholeDocument("# new\n" + text)
        client.text_document_did_change(lsp.DidChangeTextDocumentParams(versioned, [whole]))
        rename = next(d for d in await client.diagnostics() if d.code == "NKM103")
        assert rename.range.start == lsp.Position(4, start)

    talk(tmp_path, conversation)


def test_diagnostics_quick_fixes_and_hover(workspace: Path) -> None:
    async def conversation(client: Client) -> None:
        uri = client.open(workspace / "kernels.py")
        found = await client.diagnostics()
        rename = next(d for d in found if d.code == "NKM103")
        assert rename.source == "nkimigrate"
        assert (rename.range.start.line, rename.severity) == (0, lsp.DiagnosticSeverity.Warning)
        actions = await client.actions(uri, rename.range)
        fix = next(
            a for a in actions if a.title.startswith("Migrate: ") and a.kind == lsp.CodeActionKind.QuickFix
        )
        assert edited(KERNELS, fix) == "from nkilib.core.mlp.mlp import mlp as mlp_kernel\n"
        keep = next(a for a in actions if "skip[NKM103]" in a.title)
        assert edited(KERNELS, keep) == KERNELS.rstrip() + "  # nkimigrate: skip[NKM103]\n"
        (everything,) = await client.actions(uri, rename.range, "source.fixAll")
        assert edited(KERNELS, everything) == edited(KERNELS, fix)
        identifier = lsp.TextDocumentIdentifier(uri)
        hover = await client.text_document_hover_async(lsp.HoverParams(identifier, rename.range.start))
        assert hover is not None
        assert isinstance(hover.contents, lsp.MarkupContent)
        assert "NKM" in hover.contents.value

    talk(workspace, conversation)


def test_names_are_followed_through_the_workspace_and_columns_count_as_editors_do(workspace: Path) -> None:
    async def conversation(client: Client) -> None:
        client.open(workspace / "model.py")
        found = await client.diagnostics()
        line = MODEL.split("\n")[4]
        assert found
        for diagnostic in found:
            units = line.encode("utf-16-le")[2 * diagnostic.range.start.character :].decode("utf-16-le")
            assert units.startswith(("kernels.mlp_kernel", "mlp_kernel")), units

    talk(workspace, conversation)


def test_unsaved_text_counts_and_nothing_is_written(workspace: Path) -> None:
    async def conversation(client: Client) -> None:
        uri = client.open(workspace / "kernels.py")
        assert await client.diagnostics()
        whole = lsp.TextDocumentContentChangeWholeDocument("x = 1\n")
        identifier = lsp.VersionedTextDocumentIdentifier(2, uri)
        client.text_document_did_change(lsp.DidChangeTextDocumentParams(identifier, [whole]))
        assert await client.diagnostics() == []

    before = {path: path.read_bytes() for path in workspace.rglob("*")}
    talk(workspace, conversation)
    assert {path: path.read_bytes() for path in workspace.rglob("*")} == before


def test_a_file_that_does_not_parse_and_a_wrong_configuration(workspace: Path) -> None:
    (workspace / "kernels.py").write_text(KERNELS + "def\n")

    async def conversation(client: Client) -> None:
        client.open(workspace / "kernels.py")
        (found,) = await client.diagnostics()
        assert (found.code, found.range.start.line) == ("NKM901", 1)

    talk(workspace, conversation)


def test_words_on_its_command_line_are_refused() -> None:
    command = [sys.executable, "-m", "nkimigrate.lsp"]
    assert subprocess.run([*command, "--stdio-x"], capture_output=True, check=False).returncode == 2
    helped = subprocess.run([*command, "--help"], capture_output=True, check=False, text=True)
    assert helped.returncode == 0
    assert "Language Server Protocol" in helped.stdout
