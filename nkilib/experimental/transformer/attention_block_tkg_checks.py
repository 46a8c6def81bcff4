"""What :mod:`.attention_block_tkg` takes, and the sizes it derives; a failing check says what is allowed."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_layout
from ...blocks.dtypes import FLOATS, FLOATS_AND_FP8, assert_dtypes
from ...blocks.memory import PARTITIONS, PSUM_COLUMNS
from ...core.attention.attention_tkg_utils import is_fp8_e4m3
from ...core.utils.kernel_assert import assert_shape, kernel_assert
from ...core.utils.kernel_helpers import is_hbm_buffer
from .attention_block_tkg_cache import MOST_ROWS


class Sizes(nl.NKIObject):
    """Sizes of a call.

    Attributes:
        batch, sequence, hidden: B, S and H. heads, depth: of queries, and d.
        context, cache: S_ctx and S_max. block: tokens in a block, 0 for a flat cache.
    """

    batch: int
    sequence: int
    hidden: int
    heads: int
    depth: int
    context: int
    cache: int
    block: int = 0


def sizes_of(
    X: Any, W_qkv: Any, K_cache: Any, V_cache: Any, mask: Any, transposed: bool, table: Any
) -> Sizes:
    """Derive all sizes; raises AssertionError where they do not agree."""
    kernel_assert(nisa.get_nc_version() >= nisa.nc_version.gen3, "attention_block_tkg needs trn2 or later")
    kernel_assert(len(X.shape) == 3, f"X must have 3 dimensions, its shape is {X.shape}")
    assert_layout(mask, 4, "[S_ctx, B, heads, S]", "attention_mask")
    assert_layout(V_cache, len(V_cache.shape), "[…, S_max, d]", "V_cache")
    depth = V_cache.shape[len(V_cache.shape) - 1]
    kernel_assert(
        depth % 2 == 0 and depth <= PARTITIONS, f"d must be even and at most {PARTITIONS}, it is {depth}"
    )
    assert_layout(W_qkv, 2, "[H, (heads + 2)·d]", "W_qkv")
    columns = W_qkv.shape[1]
    kernel_assert(columns % depth == 0, f"W_qkv must have whole heads of {depth}, it has {columns} columns")
    sizes = Sizes(
        batch=mask.shape[1], sequence=0, hidden=W_qkv.shape[0], heads=columns // depth - 2, depth=depth,
        context=mask.shape[0], cache=0,
    )  # fmt: skip
    kernel_assert(sizes.heads > 0, f"W_qkv must have at least 3 heads of {depth}, it has {columns} columns")
    _derive_tokens(X, sizes)
    _derive_cache(K_cache, V_cache, transposed, table, sizes)
    wanted = (sizes.context, sizes.batch, sizes.heads, sizes.sequence)
    assert_shape(mask, wanted, "attention_mask")
    kernel_assert(
        sizes.context <= sizes.cache,
        f"attention_mask has {sizes.context} rows, more than the cache, {sizes.cache}",
    )
    return sizes


def _derive_tokens(X: Any, sizes: Sizes) -> None:
    if is_hbm_buffer(X):
        sizes.batch, sizes.sequence = X.shape[0], X.shape[1]
    else:
        kernel_assert(X.buffer == nl.sbuf, "X must be in HBM or in SBUF")
        kernel_assert(X.shape[0] == PARTITIONS, f"X in SBUF must be [128, B·S, H/128], it is {X.shape}")
        kernel_assert(
            X.shape[1] % sizes.batch == 0, f"X has {X.shape[1]} tokens, no multiple of B = {sizes.batch}"
        )
        sizes.sequence = X.shape[1] // sizes.batch
    tokens = sizes.batch * sizes.sequence
    kernel_assert(tokens <= PARTITIONS, f"B·S must be at most {PARTITIONS}, it is {tokens}")


def _derive_cache(K_cache: Any, V_cache: Any, transposed: bool, table: Any, sizes: Sizes) -> None:
    ranks = (len(K_cache.shape), len(V_cache.shape))
    kernel_assert(
        ranks == (3, 3) or ranks == (4, 4), f"both caches have 3 or 4 dimensions, they have {ranks}"
    )
    if table is not None:
        _derive_blocks(K_cache, V_cache, transposed, table, sizes)
        return
    batch, depth = sizes.batch, sizes.depth
    values = _without_head(V_cache, 1, "V_cache")
    keys = _without_head(K_cache, 1, "K_cache")
    kernel_assert(values[0] == batch, f"V_cache must have B = {batch} sequences, it has {values[0]}")
    sizes.cache = values[1]
    wanted = (batch, depth, sizes.cache) if transposed else (batch, sizes.cache, depth)
    kernel_assert(
        keys == wanted, f"K_cache must be {wanted} when K_cache_transposed is {transposed}, it is {keys}"
    )
    _check_rows(batch * sizes.cache)


def _derive_blocks(K_cache: Any, V_cache: Any, transposed: bool, table: Any, sizes: Sizes) -> None:
    kernel_assert(not transposed, "K_cache_transposed does not go with blocks (active_blocks_table)")
    shapes = (tuple(K_cache.shape), tuple(V_cache.shape))
    kernel_assert(shapes[0] == shapes[1], f"K_cache and V_cache must have one shape, they have {shapes}")
    blocks = _without_head(V_cache, 2, "V_cache")
    sizes.block = blocks[1]
    assert_layout(table, 2, "[B, blocks]", "active_blocks_table")
    sizes.cache = table.shape[1] * sizes.block
    kernel_assert(
        sizes.context == sizes.cache,
        f"attention_mask must have a row for each token of the blocks, {sizes.cache}, it has {sizes.context}",
    )
    _check_rows(blocks[0] * sizes.block)


def _without_head(cache: Any, axis: int, name: str) -> tuple[int, ...]:
    """The shape of a cache without its axis of heads, if it has one."""
    shape = tuple(cache.shape)
    if len(shape) == 3:
        return shape
    kernel_assert(shape[axis] == 1, f"{name} has one head, its shape is {shape}")
    rest = []
    for dim in range(4):
        if dim != axis:
            rest.append(shape[dim])
    return tuple(rest)


def _check_rows(rows: int) -> None:
    kernel_assert(rows <= MOST_ROWS, f"a cache has at most {MOST_ROWS} rows, this one has {rows}")


def check_types(
    X: Any, W_qkv: Any, bias_qkv: Any, K_cache: Any, V_cache: Any, W_out: Any, bias_out: Any
) -> None:
    """Of all tensors that products read; weights and caches may have 8 bits."""
    assert_dtypes(((X, "X"), (bias_qkv, "bias_qkv"), (bias_out, "bias_out")), FLOATS)
    stored = ((W_qkv, "W_qkv"), (W_out, "W_out"), (K_cache, "K_cache"), (V_cache, "V_cache"))
    assert_dtypes(stored, FLOATS_AND_FP8)


def check_norms(sizes: Sizes, gamma: Any, enabled: bool, weights: Any) -> None:
    """``enabled``: whether heads are normalised; ``weights``: of the second norm, for queries and keys."""
    if gamma is not None:
        assert_shape(gamma, (1, sizes.hidden), "rmsnorm_X_gamma")
    kernel_assert(
        not enabled or sizes.depth == PARTITIONS, f"norms of heads need d = {PARTITIONS}, it is {sizes.depth}"
    )
    for weight in weights:
        if weight is not None:
            assert_shape(weight, (1, sizes.depth), "weights of rmsnorm_QK_post_rope")


def check_rotation(sizes: Sizes, cos: Any, sin: Any, contiguous: bool) -> None:
    """Of cosines and sines that are given."""
    wanted = (sizes.depth // 2, sizes.batch, sizes.sequence)
    assert_shape(cos, wanted, "cos")
    assert_shape(sin, wanted, "sin")
    known = sizes.depth == 64 or sizes.depth == 128
    kernel_assert(known, f"a rotation needs d = 64 or 128, it is {sizes.depth}")
    columns = sizes.batch * sizes.heads * sizes.sequence
    kernel_assert(
        contiguous or columns <= PSUM_COLUMNS,
        f"interleaved heads need B·heads·S of at most {PSUM_COLUMNS}, they are {columns}",
    )


def check_scales(k_scale: Any, v_scale: Any, K_cache: Any, V_cache: Any) -> None:
    """Of quantised caches."""
    both = is_fp8_e4m3(K_cache.dtype) and is_fp8_e4m3(V_cache.dtype)
    kernel_assert(
        both, f"k_scale and v_scale need caches of float8_e4m3, they are {K_cache.dtype} and {V_cache.dtype}"
    )
    for scale in (k_scale, v_scale):
        shape = tuple(scale.shape)
        fits = shape == (1, 1) or shape == (PARTITIONS, 1)
        kernel_assert(fits, f"k_scale and v_scale must be (1, 1) or ({PARTITIONS}, 1), one is {shape}")


def check_update(sizes: Sizes, starts: Any, keys: Any, transposed: bool) -> None:
    """``keys``: what is written, of which dtype."""
    kernel_assert(starts is not None, "update_cache needs kv_cache_update_idx")
    assert_shape(starts, (sizes.batch, 1), "kv_cache_update_idx")
    turned = transposed or keys == nl.bfloat16 or is_fp8_e4m3(keys)
    kernel_assert(turned, f"keys of {keys} go only into a transposed K_cache, others are bfloat16 or 8-bit")
