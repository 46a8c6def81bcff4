"""Views and access patterns against explicit loops over element numbers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nkisim.core.errors import SimulationError
from nkisim.core.registers import Register
from nkisim.core.tensor import Tensor, ds


def filled(shape, dtype="int32", buffer="sbuf", address=None):
    """A tensor whose elements are 0, 1, 2 … and the same as NumPy."""
    tensor = Tensor(shape, dtype, buffer, address=address)
    values = np.arange(np.prod(shape)).reshape(shape)
    tensor.write(values.astype(tensor.dtype.numpy))
    return tensor, values


def values_of(tensor):
    """Elements in the tensor's own shape."""
    return np.asarray(tensor.read_raw()).reshape(tensor.shape).astype(np.int64)


def loop(flat, pattern, offset):
    """The definition of an access pattern: offset + Σ step·index, element by element."""
    shape = tuple(count for _, count in pattern)
    out = np.zeros(shape, np.int64)
    for index in product(*map(range, shape)):
        out[index] = flat[offset + sum(i * step for i, (step, _) in zip(index, pattern, strict=True))]
    return out


# -- indexing ----------------------------------------------------------------------------------------

KEYS = [
    (slice(1, 3),),
    (slice(None), 2),
    (2,),
    (-1,),
    (slice(0, 4), slice(1, 5, 2), 3),
    (..., 1),
    (1, ..., slice(2, 4)),
    (slice(None, None), slice(None), slice(None, None, -1)),
    (slice(-3, -1), slice(0, -1)),
    (slice(1, 2), -2, slice(3, None)),
]


@pytest.mark.parametrize("buffer", ["sbuf", "hbm"])
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing_is_numpys(key, buffer):
    tensor, values = filled((4, 5, 6), buffer=buffer)
    view = tensor[key if len(key) > 1 else key[0]]
    assert view.shape == values[key].shape
    assert np.array_equal(values_of(view), values[key])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_views_of_views(data):
    tensor, values = filled((4, 5, 6))
    for _ in range(2):
        keys = []
        for size in values.shape:
            start = data.draw(st.integers(0, size - 1))
            stop = data.draw(st.integers(start + 1, size))
            keys.append(data.draw(st.sampled_from([slice(start, stop), slice(start, stop, 2)])))
        tensor, values = tensor[tuple(keys)], values[tuple(keys)]
    assert np.array_equal(values_of(tensor), values)


@pytest.mark.parametrize(
    "key",
    [(4,), (-5,), (slice(0, 5),), (slice(-5, 2),), (0, 6), (slice(None), slice(3, 9)), (slice(0, -6),)],
    ids=str,
)
def test_out_of_bounds_is_an_error(key):
    tensor, _ = filled((4, 5))
    with pytest.raises(
        SimulationError, match=r"out of bounds: dimension [01] of sbuf tensor \[4, 5\] int32 has [45]"
    ):
        tensor[key]


def test_wrong_kinds_of_index():
    tensor, _ = filled((4, 5))
    with pytest.raises(SimulationError, match="too many indexes"):
        tensor[0, 0, 0]
    with pytest.raises(SimulationError, match="None is no index"):
        tensor[:, None]
    with pytest.raises(SimulationError, match="is no index"):
        tensor[[0, 1]]


def test_an_error_names_this_file():
    tensor, _ = filled((4, 5))
    with pytest.raises(SimulationError, match=r"test_tensor\.py:\d+: index 7 "):
        tensor[7]


def test_a_fully_indexed_tensor_is_a_view_of_one_element():
    tensor, _ = filled((4, 5))
    for view in (tensor[2, 3], tensor[-2, -2]):
        assert view.shape == (1,)
        assert view.read_raw().shape == (1, 1)
        assert view.read().item() == 13
    tensor[2, 3].write(np.full((1, 1), 99, np.float32))
    assert tensor.read()[2, 3] == 99


def test_dropping_the_partition_leaves_one_partition():
    tensor, values = filled((4, 5, 6))
    view = tensor[1]
    assert view.shape == (5, 6)
    assert view.read().shape == (1, 5, 6)
    assert view[2:4].read().shape == (1, 2, 6)
    assert np.array_equal(values_of(view[2:4]), values[1, 2:4])


