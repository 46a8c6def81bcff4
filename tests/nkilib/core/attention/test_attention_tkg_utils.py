"""Sizes and sharding rules of attention_tkg, as tables."""

from __future__ import annotations

import math
from typing import Any

import pytest
from kernels import rejected

from nkilib.core.attention import attention_tkg as module
from nkilib.core.attention import attention_tkg_utils as utils
from nkilib.core.attention.attention_tkg_utils import AttnTKGConfig, TileConstants
from nkisim import language as nl


def resize(*args: int, **kwargs: int) -> tuple[int, int]:
    return utils.resize_cache_block_len_for_attention_tkg_kernel(*args, **kwargs)


@pytest.mark.parametrize(
    ("args", "want"),
    [
        ((64, 16, 2, 128), (4, 4)),
        ((640, 16, 2, 128), (8, 2)),
        ((512, 16, 2, 128), (16, 1)),
        ((192, 16, 2, 128), (4, 4)),
        ((3, 256, 2, 128), (1, 256)),
        ((8, 32, 1, 128), (2, 16)),
    ],
)
def test_pieces(args: tuple[int, int, int, int], want: tuple[int, int]) -> None:
    assert resize(*args) == want
    blocks, length, cores, partitions = args
    assert want[0] == math.gcd(length, blocks * length // (cores * partitions))


def test_pieces_of_a_context_that_cores_cannot_share() -> None:
    assert resize(8, 16, 1, 128) == (1, 16)
    with rejected("must divide by 256"):
        resize(8, 16, 2, 128)


def test_messages_about_pieces(capsys: pytest.CaptureFixture[str]) -> None:
    resize(512, 16, 2, 128)
    assert capsys.readouterr().out == ""
    resize(640, 16, 2, 128)
    assert "cut into 2 of 8" in capsys.readouterr().out
    resize(64, 16, 2, 128)
    printed = capsys.readouterr().out
    assert "a context of 4096 would keep blocks of 16" in printed
    assert "more than the cache has" not in printed
    resize(64, 16, 2, 128, full_sprior=2048)
    assert "4096 tokens are more than the cache has, 2048" in capsys.readouterr().out
    resize(64, 16, 2, 128, full_sprior=4096)
    assert "more than the cache has" not in capsys.readouterr().out


@pytest.mark.parametrize(("tokens", "want"), [(128, False), (8192, False), (8320, True), (16384, True)])
def test_tiles(tokens: int, want: bool) -> None:
    assert utils.uses_flash_attention(tokens) == (want, 8192)


@pytest.mark.parametrize(
    ("dtype", "e4m3", "e5m2"),
    [
        (nl.float8_e4m3, True, False),
        ("float8e4", True, False),
        (nl.float8_e5m2, False, True),
        ("float8e5", False, True),
        (nl.bfloat16, False, False),
        ("float32", False, False),
    ],
)
def test_eight_bit_types(dtype: Any, e4m3: bool, e5m2: bool) -> None:
    assert utils.is_fp8_e4m3(dtype) is e4m3
    assert utils.is_fp8_e5m2(dtype) is e5m2


@pytest.mark.parametrize(
    ("sizes", "batch", "context"),
    [
        ((4, 1, 5, 1024), False, True),
        ((4, 8, 7, 3072), True, False),
        ((8, 8, 1, 128), True, False),
        ((1, 1, 1, 128), False, False),
        ((3, 10, 5, 512), False, False),
        ((128, 1, 1, 256), False, True),
        ((130, 1, 1, 256), True, False),
        ((2, 1, 1, 255), True, False),
        ((1, 1, 1, 256), False, True),
    ],
)
def test_what_cores_share(sizes: tuple[int, int, int, int], batch: bool, context: bool) -> None:
    cfg = AttnTKGConfig(*sizes)
    assert utils.is_batch_sharded(cfg, 128) is batch
    assert utils.is_s_prior_sharded(cfg, 128) is context


def test_constants() -> None:
    found = TileConstants.get_tile_constants()
    assert (found.p_max, found.psum_f_max, found.psum_b_max) == (128, 512, 8)
    assert (found.sbuf_quadrant_size, found.psum_f_max_bytes) == (32, 2048)
    assert TileConstants(1, 2, 3, 4, 5).psum_f_max_bytes == 5


def test_names_that_the_kernels_module_has_too() -> None:
    for name in (
        "AttnTKGConfig", "TileConstants", "uses_flash_attention", "is_fp8_e4m3", "is_fp8_e5m2",
        "is_batch_sharded", "is_s_prior_sharded", "resize_cache_block_len_for_attention_tkg_kernel",
    ):  # fmt: skip
        assert getattr(module, name) is getattr(utils, name)
    assert module._MAX_S_ACTIVE == 8
    assert module._ALLOWED_CONFIGURATIONS[0] == (256, [(128, 64)])
    assert module._ALLOWED_CONFIGURATIONS[5] == (32768, [(1, 128), (4, 16)])
