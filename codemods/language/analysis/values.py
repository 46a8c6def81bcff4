"""What an expression of a kernel stands for."""

from __future__ import annotations

from enum import Enum

from ...record import record
from .symbols import Sym

Shape = tuple[Sym, ...]


class Space(str, Enum):
    """Where a tensor lives; the members' values are the names in ``nl``."""

    HBM = "hbm"
    SHARED_HBM = "shared_hbm"
    PRIVATE_HBM = "private_hbm"
    SBUF = "sbuf"
    PSUM = "psum"


@record
class Dtype:
    """A dtype as a trace-time expression.

    Attributes:
        text: how the new code spells it: ``nl.float32``, ``x.dtype``, ``acc_type``.
        known: the name in ``nl`` when it is certain, e.g. ``float32``; None when it depends on an input.
        source: what two dtypes must share to be certainly equal, e.g. the parameter they come from.
    """

    text: str
    known: str | None = None
    source: str | None = None


@record
class Tensor:
    """A tensor, or a view of one, as the new code names it.

    Attributes:
        text: expression in the new code, e.g. ``x`` or ``x[0:128, nl.ds(k * 512, 512)]``.
        shape: of what there is in the new code; None when even the rank is unknown.
        dtype, space: None when unknown.
        whole: the text is a name, so ``.ap`` and ``.reshape`` may be used on it.
        extents: for each axis the size it had in the old code, where a mask left part of it undefined and the
            new tile does not have that part, else None; empty when all are the same.
    """

    text: str
    shape: Shape | None
    dtype: Dtype | None
    space: Space | None
    whole: bool = True
    extents: tuple[Sym | None, ...] = ()


@record
class Scalar:
    """A number known when the kernel is traced: ``text`` as the new code spells it, ``sym`` when it is an
    integer expression that the algebra understands, ``real`` when it is meant to be a float (a parameter that
    is declared as one, or has one as its default).
    """

    text: str
    sym: Sym | None = None
    real: bool = False


@record
class Token:
    """A member of the language used as a value: an ALU or activation operation, an engine, an enum member.

    ``name`` is the new qualified one, e.g. ``nl.add``; "" for a variable that holds one of several. ``text``
    spells it, where that is not its name.
    """

    name: str
    text: str = ""

    @property
    def code(self) -> str:
        """How the new code spells it."""
        return self.text or self.name


@record
class Unknown:
    """A trace-time Python value that the analysis does not follow; the new code spells it ``text``."""

    text: str


@record
class Items:
    """A tuple or a list of known length, such as a shape or axes."""

    text: str
    items: tuple[Value, ...]


Value = Tensor | Scalar | Token | Unknown | Items | Dtype
"""What an argument can be. An argument that is None is absent instead."""
