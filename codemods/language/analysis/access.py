"""A subscripted tensor: which elements the old code means, and the new code for them.

:func:`subscript` gives an :class:`Access`: an affine index for each dimension over the axes of the result, as
:mod:`.index` describes it. Where each axis runs along one dimension, in order, the new code is a subscript of
slices; otherwise it is an access pattern, ``t.ap(pattern=[[step, count], …], offset=…)``, in elements of the
flattened tensor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING

from ...record import fresh, record, replace
from .facts import Facts
from .index import NEW_AXIS, WHOLE, Index, Window, as_index, broadcast
from .refusal import Refused
from .symbols import ONE, ZERO, Sym, Terms
from .values import Shape, Space, Tensor

if TYPE_CHECKING:
    from .emission import Emitted

ON_CHIP = (Space.SBUF, Space.PSUM)


@record
class Layout:
    """How the new code keeps a tensor whose old one had dimensions in front of the partitions.

    Attributes:
        dropped: dimensions of which there is only one element at a time.
        lists: dimensions that are nested Python lists, outermost first.
        order: the dimensions of each tensor in the lists; None for all others, in the old order.
    """

    dropped: tuple[int, ...] = ()
    lists: tuple[int, ...] = ()
    order: tuple[int, ...] | None = None

    def kept(self, rank: int) -> tuple[int, ...]:
        """The dimensions of each tensor."""
        gone = {*self.dropped, *self.lists}
        return tuple(dim for dim in range(rank) if dim not in gone) if self.order is None else self.order


@record
class Dynamic:
    """An integer tile in SBUF that indexes a dimension when the kernel runs.

    Attributes:
        tile: the tile's elements that are the indices: a single one, or one for each partition.
        extra: an index tile, or a number, that is added to them.
        size: of the slice that starts there; None when it is a single element.
    """

    tile: Access
    extra: Index = fresh(factory=lambda: Index(ZERO))
    size: Sym | None = None

    @property
    def single(self) -> bool:
        """One index for everything, not one for each partition."""
        return all(size.value == 1 for size in self.tile.shape)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shapes that broadcast with those of index tiles. A single index is like a number."""
        own = () if self.single else (self.tile.shape,)
        return (*own, self.extra.shape) if self.extra.shape else own


Item = Sym | Index | Window | Dynamic | EllipsisType | None


