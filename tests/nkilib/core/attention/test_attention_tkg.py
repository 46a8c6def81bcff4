"""attention_tkg against its float64 reference: layouts, masks, caches, cores, and what it must not depend on."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import numpy as np
import pytest
from kernels import cast, check_close, rejected
from npref_attn import gather_blocks, tile_tokens
from tkgcases import Case, columns

import nkisim

RTOL, ATOL = 1e-2, 1e-5
BOTH = pytest.mark.parametrize("lnc", [1, 2])
FUSED = {"use_pos_id": True, "fuse_rope": True}
IN_SBUF = {"qk_in_sb": True, "out_in_sb": True}


def check(case: Case, rtol: float = RTOL, atol: float = ATOL, **run: Any) -> Any:
    """Run and compare; what is left in SBUF is compared on each core."""
    got, want = case.run(**run), case.expected()
    compared = want if case.cfg.fuse_rope else want[:1]
    for name, found, wanted in zip(("out", "k_out"), got, compared, strict=False):
        assert str(found.dtype) == case.out
        copies = found if found.ndim > wanted.ndim else found[None]
        for core, copy in enumerate(copies):
            check_close(copy, wanted, rtol, atol, f"{name} of core {core}")
    return got


# -- flat caches ----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("strided", [True, False], ids=["strided", "tiles"])
@pytest.mark.parametrize("tp_k_prior", [True, False])
def test_rotated_from_hbm(lnc: int, tp_k_prior: bool, strided: bool) -> None:
    check(Case(4, 1, 5, 1024, 128, full=2048, lnc=lnc, tp_k_prior=tp_k_prior, strided_mm1=strided, **FUSED))


@BOTH
@pytest.mark.parametrize("kind", ["rotated", "masked", "both"])
def test_outputs_in_sbuf(lnc: int, kind: str) -> None:
    options = {"rotated": {"fuse_rope": True}, "masked": {"use_pos_id": True}, "both": FUSED}[kind]
    check(Case(3, 2, 4, 512, 64, lnc=lnc, spread=2.0, k_out_in_sb=True, **IN_SBUF, **options))


@BOTH
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("tp_k_prior", [True, False])
def test_types(dtype: str, tp_k_prior: bool, lnc: int) -> None:
    check(Case(2, 3, 2, 512, 32, lnc=lnc, dtype=dtype, tp_k_prior=tp_k_prior, spread=1.5, **IN_SBUF))


def test_the_output_has_the_type_of_the_caller() -> None:
    check(Case(2, 3, 2, 256, 32, out="float32", **IN_SBUF))


@BOTH
@pytest.mark.parametrize(
    ("B", "H", "s_a", "S", "d"),
    [
        (1, 1, 1, 128, 64),  # one query
        (8, 8, 1, 128, 64),  # batch shared, short context
        (4, 8, 7, 384, 64),  # batch shared, 112 queries on a core
        (6, 16, 8, 256, 16),  # 384 queries on a core, in groups
        (3, 10, 5, 512, 64),  # nothing shared, 150 queries
        (5, 7, 3, 256, 128),  # context shared, 105 queries
        (128, 1, 1, 256, 8),
        (2, 5, 8, 256, 33),  # new tokens over several partitions, n = 1 on two cores
    ],
)
def test_sizes(B: int, H: int, s_a: int, S: int, d: int, lnc: int) -> None:
    check(Case(B, H, s_a, S, d, lnc=lnc, spread=2.0, **IN_SBUF))


def test_one_and_two_cores_agree() -> None:
    case = Case(4, 2, 3, 1024, 64, spread=3.0, **IN_SBUF)
    one, two = case.run(lnc=1)[0][0], case.run(lnc=2)[0]
    assert np.array_equal(two[0], two[1])
    check_close(two[0], cast(one, "float32"), RTOL, ATOL)


@BOTH
@pytest.mark.parametrize("tp_k_prior", [True, False])
def test_prior_rows_in_place_of_new_ones_do_not_matter(tp_k_prior: bool, lnc: int) -> None:
    case = Case(2, 2, 5, 512, 64, full=640, lnc=lnc, tp_k_prior=tp_k_prior, more=1, **FUSED)
    before = check(case)
    keys = case.arrays["k_prior"] if tp_k_prior else case.arrays["k_prior"].swapaxes(2, 3)
    for cache in (keys, case.arrays["v_prior"]):
        cache[:, :, 507:] = 1e30
        cache[2:] = np.nan
    after = case.run()
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


@BOTH
def test_masked_keys_do_not_matter(lnc: int) -> None:
    case = Case(2, 2, 2, 512, 32, lnc=lnc, tp_k_prior=True, positions=np.array([100, 300]), **IN_SBUF)
    before = case.run()[0]
    case.arrays["k_prior"][0, 0, 100:510], case.arrays["k_prior"][1, 0, 300:510] = np.nan, np.inf
    assert np.array_equal(case.run()[0], before)


@BOTH
@pytest.mark.parametrize("sink", ["float32", "bfloat16"])
def test_sink(lnc: int, sink: str) -> None:
    case = Case(2, 4, 3, 512, 64, lnc=lnc, sink=sink, **IN_SBUF)
    case.arrays["sink"] = cast(20 + np.arange(4)[:, None], sink)
    got = check(case)[0][0]
    without, details = case.expected(sink=None)[0], case.expected(details=True)[2]
    sinks = np.asarray(case.arrays["sink"]).astype(np.float64)
    share = np.exp(sinks.reshape(4, 1) + details["NEG_MAX"]) / details["SUM"]
    assert share.max() > 0.3
    assert share.max() < 0.999
    want = without * (1 - share).reshape(1, -1)
    check_close(got, want, RTOL, ATOL)


@BOTH
def test_each_query_has_its_own_mask(lnc: int) -> None:
    """A mask without any order, with all heads and sequences different."""
    case = Case(2, 3, 4, 512, 32, lnc=lnc, spread=2.0, **IN_SBUF)
    case.arrays["mask"] = (np.random.default_rng(5).uniform(size=(512, 2, 3, 4)) < 0.3).astype(np.uint8)
    check(case)


@BOTH
@pytest.mark.parametrize("strided", [True, False], ids=["strided", "tiles"])
def test_masks_of_new_tokens_differ(lnc: int, strided: bool) -> None:
    """Fixed in 2.28, active-mask batch sharding: each core has the masks of its own sequences."""
    case = Case(6, 3, 8, 256, 32, lnc=lnc, use_pos_id=True, strided_mm1=strided, spread=2.0, **IN_SBUF)
    case.arrays["mask"] = (np.random.default_rng(5).uniform(size=(8, 6, 3, 8)) < 0.5).astype(np.uint8)
    check(case)


@BOTH
@pytest.mark.parametrize("block_len", [0, 16])
@pytest.mark.parametrize("batch", [3, 6])
def test_masks_made_here_and_given_ones_give_the_same_bits(batch: int, block_len: int, lnc: int) -> None:
    sizes = (batch, 4, 6, 512, 32)
    given = Case(*sizes, lnc=lnc, block_len=block_len, **IN_SBUF)
    made = Case(*sizes, lnc=lnc, block_len=block_len, use_pos_id=True, **IN_SBUF)
    assert np.array_equal(given.run()[0], made.run()[0])


def test_rotation_at_large_positions() -> None:
    """The angle is a float32 product; what follows must not lose more."""
    case = Case(2, 1, 3, 256, 64, fuse_rope=True, tp_k_prior=True)
    case.arrays["rope_pos_ids"] = np.array([[130001, 130002, 130003], [7, 8, 9]], np.float32)
    angles = case.arrays["rope_pos_ids"][:, None, :, None] * case.arrays["inv_freqs"].reshape(-1)
    assert angles.dtype == np.float32
    x = cast(case.arrays["k_active"], "float32").astype(np.float64)
    sine, cosine = (f(angles.astype(np.float64)) for f in (np.sin, np.cos))
    low, high = x[..., :32], x[..., 32:]
    want = np.concatenate([low * cosine - high * sine, high * cosine + low * sine], -1).swapaxes(2, 3)
    check_close(case.run()[1], want, 4e-3, 0)


# -- blocks ---------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("use_pos_id", [False, True], ids=["mask", "pos_id"])
@pytest.mark.parametrize(
    ("B", "H", "s_a", "S", "d", "block_len"),
    [
        (4, 1, 5, 1024, 128, 16),  # pieces of 8 or 4
        (2, 1, 5, 512, 64, 16),  # 4 or 2: the new tokens lie in 2 or 3 pieces
        (4, 8, 7, 1024, 64, 4),  # batch shared, pieces of 4
        (3, 10, 5, 512, 32, 32),  # nothing shared
        (1, 2, 8, 768, 128, 256),  # pieces of 1: half the context is no number of blocks
    ],
)
def test_blocks(B: int, H: int, s_a: int, S: int, d: int, block_len: int, lnc: int, use_pos_id: bool) -> None:
    check(Case(B, H, s_a, S, d, lnc=lnc, block_len=block_len, use_pos_id=use_pos_id, spread=1.5, **IN_SBUF))


@BOTH
def test_blocks_equal_the_flat_cache_that_they_list(lnc: int) -> None:
    """Fixed in 2.28, v_active slices: new values that lie in several pieces go on where the last piece ended."""
    case = Case(4, 1, 5, 1536, 128, lnc=lnc, block_len=16, use_pos_id=True, spread=1.5, **IN_SBUF)
    flat = Case(4, 1, 5, 1536, 128, lnc=lnc, tp_k_prior=True, strided_mm1=False, use_pos_id=True, **IN_SBUF)
    table = case.arrays["active_blocks_table"]
    for name in ("q", "k_active", "v_active", "mask", "rope_pos_ids"):
        flat.arrays[name] = case.arrays[name]
    for name in ("k_prior", "v_prior"):
        flat.arrays[name] = gather_blocks(case.arrays[name], table)[:, None]
    check_close(case.run()[0], cast(flat.run()[0], "float32"), 2e-3, ATOL)


@BOTH
@pytest.mark.parametrize("d", [64, 128])
def test_blocks_that_the_cache_does_not_have(lnc: int, d: int) -> None:
    case = Case(2, 1, 2, 1024, d, lnc=lnc, block_len=16, positions=np.array([500, 700]), **IN_SBUF)
    before = check(case)[0]
    table = case.arrays["active_blocks_table"]
    table[0, 40:-1], table[1, 50:-1] = 10**6, 2**32 - 1
    assert np.array_equal(case.run()[0], before)


def test_blocks_in_several_tiles_ignore_strided_order() -> None:
    case = Case(1, 1, 3, 9216, 16, block_len=8, use_pos_id=True, spread=3.0, **IN_SBUF)
    before = check(case)[0]
    case.cfg.strided_mm1 = True
    assert np.array_equal(case.run()[0], before)


# -- 8-bit caches ---------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("layout", [{"tp_k_prior": True}, {"tp_k_prior": False}, {"block_len": 16}], ids=str)
@pytest.mark.parametrize("q", ["bfloat16", "float8_e4m3"])
def test_fp8(layout: dict[str, Any], q: str, lnc: int) -> None:
    case = Case(
        3,
        2,
        4,
        512,
        64,
        lnc=lnc,
        dtype=q,
        kv="float8_e4m3",
        out="bfloat16",
        qk_in_sb=True,
        spread=2.0,
        **layout,
    )
    check(case, 3e-2, 3e-2)


# -- long contexts --------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("strided", [True, False], ids=["strided", "tiles"])
@pytest.mark.parametrize("sink", ["", "float32"])
def test_tiles_of_8192(lnc: int, strided: bool, sink: str) -> None:
    check(Case(1, 2, 5, 16640, 16, lnc=lnc, sink=sink, strided_mm1=strided, spread=4.0, **IN_SBUF))


@pytest.mark.parametrize("where", [0, 9000, 16000])
def test_any_tile_may_have_the_maximum(where: int) -> None:
    case = Case(2, 1, 2, 16512, 16, tp_k_prior=True, positions=np.array([16500, 16500]), **IN_SBUF)
    case.arrays["k_prior"][:, :, where : where + 400] *= cast(6.0, "bfloat16")
    check(case)


@BOTH
def test_a_first_tile_without_any_visible_key(lnc: int) -> None:
    """With context lengths of 0 only new tokens are seen, in the last tile."""
    check(Case(2, 1, 4, 16640, 16, lnc=lnc, use_pos_id=True, positions=np.zeros(2, int), **IN_SBUF))


@BOTH
def test_new_tokens_alone_on_shared_context(lnc: int) -> None:
    check(Case(1, 4, 4, 512, 16, lnc=lnc, use_pos_id=True, positions=np.zeros(1, int), **IN_SBUF))


# -- memory, order, cost --------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("kib", [24, 40, 128])
@pytest.mark.parametrize(
    "layout", [{"tp_k_prior": True}, {"block_len": 16}, {"tp_k_prior": True, **FUSED}], ids=str
)
def test_fixed_addresses(kib: int, layout: dict[str, Any], lnc: int) -> None:
    """Little memory makes more groups; the results stay the same."""
    case = Case(4, 2, 5, 1024, 64, lnc=lnc, spread=2.0, **IN_SBUF, **layout)
    wide = case.run()
    narrow = check(case, bytes_of_sbuf=kib * 1024)
    assert all(np.array_equal(one, other) for one, other in zip(wide, narrow, strict=True))


@BOTH
@pytest.mark.parametrize(
    "layout", [{"tp_k_prior": True, "sink": "float32", **FUSED}, {"block_len": 16}], ids=str
)
def test_ten_runs_are_bit_identical(layout: dict[str, Any], lnc: int) -> None:
    case = Case(2, 2, 3, 512, 64, lnc=lnc, spread=2.0, **IN_SBUF, **layout)
    first = case.run()
    for _ in range(9):
        assert all(np.array_equal(one, other) for one, other in zip(first, case.run(), strict=True))


@pytest.mark.parametrize("hint", [True, False])
@pytest.mark.parametrize("sizes", [(2, 2, 3, 512, 64), (4, 2, 3, 128, 64)], ids=["context", "batch"])
def test_who_moves_what_cores_exchange(
    sizes: tuple[int, ...], hint: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes no value."""
    case = Case(*sizes, lnc=2, spread=2.0, **IN_SBUF)
    before, asked, send = case.run()[0], set(), nisa.sendrecv

    def recorded(**options: Any) -> None:
        asked.add(options["use_gpsimd_dma"])
        send(**options)

    monkeypatch.setattr(nisa, "sendrecv", recorded)
    case.cfg.use_gpsimd_sb2sb = hint
    assert np.array_equal(case.run()[0], before)
    assert asked == {hint}


