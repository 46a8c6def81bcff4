"""Instructions that returned a tile and now write to ``dst``: a table of their arguments and results."""

from __future__ import annotations

from collections.abc import Callable

from ...record import record
from ..analysis.dtypes import FLOAT32, named
from ..analysis.symbols import Sym, product
from ..analysis.values import Dtype, Scalar, Shape, Space, Tensor, Token, Unknown
from .binary import by_variable, combined
from .call import Call, Lowering, code, literal, one, operand_code
from .reduction import axes, reduced, rows
from .tiles import column, in_sbuf, matrix, result, result_dtype, scalar_operand, size, tile, type_of

TILE = "a tile on the chip"
IN_SBUF = "a tile that the instruction reads from SBUF only"
WRITTEN = "a tile that receives a second result"
OPERATION = "a token"
FACTOR = "a number, or a float32 tile of one element in each partition"
BIAS = "a tile of one element in each partition, also for a number"
PLAIN = "anything that stays as it is"

NOT_OPERATIONS = frozenset(("nl.divide", "nl.logical_not", "nl.mod", "nl.fmod"))
"""Tokens that instructions do not take."""
SMALLEST = -3.4028235e38


@record
class Instruction:
    """One instruction.

    Attributes:
        arguments: parameters besides ``dst`` → what each is.
        data: the parameter that the result is like. free: how many elements of each partition the result has,
            where that is another number. dtype: the result's, where the call does not say and it is not that
            of data. promotes: further operands that the result's dtype depends on. native: whether the
            instruction can only write data's dtype.
    """

    arguments: dict[str, str]
    data: str = "data"
    free: int = 0
    dtype: Dtype | None = None
    promotes: tuple[str, ...] = ()
    native: bool = False
    writes: Space | None = None


_ACTIVATION = {"op": OPERATION, "data": TILE, "bias": BIAS, "scale": FACTOR, "reduce_op": OPERATION}
_SCALARS = {"op0": OPERATION, "operand0": FACTOR, "reverse0": PLAIN}

INSTRUCTIONS = {
    "activation": Instruction({**_ACTIVATION, "reduce_res": WRITTEN, "reduce_cmd": PLAIN}),
    "activation_reduce": Instruction({**_ACTIVATION, "reduce_res": WRITTEN}),
    "tensor_scalar": Instruction(
        {
            "data": TILE,
            **_SCALARS,
            "op1": OPERATION,
            "operand1": FACTOR,
            "reverse1": PLAIN,
            "engine": PLAIN,
        }
    ),
    "tensor_scalar_reduce": Instruction(
        {"data": TILE, **_SCALARS, "reduce_op": OPERATION, "reduce_res": WRITTEN}
    ),
    "scalar_tensor_tensor": Instruction(
        {
            "data": TILE,
            "op0": OPERATION,
            "operand0": FACTOR,
            "op1": OPERATION,
            "operand1": TILE,
            "reverse0": PLAIN,
            "reverse1": PLAIN,
        }
    ),
    "tensor_tensor_scan": Instruction(
        {
            "data0": TILE,
            "data1": TILE,
            "initial": FACTOR,
            "op0": OPERATION,
            "op1": OPERATION,
            "reverse0": PLAIN,
            "reverse1": PLAIN,
        },
        data="data0",
        promotes=("data1",),
    ),
    "affine_select": Instruction(
        {
            "pattern": PLAIN,
            "offset": PLAIN,
            "channel_multiplier": PLAIN,
            "on_true_tile": IN_SBUF,
            "on_false_value": PLAIN,
            "cmp_op": OPERATION,
        },
        data="on_true_tile",
    ),
    "range_select": Instruction(
        {
            "on_true_tile": TILE,
            "comp_op0": OPERATION,
            "comp_op1": OPERATION,
            "bound0": FACTOR,
            "bound1": FACTOR,
            "reduce_cmd": PLAIN,
            "reduce_res": WRITTEN,
            "reduce_op": OPERATION,
            "range_start": PLAIN,
        },
        data="on_true_tile",
    ),
    "bn_stats": Instruction({"data": TILE}, free=6),
    "bn_aggr": Instruction({"data": TILE}, free=2),
    "max8": Instruction({"src": TILE}, data="src", free=8),
    "nc_find_index8": Instruction({"data": TILE, "vals": TILE}, free=8, dtype=named("uint32")),
    "nc_match_replace8": Instruction({"data": TILE, "vals": TILE, "imm": PLAIN, "dst_idx": WRITTEN}),
    "dropout": Instruction({"data": TILE, "prob": FACTOR}, native=True),
}


