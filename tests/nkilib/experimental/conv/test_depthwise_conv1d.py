"""Depthwise convolution: sizes, zeros around the image, strides, types, two cores, and checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from blockcheck import drawn
from kernels import check_close, launch, rejected
from npref_attn import depthwise_conv1d_ref

import nkisim
from nkilib.experimental.conv.depthwise_conv1d import depthwise_conv1d_implicit_gemm

ROUNDING = {"float32": 2e-6, "bfloat16": 4e-3, "float16": 5e-4}


def check(
    sizes: tuple[int, int, int, int],
    stride: int = 1,
    pad: tuple[int, int] = (0, 0),
    dtype: str = "bfloat16",
    lnc: int = 2,
    above: tuple[int, int] = (0, 0),
) -> None:
    """``sizes``: N, C, W, S."""
    batch, channels, width, taps = sizes
    image, filters = drawn((batch, channels, 1, width), dtype), drawn((channels, 1, 1, taps), dtype, 1)
    got = launch(
        depthwise_conv1d_implicit_gemm,
        image,
        filters,
        padding=(above, pad),
        stride=(1, stride),
        feature_group_count=channels,
        lnc=lnc,
    )
    assert got.dtype == image.dtype
    check_close(got, depthwise_conv1d_ref(image, filters, pad, stride), ROUNDING[dtype], 1e-6)


@pytest.mark.parametrize("lnc", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(
    "sizes",
    [
        (1, 16, 100, 3), (1, 16, 64, 64), (1, 16, 129, 128), (1, 6, 300, 200), (4, 2, 90, 7), (1, 258, 40, 8),
        (2, 4, 5, 1), (1, 2, 400, 399),
    ],
)  # fmt: skip
def test_sizes(sizes: tuple[int, int, int, int], dtype: str, lnc: int) -> None:
    check(sizes, dtype=dtype, lnc=lnc)


@pytest.mark.parametrize("pad", [(1, 1), (3, 3), (10, 10), (2, 1), (0, 5), (5, 0), (70, 90)])
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 16])
@pytest.mark.parametrize("taps", [5, 64])
def test_zeros_and_strides(taps: int, stride: int, pad: tuple[int, int]) -> None:
    check((2, 4, 150, taps), stride, pad)


@pytest.mark.parametrize(
    ("sizes", "stride", "pad"),
    [
        ((1, 16, 512, 64), 1, 0), ((1, 256, 512, 64), 1, 10), ((1, 256, 512, 64), 2, 0), ((1, 256, 512, 64), 2, 5),
        ((1, 32, 4096, 4093), 1, 0), ((1, 64, 5000, 8), 1, 0), ((1, 256, 128, 128), 1, 1), ((2, 8, 4096, 512), 3, 0),
    ],
)  # fmt: skip
def test_sizes_of_models(sizes: tuple[int, int, int, int], stride: int, pad: int) -> None:
    check(sizes, stride, (pad, pad))


@pytest.mark.parametrize(("width", "taps", "stride"), [(40000, 4, 1), (40000, 3, 16), (18000, 16384, 1)])
def test_wide_images(width: int, taps: int, stride: int) -> None:
    check((1, 2, width, taps), stride, (3, 4), "float32")


def test_only_zeros_beside_the_image_count() -> None:
    check((1, 4, 50, 5), above=(7, 2))
    check((1, 4, 50, 5), pad=(1, 2), above=(7, 2))


def test_a_filter_of_one_tap_moves_the_image() -> None:
    image, filters = drawn((1, 4, 1, 60)), np.zeros((4, 1, 1, 9), drawn((1,)).dtype)
    filters[..., 5] = 1
    got = launch(depthwise_conv1d_implicit_gemm, image, filters, feature_group_count=4)
    assert np.array_equal(got, image[..., 5:57])


def test_one_channel_needs_no_groups_and_permutations_are_ignored() -> None:
    image, filters = drawn((2, 1, 1, 60)), drawn((1, 1, 1, 9), seed=1)
    got = launch(
        depthwise_conv1d_implicit_gemm,
        image,
        filters,
        in_perm=(3, 2),
        kern_perm=(1,),
        out_perm=(0, 3, 1, 2),
        lnc=1,
    )
    check_close(got, depthwise_conv1d_ref(image, filters), 4e-3)


def test_cores_share_channels() -> None:
    with nkisim.races():
        check((2, 10, 60, 9))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"feature_group_count": 1}, "feature_group_count must be C = 4, it is 1"),
        ({"stride": (2, 1)}, "stride must be (1, at least 1)"),
        ({"stride": (1, 0)}, "stride must be at least 1"),
        ({"rhs_dilation": (1, 2)}, "dilations must be (1, 1)"),
        ({"lhs_dilation": (2, 1)}, "dilations must be (1, 1)"),
        ({"batch_group_count": 2}, "batch_group_count must be 1"),
        ({"taps": 61}, "longer than the image"),
        ({"image": (1, 4, 60)}, "must be [N, C, 1, W]"),
        ({"image": (1, 4, 2, 60)}, "must be [N, C, 1, W]"),
        (
            {"image": (1, 5, 1, 60), "channels": 5, "feature_group_count": 5},
            "C = 5 must divide by the 2 cores",
        ),
        ({"channels": 5}, "the filter must have shape"),
    ],
)
def test_checks(change: dict[str, Any], words: str) -> None:
    given = {"feature_group_count": 4, **change}
    image = drawn(given.pop("image", (1, 4, 1, 60)))
    filters = drawn((given.pop("channels", 4), 1, 1, given.pop("taps", 5)))
    with rejected(words):
        launch(depthwise_conv1d_implicit_gemm, image, filters, lnc=2, **given)
