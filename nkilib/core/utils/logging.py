"""Messages of kernels, printed while they are traced.

``NKILIB_LOG_LEVEL`` sets the least level shown, ``NKILIB_LOG_LEVEL_<name>`` that of one logger. Both are read
when this module is imported.
"""

import os
import sys
from enum import Enum

import nki.language as nl


class LogLevel(Enum):
    DEBUG = 0
    INFO = 1
    WARN = 2
    ERROR = 3
    OFF = 999

    @staticmethod
    def from_string(level: str) -> "LogLevel":
        """The level of this exact name; raises KeyError when there is none."""
        return LogLevel[level]


_DEFAULT_LOG_LEVEL = LogLevel.INFO
_VARIABLE = "NKILIB_LOG_LEVEL"


def _levels_of_environment() -> list[tuple[str, LogLevel]]:
    """Names of loggers with their levels, "" for all; invalid ones are reported and left out."""
    levels = []
    for variable, text in os.environ.items():
        if variable != _VARIABLE and not variable.startswith(f"{_VARIABLE}_"):
            continue
        try:
            levels.append((variable[len(_VARIABLE) + 1 :], LogLevel.from_string(text.upper())))
        except KeyError:
            allowed = ", ".join(LogLevel.__members__)
            print(f"Warning: {variable}={text} is ignored; allowed: {allowed}", file=sys.stderr)
    return levels


_LEVELS = _levels_of_environment()


class Logger(nl.NKIObject):
    """Prints messages from ``level`` on; the environment does not matter here, see :func:`get_logger`."""

    def __init__(self, name: str, level: LogLevel = _DEFAULT_LOG_LEVEL) -> None:
        self.name = name
        self.level = level

    def is_enabled_for(self, level: LogLevel) -> bool:
        return level.value >= self.level.value

    def _print(self, level: LogLevel, msg: str) -> None:
        if self.is_enabled_for(level):
            name = f"[{self.name}] " if self.name else ""
            print(f"[{level.name}] {name}{msg}")

    def debug(self, msg: str) -> None:
        self._print(LogLevel.DEBUG, msg)

    def info(self, msg: str) -> None:
        self._print(LogLevel.INFO, msg)

    def warn(self, msg: str) -> None:
        self._print(LogLevel.WARN, msg)

    def error(self, msg: str) -> None:
        self._print(LogLevel.ERROR, msg)


def get_logger(name: str, level: LogLevel = _DEFAULT_LOG_LEVEL) -> Logger:
    """A new logger, at the level that the environment gives for its name, for all, or at ``level``."""
    effective = level
    for wanted in ("", name):
        for known in _LEVELS:
            if known[0] == wanted:
                effective = known[1]
    return Logger(name, effective)


logger = get_logger("")
