"""The torch reference of the router beside the NumPy one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels import check_close
from routers import SIGMOID, SOFTMAX, drawn

from nkilib.core.router_topk.router_topk_torch import router_topk_torch_ref

torch = pytest.importorskip("torch")

PERMUTED = {
    "hbm 0": lambda x: x.T,
    "hbm 1": lambda x: x,
    "sbuf 0": lambda x: x.reshape(len(x), 128, -1).transpose(1, 0, 2),
    "sbuf 1": lambda x: x.reshape(len(x), 2, 128, -1).transpose(2, 0, 1, 3).reshape(128, len(x), -1),
    "sbuf 2": lambda x: x.reshape(len(x), -1, 128).transpose(2, 0, 1),
}


@pytest.mark.parametrize("layout", PERMUTED)
@pytest.mark.parametrize("act", [SOFTMAX, SIGMOID])
@pytest.mark.parametrize("form", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("arrays", [False, True])
def test_reference(arrays: bool, form: tuple[bool, bool], act: Any, layout: str) -> None:
    given = drawn(5, 512, 16, 4, act, router_pre_norm=form[0], norm_topk_prob=form[1], dtype="float32")
    kind, number = layout.split()
    tensors = [np.ascontiguousarray(PERMUTED[layout](given.x)), given.w, given.bias]
    places = [np.zeros((5, 16), np.float32), np.zeros((5, 16), np.float16), np.zeros((5, 4), np.int32)]
    if not arrays:
        tensors, places = ([torch.from_numpy(each) for each in some] for some in (tensors, places))
    got = router_topk_torch_ref(
        *tensors, *places, act, 4,
        int(number) if kind == "hbm" else 1, int(number) if kind == "sbuf" else 0,
        x_input_in_sbuf=kind == "sbuf", return_eager_affi=True, **given.options,
    )  # fmt: skip
    want = given.expected()
    if want["eager"] is None:
        want["eager"] = np.take_along_axis(
            want["expert_affinities"], want["expert_index"].astype(np.int64), 1
        )
    assert got["expert_affinities"].dtype == places[1].dtype
    assert got["expert_index"].dtype == places[2].dtype
    assert np.array_equal(got["expert_index"], want["expert_index"])
    check_close(got["router_logits"], want["router_logits"], 1e-6)
    check_close(got["expert_affinities"], want["expert_affinities"], 1e-3)
    check_close(got["expert_affinities_eager"], want["eager"], 1e-6)
