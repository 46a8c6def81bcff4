"""Products in PSUM: the first write to a fresh tile overwrites, later ones are added."""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ...record import cached_property, fresh, record
from ...trees import walk
from .names import Names
from .plan import Function

PRODUCTS = frozenset(("nisa.nc_matmul", "nl.matmul"))
_EMPTY = frozenset(("nl.ndarray", "nl.zeros"))
"""What a tile is allocated by that products are added to."""


def is_product(node: ast.expr, names: Names) -> bool:
    """Whether an expression is a matrix product."""
    return isinstance(node, ast.Call) and names.short(node.func) in PRODUCTS


@record(frozen=False)
class _Tile:
    """What a function does to one name. ``branches``: around each allocation, and around each product.

    Attributes:
        only: whether nothing but products is written. masked: whether one of them leaves part of it out.
        sizes: how its dimensions are spelled where it is allocated. bounds: slices that products go to.
    """

    only: bool = True
    masked: bool = False
    sizes: set[str] = fresh(factory=set)
    bounds: list[str] = fresh(factory=list)
    allocated: list[frozenset[int]] = fresh(factory=list)
    written: list[frozenset[int]] = fresh(factory=list)

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


@record
class _Write:
    """A place where elements of a tile may be written: by a statement, or by a function that gets the tile.

    ``loops``: around it. ``arms``: of branches around it, by the branch's line. ``index``: of the elements;
    empty when it is not known. ``fresh``: it allocates.
    """

    node: ast.AST
    line: int
    loops: tuple[ast.For, ...]
    arms: Mapping[int, bool]
    index: tuple[ast.expr, ...] = ()
    fresh: bool = False

    @cached_property
    def ranges(self) -> tuple[range | None, ...]:
        """The elements that the index stands for, for each of its parts that consists of numbers."""
        return tuple(map(_range, self.index))

    def excludes(self, other: _Write) -> bool:
        """Whether they are in different arms of one branch."""
        return any(other.arms.get(line, arm) != arm for line, arm in self.arms.items())


def _line(write: _Write) -> int:
    return write.line


def preceded(function: Function, names: Names) -> frozenset[int]:
    """Products that overwrite a part of a tile, by the ids of their targets, which some other statement may
    have written to since the tile was allocated.
    """
    found: dict[str, list[_Write]] = {}
    for name, write in _writes(function.node.body, (), {}, names):
        found.setdefault(name, []).append(write)
    return frozenset(id(write.node) for writes in found.values() for write in _preceded(writes))


def _preceded(writes: Sequence[_Write]) -> Iterator[_Write]:
    """Those of the writes to one tile that another one may come before since the tile was allocated."""
    fresh, others = (sorted((w for w in writes if w.fresh is made), key=_line) for made in (True, False))
    elements = _Elements(others)
    for write in others:
        above = range(bisect_left(fresh, write.line, key=_line) - 1, -1, -1)
        around = (fresh[i] for i in above if fresh[i].loops == write.loops[: len(fresh[i].loops)])
        start = next(around, None)
        first, behind = start.line + 1 if start else 0, write.line
        loops = write.loops[len(start.loops) if start else 0 :]
        if loops:
            first, behind = min(first, loops[0].lineno), max(behind, (loops[0].end_lineno or 0) + 1)
        if any(_may_precede(other, write, start) for other in elements.met_by(write, first, behind)):
            yield write


class _Elements:
    """Writes to one tile, by line; found by their elements on the axis on which these are known of most."""

    def __init__(self, writes: Sequence[_Write]) -> None:
        known = Counter(
            axis for write in writes for axis, part in enumerate(write.ranges) if part is not None
        )
        self._axis = max(known, key=lambda axis: known[axis], default=-1)
        self._writes = writes
        self._unknown = [write for write in writes if self._range(write) is None]
        self._known = sorted((w for w in writes if self._range(w) is not None), key=self._start)
        self._most = max((len(self._range(write) or ()) for write in self._known), default=0)

    def met_by(self, write: _Write, first: int, behind: int) -> Iterator[_Write]:
        """Those in some lines that may write elements that another one writes."""
        part = self._range(write)
        if part is not None:
            start = bisect_right(self._known, part.start - self._most, key=self._start)
            stop = bisect_left(self._known, part.stop, key=self._start)
            yield from (other for other in self._known[start:stop] if first <= other.line < behind)
        others = self._writes if part is None else self._unknown
        yield from others[bisect_left(others, first, key=_line) : bisect_left(others, behind, key=_line)]

    def _range(self, write: _Write) -> range | None:
        return write.ranges[self._axis] if 0 <= self._axis < len(write.ranges) else None

    def _start(self, write: _Write) -> int:
        part = self._range(write)
        return part.start if part is not None else -1


def writers(function: Function, name: str, names: Names, but: ast.Call | None = None) -> int:
    """How many statements may write to a tile of a function, other than one call."""
    found = [w for n, w in _writes(function.node.body, (), {}, names) if n == name and not w.fresh]
    return len([write for write in found if write.node is not but])


def _writes(
    body: list[ast.stmt], loops: tuple[ast.For, ...], arms: Mapping[int, bool], names: Names
) -> Iterator[tuple[str, _Write]]:
    for node in body:
        inner = (*loops, node) if isinstance(node, ast.For) else loops
        for arm in ("body", "orelse"):
            mine = {**arms, node.lineno: arm == "body"} if isinstance(node, ast.If) else arms
            yield from _writes(getattr(node, arm, []), inner, mine, names)
        if hasattr(node, "body"):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Subscript):
                yield _base(target), _Write(target, node.lineno, loops, arms, _index(target))
            elif isinstance(target, ast.Name) and isinstance(node, ast.Assign):
                yield target.id, _Write(target, node.lineno, loops, arms, fresh=True)
        for call in (n for n in walk(node) if isinstance(n, ast.Call)):
            for name in _written(call, names):
                yield name, _Write(call, node.lineno, loops, arms)


def _index(target: ast.Subscript) -> tuple[ast.expr, ...]:
    """What a tile is indexed with, one after the other."""
    inner = _index(target.value) if isinstance(target.value, ast.Subscript) else ()
    own = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
    return (*inner, *own)


def _may_precede(other: _Write, write: _Write, start: _Write | None) -> bool:
    """Whether another statement may have written the elements, in this iteration or in one before it;
    ``start``: the last allocation above in the same loops.
    """
    if other is write or _apart(other.ranges, write.ranges):
        return False
    depth = len(start.loops) if start else 0
    if other.line < write.line and (start is None or other.line > start.line) and not write.excludes(other):
        return True
    around = write.loops[depth:]
    if not around or not other.loops[depth:] or around[0] is not other.loops[depth]:
        return False
    return write.index == () or [ast.dump(i) for i in other.index] != [ast.dump(i) for i in write.index]


def _apart(one: tuple[range | None, ...], two: tuple[range | None, ...]) -> bool:
    """Whether two indexes have different numbers at one place, or slices that do not meet."""
    pairs = zip(one, two, strict=False)
    return any(a and b and (a.stop <= b.start or b.stop <= a.start) for a, b in pairs)


def _range(index: ast.expr) -> range | None:
    """The elements that an index of numbers stands for."""
    if isinstance(index, ast.Slice):
        first, behind = _number(index.lower, 0), _number(index.upper, -1)
        return range(first, behind) if 0 <= first < behind else None
    number = _number(index, -1)
    return range(number, number + 1) if number >= 0 else None


def _number(node: ast.expr | None, default: int) -> int:
    if node is None:
        return default
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else -1


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
