"""What a lowering needs from the walker that calls it."""

from __future__ import annotations

from typing import NoReturn, Protocol

from ..analysis.refusal import Refused as Refused
from ..analysis.symbols import Sym
from ..analysis.values import Dtype, Shape, Space, Tensor


class Emitter(Protocol):
    """Writes the lines that come before, or instead of, the statement being translated."""

    def destination(self, shape: Shape, dtype: Dtype, space: Space, like: Tensor | None = None) -> Tensor:
        """Where the operation's result goes.

        The tile the statement assigns into (``t[...] = op(...)``) when there is one; otherwise a tile that is
        allocated here, named after the assigned name or after the operation. ``like`` spells shape and dtype
        through another tensor (``nl.ndarray(like.shape, dtype=like.dtype, …)``) where both are equal.
        """

    def temporary(
        self, hint: str, shape: Shape, dtype: Dtype, space: Space, like: Tensor | None = None
    ) -> Tensor:
        """A further tile the operation needs, under a fresh name made from ``hint``."""

    def emit(self, callee: str, **arguments: str) -> None:
        """A call as a statement: ``callee`` is ``nisa.…``, arguments are code; None never appears."""

    def line(self, code: str) -> None:
        """A whole statement, or several lines of one."""

    def bind(self, hint: str, code: str) -> str:
        """A trace-time value under a fresh name: ``hint = code``; the name."""

    def helper(self, name: str) -> str:
        """The name under which the module has the helper function ``name`` (see ``helpers.py``)."""

    def same(self, a: Sym, b: Sym) -> bool | None:
        """Whether two sizes are equal, with what the kernel asserts; None when it cannot be known."""

    def refuse(self, message: str, **fields: str) -> NoReturn:
        """Raise :class:`Refused` for the operation at hand."""
