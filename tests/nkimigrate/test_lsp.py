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


def talk(
    root: Path | None, conversation: Callable[[Client], Awaitable[None]], cwd: Path | None = None
) -> None:
    """Start the server for a workspace, or for single files, hold the conversation, and see that it leaves as the protocol says."""

    async def run() -> None:
        client = Client()
        await client.start_io(sys.executable, "-m", "nkimigrate.lsp", cwd=cwd)
        folders = [lsp.WorkspaceFolder(root.as_uri(), "w")] if root else []
        params = lsp.InitializeParams(
            lsp.ClientCapabilities(), root_uri=root.as_uri() if root else None, workspace_folders=folders
        )
        await client.initialize_async(params)
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
        place = lsp.Range(lsp.Position(2, 0), lsp.Position(3, 0))
        part = lsp.TextDocumentContentChangePartial(place, "# new\n\x0c\n")
        client.text_document_did_change(lsp.DidChangeTextDocumentParams(versioned, [part]))
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


def test_single_files_without_a_workspace(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The server walked through its own current folder, which can be the whole disk; one that was never saved left
    all of them without a word.
    """
    current = tmp_path_factory.mktemp("current")
    for number in range(3):
        (current / f"{number}.py").write_text(KERNELS)

    async def conversation(client: Client) -> None:
        item = lsp.TextDocumentItem((workspace / "new.py").as_uri(), "python", 1, KERNELS)
        client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))
        assert await client.diagnostics() == []
        client.open(workspace / "model.py")
        assert await client.diagnostics() == []
        assert await client.diagnostics() == []  # who calls what is in a file that is not open
        client.open(workspace / "kernels.py")
        found = [await client.diagnostics() for _ in range(3)]
        assert [{d.code for d in shown} for shown in found][1:] == [
            {"NKM201", "NKM501"},
            {"NKM103", "NKM501"},
        ]

    talk(None, conversation, current)


class OpenNotebook:
    """A notebook as an editor has it, whose cells other than code it does not tell of."""

    def __init__(self, client: Client, path: Path, cells: list[str]) -> None:
        self.client = client
        self.uri = path.as_uri()
        self.texts = {f"vscode-notebook-cell:{path.as_posix()}#W{n}": text for n, text in enumerate(cells)}
        documents = [lsp.TextDocumentItem(uri, "python", 1, text) for uri, text in self.texts.items()]
        notebook = lsp.NotebookDocument(
            self.uri, "jupyter-notebook", 1, [self.cell(uri) for uri in self.texts]
        )
        client.notebook_document_did_open(lsp.DidOpenNotebookDocumentParams(notebook, documents))

    @staticmethod
    def cell(uri: str) -> lsp.NotebookCell:
        return lsp.NotebookCell(lsp.NotebookCellKind.Code, uri)

    def change(self, cells: lsp.NotebookDocumentCellChanges) -> None:
        identifier = lsp.VersionedNotebookDocumentIdentifier(2, self.uri)
        event = lsp.NotebookDocumentChangeEvent(cells=cells)
        self.client.notebook_document_did_change(lsp.DidChangeNotebookDocumentParams(identifier, event))

    async def codes(self, count: int) -> dict[str, list[tuple[str | int | None, int]]]:
        """Code and line of what is shown in cells, by the end of their uris, when so many were told."""
        found = {}
        for _ in range(count):
            params = await asyncio.wait_for(self.client.published.get(), WAIT)
            shown = sorted((d.code, d.range.start.line) for d in params.diagnostics)
            found[params.uri.rpartition("#")[2]] = shown
        return found

    def edited(self, action: lsp.CodeAction) -> list[str]:
        """The cells after an action."""
        assert action.edit is not None
        texts = dict(self.texts)
        for change in action.edit.document_changes or []:
            assert isinstance(change, lsp.TextDocumentEdit)
            one = lsp.CodeAction("", edit=lsp.WorkspaceEdit(document_changes=[change]))
            texts[change.text_document.uri] = edited(texts[change.text_document.uri], one)
        return list(texts.values())


def test_cells_of_notebooks(workspace: Path) -> None:
    cells = [
        "%matplotlib inline\nfrom nkilib.core.mlp.mlp import mlp_kernel",
        "%%bash\nls",
        "# 𝄞\ny = mlp_kernel(x, gate, up, down, *rest)\n",
    ]

    (workspace / "model.ipynb").write_text('{"cells": []}')  # what is open counts

    async def conversation(client: Client) -> None:
        notebook = OpenNotebook(client, workspace / "model.ipynb", cells)
        assert await notebook.codes(3) == {
            "W0": [("NKM103", 1), ("NKM501", 1)],
            "W1": [],
            "W2": [("NKM103", 1), ("NKM201", 1)],
        }
        first, _, last = notebook.texts
        (everything,) = await client.actions(
            first, lsp.Range(lsp.Position(1, 0), lsp.Position(1, 9)), "source.fixAll"
        )
        new = [text.replace("mlp_kernel", "mlp") for text in cells]
        assert notebook.edited(everything) == new
        hover = lsp.HoverParams(lsp.TextDocumentIdentifier(last), lsp.Position(1, 6))
        answer = await client.text_document_hover_async(hover)
        assert answer is not None
        assert "NKM201" in str(answer.contents)
        identifier = lsp.VersionedTextDocumentIdentifier(2, last)
        change = lsp.TextDocumentContentChangePartial(lsp.Range(lsp.Position(0, 2), lsp.Position(1, 38)), "é")
        notebook.change(
            lsp.NotebookDocumentCellChanges(
                text_content=[lsp.NotebookDocumentCellContentChanges(identifier, [change])]
            )
        )
        assert (await notebook.codes(3))["W2"] == []
        gone = lsp.TextDocumentIdentifier(first)
        structure = lsp.NotebookDocumentCellChangeStructure(
            lsp.NotebookCellArrayChange(0, 1, []), did_close=[gone]
        )
        notebook.change(lsp.NotebookDocumentCellChanges(structure=structure))
        assert await notebook.codes(3) == {"W0": [], "W1": [], "W2": []}

    talk(workspace, conversation)


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
