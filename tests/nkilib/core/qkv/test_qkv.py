"""The dispatcher ``qkv``: which kernel runs, and what it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from blockcheck import BF16, drawn, in_sbuf, per_core
from kernels import check_close, launch, rejected
from mxs import packed
from numpy_cases import CASES
from numpy_ref import qkv_ref, to_sbuf_h
from qkvs import LAYER, MX, NBDS, RMS, SKIP, arguments, caches, heads, run, tkg_arguments

import nkilib.core.qkv.qkv as module
from nkilib.core.qkv.qkv import qkv
from nkilib.core.qkv.qkv_tkg import qkv_tkg
from nkilib.core.utils.allocator import SbufManager, create_auto_alloc_manager

WEIGHT = drawn((128, 384), seed=1, scale=0.1)


def given(batch: int, sequence: int, **more: Any) -> dict[str, Any]:
    return {"input": drawn((batch, sequence, 128)), "fused_qkv_weights": WEIGHT, **more}


def tables(sequence: int) -> dict[str, Any]:
    table = np.ones((1, sequence, 128), BF16)
    return {"fused_rope": True, "cos_cache": table, "sin_cache": table, **heads(1, 1)}


MX_CALL = {"quantization_type": MX, "fused_qkv_weights": packed(np.zeros((128, 512), np.float32)),
           "qkv_w_scale": np.zeros((16, 128), np.uint8), "input": np.zeros((1, 4, 512), BF16)}  # fmt: skip


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        ("qkv_tkg", given(1, 96)),
        ("qkv_cte", given(1, 97)),
        ("qkv_tkg", given(32, 4)),
        ("qkv_cte", given(1, 1, **tables(1))),
        ("qkv_cte", given(1, 1, **caches((1, 4, 128), (1.0, 1.0)), **heads(1, 1))),
        ("qkv_cte", MX_CALL),
        ("qkv_cte", {**MX_CALL, "is_input_swizzled": True}),
    ],
)
def test_dispatch(kernel: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    for name in ("qkv_tkg", "qkv_cte"):
        function = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *a, f=function, n=name, **k: (called.append(n), f(*a, **k))[1]
        )
    run(options, target="trn3")
    assert called == [kernel]


def test_results_with_residuals() -> None:
    """Only token generation returns the sum, too."""
    add = {"fused_residual_add": True}
    few, many = drawn((1, 4, 128), seed=2), drawn((1, 100, 128), seed=2)
    got = run(given(1, 4, mlp_prev=few, attention_prev=few, **add))
    assert [each.shape for each in got] == [(1, 4, 384), (1, 4, 128)]
    assert run(given(1, 100, mlp_prev=many, attention_prev=many, **add)).shape == (1, 100, 384)


def test_results_with_caches() -> None:
    got = run(given(1, 100, **caches((1, 100, 128), (1.0, 1.0)), **heads(1, 1)))
    assert [each.shape for each in got] == [(1, 100, 128), (1, 100, 128), (1, 100, 128)]


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("QKV-02", {"fused_norm_type": RMS, "norm_eps": 0.5}),
        ("QKV-03", {"fused_norm_type": LAYER}),
        ("QKV-05", {"fused_norm_type": RMS, **heads(8, 1)}),
        ("QKV-06", {"fused_norm_type": RMS, "hidden_actual": 768}),
    ],
)
def test_token_generation_is_given_everything(case: str, options: dict[str, Any]) -> None:
    tensors, _ = CASES[case]()
    call = arguments(tensors) | options
    got, want = run(call, 2), launch(qkv_tkg, lnc=2, **tkg_arguments(call))
    both = (got, want) if isinstance(got, tuple) else ((got,), (want,))
    for mine, theirs in zip(*both, strict=True):
        assert mine.tobytes() == theirs.tobytes()


def managed(tensors: dict[str, Any], automatic: bool) -> Any:
    sbm = create_auto_alloc_manager() if automatic else SbufManager(0, 192 * 1024)
    result = qkv(sbm=sbm, use_auto_allocation=automatic, **tensors)
    assert sbm.total_stack_allocs > 0
    return result


@pytest.mark.parametrize(("sequence", "automatic"), [(4, True), (100, True), (100, False)])
def test_both_kernels_use_a_given_manager(sequence: int, automatic: bool) -> None:
    tensors = given(1, sequence)
    assert launch(managed, tensors, automatic).tobytes() == run(tensors, 0).tobytes()


def from_sbuf(hidden: Any, options: dict[str, Any]) -> Any:
    return per_core(qkv(in_sbuf(hidden), **options))


@pytest.mark.parametrize("lnc", [1, 2])
def test_sbuf_to_sbuf(lnc: int) -> None:
    x, weight = drawn((32, 1024)), drawn((1024, 384), seed=1, scale=0.03)
    options = {"fused_qkv_weights": weight, "store_output_in_sbuf": True}
    got = launch(from_sbuf, to_sbuf_h(x, lnc), options, lnc=lnc)
    assert got.shape == (lnc, 32, 384)
    check_close(got[0], qkv_ref(x, weight), 2e-2, 1e-5)


@pytest.mark.parametrize(
    ("text", "tokens", "options"),
    [
        ("input in SBUF has at most 96 tokens, it has 97", 97, {}),
        ("input in SBUF goes without fused_rope", 32, {"fused_rope": True}),
        ("input in SBUF goes without", 32, {"is_input_swizzled": True}),
        ("input in SBUF goes without", 32, {"quantization_type": MX}),
        ("input in SBUF goes without", 32, {"use_block_kv": True}),
    ],
)
def test_what_inputs_in_sbuf_cannot_have(text: str, tokens: int, options: dict[str, Any]) -> None:
    hidden = np.zeros((128, tokens, 8), BF16)
    call = {"fused_qkv_weights": np.zeros((1024, 384), BF16), "store_output_in_sbuf": True, **options}
    with rejected(text):
        launch(from_sbuf, hidden, call)


def test_what_neither_kernel_does() -> None:
    for sequence in (1, 128):
        with rejected("output_layout must be BSD or NBSd"):
            run(given(1, sequence, output_layout=NBDS))
    with rejected("norm_type must be NO_NORM, RMS_NORM or LAYER_NORM"):
        run(given(1, 1, fused_norm_type=SKIP))
    with rejected("B·S must be at most 128, it is 192"):
        run(given(2, 96))
