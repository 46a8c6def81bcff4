"""``neuronxcc.nki.language``: element types, memories, tensors, functions of tiles, loops and program ids."""

from __future__ import annotations

from typing import Any

from ..core.dtypes import bfloat16 as bfloat16
from ..core.dtypes import bool_ as bool_
from ..core.dtypes import float8_e4m3 as float8_e4m3
from ..core.dtypes import float8_e5m2 as float8_e5m2
from ..core.dtypes import float16 as float16
from ..core.dtypes import float32 as float32
from ..core.dtypes import int8 as int8
from ..core.dtypes import int16 as int16
from ..core.dtypes import int32 as int32
from ..core.dtypes import tfloat32 as tfloat32
from ..core.dtypes import uint8 as uint8
from ..core.dtypes import uint16 as uint16
from ..core.dtypes import uint32 as uint32
from ..core.memory import PRIVATE_HBM, SHARED_HBM
from ..core.tensor import ds as ds
from ..language import num_programs as num_programs
from ..language import program_id as program_id
from ..language import program_ndim as program_ndim
from ..language import tile_size as tile_size
from .collectives import all_reduce as all_reduce
from .compiler import no_reorder as no_reorder
from .compiler import psum as psum
from .compiler import sbuf as sbuf
from .creation import device_print as device_print
from .creation import dropout as dropout
from .creation import empty_like as empty_like
from .creation import full as full
from .creation import ndarray as ndarray
from .creation import ones as ones
from .creation import rand as rand
from .creation import random_seed as random_seed
from .creation import shared_constant as shared_constant
from .creation import shared_identity_matrix as shared_identity_matrix
from .creation import zeros as zeros
from .creation import zeros_like as zeros_like
from .dtypes import bfp16 as bfp16
from .dtypes import finfo as finfo
from .dtypes import fp32 as fp32
from .dtypes import static_cast as _cast
from .elementwise import FUNCTIONS, Function
from .index import Grid
from .index import arange as arange
from .index import mgrid as mgrid
from .launch import nc as nc
from .launch import spmd_dim as spmd_dim
from .loops import affine_range as affine_range
from .loops import loop_reduce as loop_reduce
from .loops import sequential_range as sequential_range
from .loops import static_range as static_range
from .matmul import matmul as matmul
from .matmul import transpose as transpose
from .memory import Buffer, ParDim
from .movement import atomic_rmw as atomic_rmw
from .movement import broadcast_to as broadcast_to
from .movement import copy as copy
from .movement import expand_dims as expand_dims
from .movement import gather_flattened as gather_flattened
from .movement import load as load
from .movement import load_transpose2d as load_transpose2d
from .movement import store as store
from .movement import where as where
from .reduction import REDUCTIONS
from .reduction import mean as mean
from .reduction import rms_norm as rms_norm
from .reduction import softmax as softmax
from .reduction import var as var
from .tile import Operand

hbm = private_hbm = Buffer(PRIVATE_HBM)
shared_hbm = Buffer(SHARED_HBM)
par_dim = ParDim
"""``nl.par_dim(n)``: the dimension that lies on the partitions."""

_NAMED: dict[str, Function] = {**FUNCTIONS, **REDUCTIONS}
"""Functions that are tables: see :mod:`.elementwise` and :mod:`.reduction`."""
globals().update(_NAMED)


def gemm_stationary_grid() -> Grid:
    """The index tiles of TensorE's largest stationary operand."""
    return mgrid[0:128, 0:128]


def gemm_grid() -> Grid:
    """The index tiles of TensorE's largest moving operand, and of its result."""
    return mgrid[0:128, 0:512]


def static_cast(input_data: Any, dtype: Any) -> Any:
    """A number, array or tile in another element type."""
    return copy(input_data, dtype=dtype) if isinstance(input_data, Operand) else _cast(input_data, dtype)
