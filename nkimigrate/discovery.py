"""Find the files that a migration may concern, quickly and in a stable order.

A folder is walked with ``os.scandir``; what comes out is in the order of the paths as strings. Left out are:

* folders that :data:`DEFAULT_EXCLUDE` names, and virtual environments under any name (``pyvenv.cfg``,
  ``conda-meta``);
* what the ``.gitignore`` files from the repository's root downwards and ``.git/info/exclude`` ignore. Outside
  a repository the ``.gitignore`` files in the given folders count. A user's global ignore file does not: the
  same tree gives the same result on every machine;
* symbolic links to folders. A link to a file is followed, and comes last, if nothing else led to that file.

A path that is given by name is always taken, whatever the patterns say.
"""

from __future__ import annotations

import os
import stat

from nkimigrate.errors import FileError
from nkimigrate.gitignore import Patterns, Rules, lines_of
from nkimigrate.reading import Unreadable, read, reason

TYPE_CHECKING = False  # importing typing would cost more than 1,000 files do
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Literal

    Kind = Literal["python", "text", "notebook", "document"]

DEFAULT_EXCLUDE = (
    ".eggs/",
    ".git/",
    ".hg/",
    ".mypy_cache/",
    ".nkimigrate_cache/",
    ".nox/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".svn/",
    ".tox/",
    ".venv/",
    "*.egg-info/",
    "__pycache__/",
    "_vendor/",
    "build/",
    "dist/",
    "node_modules/",
    "site-packages/",
    "third_party/",
    "vendor/",
    "vendored/",
)
"""Patterns, written as in a .gitignore file, of the folders that are not walked by default."""

_KINDS: dict[str, Kind] = {
    "py": "python",
    "pyi": "python",
    "ipynb": "notebook",
    "toml": "text",
    "cfg": "text",
    "ini": "text",
    "yaml": "text",
    "yml": "text",
    "json": "text",
    "env": "text",
}
_DOCUMENTS = ("md", "markdown", "rst")
_IGNORE_FILE_LIMIT = 1 << 20


class PathError(FileError):
    """A path given by the user is not there."""


class Found:
    """A file to look at, as it was when it was found.

    Attributes:
        path: as a user would type it: relative to the current folder unless the given path was absolute.
        kind: ``python``, ``notebook``, ``document`` or ``text``.
        mtime_ns, ctime_ns: times of the last change of the content and of the inode, nanoseconds since 1970.
        size: in bytes.
        identity: equal for two paths that lead to the same file.
    """

    __slots__ = ("ctime_ns", "identity", "kind", "mtime_ns", "path", "size")
    identity: int | bytes

    def __init__(self, path: str, kind: Kind, status: os.stat_result) -> None:
        self.path = path
        self.kind = kind
        self.mtime_ns = status.st_mtime_ns
        self.ctime_ns = status.st_ctime_ns
        self.size = status.st_size
        # Hard links are names of equal right, and writing one parts it from the others: each must come out.
        alone = status.st_nlink == 1
        self.identity = status.st_dev << 64 | status.st_ino if alone else _digest(os.path.realpath(path))

    def __repr__(self) -> str:
        return f"<{self.path!r}: {self.kind}, {self.size} bytes>"


def discover(
    paths: Iterable[str | os.PathLike[str]],
    *,
    exclude: Iterable[str] = (),
    extend_exclude: Iterable[str] = (),
    respect_gitignore: bool = True,
    root: str = ".",
    documents: bool = False,
    on_error: Callable[[str, str], None] | None = None,
) -> Iterator[Found]:
    """The files in and under ``paths``, each once, in a stable order.

    ``exclude`` replaces :data:`DEFAULT_EXCLUDE`, ``extend_exclude`` adds to it; both are patterns as in a
    .gitignore file that lies in the folder ``root``. ``documents`` takes Markdown and reStructuredText, too.
    ``on_error(path, message)`` hears of each folder or file
    that could not be looked at; without it the first one raises PathError.
    Raises PathError, before anything is yielded, when one of ``paths`` is not there.
    """
    tops = [(path, _status(path)) for path in (os.fspath(given) for given in paths)]
    chosen = (*(tuple(exclude) or DEFAULT_EXCLUDE), *extend_exclude)
    excluded = Patterns(_from_root(pattern, root) for pattern in chosen)
    return _Walk(excluded, root, respect_gitignore, documents, on_error or _raise).all(tops)


