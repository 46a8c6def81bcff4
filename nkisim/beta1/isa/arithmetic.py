"""Arithmetic: ScalarE's activations, VectorE's operators, reductions and scans."""

from __future__ import annotations

from math import prod
from typing import Any

from ... import isa
from ...core.dtypes import dtype_of
from ...core.tensor import Tensor
from ..compute import computed, domain_of
from ..dtypes import result_type
from ..elementwise import spread
from ..operators import in_integers
from ..reduction import reduced
from ..tile import Operand, Tile
from .issue import chip_operand, issue, maybe_token, token

_UNKNOWN = isa.unknown_engine


def activation(
    op: Any,
    data: Any,
    *,
    bias: Any = None,
    scale: Any = 1.0,
    reduce_op: Any = None,
    reduce_res: Any = None,
    reduce_cmd: Any = isa.reduce_cmd.idle,
    mask: Any = None,
    dtype: Any = None,
    **kwargs: Any,
) -> Tile:
    """``op(data * scale + bias)``; see :func:`nkisim.isa.activation`."""
    function, reducer = token(op, "activation"), maybe_token(reduce_op, "activation", "reduce_op")

    def instruction(dst: Any, values: Any, shift: Any, factor: Any, into: Any) -> None:
        isa.activation(dst, function, values, shift, factor, reducer, into, reduce_cmd)

    instruction.__name__ = "activation"
    return issue(instruction, data, dtype, mask, bias, scale, results=(reduce_res,))


def activation_reduce(
    op: Any,
    data: Any,
    *,
    reduce_op: Any,
    reduce_res: Any,
    bias: Any = None,
    scale: Any = 1.0,
    mask: Any = None,
    dtype: Any = None,
    **kwargs: Any,
) -> Tile:
    """:func:`activation` whose row sums go to ``reduce_res``."""
    return activation(
        op,
        data,
        bias=bias,
        scale=scale,
        reduce_op=reduce_op,
        reduce_res=reduce_res,
        reduce_cmd=isa.reduce_cmd.reset_reduce,
        mask=mask,
        dtype=dtype,
    )


def reciprocal(data: Any, *, dtype: Any = None, mask: Any = None, **kwargs: Any) -> Tile:
    """``1 / data`` on VectorE."""
    return issue(isa.reciprocal, data, dtype, mask)


def tensor_scalar(
    data: Any,
    op0: Any,
    operand0: Any,
    reverse0: bool = False,
    op1: Any = None,
    operand1: Any = None,
    reverse1: bool = False,
    *,
    dtype: Any = None,
    mask: Any = None,
    engine: Any = _UNKNOWN,
    **kwargs: Any,
) -> Tile:
    """``(data op0 operand0) op1 operand1`` with numbers or tiles of one element in each partition."""
    first, second = token(op0, "tensor_scalar", "op0"), maybe_token(op1, "tensor_scalar", "op1")

    def instruction(dst: Any, values: Any, value0: Any, value1: Any) -> None:
        isa.tensor_scalar(dst, values, first, value0, reverse0, second, value1, reverse1, engine)

    instruction.__name__ = "tensor_scalar"
    return issue(instruction, data, dtype, mask, operand0, operand1)


def tensor_tensor(
    data1: Any,
    data2: Any,
    op: Any,
    *,
    dtype: Any = None,
    mask: Any = None,
    engine: Any = _UNKNOWN,
    **kwargs: Any,
) -> Tile:
    """``data1 op data2``, broadcast to one shape; without ``dtype`` the result has the promoted type."""
    sides = chip_operand(data1, "tensor_tensor", "data1"), chip_operand(data2, "tensor_tensor", "data2")
    kind = result_type(dtype, *sides)
    function = token(op, "tensor_tensor")
    if sides[0].dtype is sides[1].dtype is kind:
        function = in_integers(function, kind, (sides[0].dtype, sides[1].dtype))
    if prod(sides[0].shape) == prod(sides[1].shape):
        return issue(isa.tensor_tensor, data1, kind, mask, data2, what="data1", op=function, engine=engine)

    def body(dst: Tensor, first: Tensor, second: Tensor) -> None:
        shape = dst.array.shape
        isa.tensor_tensor(dst, spread(first, shape), spread(second, shape), op=function, engine=engine)

    return computed(body, domain_of(*sides), kind, mask, sides)


def scalar_tensor_tensor(
    *,
    data: Any,
    op0: Any,
    operand0: Any,
    op1: Any,
    operand1: Any,
    reverse0: bool = False,
    reverse1: bool = False,
    dtype: Any = None,
    mask: Any = None,
    **kwargs: Any,
) -> Tile:
    """``(data op0 operand0) op1 operand1`` ; operand0 a number or a column, operand1 a tile like data."""
    first, second = token(op0, "scalar_tensor_tensor", "op0"), token(op1, "scalar_tensor_tensor", "op1")

    def instruction(dst: Any, values: Any, value0: Any, value1: Any) -> None:
        isa.scalar_tensor_tensor(dst, values, first, value0, second, value1, reverse0, reverse1)

    instruction.__name__ = "scalar_tensor_tensor"
    return issue(instruction, data, dtype, mask, operand0, operand1)


def tensor_reduce(
    op: Any,
    data: Any,
    axis: Any,
    *,
    mask: Any = None,
    dtype: Any = None,
    negate: bool = False,
    keepdims: bool = False,
    **kwargs: Any,
) -> Tile:
    """``op`` over free axes of the tile, numbered as the tile's."""
    source = chip_operand(data, "tensor_reduce", "data")
    kind = dtype_of(dtype or source.dtype)
    function = token(op, "tensor_reduce")
    return reduced("nisa.tensor_reduce", function, source, axis, kind, mask, negate=negate, keepdims=keepdims)


def tensor_scalar_reduce(
    *,
    data: Any,
    op0: Any,
    operand0: Any,
    reduce_op: Any,
    reduce_res: Any,
    reverse0: bool = False,
    dtype: Any = None,
    mask: Any = None,
    **kwargs: Any,
) -> Tile:
    """``data op0 operand0``; ``reduce_res`` receives reduce_op over each partition of it."""
    first, reducer = (
        token(op0, "tensor_scalar_reduce", "op0"),
        token(reduce_op, "tensor_scalar_reduce", "reduce_op"),
    )

    def instruction(dst: Any, values: Any, value0: Any, into: Any) -> None:
        isa.tensor_scalar_reduce(dst, values, first, value0, reducer, into, reverse0)

    instruction.__name__ = "tensor_scalar_reduce"
    return issue(instruction, data, dtype, mask, operand0, results=(reduce_res,))


def tensor_tensor_scan(
    data0: Any,
    data1: Any,
    initial: Any,
    op0: Any,
    op1: Any,
    reverse0: bool = False,
    reverse1: bool = False,
    *,
    dtype: Any = None,
    mask: Any = None,
    **kwargs: Any,
) -> Tile:
    """``s = (data0[i] op0 s) op1 data1[i]`` along each partition; without ``dtype`` the promoted type."""
    first, second = token(op0, "tensor_tensor_scan", "op0"), token(op1, "tensor_tensor_scan", "op1")
    kind = result_type(dtype, *(v for v in (data0, data1) if isinstance(v, Operand)))
    return issue(
        isa.tensor_tensor_scan,
        data0,
        kind,
        mask,
        data1,
        initial,
        what="data0",
        op0=first,
        op1=second,
        reverse0=reverse0,
        reverse1=reverse1,
    )
