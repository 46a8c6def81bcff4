"""Who does what in context encoding, and how many tokens at a time: numbers only."""

from typing import Any

import nki.language as nl

from ....blocks.lnc import Cores, split
from ....blocks.memory import PARTITIONS
from ....blocks.tiles import tiles_of
from ...utils.allocator import sizeinbytes
from ...utils.kernel_assert import kernel_assert
from ...utils.kernel_helpers import div_ceil
from ..mlp_parameters import (
    MLPParameters,
    mlpp_has_fused_add,
    mlpp_has_projection_bias,
    mlpp_has_quantized_weights,
)

SHARED_INNER_TOKENS, SHARED_INNER_HIDDEN, SHARED_INNER_COLUMNS = 256, 7168, 1024
"""Cores take halves of I for at most so many tokens, and at least so large H and I."""
BLOCK_TILES = 4
"""Most tiles of 128 tokens in a block."""
BLOCK_BYTES = 96 * 1024
"""Bytes of a partition for the activations of a block."""
SBUF_BYTES = 176 * 1024
"""Bytes of a partition for everything; the rest of SBUF's 192 KiB is a reserve."""
OTHER_BYTES = 40 * 1024
"""Bytes of a partition for tiles that live for a few instructions."""


class Plan(nl.NKIObject):
    """This core's share.

    Attributes:
        here: the cores. first, tokens: its tokens. inner_first, inner: its columns of I.
        shares_inner: whether the cores have halves of I, and all tokens.
        block: tokens at a time. resident: whether all weights stay in SBUF.
    """

    here: Cores
    first: int
    tokens: int
    inner_first: int
    inner: int
    shares_inner: bool
    block: int
    resident: bool


def make_plan(params: MLPParameters, here: Cores) -> Plan:
    """Raises AssertionError when tokens do not divide by the cores."""
    tokens, inner = params.batch_size * params.sequence_len, params.intermediate_size
    shares_inner = _shares_inner(params, tokens, here)
    first, inner_first = 0, 0
    if shares_inner:
        inner_first, inner = split(inner, here)
    else:
        kernel_assert(
            tokens % here.count == 0, f"B·S = {tokens} tokens must divide by the {here.count} cores"
        )
        first, tokens = split(tokens, here)
    block = _block(params, tokens, inner)
    return Plan(
        here=here,
        first=first,
        tokens=tokens,
        inner_first=inner_first,
        inner=inner,
        shares_inner=shares_inner,
        block=block,
        resident=block < tokens and _fits(params, block, inner),
    )


def _shares_inner(params: MLPParameters, tokens: int, here: Cores) -> bool:
    hidden, inner = params.hidden_size, params.intermediate_size
    large = hidden >= SHARED_INNER_HIDDEN and inner >= SHARED_INNER_COLUMNS and inner % 2 == 0
    return (
        here.count == 2 and tokens <= SHARED_INNER_TOKENS and large and not mlpp_has_projection_bias(params)
    )


def _bytes_of_tile(params: MLPParameters, inner: int) -> int:
    """Activations of 128 tokens, in a partition: x, m and mᵀ."""
    operand = 1 if mlpp_has_quantized_weights(params) else 2
    return operand * (params.hidden_size + tiles_of(inner) * PARTITIONS) + 2 * inner


def _block(params: MLPParameters, tokens: int, inner: int) -> int:
    """Tokens at a time: blocks of equally many tiles."""
    tiles = tiles_of(tokens)
    most = max(1, min(BLOCK_TILES, BLOCK_BYTES // _bytes_of_tile(params, inner)))
    return div_ceil(tiles, div_ceil(tiles, most)) * PARTITIONS


def _weight_bytes(weight: Any, rows: int, columns: int) -> int:
    return tiles_of(rows) * columns * sizeinbytes(weight.dtype)


def _fits(params: MLPParameters, block: int, inner: int) -> bool:
    """Whether all weights fit into SBUF beside the activations."""
    hidden = params.hidden_size
    weights = (
        _weight_bytes(params.gate_proj_weights_tensor, hidden, inner)
        + _weight_bytes(params.up_proj_weights_tensor, hidden, inner)
        + _weight_bytes(params.down_proj_weights_tensor, inner, hidden)
    )
    rows = 2 * hidden * (2 if mlpp_has_fused_add(params) else 1)
    activations = block // PARTITIONS * _bytes_of_tile(params, inner)
    return weights + rows + activations + OTHER_BYTES <= SBUF_BYTES
