"""nki.language: names, allocation, constants, program ids, loops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from tiles import got, raw

from nkisim import isa as nisa
from nkisim import language as nl
from nkisim import tensor as ntensor
from nkisim.core.errors import SimulationError
from nkisim.core.registers import Register
from nkisim.kernel import jit

DOCUMENTED = """
NKIObject bool_ int8 int16 int32 uint8 uint16 uint32 float16 float32 bfloat16 tfloat32 float8_e4m3
float8_e5m2 float8_e4m3fn float8_e5m2_x4 float8_e4m3fn_x4 float4_e2m1fn_x4 ndarray zeros shared_constant
shared_identity_matrix affine_range ds sequential_range static_range tile_size abs add bitwise_and
bitwise_or bitwise_xor divide equal gelu_apprx_sigmoid gelu_apprx_sigmoid_dx greater greater_equal invert
left_shift less less_equal logical_and logical_not logical_or logical_xor maximum minimum multiply not_equal
power reciprocal right_shift rsqrt subtract sbuf psum hbm shared_hbm private_hbm device_print num_programs
program_id program_ndim arctan copy erf erf_dx exp gelu gelu_apprx_tanh gelu_dx log mish relu sigmoid sign
silu silu_dx sin softplus sqrt square tanh dynamic_range no_reorder par_dim nc unique_name
"""


@pytest.mark.parametrize("name", DOCUMENTED.split())
def test_documented_name(name: str) -> None:
    assert hasattr(nl, name)


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        ("float32", 4),
        ("bfloat16", 2),
        ("float8_e4m3", 1),
        ("float4_e2m1fn_x4", 2),
        ("float8_e5m2_x4", 4),
    ],
)
def test_element_types_print_as_their_names(dtype: str, size: int) -> None:
    assert str(getattr(nl, dtype)) == dtype
    assert getattr(nl, dtype).itemsize == size


@pytest.mark.parametrize("buffer", ["sbuf", "psum", "hbm", "shared_hbm", "private_hbm"])
@pytest.mark.parametrize("kind", [nl.float32, nl.bfloat16, nl.int32, nl.uint8, nl.float8_e4m3])
def test_filled_tensors(buffer: str, kind: Any) -> None:
    for made, value in (
        (nl.zeros((3, 5), kind, buffer=buffer), 0),
        (nl.ones((3, 5), kind, buffer=buffer), 1),
        (nl.full((3, 5), 7, kind, buffer=buffer), 7),
    ):
        assert (made.shape, made.dtype, made.buffer) == ((3, 5), kind, buffer)
        assert got(made).tolist() == [[value] * 5] * 3


def test_ndarray_is_a_class_and_allocates_in_sbuf() -> None:
    assert isinstance(nl.ndarray, type)
    made = nl.ndarray((4, 2), dtype=nl.bfloat16)
    assert isinstance(made, nl.ndarray)
    assert made.buffer == nl.sbuf
    assert np.isnan(got(made)).all()


@pytest.mark.parametrize("kind", [nl.float32, nl.bfloat16, nl.int8, nl.uint8])
@pytest.mark.parametrize("n", [1, 5, 128])
def test_identity(n: int, kind: Any) -> None:
    for made in (nl.shared_constant(ntensor.identity(n, kind)), nl.shared_identity_matrix(n, kind)):
        assert made.dtype is kind
        assert got(made).tolist() == [[float(i == j) for j in range(n)] for i in range(n)]


def test_identity_is_of_bytes_by_default() -> None:
    assert nl.shared_identity_matrix(3).dtype is nl.uint8


def test_trace_time_tensors() -> None:
    assert ntensor.arange(2, 10, 3, nl.int32).tolist() == [2, 5, 8]
    assert ntensor.arange(3, dtype=nl.float32).tolist() == [0, 1, 2]
    assert ntensor.zeros((2, 2), nl.bfloat16).tolist() == [[0, 0], [0, 0]]
    table = nl.shared_constant(ntensor.arange(0, 4, dtype=nl.float32) * 2 + 1, dtype=nl.bfloat16)
    assert raw(table).tolist() == np.array([1, 3, 5, 7], ml_dtypes.bfloat16).tolist()


def test_constant_narrows_what_nki_has_not() -> None:
    assert nl.shared_constant(np.arange(3)).dtype is nl.int32
    assert nl.shared_constant(np.ones(3)).dtype is nl.float32


@pytest.mark.parametrize("kind", [np.float32, np.int32, ml_dtypes.bfloat16])
def test_constant_from_a_file(tmp_path: Path, kind: Any) -> None:
    values = np.array([[1, -2], [3, 4]]).astype(kind)
    np.save(tmp_path / "table.npy", values)
    made = nl.shared_constant(str(tmp_path / "table.npy"))
    assert made.dtype == np.dtype(kind)
    assert raw(made).tolist() == values.tolist()


@pytest.mark.parametrize(
    ("target", "usable"), [("trn1", 176 << 10), ("trn2", 208 << 10), ("trn3", 240 << 10), ("gen4", 240 << 10)]
)
def test_tile_sizes(target: str, usable: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", target)
    assert nl.tile_size.total_available_sbuf_size == usable
    assert (nl.tile_size.pmax, nl.tile_size.psum_fmax, nl.tile_size.gemm_moving_fmax) == (128, 512, 512)
    assert (nl.tile_size.gemm_stationary_fmax, nl.tile_size.bn_stats_fmax) == (128, 512)


@pytest.mark.parametrize("loop", [nl.affine_range, nl.sequential_range, nl.static_range])
def test_loops(loop: Any) -> None:
    assert list(loop(3)) == [0, 1, 2]
    assert list(loop(2, 5)) == [2, 3, 4]
    assert list(loop(1, 9, 3)) == [1, 4, 7]


def test_dynamic_loop_gives_registers() -> None:
    indexes = list(nl.dynamic_range(Register(1), Register(6), 2))
    assert [int(index) for index in indexes] == [1, 3, 5]
    assert not any(isinstance(index, int) for index in indexes)


def test_no_program_outside_a_kernel() -> None:
    assert (nl.program_id(0), nl.num_programs(), nl.num_programs(0), nl.program_ndim()) == (None,) * 4


@pytest.mark.parametrize(
    ("grid", "expected"), [(None, [(0, 1, 1, 0)]), (1, [(0, 1, 1, 1)]), (2, [(0, 2, 2, 1), (1, 2, 2, 1)])]
)
def test_programs(grid: int | None, expected: list[tuple[int, ...]]) -> None:
    seen = []

    def kernel() -> None:
        seen.append((nl.program_id(0), nl.num_programs(), nl.num_programs(axes=0), nl.program_ndim()))

    launched = jit(kernel)
    (launched if grid is None else launched[grid])()
    assert seen == expected


@pytest.mark.parametrize(
    "ask", [lambda: nl.program_id(1), lambda: nl.num_programs(1), lambda: nl.num_programs([0, 1])]
)
def test_axis_that_is_not_there(ask: Any) -> None:
    with pytest.raises(SimulationError, match="axis 1"):
        jit(ask)[2]()


def test_device_print(capsys: pytest.CaptureFixture[str]) -> None:
    nl.device_print("tile", nl.full((1, 2), 3, nl.float32))
    assert capsys.readouterr().out == "tile [[3. 3.]]\n"


def test_small_ones() -> None:
    with nl.no_reorder():
        assert nl.par_dim(5) == 5
    assert nl.unique_name("a") != nl.unique_name("a")
    assert nl.nc(2) == 2


def test_dynamic_slice() -> None:
    source = nl.shared_constant(np.arange(12, dtype=np.float32).reshape(6, 2))
    dst = nl.ndarray((2, 2), nl.float32)
    nisa.dma_copy(dst, source[nl.ds(Register(3), 2), :])
    assert json.dumps(got(dst).tolist()) == "[[6.0, 7.0], [8.0, 9.0]]"
