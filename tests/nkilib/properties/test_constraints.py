"""What the documentation of kernels demands is demanded: a call that violates it is an error that says so.

The demands are in ``tests/support/constraints/``, one table for each kernel. Those that no other test violates are
violated here; for the others the table names the test, of which the errors are looked through that it expected.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from constraints import TABLES, Row, Table
from expected_errors import SEEN, Seen, function_of
from kernel_checks import failed
from kernels import PREFIX
from randomcalls import FAMILIES

TESTS = Path(__file__).parents[1]
VIOLATED = [(table, row) for table in TABLES for row in table.rows if not row.test]
ELSEWHERE = [(table, row) for table in TABLES for row in table.rows if row.test and not row.defined]
DEFINED = [row for table in TABLES for row in table.rows if row.defined]
CALLED = [table for table in TABLES if any(not row.test for row in table.rows)]


@pytest.mark.parametrize(
    ("table", "row"), VIOLATED, ids=[f"{table.id}: {row.demand}" for table, row in VIOLATED]
)
def test_a_violation_is_an_error(table: Table, row: Row) -> None:
    arguments = row.violated(table.arguments())
    prefix = re.escape(PREFIX) if row.raises is AssertionError else ""
    with pytest.raises(row.raises, match=f"{prefix}.*{re.escape(row.words)}"):
        table.run(arguments, row.lnc, row.target)


@pytest.mark.parametrize("table", CALLED, ids=[table.id for table in CALLED])
def test_the_call_without_a_violation_runs(table: Table) -> None:
    table.run(table.arguments())


@pytest.mark.parametrize("test", sorted({row.test for _, row in ELSEWHERE}))
def test_other_tests_see_the_errors_that_the_tables_say(test: str, request: pytest.FixtureRequest) -> None:
    """Each demand's words name one check, which failed when the test called the table's kernel."""
    items = [item.nodeid for item in request.session.items if function_of(item.nodeid) == test]
    if not items or not all(item in SEEN for item in items):
        pytest.skip(f"{test} has not run before")
    seen = [error for item in items for error in SEEN[item]]
    assert not list(unproven(test, seen))


@pytest.mark.parametrize("test", sorted({row.test for row in DEFINED}))
def test_other_tests_show_what_is_no_error(test: str) -> None:
    text = source(test)
    missing = [row.words for row in DEFINED if row.test == test and row.words not in text]
    assert not missing


def test_every_kernel_has_a_table() -> None:
    assert {family.name for family in FAMILIES} <= {table.name for table in TABLES}


@pytest.mark.parametrize("table", TABLES, ids=[table.id for table in TABLES])
def test_a_demand_is_named_once(table: Table) -> None:
    demands = [*(row.demand for row in table.rows), *table.left]
    assert sorted(set(demands)) == sorted(demands)


def unproven(test: str, seen: list[Seen]) -> Iterator[str]:
    """What the tables say of a test that the errors that it expected do not show."""
    demands: Counter[Any] = Counter()
    for table, row in ELSEWHERE:
        if row.test == test:
            errors = table.violations(row, seen)
            checks = {tuple(failed(error)) for error in errors}
            if len(checks) != 1:
                yield f"{table.id}: {row.demand}: {row.words!r} is said by {len(checks)} checks: {checks}"
            violation = (table.name, *errors)
            demands[violation] += 1
            if demands[violation] > max(len(errors), 1):
                yield f"{table.id}: {row.demand}: {row.words!r} is an error that shows another demand"


@cache
def source(test: str) -> str:
    """The text of a test, ``file::function``, and of the constants that it names."""
    file, _, function = test.partition("::")
    text = (TESTS / file).read_text(encoding="utf-8")
    lines = text.splitlines()
    module = ast.parse(text).body
    [found] = [node for node in module if isinstance(node, ast.FunctionDef) and node.name == function]
    first = min([found.lineno, *(each.lineno for each in found.decorator_list)])
    shown = "\n".join(lines[first - 1 : found.end_lineno])
    for node in module:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(each, ast.Name) and re.search(rf"\b{each.id}\b", shown) for each in targets):
                shown += "\n" + "\n".join(lines[node.lineno - 1 : node.end_lineno])
    return shown
