"""attention_tkg_torch_ref against the float64 reference; runs where torch is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels import check_close
from npref_attn import tile_tokens
from tkgcases import Case

from nkilib.core.attention.attention_tkg_torch import attention_tkg_torch_ref

torch = pytest.importorskip("torch")
IN_SBUF = {"qk_in_sb": True, "out_in_sb": True, "k_out_in_sb": True}

CASES = {
    "rotated": {"fuse_rope": True, "use_pos_id": True},
    "rotated in sbuf": {"fuse_rope": True, **IN_SBUF},
    "by token": {"tp_k_prior": True, "full": 640, "more": 1, **IN_SBUF},
    "sink": {"sink": "float32", "qk_in_sb": True},
    "blocks": {"block_len": 16, "sink": "float32", **IN_SBUF},
    "blocks, positions": {"block_len": 16, "use_pos_id": True, **IN_SBUF},
}


def run(case: Case, lnc: int, debug: Any = None) -> Any:
    """out and k_out."""
    cfg, want = case.cfg, case.expected()
    tensors = {name: torch.from_numpy(array.copy()) for name, array in case.arrays.items()}
    out, k_out = torch.zeros(want[0].shape), torch.zeros(want[1].shape) if cfg.fuse_rope else None
    got = attention_tkg_torch_ref[lnc](out=out, cfg=cfg, sbm=None, k_out=k_out, DBG_TENSORS=debug, **tensors)
    assert got[0] is out
    assert got[1] is k_out
    return got


@pytest.mark.parametrize("sizes", [(4, 1, 5), (4, 8, 7), (3, 10, 5)], ids=str)
@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_outputs(name: str, lnc: int, sizes: tuple[int, int, int]) -> None:
    case = Case(*sizes, 512, 32, lnc=lnc, dtype="float32", spread=2.0, **CASES[name])
    out, k_out = run(case, lnc)
    want, want_keys = case.expected()
    check_close(out.numpy(), want, 2e-5, 1e-6)
    if case.cfg.fuse_rope:
        check_close(k_out.numpy(), want_keys, 2e-5, 1e-6)


@pytest.mark.parametrize("layout", [{}, {"strided_mm1": False}, {"block_len": 16}], ids=str)
@pytest.mark.parametrize("lnc", [1, 2])
def test_debug_tensors(lnc: int, layout: dict[str, Any]) -> None:
    case = Case(4, 2, 5, 512, 32, lnc=lnc, dtype="float32", qk_in_sb=True, **layout)
    tile, rows = torch.zeros(128, 4, 40), torch.zeros(4, 2, 1, 5)
    kept = [tile, rows, tile.clone(), rows.clone()]
    piece = 0
    if case.cfg.block_len:
        piece = case.piece
        kept.append(torch.zeros(128, 4 // piece, 4, dtype=torch.int32))
    run(case, lnc, tuple(kept))
    _, _, want = case.expected(details=True)
    n = 4 // lnc
    at = np.concatenate(
        [tile_tokens(n, case.cfg.strided_mm1, piece, core * n * 128) for core in range(lnc)], 1
    )
    for found, name in ((kept[0], "QK"), (kept[2], "EXP")):
        check_close(found.numpy(), want[name][at].reshape(128, 4, 40), 2e-5, 1e-6, name)
    for found, name in ((kept[1], "NEG_MAX"), (kept[3], "SUM")):
        check_close(found.numpy()[:, :, 0], want[name], 2e-5, 1e-6, name)
    if piece:
        factor = 16 // piece
        pieces = case.arrays["active_blocks_table"].astype(np.int64)[:, :, None] * factor + np.arange(factor)
        assert np.array_equal(kept[4].numpy(), pieces.reshape(4, -1, 128).transpose(2, 1, 0))


def test_it_is_launched_as_a_kernel_is() -> None:
    with pytest.raises(TypeError, match=r"\[lnc\]"):
        attention_tkg_torch_ref()
