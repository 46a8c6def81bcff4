"""Operands and results of instructions: where they lie, their types, how they are repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...record import replace
from ..analysis.dtypes import FLOAT32, certainly_same, number_type, promoted
from ..analysis.symbols import ONE, Sym, product
from ..analysis.values import Dtype, Scalar, Shape, Space, Tensor, Unknown, Value
from .call import Call, code

OFF_CHIP = (Space.HBM, Space.SHARED_HBM, Space.PRIVATE_HBM)


def tile(call: Call, parameter: str) -> Tensor:
    """A tensor argument that lies on the chip, as the former language demanded."""
    value = call.value(parameter)
    if isinstance(value, Unknown) and value.text.isidentifier():
        return Tensor(value.text, None, None, None)  # nothing else could stand here
    found = call.tensor(parameter)
    if found.space in OFF_CHIP and found.shape is None and found.text.isidentifier():
        return replace(found, space=None)  # a parameter that was taken to lie in HBM
    return call.unreadable(parameter) if found.space in OFF_CHIP else found


def matrix(tensor: Tensor) -> Tensor:
    """The tensor; one of unknown rank as a matrix, where the operation takes nothing else.

    The instruction checks it when the kernel is traced.
    """
    return tensor if tensor.shape is not None else replace(tensor, shape=(size(tensor, 0), size(tensor, 1)))


def size(tensor: Tensor, axis: int) -> Sym:
    """A dimension, as the tensor's own attribute when the analysis does not know it."""
    return Sym.atom(f"{tensor.text}.shape[{axis}]") if tensor.shape is None else tensor.shape[axis]


def column(tensor: Tensor, count: int = 1) -> Shape:
    """The shape of a tile with ``count`` elements in each of the tensor's partitions."""
    return (size(tensor, 0), Sym.constant(count))


def type_of(tensor: Tensor) -> Dtype:
    """Its dtype, as the tensor's own attribute when the analysis does not know it."""
    return tensor.dtype or Dtype(f"{tensor.text}.dtype", None, f"{tensor.text}.dtype")


def in_sbuf(call: Call, tensor: Tensor, hint: str) -> Tensor:
    """The tensor, copied when it lies in PSUM, which neither TensorE, GpSimd nor a DMA reads."""
    return copied(call, tensor, tensor.dtype, hint) if tensor.space == Space.PSUM else tensor


def as_type(call: Call, tensor: Tensor, dtype: Dtype, hint: str) -> Tensor:
    """The tensor, copied unless it certainly has the dtype."""
    return tensor if certainly_same(tensor.dtype, dtype) else copied(call, tensor, dtype, hint)


def copied(call: Call, tensor: Tensor, dtype: Dtype | None, hint: str) -> Tensor:
    """A copy in SBUF."""
    made = call.out.temporary(hint, tensor.shape, dtype, Space.SBUF, tensor)
    call.out.emit("nisa.tensor_copy", dst=made.text, src=tensor.text)
    return made


def result(
    call: Call,
    write: Callable[[Tensor], None],
    shape: Shape | None,
    dtype: Dtype | None,
    *,
    like: Tensor | None = None,
    home: Space = Space.SBUF,
    writes: Space | None = None,
    native: Dtype | None = None,
    reads: Sequence[Tensor] = (),
    hint: str = "result",
) -> Tensor:
    """What the call gives: ``write(dst)`` emits the instructions that fill it.

    Args:
        home: where the former result lay. writes: the only memory that the instruction can write, if any.
        native: the only dtype that the instruction can write, if any.
        reads: operands that ``write`` still reads after it wrote to ``dst``.
    """
    out = call.out
    target = out.target()
    place, found = (home, dtype) if target is None else (target.space or home, target.dtype)
    if target is not None:
        _note_rounding(call, target)
    fits = writes in (None, place) and (native is None or certainly_same(found, native))
    if fits and (target is None or not (_repeats(call, target, shape) or _touches(target, reads))):
        made = out.destination(shape, dtype, home, like)
        write(made)
        return made
    scratch = out.temporary(hint, shape, native or dtype, writes or home, like)
    write(scratch)
    made = out.destination(shape, dtype, home, like)
    source = scratch
    if target is not None and target.shape is not None and _repeats(call, target, shape):
        source = spread(call, scratch, target.shape)
    out.emit("nisa.tensor_copy", dst=made.text, src=source.text)
    return made


def _note_rounding(call: Call, target: Tensor) -> None:
    """The call may ask for an element type that rounds more than that of the tile the result goes to."""
    said = call.dtype()
    if said is None or target.dtype is None or said.known == "float32" or certainly_same(said, target.dtype):
        return
    call.out.note("M-ROUNDED", fn=call.name, dtype=said.text, to=target.dtype.text)


