"""Demands of the utilities and of references that run on the host."""

from __future__ import annotations

from typing import Any

from blockcheck import FP32, in_sbuf, sbuf
from kernels import cast

from nkilib.core.utils.interleave_copy import interleave_copy
from nkilib.core.utils.kernel_assert import assert_shape
from nkilib.core.utils.stream_shuffle_broadcast import stream_shuffle_broadcast
from nkilib.core.utils.tensor_view import TensorView
from nkilib.core.utils.tp_broadcast import tp_broadcast

from .base import Table, defined, refused, shown, zeros

UTILS = "core/utils"
BY = "nkilib.core.utils"

ALLOCATOR = Table(
    f"{BY}.allocator.SbufManager",
    rows=[
        *shown(f"{UTILS}/test_allocator.py::test_17_unknown", {"sizeinbytes: a known dtype": "unknown dtype"}),
        *shown(f"{UTILS}/test_allocator.py::test_6_and_7_alignment_and_end", {"room on the stack": "Stack out of memory"}),
        *shown(f"{UTILS}/test_allocator.py::test_room_is_looked_for_behind_the_padding", {"room behind the padding": "Stack out of memory"}),
        *shown(f"{UTILS}/test_allocator.py::test_10_and_11_ends_of_the_heap", {"room on the heap": "Heap out of memory", "pop_heap: a tensor": "heap underflow"}),
        *shown(f"{UTILS}/test_allocator.py::test_stack_and_heap_do_not_meet", {"room between stack and heap": "Heap out of memory"}),
        *shown(f"{UTILS}/test_allocator.py::test_8_no_scope", {"stack: an open scope": "no open scope"}),
        *shown(f"{UTILS}/test_allocator.py::test_12_other_buffers", {"SBUF only, alloc": "not psum"}, of=f"{BY}.allocator.alloc"),
        *shown(f"{UTILS}/test_allocator.py::test_12_other_buffers", {"SBUF only, alloc_stack": "not psum"}, of=f"{BY}.allocator.alloc_stack"),
        *shown(f"{UTILS}/test_allocator.py::test_12_other_buffers", {"SBUF only, alloc_heap": "not psum"}, of=f"{BY}.allocator.alloc_heap"),
        *shown(f"{UTILS}/test_allocator.py::test_14_what_the_compiler_decides", {"addresses without automatic allocation": "not available"}),
        *shown(f"{UTILS}/test_allocator.py::test_scopes_must_be_open", {"increment_section, close_scope: an open scope": "IndexError"}),
        *shown(f"{UTILS}/test_modular_allocator.py::test_10_lengths", {"ModularAllocator: as many buffers as dimensions": "block_dim has 1 entries and num_free_tiles 2"}),
        *shown(f"{UTILS}/test_modular_allocator.py::test_unknown_type", {"ModularAllocator: a known dtype": "unknown dtype float64"}),
    ],
    of=BY,
)  # fmt: skip

VIEW = f"{UTILS}/test_tensor_view.py"
VIEWS = Table(
    f"{BY}.tensor_view.TensorView",
    rows=[
        *shown(f"{VIEW}::test_rejected", {
            "slice: start not negative": "start is -1", "slice: end behind start": "greater than start", "slice: start inside": "start 4 is outside dimension 1",
            "slice: step above 0": "step is 0", "slice: a dimension": "dim is 2, the view has dimensions 0 to 1", "no negative dimension": "dim is -1",
            "broadcast: size 1": "dimension 1 has size 2, not 1", "SBUF: partitions stay": "is the partition, it must stay", "permute: all dimensions": "permute: (0,) must name 2 dimensions",
            "rearrange: as many names as dimensions": "rearrange: ('a', 'b', 'c') must name 2 dimensions",
            "permute: dimensions": "is no dimension", "permute: each once": "names 1 twice", "permute: partitions stay": "moves the partition",
            "reshape_dim: one -1": "more than one -1", "reshape_dim: divides": "does not divide the 6 elements", "reshape_dim: all elements": "does not hold the 6 elements",
            "reshape_dim: sizes above 0": "size below 1", "flatten_dims: several": "no range of several of 2 dimensions", "flatten_dims: one after the other": "do not follow each other",
            "expand_dim: a place": "allowed: 0 to 2", "squeeze_dim: size 1": "size 6, not 1", "select: inside": "index 6 is outside", "rearrange: known names": "c is not among",
            "no reshape": "use reshape_dim",
        }),
        *shown(f"{VIEW}::test_no_tensor", {"a tensor": "it got None"}),
        *shown(f"{VIEW}::test_dynamic_select_rejected", {
            "select: one dynamic index": "dynamic index already", "select: a stride of the tensor": "is that of no dimension", "select: no broadcast": "is a broadcast",
        }),
    ],
    of=f"{BY}.tensor_view",
)  # fmt: skip

