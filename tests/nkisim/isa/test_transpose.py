"""nc_transpose and dma_transpose against NumPy, and their checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiles import got, hbm, psum, raw, sbuf, tile

from nkisim import isa as nisa
from nkisim.core.context import state
from nkisim.core.errors import SimulationError
from nkisim.core.registers import Register

RNG = np.random.default_rng(11)
KINDS = ["float32", "bfloat16", "float16", "float8_e4m3", "int32", "uint8", "int16"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(128, 128), (1, 128), (128, 1), (37, 90), (33, 2)])
def test_tensor_engine(kind: str, shape: tuple[int, int]) -> None:
    data = tile(RNG.integers(0, 100, shape), kind)
    dst = psum(shape[::-1], kind)
    nisa.nc_transpose(dst, data)
    assert raw(dst).tobytes() == np.ascontiguousarray(raw(data).T).tobytes()


@pytest.mark.parametrize("buffer", ["sbuf", "psum"])
def test_vector_engine_goes_both_ways(buffer: str) -> None:
    values = RNG.standard_normal((32, 20)).astype(np.float32)
    for make in (sbuf, psum):
        dst = make((20, 32))
        nisa.nc_transpose(dst, tile(values, buffer=buffer), engine=nisa.vector_engine)
        np.testing.assert_array_equal(got(dst), values.T)


@pytest.mark.parametrize(("kind", "columns"), [("float32", slice(448, 576)), ("bfloat16", slice(1000, 1128))])
def test_tensor_engine_stays_in_one_bank(kind: str, columns: slice, monkeypatch: pytest.MonkeyPatch) -> None:
    banks, data = psum((64, 1200), kind)[:, columns], tile(RNG.integers(0, 100, (128, 64)), kind)
    with pytest.raises(SimulationError, match=r"test_transpose\.py:\d+: nisa.nc_transpose: .* one PSUM bank"):
        nisa.nc_transpose(banks, data)
    monkeypatch.setattr(state, "generation", 4)
    nisa.nc_transpose(banks, data)
    assert np.array_equal(got(banks), got(data).T)


def test_a_small_transpose_over_two_banks_is_for_vector_engine() -> None:
    banks, values = psum((8, 1024))[:, 500:516], RNG.standard_normal((16, 8)).astype(np.float32)
    for engine in (nisa.engine.unknown, nisa.engine.vector):
        nisa.nc_transpose(banks, tile(values), engine=engine)
        assert np.array_equal(got(banks), values.T)
    with pytest.raises(SimulationError, match="TensorE writes to one PSUM bank"):
        nisa.nc_transpose(banks, tile(values), engine=nisa.engine.tensor)


def test_nan_and_infinity_survive() -> None:
    values = np.array([[1, np.nan], [-np.inf, 2]], np.float32)
    dst = psum((2, 2))
    nisa.nc_transpose(dst, tile(values))
    np.testing.assert_array_equal(got(dst), values.T)


def test_gen2_spoils_rows_with_nan_and_infinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "generation", 2)
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    values[1, 0], values[2, 3] = np.nan, np.inf
    with np.errstate(all="ignore"):
        expected = np.einsum("pf,pq->fq", values, np.eye(3, dtype=np.float32))
    dst = psum((4, 3))
    nisa.nc_transpose(dst, tile(values))
    np.testing.assert_array_equal(got(dst), expected)
    vector = sbuf((4, 3))
    nisa.nc_transpose(vector, tile(values), engine=nisa.vector_engine)
    np.testing.assert_array_equal(got(vector), values.T)


def test_free_dimensions_count_as_one_and_views_work() -> None:
    values = RNG.standard_normal((64, 2, 3, 8)).astype(np.float32)
    dst = psum((48, 2, 40))
    nisa.nc_transpose(dst[:, 1], tile(values)[20:60])
    np.testing.assert_array_equal(got(dst)[:, 1], values[20:60].reshape(40, 48).T)
    assert np.isnan(got(dst)[:, 0]).all()


def test_row_without_its_partition() -> None:
    values = RNG.standard_normal((4, 30)).astype(np.float32)
    dst = psum((30, 1))
    nisa.nc_transpose(dst, tile(values)[2])
    np.testing.assert_array_equal(got(dst)[:, 0], values[2])


F32 = np.ones((40, 40), np.float32)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dst": lambda: sbuf((40, 40))}, "TensorE goes from sbuf to psum"),
        ({"data": lambda: psum((40, 40))}, "TensorE goes from sbuf to psum"),
        ({"engine": lambda: nisa.vector_engine}, "engine vector; .* VectorE takes 32 of 32"),
        ({"engine": lambda: nisa.gpsimd_engine}, "engine is engine.gpsimd; allowed"),
        ({"data": lambda: tile(np.ones((40, 129), np.float32))}, "takes 128 partitions of 128"),
        ({"dst": lambda: psum((40, 40), "bfloat16")}, "data is float32, dst is bfloat16"),
        ({"dst": lambda: psum((40, 41))}, "partitions of one must match elements of the other"),
        ({"dst": lambda: psum((41, 40))}, "partitions of one must match elements of the other"),
        ({"data": lambda: hbm(F32)}, "data is a hbm tensor"),
    ],
)
def test_nc_transpose_checks(changed: dict[str, Any], message: str) -> None:
    operands = {"dst": psum((40, 40)), "data": tile(F32)} | {k: make() for k, make in changed.items()}
    with pytest.raises(SimulationError, match=rf"nisa.nc_transpose: .*{message}"):
        nisa.nc_transpose(**operands)


# -- by DMA -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((16, 128), (1, 0)), ((5, 7), (1, 0)), ((6, 4, 10), (2, 1, 0)), ((6, 2, 3, 10), (3, 1, 2, 0))],
)
@pytest.mark.parametrize("kind", ["bfloat16", "float32", "uint8"])
@pytest.mark.parametrize("explicit", [False, True])
def test_dma_transpose(shape: tuple[int, ...], axes: tuple[int, ...], kind: str, explicit: bool) -> None:
    values = RNG.integers(0, 200, shape)
    expected = values.astype(tile(values, kind).dtype.numpy).transpose(axes)
    for src in (hbm(values, kind), tile(values, kind)):
        dst = sbuf(expected.shape, kind)
        nisa.dma_transpose(dst, src, axes=axes if explicit else None)
        np.testing.assert_array_equal(raw(dst), expected)


def test_dma_transpose_of_a_pattern() -> None:
    values = RNG.standard_normal((64, 32)).astype(np.float32)
    dst = sbuf((32, 100))
    src = hbm(values).ap([[32, 20], [1, 1], [1, 1], [1, 32]], offset=10 * 32)
    nisa.dma_transpose(dst.ap([[100, 32], [1, 1], [1, 1], [1, 20]], offset=7), src)
    np.testing.assert_array_equal(got(dst)[:, 7:27], values[10:30].T)
    assert np.isnan(got(dst)[:, 27:]).all()


def test_dma_transpose_converts_types() -> None:
    dst = sbuf((2, 3), "float32")
    nisa.dma_transpose(dst, hbm([[1.5, -2], [3, 4], [5, 6]], "bfloat16"))
    assert got(dst).tolist() == [[1.5, 3, 5], [-2, 4, 6]]


def gathered(index: Any, kind: str = "uint32") -> Any:
    table = hbm(np.arange(40 * 2 * 128).reshape(40, 2, 128) % 251, "bfloat16")
    count = len(index)
    rows = tile(np.reshape(index, (count, 1)), kind)
    return table, table.ap([[256, count], [128, 2], [1, 128]], vector_offset=rows)


@pytest.mark.parametrize("mode", [nisa.dge_mode.unknown, nisa.dge_mode.swdge])
def test_dma_transpose_gathers(mode: nisa.dge_mode) -> None:
    index = RNG.integers(0, 40, 16)
    table, src = gathered(index)
    dst = sbuf((128, 2, 16), "bfloat16")
    nisa.dma_transpose(dst, src, axes=(2, 1, 0), dge_mode=mode)
    np.testing.assert_array_equal(got(dst), got(table)[index].transpose(2, 1, 0))


def test_dma_transpose_knows_modes_by_number() -> None:
    values = RNG.standard_normal((4, 3)).astype(np.float32)
    dst, src = sbuf((3, 4)), hbm(values)
    nisa.dma_transpose(dst, src, dge_mode=nisa.dge_mode.none.value)
    np.testing.assert_array_equal(got(dst), values.T)
    with pytest.raises(SimulationError, match=r"dge_mode is dge_mode.swdge"):
        nisa.dma_transpose(dst, src, dge_mode=nisa.dge_mode.swdge.value)
    with pytest.raises(SimulationError, match=r"7 is not a valid dge_mode"):
        nisa.dma_transpose(dst, src, dge_mode=7)


def test_dma_transpose_gathers_four_dimensions() -> None:
    index = RNG.integers(0, 9, 32).astype(np.uint32)
    table = hbm(RNG.standard_normal((9, 1, 3, 128)), "bfloat16")
    rows = tile(index[:, None], "uint32")
    src = table.ap([[384, 32], [1, 1], [128, 3], [1, 128]], vector_offset=rows)
    dst = sbuf((128, 1, 3, 32), "bfloat16")
    nisa.dma_transpose(dst, src, axes=(3, 1, 2, 0), dge_mode=nisa.dge_mode.swdge)
    np.testing.assert_array_equal(got(dst), got(table)[index].transpose(3, 1, 2, 0))


def test_dma_transpose_skips_rows_out_of_range() -> None:
    index = np.array([3, 50, 0, 0xFFFFFFFF], np.uint32)
    table, src = gathered(index)
    dst = tile(np.full((128, 2, 4), 7.0), "bfloat16")
    nisa.dma_transpose(dst, src, oob_mode=nisa.oob_mode.skip)
    expected = np.full((4, 2, 128), 7.0)
    expected[[0, 2]] = got(table)[[3, 0]]
    np.testing.assert_array_equal(got(dst), expected.transpose(2, 1, 0))
    with pytest.raises(SimulationError, match=r"vector offset 50 is outside 0..39"):
        nisa.dma_transpose(dst, src)


def test_dma_transpose_from_a_register() -> None:
    table = hbm(np.arange(60, dtype=np.float32).reshape(5, 3, 4))
    dst = sbuf((4, 3))
    nisa.dma_transpose(dst, table.ap([[4, 3], [1, 4]], scalar_offset=Register(2)))
    np.testing.assert_array_equal(got(dst), got(table)[2].T)


@pytest.mark.parametrize(
    ("shape", "kind", "fits"),
    [
        ((16, 128), "bfloat16", True),
        ((16, 256), "float16", True),
        ((32, 128), "bfloat16", False),
        ((16, 64), "bfloat16", False),
        ((16, 128), "float32", False),
    ],
)
def test_hardware_descriptors(shape: tuple[int, int], kind: str, fits: bool) -> None:
    src, dst = hbm(np.ones(shape), kind), hbm(np.zeros(shape[::-1]), kind)
    if fits:
        nisa.dma_transpose(dst, src, dge_mode=nisa.dge_mode.hwdge)
        assert (got(dst) == 1).all()
    else:
        with pytest.raises(SimulationError, match=r"which dge_mode.hwdge cannot transpose"):
            nisa.dma_transpose(dst, src, dge_mode=nisa.dge_mode.hwdge)


def test_dma_transpose_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    src, dst = hbm(np.ones((16, 128)), "bfloat16"), sbuf((128, 16), "bfloat16")
    refused: list[tuple[dict[str, Any], str]] = [
        ({"axes": (0, 1)}, r"axes \(0, 1\); for 2 dimensions they are \(1, 0\)"),
        ({"dge_mode": nisa.dge_mode.swdge}, "for this source it is one of unknown, none, hwdge"),
        ({"src": hbm(np.ones(4, np.float32))}, "must have 2, 3 or 4 dimensions"),
        ({"src": psum((16, 128), "bfloat16")}, "src is a psum tensor"),
        ({"dst": psum((128, 16))}, "dst is a psum tensor"),
        ({"dst": sbuf((128, 8), "bfloat16")}, "differ in size"),
    ]
    for changed, message in refused:
        with pytest.raises(SimulationError, match=f"nisa.dma_transpose: .*{message}"):
            nisa.dma_transpose(**({"dst": dst, "src": src} | changed))
    _, indirect = gathered(np.zeros(16))
    target = sbuf((128, 2, 16), "bfloat16")
    with pytest.raises(SimulationError, match=r"for a gathered source it is one of unknown, swdge"):
        nisa.dma_transpose(target, indirect, dge_mode=nisa.dge_mode.hwdge)
    with pytest.raises(SimulationError, match=r"which dge_mode.swdge cannot transpose"):
        nisa.dma_transpose(target, gathered(np.zeros(16), "int32")[1], dge_mode=nisa.dge_mode.swdge)
    monkeypatch.setattr(state, "generation", 2)
    with pytest.raises(SimulationError, match=r"hwdge needs NeuronCore-v3"):
        nisa.dma_transpose(dst, src, dge_mode=nisa.dge_mode.hwdge)


def test_vector_engine_in_place() -> None:
    values = RNG.standard_normal((32, 32)).astype(np.float32)
    both = tile(values)
    nisa.nc_transpose(both, both, engine=nisa.vector_engine)
    np.testing.assert_array_equal(got(both), values.T)


def test_integers_through_the_product_of_gen2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "generation", 2)
    values = np.arange(-60, 60, dtype=np.int8).reshape(40, 3)
    dst = psum((3, 40), "int8")
    nisa.nc_transpose(dst, tile(values))
    assert np.array_equal(raw(dst), values.T)


def test_a_transpose_of_gathered_unwritten_memory_is_poison() -> None:
    dst = tile(np.zeros((4, 2), np.float32))
    nisa.dma_transpose(
        dst, sbuf((3, 4)).ap([[4, 2], [1, 4]], vector_offset=tile(np.array([[2], [0]], np.int32)))
    )
    assert np.isnan(got(dst)).all()
