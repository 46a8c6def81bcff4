"""A subscripted tensor: which elements the old code means, and the new code for them.

:func:`subscript` gives an :class:`Access`: an affine index for each dimension over the axes of the result, as
:mod:`.index` describes it. Where each axis runs along one dimension, in order, the new code is a subscript of
slices; otherwise it is an access pattern, ``t.ap(pattern=[[step, count], …], offset=…)``, in elements of the
flattened tensor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import EllipsisType

from .facts import Facts
from .index import NEW_AXIS, WHOLE, Index, Window, as_index, broadcast
from .refusal import Refused
from .spelling import Binary, Form, Leaf, plus
from .symbols import ONE, ZERO, Sym, ceil_div, product
from .values import Shape, Space, Tensor

ON_CHIP = (Space.SBUF, Space.PSUM)


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Dynamic:
    """An integer tile in SBUF that indexes a dimension when the kernel runs.

    Attributes:
        tile: the tile's elements that are the indices: a single one, or one for each partition.
        extra: an index tile, or a number, that is added to them.
        size: of the slice that starts there; None when it is a single element.
    """

    tile: Access
    extra: Index = field(default_factory=lambda: Index(ZERO))
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


@dataclass(frozen=True, slots=True)
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
    facts: Facts = field(compare=False, repr=False)
    written: tuple[str | None, ...]
    partition: int = 0
    layout: Layout = field(default_factory=Layout)
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

    @property
    def partition_axis(self) -> int | None:
        """The result's axis that runs along the partitions, where it is not the first; then all operands of
        an instruction must be taken with that axis first (:meth:`led_by`).
        """
        axes = [axis for axis, step in enumerate(self.steps[self.partition]) if step.value != 0]
        return axes[0] if self.on_chip and axes and axes[0] else None

    def led_by(self, axis: int) -> Access:
        """The same elements with an axis of the result moved to the front."""

        def moved(values: Shape) -> Shape:
            return (values[axis], *values[:axis], *values[axis + 1 :])

        return replace(self, steps=tuple(map(moved, self.steps)), shape=moved(self.shape))

    @property
    def complete(self) -> bool:
        """Whether it is the whole tensor, dimension by dimension."""
        spans = _spans(self)
        if self.dynamic is not None or spans is None or self.layout != Layout():
            return False
        runs = [span if isinstance(span, _Span) else _Span(span, ONE, ONE, ()) for span in spans]
        return all(run.covers(length, self.facts) for run, length in zip(runs, self.dims, strict=True))

    def code(self) -> str:
        """The new code for it. Raises Refused when there is none."""
        return self._emitted[0]

    @property
    def new_shape(self) -> Shape:
        """The shape that the new code's expression has: that of the old one, up to axes of size 1 and free
        axes that are merged. Instructions read operands in row-major order, whatever their free axes are.
        """
        return self._emitted[1]

    def handed(self) -> str:
        """The new code for it where it is given to a function of the same file: a tile, or a list of them.

        Raises Refused unless the integers of the subscript leave whole dimensions behind them.
        """
        lists = self.layout.lists
        fixed = [all(step.value == 0 for step in self.steps[dim]) for dim in lists]
        if all(fixed):
            return self.code()
        count = fixed.index(False)
        rest = [
            _Span(base, self.shape[axis], self.steps[dim][axis], (axis,)).covers(self.dims[dim], self.facts)
            for dim, base in enumerate(self.bases)
            if dim not in (*lists[:count], *self.layout.dropped)
            for axis, step in enumerate(self.steps[dim])
            if step.value != 0
        ]
        if any(fixed[count:]) or not all(rest):
            raise Refused("M-IDX", reason="a part of a list of tiles is handed over")
        return self.tensor.text + "".join(f"[{self.bases[dim].text}]" for dim in lists[:count])

    def exact(self) -> tuple[str, Shape]:
        """New code in which no axes are merged, for what works on single axes (reductions), and its shape.

        Raises Refused when there is none.
        """
        kept = _relaid(self)
        merged = any(isinstance(span, _Span) and len(span.axes) > 1 for span in _spans(kept) or ())
        return _pattern(kept) if merged else self._emitted

    @property
    def _emitted(self) -> tuple[str, Shape]:
        kept = _relaid(self)
        if kept.dynamic is None:
            found = _sliced(kept)
            if found is not None:
                return found
        return _pattern(kept)


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
        written=tuple(key.text if isinstance(key, Window) else None for key in indexed),
        partition=partition,
        layout=layout or Layout(),
        dynamic=dynamic[0] if dynamic else None,
    )


def assumed_shape(text: str, rank: int) -> Shape:
    """The shape of a tensor of which only the rank is known, in its own terms."""
    return tuple(Sym.atom(f"{text}.shape[{dim}]") for dim in range(rank))


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


@dataclass(frozen=True, slots=True)
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


# ---- To slices


@dataclass(frozen=True, slots=True)
class _Span:
    """A run along one dimension; ``axes`` of the result become one axis."""

    start: Sym
    count: Sym
    step: Sym
    axes: tuple[int, ...]

    def covers(self, length: Sym, facts: Facts) -> bool:
        return (
            self.step.value == 1
            and facts.same(self.start, ZERO) is True
            and facts.same(self.count, length) is True
        )


def _relaid(access: Access) -> Access:
    """The access to the tensor as the new code keeps it."""
    layout = access.layout
    if layout == Layout():
        return access
    gone = (*layout.dropped, *layout.lists)
    if any(step.value != 0 for dim in gone for step in access.steps[dim]):
        raise Refused("M-IDX", reason="an index tile runs along a block dimension")
    if access.dynamic is not None and access.dynamic[0] in gone:
        raise Refused("M-IDX", reason="a value of a tile indexes a block dimension")
    name = access.tensor.text + "".join(f"[{access.bases[dim].text}]" for dim in layout.lists)
    at = layout.kept(len(access.dims))
    tensor = replace(access.tensor, text=name, shape=tuple(access.dims[dim] for dim in at))
    dynamic = access.dynamic and (at.index(access.dynamic[0]), access.dynamic[1])
    return replace(
        access,
        tensor=tensor,
        dims=tensor.shape or (),
        bases=tuple(access.bases[dim] for dim in at),
        steps=tuple(access.steps[dim] for dim in at),
        written=tuple(access.written[dim] for dim in at),
        partition=at.index(access.partition),
        layout=Layout(),
        dynamic=dynamic,
    )


def _spans(access: Access) -> list[_Span | Sym] | None:
    """For each dimension a run, or the integer it is indexed with; None when slices cannot say it."""
    found: list[_Span | Sym] = []
    used: list[int] = []
    for base, steps in zip(access.bases, access.steps, strict=True):
        axes = tuple(axis for axis, step in enumerate(steps) if step.value != 0)
        used += axes
        if not axes:
            found.append(base)
            continue
        step = steps[axes[-1]]
        count = access.shape[axes[-1]]
        for axis in reversed(axes[:-1]):
            if access.facts.same(steps[axis], step * count) is not True:
                return None
            count = access.shape[axis] * count
        if not access.facts.holds_at_most(1, step):
            return None
        found.append(_Span(base, count, step, axes))
    moving = [axis for axis, size in enumerate(access.shape) if size.value != 1]
    return found if used == moving else None


def _sliced(access: Access) -> tuple[str, Shape] | None:
    spans = _spans(access)
    if spans is None:
        return None
    if access.on_chip and not _partition_leads(access, spans):
        return None
    kept = _kept_points(access, spans)
    parts: list[str] = []
    shape: list[Sym] = []
    for dim, span in enumerate(spans):
        written = access.written[dim]
        if isinstance(span, Sym):
            own = slice_text(span, span + 1) if dim in kept else span.text
            shape += [ONE] if dim in kept else []
        else:
            own = _span_text(span, access.dims[dim], access.facts)
            shape.append(span.count)
        parts.append(own if written is None else written)
    if access.on_chip and access.complete and not any(access.written):
        return access.tensor.text, access.dims
    return access.tensor.text + _brackets(parts), tuple(shape)


def _brackets(parts: list[str]) -> str:
    """A subscript without the dimensions at its end that are not mentioned."""
    while parts and parts[-1] == REST.text:
        parts = parts[:-1]
    texts = [WHOLE.text if part == REST.text else part for part in parts]
    return f"[{', '.join(str(text) for text in texts)}]" if texts else ""


def _partition_leads(access: Access, spans: list[_Span | Sym]) -> bool:
    """Whether what lies on the partitions is the result's first axis."""
    first = spans[0]
    if isinstance(first, Sym):
        return not access.shape or access.shape[0].value == 1
    return first.axes == (0,)


