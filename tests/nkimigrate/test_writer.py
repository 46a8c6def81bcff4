"""Writing: at every moment a file is all old or all new, and what is not to be written is left as it was."""

from __future__ import annotations

import errno
import os
import random
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from unprivileged import unprivileged, users_folder

from nkimigrate.discovery import discover
from nkimigrate.writer import ChangedOnDisk, NotWritten, write, write_all

OLD, NEW = b"old = 1\n", b"new = 2, longer\n"


@dataclass
class Change:
    path: str
    old: bytes
    new: bytes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.py"
    path.write_bytes(OLD)
    return path


def assert_untouched(path: Path, *others: str) -> None:
    """The file is as it was, and nothing else lies in its folder but ``others``."""
    assert path.read_bytes() == OLD
    assert sorted(os.listdir(path.parent)) == sorted([path.name, *others])


# -- what stays as it was --


def test_writes(file: Path) -> None:
    write(str(file), OLD, NEW)
    assert file.read_bytes() == NEW
    assert os.listdir(file.parent) == ["a.py"]


def test_writes_by_a_bare_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    write("a.py", OLD, NEW)
    assert file.read_bytes() == NEW


@pytest.mark.parametrize("new", [b"", b"\xff\0", b"x" * 5_000_000])
def test_writes_any_bytes(file: Path, new: bytes) -> None:
    write(str(file), OLD, new)
    assert file.read_bytes() == new


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o666, 0o200 | 0o444, 0o4755, 0o2755])
def test_the_mode_is_kept_whatever_the_umask(file: Path, mode: int) -> None:
    file.chmod(mode)
    before = os.umask(0o077)
    try:
        write(str(file), OLD, NEW)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_is_kept(file: Path) -> None:
    os.chown(file, 4711, 4712)
    file.chmod(0o2755)
    write(str(file), OLD, NEW)
    status = file.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (4711, 4712, 0o2755)


def test_extended_attributes_are_kept(file: Path) -> None:
    try:
        os.setxattr(file, "user.note", b"mine")
    except (AttributeError, OSError):
        pytest.skip("this file system has none")
    write(str(file), OLD, NEW)
    assert os.getxattr(file, "user.note") == b"mine"