def test_registers_and_tensors_as_indexes():
    tensor, values = filled((4, 5))
    one = Tensor((1, 1), "int32")
    one.write(np.array([[2]], np.int32))
    assert np.array_equal(values_of(tensor[ds(Register(1), 2), ds(one, 3)]), values[1:3, 2:5])
    assert np.array_equal(values_of(tensor[Register(3)]), values[3])
    assert np.array_equal(values_of(tensor[0:2, ds(1, 2)]), values[0:2, 1:3])
    assert np.array_equal(values_of(tensor[Register(1) : Register(3)]), values[1:3])
    with pytest.raises(SimulationError, match="out of bounds"):
        tensor[ds(Register(3), 2)]


def test_numpy_integers_as_indexes():
    tensor, values = filled((4, 5))
    view = tensor[np.int64(1), : np.int32(3)]
    assert np.array_equal(values_of(view), values[1, :3])
    assert not view.partitioned


# -- factorisations ----------------------------------------------------------------------------------


def test_reshape_keeps_order_and_memory():
    tensor, values = filled((4, 6))
    view = tensor.reshape((4, 2, 3))
    assert np.array_equal(values_of(view), values.reshape(4, 2, 3))
    view[0, 1, 2].write(np.full((1, 1), 50, np.float32))
    assert tensor.read()[0, 5] == 50
    assert tensor.reshape((4, -1)).shape == (4, 6)
    renamed = tensor.reshape((4, 6), dtype="int32", name="other")
    assert (renamed.shape, renamed.name, renamed.dtype) == ((4, 6), "other", "int32")


def test_reshape_to_fewer_elements_takes_the_first_of_each_partition():
    tensor, values = filled((4, 6))
    assert np.array_equal(values_of(tensor.reshape((2, 2, 2))), values[:2, :4].reshape(2, 2, 2))


@pytest.mark.parametrize(
    ("buffer", "shape"), [("sbuf", (4, 7)), ("hbm", (2, 2)), ("sbuf", (2, 7)), ("hbm", (5, -1))]
)
def test_reshape_to_another_number_of_elements(buffer, shape):
    with pytest.raises(SimulationError, match="other number of elements"):
        filled((4, 6), buffer=buffer)[0].reshape(shape)


def test_reshape_of_a_view_with_gaps():
    with pytest.raises(SimulationError, match="not contiguous"):
        filled((4, 6))[0][:, 0:3].reshape((12,))


def test_view_reads_the_bytes_as_another_type():
    tensor = Tensor((2, 2), "float32")
    tensor.write(np.array([[1.0, -2.0], [0.5, 3.0]], np.float32))
    expected = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32).view(np.uint16)
    assert np.array_equal(tensor.view("uint16").read_raw(), expected)
    assert np.array_equal(tensor.view("uint16", (2, 2, 2)).read_raw(), expected.reshape(2, 2, 2))
    with pytest.raises(SimulationError, match="cannot be viewed as int64"):
        Tensor((2, 3), "uint8").view("int64")


# -- access patterns ---------------------------------------------------------------------------------


@st.composite
def hbm_patterns(draw):
    """A pattern that stays in 60 elements."""
    pairs = draw(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 4)), min_size=1, max_size=4))
    last = sum(step * (count - 1) for step, count in pairs)
    return [list(pair) for pair in pairs], draw(st.integers(0, 59 - min(last, 59))), last


@settings(max_examples=300, deadline=None)
@given(hbm_patterns())
def test_ap_in_hbm(drawn):
    pattern, offset, last = drawn
    tensor, values = filled((3, 4, 5), buffer="hbm")
    view = tensor.ap(pattern, offset=offset)
    assert view.shape == tuple(count for _, count in pattern)
    if offset + last >= 60:
        with pytest.raises(SimulationError, match="runs out of"):
            view.read_raw()
    else:
        assert np.array_equal(values_of(view), loop(values.reshape(-1), pattern, offset))


@st.composite
def chip_patterns(draw):
    """A pattern over a [8, 12] tile: partitions first, the rest inside a row, and its offset."""
    step, count = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    inner = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3)), max_size=3))
    row = sum(s * (n - 1) for s, n in inner)
    element = draw(st.integers(0, max(0, 11 - row)))
    partition = draw(st.integers(0, max(0, 7 - step * (count - 1))))
    return [[step * 12, count], *map(list, inner)], partition * 12 + element, element + row < 12


