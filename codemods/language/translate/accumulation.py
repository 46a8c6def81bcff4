"""Products in PSUM: the first write to a fresh tile overwrites, later ones are added."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...trees import walk
from .names import Names
from .plan import Function

PRODUCTS = frozenset(("nisa.nc_matmul", "nl.matmul"))
_EMPTY = frozenset(("nl.ndarray", "nl.zeros"))
"""What a tile is allocated by that products are added to."""


def is_product(node: ast.expr, names: Names) -> bool:
    """Whether an expression is a matrix product."""
    return isinstance(node, ast.Call) and names.short(node.func) in PRODUCTS


@dataclass
class _Tile:
    """What a function does to one name. ``branches``: around each allocation, and around each product.

    Attributes:
        only: whether nothing but products is written. masked: whether one of them leaves part of it out.
        sizes: how its dimensions are spelled where it is allocated. bounds: slices that products go to.
    """

    only: bool = True
    masked: bool = False
    sizes: set[str] = field(default_factory=set)
    bounds: list[str] = field(default_factory=list)
    allocated: list[frozenset[int]] = field(default_factory=list)
    written: list[frozenset[int]] = field(default_factory=list)

    @property
    def always(self) -> bool:
        """Whether some product is written wherever the tile is allocated."""
        around = frozenset.union(frozenset(), *self.allocated)
        whole = not self.masked and set(self.bounds) <= self.sizes
        return whole and any(branches <= around for branches in self.written)


def sums(function: Function, names: Names) -> dict[str, bool]:
    """Names of tiles to which nothing but products is written, each with whether one surely is: a tile in
    which a product may be missing needs its zeros.
    """
    found: dict[str, _Tile] = {}
    for node, branches in _statements(function.node.body, frozenset()):
        for name, value in _targets(node):
            tile = found.setdefault(name, _Tile())
            if not isinstance(node, ast.AugAssign) and _is_fresh(value, names):
                tile.allocated.append(branches)
                tile.sizes |= _sizes(value)
            elif value is not None and is_product(value, names):
                tile.written.append(branches)
                tile.masked |= _is_masked(value)
                tile.bounds += _bounds(node)
            else:
                tile.only = False
    for call in (n for n in function.nodes.every if isinstance(n, ast.Call)):
        for name in _written(call, names):
            found.setdefault(name, _Tile()).only = False
    return {name: tile.always for name, tile in found.items() if tile.only and tile.written}


def _statements(body: list[ast.stmt], branches: frozenset[int]) -> Iterator[tuple[ast.stmt, frozenset[int]]]:
    """Every statement, with the arms of branches that it stands in."""
    for node in body:
        yield node, branches
        inner = branches | {node.lineno} if isinstance(node, ast.If) else branches
        yield from _statements(getattr(node, "body", []), inner)
        yield from _statements(getattr(node, "orelse", []), branches | {-node.lineno})


def _targets(node: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    """Names that a statement binds or writes to, each with the value; None for what is no product."""
    if isinstance(node, ast.AugAssign):
        yield _base(node.target), node.value if isinstance(node.op, ast.Add) else None
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield _base(target), node.value


def _sizes(allocation: ast.expr | None) -> set[str]:
    """The dimensions of an allocation, as they are spelled."""
    shape = allocation.args[0] if isinstance(allocation, ast.Call) and allocation.args else None
    items = shape.elts if isinstance(shape, ast.Tuple | ast.List) else []
    return {ast.unparse(item.args[0] if isinstance(item, ast.Call) and item.args else item) for item in items}


def _bounds(node: ast.stmt) -> list[str]:
    """Ends of the slices in a target; what starts elsewhere than at 0 is spelled with its start."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    slices = [part for target in targets if isinstance(target, ast.Subscript) for part in walk(target.slice)]
    found = [
        ast.unparse(part) if part.lower and ast.unparse(part.lower) != "0" else ast.unparse(part.upper)
        for part in slices
        if isinstance(part, ast.Slice) and part.upper is not None
    ]
    found += [
        ast.unparse(part) for part in slices if isinstance(part, ast.Slice) and not part.upper and part.lower
    ]
    return found + [ast.unparse(part) for part in slices if isinstance(part, ast.Call)]


def _is_fresh(call: ast.expr | None, names: Names) -> bool:
    """Whether an expression allocates a tile that is empty or zero."""
    if not isinstance(call, ast.Call):
        return False
    name = names.short(call.func)
    if name != "nl.full":
        return name in _EMPTY
    values = [*call.args[1:2], *(k.value for k in call.keywords if k.arg == "fill_value")]
    return len(values) == 1 and isinstance(values[0], ast.Constant) and values[0].value == 0


def _is_masked(product: ast.expr) -> bool:
    return isinstance(product, ast.Call) and any(k.arg == "mask" for k in product.keywords)


def _written(call: ast.Call, names: Names) -> list[str]:
    """Names that a call may write to: of an argument ``dst``, or of any of a function of the file."""
    if isinstance(call.func, ast.Name) and not names.qualified(call.func):
        return [_base(a) for a in (*call.args, *(k.value for k in call.keywords))]
    return [_base(k.value) for k in call.keywords if k.arg in ("dst", "reduce_res")]


def _base(node: ast.expr) -> str:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
