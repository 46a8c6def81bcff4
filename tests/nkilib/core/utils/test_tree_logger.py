"""The tree of messages."""

from __future__ import annotations

import pytest

from nkilib.core.utils.logging import Logger, LogLevel
from nkilib.core.utils.tree_logger import LogEntry, TreeLogger


def printed(capsys, *entries: tuple[str, int]) -> list[str]:
    """The lines below the heading."""
    tree = TreeLogger("T", Logger(""))
    for entry in entries:
        tree.log(*entry)
    tree.flush()
    return capsys.readouterr().out.splitlines()[1:]


def test_1_example(capsys) -> None:
    tree = TreeLogger("SBM", Logger("SBM"))
    tree.log("▶ SCOPE 'a'", 0, True)
    tree.log("x", 1)
    tree.log("▶ SCOPE 'b'", 1, True)
    tree.log("y", 2)
    tree.log("z", 2)
    tree.log("◀ END 'b'", 1, True)
    tree.log("◀ END 'a'", 0, True)
    tree.flush()
    expected = """[INFO] [SBM] [SBM] Allocations:
    ▶ SCOPE 'a'
    ├── x
    ├── ▶ SCOPE 'b'
    │   ├── y
    │   └── z
    └── ◀ END 'b'
    ◀ END 'a'
"""
    assert capsys.readouterr().out == expected
    tree.flush()
    assert capsys.readouterr().out == ""


def test_2_nothing(capsys) -> None:
    TreeLogger("T", Logger("")).flush()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("entries", "lines"),
    [
        pytest.param([("a", 0)], ["    a"], id="4"),
        pytest.param([("a", 1)], ["    └── a"], id="5"),
        pytest.param([("a", 1), ("b", 1)], ["    ├── a", "    └── b"], id="6"),
        pytest.param([("a", 3)], ["    │   │   └── a"], id="7"),
        pytest.param([("a", 1), ("b", 0), ("c", 1)], ["    └── a", "    b", "    └── c"], id="8"),
        pytest.param(
            [("a", 1), ("b", 2), ("c", 1)], ["    ├── a", "    │   └── b", "    └── c"], id="deeper between"
        ),
    ],
)
def test_prefixes(entries, lines, capsys) -> None:
    assert printed(capsys, *entries) == lines


def test_9_what_is_collected() -> None:
    tree = TreeLogger("T", Logger("t"))
    assert (tree.name, tree.logger.name, tree.stack_logs) == ("T", "t", [])
    tree.log("a", 2)
    tree.log("b", 0, True)
    assert [(e.msg, e.depth, e.is_stack, e.is_scope_boundary) for e in tree.stack_logs] == [
        ("a", 2, True, False),
        ("b", 0, True, True),
    ]
    assert LogEntry("m", 1, False).is_scope_boundary is False


@pytest.mark.parametrize("level", [LogLevel.WARN, LogLevel.OFF])
def test_10_level(level, capsys) -> None:
    tree = TreeLogger("T", Logger("", level))
    tree.log("a", 0)
    tree.flush()
    assert capsys.readouterr().out == ""
    assert tree.stack_logs == []
