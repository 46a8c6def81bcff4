"""Capacities, addresses, and what memory reads as before it is written."""

from __future__ import annotations

import numpy as np
import pytest

from nkisim.core import dtypes
from nkisim.core.context import Core, state
from nkisim.core.errors import SimulationError
from nkisim.core.tensor import Tensor

KIB = 1024


def ones(tensor):
    return np.ones(tensor.shape, np.float32)


@pytest.mark.parametrize("buffer", ["sbuf", "psum"])
def test_at_most_128_partitions(buffer):
    Tensor((128, 1), "float32", buffer)
    with pytest.raises(SimulationError, match=r"129 partitions; the hardware has 128"):
        Tensor((129, 1), "float32", buffer, name="tall")


@pytest.mark.parametrize(("generation", "size"), [(2, 192 * KIB), (3, 224 * KIB), (4, 256 * KIB)])
def test_sbuf_capacity(generation, size, monkeypatch):
    monkeypatch.setattr(state, "generation", generation)
    Tensor((1, size), "int8", "sbuf")
    with pytest.raises(SimulationError, match=f"{size + 1} bytes in a partition; sbuf has {size}"):
        Tensor((1, size + 1), "int8", "sbuf")


def test_psum_capacity():
    Tensor((128, 8, 512), "float32", "psum")
    with pytest.raises(SimulationError, match="16388 bytes in a partition; psum has 16384"):
        Tensor((1, 4097), "float32", "psum")


def test_message_names_file_tensor_and_shape():
    with pytest.raises(
        SimulationError, match=r"test_memory\.py:\d+: sbuf tensor 'big' of shape \[200, 2\] bfloat16"
    ):
        Tensor((200, 2), "bfloat16", "sbuf", name="big")


def test_unknown_buffer():
    with pytest.raises(SimulationError, match="unknown buffer 'dram'"):
        Tensor((1, 1), "float32", "dram")


@pytest.mark.parametrize(
    "dtype",
    ["float32", "bfloat16", "float16", "float8_e4m3", "float8_e5m2", "float8_e4m3fn", "float8_e8m0fnu"],
)
@pytest.mark.parametrize("address", [None, (3, 64)])
def test_new_on_chip_floats_are_nan(dtype, address):
    assert np.isnan(Tensor((5, 7), dtype, "sbuf", address=address).read()).all()


def test_new_integers_are_no_plausible_value():
    assert Tensor((2, 3), "int32", "sbuf").read_raw().tolist() == [[0x5A5A5A5A] * 3] * 2


@pytest.mark.parametrize("buffer", ["hbm", "shared_hbm", "private_hbm"])
def test_new_hbm_is_zero(buffer):
    assert not Tensor((300, 3), "bfloat16", buffer).read().any()


@pytest.mark.parametrize("address", [None, (0, 0)])
def test_a_partial_write_leaves_nan_around_it(address):
    tensor = Tensor((4, 6), "float32", "sbuf", address=address)
    part = tensor[1:3, 2:4]
    part.write(ones(part))
    expected = np.full((4, 6), np.nan, np.float32)
    expected[1:3, 2:4] = 1
    assert np.array_equal(tensor.read(), expected, equal_nan=True)


def test_a_whole_write_needs_no_poison():
    tensor = Tensor((4, 6), "float32", "sbuf")
    tensor.write(ones(tensor))
    assert (tensor.read() == 1).all()


def test_a_repeated_write_as_large_as_the_tensor_is_partial():
    tensor = Tensor((4, 6), "float32", "sbuf")
    tensor.ap([[6, 4], [0, 6]]).write(np.ones((4, 6), np.float32))
    assert (tensor.read()[:, 0] == 1).all()
    assert np.isnan(tensor.read()[:, 1:]).all()