@record(aside=("facts",))
class Access:
    """Elements of a tensor: ``bases[d] + Σ steps[d][a] * i[a]`` along dimension d.

    Attributes:
        tensor: the tensor that is subscripted. shape: the result's, as the old code sees it.
        written: for each dimension the author's code, where it is a slice that nothing has changed.
        dynamic: the dimension that is indexed when the kernel runs, and by what.
    """

    tensor: Tensor
    dims: Shape
    bases: Shape
    steps: tuple[Shape, ...]
    shape: Shape
    facts: Facts
    written: tuple[str | None, ...]
    partition: int = 0
    layout: Layout = fresh(factory=Layout)
    dynamic: tuple[int, Dynamic] | None = None

    @property
    def on_chip(self) -> bool:
        return self.tensor.space in ON_CHIP

    def narrowed(self, bounds: Mapping[int, tuple[Sym, Sym]]) -> Access:
        """The part with ``low <= i[axis] < high`` for each axis given; axes count from the end (-1)."""
        bases, shape = list(self.bases), list(self.shape)
        written = list(self.written)
        for axis, (low, high) in bounds.items():
            shape[axis] = high - low
            for dim, steps in enumerate(self.steps):
                if steps[axis].value != 0:
                    bases[dim] = bases[dim] + steps[axis] * low
                    written[dim] = None
        dynamic = self.dynamic
        if dynamic is not None and -len(self.shape) in bounds and not dynamic[1].single:
            tile = dynamic[1].tile
            cut = tile.narrowed({-len(tile.shape): bounds[-len(self.shape)]})
            dynamic = (dynamic[0], replace(dynamic[1], tile=cut))
        return replace(self, bases=tuple(bases), shape=tuple(shape), written=tuple(written), dynamic=dynamic)

    def respelled(self, names: Mapping[Terms, str]) -> Access:
        """The same elements, written with the names that a kernel has for sizes."""

        def named(values: Shape) -> Shape:
            return tuple(value.respelled(names) for value in values)

        return replace(
            self,
            dims=named(self.dims),
            bases=named(self.bases),
            steps=tuple(map(named, self.steps)),
            shape=named(self.shape),
        )

    def relaid(self) -> Access:
        """The same elements of the tensor as the new code keeps it. Raises Refused for several at once."""
        layout = self.layout
        if layout == Layout():
            return self
        gone = (*layout.dropped, *layout.lists)
        if any(step.value != 0 for dim in gone for step in self.steps[dim]):
            raise Refused("M-IDX", reason="an index tile runs along a block dimension")
        if self.dynamic is not None and self.dynamic[0] in gone:
            raise Refused("M-IDX", reason="a value of a tile indexes a block dimension")
        name = self.tensor.text + "".join(f"[{self.bases[dim].text}]" for dim in layout.lists)
        at = layout.kept(len(self.dims))
        dims = tuple(self.dims[dim] for dim in at)
        return replace(
            self,
            tensor=replace(self.tensor, text=name, shape=dims),
            dims=dims,
            bases=tuple(self.bases[dim] for dim in at),
            steps=tuple(self.steps[dim] for dim in at),
            written=tuple(self.written[dim] for dim in at),
            partition=at.index(self.partition),
            layout=Layout(),
            dynamic=self.dynamic and (at.index(self.dynamic[0]), self.dynamic[1]),
        )

    def emitted(self) -> Emitted:
        """The new code for it. Raises Refused when there is none."""
        from .emission import emitted  # it builds on this module

        return emitted(self)

    def code(self) -> str:
        """The text of :meth:`emitted`."""
        return self.emitted().text

    @property
    def new_shape(self) -> Shape:
        """The shape of :meth:`emitted`."""
        return self.emitted().shape

    def handed(self) -> str:
        """The new code for it where it is given to a function of the same file: a tile, or a list of them.

        Raises Refused unless the integers of the subscript leave whole dimensions behind them.
        """
        from .emission import handed

        return handed(self)


# ---- From the subscript


def subscript(
    tensor: Tensor,
    items: Sequence[Item],
    facts: Facts,
    partition: int = 0,
    layout: Layout | None = None,
) -> Access:
    """What ``tensor[items]`` means.

    ``partition`` is the dimension that lies on the partitions (behind block dimensions). Raises Refused for
    what is no affine access.
    """
    if tensor.shape is None:
        raise Refused("M-IDX", reason=f"the rank of {tensor.text} is not known")
    keys = _filled(items, tensor.shape)
    tiles = [shape for key in keys for shape in _tile_shapes(key)]
    if tiles and NEW_AXIS in keys:
        raise Refused("M-IDX", reason="None among index tiles")
    runs = _runs(keys, tensor, bool(tiles), partition)
    leading = broadcast(tiles, facts)
    own = [run for run in runs if run.own_axis]
    dims = [run for run in runs if run.index is not None]
    if tensor.space in ON_CHIP and partition >= len(dims):
        raise Refused("M-IDX", reason=f"{tensor.text} has no dimension on the partitions")
    shape = leading + tuple(run.count for run in own)
    if tensor.space in ON_CHIP and not tiles and own and own[-1] is dims[partition]:
        shape += (ONE,)  # a column keeps a free dimension
    rows = _rows(dims, len(leading), own, len(shape))
    indexed = [key for key in keys if key is not NEW_AXIS]
    dynamic = [(dim, key) for dim, key in enumerate(indexed) if isinstance(key, Dynamic)]
    if len(dynamic) > 1:
        raise Refused("M-IDX", reason="two dimensions are indexed by values of tiles")
    return Access(
        tensor=tensor,
        dims=tensor.shape,
        bases=tuple(run.index.base for run in dims if run.index is not None),
        steps=rows,
        shape=shape,
        facts=facts,
        written=tuple(key.text if isinstance(key, Window) and key.plain else None for key in indexed),
        partition=partition,
        layout=layout or Layout(),
        dynamic=dynamic[0] if dynamic else None,
    )


REST = Window(text="")
"""A dimension that a subscript does not mention."""

Key = Sym | Index | Window | Dynamic | None


