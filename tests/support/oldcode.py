"""Running 2.27 code as it is, through nkilib.compat, and migrated, without it: each in a process of its own.

``nkilib.compat`` changes what a process imports, so the tests' own process must not have it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import pickle
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = "old_code.py"


@dataclass(frozen=True)
class Ran:
    """What a source left as ``result``; its warnings as (file name, line, text); its exception as text."""

    result: Any = None
    warnings: list[tuple[str, int, str]] = field(default_factory=list)
    error: str = ""

    def said(self) -> str:
        return "\n".join(text for _, _, text in self.warnings)


_workers: dict[str, subprocess.Popen[bytes]] = {}


def _worker(first: str) -> subprocess.Popen[bytes]:
    if first not in _workers:
        command = [sys.executable, __file__, first]
        _workers[first] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return _workers[first]


def run(text: str, first: str = "nkilib.compat") -> Ran:
    """Run a source in the process that imported ``first`` at its start: compat, a legacy root, or nkilib alone."""
    worker = _worker(first)
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps(text).encode() + b"\n")
    worker.stdin.flush()
    ran: Ran = pickle.load(worker.stdout)
    return ran


def stop() -> None:
    """End the processes."""
    while _workers:
        _workers.popitem()[1].communicate()


def _execute(text: str, folder: Path) -> Ran:
    file = folder / FILE
    file.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"old_code_{folder.name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    error = ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            spec.loader.exec_module(module)
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
    seen = [(Path(w.filename).name, w.lineno, f"{w.category.__name__}: {w.message}") for w in caught]
    return Ran(getattr(module, "result", None), seen, error)


def _serve() -> None:
    """Answer sources, one JSON string a line, until the input ends; what they print goes to standard error."""
    out, sys.stdout = sys.stdout.buffer, sys.stderr
    sys.path[:] = [path for path in sys.path if Path(path) != Path(__file__).parent]
    sys.modules["oldcode"] = sys.modules["__main__"]
    Ran.__module__ = "oldcode"
    importlib.import_module(sys.argv[1])
    with tempfile.TemporaryDirectory() as root:
        for number, line in enumerate(sys.stdin):
            folder = Path(root) / str(number)
            folder.mkdir()
            pickle.dump(_execute(json.loads(line), folder), out)
            out.flush()
    assert sys.argv[1] != "nkilib" or "nkilib.compat" not in sys.modules


if __name__ == "__main__":
    _serve()
