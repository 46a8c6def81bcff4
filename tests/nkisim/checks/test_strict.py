"""Strict mode while kernels run: sources, unwritten memory, ranges, accumulation."""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

import nkisim
import nkisim.isa as nisa
import nkisim.language as nl
from nkisim import SimulationError, StrictWarning
from nkisim.core.context import state

X = np.arange(128 * 8, dtype=np.float32).reshape(128, 8)


def strictly(kernel, *args, grid=None):
    """Launch a kernel in strict mode."""
    launched = nkisim.jit(kernel)
    with nkisim.strict():
        return (launched[grid] if grid else launched)(*args)


def here(text: str) -> int:
    """The line of this file with a comment."""
    with open(__file__, encoding="utf-8") as file:
        return next(n for n, line in enumerate(file, 1) if line.rstrip().endswith(f"# {text}"))


# -- sources ---------------------------------------------------------------------------------------------


def doubled(x):
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=tile, src=x)
    nisa.tensor_tensor(dst=tile, data1=tile, data2=tile, op=nl.add)
    nisa.dma_copy(dst=out, src=tile)
    return out


@dataclass
class Tiles(nl.NKIObject):
    rows: int
    made: int = 0

    def halves(self):
        return [self.rows // 2 for _ in range(2)]  # in a method

    def not_called(self):
        return sorted([self.rows])


class Plain:
    def __init__(self, rows):
        self.rows = rows


def listed(x):
    return [n for n in x.shape]  # in a callee  # noqa: C416


def calls_listed(x):
    listed(x)
    return doubled(x)


def calls_wrapped(x):
    functools.partial(listed, x)()
    return doubled(x)


def makes_tiles(x):
    Tiles(x.shape[0]).halves()
    return doubled(x)


def makes_plain(x):
    Plain(x.shape[0])
    return doubled(x)


def loops_over_items(x):
    for _name, _value in {"a": 1}.items():
        pass
    return doubled(x)


def test_a_legal_kernel_passes_with_the_same_result():
    assert np.array_equal(strictly(doubled, X), 2 * X)


@pytest.mark.parametrize(
    ("kernel", "where"),
    [
        (calls_listed, "in a callee  # noqa: C416"),
        (calls_wrapped, "in a callee  # noqa: C416"),
        (makes_tiles, "in a method"),
    ],
)
def test_what_a_kernel_calls_is_checked(kernel, where):
    with pytest.raises(SimulationError) as caught:
        strictly(kernel, X)
    assert f"{kernel.__name__} is not in the NKI language" in str(caught.value)
    assert f"{__file__}:{here(where)}: comprehensions" in str(caught.value)
    assert str(caught.value).count("[") == 1  # nothing else, not the method that is not called


def test_classes_must_be_of_nki():
    with pytest.raises(SimulationError, match=r"NKIObject as its only base .* none \[class-base\]"):
        strictly(makes_plain, X)


def test_without_strict_mode_it_runs():
    assert np.array_equal(nkisim.jit(calls_listed)(X), 2 * X)
    assert not state.listeners
    assert not state.allocations


def test_doubts_are_warnings():
    with pytest.warns(StrictWarning, match="loop-target-of-dict"):
        assert np.array_equal(strictly(loops_over_items, X), 2 * X)


def test_no_source_is_a_warning():
    space = {"doubled": doubled}
    exec("def made(x):\n    return doubled(x)", space)
    with pytest.warns(StrictWarning, match="made is not checked"):
        strictly(space["made"], X)


def test_the_environment_turns_it_on(monkeypatch):
    monkeypatch.setenv("NKISIM_STRICT", "1")
    with pytest.raises(SimulationError, match="comprehension"):
        nkisim.jit(calls_listed)(X)
    monkeypatch.setenv("NKISIM_STRICT", "0")
    nkisim.jit(calls_listed)(X)


def last_row(x):
    out = nl.ndarray((1, 8), dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out, src=x[-1])
    return out


def test_negative_integers():
    assert np.array_equal(nkisim.jit(last_row)(X), X[127:])
    with pytest.raises(SimulationError, match="index -1 is negative"):
        strictly(last_row, X)


# -- memory that nothing wrote -----------------------------------------------------------------------------


def partly_read(x):
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)  # partly written
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=tile[0:96, 0:8], src=x[0:96, 0:8])
    nisa.memset(dst=tile[96:128, 0:6], value=0)
    nisa.activation(dst=tile, op=nl.copy, data=tile)  # partly read
    nisa.dma_copy(dst=out, src=tile)
    return out


