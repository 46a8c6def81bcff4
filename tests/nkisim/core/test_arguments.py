"""What kernels are given, and what callers get back."""

from __future__ import annotations

import logging
from collections import namedtuple
from dataclasses import dataclass
from enum import Enum

import ml_dtypes
import numpy as np
import pytest

from nkisim.core.context import state
from nkisim.core.running import run
from nkisim.core.tensor import Tensor

Pair = namedtuple("Pair", "left right")


def add_one(tensor):
    """Write a parameter in place."""
    tensor.write(tensor.read() + 1)


def seen_by_kernel(value, grid=()):
    """What a kernel gets for an argument."""
    seen = []
    run(seen.append, grid, [value], {})
    return seen[0]


@pytest.mark.parametrize(
    "dtype",
    [
        np.float32,
        np.float16,
        ml_dtypes.bfloat16,
        np.int32,
        np.uint8,
        np.bool_,
        ml_dtypes.float8_e4m3,
        ml_dtypes.float8_e5m2,
    ],
)
def test_numpy_in_and_out(dtype):
    array = np.array([[0, 1], [1, 0]]).astype(dtype)
    result = run(lambda t: t, (), [array], {})
    assert result.dtype == array.dtype
    assert np.array_equal(result.astype(np.float32), array.astype(np.float32))


@pytest.mark.parametrize("grid", [(), (1,), (2,)])
def test_arguments_are_in_hbm(grid):
    assert seen_by_kernel(np.zeros((2, 2), np.float32), grid).buffer == "hbm"


VIEWS = {
    "contiguous": lambda a: a,
    "transposed": lambda a: a.T,
    "strided": lambda a: a[::2, 1:],
    "reversed": lambda a: a[::-1],
    "scalar": lambda a: a[:1, :1].reshape(()),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, ml_dtypes.bfloat16])
def test_parameters_written_in_place_are_updated(view, dtype):
    base = np.arange(24).reshape(4, 6).astype(dtype)
    array = view(base)
    expected = array + np.ones((), dtype)
    run(add_one, (), [array], {})
    assert np.array_equal(array.astype(np.float64), expected.astype(np.float64))


def test_untouched_wide_parameters_keep_their_precision():
    array = np.array([1 / 3, 1e300])
    run(lambda t: t.read(), (), [array], {})
    assert array.tolist() == [1 / 3, 1e300]


def test_wide_types_are_narrowed():
    assert seen_by_kernel(np.zeros(2, np.float64)).dtype == "float32"
    assert seen_by_kernel(np.zeros(2, np.int64)).dtype == "int32"
    assert seen_by_kernel(np.zeros(2, np.uint64)).dtype == "uint32"


def test_read_only_arrays_can_be_read_but_not_written():
    array = np.ones((2, 2), np.float32)
    array.flags.writeable = False
    assert run(lambda t: t, (), [array], {}).tolist() == [[1, 1], [1, 1]]
    with pytest.raises(ValueError, match="read-only"):
        run(add_one, (), [array], {})


def test_a_type_nki_does_not_have():
    with pytest.raises(TypeError, match="complex"):
        seen_by_kernel(np.zeros(2, np.complex64))


def test_one_array_is_one_tensor():
    array = np.zeros(3, np.float32)
    seen = seen_by_kernel([array, {"again": array}, Pair(array, 1)])
    assert seen[0] is seen[1]["again"] is seen[2].left
    assert isinstance(seen[2], Pair)


class Mode(Enum):
    FAST = 1


@dataclass
class Config:
    """An argument with a tensor in it, changed by the kernel."""

    weight: object
    index: int = -1
    me: object = None


def test_plain_values_pass_unchanged():
    values = [
        None,
        True,
        3,
        2.5,
        "text",
        b"bytes",
        Mode.FAST,
        np.float32,
        np.float32(3),
        len,
        Tensor,
        logging,
        logging.getLogger("x"),
    ]
    assert all(a is b for a, b in zip(seen_by_kernel(values), values, strict=True))


def test_objects_are_copied_for_each_core_and_tensors_are_shared():
    config = Config(np.zeros(2, np.float32))
    config.me = config
    seen = []

    def kernel(given, also):
        assert given is also is given.me
        given.index = state.core.index
        given.weight[given.index].write(np.full((1, 1), given.index + 5, np.float32))
        seen.append(given)

    run(kernel, (2,), [config], {"also": config})
    assert config.index == -1
    assert [c.index for c in seen] == [0, 1]
    assert seen[0].weight is seen[1].weight
    assert config.weight.tolist() == [5, 6]


def test_results_keep_their_containers():
    def kernel(tensor):
        return {"a": [tensor, (tensor[0],)], "b": Pair(tensor, 7)}

    result = run(kernel, (), [np.eye(2, dtype=np.float32)], {})
    assert result["a"][0].tolist() == [[1, 0], [0, 1]]
    assert result["a"][1][0].tolist() == [1, 0]
    assert isinstance(result["b"], Pair)
    assert result["b"].right == 7


def test_a_tensor_that_is_returned_twice_gives_two_arrays():
    def kernel():
        made = Tensor((2, 3), "float32", "shared_hbm")
        made.write(np.ones((2, 3), np.float32))
        return made, made.reshape((3, 2)), made[0:1]

    first, second, part = run(kernel, (), [], {})
    first[...] = 5
    assert second.shape == (3, 2)
    assert (second == 1).all()
    assert (part == 1).all()


def test_results_are_the_callers_own():
    array = np.zeros(2, np.float32)
    result = run(lambda t: t, (), [array], {})
    result[0] = 9
    assert array[0] == 0


def test_torch_in_and_out():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.int32, torch.float8_e5m2):
        value = torch.ones(2, 3).to(dtype)
        result = run(lambda t: t, (), [value], {})
        assert result.dtype == dtype
        assert (result.float() == 1).all()
    value = torch.zeros(2, 3, dtype=torch.bfloat16)
    run(add_one, (), [value], {})
    assert (value.float() == 1).all()


def test_jax_in_and_out():
    jax = pytest.importorskip("jax")
    result = run(lambda t: t, (), [jax.numpy.ones((2, 2))], {})
    assert isinstance(result, jax.Array)
