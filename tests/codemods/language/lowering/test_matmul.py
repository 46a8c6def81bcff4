"""Products, against the same calls in the legacy language."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from lowered import Tile, check_equal, run_lowered, uniform

from nkimigrate.codemods.language.analysis.values import Space
from nkimigrate.codemods.language.lowering.emitter import Refused

FLOATS = [np.float32, np.float16, ml_dtypes.bfloat16]
BOTH = {"stationary": Tile(0), "moving": Tile(1)}


@pytest.mark.parametrize("dtype", FLOATS)
def test_nc_matmul(dtype):
    x, y = uniform((128, 64), dtype), uniform((128, 200), dtype, seed=1)
    got = check_equal("nisa.nc_matmul", BOTH, x, y).got
    expected = x.astype(np.float64).T @ y.astype(np.float64)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_free_dimensions_count_as_one():
    check_equal("nisa.nc_matmul", BOTH, uniform((64, 4, 8), np.float32), uniform((64, 2, 50), np.float32))


def test_operands_in_psum():
    x, y = uniform((128, 64), np.float32), uniform((128, 200), np.float32, seed=1)
    in_psum = {"stationary": Tile(0, Space.PSUM), "moving": Tile(1, Space.PSUM)}
    check_equal("nisa.nc_matmul", in_psum, x, y, former=BOTH)  # the compiler moved them


def test_both_rows_at_once():
    x = uniform((64, 2, 32), ml_dtypes.float8_e4m3)
    y = uniform((64, 2, 100), ml_dtypes.float8_e4m3, seed=1)
    text = check_equal("nisa.nc_matmul", {**BOTH, "perf_mode": "double_row_gen3"}, x, y).text
    assert "perf_mode=nisa.matmul_perf_mode.double_row" in text
    with pytest.raises(Refused, match="M-ARGUMENT"):
        run_lowered("nisa.nc_matmul", {**BOTH, "perf_mode": "fast"}, x, y)


def test_options_stay():
    x, y = uniform((32, 32), np.float32), uniform((32, 200), np.float32, seed=1)
    arguments = {**BOTH, "is_moving_onezero": True, "tile_position": (0, 0), "tile_size": (32, 32)}
    text = check_equal("nisa.nc_matmul", arguments, x, y).text
    assert "is_moving_onezero=True, tile_position=(0, 0), tile_size=(32, 32)" in text


@pytest.mark.parametrize("space", [Space.SBUF, Space.PSUM])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_into_tiles_of_any_memory_and_dtype(space, dtype):
    x, y = uniform((128, 64), np.float32), uniform((128, 200), np.float32, seed=1)
    text = check_equal("nisa.nc_matmul", BOTH, x, y, into=((64, 200), dtype, space)).text
    direct = space == Space.PSUM and dtype == "float32"
    assert ("nisa.nc_matmul(dst=target" in text) is direct


@pytest.mark.parametrize(
    "spaces", [(a, b) for a in (Space.SBUF, Space.PSUM) for b in (Space.SBUF, Space.PSUM)]
)
@pytest.mark.parametrize("dtype", FLOATS)
def test_matmul(spaces, dtype):
    x, y = uniform((100, 64), dtype), uniform((64, 200), dtype, seed=1)
    check_equal("nl.matmul", {"x": Tile(0, spaces[0]), "y": Tile(1, spaces[1])}, x, y)
    arguments = {"x": Tile(0, spaces[0]), "y": Tile(1, spaces[1]), "transpose_x": True}
    check_equal("nl.matmul", arguments, np.ascontiguousarray(x.T), y)