@pytest.mark.parametrize("address", [None, (16, 256)], ids=["own", "addressed"])
@settings(max_examples=200, deadline=None)
@given(drawn=chip_patterns())
def test_ap_on_chip(address, drawn):
    pattern, offset, fits = drawn
    tensor, values = filled((8, 12), address=address)
    view = tensor.ap(pattern=pattern, offset=offset)
    if fits:
        assert np.array_equal(values_of(view), loop(values.reshape(-1), pattern, offset))
        assert view.offset == offset
    else:
        with pytest.raises(SimulationError, match="runs out of"):
            view.read_raw()


def test_ap_writes_where_it_reads():
    tensor, values = filled((4, 6), dtype="float32")
    tensor.ap([[6, 2], [2, 3]], offset=7).write(np.full((2, 3), -1, np.float32))
    expected = values.astype(np.float32)
    for partition, element in product((1, 2), (1, 3, 5)):
        expected[partition, element] = -1
    assert np.array_equal(tensor.read(), expected)


def test_ap_of_another_type_counts_its_elements():
    tensor = Tensor((4, 3), "float32")
    bits = np.arange(12, dtype=np.float32).reshape(4, 3)
    tensor.write(bits)
    halves = bits.view(np.uint16).reshape(-1)
    pattern = [[6, 4], [2, 3]]
    view = tensor.ap(pattern, offset=1, dtype="uint16")
    assert np.array_equal(values_of(view), loop(halves, pattern, 1))


def test_ap_spilling_over_a_row_is_an_error_when_used():
    tensor, _ = filled((4, 6))
    view = tensor.ap([[6, 2], [1, 8]])
    with pytest.raises(
        SimulationError, match=r"access pattern \[\[6, 2\], \[1, 8\]\] with offset 0 runs out of"
    ):
        view.read()
    with pytest.raises(SimulationError, match="runs out of"):
        view.write(np.zeros((2, 8), np.float32))


def test_ap_with_an_uneven_partition_step():
    with pytest.raises(SimulationError, match="must be a multiple of the 6 elements of a partition"):
        filled((4, 6))[0].ap([[5, 2], [1, 2]]).read()
    assert filled((4, 6))[0].ap([[1, 1], [1, 2]], offset=6).read().tolist() == [[6, 7]]


def test_offset_and_pattern_say_where_a_view_is():
    for address in (None, (3, 512)):
        tensor, values = filled((8, 4, 3), address=address)
        view = tensor[2:6:2, 1:3, 2:3]
        assert view.offset == 2 * 12 + 1 * 3 + 2
        assert view.pattern == [[24, 2], [3, 2], [1, 1]]
        assert np.array_equal(loop(values.reshape(-1), view.pattern, view.offset), values_of(view))
        assert view.get_pattern() == view.pattern
        assert view.strides == (24, 3, 1)


# -- dynamic access ----------------------------------------------------------------------------------


def index_of(values, dtype="int32"):
    tensor = Tensor((len(values), 1), dtype)
    tensor.write(np.array(values, tensor.dtype.numpy).reshape(-1, 1))
    return tensor


@settings(max_examples=100, deadline=None)
@given(axis=st.integers(0, 2), value=st.integers(0, 2), offset=st.integers(0, 1))
def test_scalar_offset_moves_by_the_base_tensors_steps(axis, value, offset):
    tensor, values = filled((3, 4, 5), buffer="hbm")
    pattern = [[2, 2], [1, 2]]
    start = offset + value * [20, 5, 1][axis]
    for scalar in (Register(value), index_of([value])):
        view = tensor.ap(pattern, offset=offset, scalar_offset=scalar, indirect_dim=axis)
        assert view.shape == (2, 2)
        assert np.array_equal(values_of(view), loop(values.reshape(-1), pattern, start))


def test_scalar_offset_is_read_when_the_instruction_runs():
    tensor, values = filled((4, 6))
    index = index_of([1])
    view = tensor.ap([[6, 4], [1, 2]], scalar_offset=index, indirect_dim=1)
    index.write(np.array([[3]], np.int32))
    assert np.array_equal(values_of(view), values[:, 3:5])