def test_links_stay_links(file: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    os.symlink("../a.py", tmp_path / "sub/one.py")
    os.symlink("sub/one.py", tmp_path / "two.py")
    write(str(tmp_path / "two.py"), OLD, NEW)
    assert file.read_bytes() == NEW
    assert os.readlink(tmp_path / "two.py") == "sub/one.py"
    assert os.readlink(tmp_path / "sub/one.py") == "../a.py"


def test_a_hard_link_parts_from_the_others(file: Path, tmp_path: Path) -> None:
    os.link(file, tmp_path / "b.py")
    write(str(file), OLD, NEW)
    assert (tmp_path / "b.py").read_bytes() == OLD
    write(str(tmp_path / "b.py"), OLD, NEW)
    assert file.read_bytes() == (tmp_path / "b.py").read_bytes() == NEW


# -- what is not written --


@pytest.mark.parametrize("now", [b"old = 3\n", OLD + b"x", OLD[:-1], b""])
def test_a_file_that_changed_is_not_overwritten(file: Path, now: bytes) -> None:
    file.write_bytes(now)
    with pytest.raises(ChangedOnDisk, match=r"changed on disk since it was read \(run again\)"):
        write(str(file), OLD, NEW)
    assert file.read_bytes() == now
    assert os.listdir(file.parent) == ["a.py"]


def test_a_change_at_the_last_moment_is_seen(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sync_and_meddle(fd: int) -> None:
        file.write_bytes(b"edited")

    monkeypatch.setattr(os, "fsync", sync_and_meddle)
    with pytest.raises(ChangedOnDisk):
        write(str(file), OLD, NEW)
    assert file.read_bytes() == b"edited"


def test_a_file_that_is_gone_does_not_come_back(file: Path) -> None:
    file.unlink()
    with pytest.raises(ChangedOnDisk, match="deleted or moved"):
        write(str(file), OLD, NEW)
    assert os.listdir(file.parent) == []


def test_a_folder_or_fifo_in_its_place(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(NotWritten, match="not a regular file"):
        write(str(file), OLD, NEW)
    file.unlink()
    file.mkdir()
    with pytest.raises(NotWritten, match="is a directory"):
        write(str(file), OLD, NEW)
    assert os.listdir(file.parent) == ["a.py"]


@pytest.mark.parametrize("mode", [0o444, 0o400, 0o555])
def test_a_read_only_file_is_respected(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(NotWritten) as caught:
        write(str(file), OLD, NEW)
    assert caught.value.message == "not written: the file is read-only (chmod u+w it, then run again)"
    assert_untouched(file)


def test_a_file_of_somebody_else_is_respected_though_the_folder_is_open() -> None:
    with users_folder() as folder:
        path = folder / "a.py"
        path.write_bytes(OLD)
        if os.geteuid() != 0:
            pytest.skip("only root can make somebody else's file")
        with unprivileged(), pytest.raises(NotWritten, match="read-only"):
            write(str(path), OLD, NEW)
        assert_untouched(path)


def test_a_read_only_folder() -> None:
    with users_folder() as folder, unprivileged():
        path = folder / "a.py"
        path.write_bytes(OLD)
        folder.chmod(0o555)
        with pytest.raises(NotWritten, match="not written: permission denied"):
            write(str(path), OLD, NEW)
        assert_untouched(path)


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("step", ["write", "fsync", "fchmod", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_every_step_may_fail(file: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int) -> None:
    monkeypatch.setattr(os, step, failing(number))
    with pytest.raises(NotWritten) as caught:
        write(str(file), OLD, NEW)
    assert caught.value.message.lower() == f"not written: {os.strerror(number).lower()}"
    assert_untouched(file)


@pytest.mark.parametrize("step", ["write", "fsync", "fchmod", "replace"])
def test_an_interrupt_leaves_nothing_behind(file: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(str(file), OLD, NEW)
    assert_untouched(file)


@pytest.mark.parametrize("step", ["fchown", "setxattr", "listxattr"])
def test_what_cannot_be_carried_over_does_not_matter(
    file: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    os.setxattr(file, "user.note", b"mine") if step == "setxattr" else None
    if os.geteuid() == 0:
        os.chown(file, 4711, 4712)
    monkeypatch.setattr(os, step, failing(errno.EPERM))
    write(str(file), OLD, NEW)
    assert file.read_bytes() == NEW


FULL_DISK = """
import resource, signal, sys
from nkimigrate.writer import NotWritten, write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write(sys.argv[1], b"old = 1\\n", b"x" * 100_000)
except NotWritten as error:
    print(error.message)
"""


def test_a_real_limit_in_the_middle_of_the_bytes(file: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(file)], capture_output=True, text=True, check=True
    )
    assert run.stdout == "not written: file too large\n"
    assert_untouched(file)


# -- how it is written --


def test_short_writes_are_continued(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data[:3])))
    write(str(file), OLD, NEW)
    assert file.read_bytes() == NEW


def test_the_new_bytes_are_on_the_disk_before_they_take_the_place(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noting_fsync(fd: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else f"{os.fstat(fd).st_size} bytes")
        fsync(fd)

    def noting_replace(source: str, target: str) -> None:
        steps.append("replace")
        name = os.path.basename(source)
        assert os.path.dirname(source) == str(file.parent)
        assert name.startswith(".nkimigrate-")
        assert list(discover([str(file.parent)])) != []
        assert [found.path for found in discover([str(file.parent)])] == [str(file)]
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    write(str(file), OLD, NEW)
    assert steps == [f"{len(NEW)} bytes", "replace", "folder"]


def test_the_temporary_file_is_never_open_to_others(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.chmod(0o600)
    modes: list[int] = []
    real = os.write

    def noting_write(fd: int, data: bytes) -> int:
        modes.append(stat.S_IMODE(os.fstat(fd).st_mode))
        return real(fd, data)

    monkeypatch.setattr(os, "write", noting_write)
    write(str(file), OLD, NEW)
    assert modes == [0o600]


def test_a_folder_that_cannot_be_synced_is_no_failure(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def refuse_folders(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "no")
        real(fd)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    write(str(file), OLD, NEW)
    assert file.read_bytes() == NEW


# -- many files --


def changes(folder: Path, count: int) -> list[Change]:
    made = []
    for index in range(count):
        path = folder / f"{index}.py"
        path.write_bytes(OLD)
        made.append(Change(str(path), OLD, NEW))
    return made


def test_one_failure_does_not_stop_the_others(tmp_path: Path) -> None:
    some = changes(tmp_path, 4)
    Path(some[1].path).write_bytes(b"edited")
    Path(some[2].path).chmod(0o444)
    problems: list[tuple[str, str]] = []
    told: list[str] = []
    written = write_all(some, lambda path, message: problems.append((path, message)), told.append)
    assert told == [some[0].path, some[3].path]
    assert written == 2
    assert [path for path, _ in problems] == [some[1].path, some[2].path]
    assert [Path(change.path).read_bytes() for change in some] == [NEW, b"edited", OLD, NEW]


def test_an_interrupt_between_files_keeps_what_is_written(tmp_path: Path) -> None:
    some = changes(tmp_path, 3)
    told: list[str] = []

    def told_then_interrupted(path: str) -> None:
        told.append(path)
        if len(told) == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        write_all(some, lambda path, message: None, told_then_interrupted)
    assert [Path(change.path).read_bytes() for change in some] == [NEW, NEW, OLD]
    assert told == [change.path for change in some[:2]]


def test_two_runs_at_once(tmp_path: Path) -> None:
    some = changes(tmp_path, 30)
    refused: list[str] = []
    runs = [
        threading.Thread(target=write_all, args=(some, lambda path, message: refused.append(message)))
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert {Path(change.path).read_bytes() for change in some} == {NEW}
    assert all("changed on disk" in message for message in refused)
    assert sorted(os.listdir(tmp_path)) == sorted(os.path.basename(change.path) for change in some)


# -- killed --

FIRST, SECOND = b"first = 1\n" * 30_000, b"second = 2\n" * 40_000
WRITES_FOREVER = """
import itertools, sys
from dataclasses import dataclass
from nkimigrate.writer import write_all

@dataclass
class Change:
    path: str
    old: bytes
    new: bytes

def problem(path, message):
    sys.exit(message)

states = [b"first = 1\\n" * 30_000, b"second = 2\\n" * 40_000]
paths = sys.argv[1:]
current = [states.index(open(path, "rb").read()) for path in paths]
print("ready", flush=True)
while True:
    write_all([Change(p, states[c], states[1 - c]) for p, c in zip(paths, current)], problem)
    current = [1 - c for c in current]
"""


def killed_after(seconds: float, paths: list[str]) -> str:
    """Start a process that rewrites ``paths`` for ever, kill it, and return what it complained of."""
    command = [sys.executable, "-c", WRITES_FOREVER, *paths]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        return process.communicate()[1]


def test_a_kill_at_any_moment_leaves_each_file_old_or_new(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{index}.py") for index in range(5)]
    for path in paths:
        Path(path).write_bytes(FIRST)
    rng = random.Random(2)
    seen: set[bytes] = set()
    for _ in range(20):
        assert killed_after(rng.uniform(0, 0.06), paths) == ""
        states = {Path(path).read_bytes() for path in paths}
        assert states <= {FIRST, SECOND}
        seen |= states
        assert [found.path for found in discover([str(tmp_path)])] == paths
    assert seen == {FIRST, SECOND}
