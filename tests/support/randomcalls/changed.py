"""Random calls with another argument: what they come to, and what tests of them share."""

from __future__ import annotations

import importlib
import inspect
import sys
from enum import Enum
from typing import Any

import numpy as np
import pytest
from blockcheck import sbuf

from .base import Call, Family, by_seed

MADE_BY_CALLS = {"attention_tkg": ("bs", "q_head", "s_active", "d_head"), "topk": ("lnc",)}
"""Family → what the calling function needs itself before the kernel can see it: fields of options, and the launch."""
SPOKEN = {
    "block_size": ("Blocksize", "B is"), "k": ("K (",), "top_k": ("K (", "k must be"), "full_sprior": ("k_prior must be",),
    "block_len": ("blocks of", "k_prior must be"), "x_hbm_layout": ("x shape",), "d_head": ("heads of",), "num_q_heads": ("heads of",), "num_kv_heads": ("heads of",), "norm_eps": ("eps must be",),
    "fused_norm_type": ("norm_type",), "quantization_type_qkv": ("quantization_type",), "quantization_type_out": ("quantization_type",),
    "activation_fn": ("is no ActFnType",), "hidden_act_fn": ("is no ActFnType",), "activation_function": ("is no ActFnType",),
    "activation_type": ("activation_function",), "act_fn": ("activation function",), "router_act_fn": ("activation function",),
    "output_quant": ("quantised values and scales",), "output_scale": ("quantised values and scales",),
    "block_sharding_strategy": ("sharding strategy",),
}  # fmt: skip
"""Parameter → what errors may call it."""


class Stranger(Enum):
    """An enumeration that no kernel has."""

    SiLU = 0


class Changed:
    """A family's calls with other arguments.

    Where a test's function calls the kernel it calls this, which changes what the function gave: the function need
    not be able to make its tensors of the other argument.
    """

    def __init__(self, family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
        module, _, name = family.name.rpartition(".")
        self.family = family
        self._kernel = getattr(importlib.import_module(module), name)
        self._signature = inspect.signature(self._kernel)
        self._changes: dict[str, Any] = {}
        for holder in [each for each in sys.modules.values() if not each.__name__.startswith("nki")]:
            if vars(holder).get(name) is self._kernel:
                monkeypatch.setattr(holder, name, self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Inside a launch: what would be a tensor is a tile."""
        given = self._signature.bind(*args, **kwargs).arguments
        for name, other in self._changes.items():
            given[name] = sbuf(other.shape) if isinstance(other, np.ndarray) else other
        return self._kernel(**given)

    def draw(self, seed: int) -> Call:
        call = self.family.draw(by_seed(seed))
        if call.kernel is self:
            call.kernel = self._kernel
        return call

    def outcome(self, call: Call, lnc: int, name: str, other: Any) -> str:
        """What is wrong; "" for an error that names the parameter, and for the right results."""
        what = f"{name} = {other!r}"
        try:
            got, words = self._tried(call, lnc, name, other)
        except Exception as error:
            if isinstance(error, ValueError) and str(error).startswith(f"{name} must be"):
                return ""
            return f"{what}: {type(error).__name__}: {error}"
        if got is None:
            named = any(each in words for each in (name, *SPOKEN.get(name, ())))
            return "" if named else f"{what} is not named: {words}"
        try:
            call.check(got, lnc)
        except AssertionError as error:
            return f"{what} is taken: {error}"
        return ""

    def _tried(self, call: Call, lnc: int, name: str, other: Any) -> tuple[list[Any] | None, str]:
        if call.kernel is self._kernel or name not in self._signature.parameters:
            return call.tried(lnc, **{name: other})
        self._changes = {name: other}
        try:
            return call.tried(lnc)
        finally:
            self._changes = {}
