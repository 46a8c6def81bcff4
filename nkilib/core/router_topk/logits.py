"""A router's logits: ``L[t, e] = Σ_h x[t, h]·w[h, e] + bias[e]``, summed in fp32."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.matmul import broadcast_row, contract
from ...blocks.memory import PARTITIONS, Scratch, psum_tile
from ...blocks.tiles import as_view
from ..utils.allocator import SbufManager
from ..utils.kernel_helpers import get_ceil_aligned_size
from ..utils.stream_shuffle_broadcast import stream_shuffle_broadcast
from ..utils.tensor_view import TensorView

PE_COLUMN_TILE_32 = 32
PE_COLUMN_TILE_64 = 64
PE_COLUMN_TILE_128 = 128
"""Columns of TensorE that a product of up to so many tokens takes."""


class Router(nl.NKIObject):
    """What all tokens are multiplied with.

    Attributes:
        weight: SBUF ``[128, H/128, E]``. bias: SBUF ``[≥ tokens, E]``, or None.
        grouped: several products at a time, on columns of TensorE of their own.
    """

    weight: nl.ndarray
    bias: Any = None
    grouped: bool = False


def load_bias(bias: Any, rows: int, by_product: bool, work: Scratch, sbm: SbufManager) -> Any:
    """A bias, HBM ``[E]`` or ``[1, E]``, on ``rows`` partitions; None stays None."""
    if bias is None:
        return None
    row = as_view(bias)
    if row.get_dim() == 1:
        row = row.expand_dim(0)
    experts = row.shape[1]
    spread = work.tile((rows, experts), bias.dtype)
    single = work.tile((1, experts), bias.dtype)
    nisa.dma_copy(dst=single, src=row.get_view())
    if by_product:
        broadcast_row(spread, single, sbm)
    else:
        stream_shuffle_broadcast(single, spread)
    return spread


def compute_logits(dst: nl.ndarray, tokens: TensorView, router: Router) -> None:
    """SBUF fp32 ``[T ≤ 128, E]`` for SBUF ``[128, H/128, T]``."""
    count, experts = dst.shape
    tiles = router.weight.shape[1]
    bias = None if router.bias is None else router.bias[0:count, :]
    if not router.grouped:
        product = psum_tile((count, experts))
        contract(product, tokens, router.weight, tiles * PARTITIONS)
        _leave(dst, product, bias)
        return
    width = PE_COLUMN_TILE_32 if count <= PE_COLUMN_TILE_32 else PE_COLUMN_TILE_64
    groups = min(PE_COLUMN_TILE_128 // width, tiles)
    products = psum_tile((get_ceil_aligned_size(groups * width, PARTITIONS), experts))
    for tile in range(tiles):
        column = tile % groups * width
        nisa.nc_matmul(
            dst=products[column : column + count, :],
            stationary=tokens.select(1, tile).get_view(),
            moving=router.weight[:, tile, :],
            tile_position=(0, column),
            tile_size=(PARTITIONS, width),
        )
    _leave(dst, products[0:count, :], bias)
    for group in range(1, groups):
        column = group * width
        nisa.tensor_tensor(dst=dst, data1=dst, data2=products[column : column + count, :], op=nl.add)


def _leave(dst: nl.ndarray, product: nl.ndarray, bias: Any) -> None:
    """Out of PSUM, with the bias if there is one."""
    if bias is None:
        nisa.tensor_copy(dst=dst, src=product)
    else:
        nisa.tensor_tensor(dst=dst, data1=bias, data2=product, op=nl.add)