@pytest.mark.parametrize("seed", [1, 2])
def test_no_core_relies_on_the_other_being_late(seed: int) -> None:
    case = Case(4, 1, 5, 512, 64, lnc=2, tp_k_prior=True, **FUSED)
    before = case.run()
    with nkisim.interleave(seed=seed):
        after = case.run()
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ((4, 1, 5, 512, 64), FUSED),
        ((1, 1, 5, 128, 64), FUSED),
        ((4, 8, 7, 256, 64), {"qk_in_sb": True}),
        ((3, 10, 5, 256, 64), {"qk_in_sb": True}),
    ],
    ids=["context", "nothing", "batch", "nothing, many queries"],
)
def test_cores_do_not_write_the_same(sizes: tuple[int, ...], options: dict[str, Any]) -> None:
    """Whatever they share."""
    with nkisim.races():
        check(Case(*sizes, lnc=2, **options))


@BOTH
@pytest.mark.parametrize("layout", [{"tp_k_prior": True}, {"tp_k_prior": False}, {"block_len": 16}], ids=str)
def test_the_cache_is_read_once(layout: dict[str, Any], lnc: int) -> None:
    case = Case(
        4, 2, 4, 1024, 128, full=2048 if "block_len" not in layout else 0, lnc=lnc, **IN_SBUF, **layout
    )
    with nkisim.trace() as trace:
        case.run()
    cache = 2 * 4 * 1024 * 128 * 2
    mask, new = 1024 * 4 * 2 * 4, 4 * 4 * 128 * 2
    inputs = mask + new + lnc * (4 * 2 * 4 * 128 * 2 + new)  # each core has q and k_active in SBUF
    table = 4 * 1024 // 16 * 4 if "block_len" in layout else 0
    loaded = sum(event.cost.read for event in trace.events if event.cost.source == "hbm")
    assert loaded == cache + inputs + table


