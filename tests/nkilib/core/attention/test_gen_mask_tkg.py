"""gen_mask_tkg against its definition, exactly: token orders, tiles, new tokens, cores."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from kernels import check_close, launch, rejected
from npref_attn import gen_mask_ref

from nkilib.core.attention.gen_mask_tkg import gen_mask_tkg
from nkilib.core.utils.allocator import SbufManager
from nkisim.core.dtypes import dtype_of


def kernel(
    pos: Any, active: Any, shape: tuple[int, ...], dtype: Any, bytes_of_sbuf: int, **options: Any
) -> Any:
    """The mask of each core, ``[cores, *shape]``."""
    cores, core = (nl.num_programs(0), nl.program_id(0)) if nl.program_ndim() else (1, 0)
    held = nl.ndarray(pos.shape, dtype=pos.dtype, buffer=nl.sbuf, address=(0, 150000))
    nisa.dma_copy(dst=held, src=pos)
    mask = nl.ndarray(shape, dtype=dtype, buffer=nl.sbuf, address=(0, 100000))
    nisa.memset(dst=mask, value=7)
    sbm = SbufManager(0, bytes_of_sbuf) if bytes_of_sbuf else None
    assert gen_mask_tkg(held, mask, active_mask=active, sbm=sbm, **options) is mask
    out = nl.ndarray((cores, *shape), dtype=dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out[core], src=mask)
    return out


def check(
    sizes: tuple[int, int, int, int],
    lnc: int = 1,
    active: str = "",
    tile: int = 0,
    limits: Any = None,
    dtype: str = "float32",
    pos: str = "float32",
    bytes_of_sbuf: int = 0,
    **options: Any,
) -> Any:
    """Compare on each core; ``sizes``: bs of a core, q_head, context, s_active. ``tile``: tokens of the tile."""
    bs, heads, context, s_active = sizes
    random = np.random.default_rng(42)
    options = {"is_s_prior_sharded": False, "s_prior_per_shard": context // lnc, **options}
    if not options["is_s_prior_sharded"]:
        options["s_prior_per_shard"] = context
    n = (tile or options["s_prior_per_shard"]) // 128
    if limits is None:
        limits = random.integers(1, context, bs)
    row = np.repeat(limits, s_active)
    row = np.where(np.arange(bs * s_active) % s_active == 0, row, 1)  # the others do not count
    given = None
    if active:
        count = bs * lnc if options.get("is_batch_sharded") else bs
        given = {"zeros": np.zeros, "ones": np.ones}.get(active, lambda shape: random.integers(0, 2, shape))(
            (s_active, count, heads, s_active)
        ).astype(np.uint8)
    sizes_of = {"bs": bs, "q_head": heads, "s_active": s_active}
    got = launch(
        kernel, np.tile(row, (128, 1)).astype(pos), given, (128, n, bs, heads, s_active), dtype_of(dtype),
        bytes_of_sbuf, lnc=lnc, **sizes_of, **options,
    )  # fmt: skip
    for core in range(lnc):
        want = gen_mask_ref(row[None], **sizes_of, n_tile=n, active_mask=given, shard_id=core, **options)
        check_close(got[core], want, 0, 0, f"core {core}")
    return got


STRIDED = pytest.mark.parametrize("order", [{}, {"strided_mm1": False}, {"block_len": 2}], ids=str)
SHARED = {"is_s_prior_sharded": True}
BY_BATCH = {"is_batch_sharded": True}


@STRIDED
@pytest.mark.parametrize("sizes", [(4, 1, 256, 1), (4, 2, 2048, 7), (3, 3, 512, 5)], ids=str)
def test_orders(sizes: tuple[int, int, int, int], order: dict[str, Any]) -> None:
    check(sizes, **order)


def test_blocks_of_16() -> None:
    check((4, 1, 2048, 5), block_len=16)


@STRIDED
@pytest.mark.parametrize("offset", [0, 256, 768])
def test_tiles(offset: int, order: dict[str, Any]) -> None:
    check((4, 1, 1024, 5), tile=256, s_prior_offset=offset, **order)


@STRIDED
@pytest.mark.parametrize("active", ["", "random"])
def test_shared_context(active: str, order: dict[str, Any]) -> None:
    check((4, 2, 4096, 5), lnc=2, active=active, **SHARED, **order)
    check((4, 2, 4096, 5), lnc=2, active=active, tile=512, s_prior_offset=1536, **SHARED, **order)


@pytest.mark.parametrize(("limit", "want"), [(0, 0), (512, 1)])
def test_nothing_and_everything(limit: int, want: int) -> None:
    assert (check((2, 2, 512, 3), limits=np.full(2, limit)) == want).all()


@STRIDED
@pytest.mark.parametrize("s_active", [1, 5, 7, 8])
def test_new_tokens(s_active: int, order: dict[str, Any]) -> None:
    """With two tiles they lie on several partitions."""
    check((4, 2, 256, s_active), active="random", **order)


@STRIDED
def test_new_tokens_are_written_over_the_prior_ones(order: dict[str, Any]) -> None:
    got = check((2, 1, 256, 4), active="zeros", limits=np.full(2, 256), **order)
    assert (got == 0).sum() == 4 * 2 * 4
    check((2, 1, 256, 4), active="ones", limits=np.zeros(2), **order)


def test_blocks_have_new_tokens_in_the_last_tile_only() -> None:
    options = {"block_len": 16, "tile": 2048, "active": "random"}
    got = check((4, 1, 4096, 5), s_prior_offset=0, **options)
    plain = check((4, 1, 4096, 5), s_prior_offset=0, **{**options, "active": ""})
    assert np.array_equal(got, plain)
    check((4, 1, 4096, 5), s_prior_offset=2048, **options)


@pytest.mark.parametrize("offset", [0, 508, 512, 516, 520, 1024])
def test_new_tokens_that_a_tile_has_a_part_of(offset: int) -> None:
    """Blocks: they are the last of the core's part, wherever the tile is."""
    check((2, 1, 1028, 7), block_len=2, active="random", tile=512, s_prior_offset=offset)


