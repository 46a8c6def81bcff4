"""Views: their shapes, strides and offsets, and the elements that they give, against NumPy."""

from __future__ import annotations

from math import prod

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import launch, rejected
from tiles import raw, tile

from nkilib.core.utils.tensor_view import TensorView

HBM, ANY = ("hbm",), ("hbm", "sbuf")
SPLIT = (("p", ("h", "w"), "c"), ("p", "c", "h", "w"), {"h": 32})

# Number, base shape, buffers, operations, expected shape, strides and offset, and the elements by NumPy.
CASES = [
    (1, (128, 64), ANY, [("slice", 0, 0, 64, 1)], (64, 64), (64, 1), 0, lambda x: x[:64]),
    (2, (128, 64), ANY, [("slice", 0, 0, 64, 2)], (32, 64), (128, 1), 0, lambda x: x[:64:2]),
    (3, (128, 64), ANY, [("slice", 0, 64, 256, 32)], (2, 64), (2048, 1), 4096, lambda x: x[64::32]),
    (4, (128, 32, 16), ANY, [("slice", 1, 4, 16, 2)], (128, 6, 16), (512, 32, 1), 64, lambda x: x[:, 4:16:2]),
    (5, (128, 64), ANY, [("slice", 1, 0, 100, 1)], (128, 64), (64, 1), 0, lambda x: x),
    (6, (128, 32, 16), HBM, [("permute", (1, 0, 2))], (32, 128, 16), (16, 512, 1), 0, lambda x: x.transpose(1, 0, 2)),
    (7, (128, 32, 16), ANY, [("permute", (0, 2, 1))], (128, 16, 32), (512, 1, 16), 0, lambda x: x.transpose(0, 2, 1)),
    (8, (128, 1, 64), ANY, [("broadcast", 1, 8)], (128, 8, 64), (64, 0, 1), 0, lambda x: np.repeat(x, 8, 1)),
    (9, (128, 24), ANY, [("reshape_dim", 1, (2, 3, 4))], (128, 2, 3, 4), (24, 12, 4, 1), 0, lambda x: x.reshape(128, 2, 3, 4)),
    ("9-1", (128, 24), ANY, [("reshape_dim", 1, (2, -1, 4))], (128, 2, 3, 4), (24, 12, 4, 1), 0, lambda x: x.reshape(128, 2, 3, 4)),
    (10, (128, 2, 3, 4), ANY, [("flatten_dims", 1, 2)], (128, 6, 4), (24, 4, 1), 0, lambda x: x.reshape(128, 6, 4)),
    (11, (128, 32, 16), ANY, [("expand_dim", 1)], (128, 1, 32, 16), (512, 512, 16, 1), 0, lambda x: x[:, None]),
    (12, (128, 64), ANY, [("expand_dim", 2)], (128, 64, 1), (64, 1, 1), 0, lambda x: x[..., None]),
    (13, (128, 1, 32, 1), ANY, [("squeeze_dim", 1)], (128, 32, 1), (32, 1, 1), 0, lambda x: x[:, 0]),
    (14, (128, 8, 64), ANY, [("select", 2, 8)], (128, 8), (512, 64), 8, lambda x: x[:, :, 8]),
    (15, (128, 24), ANY, [("reshape_dim", 1, (4, 6)), ("permute", (0, 2, 1))], (128, 6, 4), (24, 1, 6), 0, lambda x: x.reshape(128, 4, 6).transpose(0, 2, 1)),
    (16, (128, 1, 64), ANY, [("slice", 2, 0, 32), ("broadcast", 1, 8)], (128, 8, 32), (64, 0, 1), 0, lambda x: np.repeat(x[..., :32], 8, 1)),
    (17, (8, 2, 1), HBM, [("select", 0, 3), ("select", 0, 0), ("expand_dim", 0), ("broadcast", 0, 128)], (128, 1), (0, 1), 6, lambda x: np.full((128, 1), x[3, 0, 0])),
    (18, (8, 2, 1), HBM, [("slice", 0, 3, 4), ("select", 1, 0), ("broadcast", 0, 128)], (128, 1), (0, 1), 6, lambda x: np.full((128, 1), x[3, 0, 0])),
    (22, (128, 512, 64), ANY, [("rearrange", *SPLIT)], (128, 64, 32, 16), (32768, 1, 1024, 64), 0, lambda x: x.reshape(128, 32, 16, 64).transpose(0, 3, 1, 2)),
    ("merge", (4, 6, 5), HBM, [("rearrange", ("a", "b", "c"), (("a", "b"), "c"))], (24, 5), (5, 1), 0, lambda x: x.reshape(24, 5)),
    ("merge twice", (2, 3, 4, 5), HBM, [("rearrange", ("a", "b", "c", "d"), (("a", "b"), ("c", "d")))], (6, 20), (20, 1), 0, lambda x: x.reshape(6, 20)),
    ("regroup", (4, 6, 5), HBM, [("rearrange", (("a", "b"), "c", "d"), ("a", ("b", "c"), "d"), {"b": 2})], (2, 12, 5), (60, 5, 1), 0, lambda x: x.reshape(2, 12, 5)),
    ("split twice", (6, 4), HBM, [("rearrange", (("a", "b"), ("c", "d")), ("d", "b", "c", "a"), {"a": 2, "d": 2})], (2, 3, 2, 2), (1, 4, 2, 12), 0, lambda x: x.reshape(2, 3, 2, 2).transpose(3, 1, 2, 0)),
    ("group of one", (6, 4), HBM, [("rearrange", (("a",), "b"), ("b", "a"))], (4, 6), (1, 4), 0, lambda x: x.T),
    ("partition kept", (128, 4), ANY, [("reshape_dim", 0, (128,))], (128, 4), (4, 1), 0, lambda x: x),
    ("split partition", (128, 4), HBM, [("reshape_dim", 0, (2, 64))], (2, 64, 4), (256, 4, 1), 0, lambda x: x.reshape(2, 64, 4)),
]  # fmt: skip
PARAMETERS = [
    pytest.param(buffer, *case[1:2], *case[3:], id=f"{case[0]} {buffer}")
    for case in CASES
    for buffer in case[2]
]


