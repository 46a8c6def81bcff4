"""Values that go into a function of the file and come back: what the other side's names for them are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...record import fresh, record, replace
from ..analysis import values as v
from ..analysis.refusal import Refused
from ..analysis.symbols import Name, Sym, Terms, inner_atoms, substituted
from .values import VIRTUAL, Axes, Blocks, Tiles, Value


@record(frozen=False)
class Entrance:
    """A call's arguments under the names of the function's parameters.

    Attributes:
        inside: what parameters stand for. sizes: the caller's integers → the function's.
        formers: the same for sizes that masks made smaller, of which the function knows no number.
    """

    inside: dict[str, Value] = fresh(factory=dict)
    sizes: dict[Terms, Sym] = fresh(factory=dict)
    formers: dict[Terms, Sym] = fresh(factory=dict)


def entered(arguments: Mapping[str, Value]) -> Entrance:
    """What a function gets. Raises Refused for index tiles, which have no object to be passed."""
    found = Entrance()
    for name, value in arguments.items():
        if isinstance(value, v.Scalar) and value.sym is not None and value.sym.value is None:
            found.sizes.setdefault(value.sym.terms, Sym.atom(name))
    for name, value in arguments.items():
        found.inside[name] = _in(found, name, value)
    return found


def _in(found: Entrance, name: str, value: Value) -> Value:
    if isinstance(value, VIRTUAL):
        raise Refused("M-IDX", expr=name, reason="an index tile is passed to a function")
    if isinstance(value, v.Scalar):
        return v.Scalar(name, None if value.sym is None else _number(found, name, value.sym))
    if isinstance(value, v.Tensor):
        return _tensor(found, name, value)
    if isinstance(value, v.Dtype):
        return v.Dtype(name, value.known, value.source and f"{name}")
    if isinstance(value, Blocks):
        whole = _tensor(found, name, value.whole, value.sizes(name), value.tile(name))
        return replace(value, text=name, key=0, whole=whole, handed=True)
    if isinstance(value, v.Items):
        items = tuple(_in(found, f"{name}[{i}]", item) for i, item in enumerate(value.items))
        return v.Items(name, items)  # type: ignore[arg-type]
    if isinstance(value, Axes | Tiles):
        return v.Unknown(name)
    if isinstance(value, v.Unknown | v.Token):
        return replace(value, text=name)
    return value


def _number(found: Entrance, name: str, sym: Sym) -> Sym:
    if sym.value is not None:
        return Sym.constant(sym.value, name)
    return Sym.atom(name)


def _tensor(
    found: Entrance, name: str, value: v.Tensor, codes: Sequence[str] = (), tile: str = ""
) -> v.Tensor:
    """A tensor by its new name; ``codes`` and ``tile`` spell the dimensions, and what has the dtype, of a
    list of tiles.
    """
    codes = codes or [f"{name}.shape[{axis}]" for axis in range(len(value.shape or ()))]
    shape = None
    if value.shape is not None:
        shape = tuple(_size(found, code, size) for code, size in zip(codes, value.shape, strict=True))
    extents = tuple(
        None if was is None else _former(found, code, was)
        for code, was in zip(codes, value.extents, strict=False)
    )
    dtype = value.dtype
    if dtype is not None:
        dtype = v.Dtype(f"{tile or name}.dtype", dtype.known, name if dtype.known is None else None)
    return v.Tensor(name, shape, dtype, value.space, value.whole, extents)


def _size(found: Entrance, code: str, size: Sym) -> Sym:
    if size.value is not None:
        return Sym.constant(size.value)
    known = found.sizes.get(size.terms)
    if known is None:
        known = found.sizes[size.terms] = Sym.atom(code)
    return known


def _former(found: Entrance, code: str, size: Sym) -> Sym:
    """A size that a mask made smaller: it has a name in the function where that gets it as a number."""
    if size.value is not None:
        return Sym.constant(size.value)
    known = found.sizes.get(size.terms)
    return found.formers.setdefault(size.terms, Sym.unwritten(f"{code}, uncut")) if known is None else known


# -- back ---------------------------------------------------------------------------------------------


def left(entrance: Entrance, value: Value, code: str, name: str, names: Sequence[str] = ()) -> Value:
    """What the caller gets: ``code`` is the call, ``name`` what its result is to be called, or ``names``
    what its items are.
    """
    sizes = {**entrance.formers, **entrance.sizes}
    outside = {sym.terms: Sym(terms, _Spelled(terms).form) for terms, sym in sizes.items()}
    if isinstance(value, v.Tensor):
        shape = None
        if value.shape is not None:
            shape = tuple(
                _outside(outside, size, f"{name}.shape[{axis}]") for axis, size in enumerate(value.shape)
            )
        dtype = v.Dtype(f"{name}.dtype", value.dtype.known if value.dtype else None, name)
        extents = tuple(
            None if was is None else _former_outside(outside, was, f"{name}.shape[{axis}], uncut")
            for axis, was in enumerate(value.extents)
        )
        return v.Tensor(code, shape, dtype, value.space, value.whole, extents)
    if isinstance(value, Blocks):
        dims = tuple(
            _outside(outside, size, dim)
            for dim, size in zip(value.sizes(name), value.whole.shape or (), strict=True)
        )
        own = value.whole.dtype
        kind = v.Dtype(f"{value.tile(name)}.dtype", own.known, name) if own else None
        whole = v.Tensor(code, dims, kind, value.whole.space, value.whole.whole)
        return replace(value, text=code, whole=whole, handed=True)
    if isinstance(value, v.Items):
        items = tuple(
            left(entrance, item, f"{code}[{i}]", names[i] if i < len(names) else f"{name}[{i}]")
            for i, item in enumerate(value.items)
        )
        return v.Items(code, items)  # type: ignore[arg-type]
    if isinstance(value, v.Scalar):
        sym = None if value.sym is None else _number_outside(outside, value.sym, code)
        return v.Scalar(code, sym.named(code) if sym is not None else None)
    if isinstance(value, v.Dtype):
        return v.Dtype(code, value.known, code)
    return v.Unknown(code)


class _Spelled:
    """A form for terms alone."""

    def __init__(self, terms: Terms) -> None:
        from ..analysis.symbols import exactly

        self.form = exactly(terms).form


def _outside(outside: Mapping[Terms, Sym], size: Sym, code: str) -> Sym:
    if size.value is not None:
        return Sym.constant(size.value)
    if size.terms in outside and not _versioned(outside[size.terms]):
        return outside[size.terms]
    return Sym.atom(code)


def _former_outside(outside: Mapping[Terms, Sym], size: Sym, name: str) -> Sym:
    known = size.value is not None or size.terms in outside
    return _outside(outside, size, name) if known else Sym.unwritten(name)


def _number_outside(outside: Mapping[Terms, Sym], number: Sym, code: str) -> Sym:
    """A number that a function makes of what it gets, in terms of the caller's."""
    values = {atom: sym.terms for terms, sym in outside.items() for atom in Sym(terms, sym.form).atoms}
    own = [atom for atom in inner_atoms(number.terms) if isinstance(atom, Name)]
    if any(atom not in values for atom in own) or any(_versioned(sym) for sym in outside.values()):
        return _outside(outside, number, code)
    return Sym(substituted(number.terms, values), number.form)


def _versioned(sym: Sym) -> bool:
    return any(isinstance(atom, Name) and "@" in atom.text for atom in sym.atoms)
