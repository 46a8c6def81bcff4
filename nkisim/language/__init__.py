"""``nki.language``: element types, buffers, tensors, program ids, loops and operator tokens.

Every documented name of release 2.28, and the undocumented ones that kernels in use need. Names behave alike
in and outside a kernel, but for the program ids, which are None outside.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from ..core.context import state, target_generation
from ..core.dtypes import Array, DType, dtype_of
from ..core.dtypes import bfloat16 as bfloat16
from ..core.dtypes import bool_ as bool_
from ..core.dtypes import float4_e2m1fn_x4 as float4_e2m1fn_x4
from ..core.dtypes import float8_e4m3 as float8_e4m3
from ..core.dtypes import float8_e4m3fn as float8_e4m3fn
from ..core.dtypes import float8_e4m3fn_x4 as float8_e4m3fn_x4
from ..core.dtypes import float8_e5m2 as float8_e5m2
from ..core.dtypes import float8_e5m2_x4 as float8_e5m2_x4
from ..core.dtypes import float8_e8m0fnu as float8_e8m0fnu
from ..core.dtypes import float16 as float16
from ..core.dtypes import float32 as float32
from ..core.dtypes import int8 as int8
from ..core.dtypes import int16 as int16
from ..core.dtypes import int32 as int32
from ..core.dtypes import tfloat32 as tfloat32
from ..core.dtypes import uint8 as uint8
from ..core.dtypes import uint16 as uint16
from ..core.dtypes import uint32 as uint32
from ..core.errors import fail
from ..core.memory import HBM, PRIVATE_HBM, PSUM, SBUF, SBUF_BYTES, SHARED_HBM
from ..core.objects import NKIObject as NKIObject
from ..core.operators import abs as abs
from ..core.operators import add as add
from ..core.operators import arctan as arctan
from ..core.operators import bitwise_and as bitwise_and
from ..core.operators import bitwise_or as bitwise_or
from ..core.operators import bitwise_xor as bitwise_xor
from ..core.operators import copy as copy
from ..core.operators import divide as divide
from ..core.operators import equal as equal
from ..core.operators import erf as erf
from ..core.operators import erf_dx as erf_dx
from ..core.operators import exp as exp
from ..core.operators import gelu as gelu
from ..core.operators import gelu_apprx_sigmoid as gelu_apprx_sigmoid
from ..core.operators import gelu_apprx_sigmoid_dx as gelu_apprx_sigmoid_dx
from ..core.operators import gelu_apprx_tanh as gelu_apprx_tanh
from ..core.operators import gelu_dx as gelu_dx
from ..core.operators import greater as greater
from ..core.operators import greater_equal as greater_equal
from ..core.operators import invert as invert
from ..core.operators import left_shift as left_shift
from ..core.operators import less as less
from ..core.operators import less_equal as less_equal
from ..core.operators import log as log
from ..core.operators import logical_and as logical_and
from ..core.operators import logical_not as logical_not
from ..core.operators import logical_or as logical_or
from ..core.operators import logical_xor as logical_xor
from ..core.operators import maximum as maximum
from ..core.operators import minimum as minimum
from ..core.operators import mish as mish
from ..core.operators import multiply as multiply
from ..core.operators import not_equal as not_equal
from ..core.operators import power as power
from ..core.operators import reciprocal as reciprocal
from ..core.operators import relu as relu
from ..core.operators import right_shift as right_shift
from ..core.operators import rsqrt as rsqrt
from ..core.operators import sigmoid as sigmoid
from ..core.operators import sign as sign
from ..core.operators import silu as silu
from ..core.operators import silu_dx as silu_dx
from ..core.operators import sin as sin
from ..core.operators import softplus as softplus
from ..core.operators import sqrt as sqrt
from ..core.operators import square as square
from ..core.operators import subtract as subtract
from ..core.operators import tanh as tanh
from ..core.regions import Buffer
from ..core.registers import Register
from ..core.tensor import Tensor, argument
from ..core.tensor import ds as ds

ndarray = tensor = Tensor
dtype = DType
sbuf, psum = Buffer(SBUF), Buffer(PSUM)
hbm, shared_hbm, private_hbm = HBM, SHARED_HBM, PRIVATE_HBM
SBUF_RESERVED = 16 << 10
"""Bytes of an SBUF partition that are not for kernels."""

_names = itertools.count()


class _TileSize:
    """Limits of tiles, in elements; those that differ by generation are those of the present target."""

    pmax = 128
    psum_fmax = 512
    gemm_stationary_fmax = 128
    gemm_moving_fmax = 512
    bn_stats_fmax = 512
    psum_min_align = 4
    sbuf_min_align = 1

    @property
    def total_available_sbuf_size(self) -> int:
        """Bytes of a partition that a kernel may use."""
        generation = target_generation() if state.core is None else state.generation
        return SBUF_BYTES[generation] - SBUF_RESERVED


tile_size = _TileSize()


def full(
    shape: int | Sequence[int], fill_value: Any, dtype: Any, buffer: str | None = None, name: str = ""
) -> Tensor:
    """A new tensor that holds one value everywhere."""
    made = Tensor(shape, dtype, buffer, name)
    return _written(made, np.full(made.shape, made.dtype(fill_value)))


def zeros(shape: int | Sequence[int], dtype: Any, buffer: str | None = None, name: str = "") -> Tensor:
    """A new tensor of zeros."""
    made = Tensor(shape, dtype, buffer, name)
    return _written(made, np.zeros(made.shape, made.dtype.numpy))


def _written(made: Tensor, values: Array) -> Tensor:
    """A tensor that starts with these values, which no instruction writes."""
    made.write(values)
    made.storage.known = None
    if state.recorder is not None:
        state.recorder.wrote(made, values)
    return made


def ones(shape: int | Sequence[int], dtype: Any, buffer: str | None = None, name: str = "") -> Tensor:
    """A new tensor of ones."""
    return full(shape, 1, dtype, buffer, name)


def shared_constant(constant: Any, dtype: Any = None) -> Tensor:
    """A trace-time tensor of ``nki.tensor`` (or a ``.npy`` file's array) as a tensor in HBM.

    float64 and int64, which NKI has not, become their 32-bit counterparts.
    """
    if isinstance(constant, str) and state.recorder is not None:
        state.recorder.spoil("it reads a file")
    array = np.load(constant) if isinstance(constant, str) else np.asarray(constant)
    if array.dtype.kind == "V" and array.dtype.itemsize == 2 and array.dtype.names is None:
        array = array.view(bfloat16.native)  # a .npy file does not keep the type's name
    if dtype is None and array.dtype in (np.float64, np.int64):
        array = array.astype(np.float32 if array.dtype == np.float64 else np.int32)
    kind = dtype_of(array.dtype if dtype is None else dtype)
    values = np.array(array, kind.numpy, order="C")
    made = argument(values, SHARED_HBM, kind)
    if state.recorder is not None:
        state.recorder.wrote(made, values.copy())
    return made


def shared_identity_matrix(n: int, dtype: Any = "uint8") -> Tensor:
    """The ``n × n`` identity in HBM."""
    return shared_constant(np.eye(n, dtype=np.float32), dtype)


def par_dim(t: Any) -> Any:
    """Marks the partition dimension, which is the first one anyway."""
    return t


def _range(start: Any, stop: Any = None, step: Any = 1) -> range:
    return range(int(start)) if stop is None else range(int(start), int(stop), int(step))


def affine_range(start: Any, stop: Any = None, step: Any = 1) -> range:
    """A loop whose iterations do not depend on each other; they run in order."""
    return _range(start, stop, step)


def sequential_range(start: Any, stop: Any = None, step: Any = 1) -> range:
    """A loop whose iterations depend on each other."""
    return _range(start, stop, step)


def static_range(start: Any, stop: Any = None, step: Any = 1) -> range:
    """A loop that the compiler unrolls."""
    return _range(start, stop, step)


def dynamic_range(start: Any, stop: Any = None, step: Any = 1) -> Iterator[Register]:
    """A loop on the device: bounds may be registers, and the index is one."""
    return (Register(index) for index in _range(start, stop, step))


def program_id(axis: int) -> int | None:
    """Which program of the launch this is along an axis of the grid; None outside a kernel.

    Raises SimulationError for an axis that the grid does not have.
    """
    core = state.core
    if core is None:
        return None
    if not core.grid and axis == 0:
        return 0
    _check_axis(axis)
    inner = prod(core.grid[axis + 1 :])
    return core.index // inner % core.grid[axis]


def num_programs(axes: int | Sequence[int] | None = None) -> int | None:
    """How many programs there are, along all axes of the grid or the given ones; None outside a kernel.

    Raises SimulationError for an axis that the grid does not have.
    """
    core = state.core
    if core is None:
        return None
    if axes is None:
        return core.count
    wanted = tuple(axes) if isinstance(axes, list | tuple) else (axes,)
    if not core.grid and set(wanted) <= {0}:
        return 1
    for axis in wanted:
        _check_axis(axis)
    return prod(core.grid[int(axis)] for axis in wanted)


def program_ndim() -> int | None:
    """Dimensions of the launch grid, 0 without one; None outside a kernel."""
    return None if state.core is None else len(state.core.grid)


def _check_axis(axis: int) -> None:
    grid = state.running().grid
    if not 0 <= axis < len(grid):
        raise fail(f"axis {axis}: the launch grid {grid} has {len(grid)} dimensions")


def device_print(print_prefix: str, tensor: Any) -> None:
    """Print a tensor's or register's values, led by the prefix and, with several cores, the core.

    To standard output: there is no device whose runtime would write them to files.
    """
    if state.recorder is not None:
        state.recorder.spoil("it prints")
    core = state.running()
    where = f" (core {core.index})" if core.count > 1 else ""
    values = tensor.read_raw().reshape(tensor.shape) if isinstance(tensor, Tensor) else tensor
    print(f"{print_prefix}{where}", values)


def no_reorder() -> contextlib.AbstractContextManager[None]:
    """Instructions inside keep their order, as they do here anyway."""
    return contextlib.nullcontext()


def nc(n: int) -> int:
    """A launch on ``n`` cores: ``kernel[nl.nc(2)]`` is ``kernel[2]``."""
    return n


def unique_name(name: str) -> str:
    """A name that no other call gives."""
    if state.recorder is not None:
        state.recorder.spoil("its names differ")
    return f"{name}_{next(_names)}"
