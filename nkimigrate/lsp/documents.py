"""Files as an editor holds them: one document, or a notebook, whose cells are a document each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from pygls import uris
from pygls.workspace import TextDocument, Workspace

from ..codemods.model import Finding
from ..codemods.source import split_lines
from ..discovery import kind_of

# Those of pygls end at form feeds, too: it would change, and point to, other places than the editor does.
TextDocument.lines = property(lambda self: split_lines(self.source, keepends=True))  # type: ignore[assignment]


@dataclass(frozen=True)
class File:
    """A file that is open.

    Attributes:
        path: where it is, a real path. documents: its text, or the code cells of a notebook in their order.
    """

    path: str
    documents: Sequence[TextDocument]
    notebook: bool = False

    @property
    def data(self) -> bytes:
        """What would be on the disk if it were saved; of a notebook the code alone."""
        if not self.notebook:
            return self.documents[0].source.encode()
        cells = [{"cell_type": "code", "source": list(d.lines)} for d in self.documents]
        return json.dumps({"cells": cells, "nbformat": 4}).encode()

    def texts(self, data: bytes) -> list[str]:
        """The texts of the documents when the file holds this."""
        if not self.notebook:
            return [data.decode()]
        return ["".join(cell["source"]) for cell in json.loads(data)["cells"]]

    def document_of(self, finding: Finding) -> TextDocument | None:
        """The document in which a finding stands; None for a notebook that is open as a text."""
        if (finding.cell is not None) != self.notebook:
            return None
        return self.documents[(finding.cell or 1) - 1]


def open_files(workspace: Workspace) -> Iterator[File]:
    """All files that an editor holds."""
    for uri, document in workspace.text_documents.items():
        if uris.to_fs_path(uri) and workspace.get_notebook_document(cell_uri=uri) is None:
            yield File(os.path.realpath(document.path), [document])
    for uri, notebook in workspace.notebook_documents.items():
        path = uris.to_fs_path(uri)
        cells = (workspace.text_documents.get(unquote(cell.document)) for cell in notebook.cells)
        documents = [cell for cell in cells if cell is not None]
        if path and documents and kind_of(os.path.basename(path)) == "notebook":
            yield File(os.path.realpath(path), documents, notebook=True)


def roots(workspace: Workspace) -> list[str]:
    """The folders of a workspace, as real paths; none where single files are open."""
    folders = [uris.to_fs_path(uri) for uri in workspace.folders] or [workspace.root_path]
    return [os.path.realpath(folder) for folder in folders if folder]
