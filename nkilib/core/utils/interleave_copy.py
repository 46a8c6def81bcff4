"""Copies that alternate between Scalar Engine and Vector Engine, with a factor and a summand."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from .kernel_assert import kernel_assert
from .tensor_view import TensorView


def interleave_copy(
    dst: nl.ndarray,
    src: nl.ndarray,
    scale: TensorView | None = None,
    bias: TensorView | None = None,
    index: int = 0,
) -> None:
    """``dst = src · scale + bias``, on Scalar Engine for an even ``index``, on Vector Engine for an odd one.

    A factor of ``[P, 1]`` (or ``[P]``) applies to whole rows; one of ``[P, F]`` needs Vector Engine and is
    applied there for any index. With both factors the scaled values are rounded to the type of ``dst`` before
    the bias is added, except that Scalar Engine does two factors of ``[P, 1]`` at once, with one rounding.

    Args:
        dst: SBUF ``[P, F]``. src: SBUF or PSUM of the same shape.
        scale, bias: views of SBUF, or None.
        index: of the copy among its like.

    Raises AssertionError unless all have the same number of partitions.
    """
    _check_partitions(dst, src, scale, "scale")
    _check_partitions(dst, src, bias, "bias")
    even = index % 2 == 0
    if scale is None and bias is None:
        _copy(dst, src, even)
    elif scale is None:
        _apply(dst, src, bias, nl.add, even)
    elif bias is None:
        _apply(dst, src, scale, nl.multiply, even)
    elif _for_rows(scale) and _for_rows(bias) and even:
        nisa.activation(dst=dst, op=nl.copy, data=src, scale=_column(scale), bias=_column(bias))
    else:
        mixed = not _for_rows(scale) or not _for_rows(bias)
        _apply(dst, src, scale, nl.multiply, mixed)
        _apply(dst, dst, bias, nl.add, mixed)


def _check_partitions(dst: nl.ndarray, src: nl.ndarray, factor: Any, name: str) -> None:
    if factor is not None:
        kernel_assert(
            dst.shape[0] == src.shape[0] and src.shape[0] == factor.shape[0],
            f"interleave_copy: dst {dst.shape}, src {src.shape} and {name} {factor.shape} must have the same "
            "number of partitions",
        )


def _for_rows(factor: Any) -> bool:
    """Whether it has one value for each partition."""
    return len(factor.shape) == 1 or (len(factor.shape) == 2 and factor.shape[1] == 1)


def _column(factor: Any) -> nl.ndarray:
    """The factor as ``[P, 1]``."""
    return factor.expand_dim(1).get_view() if len(factor.shape) == 1 else factor.get_view()


def _copy(dst: nl.ndarray, src: nl.ndarray, on_scalar: bool) -> None:
    if on_scalar:
        nisa.activation(dst=dst, op=nl.copy, data=src)
    else:
        nisa.tensor_copy(dst=dst, src=src, engine=nisa.engine.vector)


def _apply(dst: nl.ndarray, src: nl.ndarray, factor: Any, op: Any, on_scalar: bool) -> None:
    """``dst = src op factor``; ``on_scalar`` counts only for a factor of ``[P, 1]``."""
    if not _for_rows(factor):
        nisa.tensor_tensor(dst=dst, data1=src, data2=factor.get_view(), op=op, engine=nisa.engine.vector)
    elif not on_scalar:
        nisa.tensor_scalar(dst=dst, data=src, op0=op, operand0=_column(factor), engine=nisa.engine.vector)
    elif op == nl.add:
        nisa.activation(dst=dst, op=nl.copy, data=src, bias=_column(factor))
    else:
        nisa.activation(dst=dst, op=nl.copy, data=src, scale=_column(factor))
