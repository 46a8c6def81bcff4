"""The largest elements of rows: plans, sizes, ties, infinities, order, two cores, the pieces, and checks."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import numpy as np
import pytest
from blockcheck import drawn, in_hbm, in_sbuf
from kernels import cast, check_close, launch, rejected
from npref_attn import topk_plan, topk_ref

import nkisim
from nkilib.blocks.memory import manager, scratch
from nkilib.core.topk import topk
from nkilib.core.topk.rotational_topk import (
    RotationalTopkConfig,
    SupportedTopkMethods,
    TopkConfig,
    cleanup_rotational_constants,
    prepare_rotational_constants,
    rotational_topk,
)
from nkilib.core.topk.rotational_topk_utils import (
    BFLOAT16_MIN,
    FLOAT32_MIN,
    HW_PARAMS,
    TopkHardwareParams,
    get_ceil_aligned_size,
    insert,
    make_constants,
    naive_scanning_topk,
    reshape_with_dma,
    rotate,
    sort,
    topk_core,
    validate_topk_input,
)

SCANNING, ROTATIONAL = SupportedTopkMethods.SCANNING, SupportedTopkMethods.ROTATIONAL


def check(x: Any, k: int, lnc: int = 2, **options: Any) -> tuple[Any, Any]:
    """Values beside the reference; indices different, and of these values."""
    values, indices = topk[lnc](x, k, **options)
    want, _ = topk_ref(x, k)
    assert values.dtype == x.dtype
    assert indices.dtype == np.uint32
    order = -np.sort(-np.asarray(values, np.float32), -1) if options.get("sorted_flag") is False else values
    check_close(order, want, 0, 0)
    assert np.array_equal(np.take_along_axis(x, indices.astype(np.int64), -1), values)
    assert (np.diff(np.sort(indices.astype(np.int64), -1), axis=-1) > 0).all()
    return values, indices


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("k", [1, 7, 8, 60, 64, 99, 192, 256])
def test_k(k: int, lnc: int) -> None:
    check(drawn((1, 1, 3168), "float32"), k, lnc)
    check(drawn((3, 700), "float32"), k, lnc)


@pytest.mark.parametrize(
    ("lnc", "shape", "k"),
    [
        (2, (8, 5, 4058), 256), (2, (5, 5, 4058), 256), (1, (8, 5, 8192), 256), (2, (5, 5, 8192), 256),
        (2, (1, 1, 16000), 256), (2, (1, 1, 25600), 256), (2, (8, 1, 25600), 256), (2, (1, 1, 2048), 256),
        (1, (7, 3999), 256), (2, (127, 1, 3999), 256), (1, (63, 1, 3999), 20), (1, (127, 1, 3999), 20),
        (2, (127, 1, 3999), 1), (2, (150, 1, 1000), 50), (2, (200, 1, 2000), 64), (2, (256, 1, 3168), 256),
    ],
)  # fmt: skip
def test_sizes_of_models(lnc: int, shape: tuple[int, ...], k: int) -> None:
    check(drawn(shape, "float32"), k, lnc)


@pytest.mark.parametrize("rows", [2, 3, 7, 8, 10, 16, 32, 63, 65, 99, 128])
def test_rows(rows: int) -> None:
    check(drawn((rows, 1, 1000), "float32"), 100)


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize(
    ("shape", "k"),
    [
        ((1, 300), 256),
        ((1, 256), 256),
        ((4, 257), 257),
        ((3, 9), 9),
        ((5, 5), 3),
        ((2, 8), 8),
        ((2, 3, 4, 50), 17),
    ],
)
def test_short_rows(shape: tuple[int, ...], k: int, lnc: int) -> None:
    """Of which some stages have nothing."""
    check(drawn(shape, "float32"), k, lnc)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("shape", [(1, 1, 3168), (8, 5, 4058), (32, 1, 3168)])
def test_types(shape: tuple[int, ...], dtype: str) -> None:
    """Whose numbers have many ties."""
    check(drawn(shape, dtype), 256)


@pytest.mark.parametrize("rows", [1, 5])
def test_all_may_be_in_one_stage(rows: int) -> None:
    x = np.abs(drawn((rows, 4058), "float32"))
    for start in (0, 1000, 3800):
        placed = x.copy()
        placed[:, start : start + 256] += 10
        _, indices = check(placed, 256, sorted_flag=True)
        assert (np.sort(indices, 1) == np.arange(start, start + 256)).all()


def test_ordered_rows() -> None:
    x = np.tile(np.arange(4058, dtype=np.float32), (3, 1))
    assert (check(x, 256)[1] == np.arange(4057, 3801, -1)).all()
    assert (check(-x, 256)[1] == np.arange(256)).all()
    check(np.ones((3, 4058), np.float32), 256)


@pytest.mark.parametrize("lnc", [1, 2])
def test_low_numbers(lnc: int) -> None:
    x = drawn((4, 4058), "float32") * np.float32(1e37) - np.float32(2e38)
    check(x, 256, lnc)
    check(x[:, :1000], 7, lnc)


def test_masked_rows() -> None:
    """Stages of nothing but -∞ do not disturb the others; ∞ counts as the largest finite number."""
    x = drawn((3, 4058), "float32")
    x[:, 300:] = -np.inf
    values, indices = topk[2](x, 256)
    want = topk_ref(x, 256)
    assert np.array_equal(values, want[0])
    assert np.array_equal(indices, want[1])
    short = cast(x, "bfloat16")
    short[:, 5] = np.inf
    values, indices = topk[2](short, 8)
    assert (values[:, 0] == np.inf).all()
    assert (indices[:, 0] == 5).all()
    assert topk[2](cast(np.full((1, 300), -np.inf), "bfloat16"), 8)[0].max() == -np.inf


@pytest.mark.parametrize("lowest", [-np.inf, np.finfo(np.float32).min])
@pytest.mark.parametrize("method", [SupportedTopkMethods.ROTATIONAL, SupportedTopkMethods.SCANNING])
@pytest.mark.parametrize("k", [8, 12, 300])
def test_rows_that_are_masked_but_for_fewer_than_k(k: int, method: SupportedTopkMethods, lowest: Any) -> None:
    """Masked elements follow with indices of their own, not with those of elements that were found before."""
    x = drawn((4, 700), "float32")
    x[:, 3:] = lowest
    x[3] = lowest
    values, indices = topk[2](x, k, method=method)
    check_close(values, np.maximum(topk_ref(x, k)[0], np.finfo(np.float32).min), 1e-6)
    assert np.array_equal(np.take_along_axis(x, indices.astype(np.int64), -1), topk_ref(x, k)[0])
    assert all(len(set(row)) == k for row in indices.tolist())


@pytest.mark.parametrize("shape", [(1, 1, 25136), (8, 5, 4058), (5, 5, 4058)])
def test_without_order(shape: tuple[int, ...]) -> None:
    """Blocks of local_k, each in order, if k is their number."""
    values, _ = check(drawn(shape, "float32"), 256, sorted_flag=False)
    rows = int(np.prod(shape[:-1]))
    _, _, each, padded, _ = topk_plan(rows, shape[-1], 256, 2)
    if padded == 256:
        assert (np.diff(values.reshape(rows, -1, each), axis=2) <= 0).all()
        assert (np.diff(values.reshape(rows, -1), axis=1) > 0).any()
    else:
        assert (np.diff(values.reshape(rows, -1), axis=1) <= 0).all()


@pytest.mark.parametrize(
    ("sizes", "plan"),
    [
        ((40, 4058, 256, 2), (20, 6, 48, 288, 677)),
        ((1, 25136, 256, 2), (1, 32, 8, 256, 786)),
        ((256, 3168, 256, 2), (128, 1, 256, 256, 3168)),
    ],
)
def test_plan(sizes: tuple[int, int, int, int], plan: tuple[int, ...]) -> None:
    rows, length, k, cores = sizes
    assert topk_plan(*sizes) == plan
    for shape in ((rows, length), (rows, 1, length)):
        config = TopkConfig(shape, np.float32, k, False, cores)
        made = RotationalTopkConfig((rows, length), config)
        assert plan == (
            made.per_lnc_BxS, made.n_stages, made.local_top_k_per_stage, made.padded_k, made.stage_free_size,
        )  # fmt: skip
        assert config.out_shape == (*shape[:-1], k)
        assert config.is_valid()
        assert made.is_valid()
        assert made.sorted == (plan[3] != k)
        assert config.cost_estimate() == -(-k // 8) * 2 * (length + 144)
        assert (made.tile_size, made.n_bxs_tiles, made.padded_vocab_size) == (plan[0], 1, plan[1] * plan[4])
        assert (made.orig_k, made.n_prgs, made.prg_id) == (k, 1 if rows == 1 else cores, 0)


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("rows", [1, 7])
def test_the_kernel_itself(rows: int, lnc: int) -> None:
    x = drawn((rows, 1000), "float32")
    config = RotationalTopkConfig(x.shape, TopkConfig((rows, 1, 1000), x.dtype, 20, num_programs=lnc))
    prepare_rotational_constants(config)
    values, indices = launch(rotational_topk, x, config, lnc=lnc)
    cleanup_rotational_constants()
    want = topk_ref(x, 20)
    assert np.array_equal(values, want[0])
    assert np.array_equal(indices, want[1])


def test_cores_share_rows() -> None:
    with nkisim.races():
        check(drawn((7, 1000), "float32"), 30)


@pytest.mark.parametrize("lnc", [1, 2])
def test_scanning(lnc: int) -> None:
    """Whole rows on a partition each, which need no products."""
    x = drawn((5, 2, 3000), "float32")
    with nkisim.trace() as trace:
        check(x, 100, lnc, method=SCANNING)
    assert trace.macs == 0
    with nkisim.trace() as trace:
        check(x, 100, lnc, method=ROTATIONAL)
    assert trace.macs > 0
    check(drawn((1, 3), "float32"), 2, lnc, method=SCANNING, sorted_flag=False)
    with nkisim.races():
        check(x, 10, lnc, method=SCANNING)


@pytest.mark.parametrize(
    ("shape", "k", "lnc", "words"),
    [
        ((1024, 1, 5000), 128, 2, "a core takes 1 to 128 rows"),
        ((129, 300), 8, 1, "it would get 129"),
        ((4, 300), 301, 2, "k must be 1 to V = 300, it is 301"),
        ((4, 300), 0, 2, "k must be 1 to V = 300, it is 0"),
        ((128, 20000), 8, 1, "128 rows of a core in 2 stages need more than 128 partitions"),
        ((64, 32768), 8, 1, "a stage with 16392 elements is too long"),
        ((300,), 8, 1, "a core takes 1 to 128 rows"),
    ],
)
def test_checks(shape: tuple[int, ...], k: int, lnc: int, words: str) -> None:
    with rejected(words):
        topk[lnc](np.zeros(shape, np.float32), k)


def test_checks_of_the_method() -> None:
    x = drawn((2, 300), "float32")
    with pytest.raises(ValueError, match="method must be one of"):
        topk[1](x, 8, method=2)
    with rejected("by CASCADED is not available"):
        topk[1](x, 8, method=SupportedTopkMethods.CASCADED)
    with pytest.raises(TypeError, match=r"topk\[lnc\]"):
        topk(x, 8)
    with rejected("a stage with 20000 elements is too long"):
        topk[1](np.zeros((2, 20000), np.float32), 8, method=SCANNING)


def test_checks_of_configs() -> None:
    x = drawn((4, 300), "float32")
    config = TopkConfig((4, 300), x.dtype, 8)
    with rejected("planned for 2 cores, launched on 1"):
        launch(rotational_topk, x, RotationalTopkConfig((4, 300), config), lnc=1)
    with rejected("must be [4, V] as planned"):
        launch(rotational_topk, x, RotationalTopkConfig((2, 600), config), lnc=2)
    with rejected("the input must be [BxS, V]"):
        launch(lambda x: validate_topk_input(x), drawn((2, 3, 4)))
    with rejected("a stage with 16385 elements"):
        launch(lambda x: validate_topk_input(x, 2, 385), np.zeros((1, 32000), np.float32))


def test_pieces() -> None:
    """Three rows of four stages: what is where after each step."""
    x = drawn((12, 40), "float32")
    config = RotationalTopkConfig((3, 160), TopkConfig((3, 160), x.dtype, 32, num_programs=1))
    assert config.n_stages == 4

    def kernel(x: Any) -> Any:
        work = scratch(manager())
        data = in_sbuf(x)
        constants = make_constants(config, 3, work)
        moved = in_sbuf(x)
        rotate(moved, data, constants.rotation)
        insert(data, moved[:, 5:8], 30)
        beside = reshape_with_dma(data, 4, x.dtype)
        values, places = topk_core(data, 5)
        copy = in_sbuf(x)
        ordered, numbers = sort(copy, constants.numbers[:, 0:40])
        plain = sort(in_sbuf(x))[1]
        constants.cleanup()
        work.close()
        results = [moved, beside, values, places, ordered, numbers, plain]
        return [in_hbm(each) for each in results]

    moved, beside, values, places, ordered, numbers, plain = launch(kernel, x)
    rolled = np.roll(x.reshape(3, 4, 40), 1, axis=1).reshape(12, 40)
    assert np.array_equal(moved, rolled)
    inserted = x.copy()
    inserted[:, 30:33] = rolled[:, 5:8]
    assert np.array_equal(beside, inserted.reshape(3, 160))
    assert np.array_equal(values, topk_ref(inserted, 8)[0])
    assert np.array_equal(places, topk_ref(inserted, 8)[1])
    assert np.array_equal(ordered, topk_ref(x, 40)[0])
    assert np.array_equal(plain, topk_ref(x, 40)[1])
    assert np.array_equal(numbers, topk_ref(x, 40)[1] + 40.0 * np.arange(12)[:, None])


def test_scanning_piece() -> None:
    x = drawn((3, 50), "float32")

    def kernel(x: Any) -> Any:
        values, places = naive_scanning_topk(x, TopkConfig((3, 50), x.dtype, 11, num_programs=1))
        return in_hbm(values), in_hbm(places)

    values, places = launch(kernel, x)
    assert np.array_equal(values, topk_ref(x, 16)[0])
    assert np.array_equal(places, topk_ref(x, 16)[1])


def test_alignment() -> None:
    assert [get_ceil_aligned_size(size, 8) for size in (1, 8, 9)] == [8, 8, 16]


def test_hardware_parameters() -> None:
    """They are what the cost of an instruction is made of, and its limits."""
    assert vars(HW_PARAMS) == {
        "dve_max_alus": 8,
        "topk_per_stage": 8,
        "index_dtype": nl.uint32,
        "num_sbuf_quadrants": 4,
        "fixed_dve_inst_overhead": 144,
        "max_free_dim": 16384,
    }
    assert TopkHardwareParams(dve_max_alus=16).topk_per_stage == 16
    assert TopkConfig((4, 1000), nl.float32, 20).cost_estimate() == 3 * 2 * (1000 + 144)
    assert np.float32(FLOAT32_MIN) == np.finfo(np.float32).min
    assert BFLOAT16_MIN == -9948.0
