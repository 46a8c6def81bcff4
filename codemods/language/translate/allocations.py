"""``nl.ndarray``, ``nl.zeros`` and the like: tiles and tensors that a kernel allocates."""

from __future__ import annotations

import ast

from ...record import replace
from ...trees import walk
from ..analysis import values as v
from ..analysis.access import ON_CHIP
from ..analysis.dtypes import dtype_of
from ..analysis.refusal import Refused
from ..lowering.creation import constant
from . import addresses, arguments, blocks, capacity, operations, writer
from .values import Absent, Address, Axes, Partitions, Value
from .walker import Walker, integer, known, text

_SPACES = {f"nl.{space.value}": space for space in v.Space}
_INNER = (f"nl.{v.Space.HBM.value}", f"nl.{v.Space.PRIVATE_HBM.value}")
_FILLS = {"nl.zeros": "0", "nl.ones": "1"}


def ndarray(w: Walker, node: ast.Call) -> Value:
    """An allocation; one that is written in the new language already stays as it stands."""
    whole = w.writer.innermost.exact
    given, values, address = _given(w, node, "nl.ndarray")
    if _member(values.get("buffer")) in _INNER and _is_output(w):
        values["buffer"] = v.Token(f"nl.{v.Space.SHARED_HBM.value}")
    tile = _tile(w, node, values)
    partition = _partition(values.get("shape"))
    if partition and tile.space in ON_CHIP:
        return blocks.allocated(w, node, tile, partition, None, address)
    capacity.check(w, tile, w.writer.innermost.hint)
    spelled = _spelled(w, node, given, values, tile)
    if address is not None and tile.shape is not None and tile.dtype is not None:
        place = addresses.code(w, address, (), tile.shape, tile.dtype)
        spelled = f"{spelled[:-1].rstrip().removesuffix(',')}, address={place})"
    return v.Tensor(spelled, tile.shape, tile.dtype, tile.space, whole=whole)


def _is_output(w: Walker) -> bool:
    """Whether what is allocated gets a name that a kernel returns, which only shared memory may hold."""
    goal, function = w.writer.innermost, w.function
    returned = (n.value for n in function.nodes.every if isinstance(n, ast.Return) and n.value is not None)
    items = (r.elts if isinstance(r, ast.Tuple | ast.List) else [r] for r in returned)
    names = {item.id for each in items for item in each if isinstance(item, ast.Name)}
    return goal.exact and goal.hint in names and function.kernel and not function.callers


def filled(w: Walker, node: ast.Call) -> Value:
    """``nl.zeros``, ``nl.ones``, ``nl.full``; what only products are added to needs no zeros."""
    name = w.names.short(node.func)
    _, values, address = _given(w, node, name)
    number = values.get("fill_value") or v.Scalar(_FILLS.get(name, ""))
    goal = w.writer.innermost
    partition = _partition(values.get("shape")) if _space(values.get("buffer")) in ON_CHIP else 0
    dtype = dtype_of(values.get("dtype"))
    sums = (
        goal.exact
        and w.sums.get(goal.hint, False)
        and text(number) in ("0", "0.0")
        and _in_psum(values)
        and dtype is not None
        and dtype.known == "float32"
    )
    if not partition and "shape" in values and dtype is not None:
        capacity.check(w, _tile(w, node, values), goal.hint)
    if _in_psum(values) and text(number) not in ("0", "0.0") and _handed_on(w, goal.hint):
        # a function may add products, which is defined for zeros only
        raise Refused("M-ARGUMENT", fn=f"{name} in nl.psum", parameter="fill_value", value=text(number))
    if not partition and not sums and address is None:
        return operations.lowered(w, name, {k: x for k, x in values.items() if not isinstance(x, Absent)})
    tile = _tile(w, node, values)
    if not isinstance(number, v.Scalar):
        raise Refused("M-ARGUMENT", fn=name, parameter="fill_value", value=text(number))
    if partition:
        fill = None if sums else constant(number, tile.dtype)
        return blocks.allocated(w, node, tile, partition, fill, address)
    assert tile.dtype is not None
    if address is not None:
        return _placed(w, tile, address, None if sums else constant(number, tile.dtype))
    return w.writer.destination(tile.shape, tile.dtype, v.Space.PSUM)


