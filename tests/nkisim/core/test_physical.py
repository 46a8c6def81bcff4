"""Unwritten bytes of a memory with addresses are filled late; nobody may see that they were not."""

import numpy as np
import pytest

from nkisim.core import physical
from nkisim.core.context import Core, state
from nkisim.core.tensor import Tensor

ROWS, WIDTH = 128, 192 << 10
LEFT_BEHIND = 7
"""What the memory held before."""
DTYPES = ("uint8", "int32", "bfloat16", "float32")


@pytest.fixture
def core(monkeypatch):
    """A core whose memory is full of what somebody left there."""
    monkeypatch.setattr(physical, "borrow", lambda size: np.full(size, LEFT_BEHIND, np.uint8))
    monkeypatch.setattr(state, "core", Core(0, 1, ()))
    return state.core


class Model:
    """A memory of bytes that is filled at the start."""

    def __init__(self):
        self.bytes = np.full((ROWS, 512), 0xFF, np.uint8)

    def of(self, tensor):
        (row, byte), (rows, elements) = tensor.address, tensor.shape
        return self.bytes[row : row + rows, byte : byte + elements * tensor.dtype.itemsize]


def raw(tensor):
    return np.ascontiguousarray(tensor.read_raw()).view(np.uint8)


def drawn(random):
    """A tensor at a random place."""
    dtype = DTYPES[random.integers(len(DTYPES))]
    rows, elements = int(random.choice([1, 4, 64, 128])), int(random.integers(1, 17))
    place = int(random.integers(0, ROWS - rows + 1)), int(random.integers(0, 97)) * 4
    return Tensor((rows, elements), dtype, "sbuf", address=place)


def step(random, tensors, model, check):
    """Do something to one of the tensors, and the same to the model."""
    tensor = tensors[random.integers(len(tensors))]
    kind = random.integers(4)
    seen = model.of(tensor)
    if kind == 0:
        values = random.integers(0, 256, seen.shape).astype(np.uint8)
        tensor.write(values.view(tensor.dtype.numpy))
        seen[...] = values
    elif kind == 1:
        rows, size = int(random.integers(1, tensor.shape[0] + 1)), tensor.dtype.itemsize
        values = random.integers(0, 256, (rows, size)).astype(np.uint8)
        tensor[:rows, :1].write(values.view(tensor.dtype.numpy))
        seen[:rows, :size] = values
    elif check:
        assert np.array_equal(raw(tensor), seen)


@pytest.mark.parametrize("seed", range(60))
def test_overlapping_tensors_are_bytes_of_one_memory(core, seed):
    random, model = np.random.default_rng(seed), Model()
    tensors = []
    for _ in range(60):
        if not tensors or random.random() < 0.4:
            tensors.append(drawn(random))
        step(random, tensors, model, check=True)
    for tensor in tensors:
        assert np.array_equal(raw(tensor), model.of(tensor))


@pytest.mark.parametrize("seed", range(40))
def test_a_launch_again_finds_the_memory_as_the_first_one_did(core, seed):
    """All tensors are there from its start on, as in a recording."""
    random = np.random.default_rng(seed)
    tensors, used = [], []
    for _ in range(50):
        if not tensors or random.random() < 0.4:
            tensors.append(drawn(random))
        chosen = int(random.integers(len(tensors)))
        used.append((chosen, int(random.integers(1 << 30))))
        step(np.random.default_rng(used[-1][1]), [tensors[chosen]], Model(), check=False)
    for tensor in tensors:
        tensor.storage.fresh = False
    core.restart()
    model = Model()
    for chosen, seed_of_step in used:
        step(np.random.default_rng(seed_of_step), [tensors[chosen]], model, check=True)
    for tensor in tensors:
        assert np.array_equal(raw(tensor), model.of(tensor))


def test_whole_writes_of_tensors_at_one_place_fill_nothing(core, monkeypatch):
    filled = []
    monkeypatch.setattr(physical, "fill_box", lambda raw, pitch, box: filled.append(box))
    for _ in range(2):
        tensors = [Tensor((128, 64), "float32", "sbuf", address=(0, place)) for place in (0, 256, 0)]
        for tensor in tensors:
            tensor.write(np.ones((128, 64), np.float32))
    assert not filled


def test_a_smaller_tensor_that_is_written_leaves_the_rest_as_unwritten(core):
    wide = Tensor((128, 64), "float32", "sbuf", address=(0, 0))
    Tensor((64, 32), "float32", "sbuf", address=(32, 64)).write(np.ones((64, 32), np.float32))
    read = wide.read()
    assert (read[32:96, 16:48] == 1).all()
    read[32:96, 16:48] = np.nan
    assert np.isnan(read).all()


def test_tensors_at_one_place_are_not_searched_for_one_by_one(core, monkeypatch):
    searched = []
    real = physical.overlapping
    monkeypatch.setattr(
        physical, "overlapping", lambda box, others: searched.append(len(others)) or real(box, others)
    )
    places = [(0, 64 * (number % 100)) for number in range(1000)]
    tensors = [Tensor((128, 16), "float32", "sbuf", address=place) for place in places]
    tensors[3].write(np.ones((128, 16), np.float32))
    assert max(searched) <= 65
    assert (tensors[103].read() == 1).all()
    assert np.isnan(tensors[104].read()).all()


def test_many_small_tensors(core):
    tensors = [Tensor((1, 1), "float32", "sbuf", address=(row, 8 * row)) for row in range(128)]
    around = Tensor((128, 256), "float32", "sbuf", address=(0, 0))
    tensors[5].write(np.ones((1, 1), np.float32))
    read = around.read()
    assert read[5, 10] == 1
    assert np.isnan(read).sum() == read.size - 1


def test_elements_written_twice_are_not_all_of_a_tensor(core):
    tensor = Tensor((4, 4), "float32", "sbuf")
    tensor.ap([[4, 4], [1, 2], [1, 2]]).write(np.ones((4, 2, 2), np.float32))
    assert (tensor.read()[:, :3] == 1).all()
    assert np.isnan(tensor.read()[:, 3]).all()


def test_what_is_filled_for_one_tensor_is_filled_for_those_it_overlaps(core):
    first, between, last = (Tensor((4, 8), "float32", "sbuf", address=(0, place)) for place in (0, 16, 32))
    first.write(np.ones((4, 8), np.float32))
    between[:, 7:].write(np.ones((4, 1), np.float32) * 2)
    expected = np.full((4, 8), np.nan, np.float32)
    expected[:, 3] = 2
    assert np.array_equal(last.read(), expected, equal_nan=True)
