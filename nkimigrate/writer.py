"""Write files so that at every moment, also after a kill or a power cut, each one is all old or all new.

The new bytes go to a temporary file in the same folder, which then takes the old one's place. It follows that

* a symbolic link stays one: the file it leads to is written, if that lies where writing was asked for;
* mode, owner and extended attributes (access control lists) are carried over as far as the user may;
* a file with several hard links parts from them: this name gets the new bytes, the other names keep the old
  ones until they are written in their turn (discovery yields each of them);
* SIGKILL and power cuts can leave a file ``.nkimigrate-*.tmp`` behind. Nothing reads it; it can be deleted.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from nkimigrate.errors import FileError
from nkimigrate.reading import TooLarge, Unreadable, read, reason
from nkimigrate.signals import held_back


class Writable(Protocol):
    """What :func:`write_all` needs to know of a change."""

    @property
    def path(self) -> str: ...
    @property
    def old(self) -> bytes: ...
    @property
    def new(self) -> bytes: ...


class NotWritten(FileError):
    """A file still is as it was."""


class ChangedOnDisk(NotWritten):
    """A file that is no longer what the analysis saw."""


def write_all(
    changes: Iterable[Writable],
    on_problem: Callable[[str, str], None],
    on_written: Callable[[str], None] | None = None,
    within: Sequence[str] = (os.sep,),
) -> int:
    """Write every change, in order, and return how many were written.

    ``within`` are the files and folders that may be written in; links that lead out of them are obstacles.

    A file that cannot be written does not stop the others: ``on_problem(path, message)`` hears of it.
    ``on_written(path)`` is called after each success, so that an interrupted run knows how far it came.
    """
    written = 0
    tops = tuple(map(os.path.realpath, within))
    for change in changes:
        try:
            write(change.path, change.old, change.new, tops)
        except NotWritten as error:
            on_problem(error.path, error.message)
            continue
        written += 1
        if on_written is not None:
            on_written(change.path)
    return written


def write(path: str, old: bytes, new: bytes, tops: Sequence[str] = (os.sep,)) -> None:
    """Replace the file's bytes, which must be ``old``, by ``new``.

    ``tops`` are real paths; the file must lie in one of them.
    Raises ChangedOnDisk when they are not ``old``, NotWritten for every other obstacle: a read-only file or
    folder, a full disk. Then, and after an interrupt, the file is as it was and no temporary file is left.
    """
    try:
        target = os.path.realpath(path, strict=True)
        if not any(_lies_in(target, top) for top in tops):
            raise NotWritten(
                path, f"not written: it leads out of the given paths, to {target} (name that file)"
            )
        _require_writable(path, target)
        _replace(path, target, old, new)
    except FileNotFoundError:
        raise ChangedOnDisk(path, "not written: it was deleted or moved since it was read") from None
    except OSError as error:
        raise NotWritten(path, f"not written: {reason(error)}") from None


def put(path: str, data: bytes) -> None:
    """Make a file of ours hold ``data``; when that fails it holds what it did before. Raises OSError."""
    target = os.path.realpath(path)
    with _replacing(target) as temporary:
        if os.path.exists(target):
            _write_like(temporary, target, data)
        else:
            with open(temporary, "xb") as file:
                file.write(data)


def _lies_in(target: str, top: str) -> bool:
    return target == top or target.startswith(top.rstrip(os.sep) + os.sep)


def _require_writable(path: str, target: str) -> None:
    """Respect a read-only file as editors do: its folder would let us replace it all the same."""
    if os.statvfs(target).f_flag & os.ST_RDONLY:
        raise NotWritten(path, "not written: its file system is read-only")
    # The mode is looked at too because root may write everything.
    no_write_bit = not os.stat(target).st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    effective = os.access in os.supports_effective_ids
    if no_write_bit or not os.access(target, os.W_OK, effective_ids=effective):
        raise NotWritten(path, "not written: the file is read-only (chmod u+w it, then run again)")


def _replace(path: str, target: str, old: bytes, new: bytes) -> None:
    with _replacing(target) as temporary:
        _write_like(temporary, target, new)
        _require_unchanged(path, target, old)
    _sync_folder(os.path.dirname(target))


@contextmanager
def _replacing(target: str) -> Iterator[str]:
    """A path for what takes a file's place once it is written; nothing is left there when that fails."""
    temporary = os.path.join(os.path.dirname(target), f".nkimigrate-{os.urandom(8).hex()}.tmp")
    with held_back():
        try:
            yield temporary
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise


def _write_like(temporary: str, target: str, data: bytes) -> None:
    """A new file with ``data``, on the disk, with the attributes of ``target``."""
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        _copy_attributes(fd, target)
        os.fsync(fd)
    finally:
        os.close(fd)


def _copy_attributes(fd: int, target: str) -> None:
    status = os.stat(target)
    _copy_extended_attributes(fd, target)
    mine = os.fstat(fd)
    # The group alone may be allowed where the owner is not. Both clear set-id bits, so the mode comes last.
    for owner, group in ((-1, status.st_gid), (status.st_uid, -1)):
        if owner not in (-1, mine.st_uid) or group not in (-1, mine.st_gid):
            with suppress(OSError):
                os.fchown(fd, owner, group)
    os.fchmod(fd, stat.S_IMODE(status.st_mode))


def _copy_extended_attributes(fd: int, target: str) -> None:
    if not hasattr(os, "listxattr"):  # only Linux has them
        return
    try:
        names = os.listxattr(target)
    except OSError:  # the file system has none
        return
    for name in names:
        with suppress(OSError):
            os.setxattr(fd, name, os.getxattr(target, name))


def _require_unchanged(path: str, target: str, old: bytes) -> None:
    try:
        same = read(target, len(old), len(old)) == old
    except TooLarge:
        same = False
    except Unreadable as error:
        raise NotWritten(path, f"not written: it cannot be read again: {error.message}") from None
    if not same:
        raise ChangedOnDisk(path, "not written: it changed on disk since it was read (run again)")


def _sync_folder(folder: str) -> None:
    """Make the replacement outlast a power cut; where folders cannot be synced, it is atomic all the same."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        with suppress(OSError):
            os.fsync(fd)
    finally:
        os.close(fd)