def numbered(shape, buffer="hbm"):
    """A tensor whose elements are 0, 1, 2, …"""
    values = np.arange(prod(shape), dtype=np.int32).reshape(shape)
    return values, tile(values, buffer=buffer)


def applied(view, operations):
    for name, *arguments in operations:
        view = getattr(view, name)(*arguments)
    return view


@pytest.mark.usefixtures("core")
@pytest.mark.parametrize(
    ("buffer", "base", "operations", "shape", "strides", "offset", "elements"), PARAMETERS
)
def test_operations(buffer, base, operations, shape, strides, offset, elements) -> None:
    values, tensor = numbered(base, buffer)
    whole = TensorView(tensor)
    view = applied(whole, operations)
    assert (view.shape, view.strides, view.offset) == (shape, strides, offset)
    assert view.base_tensor is tensor
    assert view.dtype == tensor.dtype
    assert view._get_pattern_and_offset() == (list(zip(strides, shape, strict=True)), offset)
    assert np.array_equal(raw(view.get_view()), elements(values))
    assert (whole.shape, whole.offset) == (base, 0)  # untouched


def test_a_new_view() -> None:
    _, tensor = numbered((2, 3, 4))
    view = TensorView(tensor)
    assert (view.shape, view.strides, view.offset) == ((2, 3, 4), (12, 4, 1), 0)
    assert (view.scalar_offset, view.indirect_dim, view.get_dim()) == (None, None, 3)
    assert not view.has_dynamic_access()
    assert not view.is_sbuf()


@pytest.mark.usefixtures("core")
def test_sbuf_is_known() -> None:
    assert TensorView(numbered((2, 3), "sbuf")[1]).is_sbuf()


@pytest.mark.parametrize(
    ("arguments", "expected"), [(((2, 3, 4),), (12, 4, 1)), (((2, 3), 5), (15, 5)), (((),), ())]
)
def test_trivial_strides(arguments, expected) -> None:
    assert TensorView.get_trivial_strides(*arguments) == expected


def test_keys() -> None:
    assert TensorView.key_in_dict("a", {"a": 0})
    assert not TensorView.key_in_dict("b", {"a": 0})
    assert not TensorView.key_in_dict("b", {})