def _placed(w: Walker, tile: v.Tensor, address: Address, fill: str | None) -> v.Tensor:
    """A tile at an address, filled with a number."""
    assert tile.shape is not None
    assert tile.dtype is not None
    assert tile.space is not None
    place = addresses.code(w, address, (), tile.shape, tile.dtype)
    sizes = f"({writer.sizes(tile.shape)})"
    spelled = f"nl.ndarray({sizes}, dtype={tile.dtype.text}, buffer=nl.{tile.space.value}, address={place})"
    made = w.writer.named("tile", replace(tile, text=spelled))
    w.shared.needs.add("nl")
    if fill is not None:
        w.writer.emit("nisa.memset", dst=made.text, value=fill)
    return made


def _handed_on(w: Walker, name: str) -> bool:
    """Whether a function of the file gets what is allocated."""
    calls = [n for n in walk(w.function.node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    own = [call for call in calls if getattr(call.func, "id", "") in w.module.functions]
    given = [a for call in own for a in (*call.args, *(k.value for k in call.keywords))]
    return any(isinstance(a, ast.Name) and a.id == name for a in given)


def _given(
    w: Walker, node: ast.Call, name: str
) -> tuple[dict[str, ast.expr], dict[str, Value], Address | None]:
    """The arguments, what they stand for, and the address that ``buffer=`` names."""
    given = arguments.named(w, node, name)
    place = addresses.buffer(w, given.get("buffer"))
    values: dict[str, Value] = {}
    for key, argument in given.items():
        if key == "buffer" and place is not None:
            space = place.space if isinstance(place, Address) else place
            values[key] = v.Token(f"nl.{space.value}")
        else:
            values[key] = known(operations.nested(w, argument))
    return given, values, place if isinstance(place, Address) else None


def _in_psum(values: dict[str, Value]) -> bool:
    buffer = values.get("buffer")
    return buffer is not None and _space(buffer) is v.Space.PSUM


def _tile(w: Walker, node: ast.Call, values: dict[str, Value]) -> v.Tensor:
    """What is allocated, without a name."""
    dtype = dtype_of(values.get("dtype"))
    if "shape" not in values or dtype is None:
        raise Refused("M-ARGUMENT", fn="nl.ndarray", parameter="shape", value=w.segment(node))
    return v.Tensor("", _shape(w, values["shape"]), dtype, _space(values.get("buffer")))


def _space(buffer: Value | None) -> v.Space:
    if buffer is None or isinstance(buffer, Absent):
        return v.Space.SBUF
    found = _SPACES.get(_member(buffer))
    if found is None:
        raise Refused("M-ALLOC")
    return found


def _member(buffer: Value | None) -> str:
    """The name of the memory that an argument certainly is, however it is spelled."""
    return buffer.name if isinstance(buffer, v.Token) else ""


def _partition(shape: Value | None) -> int:
    """The dimension that ``nl.par_dim`` marks; the first one otherwise."""
    items = shape.items if isinstance(shape, v.Items) else ()
    return next((i for i, item in enumerate(items) if isinstance(item, Partitions)), 0)


def _shape(w: Walker, value: Value) -> v.Shape | None:
    if isinstance(value, Axes) or (isinstance(value, v.Unknown) and not isinstance(value, Absent)):
        return None
    items = value.items if isinstance(value, v.Items) else (value,)
    sizes = [integer(w, item) for item in items]
    known_sizes = tuple(size for size in sizes if size is not None)
    if len(known_sizes) != len(items):
        raise Refused("M-ARGUMENT", fn="nl.ndarray", parameter="shape", value=text(value))
    return known_sizes


_KEPT = ("shape", "dtype", "buffer", "name")


def _spelled(
    w: Walker, node: ast.Call, given: dict[str, ast.expr], values: dict[str, Value], tile: v.Tensor
) -> str:
    """The call as it stands, where every argument stays and the memory is named; else written anew."""
    if set(given) <= set(_KEPT) and "buffer" in given and not isinstance(given["buffer"], ast.Constant):
        return w.respelled(node, [(given[name], text(value)) for name, value in values.items()])
    assert tile.space is not None
    parts = [text(values["shape"]), f"dtype={text(values['dtype'])}", f"buffer=nl.{tile.space.value}"]
    parts += [f"name={text(values['name'])}"] if "name" in values else []
    return f"{w.segment(node.func)}({', '.join(parts)})"