def instruction(name: str) -> Lowering:
    """``x = nisa.f(…)`` → ``nisa.f(dst=x, …)``."""
    spec = INSTRUCTIONS[name]

    def lower(call: Call) -> Tensor:
        data = tile(call, spec.data)
        arguments = {
            parameter: CODE[kind](call, parameter, data)
            for parameter, kind in spec.arguments.items()
            if parameter in call
        }
        arguments = {parameter: text for parameter, text in arguments.items() if text}

        def write(dst: Tensor) -> None:
            call.out.emit(f"nisa.{name}", dst=dst.text, **arguments)

        shape = column(data, spec.free) if spec.free else data.shape
        native = type_of(data) if spec.native else None
        return result(
            call,
            write,
            shape,
            _dtype(call, spec, data),
            like=None if spec.free else data,
            native=native,
            writes=spec.writes,
        )

    return lower


def _dtype(call: Call, spec: Instruction, data: Tensor) -> Dtype:
    said = call.dtype()
    if said is not None or spec.dtype is not None:
        return said or spec.dtype or type_of(data)
    others = [call.value(name) for name in spec.promotes]
    return result_dtype(call, data, *(other for other in others if isinstance(other, Tensor)))


# -- code of arguments ------------------------------------------------------------------------------------


def operation(call: Call, parameter: str, data: Tensor | None = None) -> str:
    """A token that instructions take."""
    value = call.value(parameter)
    if not isinstance(value, Token) or value.name in NOT_OPERATIONS:
        call.refuse("M-OP", parameter=parameter, value=code(value))
    return value.code


def _factor(call: Call, parameter: str, data: Tensor) -> str:
    return scalar_operand(call, call.value(parameter), parameter)


def _bias(call: Call, parameter: str, data: Tensor) -> str:
    """A number becomes a tile; 0 is no bias at all."""
    value = call.value(parameter)
    if isinstance(value, Tensor):
        return value.text
    if literal(value) == 0:
        return ""
    if not isinstance(value, Scalar):
        call.unreadable(parameter)
    made = call.out.temporary("bias", column(data), FLOAT32, Space.SBUF)
    call.out.emit("nisa.memset", dst=made.text, value=value.text)
    return made.text


CODE: dict[str, Callable[[Call, str, Tensor], str]] = {
    TILE: lambda call, parameter, data: tile(call, parameter).text,
    IN_SBUF: lambda call, parameter, data: in_sbuf(call, tile(call, parameter), "source").text,
    WRITTEN: lambda call, parameter, data: tile(call, parameter).text,
    OPERATION: operation,
    FACTOR: _factor,
    BIAS: _bias,
    PLAIN: lambda call, parameter, data: code(call.value(parameter)),
}


# -- instructions that are more than a row ----------------------------------------------------------------


def tensor_tensor(call: Call) -> Tensor:
    """Two tiles, also of shapes that broadcast."""
    x, y = tile(call, "data1"), tile(call, "data2")
    spelled, op = operation(call, "op"), call.value("op")
    options = {"engine": code(call.value("engine"))} if "engine" in call else {}
    dtype = call.dtype() or result_dtype(call, x, y)
    assert isinstance(op, Token)
    if not op.text:
        return combined(call, op.name.removeprefix("nl."), x, y, dtype, options)
    return by_variable(call, x, y, dtype, {**options, "op": spelled})


def tensor_reduce(call: Call) -> Tensor:
    """Over free axes, numbered as the tile's."""
    data = rows(call, "data")
    negate = {"negate": "True"} if call.flag("negate") else {}
    chosen, kept = axes(call, data), call.flag("keepdims")
    return reduced(call, operation(call, "op"), data, chosen, call.dtype() or type_of(data), kept, negate)


def tensor_partition_reduce(call: Call) -> Tensor:
    """Over the partitions: on GpSimd Engine, from SBUF."""
    data = in_sbuf(call, tile(call, "data"), "source")
    op = operation(call, "op")
    if data.shape is None and not data.text.isidentifier():
        call.refuse("M-SHAPE", operands=data.text)

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.tensor_partition_reduce", dst=dst.text, op=op, data=data.text)

    shape = None if data.shape is None else (one(), *data.shape[1:])
    like = Tensor(f"{data.text}[0:1]", None, None, None) if shape is None else None
    return result(call, write, shape, call.dtype() or type_of(data), like=like, writes=Space.SBUF)


def range_select(call: Call) -> Tensor:
    """The instruction has one false value, and starts its maximum anew."""
    false = call.value("on_false_value") if "on_false_value" in call else None
    if false is not None and literal(false) != SMALLEST:
        call.refuse("M-ARGUMENT", parameter="on_false_value", value=code(false))
    if "reduce_cmd" in call and not call.member("reduce_cmd").endswith((".reset_reduce", ".idle")):
        call.unreadable("reduce_cmd")
    rest = {
        name: value for name, value in call.arguments.items() if name not in ("reduce_cmd", "on_false_value")
    }
    return instruction_of(Call(call.out, call.name, rest), "range_select")


