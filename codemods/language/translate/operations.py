"""Device operations: a place for the result, a lowering that writes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from ..analysis import values as v
from ..analysis.access import Dynamic
from ..analysis.index import Index
from ..analysis.masks import Mask, Region
from ..analysis.refusal import Refused
from ..lowering.operators import BINARY, COMPARISON
from ..lowering.registry import LOWERINGS, lower
from . import blocks, expressions, masking
from .values import NOTHING, Blocks, Value
from .walker import NO_INDEX, Walker, text
from .writer import Goal

_NOUNS = {
    "abs": "magnitude",
    "add": "total",
    "all": "every",
    "subtract": "difference",
    "multiply": "product",
    "divide": "quotient",
    "square": "squared",
    "sum": "total",
    "load": "tile",
    "negative": "negated",
    "prod": "product",
    "nc_matmul": "product",
    "matmul": "product",
    "transpose": "transposed",
    "nc_transpose": "transposed",
    "copy": "copied",
    "tensor_copy": "copied",
    "softmax": "probabilities",
    "rms_norm": "normed",
    "activation": "activated",
    "affine_select": "selected",
    "bn_aggr": "moments",
    "bn_stats": "statistics",
    "gather_flattened": "gathered",
    "iota": "indices",
    "load_transpose2d": "transposed",
    "local_gather": "gathered",
    "max": "largest",
    "max8": "largest",
    "min": "smallest",
    "nc_find_index8": "places",
    "range_select": "selected",
    "reciprocal": "inverse",
    "scalar_tensor_tensor": "combined",
    "tensor_partition_reduce": "reduced",
    "tensor_reduce": "reduced",
    "tensor_scalar": "scaled",
    "tensor_tensor": "combined",
    "tensor_tensor_scan": "scanned",
    "where": "chosen",
}
"""What the result of an operation is called where the kernel has no name for it."""


def nested(w: Walker, node: ast.expr, apart: bool = False) -> Value:
    """An operand: what it becomes gets a place of its own, named after what it holds; ``apart`` where a call
    of a function of the file is not to be repeated in the new code.
    """
    with w.writer.goal(Goal("tile", apart=apart)):
        return expressions.evaluate(w, node)


def operator(w: Walker, name: str, left: Value, right: Value) -> Value:
    """An operator on tiles."""
    if not name:
        raise Refused("M-PY", x="this operator on tiles")
    return lowered(w, name, {"x": _operand(w, left), "y": _operand(w, right)})


def _operand(w: Walker, value: Value) -> Value:
    """An operand beside a tile: what is not understood is a number."""
    if isinstance(value, Blocks):
        return blocks.view(w, value, (), value.text)
    plain = isinstance(value, v.Unknown) and not _PART.search(value.text)
    return v.Scalar(text(value)) if plain else value


def missing(name: str) -> Refused:
    """What to say of a function or a method that the former language does not document."""
    method = name.removeprefix("nki.tensor.")
    return Refused("M-INTERNAL", name=name) if method == name else Refused("M-METHOD", name=method)


_PART = re.compile(r"\[.*[,:]")
"""What only tiles are subscripted with."""


def beside(w: Walker, name: str, given: dict[str, Value]) -> dict[str, Value]:
    """The arguments of a call of two operands, each of which may be a number."""
    if name not in _TWO or not any(isinstance(value, v.Tensor) for value in given.values()):
        return given
    return {key: _operand(w, value) if key in ("x", "y") else value for key, value in given.items()}


_TWO = frozenset((*BINARY.values(), *COMPARISON.values(), "nl.maximum", "nl.minimum"))


def lowered(w: Walker, name: str, arguments: Mapping[str, Value], region: Region | None = None) -> Value:
    """What an operation of the former language becomes, on what a mask leaves of its operands."""
    goal = w.writer.innermost
    if not goal.exact and goal.target is None and goal.made is None:
        noun = name.rpartition(".")[2]
        goal.hint = _NOUNS.get(noun, noun)
    if name not in LOWERINGS:
        raise missing(name)
    if any(isinstance(value, Index | Mask | Dynamic) for value in arguments.values()):
        raise Refused("M-IDX", reason=NO_INDEX)
    tensors = [value for value in arguments.values() if isinstance(value, v.Tensor)]
    smaller = masking.smaller_sizes(name, tensors)
    arguments, goal.target, newly = masking.narrowed(w, name, region, arguments)
    smaller.update(newly)
    result = lower(name, w.writer, arguments)  # type: ignore[arg-type]
    if result is None:
        return NOTHING
    return goal.whole or masking.with_extents(result, smaller)