@pytest.mark.parametrize("value", [-1, 4])
def test_scalar_offset_out_of_range(value):
    view = filled((4, 6), buffer="hbm")[0].ap([[6, 1], [1, 6]], scalar_offset=Register(value))
    with pytest.raises(SimulationError, match=rf"dynamic offset {value} is outside 0\.\.3"):
        view.read()
    values, valid = view.dynamic.get(skip=True)
    assert values.shape == (1, 6)
    assert valid.tolist() == [False]


@settings(max_examples=100, deadline=None)
@given(index=st.lists(st.integers(0, 4), min_size=1, max_size=6), offset=st.integers(0, 3))
def test_vector_offset_gathers_rows(index, offset):
    tensor, values = filled((5, 2, 4), buffer="hbm")
    pattern = [[999, len(index)], [4, 2], [1, 1]]
    view = tensor.ap(pattern, offset=offset, vector_offset=index_of(index))
    flat = values.reshape(-1)
    expected = np.array([[[flat[offset + i * 8 + r * 4]] for r in range(2)] for i in index])
    assert np.array_equal(values_of(view), expected)


@pytest.mark.parametrize("buffer", ["hbm", "sbuf"])
@settings(max_examples=100, deadline=None)
@given(index=st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_vector_offset_scatters_and_adds(buffer, index):
    tensor, values = filled((5, 3), dtype="float32", buffer=buffer)
    expected = values.astype(np.float32)
    added = np.arange(len(index) * 3, dtype=np.float32).reshape(-1, 3)
    view = tensor.ap([[3, len(index)], [1, 3]], vector_offset=index_of(index))
    view.dynamic.put(added, accumulate=True)
    for row, value in zip(index, added, strict=True):
        expected[row] += value
    assert np.array_equal(tensor.read(), expected)
    view.write(added)
    for row, value in zip(index, added, strict=True):
        expected[row] = value
    assert np.array_equal(tensor.read(), expected)


def test_vector_offset_into_a_slice_of_a_larger_tensor():
    tensor, values = filled((4, 6), dtype="float32", address=(8, 64))
    view = tensor[:, 0:3].ap([[3, 2], [1, 3]], vector_offset=index_of([3, 0]))
    assert np.array_equal(values_of(view), values[[3, 0], 0:3])
    view.write(np.full((2, 3), -5, np.float32))
    expected = values.astype(np.float32)
    expected[[3, 0], 0:3] = -5
    assert np.array_equal(tensor.read(), expected)


@pytest.mark.parametrize(("dtype", "wrong"), [("int32", -1), ("uint32", 0xFFFFFFFF), ("int32", 5)])
def test_vector_offset_out_of_range(dtype, wrong):
    tensor, values = filled((5, 3), dtype="float32", buffer="hbm")
    view = tensor.ap([[3, 3], [1, 3]], vector_offset=index_of([4, wrong, 0], dtype))
    with pytest.raises(SimulationError, match=rf"vector offset {wrong} is outside 0\.\.4"):
        view.read()
    found, valid = view.dynamic.get(skip=True)
    assert valid.tolist() == [True, False, True]
    assert np.array_equal(found[valid], values[[4, 0]])
    view.dynamic.put(np.full((3, 3), 70, np.float32), skip=True)
    expected = values.astype(np.float32)
    expected[[4, 0]] = 70
    assert np.array_equal(tensor.read(), expected)


def test_all_vector_offsets_out_of_range():
    tensor, values = filled((5, 3), dtype="float32", buffer="hbm")
    view = tensor.ap([[3, 2], [1, 3]], vector_offset=index_of([-1, -1]))
    assert view.dynamic.get(skip=True)[1].tolist() == [False, False]
    view.dynamic.put(np.ones((2, 3), np.float32), skip=True)
    assert np.array_equal(tensor.read(), values)


def test_vector_offset_with_another_type():
    tensor, values = filled((5, 4), dtype="int16", buffer="hbm")
    view = tensor.ap([[4, 2], [1, 8]], vector_offset=index_of([3, 1]), dtype="uint8")
    assert np.array_equal(view.read_raw(), values.astype(np.int16)[[3, 1]].view(np.uint8))


def test_what_dynamic_accesses_refuse():
    tensor, _ = filled((5, 3), buffer="hbm")
    view = tensor.ap([[3, 1], [1, 3]], scalar_offset=Register(1))
    with pytest.raises(SimulationError, match="cannot be indexed"):
        view[0]
    with pytest.raises(SimulationError, match="dimension 0 only"):
        tensor.ap([[3, 1]], vector_offset=index_of([1]), indirect_dim=1)
    with pytest.raises(SimulationError, match="not both"):
        tensor.ap([[3, 1]], vector_offset=index_of([1]), scalar_offset=Register(0))
    with pytest.raises(SimulationError, match="indirect_dim 2 is no dimension"):
        tensor.ap([[3, 1]], scalar_offset=Register(0), indirect_dim=2)
    with pytest.raises(SimulationError, match="has 1 indices, the pattern asks for 2"):
        tensor.ap([[3, 2], [1, 3]], vector_offset=index_of([1])).read()


# -- what a tensor is --------------------------------------------------------------------------------


def test_tensors_are_true_and_equal_only_themselves():
    tensor = Tensor((2, 2), "float32")
    assert tensor
    assert tensor != None  # noqa: E711 - kernels write this
    assert tensor == tensor
    assert tensor != tensor[:]
    assert len({tensor, tensor}) == 1


def test_fields():
    tensor = Tensor((4, 6), "bfloat16", "psum", name="acc", address=(0, 4096))
    assert (tensor.shape, tensor.ndim, tensor.size, len(tensor)) == ((4, 6), 2, 24, 4)
    assert (tensor.buffer, tensor.name, tensor.address) == ("psum", "acc", (0, 4096))
    assert repr(tensor) == "psum tensor 'acc' [4, 6] bfloat16"
    assert [row.shape for row in tensor] == [(6,)] * 4
    assert isinstance(tensor, Tensor)
    assert Tensor(5, "int8", "hbm").shape == (5,)


def test_permuted_and_broadcast_views():
    tensor, values = filled((4, 5, 6))
    assert np.array_equal(values_of(tensor.permute((0, 2, 1))), values.transpose(0, 2, 1))
    assert np.array_equal(values_of(tensor[:, 0:1].broadcast_to((4, 3, 6))), np.repeat(values[:, 0:1], 3, 1))
    assert tensor.expand_dim(1).shape == (4, 1, 5, 6)


def test_what_has_a_dynamic_or_a_wrong_address_is_no_base_of_views():
    tensor, _ = filled((5, 3))
    moved = tensor.ap([[3, 1], [1, 3]], scalar_offset=Register(1))
    broken = tensor.ap([[3, 9], [1, 3]])
    uses = [
        lambda view: view.reshape((3, 1)),
        lambda view: view.view("int32"),
        lambda view: view.ap([[3, 1]]),
        lambda view: view[0],
    ]
    for use in uses:
        with pytest.raises(SimulationError, match="has a dynamic address and cannot be indexed or viewed"):
            use(moved)
        with pytest.raises(SimulationError, match="runs out of"):
            use(broken)


def test_an_access_pattern_that_goes_back():
    tensor, values = filled((4, 6))
    view = tensor.ap([[6, 3], [-2, 3]], offset=6 + 5)
    assert np.array_equal(values_of(view), values[1:4, 5::-2])
    with pytest.raises(SimulationError, match="runs out of"):
        tensor.ap([[6, 3], [-3, 3]], offset=6 + 5).read()


def test_an_offset_is_one_element():
    tensor, _ = filled((5, 3), buffer="hbm")
    with pytest.raises(
        SimulationError, match=r"an offset must have one element; sbuf tensor \[2, 1\] int32 has 2"
    ):
        tensor.ap([[3, 1], [1, 3]], scalar_offset=index_of([1, 2])).read()


def test_where_a_view_of_hbm_starts():
    tensor, values = filled((3, 4, 5), buffer="hbm")
    view = tensor[1, 2:4, 3]
    assert view.offset == 1 * 20 + 2 * 5 + 3
    assert np.array_equal(loop(values.reshape(-1), view.pattern, view.offset), values_of(view))


@pytest.mark.parametrize("key", [(slice(4, 4),), (slice(0, 0),), (0, slice(3, 2)), (slice(-1, -2),)], ids=str)
@pytest.mark.parametrize("buffer", ["sbuf", "hbm"])
def test_slices_without_elements_are_errors(buffer, key):
    tensor, _ = filled((4, 5), buffer=buffer)
    with pytest.raises(SimulationError, match=r"names no element: dimension [01] of .* has [45]"):
        tensor[key]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ((True,), "True is no index"),
        ((..., ...), "is no index"),
        ((slice(None, None, 0),), "has a step of 0"),
        ((slice(0, 2.0),), "0:2.0 is no range of integers"),
    ],
)
def test_what_numpy_would_take_or_say_otherwise(key, message):
    tensor, _ = filled((4, 5))
    with pytest.raises(SimulationError, match=message):
        tensor[key]


