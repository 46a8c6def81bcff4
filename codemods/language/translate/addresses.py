"""Tiles that a kernel places in memory itself: ``ncc.sbuf.mod_alloc`` becomes ``address=``."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ...record import replace
from ..analysis import values as v
from ..analysis.addresses import Chosen, Modular
from ..analysis.dtypes import SIZES
from ..analysis.refusal import Refused
from ..analysis.symbols import ZERO, Sym, product
from ..reasons import Reason
from . import arguments, chosen, expressions, functions, placers
from .placers import SPACES
from .values import Address, UserFunction, Value
from .walker import Walker, integer, known, text

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
    if owner not in SPACES:
        return _by_function(w, node)
    if method == "alloc" and len(node.args) + len(node.keywords) == 1:
        (function,) = (*node.args, *(k.value for k in node.keywords))
        return Address(SPACES[owner], chosen.chosen(w, function, owner))
    if method not in ("auto_alloc", "mod_alloc"):
        raise Refused("M-ALLOC", fn="alloc", name=name)
    return SPACES[owner] if method == "auto_alloc" else Address(SPACES[owner], _modular(w, node, name))


def _by_function(w: Walker, node: ast.Call) -> Address:
    """What a function or an object of the file gives, which is the address itself now."""
    loop = next((loop for loop in w.env.loops if loop.traced_once), None)
    if loop is not None:  # it is asked in every iteration now
        raise Refused("M-LOOP", v=w.segment(node.func))
    function = expressions.evaluate(w, node.func)
    if isinstance(function, UserFunction):
        space = placers.space(function.node, w.names)
        if space is not None:
            return Address(space, text(functions.call(w, node, function)))
    base = node.func.value if isinstance(node.func, ast.Attribute) else None
    placer = w.module.placers.get(base.id) if isinstance(base, ast.Name) else None
    if (
        placer is None
        or not isinstance(node.func, ast.Attribute)
        or w.function.node.name not in placer.kernels
    ):
        raise Refused("M-ALLOC", fn="alloc", name=w.segment(node.func))
    values = [*node.args, *(keyword.value for keyword in node.keywords)]
    parts = [(value, expressions.code(w, value)) for value in values]
    return Address(placer.spaces[node.func.attr], w.respelled(node, parts))


def given(w: Walker, node: ast.Call) -> Value:
    """``return ncc.sbuf.mod_alloc(…)``: the address of a tile without block dimensions."""
    returns = [n.value for n in w.function.nodes.every if isinstance(n, ast.Return)]
    name = w.names.short(node.func)
    if placers.space(w.function.node, w.names) is None or node not in returns:
        raise Refused("M-ALLOC", fn="alloc", name=name)
    partition, byte = _modular(w, node, name).address((), ZERO, ZERO, w.env.facts)
    return v.Unknown(f"({partition.text}, {byte.text})")


def _modular(w: Walker, node: ast.Call, name: str) -> Modular:
    """The arguments of ``mod_alloc``."""
    given = arguments.named(w, node, name)
    parts = {_PARTS[key]: _part(w, name, argument) for key, argument in given.items() if key in _PARTS}
    place = Modular()
    for key, sizes in parts.items():
        part = {key: sizes if key.endswith("tiles") else sizes[0]}
        place = replace(place, **part)
    return place


def _part(w: Walker, name: str, node: ast.expr) -> v.Shape:
    value = known(expressions.evaluate(w, node))
    items = value.items if isinstance(value, v.Items) else (value,)
    sizes = tuple(size for size in (integer(w, item) for item in items) if size is not None)
    if len(sizes) != len(items):
        raise Refused("M-ALLOC", fn="alloc", name=name)
    return sizes


def settled(w: Walker, address: Address, tile: v.Tensor, partition: int, moves: bool) -> Address:
    """The place of a tile with block dimensions, as it can be written for any of its blocks.

    ``moves``: it is allocated later, so that what changes until then needs a name of its own.
    """
    if isinstance(address.place, Chosen):
        assert tile.shape is not None
        assert tile.dtype is not None
        size = product(tile.shape[partition + 1 :]) * _element(tile.dtype)
        return replace(address, place=chosen.spelled(w, address.place, tile, partition, size))
    return _kept(w, address, tile.text) if moves else address


def _kept(w: Walker, address: Address, hint: str) -> Address:
    if not isinstance(address.place, Modular):
        return address
    for part in ("partition", "bank", "byte"):
        sym: Sym = getattr(address.place, part)
        if w.env.changes(sym):
            name = w.writer.bind(f"{hint}_{part}", sym.text)
            new = {part: Sym.atom(name)}
            address = replace(address, place=replace(address.place, **new))
    return address


def code(w: Walker, address: Address, indexes: Sequence[Sym], tile: v.Shape, dtype: v.Dtype) -> str:
    """``(partition, byte)`` of the tile at these block indexes."""
    note = Reason(w.function.node, "M-ADDRESS")
    w.notes.add(note)
    if isinstance(address.place, str):
        if indexes:
            raise Refused("M-ALLOC", fn="alloc", name=address.place)
        return address.place
    size = product(tile[1:]) * _element(dtype)
    partition, byte = address.place.address(indexes, tile[0], size, w.env.facts)
    if any(w.env.outdated(sym) is not None for sym in (partition, byte)):
        raise Refused("M-ALLOC", fn="alloc", name=byte.text)
    spelled = byte.text
    if any(getattr(atom, "text", "") == "itemsize" for atom in byte.atoms):
        spelled = spelled.replace("itemsize", f"{w.writer.helper('itemsize')}({dtype.text})")
    return f"({partition.text}, {spelled})"


def _element(dtype: v.Dtype) -> Sym:
    """Bytes of an element."""
    size = SIZES.get(dtype.known or "")
    return Sym.atom("itemsize") if size is None else Sym.constant(size)
