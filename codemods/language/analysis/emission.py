"""The new code for a part of a tensor: slices, an access pattern, or another shape of the whole tensor."""

from __future__ import annotations

from collections.abc import Sequence

from ...record import record, replace
from .access import REST, Access
from .facts import Facts
from .index import WHOLE
from .refusal import Refused
from .spelling import Binary, Form, Leaf, plus
from .symbols import ONE, ZERO, Sym, ceil_div, product
from .values import Shape


@record
class Emitted:
    """New code for a part of a tensor.

    Attributes:
        text: the code. whole: it is a tensor, not a part of one, so that it can be reshaped.
        access: the elements, over the axes that the code has. Those are the old code's, up to some of size 1.
    """

    text: str
    access: Access
    whole: bool = False

    @property
    def shape(self) -> Shape:
        """The shape of the code's value."""
        return self.access.shape


def emitted(access: Access) -> Emitted:
    """The new code for what an access means, with all its axes. Raises Refused when there is none."""
    kept = access.relaid()
    spans = None if kept.dynamic is not None else _spans(kept)
    if spans is None or (kept.on_chip and not _partition_leads(kept, spans)):
        return Emitted(_pattern(kept), kept)
    found = _sliced(kept, spans)
    alike = found.shape == kept.shape or len(kept.shape) < 2
    return found if alike or not kept.tensor.whole else _split(kept, spans)


def _split(access: Access, spans: list[Run]) -> Emitted:
    """All axes where slices would make one of several, or leave out one of size 1: those of the tensor in
    another shape, or of a pattern.
    """
    partitions = access.facts.same(access.shape[0], access.dims[0]) is True
    if _complete(access, spans) and (partitions or not access.on_chip):
        sizes = ", ".join(size.text for size in access.shape)
        return Emitted(f"{access.tensor.text}.reshape(({sizes}))", access, whole=True)
    return Emitted(_pattern(access), access)


def flat(access: Access) -> Emitted:
    """The same for what reads or writes elements in row-major order, whatever the axes are: neighbouring axes
    that run through one dimension are one. Raises Refused when there is none.
    """
    kept = access.relaid()
    spans = None if kept.dynamic is not None else _spans(kept)
    if spans is None or (kept.on_chip and not _partition_leads(kept, spans)):
        return Emitted(_pattern(kept), kept)
    return _sliced(kept, spans)


def handed(access: Access) -> str:
    """See :meth:`Access.handed`."""
    lists = access.layout.lists
    fixed = [all(step.value == 0 for step in access.steps[dim]) for dim in lists]
    if all(fixed):
        return access.code()
    count = fixed.index(False)
    behind = [dim for dim in range(len(access.dims)) if dim not in (*lists[:count], *access.layout.dropped)]
    whole = replace(access, layout=type(access.layout)())
    spans = _spans(whole)
    runs = [] if spans is None else [spans[dim] for dim in behind]
    lengths = [access.dims[dim] for dim in behind]
    if any(fixed[count:]) or not runs or not all(map(_covers, runs, lengths, [access.facts] * len(runs))):
        raise Refused("M-IDX", reason="a part of a list of tiles is handed over")
    return access.tensor.text + "".join(f"[{access.bases[dim].text}]" for dim in lists[:count])


# ---- Slices


@record
class Span:
    """A run along one dimension, by neighbouring ``axes`` of the result."""

    start: Sym
    count: Sym
    step: Sym
    axes: tuple[int, ...]


Run = Span | Sym
"""What a dimension is indexed with: a run, or an integer."""


def _covers(run: Run, length: Sym, facts: Facts) -> bool:
    """Whether it is the whole dimension."""
    start, count, step = (run, ONE, ONE) if isinstance(run, Sym) else (run.start, run.count, run.step)
    return step.value == 1 and facts.same(start, ZERO) is True and facts.same(count, length) is True


def _complete(access: Access, spans: Sequence[Run]) -> bool:
    pairs = zip(spans, access.dims, strict=True)
    return all(_covers(run, length, access.facts) for run, length in pairs)


def _spans(access: Access) -> list[Run] | None:
    """For each dimension a run, or the integer it is indexed with; None when slices cannot say it."""
    found: list[Run] = []
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
        found.append(Span(base, count, step, axes))
    moving = [axis for axis, size in enumerate(access.shape) if size.value != 1]
    return found if used == moving else None


def _sliced(access: Access, spans: list[Run]) -> Emitted:
    kept = _kept_points(access, spans)
    settled = _settled(access, spans, kept)
    if access.on_chip and not any(access.written) and _complete(access, spans):
        return Emitted(access.tensor.text, settled, access.tensor.whole)
    parts: list[str] = []
    for dim, (span, written) in enumerate(zip(spans, access.written, strict=True)):
        if written is not None:
            parts.append(written)
        elif isinstance(span, Sym):
            parts.append(slice_text(span, span + 1) if dim in kept else span.text)
        else:
            parts.append(_span_text(span, access.dims[dim], access.facts))
    text = access.tensor.text + _brackets(parts)
    return Emitted(text, settled, access.tensor.whole and text == access.tensor.text)


def _settled(access: Access, spans: list[Run], kept: set[int]) -> Access:
    """The access over the axes that slices give."""
    shape = [
        ONE if isinstance(span, Sym) else span.count
        for dim, span in enumerate(spans)
        if dim in kept or isinstance(span, Span)
    ]
    rows: list[Shape] = []
    axis = 0
    for dim, span in enumerate(spans):
        row = [ZERO] * len(shape)
        if isinstance(span, Span):
            row[axis] = span.step
        rows.append(tuple(row))
        axis += isinstance(span, Span) or dim in kept
    return replace(access, steps=tuple(rows), shape=tuple(shape))


def _brackets(parts: list[str]) -> str:
    """A subscript without the dimensions at its end that are not mentioned."""
    while parts and parts[-1] == REST.text:
        parts = parts[:-1]
    texts = [WHOLE.text if part == REST.text else part for part in parts]
    return f"[{', '.join(str(text) for text in texts)}]" if texts else ""


def _partition_leads(access: Access, spans: list[Run]) -> bool:
    """Whether what lies on the partitions is the result's first axis."""
    first = spans[0]
    if isinstance(first, Sym):
        return not access.shape or access.shape[0].value == 1
    return first.axes == (0,)


def _kept_points(access: Access, spans: list[Run]) -> set[int]:
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
        if len(kept) + sum(isinstance(span, Span) for span in spans) >= 2:
            break
        if isinstance(spans[dim], Sym):
            kept.add(dim)
    return kept


def _span_text(span: Span, length: Sym, facts: Facts) -> str:
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


ONE_PARTITION = "one partition stands for several"
"""Why a view of a tile is refused that repeats a partition: engines read each where it lies."""


def _pattern(access: Access) -> str:
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
    return f"{base}.ap(pattern=[{', '.join(pairs)}], offset={offset.text}{indirect})"


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
        raise Refused("M-IDX", reason=ONE_PARTITION)


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