def kind_of(name: str, documents: bool = False) -> Kind | None:
    """What kind of file a walk takes a file of this name for; None: not one to look at."""
    _, dot, suffix = name.rpartition(".")
    kind = _KINDS.get(suffix) if dot else None
    if documents and suffix in _DOCUMENTS:
        return "document"
    if kind is None and (
        name.startswith("Dockerfile") or (suffix == "txt" and name.startswith("requirements"))
    ):
        return "text"
    return kind


def _digest(path: str) -> bytes:
    """Sixteen bytes for a path: there may be many of them."""
    from _blake2 import blake2b

    return blake2b(os.fsencode(path), digest_size=16).digest()


class _Folder:
    """A folder still to be walked: the start of its files' paths, and the rules that govern its entries."""

    __slots__ = ("excludes", "given", "ignores", "prefix")

    def __init__(self, prefix: str, excludes: Rules, ignores: Rules, given: bool = False) -> None:
        self.prefix = prefix
        self.excludes = excludes
        self.ignores = ignores
        self.given = given

    def below(self, name: str, ignores: Rules) -> _Folder:
        return _Folder(f"{self.prefix}{name}/", self.excludes.below(name), ignores.below(name))


class _Listing:
    """The entries of one folder by what they are."""

    __slots__ = ("files", "folders", "links", "others")

    def __init__(self) -> None:
        self.files: dict[str, Found] = {}
        self.folders: set[str] = set()
        self.links: dict[str, Kind] = {}
        self.others: set[str] = set()


class _Walk:
    """One run over all given paths: remembers which files it has met."""

    def __init__(
        self,
        excluded: Patterns,
        root: str,
        respect_gitignore: bool,
        documents: bool,
        on_error: Callable[[str, str], None],
    ) -> None:
        self._documents = documents
        self._excluded = excluded
        self._root = root
        self._respect_gitignore = respect_gitignore
        self._on_error = on_error
        self._links: list[tuple[str, Kind]] = []

    def all(self, tops: list[tuple[str, os.stat_result]]) -> Iterator[Found]:
        met = set()
        for found in self._candidates(tops):
            if found.identity not in met:
                met.add(found.identity)
                yield found

    def _candidates(self, tops: list[tuple[str, os.stat_result]]) -> Iterator[Found]:
        for path, status in tops:
            if stat.S_ISDIR(status.st_mode):
                yield from self._tree(path)
            else:
                yield Found(path, _kind_of_given(path, self._documents), status)
        for path, kind in sorted(self._links):
            linked = _linked(path, kind)
            if linked:
                yield linked

    def _tree(self, top: str) -> Iterator[Found]:
        stack: list[Found | _Folder] = [self._given_folder(top)]
        while stack:
            item = stack.pop()
            if isinstance(item, Found):
                yield item
            else:
                stack += self._expand(item)

    def _given_folder(self, top: str) -> _Folder:
        stripped = top.rstrip("/") or "/"
        prefix = {".": "", "/": "/"}.get(stripped, f"{stripped}/")
        below_root = os.path.relpath(top, self._root)
        excludes = Rules().plus(self._excluded, "" if below_root == "." else f"{below_root}/")
        ignores = self._rules_above(top) if self._respect_gitignore else Rules()
        return _Folder(prefix, excludes, ignores, given=True)

    def _expand(self, folder: _Folder) -> list[Found | _Folder]:
        """What is in the folder, last path first. A folder sorts as its name with the slash, as paths do."""
        inside = self._scan(folder.prefix)
        if not folder.given and ("pyvenv.cfg" in inside.files or "conda-meta" in inside.folders):
            return []
        excludes, ignores = folder.excludes, self._ignores(folder, inside)
        items: dict[str, Found | _Folder] = {**inside.files}
        if excludes.any_file or ignores.any_file:
            for name in [*inside.files, *inside.links]:
                if excludes.ignore(name, False) or ignores.ignore(name, False):
                    items.pop(name, None)
                    inside.links.pop(name, None)
        for name in inside.folders:
            if not (excludes.ignore(name, True) or ignores.ignore(name, True)):
                items[f"{name}/"] = folder.below(name, ignores)
        self._links += [(folder.prefix + name, kind) for name, kind in inside.links.items()]
        return [items[key] for key in sorted(items, reverse=True)]

    def _scan(self, prefix: str) -> _Listing:
        """The entries of a folder.

        Each is done with before the next one is asked for: keeping them all would cost a third more time.
        """
        inside = _Listing()
        try:
            with os.scandir(prefix or ".") as entries:
                for entry in entries:
                    name = entry.name
                    if entry.is_dir(follow_symlinks=False):
                        inside.folders.add(name)
                    elif kind := kind_of(name, self._documents):
                        self._file(prefix, name, kind, entry, inside)
                    else:
                        inside.others.add(name)
        except FileNotFoundError:  # went away since its parent was read
            pass
        except OSError as error:
            self._on_error(prefix.rstrip("/") or prefix or ".", reason(error))
        return inside

    def _file(self, prefix: str, name: str, kind: Kind, entry: os.DirEntry[str], inside: _Listing) -> None:
        path = prefix + name
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        except OSError as error:
            self._on_error(path, reason(error))
            return
        if stat.S_ISREG(status.st_mode):
            inside.files[name] = Found(path, kind, status)
        elif stat.S_ISLNK(status.st_mode):
            inside.links[name] = kind

    def _ignores(self, folder: _Folder, inside: _Listing) -> Rules:
        """The git rules inside the folder: another repository's begin anew, its own file adds to them."""
        rules = folder.ignores
        if not self._respect_gitignore:
            return rules
        if ".git" in inside.folders or ".git" in inside.others:
            rules = self._repository_rules(folder.prefix)
        if ".gitignore" in inside.others:
            rules = self._with_file(rules, f"{folder.prefix}.gitignore")
        return rules

    def _rules_above(self, top: str) -> Rules:
        """What the enclosing repository's files above ``top`` say about its entries."""
        here, below = os.path.realpath(top), ""
        pending: list[tuple[str, str]] = []
        while not os.path.lexists(os.path.join(here, ".git")):
            parent, name = os.path.split(here)
            if parent == here:
                return Rules()
            here, below = parent, f"{name}/{below}"
            pending.append((here, below))
        rules = self._repository_rules(f"{here}/", below)
        for above, prefix in reversed(pending):
            if os.path.lexists(f"{above}/.gitignore"):
                rules = self._with_file(rules, f"{above}/.gitignore", prefix)
        return rules

    def _repository_rules(self, prefix: str, below: str = "") -> Rules:
        exclude = os.path.join(_git_folder(f"{prefix}.git"), "info/exclude")
        return self._with_file(Rules(), exclude, below) if os.path.exists(exclude) else Rules()

    def _with_file(self, rules: Rules, path: str, below: str = "") -> Rules:
        if os.path.islink(path) and path.endswith(".gitignore"):  # git does not follow these either
            return rules
        try:
            lines = lines_of(read(path, _IGNORE_FILE_LIMIT))
        except Unreadable as error:
            self._on_error(path, error.message)
            return rules
        return rules.plus(Patterns(lines), below)


