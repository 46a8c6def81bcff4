"""Which lowering a function of the former language has."""

from __future__ import annotations

from ..analysis.values import Tensor
from . import (
    activation,
    binary,
    composite,
    constants,
    creation,
    instructions,
    matmul,
    movement,
    reduction,
    refusals,
    views,
)
from .call import Arguments, Call, Lowering
from .emitter import Emitter

_FAMILIES = (
    activation,
    binary,
    composite,
    constants,
    creation,
    instructions,
    matmul,
    movement,
    reduction,
    refusals,
    views,
)
LOWERINGS: dict[str, Lowering] = {
    name: lowering for family in _FAMILIES for name, lowering in family.LOWERINGS.items()
}
"""Lowerings by the former name with its customary alias: ``nl.exp``, ``nisa.activation``.

Methods of tensors are named ``nki.tensor.astype``; their receiver is the argument ``self``.
"""


def lower(name: str, out: Emitter, arguments: Arguments) -> Tensor | None:
    """Write what a call becomes.

    Args:
        name: see :data:`LOWERINGS`. arguments: see :data:`.call.Arguments`. Instructions with an index
            expression get it in the new form: ``affine_select`` the code of ``pattern``, ``offset`` and
            ``channel_multiplier`` and the token ``cmp_op`` in place of ``pred``; ``iota`` the same but
            ``cmp_op``, and ``shape``, in place of ``expr``.

    Returns:
        The result as the new code names it; None for calls that have none.

    Raises:
        Refused: a person must decide.
        KeyError: the name has no lowering.
    """
    return LOWERINGS[name](Call(out, name, arguments))
