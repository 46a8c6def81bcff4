"""attention_cte_torch_ref against the float64 reference; runs where torch is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels import check_close, rejected
from npref_attn import attention_cte_ref

from nkilib.core.attention.attention_cte_torch import attention_cte_torch_ref

torch = pytest.importorskip("torch")
RANDOM = np.random.default_rng(3)


def values(*shape: int) -> Any:
    return RANDOM.uniform(size=shape).astype(np.float32)


def reference(**args: Any) -> Any:
    """Results for NumPy arguments."""
    given = {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for name, value in args.items()
    }
    return attention_cte_torch_ref(**given)


PLAIN = {"q": values(4, 128, 16), "k": values(2, 16, 200), "v": values(2, 200, 16)}
PRIOR = {
    "k_prior": values(2, 16, 70),
    "v_prior": values(2, 70, 16),
    "prior_used_len": np.array([45], np.int32),
}
OFFSET = np.array([[3]], np.int32)

CASES = {
    "plain": {},
    "scale": {"scale": 0.25, "causal_mask": False},
    "prefix": PRIOR,
    "sink": {"sink": values(4, 1) * 5},
    "window": {"sliding_window": 30, **PRIOR},
    "layouts": {
        "q": values(4, 16, 128), "tp_q": False, "k": values(2, 200, 16), "tp_k": True, "tp_out": True
    },
    "contiguous": {"cp_offset": OFFSET, "global_cp_deg": 4, "sliding_window": 9},
    "strided": {"cp_offset": OFFSET, "global_cp_deg": 4, "cp_strided_q_slicing": True},
    "offset alone": {"cp_offset": OFFSET},
}  # fmt: skip


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
@pytest.mark.parametrize("cache_softmax", [False, True])
def test_reference(options: dict[str, Any], cache_softmax: bool) -> None:
    args = {**PLAIN, **options, "cache_softmax": cache_softmax}
    got, want = reference(**args), attention_cte_ref(**args)
    if not cache_softmax:
        got, want = (got,), (want,)
    assert len(got) == len(want)
    for found, wanted in zip(got, want, strict=True):
        check_close(found.numpy(), wanted, 1e-5, 1e-6)


def test_types() -> None:
    args = {name: torch.from_numpy(value).bfloat16() for name, value in PLAIN.items()}
    result, neg_max, recip = attention_cte_torch_ref(**args, cache_softmax=True, softmax_dtype=torch.float16)
    assert (result.dtype, neg_max.dtype, recip.dtype) == (torch.bfloat16, torch.float16, torch.float16)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sink": values(4)}, "sink must have shape (4, 1)"),
        ({"v_prior": PRIOR["v_prior"]}, "a prefix needs k_prior"),
        ({"k_prior": PRIOR["k_prior"]}, "k_prior needs v_prior and prior_used_len"),
        ({"q": values(4, 100, 16), "cache_softmax": True}, "cache_softmax needs a multiple of 128 queries"),
    ],
)
def test_refused(options: dict[str, Any], words: str) -> None:
    with rejected(words):
        reference(**{**PLAIN, **options})
