"""The torch references of attention_bwd against the float64 reference; runs where torch is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels import check_close, rejected
from npref_attn import attention_bwd_ref, attention_fwd_for_bwd

from nkilib.core.attention.attention_bwd_torch import attention_bwd_torch_ref, compute_o_lse

torch = pytest.importorskip("torch")

CASES: dict[str, dict[str, Any]] = {
    "causal": {"use_causal_mask": True},
    "all": {"use_causal_mask": False},
    "scale": {"use_causal_mask": True, "softmax_scale": 0.3},
    "window": {"use_causal_mask": True, "sliding_window": 100},
    "no window": {"use_causal_mask": False, "sliding_window": 0},
}


def drawn(*shape: int, seed: int = 0) -> Any:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def inputs(sinks: tuple[int, ...] | None) -> tuple[Any, ...]:
    made = (drawn(2, 4, 16, 256), drawn(2, 2, 16, 256, seed=1), drawn(2, 2, 16, 256, seed=2))
    return *made, drawn(2, 4, 16, 256, seed=3), None if sinks is None else drawn(2, 4, *sinks, seed=4)


def reference(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "causal": options["use_causal_mask"],
        "scale": options.get("softmax_scale"),
        "window": options.get("sliding_window", 0),
    }


@pytest.mark.parametrize("sinks", [None, (), (3,)])
@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
@pytest.mark.parametrize("mixed", [True, False])
def test_gradients(options: dict[str, Any], sinks: Any, mixed: bool) -> None:
    q, k, v, dy, logits = inputs(sinks)
    named = reference(options)
    o, lse, weights = compute_o_lse(q, k, v, mixed_precision=mixed, sinks=logits, **options)
    want_o, want_lse, want_weights = attention_fwd_for_bwd(q, k, v, sinks=logits, **named)
    check_close(o, want_o, 1e-4)
    check_close(lse, want_lse, 1e-5)
    check_close(weights[..., :256], want_weights, 1e-5)
    assert weights.shape[3] == 256 + (0 if sinks is None else (sinks or (1,))[0])
    want = attention_bwd_ref(q, k, v, want_o, dy, want_lse, logits, **named)
    for given in (weights, None):
        got = attention_bwd_torch_ref(q, k, v, dy, given, mixed_precision=mixed, sinks=logits, **options)
        for result, expected in zip(got, want, strict=True):
            check_close(result, expected, 1e-4)


def test_bias_and_dropout_against_autograd() -> None:
    q, k, v, dy, _ = inputs(None)
    bias, mask = drawn(256, 256, seed=5), (drawn(2, 4, 256, 256, seed=6) > 0) * 2.0
    for each in (q, k, v):
        each.requires_grad_()
    scores = torch.einsum("bhdq,bhdk->bhqk", q, k.repeat_interleave(2, 1)) / 4 + bias
    want = torch.einsum("bhqk,bhdk->bhdq", scores.softmax(3) * mask, v.repeat_interleave(2, 1))
    (want * dy).sum().backward()
    with torch.no_grad():
        o, _, weights = compute_o_lse(q, k, v, False, logit_bias=bias, dropout_mask=mask)
        check_close(o, want, 1e-4)
        got = attention_bwd_torch_ref(q, k, v, dy, weights, False, True, dropout_mask=mask)
    for result, source in zip(got, (q, k, v), strict=True):
        check_close(result, source.grad, 1e-4)


def test_types_and_precision() -> None:
    q, k, v, dy, _ = (None if each is None else each.bfloat16() for each in inputs(None))
    want = attention_bwd_torch_ref(*(t.float() for t in (q, k, v, dy)), None, True, True)
    errors = []
    for mixed in (True, False):
        got = attention_bwd_torch_ref(q, k, v, dy, None, True, mixed)
        assert {each.dtype for each in got} == {torch.bfloat16}
        errors.append([float((g.float() - w).abs().mean()) for g, w in zip(got, want, strict=True)])
    assert all(fine <= rough for fine, rough in zip(*errors, strict=True))


def test_what_is_rejected() -> None:
    q, k, v, *_ = inputs(None)
    with rejected("use_causal_mask"):
        compute_o_lse(q, k, v, use_causal_mask=False, sliding_window=3)
    with rejected("multiple of 128"):
        compute_o_lse(q[..., :100], k, v, use_causal_mask=False)
