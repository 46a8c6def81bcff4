"""nc_matmul_mx and quantize_mx against the formats' definitions, written out here with ml_dtypes."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from tiles import got, hbm, psum, raw, sbuf, tile

from nkisim import isa as nisa
from nkisim.core.context import state
from nkisim.core.errors import SimulationError
from nkisim.core.tensor import Tensor
from nkisim.isa import mx

RNG = np.random.default_rng(23)
ELEMENTS = {
    "float8_e4m3fn_x4": ml_dtypes.float8_e4m3fn,
    "float8_e5m2_x4": ml_dtypes.float8_e5m2,
    "float4_e2m1fn_x4": ml_dtypes.float4_e2m1fn,
}
KINDS = list(ELEMENTS)
EIGHT = KINDS[:2]


@pytest.fixture(autouse=True)
def _gen4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "generation", 4)


def pack(values: Any, kind: str) -> Any:
    """Words of four neighbours, the first in the lowest bits."""
    codes = values.astype(ELEMENTS[kind]).view(np.uint8).astype(np.uint32)
    lanes = codes.reshape(*codes.shape[:-1], -1, 4)
    width = 4 if kind.startswith("float4") else 8
    words = sum(lanes[..., lane] << (width * lane) for lane in range(4))
    return words.astype(np.uint16 if width == 4 else np.uint32)


def packed(values: Any, kind: str) -> Tensor:
    words = pack(values, kind)
    made = sbuf(words.shape, kind)
    made.write(words.view(made.dtype.numpy))
    return made


def scattered(scales: Any, first: int = 0) -> Tensor:
    """A scale tile: dense for up to 32 partitions, else four rows in each quadrant, from ``first`` on."""
    count, columns = scales.shape
    rows = count * 8
    places = np.full((rows, columns), 99, np.uint8)
    for row in range(count):
        places[row // 4 * 32 + row % 4 + first] = scales[row]
    return tile(places[:count] if rows <= 32 and not first else places, "uint8")


def operand(rows: int, columns: int, kind: str) -> tuple[Any, Any, Any]:
    """Random representable values ``[P, F, 4]``, scales ``[P / 8, F]``, and what they stand for."""
    values = RNG.standard_normal((rows, columns, 4)).astype(ELEMENTS[kind]).astype(np.float64)
    scales = RNG.integers(120, 134, (rows // 8, columns))
    return values, scales, values * 2.0 ** (np.repeat(scales, 8, axis=0)[:, :, None] - 127)


@pytest.mark.parametrize("kinds", [(a, b) for a in KINDS for b in KINDS])
@pytest.mark.parametrize("sizes", [(128, 128, 512), (64, 2, 5), (32, 16, 20), (96, 8, 1)])
def test_product(kinds: tuple[str, str], sizes: tuple[int, int, int]) -> None:
    rows, m, n = sizes
    left, left_scales, left_true = operand(rows, m, kinds[0])
    right, right_scales, right_true = operand(rows, n, kinds[1])
    dst = psum((m, n))
    tiles = packed(left.reshape(rows, -1), kinds[0]), packed(right.reshape(rows, -1), kinds[1])
    nisa.nc_matmul_mx(dst, *tiles, scattered(left_scales), scattered(right_scales))
    expected = np.einsum("kiq,kjq->ij", left_true, right_true)
    assert np.abs(got(dst) - expected).max() <= 2e-6 * np.abs(expected).max()


def small_integers(rows: int, columns: int) -> Any:
    return RNG.integers(-3, 4, (rows, columns * 4)).astype(np.float64)


def test_integers_are_exact_and_scales_are_powers_of_two() -> None:
    left, right = small_integers(32, 32), small_integers(32, 20)
    expected = np.einsum("kiq,kjq->ij", left.reshape(32, 32, 4), right.reshape(32, 20, 4))
    for scale, factor in ((127, 1), (128, 2), (126, 0.5)):
        dst = psum((32, 20))
        scales = scattered(np.full((4, 32), scale)), scattered(np.full((4, 20), 127))
        nisa.nc_matmul_mx(dst, packed(left, KINDS[0]), packed(right, KINDS[2]), *scales)
        np.testing.assert_array_equal(got(dst), expected * factor)


def test_products_accumulate_as_matmuls_do() -> None:
    left, right = small_integers(32, 2), small_integers(32, 3)
    ones = scattered(np.full((4, 3), 127))
    once = np.einsum("kiq,kjq->ij", left.reshape(32, 2, 4), right.reshape(32, 3, 4))
    for kind in ("float32", "bfloat16"):
        dst = psum((2, 3), kind)
        for times in (1, 2, 3):
            nisa.nc_matmul_mx(dst, packed(left, KINDS[0]), packed(right, KINDS[0]), ones, ones)
            np.testing.assert_array_equal(got(dst), (once * times).astype(dst.dtype.numpy).astype(np.float32))


@pytest.mark.parametrize("first", [0, 4, 8, 12])
def test_scales_share_an_allocation(first: int) -> None:
    left, scales, left_true = operand(128, 6, EIGHT[0])
    right = np.ones((128, 8))
    places = scattered(scales, first)
    ones = scattered(np.full((16, 2), 127))
    for view in (places[first:], places[first : first + 4]):
        dst = psum((6, 2))
        nisa.nc_matmul_mx(dst, packed(left.reshape(128, -1), EIGHT[0]), packed(right, EIGHT[0]), view, ones)
        expected = np.einsum("kiq->i", left_true)
        assert np.abs(got(dst) - expected[:, None]).max() <= 1e-5 * np.abs(left_true).sum()


def test_views_of_larger_tiles() -> None:
    left, left_scales, left_true = operand(64, 12, EIGHT[0])
    right, right_scales, right_true = operand(64, 10, EIGHT[1])
    a, b = packed(left.reshape(64, -1), EIGHT[0]), packed(right.reshape(64, -1), EIGHT[1])
    dst = psum((4, 2, 5))
    nisa.nc_matmul_mx(
        dst[:, 1], a[:, 4:8], b[:, 5:], scattered(left_scales)[:, 4:8], scattered(right_scales)[:, 5:]
    )
    expected = np.einsum("kiq,kjq->ij", left_true[:, 4:8], right_true[:, 5:])
    np.testing.assert_allclose(got(dst)[:, 1], expected, rtol=1e-5, atol=1e-5)
    assert np.isnan(got(dst)[:, 0]).all()


# -- quantize -----------------------------------------------------------------------------------------


def quantized(values: Any, kind: str, source: str = "bfloat16") -> tuple[Any, Any]:
    """Codes ``[P, F]`` and scales ``[P / 8, F / 4]`` that the instruction gives."""
    rows, columns = values.shape
    dst, scale = sbuf((rows, columns // 4), kind), sbuf((rows, columns // 4), "uint8")
    nisa.quantize_mx(dst, tile(values, source), scale)
    bytes_ = raw(scale)
    dense = [bytes_[row // 4 * 32 + row % 4] for row in range(rows // 8)]
    return raw(dst).view(np.uint8).reshape(rows, columns), np.array(dense)


@pytest.mark.parametrize("kind", EIGHT)
@pytest.mark.parametrize("source", ["bfloat16", "float16"])
@pytest.mark.parametrize("shape", [(32, 4), (64, 24), (96, 8), (128, 64)])
def test_quantize(kind: str, source: str, shape: tuple[int, int]) -> None:
    spread = 10.0 ** RNG.uniform(-3, 3, (shape[0] // 8, 1, shape[1] // 4, 1))
    values = (RNG.standard_normal((shape[0] // 8, 8, shape[1] // 4, 4)) * spread).reshape(shape)
    codes, scales = quantized(values, kind, source)
    true = got(tile(values, source)).astype(np.float64)
    top, largest = (8, 448.0) if kind == EIGHT[0] else (15, 57344.0)
    for row in range(shape[0] // 8):
        for column in range(shape[1] // 4):
            where = slice(row * 8, row * 8 + 8), slice(column * 4, column * 4 + 4)
            exponent = int(np.floor(np.log2(np.abs(true[where]).max())))
            assert scales[row, column] == exponent + 127 - top
            scaled = np.clip(true[where] / 2.0 ** (exponent - top), -largest, largest)
            np.testing.assert_array_equal(codes[where], scaled.astype(ELEMENTS[kind]).view(np.uint8))


def test_worked_example() -> None:
    values = np.zeros((32, 4))
    values[:, :3] = 1.0, -3.0, 0.1
    codes, scales = quantized(values, EIGHT[0])
    assert scales[0, 0] == 120
    assert codes[0].tolist() == [112, 252, 85, 0]


def test_largest_value_is_lossless_and_above_it_saturates() -> None:
    values = np.full((32, 4), 56.0)
    codes, scales = quantized(values, EIGHT[0])
    assert (scales == 124).all()
    assert (codes == 126).all()
    codes, scales = quantized(np.full((32, 4), 63.75), EIGHT[0])
    assert (codes == 126).all()


def test_e5m2_example() -> None:
    codes, scales = quantized(np.full((32, 4), 3.0), EIGHT[1])
    assert (scales == 113).all()
    assert (codes.view(ml_dtypes.float8_e5m2).astype(np.float32) == 49152).all()


def test_zeros_stay_zero() -> None:
    codes, scales = quantized(np.zeros((32, 8)), EIGHT[0])
    assert not codes.any()
    assert not scales.any()


def test_unwritten_source_shows() -> None:
    dst, scale = sbuf((32, 2), EIGHT[0]), sbuf((4, 2), "uint8")
    nisa.quantize_mx(dst, sbuf((32, 8), "bfloat16"), scale)
    assert np.isnan(raw(dst).view(np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float32)).all()


def test_later_scale_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mx, "scale_shift", 1)
    codes, scales = quantized(np.full((32, 4), 63.75), EIGHT[0])
    assert (scales == 125).all()
    assert (codes.view(ml_dtypes.float8_e4m3fn).astype(np.float32) == 256).all()


def test_quantize_packs_scales_of_several_tiles() -> None:
    scale = tile(np.full((128, 2), 7), "uint8")
    for first in (0, 4, 8, 12):
        values = np.full((128, 8), 2.0**first)
        nisa.quantize_mx(sbuf((128, 2), EIGHT[0]), tile(values, "bfloat16"), scale[first : first + 4])
    written = raw(scale)[:, 0].reshape(4, 32)
    assert written[:, 0::4][:, :4].tolist() == [[119, 123, 127, 131]] * 4
    assert (written[:, 16:] == 7).all()


def test_quantize_again_changes_nothing() -> None:
    values = RNG.standard_normal((32, 16))
    codes, scales = quantized(values, EIGHT[0])

    def decoded(codes: Any, scales: Any) -> Any:
        factors = np.repeat(np.repeat(2.0 ** (scales.astype(float) - 127), 8, axis=0), 4, axis=1)
        return codes.view(ml_dtypes.float8_e4m3fn).astype(np.float64) * factors

    first = decoded(codes, scales)
    np.testing.assert_array_equal(decoded(*quantized(first, EIGHT[0])), first)


# -- checks -------------------------------------------------------------------------------------------


def ones(rows: int, columns: int) -> Tensor:
    return packed(np.ones((rows, columns * 4)), EIGHT[0])


def unit(rows: int, columns: int) -> Tensor:
    return scattered(np.full((rows // 8, columns), 127))


def test_matmul_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"dst": psum((8, 8)), "stationary": ones(64, 8), "moving": ones(64, 8)}
    given |= {"stationary_scale": unit(64, 8), "moving_scale": unit(64, 8)}
    refused: list[tuple[dict[str, Any], str]] = [
        ({"dst": psum((8, 8), "float16")}, "dst is a .* float16; allowed types: float32, bfloat16"),
        ({"dst": sbuf((8, 8))}, "dst is a sbuf tensor"),
        ({"dst": psum((8, 9))}, "the result has 8 partitions of 8"),
        ({"stationary": tile(np.ones((64, 8), np.float32))}, "stationary is a .* float32; allowed types"),
        ({"moving": hbm(np.ones((64, 8), np.float32))}, "moving is a hbm tensor"),
        ({"moving": ones(32, 8), "moving_scale": unit(32, 8)}, "their partitions must match"),
        ({"stationary": ones(48, 8)}, "must have 32, 64, 96 or 128 partitions"),
        ({"stationary": ones(64, 7)}, "must be even in number"),
        ({"stationary": ones(64, 130), "stationary_scale": unit(64, 130)}, "the most is 128"),
        ({"moving": ones(64, 514), "moving_scale": unit(64, 514)}, "the most is 512 for a float32 dst"),
        ({"stationary_scale": unit(64, 7)}, "stationary has 8 columns"),
        ({"stationary_scale": tile(np.ones((64, 8), np.int32))}, "allowed types: uint8"),
        ({"moving_scale": unit(128, 8)[2:]}, "starts at partition 2, not at 0, 4, 8, 12 of 32"),
        ({"moving_scale": tile(np.ones((32, 8)), "uint8")}, "end at partition 36"),
        ({"tile_position": (0, 0), "tile_size": (64, 64)}, "only rows can be tiled"),
        ({"tile_position": (0, 0), "tile_size": (32, 128)}, "stationary has 64 partitions, the most is 32"),
    ]
    for changed, message in refused:
        with pytest.raises(SimulationError, match=f"nisa.nc_matmul_mx: .*{message}"):
            nisa.nc_matmul_mx(**(given | changed))
    nisa.nc_matmul_mx(**given, tile_position=(64, 0), tile_size=(64, 128))
    assert (got(given["dst"]) == 256).all()
    monkeypatch.setattr(state, "generation", 3)
    with pytest.raises(SimulationError, match="nc_matmul_mx: needs NeuronCore-v4, the target is gen3"):
        nisa.nc_matmul_mx(**given)


def test_quantize_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"dst": sbuf((64, 4), EIGHT[0]), "src": tile(np.ones((64, 16)), "bfloat16")}
    given |= {"dst_scale": sbuf((64, 4), "uint8")}
    refused: list[tuple[dict[str, Any], str]] = [
        (
            {"src": tile(np.ones((64, 16)), "float32")},
            "src is a .* float32; allowed types: bfloat16, float16",
        ),
        ({"dst": sbuf((64, 4), KINDS[2])}, "dst is a .*; allowed types: float8_e4m3fn_x4, float8_e5m2_x4"),
        ({"src": tile(np.ones((40, 16)), "bfloat16")}, "32, 64, 96 or 128 partitions"),
        ({"src": tile(np.ones((64, 18)), "bfloat16")}, "a multiple of 4"),
        ({"dst": sbuf((64, 5), EIGHT[0])}, "a quarter of the elements"),
        ({"dst_scale": sbuf((64, 5), "uint8")}, "a partition has 4 scales"),
        ({"dst_scale": sbuf((32, 4), "uint8")}, "end at partition 36"),
        ({"dst_scale": sbuf((64, 4), "int8")}, "allowed types: uint8"),
        ({"dst_scale": psum((64, 4), "uint8")}, "dst_scale is a psum tensor"),
    ]
    for changed, message in refused:
        with pytest.raises(SimulationError, match=f"nisa.quantize_mx: .*{message}"):
            nisa.quantize_mx(**(given | changed))
    monkeypatch.setattr(state, "generation", 3)
    with pytest.raises(SimulationError, match="quantize_mx: needs NeuronCore-v4"):
        nisa.quantize_mx(**given)