REJECTED = [
    ("slice start", (4, 4), HBM, [("slice", 1, -1, 2)], "start is -1"),
    ("slice end", (4, 4), ANY, [("slice", 1, 2, 2)], "end 2 must be greater than start 2"),
    ("slice end before start", (4, 4), HBM, [("slice", 1, 2, 1)], "greater than start"),
    ("slice behind the end", (4, 4), HBM, [("slice", 1, 4, 6)], "start 4 is outside dimension 1 of size 4"),
    ("slice step", (4, 4), HBM, [("slice", 1, 0, 4, 0)], "step is 0"),
    ("slice dim", (4, 4), HBM, [("slice", 2, 0, 1)], "dim is 2, the view has dimensions 0 to 1"),
    ("slice negative dim", (4, 4), HBM, [("slice", -1, 0, 1)], "dim is -1"),
    ("broadcast size", (4, 2), ANY, [("broadcast", 1, 8)], "dimension 1 has size 2, not 1"),
    ("broadcast dim", (4, 2), HBM, [("broadcast", 2, 8)], "dim is 2"),
    ("broadcast partition", (1, 2), ("sbuf",), [("broadcast", 0, 8)], "partition"),
    ("permute length", (4, 2), HBM, [("permute", (0,))], "must name 2 dimensions"),
    ("permute range", (4, 2), HBM, [("permute", (0, 2))], "2 in (0, 2) is no dimension"),
    ("permute negative", (4, 2), HBM, [("permute", (0, -1))], "no dimension"),
    ("permute twice", (4, 2), HBM, [("permute", (1, 1))], "names 1 twice"),
    ("6 sbuf", (128, 32, 16), ("sbuf",), [("permute", (1, 0, 2))], "moves the partition"),
    ("reshape two unknown", (4, 6), ANY, [("reshape_dim", 1, (-1, -1, 2))], "more than one -1"),
    ("reshape product", (4, 6), ANY, [("reshape_dim", 1, (2, 2))], "does not divide the 6 elements"),
    ("reshape smaller product", (4, 6), ANY, [("reshape_dim", 1, (3, 1))], "does not hold the 6 elements"),
    ("reshape not dividing", (4, 6), HBM, [("reshape_dim", 1, (-1, 4))], "does not divide"),
    ("reshape zero", (4, 6), HBM, [("reshape_dim", 1, (0, 6))], "size below 1"),
    ("reshape partition", (4, 6), ("sbuf",), [("reshape_dim", 0, (2, 2))], "partition"),
    ("flatten partition", (4, 6), ("sbuf",), [("flatten_dims", 0, 1)], "partition"),
    ("flatten one", (4, 6), HBM, [("flatten_dims", 1, 1)], "no range of several of 2 dimensions"),
    ("flatten range", (4, 6), HBM, [("flatten_dims", 0, 2)], "no range"),
    ("15", (128, 24), ANY, [("reshape_dim", 1, (4, 6)), ("permute", (0, 2, 1)), ("flatten_dims", 1, 2)], "do not follow each other"),
    ("expand range", (4, 6), HBM, [("expand_dim", 3)], "allowed: 0 to 2"),
    ("expand partition", (4, 6), ("sbuf",), [("expand_dim", 0)], "partition"),
    ("squeeze size", (4, 6), HBM, [("squeeze_dim", 1)], "size 6, not 1"),
    ("squeeze range", (4, 1), HBM, [("squeeze_dim", 2)], "dim is 2"),
    ("squeeze partition", (1, 6), ("sbuf",), [("squeeze_dim", 0)], "partition"),
    ("select partition", (4, 6), ("sbuf",), [("select", 0, 1)], "partition"),
    ("select range", (4, 6), HBM, [("select", 1, 6)], "index 6 is outside"),
    ("rearrange unknown", (4, 6), HBM, [("rearrange", ("a", "b"), ("b", "c"))], "c is not among"),
    ("rearrange lost", (4, 6), HBM, [("rearrange", ("a", "b"), ("b",))], "must name 2 dimensions"),
    ("rearrange too many", (4, 6), HBM, [("rearrange", ("a", "b", "c"), ("a", "b", "c"))], "must name 2 dimensions"),
    ("rearrange merges one", (4, 6), HBM, [("rearrange", ("a", "b"), (("a",), "b"))], "no range of several"),
    ("rearrange merges apart", (4, 6), HBM, [("rearrange", ("a", "b"), (("b", "a"),))], "do not follow each other"),
    ("reshape", (4, 6), HBM, [("reshape", (24,))], "use reshape_dim"),
]  # fmt: skip


@pytest.mark.usefixtures("core")
@pytest.mark.parametrize(
    ("buffer", "base", "operations", "message"),
    [pytest.param(b, *case[1:2], *case[3:], id=f"{case[0]} {b}") for case in REJECTED for b in case[2]],
)
def test_rejected(buffer, base, operations, message) -> None:
    view = TensorView(numbered(base, buffer)[1])
    with rejected(message):
        applied(view, operations)


def test_no_tensor() -> None:
    with rejected("it got None"):
        TensorView(None)