def _filled(items: Sequence[Item], dims: Shape) -> list[Key]:
    """Keys for all dimensions: an ellipsis, or what is missing at the end, stands for whole ones."""
    missing = len(dims) - sum(item is not NEW_AXIS and item is not Ellipsis for item in items)
    if missing < 0:
        raise Refused("M-IDX", reason=f"more indexes than the tensor's {len(dims)} dimensions")
    at = next((i for i, item in enumerate(items) if item is Ellipsis), len(items))
    found = [*items[:at], *[REST] * missing, *items[at + 1 :]]
    return [item for item in found if not isinstance(item, EllipsisType)]


def _tile_shapes(key: Key) -> tuple[Shape, ...]:
    """Of the index tiles in a key; numbers are none."""
    if isinstance(key, Dynamic):
        return key.shapes
    return (key.shape,) if isinstance(key, Index) else ()


@record
class _Run:
    """What one key says: the index of its dimension (None for a new axis), and an axis of its own of so many
    elements and this step, behind those of the index tiles.
    """

    index: Index | None
    own_axis: bool = False
    count: Sym = ONE
    step: Sym = ZERO


def _runs(keys: Sequence[Key], tensor: Tensor, tiles: bool, partition: int) -> list[_Run]:
    found: list[_Run] = []
    lengths = iter(tensor.shape or ())
    kept = partition if tensor.space in ON_CHIP and not tiles else None
    for key in keys:
        if key is None:
            found.append(_Run(None, own_axis=True))
            continue
        length = next(lengths)
        dim = sum(run.index is not None for run in found)
        if isinstance(key, Window):
            start, count, step = key.run(length)
            found.append(_Run(Index(start), True, count, ZERO if count.value == 1 else step))
        elif isinstance(key, Dynamic):
            own = key.size is not None
            found.append(_Run(key.extra, own, key.size or ONE, ONE if own else ZERO))
        else:
            index = as_index(key)
            base = index.base
            if not index.moving and base.value is not None and base.value < 0:
                index = replace(index, base=length + base)
            found.append(_Run(index, own_axis=dim == kept))  # an integer keeps the partition dimension
    return found


def _rows(dims: Sequence[_Run], leading: int, own: Sequence[_Run], rank: int) -> tuple[Shape, ...]:
    """The steps of each dimension over the axes of the result; ``own`` are the runs with their own axis."""
    axes = {id(run): leading + at for at, run in enumerate(own)}
    rows = []
    for run in dims:
        steps = [ZERO] * rank
        if run.index is not None:
            steps[:leading] = run.index.aligned(leading)
        if run.own_axis:
            steps[axes[id(run)]] = run.step
        rows.append(tuple(steps))
    return tuple(rows)


def within(outer: Access, items: Sequence[Item]) -> Access:
    """What ``outer[items]`` means: a subscript of a part, as one of the tensor itself."""
    view = replace(outer.tensor, shape=outer.shape)
    along = [axis for axis, step in enumerate(outer.steps[outer.partition]) if step.value != 0]
    inner = subscript(view, items, outer.facts, partition=along[0] if along else 0)
    if outer.dynamic is not None or inner.dynamic is not None:
        raise Refused("M-IDX", reason="a part that the values of a tile pick is subscripted")
    bases, rows, written = [], [], []
    for base, steps, text in zip(outer.bases, outer.steps, outer.written, strict=True):
        axes = [axis for axis, step in enumerate(steps) if step.value != 0]
        row = [ZERO] * len(inner.shape)
        for axis in axes:
            base = base + steps[axis] * inner.bases[axis]
            for at, step in enumerate(inner.steps[axis]):
                row[at] = row[at] if step.value == 0 else row[at] + steps[axis] * step
        bases.append(base)
        rows.append(tuple(row))
        written.append(_text_within(text, [inner.written[axis] for axis in axes]))
    return replace(outer, bases=tuple(bases), steps=tuple(rows), shape=inner.shape, written=tuple(written))


def _text_within(outer: str | None, inner: Sequence[str | None]) -> str | None:
    """What is written for a dimension when one of the two slices is ``:``."""
    whole = (WHOLE.text, REST.text)
    if all(text in whole for text in inner):
        return outer
    return inner[0] if outer in whole and len(inner) == 1 else None