# -- debug tensors --------------------------------------------------------------------------------------


def shapes(case: Case, prgs: int) -> list[tuple[tuple[int, ...], Any]]:
    """Of the debug tensors, for ``prgs`` cores that share the batch."""
    from nki import language as nl

    cfg = case.cfg
    each = cfg.bs // prgs * cfg.q_head * cfg.s_active
    tile = (128, cfg.curr_sprior // 128, cfg.bs * cfg.q_head * cfg.s_active)
    row = (prgs, -(-each // 128), min(each, 128))
    found = [(tile, nl.float32), (row, nl.float32), (tile, nl.bfloat16), (row, nl.float32)]
    if cfg.block_len:
        found.append(((128, cfg.curr_sprior // 128 // case.piece, cfg.bs), nl.int32))
    return found


def positions_of(case: Case, parts: int) -> Any:
    """Token at each [p, f] of tiles; ``parts`` cores share the context."""
    n = case.cfg.curr_sprior // 128 // parts
    piece = case.piece if case.cfg.block_len else 0
    tiles = [tile_tokens(n, case.cfg.strided_mm1, piece, core * n * 128) for core in range(parts)]
    return np.concatenate(tiles, 1)


@BOTH
@pytest.mark.parametrize("sizes", [(4, 1, 5), (4, 8, 7), (3, 10, 5)], ids=str)
@pytest.mark.parametrize("layout", [{}, {"strided_mm1": False}, {"block_len": 16}], ids=str)
def test_debug_tensors(layout: dict[str, Any], sizes: tuple[int, int, int], lnc: int) -> None:
    case = Case(*sizes, 512, 64, lnc=lnc, sink="float32", **IN_SBUF, **layout)
    shared = 2 if lnc == 2 and sizes == (4, 8, 7) else 1
    parts = 2 if lnc == 2 and sizes == (4, 1, 5) else 1
    got = case.run(debug=shapes(case, shared))
    _, _, want = case.expected(details=True)
    at, queries = positions_of(case, parts), np.prod(sizes)
    check_close(got[1], want["QK"][at].reshape(128, -1, queries), RTOL, ATOL, "scores")
    check_close(got[3], want["EXP"][at].reshape(128, -1, queries), RTOL, ATOL, "weights")
    for found, name in ((got[2], "NEG_MAX"), (got[4], "SUM")):
        rows = found.reshape(shared, -1)[:, : queries // shared]
        check_close(rows.reshape(-1), want[name].reshape(-1), RTOL, ATOL, name)
    if case.cfg.block_len:
        factor = 16 // case.piece
        pieces = case.arrays["active_blocks_table"].astype(np.int64)[:, :, None] * factor + np.arange(factor)
        assert np.array_equal(got[5], pieces.reshape(sizes[0], -1, 128).transpose(2, 1, 0))


@pytest.mark.parametrize("index", range(5))
def test_debug_tensors_of_another_shape(index: int) -> None:
    case = Case(4, 1, 5, 512, 64, lnc=1, block_len=16, **IN_SBUF)
    given = shapes(case, 1)
    shape, dtype = given[index]
    given[index] = ((*shape[:2], shape[2] + 1), dtype)
    with rejected(f"DBG_TENSORS[{index}] must have shape {shape}"):
        case.run(debug=given)


def test_debug_tensors_of_a_long_context() -> None:
    """Scores without strides, and the sums, which come after the last tile."""
    case = Case(1, 1, 2, 8448, 16, strided_mm1=False, **IN_SBUF)
    got = case.run(debug=shapes(case, 1))
    _, _, want = case.expected(details=True)
    check_close(got[1], want["QK"][positions_of(case, 1)].reshape(128, -1, 2), RTOL, ATOL)
    check_close(got[4].reshape(-1), want["SUM"].reshape(-1), RTOL, ATOL)


# -- the sizes of models --------------------------------------------------------------------------------

MODELS = [
    ((4, 1, 5, 10240, 128), {"tp_k_prior": True, **FUSED}),
    ((4, 2, 7, 16384, 128), {"tp_k_prior": False, **FUSED}),
    ((4, 3, 7, 16384, 64), {"tp_k_prior": True, **FUSED}),
    ((128, 1, 1, 1024, 64), {"tp_k_prior": True, "sink": "float32", **FUSED}),
    ((128, 1, 1, 1024, 64), {"tp_k_prior": True, "sink": "float32", "dtype": "float32", **FUSED}),
    ((16, 8, 1, 8192, 64), IN_SBUF),
    ((64, 8, 1, 2048, 128), IN_SBUF),
    ((64, 8, 1, 2048, 128), {"block_len": 16, "use_pos_id": True, **IN_SBUF}),
    ((4, 10, 5, 5376, 64), {"strided_mm1": False, "qk_in_sb": True}),
    ((4, 8, 7, 3072, 64), {"tp_k_prior": True, "sink": "float32", "full": 10240, **IN_SBUF}),
    ((4, 1, 5, 8192, 128), {"block_len": 16, **IN_SBUF}),
    ((4, 1, 5, 3072, 128), {"block_len": 16, **IN_SBUF}),
    ((8, 8, 5, 20480, 64), {"sink": "float32", "use_pos_id": True, **IN_SBUF}),
    ((4, 8, 7, 33792, 64), {"block_len": 16, "use_pos_id": True, **IN_SBUF}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "options"), MODELS, ids=str)
def test_sizes_of_models(sizes: tuple[int, ...], options: dict[str, Any]) -> None:
    check(Case(*sizes, lnc=2, **options))


def test_columns_are_the_layout_of_sbuf() -> None:
    """d on partitions, then sequence, head, token."""
    case = Case(2, 3, 4, 128, 16, qk_in_sb=True, out_in_sb=True)
    q = np.arange(2 * 3 * 4 * 16).reshape(2, 3, 4, 16)
    assert columns(q)[5, 1 * 12 + 2 * 4 + 3] == q[1, 2, 3, 5]
    assert case.run()[0].shape == (1, 16, 24)


def test_the_mode_of_indices_that_are_out_of_bounds() -> None:
    from nkilib.core.attention.attention_tkg import OOB_MODE_SKIP

    assert OOB_MODE_SKIP is nisa.oob_mode.skip
