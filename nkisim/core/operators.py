"""The operator tokens of ``nki.language`` (``nl.add``, ``nl.exp`` …): what instructions apply element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .dtypes import Array

F32 = np.float32


class Operator:
    """A token. ``function`` works on float32 arrays, on raw integers when ``bitwise``.

    Attributes:
        arity: 1 or 2. reduction: the ufunc that reduces with it, or None. identity: its neutral element.
    """

    __slots__ = ("arity", "bitwise", "function", "identity", "name", "reduction")

    def __init__(
        self,
        name: str,
        function: Callable[..., Array],
        arity: int,
        *,
        bitwise: bool = False,
        reduction: Any = None,
        identity: float | None = None,
    ) -> None:
        self.name = name
        self.function = function
        self.arity = arity
        self.bitwise = bitwise
        self.reduction = reduction
        self.identity = identity

    def __repr__(self) -> str:
        return f"nl.{self.name}"

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"nl.{self.name} is a token for nki.isa; it cannot be called on tensors in this release")
