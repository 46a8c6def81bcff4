"""The files the benchmarks run on: unpacked wheels without NKI, and public code with it.

``no_hits`` downloads pinned wheels with pip. ``checkout`` takes a revision of a local clone that the caller
names. Nothing of either is kept in the repository.
"""

from __future__ import annotations

import ast
import io
import os
import shutil
import subprocess
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

WHEELS = (
    "django==5.2.8",
    "sympy==1.14.0",
    "sqlalchemy==2.0.44",
    "pandas==2.3.3",
    "scipy==1.16.3",
    "transformers==4.57.1",
    "scikit-learn==1.7.2",
    "matplotlib==3.10.7",
    "statsmodels==0.14.5",
    "twisted==25.5.0",
    "networkx==3.5",
)
MARKERS = (b"nkilib", b"neuronxcc")
# Clones may lack their largest files; none that matters here is a picture.
PICTURES = (":(exclude)*.gif", ":(exclude)*.mp4", ":(exclude)*.png", ":(exclude)*.jpg")


def no_hits(folder: Path) -> Path:
    """A tree of about 10,000 Python files of which none has a marker; downloaded once."""
    tree = folder / "no-hits"
    if not tree.exists():
        wheels = folder / "wheels"
        command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*command, "-d", str(wheels), *WHEELS], check=True)
        for wheel in sorted(wheels.glob("*.whl")):
            _unpack(wheel, tree)
        shutil.rmtree(wheels)
    return tree


def _unpack(wheel: Path, tree: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            data = archive.read(name) if name.endswith(".py") else b""
            if data and not has_marker(data):
                target = tree / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)


def parse_spec(given: str) -> tuple[str, Path, str]:
    """The parts of ``NAME=CHECKOUT@REVISION``; raises ValueError.

    The name defaults to that of the checkout's folder, or of the folder around one that is called ``repo``.
    """
    place, at, revision = given.rpartition("@")
    name, equals, path = place.partition("=")
    if not at or not place or not revision:
        raise ValueError(f"{given}: write NAME=CHECKOUT@REVISION")
    repository = Path(path if equals else place)
    folder = repository.absolute()
    own = folder.parent.name if folder.name == "repo" else folder.name
    return (name if equals else own), repository, revision


def checkout(repository: Path, revision: str, folder: Path) -> Path:
    """The files of a revision of a local clone, laid out in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = ["git", "-C", str(repository), "archive", revision, "--", ".", *PICTURES]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def commit(repository: Path, revision: str) -> tuple[str, str]:
    """The short name and the date of a revision's commit."""
    command = ["git", "-C", str(repository), "log", "-1", "--abbrev=10", "--format=%h %cs", f"{revision}^0"]
    name, date = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return name, date


def has_marker(data: bytes) -> bool:
    """Whether the library can be named in ``data``."""
    return any(marker in data for marker in MARKERS)


def with_marker(trees: Iterable[Path]) -> Iterator[Path]:
    """Python files under ``trees`` that have a marker."""
    for tree in trees:
        for path in sorted(tree.rglob("*.py")):
            if path.is_file() and has_marker(path.read_bytes()):
                yield path


def hits(trees: Iterable[Path], folder: Path, count: int = 100) -> Path:
    """The first ``count`` parsing files with a marker, copied flat. Stops the run when there are too few."""
    target = folder / "hits"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    found = (path for path in with_marker(trees) if parses(path.read_bytes()))
    taken = 0
    for path in found:
        shutil.copyfile(path, target / f"f{taken:03}_{path.name}")
        taken += 1
        if taken == count:
            return target
    sys.exit(f"the checkouts hold only {taken} files with a hit; name more")


def parses(data: bytes) -> bool:
    """Whether this interpreter can parse ``data``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(data)
        except (SyntaxError, ValueError):
            return False
    return True


def size(tree: Path) -> tuple[int, int]:
    """Number of Python files and their bytes."""
    files = [os.path.getsize(p) for p in tree.rglob("*.py")]
    return len(files), sum(files)