def test_a_read_of_what_nothing_wrote():
    with pytest.raises(SimulationError) as caught:
        strictly(partly_read, X)
    text = str(caught.value)
    assert text.startswith(
        f"{__file__}:{here('partly read')}: nisa.activation: data is a sbuf tensor [128, 8] float32"
    )
    assert "element [96, 6] (partition, element in it)" in text
    assert f"allocated at {__file__}:{here('partly written')}, and 64 of 1024 are unwritten" in text


def integers_too(x):
    tile = nl.ndarray((128, 4), dtype=nl.int32, buffer=nl.sbuf)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.add, operand0=1)
    return doubled(x)


def read_back(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=out)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.add, operand0=1.0)
    return doubled(x)


def added_to_nothing(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out, src=x, dst_rmw_op=nl.add)
    return out


def through_another_type(x):
    tile = nl.ndarray((128, 8), dtype=nl.bfloat16, buffer=nl.sbuf)
    nisa.memset(dst=tile[:, 0:3], value=1)
    nisa.tensor_scalar(dst=tile[:, 0:4], data=tile.view(nl.uint16)[:, 0:4], op0=nl.add, operand0=0)
    return doubled(x)


def at_an_address(x):
    first = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf, address=(0, 0))
    nisa.memset(dst=first, value=1)
    second = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf, address=(0, 16))
    nisa.tensor_scalar(dst=first, data=second, op0=nl.add, operand0=0.0)
    return doubled(x)


def gathered(x):
    rows = nl.ndarray((128, 1), dtype=nl.uint32, buffer=nl.sbuf)
    table = nl.ndarray((4, 8), dtype=nl.float32, buffer=nl.private_hbm)
    tile = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=table[0:3, :], src=x[0:3, :])
    nisa.iota(dst=rows, pattern=[[0, 1]], offset=3, channel_multiplier=0)
    nisa.dma_copy(
        dst=tile, src=table.ap(pattern=[[8, 128], [1, 8]], offset=0, vector_offset=rows, indirect_dim=0)
    )
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.add, operand0=1.0)
    return doubled(x)


@pytest.mark.parametrize(
    ("kernel", "element"),
    [
        (integers_too, "[0, 0]"),
        (read_back, "[0, 0]"),
        (added_to_nothing, "[0, 0]"),
        (through_another_type, "[0, 3]"),
        (at_an_address, "[0, 4]"),
        (gathered, "[0, 0]"),
    ],
)
def test_reads_of_unwritten_memory(kernel, element):
    nkisim.jit(kernel)(X)
    with pytest.raises(SimulationError) as caught:
        strictly(kernel, X)
    assert f"nothing has written its element {element}" in str(caught.value)


def scattered(x):
    """Rows are written in reverse through indices; one index is out of range and skipped; all others are read."""
    rows = nl.ndarray((128, 1), dtype=nl.int32, buffer=nl.sbuf)
    table = nl.ndarray((130, 8), dtype=nl.float32, buffer=nl.shared_hbm)
    nisa.iota(dst=rows, pattern=[[0, 1]], offset=128, channel_multiplier=-1)
    tile = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    nisa.dma_copy(
        dst=table.ap(pattern=[[8, 128], [1, 8]], offset=0, vector_offset=rows, indirect_dim=0),
        src=tile,
        oob_mode=nisa.oob_mode.skip,
    )
    nisa.dma_copy(dst=tile, src=table[1:129, :])
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out, src=tile)
    return out


def chosen(x):
    predicate = nl.ndarray((128, 8), dtype=nl.uint8, buffer=nl.sbuf)
    tile = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    result = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    nisa.memset(dst=predicate, value=1)
    nisa.tensor_copy_predicated(dst=result, src=tile, predicate=predicate)
    nisa.memset(dst=predicate[:, 0:4], value=0)
    nisa.tensor_copy_predicated(dst=result, src=tile, predicate=predicate, reverse_pred=True)
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out, src=result)
    return out