def test_an_ellipsis_that_stands_for_nothing_drops_the_partition_too():
    tensor, values = filled((4, 5, 6))
    view = tensor[..., 1, :, 2:4]
    assert view.read().shape == (1, 5, 2)
    assert np.array_equal(values_of(view), values[1, :, 2:4])
    assert tensor[..., 1, :].read().shape == (4, 6)


@pytest.mark.parametrize("address", [None, (0, 0)])
def test_partitions_stay_partitions(address):
    tensor, values = filled((4, 6), address=address)
    for change, what in (
        (lambda: tensor.reshape((8, 3)), "reshaped to"),
        (lambda: tensor.reshape((2, 12)), "reshaped to"),
        (lambda: tensor.permute((1, 0)), "permuted to"),
        (lambda: tensor.expand_dim(0), "expanded at 0"),
    ):
        with pytest.raises(SimulationError, match=rf"\[4, 6\] int32 (cannot be {what}|is not contiguous)"):
            change()
    row = tensor[2]
    assert np.array_equal(values_of(row.reshape((2, 3))), values[2].reshape(2, 3))
    held, values = filled((4, 6), buffer="hbm")
    assert np.array_equal(values_of(held.permute((1, 0)).expand_dim(0)), values.T[None])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: t.broadcast_to((5, 6)),
        lambda t: t.expand_dim(9),
        lambda t: t.ap(None),
        lambda t: t.ap([6, 4]),
        lambda t: Tensor((4, -1), "int32"),
        lambda t: Tensor((), "int32"),
        lambda t: Tensor((4, 4), "float64"),
        lambda t: Tensor((4, 4), "no type"),
    ],
)
def test_errors_of_views_and_tensors_name_the_line(wrong):
    tensor, _ = filled((4, 6))
    with pytest.raises(SimulationError, match=r"test_tensor\.py:\d+: "):
        wrong(tensor)


