"""What a run is asked to do."""

from __future__ import annotations

TYPE_CHECKING = False  # typing and dataclasses stay unloaded on the path of a tree without a hit
if TYPE_CHECKING:
    from typing import Any, Literal


class Options:
    """What the engine is asked to do.

    Attributes:
        paths: files and folders, as the user named them.
        mode: ``write`` files, or only report (``check``), or report with a ``diff``.
        release_from, release_to: the releases between which the code is taken.
        tables: paths of a team's own release tables, applied after those of the releases.
        select, ignore: rule codes or prefixes of them; an empty ``select`` selects all.
        exclude, extend_exclude: patterns as in a .gitignore file, instead of and beside the default ones.
        root: the folder to which those patterns are relative.
        jobs: processes to use; 0 chooses by the amount of work.
        executor: where the work is done: ``dask:ADDRESS``, or nothing for this machine.
        partial: migrate what can be of kernels that cannot be migrated whole, and mark the rest by comments.
        all_keywords: give every keyword that can be given, not only those that must be.
        respect_gitignore: leave out what git ignores.
        cache: remember which files have nothing to migrate, and what checks found in the others.
        stdin: code to migrate instead of files; ``stdin_filename`` is the name to report it under.
        docs: take code blocks of documents, too.
        only: real paths of the files that count, or None for all; the others are still read.
        overlay: texts by real path that count instead of what is on disk, such as those of an editor.
        texts: make the new text and keep the old one even when nothing but a report is wanted.
    """

    paths: tuple[str, ...] = ()
    mode: Literal["write", "diff", "check"] = "write"
    release_from: str = "2.27"
    release_to: str = "2.28"
    tables: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    extend_exclude: tuple[str, ...] = ()
    root: str = "."
    jobs: int = 0
    executor: str = ""
    all_keywords: bool = False
    partial: bool = False
    respect_gitignore: bool = True
    cache: bool = True
    stdin_filename: str | None = None
    stdin: bytes | None = None
    docs: bool = False
    only: frozenset[str] | None = None
    overlay: dict[str, bytes] | None = None
    texts: bool = False

    def __init__(self, **values: Any) -> None:
        unknown = values.keys() - Options.__annotations__.keys()
        if unknown:
            raise TypeError(f"no such option: {', '.join(sorted(unknown))}")
        self.__dict__.update(values)

    def __repr__(self) -> str:
        return f"Options({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"
