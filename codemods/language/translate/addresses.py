"""Tiles that a kernel places in memory itself: ``ncc.sbuf.mod_alloc`` becomes ``address=``."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from ..analysis import values as v
from ..analysis.addresses import Modular
from ..analysis.dtypes import SIZES
from ..analysis.refusal import Refused
from ..analysis.symbols import Sym, product
from . import arguments, expressions
from .values import Address
from .walker import Walker, integer, known

_SPACES = {"ncc.sbuf": v.Space.SBUF, "ncc.psum": v.Space.PSUM}
_PARTS = {
    "base_addr": "byte",
    "base_bank": "bank",
    "base_partition": "partition",
    "num_bank_tiles": "bank_tiles",
    "num_par_tiles": "par_tiles",
    "num_free_tiles": "free_tiles",
}


def buffer(w: Walker, node: ast.expr | None) -> v.Space | Address | None:
    """What a call as ``buffer=`` says; None when it is no call. Raises Refused for other allocators."""
    if not isinstance(node, ast.Call):
        return None
    name = w.names.short(node.func)
    owner, _, method = name.rpartition(".")
    if owner not in _SPACES or method not in ("auto_alloc", "mod_alloc"):
        raise Refused("M-ALLOC", fn="alloc", name=name)
    if method == "auto_alloc":
        return _SPACES[owner]
    given = arguments.named(w, node, name)
    parts = {_PARTS[key]: _part(w, name, argument) for key, argument in given.items() if key in _PARTS}
    place = Modular()
    for key, sizes in parts.items():
        part = {key: sizes if key.endswith("tiles") else sizes[0]}
        place = replace(place, **part)  # type: ignore[arg-type]
    return Address(_SPACES[owner], place)


def _part(w: Walker, name: str, node: ast.expr) -> v.Shape:
    value = known(expressions.evaluate(w, node))
    items = value.items if isinstance(value, v.Items) else (value,)
    sizes = tuple(size for size in (integer(w, item) for item in items) if size is not None)
    if len(sizes) != len(items):
        raise Refused("M-ALLOC", fn="alloc", name=name)
    return sizes


def code(w: Walker, address: Address, indexes: Sequence[Sym], tile: v.Shape, dtype: v.Dtype) -> str:
    """``(partition, byte)`` of the tile at these block indexes."""
    size = itemsize(dtype)
    element = Sym.atom("itemsize") if size is None or size.sym is None else size.sym
    partition, byte = address.place.address(indexes, tile[0], product(tile[1:]) * element, w.env.facts)
    text = byte.text
    if size is None and any(getattr(atom, "text", "") == "itemsize" for atom in byte.atoms):
        text = text.replace("itemsize", f"{w.writer.helper('itemsize')}({dtype.text})")
    return f"({partition.text}, {text})"


def itemsize(dtype: v.Dtype) -> v.Scalar | None:
    """Bytes of an element, when the dtype is known."""
    size = SIZES.get(dtype.known or "")
    return None if size is None else v.Scalar(str(size), Sym.constant(size))