def column_is_taller(x):
    column = nl.ndarray((128, 1), dtype=nl.float32, buffer=nl.sbuf)
    tile = nl.ndarray((64, 8), dtype=nl.float32, buffer=nl.sbuf)
    out = nl.ndarray((64, 8), dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=tile, src=x[0:64, :])
    nisa.memset(dst=column[0:64, :], value=1)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.multiply, operand0=column)
    nisa.dma_copy(dst=out, src=tile)
    return out


def zeroed(x):
    total = nl.zeros((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    tile = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    nisa.tensor_tensor(dst=total, data1=total, data2=tile, op=nl.add)
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out, src=total)
    return out


@pytest.mark.parametrize(
    ("kernel", "expected"), [(scattered, X[::-1]), (chosen, X), (column_is_taller, X[:64]), (zeroed, X)]
)
def test_what_is_written_may_be_read(kernel, expected):
    assert np.array_equal(strictly(kernel, X), expected)


def copied_about(x):
    """Unwritten memory is copied, and used where it is written; a skipped row of a gather stays written."""
    tile = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    rows = nl.ndarray((128, 1), dtype=nl.int32, buffer=nl.sbuf)
    copy = nl.ndarray((128, 8), dtype=nl.bfloat16, buffer=nl.sbuf)
    kept = nl.ndarray((128, 8), dtype=nl.bfloat16, buffer=nl.private_hbm)
    nisa.dma_copy(dst=tile[:, 0:5], src=x[:, 0:5])
    nisa.tensor_copy(dst=copy, src=tile)
    nisa.dma_copy(dst=kept, src=copy)
    nisa.iota(dst=rows, pattern=[[0, 1]], offset=1, channel_multiplier=1)
    nisa.dma_copy(
        dst=copy,
        src=kept.ap(pattern=[[8, 128], [1, 8]], offset=0, vector_offset=rows, indirect_dim=0),
        oob_mode=nisa.oob_mode.skip,
    )
    nisa.tensor_scalar(dst=tile[:, 0:5], data=copy[:, 0:5], op0=nl.multiply, operand0=1.0)
    out = nl.ndarray((128, 5), dtype=nl.float32, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out, src=tile[:, 0:5])
    return out


def test_copies_of_unwritten_memory_are_unwritten():
    small = X % 8
    expected = np.concatenate([small[1:], small[127:]])[:, :5]
    assert np.array_equal(strictly(copied_about, small), expected)


def transposed(x):
    """[128, 8] with columns 5 to 7 unwritten, transposed by two engines and by DMA; the first rows are used."""
    tile = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile[:, 0:5], src=x[:, 0:5])
    flipped = nl.ndarray((8, 128), dtype=nl.float32, buffer=nl.psum)
    nisa.nc_transpose(dst=flipped, data=tile.reshape((128, 2, 4)))
    result = nl.ndarray((8, 128), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_copy(dst=result, src=flipped)
    moved = nl.ndarray((8, 128), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_transpose(dst=moved, src=tile)
    nisa.tensor_tensor(dst=result[0:5, :], data1=result[0:5, :], data2=moved[0:5, :], op=nl.add)
    out = nl.ndarray((5, 128), dtype=nl.float32, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out, src=result[0:5, :])
    nisa.tensor_scalar(dst=moved, data=moved, op0=nl.add, operand0=1.0)
    return out


def test_transposes_are_copies():
    assert np.array_equal(nkisim.jit(transposed)(X), 2 * X.T[:5])
    with pytest.raises(SimulationError, match=r"element \[5, 0\] .* 384 of 1024 are unwritten"):
        strictly(transposed, X)


def used_after_copy(x):
    tile = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    copy = nl.ndarray((128, 8), dtype=nl.bfloat16, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile[:, 0:5], src=x[:, 0:5])
    nisa.tensor_copy(dst=copy, src=tile)
    nisa.tensor_scalar(dst=copy, data=copy, op0=nl.multiply, operand0=1.0)
    return doubled(x)


def test_what_was_copied_unwritten_may_not_be_used():
    with pytest.raises(SimulationError, match=r"nothing has written its element \[0, 5\]"):
        strictly(used_after_copy, X)


def half_chosen(x):
    predicate = nl.ndarray((128, 8), dtype=nl.uint8, buffer=nl.sbuf)
    result = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    nisa.memset(dst=predicate[:, 0:5], value=1)
    nisa.memset(dst=predicate[:, 5:8], value=0)
    nisa.tensor_copy_predicated(dst=result, src=0.0, predicate=predicate)
    nisa.tensor_scalar(dst=result, data=result, op0=nl.add, operand0=1.0)
    return doubled(x)


def test_what_a_predicate_left_out_is_not_written():
    with pytest.raises(SimulationError, match=r"element \[0, 5\]"):
        strictly(half_chosen, X)


def two_cores(x):
    """Each core writes half of a shared tensor and reads the other half."""
    shared = nl.ndarray((2, 128, 8), dtype=nl.float32, buffer=nl.shared_hbm, name="shared")
    out = nl.ndarray((2, 128, 8), dtype=nl.float32, buffer=nl.shared_hbm, name="out")
    core = nl.program_id(axis=0)
    tile = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.add, operand0=float(core))
    nisa.dma_copy(dst=shared[core], src=tile)
    nisa.core_barrier(data=shared, cores=(0, 1))
    nisa.dma_copy(dst=out[core], src=shared[1 - core])
    return out


def test_shared_memory_is_known_on_both_cores():
    assert np.array_equal(strictly(two_cores, X, grid=2), np.stack([X + 1, X]))


# -- activations -------------------------------------------------------------------------------------------


def activated(x, op, scale, bias):
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=tile, src=x)
    nisa.activation(dst=tile, op=op, data=tile, scale=scale, bias=bias)
    nisa.dma_copy(dst=out, src=tile)
    return out