HOST = Table(
    f"{BY}.lnc_subscriptable.LncSubscriptable",
    rows=[
        *shown(f"{UTILS}/test_lnc_subscriptable.py::test_3_without_a_subscript", {"a subscript": "must be subscripted with an LNC value"}),
        *shown(f"{UTILS}/test_lnc_subscriptable.py::test_what_must_agree", {
            "as many parameters": "parameters ['x'] differ", "parameters of the same names": "parameters ['x', 'z'] differ", "annotations": "annotation <class 'int'> of y differs",
            "the result's annotation": "return annotation <class 'list'> differs", "the docstring": "docstring differs",
        }),
        *shown(f"{UTILS}/test_lnc_subscriptable.py::test_no_docstring", {"an annotation, and a docstring": "needs an annotation, and a docstring below it"}),
        *shown(f"{UTILS}/test_lnc_subscriptable.py::test_not_at_the_top_level", {"the top level of a module": "at the top level of a module"}),
    ],
    of=f"{BY}.lnc_subscriptable",
)  # fmt: skip

OTHERS = Table(
    f"{BY}.kernel_helpers",
    rows=[
        *shown(f"{UTILS}/test_kernel_helpers.py::test_reduce_rejects", {
            "reduce: an initial value": "needs an initial_value", "reduce: an input": "needs an input list", "reduce: a known operation": "not sub",
        }),
        *shown(f"{UTILS}/test_kernel_helpers.py::test_no_activation", {"an ActFnType": "ActFnType"}),
        *shown(f"{UTILS}/test_tile_info.py::test_without_subtiles", {"TiledDimInfo: subtiles": "no subtiles"}),
        *shown(f"{UTILS}/test_tiled_range.py::test_no_tile_size", {"TiledRange: a tile size": "ZeroDivisionError"}),
        *shown(f"{UTILS}/test_logging.py::test_10_unknown_level", {"LogLevel: a known name": "KeyError"}),
        *defined(f"{UTILS}/test_common_types.py::test_by_value_and_name", {"enums: a known value": "is not a valid NormType"}),
    ],
    of=BY,
)  # fmt: skip


def shuffled(src: Any, shape: tuple[int, ...] = (128, 16)) -> None:
    stream_shuffle_broadcast(in_sbuf(src), sbuf(shape, src.dtype))


SHUFFLED = Table(
    f"{BY}.stream_shuffle_broadcast.stream_shuffle_broadcast", shuffled, lambda: {"src": cast([[1.0] * 16], "float32")},
    [
        refused("src 2-D", "takes 2-D tiles", src=zeros(1, 4, 4, dtype=FP32)),
        refused("dst 2-D", "takes 2-D tiles", shape=(128, 4, 4)),
        refused("as many elements in a partition", "equally many elements", shape=(128, 8)),
    ],
)  # fmt: skip


def turned(src: Any, shape: tuple[int, ...] = (16, 64)) -> None:
    tp_broadcast(in_sbuf(src), sbuf(shape, src.dtype), 0)


TURNED = Table(
    f"{BY}.tp_broadcast.tp_broadcast", turned, lambda: {"src": zeros(64, 2, dtype=FP32)},
    [refused("an element for each partition", "must have an element for each partition", shape=(16, 65))],
)  # fmt: skip


def scaled(src: Any, rows: int = 64, scale: Any = None, bias: Any = None) -> None:
    factors = [None if each is None else TensorView(in_sbuf(each)) for each in (scale, bias)]
    interleave_copy(sbuf((rows, 8), src.dtype), in_sbuf(src), *factors)


SCALED = Table(
    f"{BY}.interleave_copy.interleave_copy", scaled, lambda: {"src": zeros(64, 8, dtype=FP32), "scale": zeros(64, 1, dtype=FP32)},
    [
        refused("a factor of the partitions", "must have the same number of partitions", scale=zeros(32, 1, dtype=FP32)),
        refused("a bias of the partitions", "bias (32, 1)", bias=zeros(32, 1, dtype=FP32)),
        refused("a destination of the partitions", "must have the same number of partitions", rows=32),
    ],
)  # fmt: skip

CHECKED = Table(
    f"{BY}.kernel_assert", lambda shape=(2, 3): assert_shape(zeros(2, 3), shape, "w", "hint"),
    rows=[
        *shown(f"{UTILS}/test_kernel_assert.py::test_message", {"the text of a failing check": "Please check the validation message"}),
        *shown(f"{UTILS}/test_kernel_assert.py::test_falsy_conditions_fail", {"what is falsy fails": "exception:  - Please"}),
        refused("assert_shape: the shape", "w must have shape (3, 2), it has (2, 3). hint", shape=(3, 2)),
        refused("assert_shape: a tuple", "w must have shape [2, 3], it has (2, 3). hint", shape=[2, 3]),
    ],
)  # fmt: skip

TABLES = [ALLOCATOR, VIEWS, HOST, OTHERS, SHUFFLED, TURNED, SCALED, CHECKED]
