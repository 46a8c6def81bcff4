"""What attention_tkg refuses, and what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels import cast, rejected
from tkgcases import Case

from nkilib.blocks.lnc import Cores
from nkilib.core.attention import attention_tkg as module
from nkilib.core.attention import attention_tkg_call

IN_SBUF = {"qk_in_sb": True, "out_in_sb": True}
FUSED = {"use_pos_id": True, "fuse_rope": True}


def small(**options: Any) -> Case:
    return Case(2, 1, 2, 256, 64, **{**IN_SBUF, **options})


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("bs", 0, "bs is 0, allowed: 1 to 128"),
        ("bs", 129, "bs is 129, allowed: 1 to 128"),
        ("q_head", 0, "q_head is 0, allowed: 1 to 16"),
        ("s_active", 0, "s_active is 0, allowed: 1 to 8"),
        ("q_head", 17, "q_head is 17, allowed: 1 to 16"),
        ("s_active", 9, "s_active is 9, allowed: 1 to 8"),
        ("curr_sprior", 512, "curr_sprior is 512, more than the cache has"),
        ("full_sprior", 384, "k_prior must be [B, (1, 64, 384)]"),
        ("tp_k_prior", True, "k_prior must be [B, (1, 256, 64)]"),
    ],
)
def test_sizes(field: str, value: Any, text: str) -> None:
    case = small()
    setattr(case.cfg, field, value)
    with rejected(text):
        case.run()


def test_more_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cores", lambda: Cores(count=3, index=0))
    with rejected("the launch has 3 cores, attention_tkg runs on 1 or 2"):
        small().run()


def test_long_heads() -> None:
    with rejected("d_head is 129, allowed: 1 to 128"):
        Case(2, 1, 2, 256, 129, **FUSED).run()


@pytest.mark.parametrize(("S", "lnc"), [(200, 0), (320, 1), (384, 2), (250, 2)])
def test_contexts_that_are_no_tiles(S: int, lnc: int) -> None:
    with rejected("curr_sprior must be a multiple of"):
        Case(1, 1, 1, S, 32, lnc=lnc, **IN_SBUF).run()


def test_queries_from_hbm_must_be_rotated() -> None:
    with rejected("qk_in_sb"):
        small(qk_in_sb=False).run()


@pytest.mark.parametrize("options", [{"use_pos_id": True}, {"fuse_rope": True}], ids=str)
def test_positions_are_needed(options: dict[str, Any]) -> None:
    case = small(**options)
    del case.arrays["rope_pos_ids"]
    with rejected("need rope_pos_ids"):
        case.run()


def test_rotation_of_heads_that_have_no_halves() -> None:
    with rejected("d_head in multiples of 64, not 96"):
        Case(2, 1, 2, 256, 96, **FUSED).run()


def test_rotation_of_many_queries() -> None:
    with rejected("bs·q_head·s_active is 150"):
        Case(3, 10, 5, 256, 64, **FUSED).run()


def test_rotation_with_a_shared_batch() -> None:
    case = Case(2, 1, 2, 128, 64, **FUSED)
    case.run(lnc=1)
    with rejected("a batch that two cores share"):
        case.run(lnc=2)


@pytest.mark.parametrize("name", ["k_prior", "v_prior", "k_active", "v_active"])
def test_eight_bit_tensors_go_together(name: str) -> None:
    case = small()
    case.arrays[name] = cast(case.arrays[name], "float8_e4m3")
    with rejected("all float8_e4m3 or none of them"):
        case.run()
    case.arrays[name] = cast(case.arrays[name], "float8_e5m2")
    with rejected("float8_e5m2 are not supported"):
        case.run()


def test_what_goes_with_eight_bits() -> None:
    with rejected("fuse_rope does not go with"):
        small(kv="float8_e4m3", fuse_rope=True).run()
    with rejected("q of float32 does not go with"):
        small(kv="float8_e4m3", dtype="float32").run()
    with rejected("qk_in_sb"):
        small(kv="float8_e4m3", qk_in_sb=False).run()


@pytest.mark.parametrize("types", [("float32", "bfloat16"), ("bfloat16", "float32")])
def test_float32_goes_with_float32(types: tuple[str, str]) -> None:
    with rejected("float32 together"):
        small(dtype=types[0], kv=types[1]).run()


def blocks(**options: Any) -> Case:
    return Case(2, 1, 2, 256, 64, block_len=16, **{**IN_SBUF, **options})


def test_tables() -> None:
    case = blocks()
    table = case.arrays["active_blocks_table"]
    for wrong, text in (
        (table.astype(np.int32), "must be uint32, it is int32"),
        (table[:, :15].copy(), "active_blocks_table must be [bs, curr_sprior / block_len] = [2, 256 / 16]"),
        (table[:1].copy(), "active_blocks_table must be [bs, curr_sprior / block_len]"),
    ):
        with rejected(text):
            case.run(active_blocks_table=wrong)
    del case.arrays["active_blocks_table"]
    with rejected("needs active_blocks_table"):
        case.run()


def test_pieces_are_counted_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    assert attention_tkg_call.EXACT == 2**24
    monkeypatch.setattr(attention_tkg_call, "EXACT", 3)
    with rejected("a cache is loaded in at most 3 pieces, of"):
        blocks().run()


def test_block_caches() -> None:
    case = blocks()
    keys, values = case.arrays["k_prior"], case.arrays["v_prior"]
    with rejected("k_prior must be [blocks, 16, 64]"):
        case.run(k_prior=keys.reshape(-1, 8, 64), v_prior=values.reshape(-1, 8, 64))
    with rejected("must have one shape"):
        case.run(v_prior=values[1:].copy())
    with rejected("k_active must have shape (64, 4)"):
        case.run(k_active=case.arrays["k_active"][:, :3].copy())
    with rejected("qk_in_sb"):
        blocks(qk_in_sb=False, fuse_rope=True).run()


def test_blocks_that_do_not_fill_the_partitions() -> None:
    with rejected("must divide by 256"):
        Case(1, 1, 2, 384, 64, lnc=1, block_len=16, **IN_SBUF).run(lnc=2)


def test_long_blocks_must_fit_into_tiles() -> None:
    with rejected("tiles of 8192 and 1024 tokens must be multiples of 128 pieces of 24"):
        Case(1, 1, 2, 9216, 16, block_len=48, **IN_SBUF).run()


@pytest.mark.parametrize("count", [3, 5])
def test_debug_tensors(count: int) -> None:
    from nki import language as nl

    with rejected("DBG_TENSORS must be 4 tensors, it is (shared_hbm tensor"):
        small().run(debug=[((128, 2, 4), nl.float32)] * count)
    with rejected("DBG_TENSORS must be 5 tensors, it is (shared_hbm tensor"):
        blocks().run(debug=[((128, 2, 4), nl.float32)] * 4)


def test_too_little_memory() -> None:
    case = Case(1, 8, 8, 1024, 128, **IN_SBUF)
    case.run(bytes_of_sbuf=20 * 1024)
    with rejected("Insufficient memory: a sequence of 1024 tokens and 64 queries needs"):
        case.run(bytes_of_sbuf=8 * 1024)
