"""Reading never blocks, never takes more than the limit, and says what is wrong."""

from __future__ import annotations

import os
import signal
import socket
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from unprivileged import unprivileged, users_folder

from nkimigrate import reading
from nkimigrate.reading import (
    LIMITS,
    TooLarge,
    Unreadable,
    contains_marker,
    has_marker,
    looks_binary,
    read,
    read_marked,
    unfit,
)

MARKERS = (b"nkilib", b"neuronxcc")


@pytest.fixture(autouse=True)
def _never_block() -> Iterator[None]:
    """A call that blocks ends the test run instead of holding it up."""
    signal.alarm(20)
    yield
    signal.alarm(0)


def file(folder: Path, data: bytes) -> str:
    path = folder / "a.py"
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize("data", [b"", b"x", b"x = 1\r\n\0\xff", b"ab" * 3_000_000])
@pytest.mark.parametrize("off_by", [None, -1, 0, 1, 100])
def test_reads_all_bytes_whatever_the_size_was_said_to_be(
    tmp_path: Path, data: bytes, off_by: int | None
) -> None:
    size = -1 if off_by is None else len(data) + off_by
    assert read(file(tmp_path, data), 10_000_000, size) == data


@pytest.mark.parametrize("size", [-1, 0, 5, 10, 11])
def test_the_limit_is_what_is_still_read(tmp_path: Path, size: int) -> None:
    path = file(tmp_path, b"0123456789")
    assert read(path, 10, size) == b"0123456789"
    with pytest.raises(TooLarge) as caught:
        read(path, 9, size)
    assert caught.value.message == "larger than 9 bytes, the limit for files of this kind"


def test_limits_are_those_that_the_manual_names() -> None:
    limits = {"python": 5 * 1024**2, "notebook": 20 * 1024**2, "text": 1024**2, "document": 1024**2}
    assert limits == LIMITS


def test_a_link_is_followed(tmp_path: Path) -> None:
    file(tmp_path, b"x")
    os.symlink("a.py", tmp_path / "b.py")
    assert read(str(tmp_path / "b.py")) == b"x"


def unreadable(path: str, size: int = -1) -> str:
    with pytest.raises(Unreadable) as caught:
        read(path, 100, size)
    assert caught.value.path == path
    with pytest.raises(Unreadable, match=caught.value.message):
        contains_marker(path, MARKERS)
    return caught.value.message


@pytest.mark.parametrize("size", [-1, 0, 7])
def test_what_has_no_bytes_to_give(tmp_path: Path, size: int) -> None:
    os.mkfifo(tmp_path / "fifo")
    os.symlink("loop", tmp_path / "loop")
    assert unreadable(str(tmp_path), size) == "is a directory"
    assert unreadable("/dev/null", size) == "not a regular file"
    assert unreadable("/dev/zero", size) == "not a regular file"
    assert unreadable(str(tmp_path / "missing"), size) == "no such file or directory"
    assert unreadable(str(tmp_path / "loop"), size) == "too many levels of symbolic links"
    assert unreadable("nul\0.py", size) == "the name has a NUL byte"
    assert unreadable(str(tmp_path / "fifo"), size) == "not a regular file"


def test_a_fifo_with_a_silent_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    fd = os.open(tmp_path / "fifo", os.O_RDWR)
    try:
        assert unreadable(str(tmp_path / "fifo")) == "not a regular file"
        with pytest.raises(Unreadable, match="resource temporarily unavailable"):
            read(str(tmp_path / "fifo"), 100, 7)
    finally:
        os.close(fd)


def test_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.py")
        assert "no such device" in unreadable("socket.py")


def test_a_file_that_is_closed_to_the_user() -> None:
    with users_folder() as folder, unprivileged():
        path = file(folder, b"nkilib")
        os.chmod(path, 0)
        assert unreadable(path) == "permission denied"


def test_descriptors_are_closed(tmp_path: Path) -> None:
    path = file(tmp_path, b"x" * 20)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        read(path)
        for call in (lambda: read(path, 3), lambda: read(str(tmp_path)), lambda: read("/dev/zero", 9, 4)):
            with pytest.raises(Unreadable):
                call()
        contains_marker(path, MARKERS)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"import nkilib", True),
        (b"import neuronxcc.nki", True),
        (b"nkilib", True),
        (b"nkili b", False),
        (b"NKILIB", False),
        (b"", False),
    ],
)
def test_markers(tmp_path: Path, data: bytes, expected: bool) -> None:
    path = file(tmp_path, data)
    assert has_marker(data, MARKERS) is expected
    assert contains_marker(path, MARKERS) is expected
    assert read_marked(path, MARKERS, 1000) == (data if expected else None)


def test_without_markers_nothing_is_marked(tmp_path: Path) -> None:
    path = file(tmp_path, b"x")
    assert not has_marker(b"x", ())
    assert not contains_marker(path, ())


@pytest.mark.parametrize("position", range(20))
def test_a_marker_across_the_seam_of_two_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, position: int
) -> None:
    monkeypatch.setattr(reading, "_PIECE", 8)
    for marker in MARKERS:
        assert contains_marker(file(tmp_path, b"-" * position + marker + b"--"), MARKERS)
        assert not contains_marker(file(tmp_path, b"-" * position + marker[:-1] + b"--"), MARKERS)


def test_a_large_file_is_reported_only_if_it_is_marked(tmp_path: Path) -> None:
    path = file(tmp_path, b"-" * 3000)
    assert read_marked(path, MARKERS, 1000) is None
    path = file(tmp_path, b"-" * 3000 + b"nkilib")
    with pytest.raises(TooLarge):
        read_marked(path, MARKERS, 1000)


def test_a_huge_file_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    with path.open("wb") as sparse:
        sparse.truncate(200 << 20)
    tracemalloc.start()
    try:
        assert read_marked(str(path), MARKERS, 1 << 20) is None
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_unfit() -> None:
    assert unfit(b"x" * (1 << 20), "text") is None
    assert unfit(b"x" * ((1 << 20) + 1), "text") == "larger than 1 MiB, the limit for files of this kind"
    assert unfit(b"x" * ((1 << 20) + 1), "python") is None
    assert unfit(b"nkilib\0", "python") == "is binary (it has a NUL byte)"
    assert not looks_binary("# naïve 日本\n".encode())


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_list_of_requirements_in_utf16_is_not_passed_over(tmp_path: Path, encoding: str) -> None:
    """Some shells write it so, and pip reads it; without its marker it has none that is searched for."""
    wide = "\ufeffnkilib==1\n".encode(encoding)
    assert read_marked(file(tmp_path, wide), MARKERS, 1000) == wide
    assert unfit(wide, "text") == "is in UTF-16; save it as UTF-8"
    other = "\ufeffnumpy==1\n\ud800".encode(encoding, "surrogatepass") + b"\x00"
    assert read_marked(file(tmp_path, other), MARKERS, 1000) is None
