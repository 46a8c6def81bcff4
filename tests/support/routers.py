"""Running the router in tests: where inputs and results are, and what its results should be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import moe_numpy_ref as reference
import nki.isa as nisa
import nki.language as nl
import numpy as np
from blockcheck import in_hbm, per_core
from kernels import cast, check_close, launch

from nkilib.core.router_topk.router_topk import router_topk, router_topk_input_x_load
from nkilib.core.utils.common_types import RouterActFnType

SOFTMAX, SIGMOID = RouterActFnType.SOFTMAX, RouterActFnType.SIGMOID


@dataclass(frozen=True)
class Tokens:
    """Inputs of a router, and the options of one call."""

    x: Any
    w: Any
    bias: Any = None
    k: int = 4
    act: RouterActFnType = SOFTMAX
    options: dict[str, bool] = field(default_factory=dict)

    def expected(self) -> dict[str, Any]:
        """float32 logits, index, affinities and eager affinities of all tokens."""
        names = ("router_logits", "expert_index", "expert_affinities", "eager")
        found = reference.router_topk(
            *(None if each is None else np.asarray(each, np.float32) for each in (self.x, self.w, self.bias)),
            self.k,
            str(self.act),
            self.options.get("router_pre_norm", True),
            self.options.get("norm_topk_prob", False),
        )
        return dict(zip(names, found, strict=True))


def drawn(tokens: int, hidden: int, experts: int, k: int = 4, act: Any = SOFTMAX, **options: Any) -> Tokens:
    """Values between -0.1 and 0.1; with a bias unless ``bias=False``; ``dtype`` is bfloat16 unless given."""
    random = np.random.default_rng(options.pop("seed", 0))
    dtype = options.pop("dtype", "bfloat16")
    shapes = [(tokens, hidden), (hidden, experts), (experts,)]
    x, w, bias = (cast(random.uniform(-0.1, 0.1, shape), dtype) for shape in shapes)
    return Tokens(x, w, bias if options.pop("bias", True) else None, k, act, options)


LAYOUTS = ["hbm 0", "hbm 1", "sbuf 0", "sbuf 1", "sbuf 2"]


def run(
    given: Tokens, layout: str = "hbm 1", lnc: int = 0, dtype: Any = "float32", **changes: Any
) -> dict[str, Any]:
    """Results by name; those in SBUF have a first dimension, the core's.

    ``dtype`` is that of logits and affinities in HBM. ``changes``: other or missing arguments of the kernel.
    """
    options = dict(given.options)
    kind, number = layout.split()
    in_sbuf, by_token = kind == "sbuf", layout != "hbm 0"

    def kernel(x: Any, w: Any, bias: Any, logits: Any, index: Any, affinities: Any) -> Any:
        tokens, experts = given.x.shape[0], given.w.shape[1]
        if in_sbuf:
            x = router_topk_input_x_load(x, 1, int(number))
        if options.get("output_in_sbuf"):
            folded = (tokens, given.k) if tokens <= 128 else (128, -(-tokens // 128), given.k)
            index = nl.ndarray(folded, dtype=nl.uint32, buffer=nl.sbuf)
            nisa.memset(dst=index, value=7777)
        if options.get("expert_affin_in_sb"):
            affinities = nl.ndarray((tokens, experts), dtype=nl.float32, buffer=nl.sbuf)
            nisa.memset(dst=affinities, value=-1.0)
        arguments = {
            "router_logits": logits,
            "expert_affinities": affinities,
            "expert_index": index,
            "act_fn": given.act,
            "k": given.k,
            "x_hbm_layout": 1 if by_token else 0,
            "x_sb_layout": int(number) if in_sbuf else 0,
            "x_input_in_sbuf": in_sbuf,
            **options,
            **changes,
        }
        found = router_topk(x, w, bias, **arguments)
        for result, place in zip(found, (logits, index, affinities), strict=False):
            assert result is place
        results = {"router_logits": logits, "expert_index": index, "expert_affinities": affinities}
        if options.get("output_in_sbuf"):
            results["expert_index"] = per_core(index)
        if options.get("expert_affin_in_sb"):
            results["expert_affinities"] = per_core(affinities)
        if options.get("return_eager_affi"):
            results["eager"] = per_core(found[3]) if options.get("shard_on_tokens") else in_hbm(found[3])
        return list(results.values())

    tokens, experts = given.x.shape[0], given.w.shape[1]
    skipped = options.get("skip_store_router_logits") and "keep" not in changes
    logits = None if skipped else np.full((tokens, experts), -5.0, cast(0.0, dtype).dtype)
    index = np.full((tokens, given.k), 9999, np.uint32)
    affinities = np.full((tokens, experts), -5.0, cast(0.0, dtype).dtype)
    x = given.x if by_token else np.ascontiguousarray(given.x.T)
    changes.pop("keep", None)
    found = launch(kernel, x, given.w, given.bias, logits, index, affinities, lnc=lnc)
    names = ["router_logits", "expert_index", "expert_affinities", "eager"]
    return dict(zip(names, found, strict=False))


def check(
    given: Tokens, layout: str = "hbm 1", lnc: int = 0, dtype: Any = "float32", rtol: float = 1e-5
) -> Any:
    """All results of a call beside the reference; those in SBUF on each core."""
    got, want = run(given, layout, lnc, dtype), given.expected()
    count = given.x.shape[0]
    if not given.options.get("skip_store_router_logits"):
        check_close(got["router_logits"], want["router_logits"], rtol, 1e-5, "logits")
    for name in ("expert_index", "expert_affinities"):
        copies = got[name] if got[name].ndim > 2 else got[name][None]
        for copy in copies:
            if copy.ndim == 3:  # folded
                copy = copy.transpose(1, 0, 2).reshape(-1, copy.shape[2])[:count]
            if name == "expert_index":
                assert copy.dtype == np.uint32
                assert np.array_equal(copy, want[name])
            else:
                check_close(copy, want[name], rtol, 1e-5, name)
    return got
