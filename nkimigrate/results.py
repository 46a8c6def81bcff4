"""Remember between checks what the analysis of a file gave, so that only what changed is analysed again.

An analysis is a function of the file's text, what other files tell about theirs, and the settings. Its result
is kept under a hash of all of these, of nkimigrate's own code with the release tables, and of Python's
version: whatever changes, there is another hash, and nothing to find under it. Rules that other packages
bring are code of which no hash is known, as are the workers of a cluster; where there are any, nothing is
remembered.

The cache is one file, ``.nkimigrate_cache/results``. It is data, never code: JSON, of which a fixed list of
records is made. A check never writes code, so edits are not kept, only whether there are any; nothing is kept
of files that it does edit, to see what that allows. A doubtful entry counts as missing: damaged, cut off, of
another version; so does a whole file that came with the code (see ``_TIME``). Losing it costs time only.

Layout: a line with magic and version; then a line for each result: key, digest of what follows, result.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache

from . import __version__
from .cache import FOLDER, prepared_folder, put
from .codemods import elsewhere, model
from .codemods.analyse import Analysis, Place, World
from .codemods.analysis import values
from .codemods.record import replace
from .codemods.rules.own import named_anywhere
from .reading import Unreadable, opened
from .spool import Column, Spool
from .tasks import Job, Setting, Task, analyse_task, goes_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .project import Tasks
    from .report.model import Problem

LIMIT = 32 << 20
"""Bytes that the file has at most."""
_HEADER = b"nkimigrate results 1\n"
_KEY, _DIGEST = 32, 32  # hex digits
_NO_KEY = b"-" * _KEY
_ENCODING = ("utf-8", "surrogatepass")
_TIME = 1_000_000_000
"""When the file seems to have been written, in seconds since 1970. One that somebody committed, to hide
findings from a check, has the time at which git put it there.
"""
_SOME_EDIT = (model.ReplaceText((0, 0), "", ""),)
"""Stands for the edits of a finding, which are not kept."""
_LOADED = time.time()
_PLAIN = frozenset({type(None), bool, int, float, str})
"""What JSON spells as it is."""
_RECORDS: dict[str, type] = {
    record.__name__: record
    for record in (
        Analysis, World, Place, Setting, model.Finding, elsewhere.Seen, elsewhere.Kernel, values.Symbol,
        values.Launched, values.Jitted, values.Partial, values.Instance, values.Sequence, values.Row,
        values.FormerList, values.Mapping, values.Constant, values.OneOf, values.Function, values.Method,
    )
}  # fmt: skip


class Results:
    """What former checks found out about files under one root."""

    def __init__(self, root: str, limit: int = LIMIT) -> None:
        self._root = root
        self._limit = limit
        self._old = -1
        self._places: dict[bytes, tuple[int, int]] = {}
        self._used: dict[bytes, None] = {}
        self._new: dict[bytes, tuple[int, int]] = {}
        self._texts = Column(Spool(), b"")
        self._size = 0
        with suppress(OSError, Unreadable):
            self._open()

    def _open(self) -> None:
        """Find the entries of the file, which stays open: another run may put a new one in its place."""
        self._old = opened(os.path.join(self._root, FOLDER, "results"))
        status = os.fstat(self._old)
        if status.st_size > self._limit or int(status.st_mtime) != _TIME:
            return
        with os.fdopen(os.dup(self._old), "rb") as file:
            if file.readline(len(_HEADER)) != _HEADER:
                return
            at = len(_HEADER)
            for line in file:
                if len(line) > _KEY + _DIGEST and line.endswith(b"\n"):
                    self._places[line[:_KEY]] = (at, len(line))
                at += len(line)

    def __del__(self) -> None:
        if self._old >= 0:
            os.close(self._old)

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def get(self, key: bytes) -> Analysis | None:
        """What was kept; None when it is not there or damaged, and from then on it is not there."""
        line = self._line(key)
        text = line[_KEY + _DIGEST : -1]
        if line and line[_KEY : _KEY + _DIGEST] == _digest(text) and (found := _analysis(text)):
            self._used[key] = None
            return found
        self._places.pop(key, None)
        return None

    def keep(self, key: bytes, found: Analysis) -> None:
        """Remember a result, if there is room for it and it comes back as it is."""
        if self._size >= self._limit or key == _NO_KEY or key in self._new:
            return
        edited = (replace(f, edits=_SOME_EDIT) if f.edits else f for f in found.findings)
        found = replace(found, findings=tuple(edited))
        try:
            text = _spelled(found)
            if _analysis(text) == found:
                self._add(key, key + _digest(text) + text + b"\n")
        except (ValueError, TypeError, RecursionError):
            return

    def _add(self, key: bytes, line: bytes) -> None:
        number = len(self._new)
        self._texts.put(number, line, len(line))
        self._new[key] = (number, len(line))
        self._size += len(line)

    def save(self) -> None:
        """Write the file if something was remembered for which there is room: used results, new ones, then
        others. A file that cannot be written is no error.
        """
        room = self._limit - len(_HEADER) - sum(self._places[key][1] for key in self._used)
        if any(size <= room for _, size in self._new.values()):
            with suppress(OSError):
                put(prepared_folder(self._root), "results", self._lines(), _TIME)

    def _lines(self) -> Iterator[bytes]:
        yield _HEADER
        room = self._limit - len(_HEADER)
        for key in {**self._used, **self._new, **self._places}:
            line = self._texts[self._new[key][0]] if key in self._new else self._line(key)
            if 0 < len(line) <= room:
                room -= len(line)
                yield line

    def _line(self, key: bytes) -> bytes:
        at, size = self._places.get(key, (0, 0))
        try:
            line = os.pread(self._old, size, at) if size else b""
        except OSError:
            return b""
        return line if len(line) == size and line.startswith(key) and line.endswith(b"\n") else b""


def remembering(
    results: Results,
    setting: Setting,
    tasks: Tasks,
    analyse: Callable[[Tasks], Iterable[Analysis | Problem]],
) -> Iterator[Analysis | Problem]:
    """The results of all tasks in order: what is known, and what ``analyse`` makes of the others."""
    common = common_key(setting)
    keys = bytearray()
    missing = array("L")
    for index in range(len(tasks)):
        key = task_key(common, tasks[index])
        keys += key
        if key not in results:
            missing.append(index)
    fresh = iter(analyse(tasks.only(missing))) if missing else iter(())
    turns = iter(missing)
    turn = next(turns, -1)
    for index in range(len(tasks)):
        key = bytes(keys[index * _KEY : (index + 1) * _KEY])
        known = None
        if index == turn:
            turn, result = next(turns, -1), next(fresh)
        else:
            known = results.get(key)
            result = known or analyse_task(setting, tasks[index])
        if (
            known is None
            and isinstance(result, Analysis)
            and not _to_be_edited(setting, tasks, index, result)
        ):
            results.keep(key, result)
        yield result


def _to_be_edited(setting: Setting, tasks: Tasks, index: int, found: Analysis) -> bool:
    """Whether a check makes the edits, since they may allow what needs a person in the text as it is."""
    return model.mixed(found.findings) and goes_on(setting, Job(tasks[index], found.findings))


# -- keys ---------------------------------------------------------------------------------------------


def task_key(common: bytes, task: Task) -> bytes:
    """The hash of everything that the result depends on, as hex digits; dashes when that has no spelling."""
    try:
        rest = _spelled((task.place, task.kind, task.world, task.survey))
    except (ValueError, TypeError, RecursionError):
        return _NO_KEY
    found = hashlib.sha256(common)
    for part in (rest, task.data):
        found.update(b"%d:" % len(part))
        found.update(part)
    return found.hexdigest()[:_KEY].encode()


def common_key(setting: Setting) -> bytes:
    """The hash of what is the same for all files of a run."""
    parts = (__version__, sys.version, sys.implementation.name, own_code(), setting)
    return hashlib.sha256(_spelled(parts)).digest()


@cache
def own_code() -> str:
    """The hash of nkimigrate's code and release tables, as they are on the disk; nothing when that may not be
    what runs, because some of it was written since.
    """
    from . import codemods

    found = hashlib.sha256()
    for top in (os.path.dirname(__file__), os.path.dirname(codemods.__file__)):
        for path in sorted(_sources(top)):
            with open(path, "rb") as file:
                data = file.read()
                if os.fstat(file.fileno()).st_mtime > _LOADED:
                    return ""
            found.update(f"{os.path.relpath(path, top)} {len(data)}\n".encode())
            found.update(data)
    return found.hexdigest()


def _sources(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _sources(entry.path) if entry.name != "__pycache__" else ()
            elif entry.name.endswith((".py", ".toml", ".json")):
                yield entry.path


def usable() -> bool:
    """Whether the results depend on nothing that has no hash."""
    return not named_anywhere() and own_code() != ""


# -- results as JSON ----------------------------------------------------------------------------------


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:_DIGEST].encode()


def _analysis(text: bytes) -> Analysis | None:
    """The analysis that is spelled so, if any is."""
    try:
        found = _unpacked(json.loads(text.decode(*_ENCODING)))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, Analysis) else None


def _spelled(value: object) -> bytes:
    return json.dumps(_packed(value), ensure_ascii=False).encode(*_ENCODING)


def _packed(value: object) -> Any:
    """A value as JSON, equal for equal values. Raises TypeError for what there is no way to spell."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, model.Outcome):
        return ["outcome", value.value]
    if isinstance(value, tuple):
        return ["tuple", *_all_packed(value)]
    if isinstance(value, frozenset):
        return ["set", *_in_order(_all_packed(value))]
    if isinstance(value, dict):
        return ["dict", *_in_order([_all_packed(item) for item in value.items()])]
    if value is ...:
        return ["..."]
    if type(value) is bytes:
        return ["bytes", value.hex()]
    if value == _SOME_EDIT[0]:
        return ["edit"]
    name = type(value).__name__
    if _RECORDS.get(name) is not type(value):
        raise TypeError(f"no way to spell {type(value)}")
    return [name, *_all_packed(getattr(value, field) for field in value.__match_args__)]  # type: ignore[attr-defined]


