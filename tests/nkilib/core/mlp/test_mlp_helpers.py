"""Helpers of the MLP's steps that kernels of one's own can use."""

from __future__ import annotations

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import in_hbm, in_sbuf
from kernels import launch

from nkilib.core.mlp.mlp_cte.mlp_cte_constants import BN_AGGR_ELEMENTS_PER_TILE, BN_STATS_ELEMENTS_PER_TILE
from nkilib.core.mlp.mlp_cte.mlp_cte_quantization import invert_static_scales
from nkilib.core.mlp.mlp_cte.mlp_cte_sharding import ShardedDim, is_sharded_dim_bxs, is_sharded_dim_bxs_or_s
from nkilib.core.mlp.mlp_cte.mlp_cte_utils import (
    calc_vec_crossload_free_dim_len,
    is_launch_grid_valid_for_mlp,
)


def test_a_layer_norm_s_statistics_have_these_sizes() -> None:
    def kernel(x):
        tile = in_sbuf(x)
        stats = nl.ndarray((4, 2, BN_STATS_ELEMENTS_PER_TILE), dtype=nl.float32, buffer=nl.sbuf)
        for half in range(2):
            nisa.bn_stats(dst=stats[:, half, :], data=tile[:, 16 * half : 16 * half + 16])
        mean_and_variance = nl.ndarray((4, BN_AGGR_ELEMENTS_PER_TILE), dtype=nl.float32, buffer=nl.sbuf)
        nisa.bn_aggr(dst=mean_and_variance, data=stats)
        return in_hbm(mean_and_variance)

    x = np.random.default_rng(0).normal(size=(4, 32)).astype(np.float32)
    np.testing.assert_allclose(launch(kernel, x), np.stack([x.mean(1), x.var(1)], 1), rtol=1e-5, atol=1e-6)


def test_scales_are_inverted_in_place() -> None:
    def kernel(scales):
        tile = in_sbuf(scales)
        inverse = invert_static_scales(tile)
        return in_hbm(tile), in_hbm(inverse)

    scales = np.linspace(-2, 5, 128, dtype=np.float32).reshape(128, 1)
    for got in launch(kernel, scales):
        np.testing.assert_allclose(got, 1 / scales, rtol=1e-6)


@pytest.mark.parametrize("dimension", list(ShardedDim))
def test_dimensions_of_tokens(dimension: ShardedDim) -> None:
    assert is_sharded_dim_bxs(dimension) == (dimension.name == "BATCH_X_SEQUENCE_LENGTH")
    assert is_sharded_dim_bxs_or_s(dimension) == (
        dimension.name in ("BATCH_X_SEQUENCE_LENGTH", "SEQUENCE_LENGTH")
    )


@pytest.mark.parametrize(("length", "wanted"), [(1, 1), (128, 1), (129, 2), (1024, 8)])
def test_elements_of_a_vector_on_each_partition(length: int, wanted: int) -> None:
    assert calc_vec_crossload_free_dim_len(np.zeros((1, length))) == wanted


@pytest.mark.parametrize(("dimensions", "wanted"), [(None, True), (0, True), (1, True), (2, False)])
def test_grids(dimensions: int | None, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nl, "program_ndim", lambda: dimensions)
    assert is_launch_grid_valid_for_mlp() is wanted
