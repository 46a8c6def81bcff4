"""The cache may forget at any time, but must never call a file clean that it has not seen as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unprivileged import unprivileged, users_folder

from nkimigrate.cache import FOLDER, SETTLED_NS, CleanFiles
from nkimigrate.discovery import Found, discover

KEY = "0.1.0 2.27 2.28"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with one file; the clock runs an hour ahead, so that the file has settled."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text("x = 1\n")
    an_hour_ahead(monkeypatch)
    return tmp_path


def an_hour_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns() + 3_600_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: now)


def found(path: str) -> Found:
    (one,) = discover([path])
    return one


def remember(*paths: str, root: str = ".", key: str = KEY) -> None:
    clean = CleanFiles.load(root, key)
    for path in paths:
        clean.remember(found(path))
    clean.save()


def knows(path: str, root: str = ".", key: str = KEY) -> bool:
    return CleanFiles.load(root, key).knows(found(path))


# -- what is known --


def test_knows_what_was_remembered_and_saved(here: Path) -> None:
    (here / "b.py").touch()
    assert not knows("a.py")
    remember("a.py")
    assert knows("a.py")
    assert not knows("b.py")


def test_a_file_without_bytes_and_names_with_anything_in_them(here: Path) -> None:
    awkward = ["empty.py", "new\nline.py", "blank .py", "é日本.py", os.fsdecode(b"caf\xe9.py")]
    for name in awkward:
        (here / name).touch()
    remember(*awkward)
    assert all(knows(name) for name in awkward)


@pytest.mark.parametrize("key", ["", "0.1.0 2.27 2.29", KEY + " ", KEY + "\n", "\udce9"])
def test_another_key_knows_nothing(here: Path, key: str) -> None:
    remember("a.py")
    assert not knows("a.py", key=key)
    remember("a.py", key=key)
    assert knows("a.py", key=key)
    assert not knows("a.py")


def test_any_write_is_noticed_though_time_and_size_are_set_back(here: Path) -> None:
    remember("a.py")
    before = os.stat("a.py")
    while True:  # until the file system's clock has moved on
        (here / "a.py").write_text("y = 2\n")
        os.utime("a.py", ns=(before.st_atime_ns, before.st_mtime_ns))
        after = os.stat("a.py")
        assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
        if after.st_ctime_ns != before.st_ctime_ns:
            break
    assert not knows("a.py")


@pytest.mark.parametrize("change", ["touched", "longer", "replaced"])
def test_changes_are_noticed(here: Path, change: str) -> None:
    remember("a.py")
    if change == "touched":
        os.utime("a.py", ns=(1, 1))
    elif change == "longer":
        (here / "a.py").write_text("x = 1\n\n")
    else:
        (here / "b.py").write_text("y = 1\n")
        os.replace("b.py", "a.py")
    assert not knows("a.py")


@pytest.mark.parametrize(("age_ns", "remembered"), [(0, False), (SETTLED_NS, False), (SETTLED_NS + 1, True)])
def test_a_file_that_may_still_change_within_a_clock_tick_is_not_remembered(
    here: Path, monkeypatch: pytest.MonkeyPatch, age_ns: int, remembered: bool
) -> None:
    status = os.stat("a.py")
    youngest = max(status.st_mtime_ns, status.st_ctime_ns)
    monkeypatch.setattr(time, "time_ns", lambda: youngest + age_ns)
    remember("a.py")
    assert knows("a.py") is remembered
    assert Path(FOLDER).exists() is remembered


def test_an_old_modification_time_does_not_make_a_new_file_settled(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime("a.py", ns=(1, 1))
    monkeypatch.setattr(time, "time_ns", lambda: os.stat("a.py").st_ctime_ns + 1)
    remember("a.py")
    assert not knows("a.py")


def test_the_age_counts_from_the_beginning_of_the_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = CleanFiles.load(".", KEY)
    status = os.stat("a.py")
    monkeypatch.setattr(time, "time_ns", lambda: status.st_ctime_ns + 1)
    late = CleanFiles.load(".", KEY)
    monkeypatch.setattr(time, "time_ns", lambda: status.st_ctime_ns + 10 * SETTLED_NS)
    for run, expected in ((late, False), (clean, True)):
        run.remember(found("a.py"))
        assert run.knows(found("a.py")) is expected


def test_one_cache_for_all_folders_the_user_may_be_in(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "sub").mkdir()
    (here / "sub/b.py").touch()
    remember("a.py", "sub/b.py")
    assert knows(f"{here}/a.py")
    assert knows(f"{here}/sub/b.py", root=str(here))
    monkeypatch.chdir(here / "sub")
    assert knows("b.py", root="..")
    assert knows("b.py", root=str(here))
    remember("../a.py", root="..")
    assert knows("../a.py", root="..")


def test_equal_names_in_different_folders_are_different_files(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "sub").mkdir()
    os.link("a.py", "sub/a.py")  # equal in all but the name
    remember("a.py")
    assert not knows("sub/a.py")
    monkeypatch.chdir(here / "sub")
    assert not knows("a.py", root="..")


def test_a_file_as_root_means_its_folder(here: Path) -> None:
    remember("a.py", root="a.py")
    assert knows("a.py", root=".")


def test_what_a_run_did_not_look_at_stays_and_what_is_deleted_goes(here: Path) -> None:
    for name in ("b.py", "c.py", "d.py"):
        (here / name).touch()
    gone = found("c.py")
    remember("a.py", "c.py")
    size = os.path.getsize(f"{FOLDER}/clean")
    os.unlink("c.py")
    remember("b.py")
    assert knows("a.py")
    assert knows("b.py")
    assert not CleanFiles.load(".", KEY).knows(gone)
    assert os.path.getsize(f"{FOLDER}/clean") == size


# -- the file --


def test_the_folder_is_marked_for_git_and_backups_and_is_not_walked(here: Path) -> None:
    remember("a.py")
    assert Path(FOLDER, ".gitignore").read_text() == "*\n"
    assert (
        Path(FOLDER, "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    )
    assert sorted(os.listdir(FOLDER)) == [".gitignore", "CACHEDIR.TAG", "clean"]
    assert [one.path for one in discover(["."])] == ["a.py"]


def test_nothing_new_writes_nothing(here: Path) -> None:
    CleanFiles.load(".", KEY).save()
    assert not Path(FOLDER).exists()
    remember("a.py")
    before = os.stat(f"{FOLDER}/clean")
    clean = CleanFiles.load(".", KEY)
    assert clean.knows(found("a.py"))
    clean.save()
    assert os.stat(f"{FOLDER}/clean").st_ino == before.st_ino
    remember("a.py")  # and again what was known: a new file takes the old one's place
    assert os.stat(f"{FOLDER}/clean").st_ino != before.st_ino


def damaged(good: bytes) -> list[bytes]:
    cut = [good[:end] for end in range(0, len(good), 7)]
    return [*cut, good + b"x", good + b"x" * 8, good[1:], b"\0" * len(good), b"\x80\x04.", b"\n" * 50]


def test_a_damaged_or_foreign_cache_is_empty_and_is_replaced(here: Path) -> None:
    remember("a.py")
    cache = Path(FOLDER, "clean")
    good = cache.read_bytes()
    for bad in damaged(good):
        cache.write_bytes(bad)
        assert not knows("a.py"), bad
        remember("a.py")
        assert cache.read_bytes() == good


@given(junk=st.binary(max_size=60), numbers=st.tuples(st.integers(), st.integers()))
def test_junk_behind_a_good_header_does_no_harm(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, numbers: tuple[int, int]
) -> None:
    root = tmp_path_factory.getbasetemp() / "junk"
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    (root / "a.py").touch()
    header = f"nkimigrate clean files 1 {sys.byteorder} {KEY!r}\n{numbers[0]} {numbers[1]}\n".encode()
    (root / FOLDER / "clean").write_bytes(header + junk)
    assert not CleanFiles.load(str(root), KEY).knows(found(str(root / "a.py")))


@pytest.mark.parametrize("obstacle", ["folder", "fifo", "dangling"])
def test_something_else_in_the_caches_place(here: Path, obstacle: str) -> None:
    os.mkdir(FOLDER)
    cache = Path(FOLDER, "clean")
    {
        "folder": lambda: (cache / "x").mkdir(parents=True),
        "fifo": lambda: os.mkfifo(cache),
        "dangling": lambda: cache.symlink_to("nowhere"),
    }[obstacle]()
    assert not knows("a.py")
    remember("a.py")
    assert knows("a.py") is (obstacle != "folder")
    assert not [name for name in os.listdir(FOLDER) if name.endswith(".tmp")]


def test_a_linked_folder_is_not_written_through(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    os.symlink(elsewhere, FOLDER)
    remember("a.py")
    assert os.listdir(elsewhere) == []


def test_a_file_in_the_folders_place(here: Path) -> None:
    Path(FOLDER).write_text("mine")
    remember("a.py")
    assert Path(FOLDER).read_text() == "mine"


def test_a_project_that_cannot_be_written_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    with users_folder() as folder, unprivileged():
        (folder / "a.py").touch()
        an_hour_ahead(monkeypatch)
        folder.chmod(0o555)
        remember(f"{folder}/a.py", root=str(folder))
        assert os.listdir(folder) == ["a.py"]


def test_concurrent_runs_leave_a_whole_cache(here: Path) -> None:
    for index in range(40):
        (here / f"{index}.py").touch()
    all_found = list(discover(["."]))

    def run() -> None:
        for _ in range(10):
            clean = CleanFiles.load(".", KEY)
            for one in all_found:
                clean.remember(one)
            clean.save()
            assert all(map(CleanFiles.load(".", KEY).knows, all_found))

    failures: list[object] = []
    monitored = threading.excepthook
    threading.excepthook = lambda args: failures.append(args.exc_value)
    try:
        runs = [threading.Thread(target=run) for _ in range(4)]
        for thread in runs:
            thread.start()
        for thread in runs:
            thread.join()
    finally:
        threading.excepthook = monitored
    assert failures == []
    assert sorted(os.listdir(FOLDER)) == [".gitignore", "CACHEDIR.TAG", "clean"]


LOADS_10_000 = """
import os, sys, time
from nkimigrate.cache import CleanFiles
from nkimigrate.discovery import Found

os.chdir(sys.argv[1])
open("a.py", "w").close()
status = os.stat("a.py")
files = [Found(f"package/module_{i % 700}/file_{i}.py", "python", status) for i in range(10_000)]
time.time_ns = lambda: status.st_ctime_ns + 10**12
clean = CleanFiles.load(".", "key")
for found in files:
    clean.remember(found)
clean.save()
times = []
for _ in range(9):
    before = time.process_time()
    again = CleanFiles.load(".", "key")
    times.append(time.process_time() - before)
print(all(map(again.knows, files)), min(times))
"""


def test_loading_10_000_entries_is_quick(tmp_path: Path) -> None:
    """The budget is 8 ms of CPU; three times that raises the alarm, for machines that are slow or busy."""
    out = subprocess.run(
        [sys.executable, "-c", LOADS_10_000, str(tmp_path)], capture_output=True, text=True, check=True
    )
    all_known, seconds = out.stdout.split()
    assert all_known == "True"
    assert float(seconds) < 0.024
