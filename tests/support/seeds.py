"""Programs to start from: the project's own cases, examples of rules, example packages and test kernels.

All of them are this project's. Upstream code is used only where its checkout is given on a command line.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import diffcases
from migrated import HEAD

from nkimigrate import ruledocs

ROOT = Path(__file__).resolve().parents[2]
_WORTHWHILE = 40  # characters; shorter texts in tests are names and messages


def all_seeds() -> list[str]:
    """Programs that parse and import the library or the language, each once, in a stable order."""
    texts = [*_cases(), *_rules(), *_files([ROOT / "examples"]), *_kernels()]
    found = dict.fromkeys(t for t in texts if ("nkilib" in t or "nki" in t) and _parses(t))
    return list(found)


def from_checkouts(folders: Iterable[Path]) -> list[str]:
    """Files of checkouts that name the library or the language."""
    return [t for t in _files(folders) if ("nkilib" in t or "nki" in t) and _parses(t) and len(t) < 60_000]


def found() -> list[Path]:
    """Inputs that once went wrong, each with its story in its first lines."""
    return sorted((ROOT / "tests/fuzz/cases").iterdir())


def _cases() -> Iterator[str]:
    for path in sorted((ROOT / "tests/patterns/cases").glob("*.diff")):
        for case in diffcases.read(path):
            yield from (file.old for file in case.files if file.path.endswith(".py"))


def _rules() -> Iterator[str]:
    for item in ruledocs.everything():
        for text in dict(ruledocs.sections(item.doc)).values():
            yield (
                "\n".join(line[4:] if line.startswith("    ") else line for line in text.splitlines()) + "\n"
            )


def _files(folders: Iterable[Path]) -> Iterator[str]:
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            yield path.read_text(encoding="utf-8", errors="replace")


def _kernels() -> Iterator[str]:
    """Kernels in the tests of the language step: string constants that parse, with the imports they take."""
    for path in sorted((ROOT / "tests/codemods").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and len(node.value) > _WORTHWHILE
            ):
                text = node.value
                yield text if "import " in text or "nl." not in text else HEAD + text


def _parses(text: str) -> bool:
    try:
        return bool(ast.parse(text).body)
    except (SyntaxError, ValueError):
        return False