def _kept_points(access: Access, spans: list[_Span | Sym]) -> set[int]:
    """The dimensions indexed by an integer that stay, as slices of one, for the result's axes of size 1."""
    kept: set[int] = set()
    points: list[int] = []
    before = 0
    for dim, span in enumerate([*spans, None]):
        if isinstance(span, Sym):
            points.append(dim)
            continue
        axis = len(access.shape) if span is None else span.axes[0]
        missing = axis - before
        forced = {p for p in points if (p == 0 and access.on_chip) or access.written[p] is not None}
        chosen = forced | set([p for p in points if p not in forced][::-1][: max(0, missing - len(forced))])
        kept |= chosen
        points = []
        before = axis if span is None else span.axes[-1] + 1
    for dim in reversed(range(len(spans))):  # instructions want a partition and a free dimension
        if len(kept) + sum(isinstance(span, _Span) for span in spans) >= 2:
            break
        if isinstance(spans[dim], Sym):
            kept.add(dim)
    return kept


def _span_text(span: _Span, length: Sym, facts: Facts) -> str:
    if span.step.value == 1:
        stop = stop_of(span.start, span.count)
        ends = facts.same(stop, length) is True and len(length.text) < len(stop.text)
        return slice_text(span.start, length if ends else stop)
    if facts.same(ceil_div(length - span.start, span.step), span.count) is True:
        return slice_text(span.start, length, span.step)
    return slice_text(span.start, span.start + span.step * (span.count - 1) + 1, span.step)