def _repeats(call: Call, target: Tensor, shape: Shape | None) -> bool:
    """Whether an assignment repeats the result along an axis."""
    if target.shape is None or shape is None or len(target.shape) != len(shape):
        return False
    return any(repeated(call, b, a) for a, b in zip(target.shape, shape, strict=True))


def _touches(target: Tensor, reads: Sequence[Tensor]) -> bool:
    return any(_base(target) == _base(each) for each in reads)


def _base(tensor: Tensor) -> str:
    return tensor.text.partition("[")[0].partition(".")[0]


def repeated(call: Call, own: Sym, other: Sym) -> bool:
    """Whether a dimension of size ``own`` must be repeated to match ``other``."""
    single = own.value == 1 or call.out.same(own, ONE) is True
    return single and other.value != 1 and call.out.same(own, other) is not True


def broadcast(call: Call, *operands: Tensor) -> Shape:
    """The shape that operands broadcast to; sizes that are not known to differ are taken to be equal, and
    operands of unknown rank to be like the others.

    The former language checked that when the kernel was traced, and the instruction checks it again.
    """
    shapes = [operand.shape for operand in operands]
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes) and any(_is_repeated(shape) for shape in known):
        known = []  # what it is repeated to is not known
    if not known or len({len(shape) for shape in known}) > 1:
        message = "M-RANKS" if len(known) == len(shapes) else "M-SHAPE"
        call.refuse(message, operands=", ".join(operand.text for operand in operands))
    if len(known) < len(shapes):
        call.out.note("M-SAME", fn=call.name, operands=", ".join(operand.text for operand in operands))
    found = known[0]
    for shape in known[1:]:
        found = tuple(b if repeated(call, a, b) else a for a, b in zip(found, shape, strict=True))
    return found


def _is_repeated(shape: Shape) -> bool:
    """Whether a tile of this shape may be repeated along an axis, next to others."""
    return any(size.value == 1 for size in shape)


def aligned(call: Call, tensor: Tensor, shape: Shape) -> bool:
    """Whether each dimension is known to be that of the shape, or to be repeated to it."""
    if tensor.shape is None:
        return False
    pairs = zip(tensor.shape, shape, strict=True)
    return all(repeated(call, a, b) or call.out.same(a, b) is not None for a, b in pairs)


def needs_partitions(call: Call, tensor: Tensor, shape: Shape) -> bool:
    """Whether it has one partition and ``shape`` has more."""
    return tensor.shape is not None and repeated(call, tensor.shape[0], shape[0])


def in_partitions(call: Call, tensor: Tensor, shape: Shape) -> Tensor:
    """The tensor, with its only partition in every partition of the shape where that has more."""
    return (
        over_partitions(call, tensor, shape[0], "spread") if needs_partitions(call, tensor, shape) else tensor
    )


def repeats(call: Call, tensor: Tensor, shape: Shape) -> bool:
    """Whether the tensor has to be repeated to have the shape."""
    own = tensor.shape
    return own is None or any(repeated(call, a, b) for a, b in zip(own, shape, strict=True))


def is_column(call: Call, tensor: Tensor, shape: Shape) -> bool:
    """Whether it has one element in each partition, and ``shape`` has more."""
    own = tensor.shape
    if own is None or len(own) != len(shape) or any(n.value != 1 for n in own[1:]):
        return False
    return any(repeated(call, a, b) for a, b in zip(own[1:], shape[1:], strict=True))


def is_single_column(tensor: Tensor) -> bool:
    """Whether it is a matrix, or a vector, of one element in each of several partitions."""
    own = tensor.shape
    if own is None or own[0].value == 1:
        return False
    return len(own) == 1 or (len(own) == 2 and own[1].value == 1)


def beside_column(call: Call, tensor: Tensor, other: Tensor) -> bool:
    """Whether ``other`` has one element in each partition of a tensor of more dimensions, for all of them."""
    if tensor.shape is None or other.shape is None or not is_single_column(other):
        return False
    more = len(tensor.shape) > len(other.shape)
    return more and call.out.same(tensor.shape[0], other.shape[0]) is True


def spread(call: Call, tensor: Tensor, shape: Shape, hint: str = "spread") -> Tensor:
    """The tensor repeated to a shape: partitions by a helper, free dimensions by an access pattern.

    One of unknown rank is taken to have the shape, see :func:`broadcast`.
    """
    if tensor.shape is None:
        return tensor
    if len(tensor.shape) != len(shape):
        call.refuse("M-SHAPE", operands=tensor.text)
    if needs_partitions(call, tensor, shape):
        tensor = over_partitions(call, tensor, shape[0], hint)
    return _over_free(call, tensor, shape, hint)