def test_blocks_without_a_given_part_end_with_the_tile() -> None:
    from npref_attn import tile_tokens

    got = launch(
        kernel, np.zeros((128, 4), np.float32), np.ones((2, 2, 1, 2), np.uint8), (128, 4, 2, 1, 2),
        dtype_of("float32"), 0, bs=2, q_head=1, s_active=2, is_s_prior_sharded=False, s_prior_per_shard=0,
        block_len=4,
    )  # fmt: skip
    seen = np.broadcast_to((tile_tokens(4, False, 4) >= 510)[:, :, None, None, None], got[0].shape)
    assert np.array_equal(got[0] == 1, seen)


@STRIDED
@pytest.mark.parametrize("sizes", [(8, 8, 256, 8), (26, 1, 256, 5), (4, 8, 512, 7)], ids=str)
def test_shared_batch(sizes: tuple[int, int, int, int], order: dict[str, Any]) -> None:
    """Fixed in 2.28, active-mask batch sharding: its rows are those of all sequences, blocks' masks too."""
    got = check(sizes, lnc=2, active="random", **BY_BATCH, **order)
    assert not np.array_equal(got[0], got[1])


def test_nothing_shared() -> None:
    got = check((3, 2, 512, 5), lnc=2, active="random")
    assert np.array_equal(got[0], got[1])


@pytest.mark.parametrize("dtype", ["uint8", "bfloat16", "int32"])
@pytest.mark.parametrize("pos", ["float32", "int32"])
def test_types(dtype: str, pos: str) -> None:
    check((4, 1, 512, 5), active="random", dtype=dtype, pos=pos)


def test_positions_that_bfloat16_could_not_hold() -> None:
    check((2, 1, 2**19, 1), tile=256, s_prior_offset=2**19 - 256, limits=np.array([2**19 - 101, 2**19 - 3]))


def test_fixed_addresses() -> None:
    check((4, 1, 1024, 5), active="random", bytes_of_sbuf=4096)


def test_ten_runs_are_identical() -> None:
    first = check((4, 2, 512, 5), lnc=2, active="random", **SHARED)
    for _ in range(9):
        assert np.array_equal(check((4, 2, 512, 5), lnc=2, active="random", **SHARED), first)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ((4, 2, 16384, 7), {"lnc": 2, **SHARED}),
        ((8, 8, 4096, 5), {"lnc": 2, "tile": 256, "s_prior_offset": 1536, **SHARED}),
        ((8, 8, 10240, 5), {"block_len": 16, "tile": 2048, "s_prior_offset": 8192}),
        ((80, 8, 256, 7), {"active": "random"}),
        ((80, 8, 256, 8), {"lnc": 2, "active": "random", "strided_mm1": False, **BY_BATCH}),
        ((80, 8, 512, 8), {"lnc": 2, "active": "random", "tile": 256, "s_prior_offset": 256, **BY_BATCH}),
        ((64, 8, 2048, 1), {"lnc": 2, "active": "random", "block_len": 16, **BY_BATCH}),
    ],
    ids=str,
)
def test_sizes_of_models(sizes: tuple[int, int, int, int], options: dict[str, Any]) -> None:
    check(sizes, **options)


def test_shapes_that_are_refused() -> None:
    def run(shape: tuple[int, ...], **changes: int) -> None:
        sizes = {"bs": 2, "q_head": 3, "s_active": 4, "is_s_prior_sharded": False, "s_prior_per_shard": 256}
        launch(
            kernel, np.zeros((128, 8), np.float32), None, shape, dtype_of("uint8"), 0, **{**sizes, **changes}
        )

    run((128, 2, 2, 3, 4))
    with rejected("has 4 dimensions"):
        run((128, 2, 2, 12))
    for changes in ({"bs": 1}, {"q_head": 2}, {"s_active": 3}):
        with rejected("mask_out is (128, 2, 2, 3, 4)"):
            run((128, 2, 2, 3, 4), **changes)
