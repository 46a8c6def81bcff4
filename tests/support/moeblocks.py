"""Calls of moe_block_tkg for tests: inputs whose choice of experts is certain, the launch, and what is expected."""

from __future__ import annotations

from typing import Any

import moe_numpy_ref as ref
import numpy as np
from blockcheck import BF16, FP32
from kernels import cast, launch
from moes import POST

import nkisim
from nkilib.core.moe_block.moe_block_tkg import moe_block_tkg
from nkilib.core.utils.common_types import ActFnType, RouterActFnType

SOFTMAX, SIGMOID = RouterActFnType.SOFTMAX, RouterActFnType.SIGMOID


class Block:
    """A call with weights of 16 bits, logits well apart, and what is expected; arguments may be changed.

    Options: rank and local (E_L) of all experts; the others are arguments of the kernel.
    """

    def __init__(
        self, tokens: tuple[int, int], hidden: int, inner: int, experts: int, k: int = 2, *, rank: int = 0,
        local: int = 0, dtype: Any = BF16, router: Any = None, **options: Any,
    ) -> None:  # fmt: skip
        draw = np.random.default_rng(6)
        local, self.router_dtype = local or experts, dtype if router is None else router
        self.dtype, self.rank = dtype, rank
        drawn = 1 if hidden * inner > 1 << 20 else local  # large experts are multiples of one
        sizes = np.linspace(0.5, 1.0, local, dtype=FP32).reshape(-1, 1, 1, 1)
        self.arguments: dict[str, Any] = {
            "inp": cast(draw.uniform(-0.1, 0.1, (*tokens, hidden)), dtype),
            "gamma": cast(draw.uniform(0.5, 1.5, (1, hidden)), dtype),
            "router_weights": cast(draw.normal(size=(hidden, experts)) * 0.3, self.router_dtype),
            "router_bias": cast(draw.normal(size=(1, experts)), self.router_dtype),
            "expert_gate_up_weights": cast(
                draw.standard_normal((drawn, hidden, 2, inner), FP32) * 0.08 * sizes, dtype
            ),
            "expert_down_weights": cast(
                draw.standard_normal((drawn, inner, hidden), FP32) * 0.08 * sizes[..., 0], dtype
            ),
            "top_k": k,
            "router_act_fn": SOFTMAX,
            "expert_affinities_scaling_mode": POST,
            "rank_id": np.array([[rank]], np.uint32),
            "router_mm_dtype": str(np.dtype(self.router_dtype)),
            **options,
        }
        self.set_apart(draw)

    def set_apart(self, draw: Any) -> None:
        """Draw tokens again whose choice rounding may change, as it may where other arguments have changed."""
        a = self.arguments
        x = a["inp"].reshape(-1, a["inp"].shape[-1])[:, : a.get("hidden_actual")]
        for _ in range(50):
            ordered = np.sort(self.routed(self.normed())[0], 1)
            near = ordered[:, -a["top_k"]] - ordered[:, -a["top_k"] - 1] < 0.1 * np.abs(ordered).max()
            if not near.any():
                return
            x[near] = cast(draw.uniform(-0.1, 0.1, (near.sum(), x.shape[1])), self.dtype)
        raise AssertionError("no tokens found whose experts are certain")

    def add_biases(self) -> Block:
        draw = np.random.default_rng(8)
        local, hidden, _, inner = self.arguments["expert_gate_up_weights"].shape
        self.arguments["expert_gate_up_bias"] = cast(draw.normal(size=(local, 2, inner)), self.dtype)
        self.arguments["expert_down_bias"] = cast(draw.normal(size=(local, hidden)), self.dtype)
        return self

    def run(self, lnc: int = 2, target: str = "trn2") -> Any:
        arguments = dict(self.arguments)
        arguments["router_mm_dtype"] = getattr(nkisim.language, arguments["router_mm_dtype"])
        return launch(moe_block_tkg, lnc=lnc, target=target, **arguments)

    def normed(self, hidden: Any = None) -> Any:
        """The reference's n, rounded to the input's type."""
        a = self.arguments
        x = a["inp"].reshape(-1, a["inp"].shape[-1]) if hidden is None else hidden
        n = ref.rmsnorm(
            x.astype(FP32), a["gamma"].astype(FP32)[0], a.get("eps", 1e-6), a.get("hidden_actual")
        )
        return cast(n, self.dtype).astype(FP32)

    def routed(self, n: Any) -> Any:
        """Logits, index, and the weights of the chosen experts, 0 elsewhere."""
        a = self.arguments
        bias = None if a.get("router_bias") is None else a["router_bias"].astype(FP32).reshape(-1)
        logits, index, weights, _ = ref.router_topk(
            cast(n, self.router_dtype).astype(FP32), a["router_weights"].astype(FP32), bias, a["top_k"],
            str(a["router_act_fn"]), a.get("router_pre_norm", True), a.get("norm_topk_prob", False),
        )  # fmt: skip
        chosen = (index[:, :, None] == np.arange(logits.shape[1])).any(1)
        return logits, index.astype(int), weights * chosen

    def expected(self) -> Any:
        """out and logits."""
        a, n = self.arguments, self.normed()
        logits, index, weights = self.routed(n)
        biases = {
            short: None if a.get(name) is None else a[name].astype(FP32)
            for short, name in (("bgu", "expert_gate_up_bias"), ("bd", "expert_down_bias"))
        }
        limits = {
            "g_hi": a.get("gate_clamp_upper_limit"), "g_lo": a.get("gate_clamp_lower_limit"),
            "u_hi": a.get("up_clamp_upper_limit"), "u_lo": a.get("up_clamp_lower_limit"),
        }  # fmt: skip
        out = ref.moe_tkg(
            n, a["expert_gate_up_weights"].astype(FP32), a["expert_down_weights"].astype(FP32), weights, index,
            a.get("is_all_expert", False), self.rank, True, a["expert_affinities_scaling_mode"] == POST,
            act_name=a.get("hidden_act_fn", ActFnType.SiLU).name, **biases, **limits,
        )  # fmt: skip
        return out, logits