def _all_packed(values: Iterable[object]) -> list[Any]:
    return [value if type(value) in _PLAIN else _packed(value) for value in values]


def _in_order(packed: list[Any]) -> list[Any]:
    """In an order that the values alone decide."""
    plain = all(type(value) is str for value in packed)
    return sorted(packed, key=None if plain else json.dumps)


def _unpacked(value: Any) -> Any:
    """The value that was packed. Raises ValueError, TypeError, KeyError or IndexError for anything else."""
    if not isinstance(value, list):
        if isinstance(value, dict):
            raise ValueError("nothing is packed so")
        return value
    kind, *rest = value
    if kind in _RECORDS:
        record = _RECORDS[kind]
        if len(rest) != len(record.__match_args__):  # type: ignore[attr-defined]
            raise ValueError("another number of fields")
        return record(*_all_unpacked(rest))
    return _KINDS[kind](rest)


def _all_unpacked(values: list[Any]) -> list[Any]:
    return [value if type(value) in _PLAIN else _unpacked(value) for value in values]


_KINDS: Mapping[str, Callable[[list[Any]], object]] = {
    "outcome": lambda rest: model.Outcome(rest[0]),
    "tuple": lambda rest: tuple(_all_unpacked(rest)),
    "set": lambda rest: frozenset(_all_unpacked(rest)),
    "dict": lambda rest: {_unpacked(key): _unpacked(item) for key, item in rest},
    "...": lambda _: ...,
    "bytes": lambda rest: bytes.fromhex(rest[0]),
    "edit": lambda _: _SOME_EDIT[0],
}