def test_a_dynamic_write_into_new_memory_stays():
    tensor = Tensor((4, 6), "float32", "sbuf")
    tensor.ap([[6, 4], [1, 2]], scalar_offset=3, indirect_dim=1).write(np.ones((4, 2), np.float32))
    read = tensor.read()
    assert (read[:, 3:5] == 1).all()
    assert np.isnan(read[:, :3]).all()
    assert np.isnan(read[:, 5]).all()


def test_a_dynamic_scatter_into_new_memory_stays():
    tensor = Tensor((4, 2), "float32", "sbuf")
    index = Tensor((2, 1), "int32", "sbuf")
    index.write(np.array([[3], [1]], np.int32))
    tensor.ap([[2, 2], [1, 2]], vector_offset=index).write(np.array([[1, 2], [3, 4]], np.float32))
    assert tensor.read()[3].tolist() == [1, 2]
    assert tensor.read()[1].tolist() == [3, 4]
    assert np.isnan(tensor.read()[[0, 2]]).all()


def test_overlapping_addresses_share_bytes():
    wide = Tensor((8, 16), "float32", "sbuf", address=(2, 128))
    wide.write(np.arange(128, dtype=np.float32).reshape(8, 16))
    inner = Tensor((4, 4), "float32", "sbuf", address=(4, 128 + 8 * 4))
    assert np.array_equal(inner.read(), np.arange(128).reshape(8, 16)[2:6, 8:12])
    inner.write(np.zeros((4, 4), np.float32))
    assert not wide.read()[2:6, 8:12].any()
    assert wide.read()[0, 1] == 1


def test_neighbours_do_not_share_bytes():
    left = Tensor((4, 4), "float32", "sbuf", address=(0, 0))
    right = Tensor((4, 4), "float32", "sbuf", address=(0, 16))
    left.write(ones(left))
    right.write(ones(right) * 2)
    assert (left.read() == 1).all()


def test_memories_are_apart():
    sbuf = Tensor((4, 4), "float32", "sbuf", address=(0, 0))
    psum = Tensor((4, 4), "float32", "psum", address=(0, 0))
    sbuf.write(ones(sbuf))
    assert np.isnan(psum.read()).all()


@pytest.mark.parametrize("address", [(125, 0), (0, 224 * KIB - 15), (-1, 0), (0, -4)])
def test_addresses_past_the_end(address):
    with pytest.raises(SimulationError, match="runs past the end of sbuf"):
        Tensor((4, 4), "float32", "sbuf", address=address)


def test_psum_addresses_start_a_bank():
    Tensor((4, 4), "float32", "psum", address=(0, 2048))
    with pytest.raises(SimulationError, match="must start a bank, a multiple of 2048"):
        Tensor((4, 4), "float32", "psum", address=(0, 1024))


def test_written_flags_follow_the_view():
    tensor = Tensor((4, 4), "float32", "psum", address=(1, 2048))
    tensor.written_flags()
    tensor[1:2, 2:3].write(np.zeros((1, 1), np.float32))
    expected = np.zeros((4, 4), bool)
    expected[1, 2] = True
    assert np.array_equal(tensor.written_flags(), expected)


def test_dtype_objects_and_strings_allocate_alike():
    assert Tensor((1, 2), "bfloat16").dtype is dtypes.bfloat16
    assert Tensor((1, 2), dtypes.bfloat16).buffer == "sbuf"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_memory_of_an_earlier_core_reads_as_unwritten(dtype):
    for _ in range(2):
        state.core = Core(0, 1, ())
        tensor = Tensor((128, 512), dtype, "sbuf", address=(0, 16 * KIB))
        assert np.isnan(tensor.read()).all()
        tensor.write(ones(tensor))
        del tensor


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float8_e5m2"])
def test_what_a_first_write_leaves_reads_as_nan(dtype):
    tensor = Tensor((8, 1600), dtype, "sbuf")
    tensor[2:4, 5:9].write(np.ones((2, 4), np.float32))
    expected = np.full((8, 1600), np.nan, np.float32)
    expected[2:4, 5:9] = 1
    np.testing.assert_array_equal(tensor.read(), expected)
