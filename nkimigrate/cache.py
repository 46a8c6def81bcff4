"""Remember between runs which files are clean: have no marker, and so nothing to migrate.

The cache is one file, ``.nkimigrate_cache/clean`` under the project's root. It is data, never code, and a
doubtful one counts as empty: foreign, damaged, from another version, unreadable. Losing it costs time only.

A file is known by path, modification time, inode change time and size. A write within the clock's resolution
after the look at the file would leave all of them as they were, so a file that was touched less than
:data:`SETTLED_NS` before the run began is not remembered; the next run will.

Layout: a line with magic, byte order and key; a line with the number of entries and the length of the paths;
the paths with NUL bytes between them; then three columns (mtime, ctime, size) of native 64-bit integers.
"""

from __future__ import annotations

import os
import struct
import sys
import time

from nkimigrate.reading import Unreadable, read

TYPE_CHECKING = False  # importing typing would cost more than 1,000 files do
if TYPE_CHECKING:
    from collections.abc import Iterable

    from nkimigrate.discovery import Found

FOLDER = ".nkimigrate_cache"
SETTLED_NS = 2_000_000_000
"""How long before the run a file must have rested to be remembered; FAT, the coarsest, counts 2 seconds."""

_LIMIT = 256 << 20
_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache of nkimigrate; it can be deleted at any time.\n"
)
Stamp = tuple[int, int, int]


class CleanFiles:
    """The files under one root that are known to be clean."""

    __slots__ = ("_before", "_changed", "_key", "_known", "_prefix", "_root", "_seen", "_started_ns")

    def __init__(self, root: str, key: str, known: dict[str, Stamp]) -> None:
        self._root = os.path.abspath(root)
        self._before = self._root.rstrip("/") + "/"
        below = os.path.relpath(".", self._root)
        self._prefix = "" if below == "." else f"{below}/"
        self._key = key
        self._known = known
        self._seen: set[str] = set()
        self._changed = False
        self._started_ns = time.time_ns()

    @classmethod
    def load(cls, root: str, key: str) -> CleanFiles:
        """What earlier runs saved under ``root`` with the same ``key``; empty when there is nothing usable.

        ``key`` must change whenever "clean" could mean something else: tool version, markers, releases.
        """
        root = root if os.path.isdir(root) else os.path.dirname(root) or "."
        try:
            known = _decode(read(_file(root), _LIMIT), key)
        except (Unreadable, ValueError, OSError):
            known = {}
        return cls(root, key, known)

    def knows(self, found: Found) -> bool:
        """Whether the file was clean and has not been touched since."""
        name = self._name(found.path)
        if self._known.get(name) != (found.mtime_ns, found.ctime_ns, found.size):
            return False
        self._seen.add(name)
        return True

    def remember(self, found: Found) -> None:
        """Note that the file is clean. ``found`` must have been looked at before the file was read."""
        if max(found.mtime_ns, found.ctime_ns) < self._started_ns - SETTLED_NS:
            name = self._name(found.path)
            self._known[name] = (found.mtime_ns, found.ctime_ns, found.size)
            self._seen.add(name)
            self._changed = True

    def save(self) -> None:
        """Write the cache if something was remembered. One that cannot be written is no error."""
        if not self._changed:
            return
        try:
            put(prepared_folder(self._root), "clean", [_encode(self._still_there(), self._key)])
        except (OSError, ValueError, struct.error):  # ValueError: a name that UTF-8 cannot hold
            return
        self._changed = False

    def _name(self, path: str) -> str:
        if path[0] != "/":
            return self._prefix + path
        return path.removeprefix(self._before)

    def _still_there(self) -> dict[str, Stamp]:
        """The entries but those of deleted files: what this run did not look at may interest the next one."""
        return {
            name: stamp
            for name, stamp in self._known.items()
            if name in self._seen or os.path.lexists(os.path.join(self._root, name))
        }


def _header(key: str) -> bytes:
    return f"nkimigrate clean files 1 {sys.byteorder} {key!r}\n".encode()


def _encode(known: dict[str, Stamp], key: str) -> bytes:
    names = "\0".join(known).encode("utf-8", "surrogateescape")
    columns = [stamp[column] for column in range(3) for stamp in known.values()]
    return b"%b%d %d\n%b%b" % (
        _header(key), len(known), len(names), names, struct.pack(f"={len(columns)}q", *columns)
    )  # fmt: skip


def _decode(data: bytes, key: str) -> dict[str, Stamp]:
    """Raises ValueError for anything that :func:`_encode` did not write with this key."""
    header = _header(key)
    counts_end = data.find(b"\n", len(header))
    if not data.startswith(header) or counts_end < 0:
        raise ValueError("not a cache, or not for this key")
    count, length = map(int, data[len(header) : counts_end].split())
    names_end = counts_end + 1 + length
    names = data[counts_end + 1 : names_end].decode("utf-8", "surrogateescape").split("\0")
    columns = memoryview(data)[names_end:].cast("q").tolist() if len(data) - names_end == 24 * count else []
    stamps = zip(columns[:count], columns[count : 2 * count], columns[2 * count :], strict=True)
    return dict(zip(names, stamps, strict=True))


def _file(root: str) -> str:
    return os.path.join(root, FOLDER, "clean")


def prepared_folder(root: str) -> str:
    """The cache's folder, made if need be, and marked so that git and backups leave it alone."""
    folder = os.path.join(root, FOLDER)
    os.makedirs(folder, exist_ok=True)
    if os.path.islink(folder):
        raise OSError("a link here could lead our files anywhere")
    for name, text in ((".gitignore", "*\n"), ("CACHEDIR.TAG", _TAG)):
        path = os.path.join(folder, name)
        if not os.path.lexists(path):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
    return folder


def put(folder: str, name: str, pieces: Iterable[bytes], time: int | None = None) -> None:
    """Put a cache into place in one step, so that a concurrent run reads the old one or the new one.

    ``time``: seconds since 1970 that it is to seem to have been written at, instead of now.
    """
    temporary = os.path.join(folder, f"{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.writelines(pieces)
        if time is not None:
            os.utime(temporary, (time, time))
        os.replace(temporary, os.path.join(folder, name))
    except BaseException:
        from contextlib import suppress

        with suppress(OSError):
            os.unlink(temporary)
        raise
