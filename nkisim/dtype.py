"""``nki.dtype``: the element types. Annotations may name the module itself: ``kind: nki.dtype | None``."""

from __future__ import annotations

import sys
import types
from typing import Any

from .core.dtypes import DType
from .core.dtypes import bfloat16 as bfloat16
from .core.dtypes import bool_ as bool_
from .core.dtypes import float4_e2m1fn_x4 as float4_e2m1fn_x4
from .core.dtypes import float8_e4m3 as float8_e4m3
from .core.dtypes import float8_e4m3fn as float8_e4m3fn
from .core.dtypes import float8_e4m3fn_x4 as float8_e4m3fn_x4
from .core.dtypes import float8_e5m2 as float8_e5m2
from .core.dtypes import float8_e5m2_x4 as float8_e5m2_x4
from .core.dtypes import float8_e8m0fnu as float8_e8m0fnu
from .core.dtypes import float16 as float16
from .core.dtypes import float32 as float32
from .core.dtypes import int8 as int8
from .core.dtypes import int16 as int16
from .core.dtypes import int32 as int32
from .core.dtypes import tfloat32 as tfloat32
from .core.dtypes import uint8 as uint8
from .core.dtypes import uint16 as uint16
from .core.dtypes import uint32 as uint32

dtype = DType


class _Annotation(types.ModuleType):
    """A module that annotations accept as a type."""

    def __call__(self, *args: Any) -> DType:
        raise TypeError("nki.dtype is a module of element types; it makes none")

    def __or__(self, other: Any) -> Any:
        return DType | other

    __ror__ = __or__


sys.modules[__name__].__class__ = _Annotation