def selected(x, index, operations, index_shape=(1, 1)):
    """The view of ``x`` after operations; ``select`` with the index "index" takes it from SBUF."""

    def kernel(x, index):
        position = nl.ndarray(index_shape, dtype=nl.int32, buffer=nl.sbuf)
        nisa.dma_copy(dst=position, src=index.reshape(index_shape))
        given = [tuple(position if part == "index" else part for part in step) for step in operations]
        view = applied(TensorView(x), given)
        assert view.has_dynamic_access()
        result = nl.ndarray(view.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        nisa.dma_copy(dst=result, src=view.get_view())
        return result

    return launch(kernel, x, np.array([index], np.int32))


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("index_shape", [(1, 1), (1,)])
@pytest.mark.parametrize(
    ("operations", "elements"),
    [
        pytest.param([("select", 0, "index")], lambda x, i: x[i], id="19"),
        pytest.param([("permute", (1, 0, 2)), ("select", 0, "index")], lambda x, i: x[:, i], id="20"),
        pytest.param([("select", 0, "index"), ("permute", (1, 0))], lambda x, i: x[i].T, id="21"),
        pytest.param(
            [("select", 1, "index"), ("slice", 1, 2, 8, 3)], lambda x, i: x[:, i, 2:8:3], id="slice after"
        ),
        pytest.param([("slice", 0, 1, 3), ("select", 0, "index")], lambda x, i: x[1 + i], id="slice before"),
        pytest.param([("select", 2, "index"), ("expand_dim", 2)], lambda x, i: x[:, :, i, None], id="last"),
    ],
)
def test_dynamic_select(operations, elements, index, index_shape) -> None:
    x = np.arange(64, dtype=np.float32).reshape(4, 2, 8)
    assert np.array_equal(selected(x, index, operations, index_shape), elements(x, index))


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ([("select", 0, "index"), ("select", 0, "index")], "dynamic index already"),
        ([("slice", 0, 0, 4, 2), ("select", 0, "index")], "stride 32 is that of no dimension"),
        ([("slice", 0, 0, 1), ("broadcast", 0, 4), ("select", 0, "index")], "is a broadcast"),
        ([("reshape_dim", 2, (2, 4)), ("select", 2, "index")], "stride 4 is that of no dimension"),
        ([("select", 3, "index")], "dim is 3"),
    ],
)
def test_dynamic_select_rejected(operations, message) -> None:
    with rejected(message):
        selected(np.zeros((4, 2, 8), np.float32), 0, operations)


def test_dynamic_select_of_the_first_dimension_with_the_stride() -> None:
    view = TensorView(numbered((3, 1, 5))[1]).select(1, numbered((1, 1))[1])
    assert (view.indirect_dim, view.shape, view.strides, view.offset) == (0, (3, 5), (5, 1), 0)


@st.composite
def step(draw, shape):
    """One operation that a view of this shape allows, and what NumPy does for it."""
    dim = draw(st.integers(0, len(shape) - 1))
    size = shape[dim]
    start, jump = draw(st.integers(0, size - 1)), draw(st.integers(1, 3))
    order = draw(st.permutations(range(len(shape))))
    divisor = draw(st.sampled_from([d for d in range(1, size + 1) if size % d == 0]))
    split = (*shape[:dim], divisor, size // divisor, *shape[dim + 1 :])
    choices = [
        (("slice", dim, start, size, jump), lambda x: x[(slice(None),) * dim + (slice(start, size, jump),)]),
        (("permute", tuple(order)), lambda x: x.transpose(order)),
        (("expand_dim", dim), lambda x: np.expand_dims(x, dim)),
        (("reshape_dim", dim, (divisor, -1)), lambda x: x.reshape(split)),
        (("select", dim, start), lambda x: x.take(start, dim)),
    ]
    if size == 1:
        choices.append((("broadcast", dim, 3), lambda x: np.repeat(x, 3, dim)))
    return draw(st.sampled_from(choices))


@given(st.data(), st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_any_operations_as_numpy(data, shape) -> None:
    values, tensor = numbered(tuple(shape))
    view = TensorView(tensor)
    for _ in range(data.draw(st.integers(1, 5))):
        if view.get_dim() == 0 or view.get_dim() > 6:
            break
        operation, expected = data.draw(step(view.shape))
        view, values = applied(view, [operation]), expected(values)
        assert view.shape == values.shape
    if view.get_dim() > 0:
        assert np.array_equal(raw(view.get_view()), values)
