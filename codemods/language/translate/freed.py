"""Values whose code has a variable that gets another value: they are spelled with their own names then."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from ...record import record, replace
from ..analysis import values as v
from .values import Axes, Blocks, Tiles, Value


@record
class Former:
    """A variable that stands for something else from now on.

    Attributes:
        name: its name. identity: what tells what it stood for from what it will.
    """

    name: str
    identity: str

    def is_in(self, code: str) -> bool:
        """Whether code is spelled with it."""
        return self.name in code and _word(self.name).search(code) is not None


@lru_cache(maxsize=1024)
def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.]){re.escape(name)}(?![\w@])")


def spelling(value: Value) -> str:
    """All code in a value that :func:`freed` may change; what is not in it is not spelled with a variable."""
    if isinstance(value, v.Tensor):
        return " ".join(
            [*(size.text for size in value.shape or ()), spelling(value.dtype) if value.dtype else ""]
        )
    if isinstance(value, Blocks | Tiles):
        return spelling(value.whole if isinstance(value, Blocks) else value.item)
    if isinstance(value, v.Scalar):
        return value.sym.text if value.sym is not None else ""
    if isinstance(value, v.Dtype):
        return f"{value.text} {value.source}"
    if isinstance(value, v.Items):
        return " ".join(f"{item.text} {spelling(item)}" for item in value.items)
    return value.of if isinstance(value, Axes) else ""


def freed(own: str, value: Value, former: Former) -> Value:
    """The value of a variable, ``own``, that is not spelled with a former one."""
    if isinstance(value, v.Tensor):
        rank = len(value.shape or ())
        return _tensor(value, former, lambda: [f"{own}.shape[{axis}]" for axis in range(rank)], own)
    if isinstance(value, Blocks):
        whole = _tensor(value.whole, former, lambda: value.sizes(own), value.tile(own))
        return value if whole is value.whole else replace(value, whole=whole)
    if isinstance(value, Tiles):
        rank = len(value.item.shape or ())
        sizes = [f"{own}[0].shape[{axis}]" for axis in range(rank)]
        return replace(value, item=_tensor(value.item, former, lambda: sizes, f"{own}[0]"))
    if isinstance(value, v.Scalar) and value.sym is not None and former.is_in(value.sym.text):
        return replace(value, sym=value.sym.named(own))
    if isinstance(value, v.Dtype):
        return _dtype(value, former, own)
    if isinstance(value, v.Items):
        items = tuple(_item(f"{own}[{i}]", item, former) for i, item in enumerate(value.items))
        return replace(value, items=items)
    return v.Unknown(own) if isinstance(value, Axes) and former.is_in(value.of) else value


def _item(own: str, item: v.Value, former: Former) -> v.Value:
    if isinstance(item, v.Scalar):
        changed = former.is_in(item.text) or (item.sym is not None and former.is_in(item.sym.text))
        return v.Scalar(own, item.sym and item.sym.named(own), item.real) if changed else item
    if isinstance(item, v.Tensor) and former.is_in(item.text):
        item = replace(item, text=own)
    return freed(own, item, former)  # type: ignore[return-value]


def _tensor(value: v.Tensor, former: Former, sizes: Callable[[], Sequence[str]], owner: str) -> v.Tensor:
    """``sizes`` spells the dimensions of the tensor."""
    shape, dtype = value.shape, value.dtype and _dtype(value.dtype, former, f"{owner}.dtype")
    if shape and any(former.is_in(size.text) for size in shape):
        shape = tuple(
            size.named(code) if former.is_in(size.text) else size
            for size, code in zip(shape, sizes(), strict=True)
        )
    same = shape is value.shape and dtype is value.dtype
    return value if same else replace(value, shape=shape, dtype=dtype)


def _dtype(value: v.Dtype, former: Former, text: str) -> v.Dtype:
    if former.name not in value.text and former.name not in (value.source or ""):
        return value
    source = value.source and _word(former.name).sub(former.identity, value.source)
    return v.Dtype(text if former.is_in(value.text) else value.text, value.known, source)
