"""Element types and the conversions that instructions make.

Arithmetic runs in float32: :func:`up` reads any operand as float32, :func:`store` converts a float32 (or raw)
result into a destination. Rounding is to nearest, ties to even; integers saturate; 8-bit floats go through
tables that are exact (built from ml_dtypes). Low-precision values are kept as their real bytes, so that
reinterpreting views, DMA and packing see what the chip would hold.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np

from .scratch import SMALL, scratch

Array = np.ndarray[Any, np.dtype[Any]]

FLOAT, FLOAT8, INTEGER, PACKED = "float", "float8", "integer", "packed"


class DType:
    """An element type; there is one object for each. Equal to its names and to its NumPy counterpart.

    Attributes:
        name: as ``nki.language`` spells it.
        native: NumPy's type of it. numpy, stored: how an element is stored, and its bytes; another type and
            number than its own only while :mod:`.precision` widens it.
        kind: float, float8, integer or packed (four values in one element).
        itemsize: bytes of one element.
    """

    __slots__ = ("__dict__", "aliases", "itemsize", "kind", "name", "native", "numpy", "stored")

    def __init__(self, name: str, numpy: Any, kind: str, *aliases: str) -> None:
        self.name = name
        self.native: np.dtype[Any] = np.dtype(numpy)
        self.numpy = self.native
        self.kind = kind
        self.itemsize = self.stored = self.native.itemsize
        self.aliases = frozenset((name, *aliases))

    @property
    def dtype(self) -> np.dtype[Any]:
        """How NumPy finds out what this is: ``array.astype(nl.bfloat16)`` works."""
        return self.native

    @property
    def type(self) -> Any:
        """NumPy's class of scalars."""
        return self.native.type

    def __repr__(self) -> str:
        return self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DType) or other is None:
            return self is other
        if isinstance(other, str):
            return other in self.aliases
        try:
            return dtype_of(other) is self
        except TypeError:
            return False

    def __reduce__(self) -> tuple[Any, ...]:
        return dtype_of, (self.name,)

    def __call__(self, value: Any = 0) -> Any:
        """A NumPy scalar of this type, e.g. ``nl.float32(3)``."""
        return np.asarray(value).astype(self.native)[()]

    @cached_property
    def _tables(self) -> tuple[Array, Array]:
        """For 8-bit floats: the 256 values as float32, and the byte for each upper half of a float32.

        The upper half's last bit is made sticky by :func:`_narrow`, which makes the table round correctly.
        """
        values = np.arange(256, dtype=np.uint8).view(self.native).astype(np.float32)
        halves = (np.arange(65536, dtype=np.uint32) << 16).view(np.float32)
        with np.errstate(all="ignore"):
            codes = halves.astype(self.native).view(np.uint8)
        return values, codes

    @cached_property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest value of an integer type."""
        info = np.iinfo(self.numpy)
        return int(info.min), int(info.max)


def _packed(name: str, size: int) -> DType:
    return DType(name, np.dtype([(name, "u1", (size,))]), PACKED)


float32 = DType("float32", np.float32, FLOAT)
float16 = DType("float16", np.float16, FLOAT)
bfloat16 = DType("bfloat16", ml_dtypes.bfloat16, FLOAT)
tfloat32 = DType("tfloat32", np.float32, FLOAT)
float8_e4m3 = DType("float8_e4m3", ml_dtypes.float8_e4m3, FLOAT8, "float8e4")
float8_e5m2 = DType("float8_e5m2", ml_dtypes.float8_e5m2, FLOAT8, "float8e5")
float8_e4m3fn = DType("float8_e4m3fn", ml_dtypes.float8_e4m3fn, FLOAT8)
float8_e8m0fnu = DType("float8_e8m0fnu", ml_dtypes.float8_e8m0fnu, FLOAT8)
int8 = DType("int8", np.int8, INTEGER)
int16 = DType("int16", np.int16, INTEGER)
int32 = DType("int32", np.int32, INTEGER)
int64 = DType("int64", np.int64, INTEGER)
uint8 = DType("uint8", np.uint8, INTEGER)
uint16 = DType("uint16", np.uint16, INTEGER)
uint32 = DType("uint32", np.uint32, INTEGER)
bool_ = DType("bool", np.bool_, INTEGER, "bool_")
float8_e4m3fn_x4 = _packed("float8_e4m3fn_x4", 4)
float8_e5m2_x4 = _packed("float8_e5m2_x4", 4)
float4_e2m1fn_x4 = _packed("float4_e2m1fn_x4", 2)

ALL = (
    float32,
    float16,
    bfloat16,
    tfloat32,
    float8_e4m3,
    float8_e5m2,
    float8_e4m3fn,
    float8_e8m0fnu,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    bool_,
    float8_e4m3fn_x4,
    float8_e5m2_x4,
    float4_e2m1fn_x4,
)
_BY_NAME = {alias: dtype for dtype in ALL for alias in dtype.aliases}
_BY_NUMPY = {dtype.native: dtype for dtype in ALL if dtype is not tfloat32}


def dtype_of(spec: Any) -> DType:
    """The element type that a name, NumPy dtype, NumPy scalar type or :class:`DType` stands for.

    Raises TypeError when there is none.
    """
    if isinstance(spec, DType):
        return spec
    if isinstance(spec, str) and spec in _BY_NAME:
        return _BY_NAME[spec]
    found = _BY_NUMPY.get(np.dtype(spec))
    if found is None:
        raise TypeError(f"{spec!r} is no element type of NKI")
    return found


_SCATTERED = 256
"""Elements from which on it is faster to bring them together before they are converted."""


def together(array: Array) -> Array:
    """The array, or a copy in which elements of its last dimension are neighbours.

    NumPy takes four times as long to convert a type of ml_dtypes when they are not.
    """
    if array.size < _SCATTERED or array.strides[-1] == array.itemsize:
        return array
    return np.ascontiguousarray(array)


def convert(into: Array, values: Array) -> None:
    """``into[...] = values``, between floats of different types."""
    if into.size < _SCATTERED or into.dtype == values.dtype:
        into[...] = values
        return
    values = together(values)
    if into.strides[-1] == into.itemsize:
        into[...] = values
    else:
        into[...] = values.astype(into.dtype)


def up(array: Array, dtype: DType) -> Array:
    """The values as float32; the array itself when it already is, else one in :mod:`.scratch`."""
    if array.dtype == np.float32:
        return array
    if dtype.kind is PACKED:
        raise TypeError(_NO_NUMBERS.format(dtype))
    array = together(array)
    if array.size < SMALL and dtype.kind is not FLOAT8:
        return array.astype(np.float32)
    values = scratch.take(array.shape)
    if dtype.kind == FLOAT8 and dtype is not float8_e8m0fnu:
        codes = np.ascontiguousarray(array).view(np.uint8)
        return dtype._tables[0].take(codes, out=values, mode="wrap")
    values[...] = array
    return values


def fill(into: Array, value: Any) -> None:
    """Set every element to ``value``: by its bits where NumPy is slow to repeat it, as types of ml_dtypes."""
    if into.dtype.kind != "V" or into.size < SMALL:
        into[...] = value
        return
    bits = f"u{into.dtype.itemsize}"
    into.view(bits)[...] = np.asarray(value, into.dtype).view(bits)


def store(into: Array, values: Array, dtype: DType) -> None:
    """Write ``values`` (float32, or already of the stored type) into ``into``, converted to ``dtype``."""
    if values.dtype == into.dtype:
        into[...] = values
        return
    if values.dtype.kind not in "fiub":
        values = values.astype(np.float32)
    if dtype.kind == FLOAT:
        convert(into, values if values.dtype.kind == "f" else values.astype(np.float32))
    elif dtype.kind == FLOAT8 and dtype is not float8_e8m0fnu and into.dtype == dtype.native:
        into[...] = _narrow(values, dtype)
    elif dtype.kind == INTEGER and values.dtype.kind == "f" and dtype is not bool_:
        into[...] = _to_integer(values, dtype)
    elif dtype.kind is PACKED:
        raise TypeError(_NO_NUMBERS.format(dtype))
    else:
        into[...] = values.astype(into.dtype)


_NO_NUMBERS = "{} packs four values in an element; only the MX instructions and copies of its bits take it"
_LOWER, _HALF = np.uint32(0xFFFF), np.uint32(16)


def _narrow(values: Array, dtype: DType) -> Array:
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    index = scratch.take(bits.shape).view(np.uint32)
    # The lower half carries into the upper half's last bit unless it is 0; the other bits are shifted out.
    np.bitwise_and(bits, _LOWER, out=index)
    index += _LOWER
    index |= bits
    index >>= _HALF
    return dtype._tables[1].take(index).view(dtype.native)


def _to_integer(values: Array, dtype: DType) -> Array:
    """Nearest integer, ties to even, saturated; NaN gives 0. Only 64-bit limits are not exact as floats."""
    low, high = dtype.limits
    rounded = np.rint(values.astype(np.float64))
    rounded = np.where(np.isnan(rounded), 0.0, rounded)
    converted = np.clip(rounded, low, high).astype(dtype.numpy)
    return np.where(rounded >= high, dtype.numpy.type(high), converted) if dtype.itemsize == 8 else converted
