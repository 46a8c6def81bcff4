"""What Python offers and tensors of NKI do not have: operators, and assignment to an index."""

from __future__ import annotations

from typing import Any, NoReturn

from .errors import fail


class Unsupported:
    """Base of tensors, so that such code is told what to write instead."""

    __slots__ = ()

    def _operator(self, *_: Any) -> NoReturn:
        raise fail(
            f"operators on tensors are not supported, and {self!r} is one; "
            "call an instruction, such as nisa.tensor_tensor or nisa.tensor_scalar"
        )

    __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = __matmul__ = _operator
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = _operator
    __and__ = __or__ = __xor__ = __lshift__ = __rshift__ = __rand__ = __ror__ = __rxor__ = _operator
    __lt__ = __le__ = __gt__ = __ge__ = __neg__ = __invert__ = __abs__ = __rmatmul__ = __rlshift__ = (
        __rrshift__
    ) = _operator

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise fail(
            f"a tensor cannot be assigned to, and {self!r} is one; "
            "give it to an instruction as dst, such as nisa.tensor_copy(dst=t[...], src=...)"
        )