RANGES = [
    ("log", nl.log, 2.0**-64, 2.0**64),
    ("sin", nl.sin, -math.pi, math.pi),
    ("arctan", nl.arctan, -math.pi / 2, math.pi / 2),
    ("sqrt", nl.sqrt, 2.0**-116, 2.0**118),
    ("rsqrt", nl.rsqrt, 2.0**-87, 2.0**97),
    ("reciprocal", nl.reciprocal, 2.0**-42, 2.0**42),
]


@pytest.mark.parametrize(("name", "op", "low", "high"), RANGES)
def test_ranges(name, op, low, high):
    inside = np.array([[low, high], [(low + high) / 2, high]], np.float32)
    if name == "sin":
        inside *= np.float32(0.999)
    result = strictly(activated, inside, op, 1.0, 0.0)
    assert np.isfinite(result).all()
    for value in (low - abs(low) / 64, high + abs(high) / 64, np.nan):
        outside = inside.copy()
        outside[1, 1] = value
        nkisim.jit(activated)(outside, op, 1.0, 0.0)
        with pytest.raises(SimulationError, match=rf"nl.{name} is valid .* partition 1, element 1 \(1 of 4"):
            strictly(activated, outside, op, 1.0, 0.0)


def test_ranges_are_of_what_the_function_gets():
    ones = np.ones((2, 2), np.float32)
    assert np.allclose(strictly(activated, -4 * ones, nl.sin, 0.5, 1.0), math.sin(-1))
    with pytest.raises(SimulationError, match=r"nl.sin is valid for inputs in \[-π, π\]; .* is 4 in"):
        strictly(activated, ones, nl.sin, 3.0, 1.0)
    assert (strictly(activated, -2 * ones, nl.reciprocal, 1.0, 0.0) == -0.5).all()


@pytest.mark.parametrize("op", [nl.exp, nl.relu, nl.square, nl.tanh, nl.copy])
def test_others_take_everything(op):
    strictly(activated, np.array([[-3e38, 3e38, np.inf]], np.float32), op, 1.0, 0.0)


# -- accumulation ------------------------------------------------------------------------------------------


