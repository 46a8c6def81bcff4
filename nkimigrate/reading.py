"""Read a file's bytes without ever blocking on it, and look for markers in them.

Files are analysed up to a size that depends on their kind (:data:`LIMITS`). A larger one is searched for
markers in pieces, whatever its size, so that it is reported only when it concerns the migration.
"""

from __future__ import annotations

import os
import stat

from nkimigrate.errors import FileError

PYTHON_LIMIT = 5 << 20
"""Bytes up to which Python files are analysed (5 MiB)."""
NOTEBOOK_LIMIT = 20 << 20
"""Bytes up to which notebooks, which carry pictures, are analysed (20 MiB)."""
TEXT_LIMIT = 1 << 20
"""Bytes up to which configuration files are analysed (1 MiB)."""
LIMITS: dict[str, int] = {
    "python": PYTHON_LIMIT,
    "notebook": NOTEBOOK_LIMIT,
    "document": TEXT_LIMIT,
    "text": TEXT_LIMIT,
}
"""The limit for each kind of file that discovery knows."""

_PIECE = 1 << 20
_WIDE = (b"\xff\xfe", b"\xfe\xff")
"""How UTF-16 begins."""
# Without O_NONBLOCK, opening a FIFO that nobody writes to waits for ever.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class Unreadable(FileError):
    """The bytes of a file cannot be had."""


class TooLarge(Unreadable):
    """A regular file with more bytes than the caller's limit."""


def read(path: str, limit: int = PYTHON_LIMIT, size: int = -1) -> bytes:
    """The bytes of the regular file at ``path``.

    ``size`` is what a recent ``stat`` said, if known: it saves system calls and is no promise.
    Raises TooLarge when there are more than ``limit`` bytes, Unreadable for everything else that has no bytes
    to give: folders, FIFOs, sockets, devices, missing files, missing permission, failing disks. Never blocks.
    """
    fd = _open(path)
    try:
        if 0 < size <= limit:  # a FIFO, too, has size 0
            data = os.read(fd, size + 1)
            if len(data) == size:
                return data
        _require_regular(fd, path)
        os.lseek(fd, 0, os.SEEK_SET)
        return _read_all(fd, path, limit)
    except OSError as error:
        raise Unreadable(path, reason(error)) from None
    finally:
        os.close(fd)


def read_marked(path: str, markers: tuple[bytes, ...], limit: int, size: int = -1) -> bytes | None:
    """The bytes of the file if one of ``markers`` is in it, else None.

    Raises as :func:`read` does, TooLarge only for a file that has a marker. Memory stays within ``limit``.
    """
    try:
        data = read(path, limit, size)
    except TooLarge:
        if contains_marker(path, markers):
            raise
        return None
    return data if has_marker(data, markers) or _has_wide_marker(data, markers) else None


def _has_wide_marker(data: bytes, markers: tuple[bytes, ...]) -> bool:
    """For a text in UTF-16, as some shells redirect output: pip reads such lists of requirements."""
    return data[:2] in _WIDE and has_marker(data.decode("utf-16", "replace").encode(), markers)


def has_marker(data: bytes, markers: tuple[bytes, ...]) -> bool:
    """Whether one of ``markers`` stands anywhere in ``data``."""
    for marker in markers:  # noqa: SIM110  # any() would build a generator for each of 10,000 files
        if marker in data:
            return True
    return False


def contains_marker(path: str, markers: tuple[bytes, ...]) -> bool:
    """As :func:`has_marker`, for a file of any size, read in pieces. Raises Unreadable."""
    overlap = max(map(len, markers), default=1) - 1
    fd = _open(path)
    try:
        _require_regular(fd, path)
        tail = b""
        while piece := os.read(fd, _PIECE):
            window = tail + piece
            if has_marker(window, markers):
                return True
            tail = window[len(window) - overlap :]
        return False
    except OSError as error:
        raise Unreadable(path, reason(error)) from None
    finally:
        os.close(fd)


def looks_binary(data: bytes) -> bool:
    """Whether ``data`` has a NUL byte, which no Python source and no text file has."""
    return b"\0" in data


def unfit(data: bytes, kind: str) -> str | None:
    """Why bytes that have a marker cannot be analysed as a file of ``kind``, or None when they can."""
    if len(data) > LIMITS[kind]:
        return _too_large(LIMITS[kind])
    if looks_binary(data):
        return "is in UTF-16; save it as UTF-8" if data[:2] in _WIDE else "is binary (it has a NUL byte)"
    return None


def reason(error: OSError) -> str:
    """What the operating system says, as the start of a sentence goes: ``permission denied``."""
    text = error.strerror or type(error).__name__
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def opened(path: str) -> int:
    """A descriptor of the regular file at ``path``, to be closed. Raises Unreadable; never blocks."""
    fd = _open(path)
    try:
        _require_regular(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _open(path: str) -> int:
    try:
        return os.open(path, _FLAGS)
    except OSError as error:
        # ENXIO: a socket, or a device without a driver
        raise Unreadable(path, reason(error)) from None
    except ValueError:
        raise Unreadable(path, "the name has a NUL byte") from None


def _require_regular(fd: int, path: str) -> None:
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        raise Unreadable(path, "is a directory" if stat.S_ISDIR(mode) else "not a regular file")


def _read_all(fd: int, path: str, limit: int) -> bytes:
    pieces = []
    left = limit + 1
    while left and (piece := os.read(fd, min(left, _PIECE))):
        pieces.append(piece)
        left -= len(piece)
    if not left:
        raise TooLarge(path, _too_large(limit))
    return b"".join(pieces)


def _too_large(limit: int) -> str:
    size = f"{limit >> 20} MiB" if limit % (1 << 20) == 0 else f"{limit} bytes"
    return f"larger than {size}, the limit for files of this kind"
