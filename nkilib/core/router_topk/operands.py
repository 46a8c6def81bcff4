"""A router's operands in SBUF, and in which order the hidden dimension lies there."""

from typing import Any

import nki.language as nl

from ...blocks.memory import PARTITIONS, Scratch
from ...blocks.tiles import as_view, load_hidden, load_rows, load_rows_by_partition
from ..utils.kernel_assert import kernel_assert
from ..utils.tensor_view import TensorView

XHBMLayout_H_T__0 = 0
XHBMLayout_T_H__1 = 1
XSBLayout_tp102__0 = 0
XSBLayout_tp2013__1 = 1
XSBLayout_tp201__2 = 2
XSBLayout__128_Hdiv128_T__3 = 3


def router_topk_input_x_load(
    x: nl.ndarray, hbm_layout: int = XHBMLayout_H_T__0, sb_layout: int = XSBLayout_tp2013__1
) -> nl.ndarray:
    """Activations in SBUF, all tokens of them.

    Args:
        x: HBM ``[H, T]`` for ``hbm_layout`` 0, ``[T, H]`` for 1; H a multiple of 128 (256 for layout 1).
        sb_layout: of the result, see :mod:`.router_topk`; 3 from layout 0, others from layout 1.

    Raises AssertionError for other layouts and sizes.
    """
    by_token = hbm_layout == XHBMLayout_T_H__1
    kernel_assert(
        by_token or hbm_layout == XHBMLayout_H_T__0,
        f"router_topk_input_x_load only hbm_layout=0,1 are supported. Got {hbm_layout}",
    )
    kernel_assert(
        0 <= sb_layout <= 3, f"router_topk_input_x_load only sb_layout=0,1,2,3 are supported. Got {sb_layout}"
    )
    last = sb_layout == XSBLayout__128_Hdiv128_T__3
    kernel_assert(by_token or last, f"hbm_layout=0 only supports sb_layout=3, got {sb_layout}")
    kernel_assert(not by_token or not last, f"hbm_layout=1 only supports sb_layout=0,1,2 got {sb_layout}")
    hidden = x.shape[1] if by_token else x.shape[0]
    unit = 2 * PARTITIONS if sb_layout == XSBLayout_tp2013__1 else PARTITIONS
    kernel_assert(hidden % unit == 0, f"Hidden dimension must be multiples of {unit}, got {hidden}")
    width = hidden // PARTITIONS
    shape = (PARTITIONS, x.shape[0], width) if by_token else (PARTITIONS, width, x.shape[1])
    loaded = nl.ndarray(shape, dtype=x.dtype, buffer=nl.sbuf)
    load_activations(loaded, as_view(x), sb_layout)
    return loaded


def load_activations(dst: Any, src: TensorView, sb_layout: int) -> None:
    """HBM ``[H, T]`` for ``sb_layout`` 3, otherwise ``[T, H]``, to SBUF in this layout."""
    if sb_layout == XSBLayout__128_Hdiv128_T__3:
        load_rows(dst, src)
    else:
        shards = 2 if sb_layout == XSBLayout_tp2013__1 else 1
        load_hidden(dst, src, shards, transposed=sb_layout == XSBLayout_tp201__2)


def router_topk_input_w_load(w: nl.ndarray, x_sb_layout: int, name: str = "") -> nl.ndarray:
    """A router's weight in SBUF ``[128, H/128, E]``, in the order of the activations of ``x_sb_layout``.

    Args:
        w: HBM ``[H, E]``. name: of the tile.

    Raises AssertionError for a layout other than 0 to 3.
    """
    kernel_assert(
        0 <= x_sb_layout <= 3,
        f"router_topk_input_w_load only x_sb_layout=0,1,2,3 are supported. Got {x_sb_layout}",
    )
    loaded = nl.ndarray(weight_shape(w), dtype=w.dtype, buffer=nl.sbuf, name=name)
    load_weight(loaded, w, x_sb_layout)
    return loaded


def weight_shape(w: nl.ndarray) -> tuple[int, int, int]:
    return (PARTITIONS, w.shape[0] // PARTITIONS, w.shape[1])


def load_weight(dst: nl.ndarray, w: nl.ndarray, x_sb_layout: int) -> None:
    """HBM ``[H, E]`` to SBUF ``[128, H/128, E]``."""
    if x_sb_layout == XSBLayout_tp102__0:
        load_rows_by_partition(dst, w)
    elif x_sb_layout == XSBLayout_tp2013__1:
        half, width = w.shape[0] // 2, dst.shape[1] // 2
        for part in range(2):
            tiles = as_view(dst).slice(1, part * width, (part + 1) * width)
            load_rows_by_partition(tiles, as_view(w).slice(0, part * half, (part + 1) * half))
    else:
        load_rows(dst, w)


def token_columns(
    x: nl.ndarray, in_sbuf: bool, sb_layout: int, first: int, count: int, work: Scratch
) -> TensorView:
    """Some tokens as the operand of a product, ``[128, H/128, tokens]``.

    Args:
        x: SBUF in ``sb_layout``, or HBM as :func:`load_activations` takes it.
    """
    last = sb_layout == XSBLayout__128_Hdiv128_T__3
    if in_sbuf:
        return as_view(x).slice(1, first, first + count).permute((0, 2, 1))
    hidden = x.shape[0] if last else x.shape[1]
    width = hidden // PARTITIONS
    shape = (PARTITIONS, width, count) if last else (PARTITIONS, count, width)
    held = work.tile(shape, x.dtype)
    load_activations(held, as_view(x).slice(1 if last else 0, first, first + count), sb_layout)
    return as_view(held) if last else as_view(held).permute((0, 2, 1))
