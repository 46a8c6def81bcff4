"""Messages collected with their depth and printed as a tree."""

from dataclasses import dataclass

import nki.language as nl

from .logging import Logger, LogLevel


@dataclass
class LogEntry(nl.NKIObject):
    """One line of the tree."""

    msg: str
    depth: int
    is_stack: bool
    is_scope_boundary: bool = False


class TreeLogger(nl.NKIObject):
    """Collects messages until :meth:`flush`.

    Attributes:
        name: printed in the heading. logger: shows the tree at level INFO, or not at all.
        stack_logs: what was collected since the last flush.
    """

    def __init__(self, name: str, logger: Logger) -> None:
        self.name = name
        self.logger = logger
        self.stack_logs: list[LogEntry] = []

    def log(self, msg: str, depth: int, is_scope_boundary: bool = False) -> None:
        self.stack_logs.append(LogEntry(msg, depth, True, is_scope_boundary))

    def flush(self) -> None:
        """Print what was collected and forget it."""
        if len(self.stack_logs) > 0 and self.logger.is_enabled_for(LogLevel.INFO):
            self.logger.info(f"[{self.name}] Allocations:")
            for index in range(len(self.stack_logs)):
                print(f"    {self._branch(index)}{self.stack_logs[index].msg}")
        self.stack_logs = []

    def _branch(self, index: int) -> str:
        depth = self.stack_logs[index].depth
        if depth == 0:
            return ""
        above = ""
        for _ in range(depth - 1):
            above = f"{above}│   "
        return f"{above}└── " if self._is_last(index) else f"{above}├── "

    def _is_last(self, index: int) -> bool:
        """Whether no entry of equal depth follows before a smaller one."""
        depth = self.stack_logs[index].depth
        for later in range(index + 1, len(self.stack_logs)):
            if self.stack_logs[later].depth <= depth:
                return self.stack_logs[later].depth < depth
        return True
