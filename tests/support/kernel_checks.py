"""Which checks of nkilib's kernels tests have seen to fail, and which are demands (``make kernel-checks``).

A check is a place that raises: a call of ``kernel_assert``, a call of a function that asserts with words it is given,
or a ``raise``. The tracebacks of the errors that tests expect say which checks failed.
"""

from __future__ import annotations

import ast
import importlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from expected_errors import PACKAGE, SEEN, Seen, function_of

from nkilib.core.utils.kernel_assert import kernel_assert

TESTS = Path(__file__).resolve().parents[1] / "nkilib"
FOUND = Path(__file__).resolve().parents[2] / "build" / "kernel-checks.json"
TORCH = find_spec("torch") is not None
"""What the references in ``*_torch.py`` need."""
VIOLATIONS = "properties/test_constraints.py::test_a_violation_is_an_error"
NO_DEMANDS = ("blocks/", "__init__.py")
"""What is not called by users."""
NO_KERNEL = "insides.py"
"""Says what nkilib does not have; no kernel runs it."""


@dataclass(frozen=True, order=True)
class Check:
    """A place that raises."""

    file: str
    first: int
    last: int
    text: str

    @property
    def place(self) -> tuple[str, int, str]:
        return self.file, self.first, self.text

    def __str__(self) -> str:
        return f"{self.file}:{self.first}: {self.text}"


@cache
def checks() -> list[Check]:
    """All checks of nkilib, by file and line."""
    helpers = asserting()
    return sorted(each for path in modules() for each in _checks(path, helpers))


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != NO_KERNEL]


def _checks(path: Path, helpers: set[Any]) -> Iterator[Check]:
    source, file = path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).as_posix()
    tree = ast.parse(source)
    tried = {again: node for node in ast.walk(tree) if isinstance(node, ast.Try) for again in _again(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and named(path, node.func) in helpers):
            text = " ".join((ast.get_source_segment(source, node) or "").split())
            place = tried[node].body[-1] if node in tried else node
            yield Check(file, place.lineno, place.end_lineno or place.lineno, text)


def _again(node: ast.Try) -> Iterator[ast.AST]:
    """Where an error is raised again; tracebacks say where it was raised first, in the statements that were tried."""
    return (each for each in ast.walk(node) if isinstance(each, ast.Raise) and each.exc is None)


def asserting() -> set[Any]:
    """``kernel_assert``, and the functions that call one of these with words that they are given.

    A text that is compared with others, as the name of an operation, is no such words.
    """
    found: set[Any] = {kernel_assert}
    count = 0
    while count < len(found):
        count = len(found)
        found |= {function for path in modules() for function in _passing_on(path, found)}
    return found


def _passing_on(path: Path, known: set[Any]) -> Iterator[FunctionType]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.args, *node.args.kwonlyargs]
            words = {each.arg for each in arguments if getattr(each.annotation, "id", "") == "str"}
            calls = [
                each
                for each in ast.walk(node)
                if isinstance(each, ast.Call) and named(path, each.func) in known
            ]
            compared = {
                name for each in ast.walk(node) if isinstance(each, ast.Compare) for name in names(each)
            }
            if (words - compared) & {name for call in calls for name in names(call)}:
                yield getattr(module(path), node.name)


def names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def named(path: Path, node: ast.expr) -> Any:
    """The function that a name of a module is; None for others."""
    found = getattr(module(path), node.id, None) if isinstance(node, ast.Name) else None
    return found if isinstance(found, FunctionType) else None


@cache
def module(path: Path) -> ModuleType:
    parts = ("nkilib", *path.relative_to(PACKAGE).with_suffix("").parts)
    return importlib.import_module(".".join(parts).removesuffix(".__init__"))


def failed(seen: Seen) -> Iterator[Check]:
    """The checks that an error leads through."""
    for file, line in seen.lines:
        within = [each for each in checks() if each.file == file and each.first <= line <= each.last]
        if within:
            yield max(within)


Places = set[tuple[str, int, str]]


def record() -> dict[str, list[Any]]:
    """Test → the errors that it expected, of this run and of earlier ones."""
    seen = json.loads(FOUND.read_text(encoding="utf-8")) if FOUND.exists() else {}
    for test, errors in SEEN.items():
        seen[test] = [
            {**asdict(each), "checks": [[c.file, c.first, c.text] for c in failed(each)]} for each in errors
        ]
    FOUND.parent.mkdir(exist_ok=True)
    FOUND.write_text(json.dumps(seen, indent=1), encoding="utf-8")
    return seen


def places(errors: Iterable[tuple[Seen, Places]]) -> Places:
    return {place for _, checks in errors for place in checks}


def demanded(seen: dict[str, list[tuple[Seen, Places]]]) -> Places:
    """The checks that a row of ``tests/support/constraints`` names."""
    from constraints import TABLES  # imports nki, which nkilib makes importable

    found = places(seen[VIOLATIONS])
    for table in TABLES:
        for row in table.rows:
            errors = seen[row.test] if row.test and not row.defined else []
            violations = set(table.violations(row, (error for error, _ in errors)))
            found |= places(each for each in errors if each[0] in violations)
    return found


def main() -> int:
    """Run the tests that are named, or all of nkilib's; what is found is added to that of earlier runs."""
    chosen = sys.argv[1:] or [str(TESTS), "-m", "not slow"]
    status = pytest.main(["-q", "--no-header", *chosen])
    seen: dict[str, list[tuple[Seen, Places]]] = defaultdict(list)
    for test, errors in record().items():
        seen[function_of(test)] += [
            (Seen(each["words"], each["entry"], ()), {tuple(c) for c in each["checks"]}) for each in errors
        ]
    failing, rows = places(each for errors in seen.values() for each in errors), demanded(seen)
    known = [check for check in checks() if TORCH or not check.file.endswith("_torch.py")]
    wrong = [f"{check}: never seen to fail" for check in known if check.place not in failing]
    wrong += [
        f"{check}: no row of tests/support/constraints says so"
        for check in known
        if check.place in failing - rows and not check.file.startswith(NO_DEMANDS)
    ]
    print(*wrong, sep="\n", end="\n" if wrong else "")
    without = "" if TORCH else f"; without torch {len(checks()) - len(known)} others are not tried"
    print(f"{len(known)} checks, {len(wrong)} without a test or a row{without}")
    return int(status) or int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
