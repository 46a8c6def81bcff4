"""Token tiles and checks of the decode norms' helpers; loads are tested with the norms."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import pytest
from kernels import rejected

from nkilib.core.subkernels.norm_tkg_utils import get_token_tile_size, validate_shapes_quantize_mx


@pytest.mark.parametrize(
    ("tokens", "size"), [(192, 64), (96, 32), (80, 16), (24, 8), (40, 8), (20, 20), (7, 7)]
)
def test_token_tiles(tokens: int, size: int) -> None:
    assert get_token_tile_size(tokens) == size


def shapes(batch: int = 2, sequence: int = 128, hidden: int = 1024, **changes: Any) -> dict[str, Any]:
    tokens = batch * sequence
    found: dict[str, Any] = {
        "input_shape": (batch, sequence, hidden),
        "gamma_shape": (1, hidden),
        "output_shape": (128, tokens, hidden // 128),
        "output_quant_shape": (128, hidden // 512, tokens),
        "output_scale_shape": (128, hidden // 512, tokens),
        "output_dtype": nl.bfloat16,
        "hidden_dim_tp": True,
        "is_residual_add": False,
    }
    return {**found, **changes}


def with_residual(batch: int = 2, sequence: int = 128, hidden: int = 1024, **changes: Any) -> dict[str, Any]:
    added = {
        "is_residual_add": True,
        "residual_shape": (batch, sequence, hidden),
        "output_residual_shape": (batch * sequence, hidden),
    }
    return shapes(batch, sequence, hidden, **{**added, **changes})


@pytest.mark.parametrize("dtype", [nl.bfloat16, nl.float16])
def test_valid_shapes(dtype: Any) -> None:
    want = (2, 128, 1024, 128, 8, 256, 2)
    assert validate_shapes_quantize_mx(**shapes(output_dtype=dtype)) == want
    assert validate_shapes_quantize_mx(**with_residual(output_dtype=dtype)) == want
    assert validate_shapes_quantize_mx(**shapes(1, 3, 512)) == (1, 3, 512, 128, 4, 3, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (shapes(hidden=640), "multiple of 512"),
        (shapes(gamma_shape=(1024,)), "gamma"),
        (shapes(hidden_dim_tp=False), "hidden_dim_tp"),
        (shapes(output_shape=(128, 256, 9)), "output"),
        (shapes(output_dtype=nl.float32), "float16 or bfloat16"),
        (with_residual(residual_shape=None), "residual"),
        (with_residual(residual_shape=(2, 128, 512)), "residual"),
        (with_residual(output_residual_shape=None), "output_residual"),
        (with_residual(output_residual_shape=(2, 128, 1024)), "output_residual"),
        (with_residual(hidden=1536), "multiple of 8"),
        (with_residual(batch=1), "at least 256"),
    ],
)
def test_invalid_shapes(arguments: dict[str, Any], words: str) -> None:
    with rejected(words):
        validate_shapes_quantize_mx(**arguments)
