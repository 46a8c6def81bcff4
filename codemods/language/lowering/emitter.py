"""What a lowering needs from the walker that calls it."""

from __future__ import annotations

from typing import NoReturn, Protocol

from ..analysis.refusal import Refused as Refused
from ..analysis.symbols import Sym
from ..analysis.values import Dtype, Shape, Space, Tensor


class Emitter(Protocol):
    """Writes the lines that come before, or instead of, the statement being translated."""

    def target(self) -> Tensor | None:
        """The tile the statement assigns into (``t[...] = op(...)``); None when the result gets its own."""

    def destination(
        self, shape: Shape | None, dtype: Dtype | None, space: Space, like: Tensor | None = None
    ) -> Tensor:
        """Where the operation's result goes; asked once, before the instruction that writes it.

        The tile the statement assigns into (``t[...] = op(...)``) when there is one, whatever dtype and
        memory it has; otherwise one that is allocated here, named after the assigned name or the operation.
        ``like`` is a tensor of the same shape: it spells the shape, and the dtype where that is equal too
        (``nl.ndarray(like.shape, dtype=like.dtype, …)``). A shape of None (unknown rank) is that of ``like``,
        and so is a dtype of None.
        """

    def sink(self) -> Dtype | None:
        """The dtype of the tensor in HBM that the result is stored to, when nothing else reads it."""

    def temporary(
        self, hint: str, shape: Shape | None, dtype: Dtype | None, space: Space, like: Tensor | None = None
    ) -> Tensor:
        """A further tile the operation needs, under a fresh name made from ``hint``."""

    def emit(self, callee: str, **arguments: str) -> None:
        """A call as a statement: ``callee`` is ``nisa.…`` or a helper's name, arguments are code."""

    def line(self, code: str) -> None:
        """A whole statement, or several lines of one."""

    def bind(self, hint: str, code: str) -> str:
        """A trace-time value under a fresh name: ``hint = code``; the name."""

    def named(self, hint: str, tensor: Tensor) -> Tensor:
        """The tensor that ``tensor.text`` makes, under the assigned name or one made from ``hint``."""

    def helper(self, name: str) -> str:
        """The name under which the module has the helper function ``name`` (see ``helpers.py``)."""

    def module(self, name: str) -> str:
        """The name under which the file has a module of the new language, ``ntensor`` for ``nki.tensor``."""

    def same(self, a: Sym, b: Sym) -> bool | None:
        """Whether two sizes are equal, with what the kernel asserts; None when it cannot be known."""

    def note(self, message: str, **fields: str) -> None:
        """What to know about the place, which is rewritten all the same; a key of ``messages.py``."""

    def refuse(self, message: str, **fields: str) -> NoReturn:
        """Raise :class:`Refused` for the operation at hand."""