def accumulated(x, fill, again):
    tile = nl.ndarray(x.shape, dtype=nl.float32, buffer=nl.sbuf)
    total = nl.ndarray((8, 8), dtype=nl.float32, buffer=nl.psum)
    out = nl.ndarray((8, 8), dtype=nl.float32, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=tile, src=x)
    if fill is not None:
        nisa.memset(dst=total[:, 0:4], value=fill)
    for _ in range(2):
        nisa.nc_matmul(dst=total, stationary=tile, moving=tile)
    if again:
        nisa.tensor_scalar(dst=total, data=total, op0=nl.multiply, operand0=2.0)
        nisa.nc_matmul(dst=total, stationary=tile, moving=tile)
    result = nl.ndarray((8, 8), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_copy(dst=result, src=total)
    nisa.dma_copy(dst=out, src=result)
    return out


SMALL = (X % 5).astype(np.float32)


@pytest.mark.parametrize("fill", [None, 0.0])
def test_accumulation_of_matmuls(fill):
    assert np.array_equal(strictly(accumulated, SMALL, fill, False), 2 * SMALL.T @ SMALL)


@pytest.mark.parametrize(("fill", "again"), [(1.0, False), (None, True)])
def test_matmuls_onto_what_another_instruction_left(fill, again):
    with pytest.raises(SimulationError, match="another instruction than a matmul"):
        strictly(accumulated, SMALL, fill, again)


def reused_address(x):
    first = nl.ndarray((8, 8), dtype=nl.float32, buffer=nl.psum, address=(0, 2048))
    nisa.memset(dst=first, value=1.0)
    return accumulated_at(x, nl.ndarray((8, 8), dtype=nl.float32, buffer=nl.psum, address=(0, 2048)))


def accumulated_at(x, total):
    tile = nl.ndarray(x.shape, dtype=nl.float32, buffer=nl.sbuf)
    out = nl.ndarray((8, 8), dtype=nl.float32, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=tile, src=x)
    nisa.nc_matmul(dst=total, stationary=tile, moving=tile)
    result = nl.ndarray((8, 8), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_copy(dst=result, src=total)
    nisa.dma_copy(dst=out, src=result)
    return out


def taken_turns(x):
    """Two tiles at one address: each is what its own last writers left."""
    first = nl.ndarray((8, 8), dtype=nl.float32, buffer=nl.psum, address=(0, 2048))
    second = nl.ndarray((8, 8), dtype=nl.float32, buffer=nl.psum, address=(0, 2048))
    nisa.memset(dst=first, value=1.0)
    return accumulated_at(x, second)


@pytest.mark.parametrize("kernel", [reused_address, taken_turns])
def test_another_tile_at_the_same_address_is_another_accumulation(kernel):
    assert np.array_equal(strictly(kernel, SMALL), SMALL.T @ SMALL)


def test_the_newest_generation_allows_it(monkeypatch):
    monkeypatch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", "trn3")
    strictly(accumulated, SMALL, 1.0, False)


def test_nothing_is_left_behind_after_an_error():
    with pytest.raises(SimulationError):
        strictly(partly_read, X)
    assert state.listeners == state.allocations == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(nkisim.jit(doubled)(X), 2 * X)


# -- operands ----------------------------------------------------------------------------------------------


def filled(rows, columns=4, dtype=nl.float32, address=None):
    tile = nl.ndarray((rows, columns), dtype=dtype, buffer=nl.sbuf, address=address)
    nisa.memset(dst=tile, value=1)
    return tile


def parts_copied(x, rows, start, count, address):
    tile, other = filled(rows, address=address), filled(128)
    nisa.tensor_copy(dst=other[0:count], src=tile[start : start + count])  # a part
    return doubled(x)


@pytest.mark.parametrize(
    ("rows", "start", "count"),
    [
        (128, 0, 128),
        (128, 64, 64),
        (128, 96, 32),
        (128, 32, 20),
        (128, 64, 33),
        (40, 32, 8),
        (8, 0, 5),
        (128, 0, 97),
    ],
)
def test_partitions_that_an_engine_reaches(rows, start, count):
    strictly(parts_copied, X, rows, start, count, None)


@pytest.mark.parametrize(
    ("rows", "start", "count", "allowed"),
    [
        (128, 1, 1, "0 or 32 or 64 or 96"),
        (128, 100, 28, "0 or 32 or 64 or 96"),
        (128, 32, 33, "0 or 64"),
        (128, 31, 97, "0"),
        (128, 2, 65, "0"),
        (8, 4, 4, "0 or 32 or 64 or 96"),
    ],
)
def test_partitions_that_no_engine_reaches(rows, start, count, allowed):
    with pytest.raises(SimulationError) as caught:
        strictly(parts_copied, X, rows, start, count, None)
    text = str(caught.value)
    assert text.startswith(
        f"{__file__}:{here('a part')}: nisa.tensor_copy: src is a sbuf tensor [{count}, 4]"
    )
    assert f"starts at partition {start}; an operand of {count} partitions starts at {allowed}" in text
    nkisim.jit(parts_copied)(X, rows, start, count, None)


def test_an_address_counts():
    strictly(parts_copied, X, 8, 0, 8, (64, 0))
    with pytest.raises(SimulationError, match="starts at partition 8; an operand of 8 partitions"):
        strictly(parts_copied, X, 8, 0, 8, (8, 0))


def every_second(x):
    tile, other = filled(64), filled(32)
    nisa.tensor_copy(dst=other, src=tile[0:64:2])
    return doubled(x)


def one_for_all(x):
    tile, other = filled(1), filled(32)
    nisa.tensor_copy(dst=other, src=tile.ap([[0, 32], [1, 4]]))
    return doubled(x)


@pytest.mark.parametrize(("kernel", "step"), [(every_second, 2), (one_for_all, 0)])
def test_partitions_follow_each_other(kernel, step):
    with pytest.raises(SimulationError, match=f"with {step} partitions from one to the next"):
        strictly(kernel, X)
    nkisim.jit(kernel)(X)


def moved_by_dma(x):
    tile, out = filled(128), nl.ndarray((8, 4), dtype=nl.float32, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=tile[3:7], src=tile[9:17:2])
    nisa.dma_copy(dst=out, src=tile[1:9])
    return doubled(x)


def test_dma_reaches_all_partitions():
    strictly(moved_by_dma, X)


def with_column(x, name, dtype):
    tile, column = filled(8), filled(8, 1, getattr(nl, dtype))
    given = {
        "scale": lambda: nisa.activation(dst=tile, op=nl.exp, data=tile, scale=column),
        "bias": lambda: nisa.activation(dst=tile, op=nl.exp, data=tile, bias=column),
        "operand0": lambda: nisa.tensor_scalar(dst=tile, data=tile, op0=nl.add, operand0=column),
        "operand1": lambda: nisa.tensor_scalar(
            dst=tile, data=tile, op0=nl.add, operand0=1.0, op1=nl.multiply, operand1=column
        ),
        "reduced": lambda: nisa.tensor_scalar_reduce(
            dst=tile, data=tile, op0=nl.add, operand0=column, reduce_op=nl.add, reduce_res=tile[:, 0:1]
        ),
        "max_value": lambda: nisa.exponential(dst=tile, src=tile, max_value=column),
        "imm0": lambda: nisa.tensor_scalar_cumulative(
            dst=tile, src=tile, op0=nl.add, op1=nl.add, imm0=column
        ),
    }
    given[name]()
    return doubled(x)


@pytest.mark.filterwarnings("ignore::nkisim.StrictWarning")
@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("scale", ["float32"], ["bfloat16", "int32"]),
        ("bias", ["float32", "bfloat16", "float16"], ["float8_e4m3", "int32"]),
        ("operand0", ["float32"], ["bfloat16", "float16"]),
        ("operand1", ["float32"], ["bfloat16"]),
        ("reduced", ["float32"], ["bfloat16"]),
        ("max_value", ["float32"], ["bfloat16"]),
        ("imm0", ["float32"], ["float16"]),
    ],
)
def test_element_types_of_columns(name, allowed, refused, monkeypatch):
    monkeypatch.setattr("nkisim.checks.session.check_source", lambda function: None)
    monkeypatch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", "trn3")
    spelled = {"reduced": "operand0"}.get(name, name)
    for dtype in allowed:
        strictly(with_column, X, name, dtype)
    for dtype in refused:
        with pytest.raises(SimulationError, match=rf"{spelled} is a sbuf tensor \[8, 1\] {dtype}"):
            strictly(with_column, X, name, dtype)


def bits_shifted(x):
    tile, column = filled(8, 4, nl.int32), filled(8, 1, nl.int32)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.left_shift, operand0=column)
    return doubled(x)


def test_columns_of_bitvec_operators_are_integers():
    strictly(bits_shifted, X)