@pytest.mark.parametrize(("pattern", "offset"), [([[-6, 3], [1, 6]], 6), ([[6, 1], [1, 6]], -6)])
def test_patterns_that_leave_a_tensor_in_front(pattern, offset):
    """With an address there are other tensors' bytes in front of it."""
    filled((10, 6), address=(0, 0))
    tensor, _ = filled((4, 6), address=(10, 0))
    with pytest.raises(SimulationError, match="runs out of"):
        tensor.ap(pattern, offset=offset).read()


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        (
            {"vector_offset": Tensor((2, 1), "float32")},
            "vector_offset is a sbuf tensor .* tensor of integers$",
        ),
        ({"vector_offset": [0, 1]}, r"vector_offset is a \[0, 1\]; it must be a tensor of integers$"),
        (
            {"scalar_offset": Tensor((1, 1), "bfloat16")},
            "scalar_offset is a .* tensor of integers or a register$",
        ),
        ({"scalar_offset": 1.0}, r"scalar_offset is a 1\.0; it must be"),
    ],
)
def test_offsets_are_integers(offset, message):
    tensor, _ = filled((5, 3), buffer="hbm")
    with pytest.raises(SimulationError, match=message):
        tensor.ap([[3, 2], [1, 3]], **offset)


def test_bounds_of_slices_are_integers():
    tensor, _ = filled((5, 3))
    start = Tensor((1, 1), "float32")
    start.write(np.ones((1, 1), np.float32))
    with pytest.raises(SimulationError, match=r"an index must be an integer; sbuf tensor \[1, 1\] float32"):
        tensor[ds(start, 2)]
