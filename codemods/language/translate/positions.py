"""``affine_select`` and ``iota``: arguments of index tiles become pattern, offset and channel multiplier."""

from __future__ import annotations

from collections.abc import Mapping

from ..analysis import values as v
from ..analysis.index import Index
from ..analysis.masks import Region
from ..analysis.predicates import Affine, affine_value, predicate
from ..analysis.refusal import Refused
from ..analysis.symbols import Sym
from . import masking
from .values import Value
from .walker import Walker


def resolved(
    w: Walker, name: str, arguments: Mapping[str, Value], region: Region | None, expr: str
) -> Mapping[str, Value]:
    """The arguments with those made of index tiles in the new form. Raises Refused when they have none."""
    if name == "nisa.affine_select" and "pred" in arguments:
        return _selected(w, arguments, region, expr)
    if name == "nisa.iota" and isinstance(arguments.get("expr"), Index):
        return _counted(w, arguments, region, expr)
    return arguments


def _selected(
    w: Walker, arguments: Mapping[str, Value], region: Region | None, expr: str
) -> Mapping[str, Value]:
    """The comparison of the predicate, on what a mask leaves of the tile."""
    mask, data = masking.as_mask(w, arguments["pred"]), arguments.get("on_true_tile")
    if mask is None or not isinstance(data, v.Tensor):
        raise Refused("M-PRED", expr=expr)
    shape = masking.former(data)
    if shape is None:
        raise Refused("M-SHAPE", fn="nisa.affine_select", operands=data.text)
    try:
        found = predicate(mask, shape, w.env.facts)
    except Refused as refusal:
        raise Refused(refusal.message, **{"expr": expr, **refusal.fields}) from None
    if any(
        w.env.facts.same(count, size) is None
        for (_, count), size in zip(found.pattern, shape[1:], strict=True)
    ):
        w.writer.note("M-SAME", fn="nisa.affine_select", operands=f"{data.text} and the predicate")
    ranges = region.on(shape, w.env.facts) if region is not None else {}
    rest = {key: value for key, value in arguments.items() if key != "pred"}
    return {**rest, **_code(w, found.narrowed(ranges), expr)}


def _counted(
    w: Walker, arguments: Mapping[str, Value], region: Region | None, expr: str
) -> Mapping[str, Value]:
    index = arguments["expr"]
    assert isinstance(index, Index)
    if region is not None and region.bounds:
        raise Refused("M-MASK", expr=expr, reason="of nisa.iota")
    try:
        affine = affine_value(index, index.shape, w.env.facts)
    except Refused as refusal:
        raise Refused("M-IDX", **{"expr": expr, **refusal.fields}) from None
    rest = {key: value for key, value in arguments.items() if key != "expr"}
    sizes = tuple(v.Scalar(size.text, size) for size in index.shape)
    text = ", ".join(size.text for size in index.shape)
    return {**rest, **_code(w, affine, expr), "shape": v.Items(f"({text})", sizes)}


def _code(w: Walker, affine: Affine, expr: str) -> dict[str, Value]:
    for sym in affine.symbols:
        _check(w, sym, expr)
    found: dict[str, Value] = {name: v.Unknown(code) for name, code in affine.arguments().items()}
    return found if affine.operation is None else {**found, "cmp_op": v.Token(affine.operation)}


def _check(w: Walker, sym: Sym, expr: str) -> None:
    """Index tiles are written out where they are used: their names must still mean the same."""
    name = w.env.outdated(sym)
    if name is not None:
        raise Refused("M-IDX", expr=expr, reason=f"{name} has another value since the index tile was made")
