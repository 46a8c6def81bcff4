"""Largest elements and their places: sizes, ties, padding, two cores, folded loads, and checks."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import drawn, in_hbm
from kernels import check_close, launch, rejected
from npref_attn import cascaded_max_ref, cascaded_max_stages

import nkisim
from nkilib.core.max.cascaded_max import CascadedMaxConfig, cascaded_max
from nkilib.core.max.cascaded_max_utils import predicated_folded_load, reduce, unfolded_store


def check(x: Any, lnc: int = 2) -> tuple[Any, Any]:
    values, indices = launch(cascaded_max, x, lnc=lnc)
    want = cascaded_max_ref(x, max(1, lnc))
    assert values.dtype == x.dtype
    assert indices.dtype == np.uint32
    check_close(values, want[0], 0, 0)
    assert np.array_equal(indices, want[1])
    return values, indices


@pytest.mark.parametrize("lnc", [0, 1, 2])
@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 256), (1, 1, 3168), (1, 16000), (8, 5, 4058), (4, 5, 4058), (5, 5, 300), (4, 5, 8192), (63, 1, 3999),
        (2, 3, 4, 130), (7, 128), (127, 3999), (3, 1, 3168),
    ],
)  # fmt: skip
def test_sizes(shape: tuple[int, ...], lnc: int) -> None:
    check(drawn(shape, "float32"), lnc)


@pytest.mark.parametrize("rows", [65, 99, 128, 256])
def test_many_rows(rows: int) -> None:
    check(drawn((rows, 1, 3168), "float32"))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_indices_of_other_types_are_exact(dtype: str) -> None:
    """Whose own numbers beyond 256, or 2048, are not."""
    x = drawn((3, 5000), dtype)
    x[:, 4097] = 100
    assert (check(x)[1] == 4097).all()


@pytest.mark.parametrize("where", [0, 1, 98, 99, 4057])
def test_places(where: int) -> None:
    x = drawn((8, 4058), "float32")
    x[:, where] = 10
    assert (check(x)[1] == where).all()


@pytest.mark.parametrize("lnc", [1, 2])
def test_ties(lnc: int) -> None:
    """The first of one stage, but of the last stage that has one."""
    x = np.minimum(drawn((8, 4058), "float32"), 1)
    x[:, 3000] = 2
    _, chunk = cascaded_max_stages(8 // lnc, 4058)
    x[:, [1, 5, 2 * chunk, 2 * chunk + 7]] = 3
    assert (check(x, lnc)[1] == 2 * chunk).all()
    check(np.ones((8, 4058), np.float32), lnc)


@pytest.mark.parametrize("value", [-1e5, -3e38, -np.inf])
def test_padding_is_never_the_maximum(value: float) -> None:
    x = np.full((3, 4058), value, np.float32)
    assert check(x)[0].max() == np.float32(value)


def test_one_row_is_every_cores_and_others_are_shared() -> None:
    check(drawn((1, 3000), "float32"))
    with nkisim.races():
        check(drawn((5, 3000), "float32"))


@pytest.mark.parametrize(
    ("shape", "lnc", "words"),
    [
        ((257, 256), 2, "takes 1 to 128 rows, it would get 129"),
        ((129, 256), 1, "takes 1 to 128 rows, it would get 129"),
        ((2, 127), 1, "at least 128 elements, they have 127"),
        ((128, 20000), 1, "a stage of 20000 elements is too long"),
        ((300,), 1, "must have rows and columns"),
    ],
)
def test_checks(shape: tuple[int, ...], lnc: int, words: str) -> None:
    with rejected(words):
        launch(cascaded_max, drawn(shape, "float32"), lnc=lnc)


@pytest.mark.parametrize(("rows", "length"), [(1, 256), (20, 4058), (128, 3168), (5, 300)])
def test_plan(rows: int, length: int) -> None:
    config = CascadedMaxConfig((rows, length))
    assert (config.n_stages, config.stage_size) == cascaded_max_stages(rows, length)
    assert config.inp_shape_valid()
    assert config.BxS_dim_valid()
    assert not CascadedMaxConfig((129, 300)).BxS_dim_valid()
    assert not CascadedMaxConfig((1, 100)).inp_shape_valid()


def folded(x: Any, fold: int, core: int, cores: int, fill: float) -> Any:
    share = -(-len(x) // cores)
    own = x[core * share : (core + 1) * share]
    width = -(-x.shape[1] // fold)
    whole = np.full((len(own), fold * width), fill, x.dtype)
    whole[:, : x.shape[1]] = own
    return whole.reshape(len(own) * fold, width)


@pytest.mark.parametrize("core", [0, 1])
@pytest.mark.parametrize(
    ("rows", "length", "fold"), [(5, 300, 7), (5, 300, 3), (3, 300, 32), (40, 10, 4), (6, 64, 1), (2, 40, 38)]
)
def test_folded_loads_and_stores(rows: int, length: int, fold: int, core: int) -> None:
    x = drawn((rows, length), "float32")

    def kernel(x: Any) -> Any:
        tile = predicated_folded_load(x, fold, core, 2, fill_value=-7.0)
        wide = nl.ndarray((128, tile.shape[1] + 3), dtype=nl.bfloat16, buffer=nl.sbuf)
        nisa.memset(dst=wide, value=5.0)
        assert predicated_folded_load(x, fold, core, 2, data_sb=wide) is None
        back = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        unfolded_store(tile, back, fold, core, 2)
        return in_hbm(tile), in_hbm(wide), back

    tile, wide, back = launch(kernel, x)
    assert np.array_equal(tile, folded(x, fold, core, 2, -7.0))
    want = np.full(wide.shape, 5.0, np.float32)
    own = folded(x, fold, core, 2, -9948.0)
    want[: own.shape[0], : own.shape[1]] = own.astype(wide.dtype).astype(np.float32)
    assert np.array_equal(np.asarray(wide, np.float32), want)
    share = -(-rows // 2)
    assert np.array_equal(back[core * share : (core + 1) * share], x[core * share : (core + 1) * share])


def test_checks_of_folded_loads() -> None:
    with rejected("must be 2-D"):
        launch(lambda x: in_hbm(predicated_folded_load(x, 2)), drawn((2, 3, 4)))
    with rejected("more than the 128 partitions"):
        launch(lambda x: in_hbm(predicated_folded_load(x, 13)), drawn((10, 30)))


def test_reduce() -> None:
    assert reduce("mul", [2, 3], 4) == 24
    assert reduce("add", [2, 3], 4) == 9
    with rejected("initial_value"):
        reduce("mul", [1])