def _linked(path: str, kind: Kind) -> Found | None:
    try:
        status = os.stat(path)
    except OSError:  # dangling: editors lock files with such links
        return None
    return Found(path, kind, status) if stat.S_ISREG(status.st_mode) else None


def _git_folder(path: str) -> str:
    """Where the repository's shared files are: ``path``, or what it points to in a worktree or submodule."""
    if os.path.isdir(path):
        return path
    pointed = _first_line(path).removeprefix("gitdir: ")
    git = os.path.join(os.path.dirname(path), pointed)
    return os.path.normpath(os.path.join(git, _first_line(os.path.join(git, "commondir"))))


def _first_line(path: str) -> str:
    try:
        return os.fsdecode(read(path, _IGNORE_FILE_LIMIT)).partition("\n")[0].rstrip("\r")
    except Unreadable:
        return ""


def _status(path: str) -> os.stat_result:
    try:
        return os.stat(path)
    except FileNotFoundError:
        dangling = path and os.path.lexists(path)
        message = "is a link to a file that does not exist" if dangling else "no such file or directory"
    except OSError as error:
        message = reason(error)
    except ValueError:
        message = "the name has a NUL byte"
    raise PathError(path or "''", message)


def _kind_of_given(path: str, documents: bool) -> Kind:
    """The kind of a file that was named: scripts without a suffix are Python."""
    name = os.path.basename(path)
    kind = kind_of(name, documents)
    return kind or ("text" if "." in name else "python")


def _from_root(pattern: str, root: str) -> str:
    """The pattern as a line of an ignore file in ``root``: shells complete to ``./a`` and absolute paths."""
    sign, body = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    above = os.path.abspath(root).rstrip("/") + "/"
    if body.startswith("./"):
        return f"{sign}/{body[2:]}"
    return f"{sign}/{body.removeprefix(above)}" if body.startswith(above) else pattern


def _raise(path: str, message: str) -> None:
    raise PathError(path, message)
