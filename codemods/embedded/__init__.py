"""Python that stands inside other files: cells of notebooks, code blocks of documents.

The pieces of one file are joined to one module, in which names are followed from piece to piece and edits
are made as in any other; then each changed piece goes back to its place, and no other byte changes.
"""

from __future__ import annotations

from .joined import Joined, Torn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from ..model import Finding

    class Container(Protocol):
        """A file that holds Python."""

        @property
        def joined(self) -> Joined:
            """The module that its pieces make."""

        @property
        def pinned(self) -> frozenset[str]:
            """Names that what is not in the module relies on: they stay as they are."""

        def placed(self, finding: Finding) -> Finding:
            """A finding in the module, with the place in the file."""

        def others(self) -> list[Finding]:
            """What is to be said of pieces that are not in the module."""

        def restored(self, pieces: list[str]) -> bytes:
            """The file with these texts in the places of its pieces."""


__all__ = ["EMBEDDED", "Container", "Joined", "Torn", "opened"]


EMBEDDED = ("notebook", "document")
"""The kinds of files that are containers."""


def opened(data: bytes, path: str, kind: str, names: tuple[str, ...]) -> Container:
    """The container that the file is; ``names`` are what code that concerns the release has to spell.

    Raises ValueError, with what is wrong, for a notebook that is none, and UnicodeDecodeError.
    """
    if kind == "notebook":
        from .notebooks import Notebook

        return Notebook(data, path, names)
    from .documents import Document

    return Document(data, path, names)
