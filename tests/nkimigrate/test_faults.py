"""Whatever happens while the command runs: files are old or new, and the report and the exit code say it."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import migrate

from nkimigrate import engine, tasks, writer
from nkimigrate.config import Options

OLD = "from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel\n\ny = mlp_kernel(x, g, u, d)\n"
NEW = "from nkilib.core.mlp.mlp import mlp\n\ny = mlp(x, g, u, d)\n"
QUIET = ["--no-cache", "--isolated", "-q"]


def started(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nkimigrate", *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    )


def ran(*words: str) -> tuple[int, str, str]:
    process = started(*words)
    out, err = process.communicate()
    return process.returncode, out, err


def grown(folder: Path, count: int) -> list[Path]:
    files = [folder / f"pkg{i % 7}" / f"m{i}.py" for i in range(count)]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text(OLD)
    return files


def assert_old_or_new(files: list[Path]) -> set[str]:
    texts = {file.read_text() for file in files}
    assert texts <= {OLD, NEW}
    return texts


# -- killed -------------------------------------------------------------------------------------------


def ended_by(number: int, folder: Path, seconds: float, jobs: str) -> int:
    """The exit code of a run that gets a signal after some time, measured from when it has started to write."""
    before = sum(changed(folder))
    process = started(*QUIET, "--jobs", jobs, str(folder))
    while process.poll() is None and sum(changed(folder)) == before:
        time.sleep(0.002)
    time.sleep(seconds)
    process.send_signal(number)
    process.communicate()
    return process.returncode


def changed(folder: Path) -> Iterator[bool]:
    return (file.read_text() == NEW for file in folder.glob("pkg0/*.py"))


def rounds_of_kills(folder: Path, count: int, files: int, number: int) -> set[int]:
    """Each round kills a run at a random moment of its writing; what is left goes into the next one."""
    rng = random.Random(3)
    codes = set()
    for index in range(count):
        if index % 4 == 0:
            paths = grown(folder, files)
        codes.add(ended_by(number, folder, rng.uniform(0, 0.08), "1" if index % 2 else "2"))
        assert_old_or_new(paths)
    assert ran(*QUIET, str(folder))[0] == 0
    assert assert_old_or_new(paths) == {NEW}
    left = [p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".py"]
    assert all(name.startswith(".nkimigrate-") for name in left)
    assert number == signal.SIGKILL or not left
    return codes


@pytest.mark.usefixtures("hangups")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_file_waits_for_its_end(tmp_path: Path, number: int) -> None:
    """It comes when the new text is on the disk and not yet in the file's place."""
    files = [tmp_path / "a.py", tmp_path / "b.py"]
    for file in files:
        file.write_text(OLD)
    code = (
        "import os, sys; from nkimigrate import writer; from nkimigrate.__main__ import main\n"
        "def check(*_):\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "writer._require_unchanged = check\n"
        "sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code, *QUIET, str(tmp_path)], capture_output=True)
    assert done.returncode == (130 if number == signal.SIGINT else -number)
    assert [file.read_text() for file in files] == [NEW, OLD]
    assert sorted(tmp_path.iterdir()) == files


def test_a_killed_command_leaves_files_old_or_new(tmp_path: Path) -> None:
    codes = rounds_of_kills(tmp_path, 3, 150, signal.SIGKILL)
    assert codes <= {-signal.SIGKILL, 0}


@pytest.mark.slow
@pytest.mark.usefixtures("hangups")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_many_killed_commands(tmp_path: Path, number: int) -> None:
    codes = rounds_of_kills(tmp_path, 40, 400, number)
    # After an interrupt inside of exec() Python ends by the signal, whatever is returned: to a shell that is 130, too.
    assert codes <= {-number, 0} | ({130} if number == signal.SIGINT else set())
    assert codes != {0}


def test_an_interrupt_says_what_became_of_the_files(tmp_path: Path) -> None:
    files = grown(tmp_path, 400)
    process = started(*QUIET, str(tmp_path))
    while process.poll() is None and not any(changed(tmp_path)):
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert_old_or_new(files)
    if process.returncode == 0:
        pytest.skip("it was faster than the interrupt")
    assert process.returncode == 130
    assert said == "nkimigrate: interrupted; each file is either as it was or completely rewritten\n"
    assert not list(tmp_path.rglob(".nkimigrate-*"))


def test_a_killed_worker_costs_nothing(tmp_path: Path) -> None:
    """One process of the pool dies while it works; the result is that of an undisturbed run."""
    files = grown(tmp_path, 100)
    for file in files:
        file.write_text(OLD + "y = mlp_kernel(x, g, u, d)\n" * 20)
    process = started(*QUIET, "--jobs", "2", str(tmp_path))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not list the children of a process")
    while process.poll() is None and not (pids := children.read_text().split()):
        time.sleep(0.01)
    os.kill(int(pids[0]), signal.SIGKILL)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (0, "", "")
    assert {file.read_text() for file in files} == {NEW + "y = mlp(x, g, u, d)\n" * 20}


# -- a full disk --------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system with room for little; only root can make one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk cannot be made here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "256k") as disk:
        big = OLD + "# filler\n" * 4000
        for index in range(6):
            (disk / f"m{index}.py").write_text(big)
        rest = os.statvfs(disk)
        (disk / "rest.bin").write_bytes(b"x" * (rest.f_bavail * rest.f_bsize - 8192))
        code, out, _ = ran("--no-cache", "--isolated", str(disk))
        texts = {(disk / f"m{index}.py").read_text() for index in range(6)}
        assert texts == {big}
        assert code == 3
        assert out.count("not written: no space left on device") == 6
        assert not list(disk.glob(".nkimigrate-*"))
        (disk / "rest.bin").unlink()
        assert ran("--no-cache", "--isolated", "-q", str(disk)) == (0, "", "")
        assert (disk / "m0.py").read_text() == NEW + "# filler\n" * 4000


def test_a_full_disk_leaves_the_baseline_as_it_was(tmp_path: Path) -> None:
    """It was emptied first, and then could not be written."""
    (tmp_path / "a.py").write_text(OLD + "mlp_kernel(*rest)\n" * 200)
    with small_disk(tmp_path / "disk", "64k") as disk:
        known = disk / "known.json"
        words = ("--check", "--no-cache", "--isolated", "-q", "--baseline", str(known), "--write-baseline")
        (tmp_path / "small.py").write_text(OLD)
        assert ran(*words, str(tmp_path / "small.py"))[0] == 0
        before = known.read_bytes()
        rest = os.statvfs(disk)
        (disk / "rest.bin").write_bytes(b"x" * (rest.f_bavail * rest.f_bsize - 4096))
        code, _, err = ran(*words, str(tmp_path / "a.py"))
        assert (code, err) == (2, f"nkimigrate: --baseline {known}: no space left on device\n")
        assert known.read_bytes() == before
        assert sorted(os.listdir(disk)) == ["known.json", "rest.bin"]


def test_a_read_only_file_system(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "256k") as disk:
        (disk / "a.py").write_text(OLD)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        code, out, _ = ran("--isolated", str(disk))
        assert code == 3
        assert "a.py" in out
        assert "not written: its file system is read-only" in out
        assert (disk / "a.py").read_text() == OLD


# -- files that are not as they were ------------------------------------------------------------------


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Something happens to the tree when everything has been read and nothing is written yet."""
    real = writer.write_all

    def write_all(*arguments: object, **named: object) -> int:
        happens()
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(writer, "write_all", write_all)


ACCIDENTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "vanishes": (lambda p: p.unlink(), "it was deleted or moved since it was read"),
    "changes": (lambda p: p.write_text("other = 1\n"), "it changed on disk since it was read"),
    "grows": (lambda p: p.write_text(OLD + "# more\n"), "it changed on disk since it was read"),
    "becomes read-only": (lambda p: p.chmod(0o444), "the file is read-only"),
    "becomes a folder": (lambda p: (p.unlink(), p.mkdir()), "is a directory"),
    "becomes a loop of links": (lambda p: (p.unlink(), p.symlink_to(p.name)), "too many levels of symbolic links"),
    "becomes a link to nowhere": (lambda p: (p.unlink(), p.symlink_to("nowhere")), "it was deleted or moved"),
    "becomes a pipe": (lambda p: (p.unlink(), os.mkfifo(p)), "not a regular file"),
    "loses its folder": (lambda p: p.parent.rename(p.parent.with_name("moved")), "it was deleted or moved"),
    "becomes a link out of the tree": (
        lambda p: (p.unlink(), (p.parents[2] / "other.py").write_text(OLD), p.symlink_to(p.parents[2] / "other.py")),
        "leads out of the given paths",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("accident", "said"), ACCIDENTS.values(), ids=ACCIDENTS.keys())
def test_a_file_that_is_another_when_it_is_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accident: Callable[[Path], object], said: str
) -> None:
    tree = tmp_path / "tree"
    (tree / "a").mkdir(parents=True)
    (tree / "z").mkdir()
    file, other = tree / "a/one.py", tree / "z/two.py"
    file.write_text(OLD)
    other.write_text(OLD)
    meanwhile(monkeypatch, lambda: accident(file))
    report = engine.run(Options(paths=(str(tree),), cache=False, jobs=1))
    assert other.read_text() == NEW
    assert [(p.code, p.path) for p in report.problems] == [("NKM907", str(file))]
    assert said in report.problems[0].message
    assert [change.path for change in report.changes] == [str(other)]
    assert not list(tmp_path.rglob(".nkimigrate-*"))
    outside = tmp_path / "other.py"
    assert not outside.exists() or outside.read_text() == OLD


def test_a_file_that_vanishes_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(OLD)
    real = engine.reading.read_marked

    def read_marked(path: str, *rest: object) -> bytes | None:
        if path.endswith("a.py"):
            os.unlink(path)
        return real(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(engine.reading, "read_marked", read_marked)
    report = engine.run(Options(paths=(str(tmp_path),), cache=False, jobs=1))
    assert [(p.code, Path(p.path).name, p.message) for p in report.problems] == [
        ("NKM902", "a.py", "no such file or directory")
    ]
    assert (tmp_path / "b.py").read_text() == NEW


# -- odd trees ----------------------------------------------------------------------------------------


def test_loops_of_links(tmp_path: Path) -> None:
    folder = tmp_path / "pkg"
    folder.mkdir()
    (folder / "m.py").write_text(OLD)
    (folder / "again").symlink_to(folder)
    (folder / "above").symlink_to("..")
    (folder / "self.py").symlink_to("self.py")
    (folder / "one.py").symlink_to("two.py")
    (folder / "two.py").symlink_to("one.py")
    assert ran(*QUIET, str(tmp_path)) == (0, "", "")
    assert (folder / "m.py").read_text() == NEW


def test_folders_deeper_than_a_path_can_be_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.py").write_text(OLD)
    for _ in range(20):
        os.mkdir("d" * 250)
        os.chdir("d" * 250)
    Path("m.py").write_text(OLD)
    code, out, err = ran("--no-cache", "--isolated", "--output-format", "json", str(tmp_path))
    assert (code, err) == (3, "")
    (problem,) = json.loads(out)["problems"]
    assert (problem["code"], problem["message"]) == ("NKM902", "file name too long")
    assert (tmp_path / "m.py").read_text() == NEW
    assert Path("m.py").read_text() == OLD


@pytest.mark.parametrize("form", ["text", "json", "sarif"])
def test_names_that_are_no_utf8(tmp_path: Path, form: str) -> None:
    """They are written under their own names, and shown escaped; every report can be read."""
    folder = os.fsencode(tmp_path)
    names = [b"caf\xe9.py", b"\xff\xfe", b"new\nline.py", b"\x1b[31m.py"]
    os.mkdir(os.path.join(folder, names[1]))
    paths = [os.path.join(folder, name) for name in (names[0], names[1] + b"/m.py", *names[2:])]
    for path in paths:
        with open(path, "wb") as file:
            file.write(OLD.encode() + b"mlp_kernel(*rest)\n")
    page = tmp_path / "page.html"
    command = [sys.executable, "-m", "nkimigrate", *QUIET[:2], "--output-format", form, "--report", str(page)]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, check=False)
    assert done.stderr == b""
    assert b"\x1b" not in done.stdout + page.read_bytes()
    done.stdout.decode("utf-8")
    if form in ("json", "gitlab", "sarif"):
        json.loads(done.stdout)
    for path in paths:
        with open(path, "rb") as file:
            assert file.read() == NEW.encode() + b"mlp(*rest)\n"


def test_deep_code_and_large_files_cost_themselves_only(tmp_path: Path) -> None:
    files = {
        "deep.py": "import nkilib_standalone.nkilib\nx = " + "[" * 3000 + "]" * 3000 + "\n",
        "calls.py": OLD + "x = " + "f(" * 90 + ")" * 90 + "\n",
        "sum.py": OLD + "x = " + "+".join(["1"] * 30_000) + "\n",
        "blocks.py": OLD + "".join("    " * i + "if x:\n" for i in range(95)) + "    " * 95 + "pass\n",
        "lambdas.py": OLD + "f = " + "lambda: " * 5000 + "0\n",
        "attributes.py": OLD + "x = y" + ".z" * 5000 + "\n",
        "ok.py": OLD,
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with (tmp_path / "large.py").open("wb") as large:  # 50 MB
        large.write(OLD.encode())
        large.truncate(50 << 20)
    (tmp_path / "silent.py").write_bytes(b"x = 1\n" * (50 << 20 >> 3))
    (tmp_path / "book.ipynb").write_bytes(b'{"cells": "nkilib' + b" " * (50 << 20) + b'"}')
    code, out, err = ran("--no-cache", "--isolated", "--output-format", "json", str(tmp_path))
    assert (code, err) == (3, "")
    problems = {Path(p["path"]).name: p["code"] for p in json.loads(out)["problems"]}
    assert problems["large.py"] == problems["book.ipynb"] == "NKM903"
    assert "ok.py" not in problems
    assert (tmp_path / "ok.py").read_text() == NEW
    for name, text in files.items():
        new = text.replace(OLD, NEW).replace("nkilib_standalone.nkilib", "nkilib")
        assert (tmp_path / name).read_text() == (text if name in problems else new), name
        assert problems.get(name, "NKM904") in ("NKM901", "NKM904")


def test_a_read_only_tree(tmp_path: Path) -> None:
    (file := tmp_path / "a.py").write_text(OLD)
    file.chmod(0o444)
    code, out, _ = ran("--no-cache", "--isolated", str(tmp_path))
    assert code == 3
    assert "not written: the file is read-only" in out
    assert file.read_text() == OLD
    assert stat.S_IMODE(file.stat().st_mode) == 0o444


def test_a_worker_that_runs_out_of_memory_costs_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    real = tasks.analyse

    def analyse(data: bytes, *rest: object) -> object:
        if b"boom" in data:
            raise MemoryError
        return real(data, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(tasks, "analyse", analyse)
    result = migrate({"a.py": OLD, "b.py": OLD + "boom = 1\n"})
    assert result.text("a.py") == NEW
    assert [(p.code, p.path) for p in result.problems] == [("NKM904", "b.py")]
