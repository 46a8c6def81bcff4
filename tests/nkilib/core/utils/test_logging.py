"""Levels of loggers, given in the code and in the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nkilib.core.utils.logging import Logger, LogLevel, get_logger, logger

ROOT = Path(__file__).parents[4]


def test_levels() -> None:
    assert [(level.name, level.value) for level in LogLevel] == [
        ("DEBUG", 0),
        ("INFO", 1),
        ("WARN", 2),
        ("ERROR", 3),
        ("OFF", 999),
    ]
    assert LogLevel.from_string("WARN") is LogLevel.WARN


@pytest.mark.parametrize("text", ["info", "WARNING", ""])
def test_10_unknown_level(text) -> None:
    with pytest.raises(KeyError):
        LogLevel.from_string(text)


@pytest.mark.parametrize(
    ("made", "method", "line"),
    [
        pytest.param(Logger("SBM"), "info", "[INFO] [SBM] x\n", id="1"),
        pytest.param(Logger("SBM"), "debug", "", id="2"),
        pytest.param(Logger("q", LogLevel.DEBUG), "debug", "[DEBUG] [q] x\n", id="3"),
        pytest.param(Logger("", LogLevel.INFO), "warn", "[WARN] x\n", id="8"),
        pytest.param(Logger("q", LogLevel.ERROR), "warn", "", id="below"),
        pytest.param(Logger("q", LogLevel.ERROR), "error", "[ERROR] [q] x\n", id="error"),
        *(
            pytest.param(Logger("q", LogLevel.OFF), m, "", id=f"9 {m}")
            for m in ("debug", "info", "warn", "error")
        ),
    ],
)
def test_messages(made, method, line, capsys) -> None:
    getattr(made, method)("x")
    assert capsys.readouterr().out == line


def test_11_enabled() -> None:
    assert Logger("", LogLevel.INFO).is_enabled_for(LogLevel.WARN)
    assert Logger("", LogLevel.WARN).is_enabled_for(LogLevel.WARN)
    assert not Logger("", LogLevel.ERROR).is_enabled_for(LogLevel.WARN)


def test_default_logger() -> None:
    assert logger.name == ""
    assert get_logger("a") is not get_logger("a")


def fresh(calls: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run calls in an interpreter that starts with these variables."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NKILIB_LOG_LEVEL")}
    code = f"from nkilib.core.utils.logging import Logger, LogLevel, get_logger\n{calls}"
    environment = {**clean, **variables, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )


@pytest.mark.parametrize(
    ("variables", "calls", "output"),
    [
        pytest.param({}, "get_logger('SBM').info('x'); get_logger('SBM').debug('y')", "[INFO] [SBM] x\n", id="1 and 2"),
        pytest.param({}, "get_logger('q', LogLevel.DEBUG).debug('x')", "[DEBUG] [q] x\n", id="3"),
        pytest.param({"NKILIB_LOG_LEVEL": "info"}, "get_logger('q', LogLevel.DEBUG).debug('x')", "", id="4"),
        pytest.param({"NKILIB_LOG_LEVEL": "ERROR", "NKILIB_LOG_LEVEL_q": "debug"}, "get_logger('q').debug('x'); get_logger('r').info('y')", "[DEBUG] [q] x\n", id="5"),
        pytest.param({"NKILIB_LOG_LEVEL_q": "debug", "NKILIB_LOG_LEVEL": "ERROR"}, "get_logger('q').debug('x')", "[DEBUG] [q] x\n", id="5 in the other order"),
        pytest.param({"NKILIB_LOG_LEVEL_qkv_tkg": "DEBUG"}, "get_logger('qkv_tkg').debug('x'); get_logger('qkv').debug('y')", "[DEBUG] [qkv_tkg] x\n", id="12"),
        pytest.param({"NKILIB_LOG_LEVEL_q": "DEBUG"}, "get_logger('Q').debug('x')", "", id="case of names"),
        pytest.param({"NKILIB_LOG_LEVEL": "DEBUG"}, "Logger('q').debug('x')", "", id="not for the class"),
    ],
)  # fmt: skip
def test_environment(variables, calls, output) -> None:
    done = fresh(calls, **variables)
    assert (done.stdout, done.stderr) == (output, "")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        pytest.param("NKILIB_LOG_LEVEL", "BOGUS", id="6"),
        pytest.param("NKILIB_LOG_LEVEL_q", "WARNING", id="7"),
    ],
)
def test_invalid_environment(variable, value) -> None:
    done = fresh("get_logger('q').info('x'); get_logger('q').debug('y')", **{variable: value})
    assert done.stdout == "[INFO] [q] x\n"
    assert done.stderr.startswith(f"Warning: {variable}={value}")
    assert done.stderr.count("\n") == 1
