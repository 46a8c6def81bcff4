"""Making tensors and tiles: empty, filled, constant, random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import isa
from .. import language as newer
from ..core import dtypes
from ..core.context import state
from ..core.dtypes import dtype_of
from ..core.memory import OFF_CHIP, PSUM, SBUF
from ..core.tensor import Tensor
from .compute import new_tile
from .memory import holding
from .tile import Operand, Tile

_UNIT = 2.0**-24


def ndarray(
    shape: Sequence[int] | int, dtype: Any, *, buffer: Any = None, name: str = "", **kwargs: Any
) -> Tile:
    """A new, unwritten tensor; on chip its first dimension, or that in ``nl.par_dim``, is the partition."""
    dims = (shape,) if isinstance(shape, int) else tuple(shape)
    made = new_tile(dims, dtype_of(dtype), SBUF if buffer is None else buffer, name)
    if made.buffer == PSUM:  # += has to know what was written
        made.tensor.storage.written = np.zeros(made.tensor.storage.raw.size, np.bool_)
    return made


def full(
    shape: Sequence[int] | int,
    fill_value: Any,
    dtype: Any,
    *,
    buffer: Any = None,
    name: str = "",
    **kwargs: Any,
) -> Tile:
    """A new tensor that holds one value everywhere."""
    made = ndarray(shape, dtype, buffer=buffer, name=name)
    if made.buffer in OFF_CHIP or made.par:
        tensor = made.tensor
        tensor.write(np.full(tensor.array.shape, tensor.dtype(fill_value)))
    else:
        isa.memset(made.tensor, fill_value)
    return made


def zeros(
    shape: Sequence[int] | int, dtype: Any, *, buffer: Any = None, name: str = "", **kwargs: Any
) -> Tile:
    """A new tensor of zeros."""
    return full(shape, 0, dtype, buffer=buffer, name=name)


def ones(
    shape: Sequence[int] | int, dtype: Any, *, buffer: Any = None, name: str = "", **kwargs: Any
) -> Tile:
    """A new tensor of ones."""
    return full(shape, 1, dtype, buffer=buffer, name=name)


def empty_like(a: Operand, dtype: Any = None, *, buffer: Any = None, name: str = "", **kwargs: Any) -> Tile:
    """A new tensor of the shape and type of another one, in its memory unless ``buffer`` says another."""
    return ndarray(a.shape, dtype or a.dtype, buffer=buffer or a.buffer, name=name)


def zeros_like(a: Operand, dtype: Any = None, *, buffer: Any = None, name: str = "", **kwargs: Any) -> Tile:
    """:func:`empty_like`, filled with zeros."""
    return zeros(a.shape, dtype or a.dtype, buffer=buffer or a.buffer, name=name)


def shared_constant(constant: Any, dtype: Any = None, **kwargs: Any) -> Tile:
    """A NumPy array as a tensor in HBM."""
    return Tile(newer.shared_constant(np.asarray(constant), dtype))


def shared_identity_matrix(n: int, dtype: Any = np.uint8, **kwargs: Any) -> Tile:
    """The ``n × n`` identity in HBM."""
    return shared_constant(np.eye(n, dtype=np.float32), dtype)


def _random_bits(shape: tuple[int, ...]) -> Tensor:
    bits = new_tile(shape, dtypes.uint32).tensor
    isa.rng(bits)
    return bits


def rand(shape: Sequence[int], dtype: Any = np.float32, **kwargs: Any) -> Tile:
    """A tile of numbers in [0, 1). Seeded: every launch of a kernel gives the same ones."""
    bits = _random_bits(tuple(int(n) for n in shape))
    isa.tensor_scalar(bits, bits, newer.right_shift, 8)
    made = new_tile(bits.array.shape, dtype_of(dtype))
    isa.tensor_scalar(made.tensor, bits, newer.multiply, _UNIT)
    return made


def random_seed(seed: Any, *, mask: Any = None, **kwargs: Any) -> None:
    """Start the running core's random numbers anew, from an integer or a tile of one 32-bit value."""
    if isinstance(seed, Operand):
        isa.set_rng_seed(seed.part(None))
        return
    isa.set_rng_seed(holding(np.array([[int(seed)]], np.int64).astype(np.uint32), dtypes.uint32, SBUF))


def dropout(x: Any, rate: Any, *, dtype: Any = None, mask: Any = None, **kwargs: Any) -> Tile:
    """x with elements replaced by 0 with probability rate, a number or a tile of one element."""
    from .isa.copies import dropout as instruction

    value = rate
    if isinstance(rate, Operand) and rate.part(None).size == 1:
        value = float(rate.part(None).read().reshape(-1)[0])
    return instruction(x, value, dtype=dtype, mask=mask)


def device_print(prefix: str, x: Any, *, mask: Any = None, **kwargs: Any) -> None:
    """Print a prefix and what a tile holds; with several programs, which one it is."""
    core = state.running()
    where = f" (program {core.index})" if core.count > 1 else ""
    print(f"{prefix}{where}", x.part(None).read_raw().reshape(x.shape) if isinstance(x, Operand) else x)
