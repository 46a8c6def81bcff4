"""Tiles that a kernel places in memory itself: ``ncc.sbuf.mod_alloc`` becomes ``address=``."""

from __future__ import annotations

import ast

from ..analysis import values as v
from ..analysis.refusal import Refused
from . import arguments, expressions
from .places import Address
from .walker import Walker, integer, known

_SPACES = {"ncc.sbuf": v.Space.SBUF, "ncc.psum": v.Space.PSUM}


def buffer(w: Walker, node: ast.expr | None) -> v.Space | Address | None:
    """What a call as ``buffer=`` says; None when it is no call. Raises Refused for other allocators."""
    if not isinstance(node, ast.Call):
        return None
    name = w.names.short(node.func)
    owner, _, method = name.rpartition(".")
    if owner not in _SPACES:
        raise Refused("M-ALLOC", fn="alloc", name=name)
    if method == "auto_alloc":
        return _SPACES[owner]
    if method != "mod_alloc":
        raise Refused("M-ALLOC", fn="alloc", name=name)
    return _placed(w, node, name, _SPACES[owner])


def _placed(w: Walker, node: ast.Call, name: str, space: v.Space) -> Address:
    given = {
        key: known(expressions.evaluate(w, value)) for key, value in arguments.named(w, node, name).items()
    }
    main, turns = (
        ("base_bank", "num_bank_tiles") if space is v.Space.PSUM else ("base_addr", "num_free_tiles")
    )
    for key, value in given.items():
        zero = isinstance(value, v.Scalar) and value.sym is not None and value.sym.value == 0
        empty = isinstance(value, v.Items) and all(
            isinstance(item, v.Scalar) and item.sym is not None and item.sym.value == 1
            for item in value.items
        )
        if key not in (main, turns) and not zero and not empty:
            raise Refused("M-ALLOC", fn="alloc", name=f"{name}({key}=…)")
    counts = given.get(turns)
    items = counts.items if isinstance(counts, v.Items) else (counts,) if counts is not None else ()
    base = integer(w, given[main]) if main in given else None
    sizes = tuple(size for size in (integer(w, item) for item in items) if size is not None)
    if base is None or len(sizes) != len(items):
        raise Refused("M-ALLOC", fn="alloc", name=name)
    return Address(space, base, sizes)