def stop_of(start: Sym, size: Sym) -> Sym:
    """``start + size``, written ``(k + 1) * TILE`` for ``k * TILE`` and ``TILE``."""
    return Sym((start + size).terms, _stop_form(start.form, size))


def _stop_form(start: Form, size: Sym) -> Form:
    if isinstance(start, Binary) and start.op == "*":
        one = Leaf("1")
        if _is(start.right, size):
            return Binary("*", plus(start.left, one), start.right)
        if _is(start.left, size):
            return Binary("*", start.left, plus(start.right, one))
    if isinstance(start, Binary) and start.op == "+":
        inner = _stop_form(start.right, size)
        if isinstance(inner, Binary) and inner.op == "*":
            return Binary("+", start.left, inner)
    return plus(start, size.form)


def _is(form: Form, size: Sym) -> bool:
    """Whether the form is the size under the same name, or as the same number."""
    if isinstance(form, Leaf) and form.number is not None:
        return form.number == size.value
    return isinstance(form, Leaf) and form.key == size.terms


def slice_text(start: Sym, stop: Sym, step: Sym | None = None) -> str:
    """``start:stop`` or ``start:stop:step``, with spaces where a bound is an operation, as formatters do."""
    parts = [start.text, stop.text] + ([] if step is None else [step.text])
    simple = all(part.removeprefix("-").isalnum() or part.isidentifier() for part in parts)
    return (":" if simple else " : ").join(parts)


# ---- To access patterns


def _pattern(access: Access) -> tuple[str, Shape]:
    if not access.tensor.whole:
        raise Refused("M-IDX", reason=f"{access.tensor.text} is a slice already")
    if access.on_chip:
        _check_partitions(access)
    base, indirect = _indirect(access)
    strides = [list(access.dims[dim + 1 :]) for dim in range(len(access.dims))]
    offset = ZERO
    for start, lengths in zip(access.bases, strides, strict=True):
        offset = offset + _times(start, lengths)
    pairs = []
    for axis, count in enumerate(access.shape):
        step = ZERO
        for steps, lengths in zip(access.steps, strides, strict=True):
            step = step + _times(steps[axis], lengths)
        if step.value == 0:
            step = _idle_step(access, axis, strides)
        pairs.append(f"[{step.text}, {count.text}]")
    return f"{base}.ap(pattern=[{', '.join(pairs)}], offset={offset.text}{indirect})", access.shape


def _idle_step(access: Access, axis: int, strides: Sequence[Sequence[Sym]]) -> Sym:
    """The step of an axis along which nothing changes. Where a tile picks the rows, or there is one element,
    instructions ignore it.
    """
    if axis == 0 and access.dynamic is not None and not access.dynamic[1].single:
        return product(strides[access.dynamic[0]])
    if access.shape[axis].value != 1:
        return ZERO
    return product(strides[0]) if axis == 0 and access.on_chip else ONE


def _check_partitions(access: Access) -> None:
    """The partition dimension runs along the first axis of the result, and nothing else does."""
    if any(step.value != 0 for step in access.steps[0][1:]):
        raise Refused("M-IDX", reason="the partition dimension is indexed along a free axis")
    if any(steps[0].value != 0 for steps in access.steps[1:] if steps):
        raise Refused("M-IDX", reason="an index tile mixes the partition and a free dimension")
    if access.shape and access.shape[0].value != 1 and access.steps[0][0].value == 0:
        raise Refused("M-IDX", reason="one partition stands for several")


def _times(value: Sym, lengths: Sequence[Sym]) -> Sym:
    if value.value == 0:
        return ZERO
    return product([value, *lengths])


def _indirect(access: Access) -> tuple[str, str]:
    """The tensor to take the pattern of, and the further arguments for an index in a tile."""
    name = access.tensor.text
    if access.dynamic is None:
        return name, ""
    dim, by = access.dynamic
    if by.single:
        return name, f", scalar_offset={by.tile.code()}, indirect_dim={dim}"
    if any(steps[0].value != 0 for steps in access.steps) or access.on_chip:
        raise Refused("M-IDX", reason="rows are picked by a tile and by an index tile at once")
    if dim > 0:
        rows = product(access.dims[: dim + 1])
        shape = ", ".join(size.text for size in (rows, *access.dims[dim + 1 :]))
        name = f"{name}.reshape(({shape}{',' if dim + 1 == len(access.dims) else ''}))"
    return name, f", vector_offset={by.tile.code()}, indirect_dim=0"