def _over_free(call: Call, tensor: Tensor, shape: Shape, hint: str) -> Tensor:
    assert tensor.shape is not None
    own = tensor.shape
    flags = [repeated(call, a, b) for a, b in zip(own[1:], shape[1:], strict=True)]
    if not any(flags):
        return tensor
    if not tensor.whole:
        tensor = copied(call, tensor, tensor.dtype, hint)
    counts = [b if flag else a for a, b, flag in zip(own[1:], shape[1:], flags, strict=True)]
    steps = [Sym.constant(0) if flag else step for step, flag in zip(steps_of(own)[1:], flags, strict=True)]
    return pattern(tensor, [steps_of(own)[0], *steps], [own[0], *counts])


def steps_of(shape: Shape) -> list[Sym]:
    """How many elements apart neighbours lie along each dimension, in row-major order."""
    return [product(shape[axis + 1 :]) for axis in range(len(shape))]


def pattern(tensor: Tensor, steps: Sequence[Sym], counts: Sequence[Sym], offset: Sym | None = None) -> Tensor:
    """An access pattern over a whole tensor."""
    pairs = ", ".join(f"[{step.text}, {count.text}]" for step, count in zip(steps, counts, strict=True))
    start = "0" if offset is None else offset.text
    text = f"{tensor.text}.ap(pattern=[{pairs}], offset={start})"
    return replace(tensor, text=text, shape=tuple(counts), whole=False)


def over_partitions(call: Call, tensor: Tensor, count: Sym, hint: str) -> Tensor:
    """A tile with the tensor's only partition in each of ``count`` partitions."""
    assert tensor.shape is not None
    flat = (Sym.constant(1), product(tensor.shape[1:]))
    source = first_partition(call, in_sbuf(call, tensor, hint), hint)
    if len(tensor.shape) > 2:
        source = reshaped(call, source, flat, hint)
    made = call.out.temporary(hint, (count, flat[1]), tensor.dtype, Space.SBUF)
    call.out.emit(call.out.helper("broadcast_partitions"), dst=made.text, src=source.text)
    return made if len(tensor.shape) == 2 else reshaped(call, made, (count, *tensor.shape[1:]), hint)


def first_partition(call: Call, tensor: Tensor, hint: str) -> Tensor:
    """A tensor of one partition that starts where engines can read it; a DMA moves one that may not."""
    if tensor.whole or "[0:1" in tensor.text:
        return tensor
    made = call.out.temporary(hint, tensor.shape, tensor.dtype, Space.SBUF, tensor)
    call.out.emit("nisa.dma_copy", dst=made.text, src=tensor.text)
    return made


def reshaped(call: Call, tensor: Tensor, shape: Shape, hint: str) -> Tensor:
    """The same elements in another shape; a slice is copied first, as only whole tensors are reshaped."""
    source = tensor if tensor.whole else copied(call, tensor, tensor.dtype, hint)
    sizes = ", ".join(dimension.text for dimension in shape)
    return replace(source, text=f"{source.text}.reshape(({sizes}))", shape=shape)


def scalar_operand(call: Call, value: Value, hint: str) -> str:
    """Code for a number, or for a tile of one element in each partition, which must be float32."""
    if not isinstance(value, Tensor):
        return code(value)
    return as_type(call, value, FLOAT32, hint).text


def result_dtype(call: Call, *operands: Tensor | Scalar) -> Dtype:
    """The promoted dtype of the operands, as the former language chose it.

    Where it depends on the kernel's inputs, a helper function chooses when the kernel is traced, unless the
    result goes to a tile that exists, which has decided, or is only stored as an operand's dtype: then the
    promoted one is that or float32, in which instructions compute anyway.
    """
    tensors = [operand for operand in operands if isinstance(operand, Tensor)]
    found, *others = [*(type_of(tensor) for tensor in tensors), *_number_types(operands)]
    for other in others:
        found = promoted(found, other) or _chosen(call, found, other, tensors)
    return found


def _number_types(operands: Sequence[Tensor | Scalar]) -> list[Dtype]:
    """What numbers count as; those of an unknown kind stand for themselves."""
    numbers = [operand for operand in operands if isinstance(operand, Scalar)]
    return [number_type(number) or Dtype(number.text) for number in numbers]


def _chosen(call: Call, first: Dtype, second: Dtype, tensors: Sequence[Tensor]) -> Dtype:
    """The promoted dtype where it is known only when the kernel is traced."""
    target = call.out.target()
    if target is not None and target.dtype is not None:
        return target.dtype
    sink = call.out.sink()
    if sink is not None and any(certainly_same(sink, tensor.dtype) for tensor in tensors):
        return sink
    text = f"{call.out.helper('promoted_dtype')}({first.text}, {second.text})"
    return Dtype(text, None, text)