def instruction_of(call: Call, name: str) -> Tensor:
    """What a call gives that is lowered to one instruction of that name."""
    found = instruction(name)(call)
    assert found is not None
    return found


def iota(call: Call) -> Tensor:
    """Integers of an index, which the walker gives as pattern, offset and channel multiplier."""
    parts = {name: code(call.value(name)) for name in ("pattern", "offset", "channel_multiplier")}

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.iota", dst=dst.text, **parts)

    return result(call, write, call.shape(), call.dtype(), hint="indices")


def local_gather(call: Call) -> Tensor:
    """Elements of each 16 partitions that their indices name."""
    source, index = tile(call, "src_buffer"), matrix(tile(call, "index"))
    each = _size(call, "num_elem_per_idx") if "num_elem_per_idx" in call else one()
    if index.shape is None:
        call.unreadable("index")
    count = _size(call, "num_valid_indices") if "num_valid_indices" in call else product(index.shape[1:]) * 16
    shape: Shape = (size(source, 0), count) if each.value == 1 else (size(source, 0), count, each)
    kept = ("num_elem_per_idx", "num_valid_indices")
    options = {name: code(call.value(name)) for name in kept if name in call}

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.local_gather", dst=dst.text, src_buffer=source.text, index=index.text, **options)

    return result(call, write, shape, type_of(source), native=type_of(source))


def _size(call: Call, parameter: str) -> Sym:
    value = call.value(parameter)
    if isinstance(value, Unknown) and value.text:  # nothing but a number could stand here
        return Sym.atom(operand_code(value.text), value.text)
    return value.sym if isinstance(value, Scalar) and value.sym is not None else call.unreadable(parameter)


def sequence_bounds(call: Call) -> Tensor:
    """Start and end of each element's run: ``[1, 2, n]``."""
    ids = tile(call, "segment_ids")
    if ids.shape is None:
        call.refuse("M-SHAPE", operands=ids.text)

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.sequence_bounds", dst=dst.text, segment_ids=ids.text)

    shape = (Sym.constant(1), Sym.constant(2), product(ids.shape[1:]))
    return result(call, write, shape, call.dtype() or type_of(ids))


DMA_AXES = {2: (1, 0), 3: (2, 1, 0), 4: (3, 1, 2, 0)}


def dma_transpose(call: Call) -> Tensor:
    """A transpose by DMA, for three and four dimensions; matrices are loaded and transposed on TensorE."""
    from .movement import load_transposed

    src = call.tensor("src")
    axes = call.integers("axes") if "axes" in call else ()
    rank = len(axes) or len(src.shape or (0, 0))
    if rank not in DMA_AXES or (src.shape is not None and len(src.shape) != rank):
        call.refuse("M-SHAPE", operands=src.text)
    if rank == 2:
        return load_transposed(call)
    order = DMA_AXES[rank]
    options = {"axes": str(axes)} if axes else {}

    def write(dst: Tensor) -> None:
        call.out.emit("nisa.dma_transpose", dst=dst.text, src=src.text, **options)

    shape = tuple(size(src, axis) for axis in order)
    return result(call, write, shape, call.dtype() or type_of(src), writes=Space.SBUF)


def writing(name: str, *parameters: str) -> Lowering:
    """An instruction that had ``dst`` already: keywords stay, in the new order."""

    def lower(call: Call) -> None:
        arguments = {}
        for parameter in parameters:
            if parameter in call:
                is_token = parameter.endswith("_op")
                arguments[parameter] = operation(call, parameter) if is_token else code(call.value(parameter))
        call.out.emit(f"nisa.{name}", **arguments)

    return lower


LOWERINGS: dict[str, Lowering] = {
    **{f"nisa.{name}": instruction(name) for name in INSTRUCTIONS},
    "nisa.range_select": range_select,
    "nisa.tensor_tensor": tensor_tensor,
    "nisa.tensor_reduce": tensor_reduce,
    "nisa.tensor_partition_reduce": tensor_partition_reduce,
    "nisa.iota": iota,
    "nisa.local_gather": local_gather,
    "nisa.sequence_bounds": sequence_bounds,
    "nisa.dma_transpose": dma_transpose,
    "nisa.nc_stream_shuffle": writing("nc_stream_shuffle", "dst", "src", "shuffle_mask"),
    "nisa.tensor_copy_predicated": writing(
        "tensor_copy_predicated", "dst", "src", "predicate", "reverse_pred"
    ),
    "nisa.tensor_copy_dynamic_dst": writing("tensor_copy", "dst", "src", "engine"),
    "nisa.select_reduce": writing(
        "select_reduce",
        "dst",
        "predicate",
        "on_true",
        "on_false",
        "reduce_res",
        "reduce_cmd",
        "reduce_op",
        "reverse_pred",
    ),
}
