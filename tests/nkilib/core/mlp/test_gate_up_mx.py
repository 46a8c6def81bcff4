"""Gate/up projection with MX operands: sizes, cores, biases, where the weights are; and both with activation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import BF16, in_hbm, in_sbuf, per_core
from kernels import cast, check_close, launch, rejected
from mxs import E2M1, E4M3, E5M2, cores, drawn_mx, on_partitions, own, scales_in_sbuf

from nkilib.core.mlp.mlp_tkg import gate_up_mx_shard_H, gate_up_projection_mx_shard_H
from nkilib.core.mlp.mlp_tkg.gate_up_projection_mx_shard_H import (
    gate_up_projection_mx_tp_shard_H,
    process_fused_gate_up_projection_mxfp4,
)
from nkilib.core.mlp.mlp_tkg.projection_mx_constants import ProjConfig
from nkilib.core.utils.common_types import ActFnType
from nkilib.core.utils.tensor_view import TensorView

RTOL = 2**-7
"""Each core's part, and their sum, are rounded to bfloat16."""


def one(
    hidden: Any, hs: Any, weight: Any, ws: Any, bias: Any = None, loaded: bool = False, **options: Any
) -> Any:
    """The projection, of views; with ``loaded`` the weights lie in SBUF and everything is a plain tensor."""
    count, index = cores()
    cfg = ProjConfig(hidden.shape[1] * 512, weight.shape[2], hidden.shape[2], count, index, **options)
    if cfg.n_prgs == 1:
        x, scales = in_sbuf(hidden), scales_in_sbuf(hs)
    else:
        x, scales = in_sbuf(own(hidden, 1)), scales_in_sbuf(own(hs, 1))
    bias = None if bias is None else in_sbuf(bias)
    operands = [x, scales, weight, ws, bias]
    if loaded:
        operands[2:4] = in_sbuf(own(weight, 1)), scales_in_sbuf(own(ws, 1))
    else:
        operands = [None if each is None else TensorView(each) for each in operands]
    return gate_up_projection_mx_tp_shard_H(*operands, cfg)


def result(*inputs: Any, **options: Any) -> Any:
    return per_core(one(*inputs, **options))


class Case:
    """Inputs of one projection, and the result ``[T, I]`` in float64."""

    def __init__(self, T: int, H: int, inner: int, hidden: str = E5M2, weight: str = E2M1) -> None:
        self.x, self.w = drawn_mx(128, H // 512, T, hidden), drawn_mx(128, H // 512, inner, weight, 1)
        self.bias = cast(np.random.default_rng(2).uniform(size=(128, -(-inner // 512), 4)), BF16)
        self.inputs = self.x.raw, self.x.scales, self.w.raw, self.w.scales
        self.product = np.einsum("pntl,pnil->ti", self.x.values, self.w.values)

    def expected(self, bias: Any = None) -> Any:
        y = on_partitions(self.product)
        if bias is not None:
            used = on_partitions(np.ones_like(self.product))
            y = y + used * bias.astype(np.float64)[:, :, None, :]
        return y


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize(
    ("lnc", "T", "H", "inner"),
    [
        (0, 4, 1024, 512),
        (1, 4, 1024, 512),
        (2, 4, 1024, 512),
        (2, 4, 1024, 192),
        (1, 4, 512, 768),
        (2, 5, 3072, 384),
        (1, 300, 512, 192),
        (2, 300, 1024, 544),
        (1, 600, 512, 64),
        (1, 16, 512, 4128),
    ],
    ids=str,
)
def test_values(lnc: int, T: int, H: int, inner: int, with_bias: bool) -> None:
    case = Case(T, H, inner)
    bias = case.bias if with_bias else None
    for core in launch(result, *case.inputs, bias, lnc=lnc, target="trn3"):
        check_close(core, case.expected(bias), RTOL)


@pytest.mark.slow
@pytest.mark.parametrize(("T", "inner"), [(2048, 192), (256, 384), (2048, 384), (4, 768), (4, 1536)])
def test_large(T: int, inner: int) -> None:
    case = Case(T, 3072, inner)
    for core in launch(result, *case.inputs, case.bias, lnc=2, target="trn3"):
        check_close(core, case.expected(case.bias), RTOL)


@pytest.mark.parametrize("types", [(E4M3, E2M1), (E5M2, E5M2), (E4M3, E4M3)], ids=str)
def test_types(types: tuple[str, str]) -> None:
    case = Case(4, 512, 128, *types)
    check_close(launch(result, *case.inputs, target="trn3")[0], case.expected(), RTOL)


@pytest.mark.parametrize("offset", [0, 1, 7])
@pytest.mark.parametrize("lnc", [1, 2])
def test_a_bias_for_both_projections(offset: int, lnc: int) -> None:
    case = Case(4, 1024, 192)
    both = np.stack([case.bias, case.bias * np.asarray(-2, BF16)], 1)
    options = {"bias_t_shared_between_gate_up": True, "bias_t_shared_base_offset": offset}
    got = launch(result, *case.inputs, both, lnc=lnc, target="trn3", **options)
    for core in got:
        check_close(core, case.expected(both[:, min(offset, 1)]), RTOL)


@pytest.mark.parametrize("lnc", [1, 2])
def test_weights_in_sbuf(lnc: int) -> None:
    case = Case(4, 1024, 192)
    want = launch(result, *case.inputs, lnc=lnc, target="trn3")
    got = launch(result, *case.inputs, loaded=True, lnc=lnc, target="trn3")
    assert np.array_equal(got, want)


def test_runs_are_equal() -> None:
    case = Case(4, 1024, 192)
    first, again = (launch(result, *case.inputs, case.bias, lnc=2, target="trn3") for _ in range(2))
    assert np.array_equal(first, again)
    assert np.array_equal(first[0], first[1])


def test_a_core_for_itself() -> None:
    """``force_lnc1``: both cores do everything."""
    case = Case(4, 1024, 192)

    def kernel(*inputs: Any) -> Any:
        x, hs, w, ws = inputs
        cfg = ProjConfig(1024, 192, 4, *cores(), force_lnc1=True)
        return per_core(gate_up_projection_mx_tp_shard_H(in_sbuf(x), scales_in_sbuf(hs), w, ws, None, cfg))

    for core in launch(kernel, *case.inputs, lnc=2, target="trn3"):
        check_close(core, case.expected(), RTOL)


def test_operands_for_debugging() -> None:
    case = Case(4, 1024, 192)

    def kernel(*inputs: Any, **options: Any) -> Any:
        values, scales = one(*inputs, **options)
        rows = [32 * (row // 4) + row % 4 for row in range(16)]
        out = nl.ndarray((16, *scales.shape[1:]), dtype=nl.uint8, buffer=nl.shared_hbm)
        for row, partition in enumerate(rows):
            nisa.dma_copy(dst=out[row : row + 1], src=scales.slice(0, partition, partition + 1).get_view())
        values_out = nl.ndarray(values.shape, dtype=values.dtype, buffer=nl.shared_hbm)
        nisa.dma_copy(dst=values_out, src=values.get_view())
        return values_out, out

    for option, operand in (("dbg_hidden", case.x), ("dbg_weight", case.w)):
        values, scales = launch(kernel, *case.inputs, target="trn3", **{option: True})
        assert np.array_equal(values.view(np.uint8), operand.raw.view(np.uint8))
        assert np.array_equal(scales, operand.scales)


@pytest.mark.parametrize(
    ("changed", "shape", "text"),
    [
        (0, (128, 2, 5), "hidden_qtz_sb must have shape (128, 2, 4)"),
        (1, (16, 2, 5), "hidden_scale_sb must have shape (128, 2, 4)"),
        (2, (128, 3, 192), "weight_qtz must have shape (128, 2, 192)"),
        (3, (16, 2, 191), "weight_scale must have shape (16, 2, 192)"),
        (4, (128, 2, 4), "bias_sb must have shape (128, 1, 4)"),
    ],
)
def test_shapes_that_do_not_fit(changed: int, shape: tuple[int, ...], text: str) -> None:
    case = Case(4, 1024, 192)

    def kernel(x: Any, hs: Any, w: Any, ws: Any, b: Any) -> Any:
        cfg = ProjConfig(1024, 192, 4, 1, 0)
        return in_hbm(
            gate_up_projection_mx_tp_shard_H(in_sbuf(x), scales_in_sbuf(hs), w, ws, in_sbuf(b), cfg)
        )

    inputs = [*case.inputs, case.bias]
    inputs[changed] = np.zeros(shape, inputs[changed].dtype)
    with rejected(text):
        launch(kernel, *inputs, target="trn3")


def test_a_bias_for_both_projections_has_both() -> None:
    case = Case(4, 1024, 192)
    with rejected("bias_sb must have shape (128, 2, 1, 4)"):
        launch(result, *case.inputs, case.bias, bias_t_shared_between_gate_up=True, target="trn3")


@pytest.mark.parametrize("changed", [2, 3])
def test_weights_in_sbuf_of_another_shape(changed: int) -> None:
    case = Case(4, 1024, 192)
    inputs = list(case.inputs)
    inputs[changed] = inputs[changed][:, :1].copy()
    name = ("weight_qtz", "weight_scale")[changed - 2]

    def kernel(x: Any, hs: Any, w: Any, ws: Any) -> Any:
        operands = in_sbuf(x), scales_in_sbuf(hs), in_sbuf(w), scales_in_sbuf(ws)
        return in_hbm(gate_up_projection_mx_tp_shard_H(*operands, None, ProjConfig(1024, 192, 4, 1, 0)))

    with rejected(f"{name} must have shape (128, 2, 192)"):
        launch(kernel, *inputs, target="trn3")


# -- both projections with their activation ----------------------------------------------------------------


CLAMPS = {"gate": (7.0, None), "up": (2.0, -1.5)}
NO_CLAMPS = {"gate": (None, None), "up": (None, None)}


def fused(
    x: Any, hs: Any, w: Any, ws: Any, b: Any, numbers: Any, expert: Any, alone: bool, clamps: Any,
    act: ActFnType, whole: bool = False,
) -> Any:  # fmt: skip
    """``whole``: each core gets all tiles of the hidden state, and takes its own."""
    count, index = cores()
    tokens, inner = x.shape[2], w.shape[-1]
    tiles = x.shape[1] if alone or whole else x.shape[1] // count
    size = x.shape[1] if alone else x.shape[1] // count
    part = slice(index * tiles, (index + 1) * tiles) if tiles < x.shape[1] else slice(0, tiles)
    attrs = SimpleNamespace(
        activation_fn=act,
        shard_on_h_disabled=alone,
        gate_clamp_upper_limit=clamps["gate"][0],
        gate_clamp_lower_limit=clamps["gate"][1],
        up_clamp_upper_limit=clamps["up"][0],
        up_clamp_lower_limit=clamps["up"][1],
    )
    dims = SimpleNamespace(T=tokens, I=inner, num_shards=count, shard_id=index)
    scales = nl.ndarray((128, 2, size, inner), dtype=nl.uint8, buffer=nl.sbuf)
    nisa.memset(dst=scales, value=0)
    out = nl.ndarray((128, -(-inner // 512), tokens, 4), dtype=nl.bfloat16, buffer=nl.sbuf)
    chosen = None if expert is None else in_sbuf(expert)
    process_fused_gate_up_projection_mxfp4(
        in_sbuf(x[:, part]), scales_in_sbuf(hs[:, part]), w, ws, b, in_sbuf(numbers), scales, out, attrs, dims,
        chosen, chosen,
    )  # fmt: skip
    return per_core(out)


def silu(x: Any) -> Any:
    return x / (1 + np.exp(-x))


def swish(x: Any) -> Any:
    return x / (1 + np.exp(-1.702 * x))


class Fused:
    """Inputs of several experts, of which one is chosen (all of one if ``expert`` is None), and the result."""

    def __init__(self, T: int, H: int, inner: int, expert: int | None, experts: int = 3) -> None:
        chosen = expert or 0
        experts = 1 if expert is None else experts
        x = drawn_mx(128, H // 512, T, E4M3)
        weights = [drawn_mx(128, 2 * H // 512, inner, E2M1, 5 + e) for e in range(experts)]
        raw = np.stack([w.raw for w in weights]).reshape(experts, 128, 2, H // 512, inner)
        scales = np.stack([w.scales for w in weights]).reshape(experts, 16, 2, H // 512, inner)
        rows, tiles = min(128, inner // 4), -(-inner // 512)
        bias = cast(np.random.default_rng(3).normal(size=(experts, rows, 2, tiles, 4)), BF16)
        numbers = np.full((128, 1), 2**20, np.int32)
        for row in range(16):
            numbers[32 * (row // 4) + row % 4] = chosen * 16 + row
        index = None if expert is None else np.array([[expert]], np.int32)
        if expert is None:
            raw, bias = raw[0], bias[0]
        self.inputs = [x.raw, x.scales, raw, scales, bias, numbers, index]
        self.values = weights[chosen].values.reshape(128, 2, H // 512, inner, 4)
        self.products = np.einsum("pntl,pgnil->gti", x.values, self.values)
        self.bias = bias if expert is None else bias[chosen]

    def expected(self, clamps: Any, act: Any, with_bias: bool = True) -> Any:
        gate, up = (on_partitions(product) for product in self.products)
        used = on_partitions(np.ones_like(self.products[0]))
        if with_bias:
            full = np.zeros((128, *self.bias.shape[1:]))
            full[: len(self.bias)] = self.bias.astype(np.float64)
            gate, up = gate + used * full[:, 0][:, :, None], up + used * full[:, 1][:, :, None]
        gate, up = (np.clip(v, clamps[n][1], clamps[n][0]) for v, n in ((gate, "gate"), (up, "up")))
        return used * act(gate) * up


def clipped(limits: Any) -> Any:
    """Limits for np.clip."""
    return {name: tuple(np.inf * s if v is None else v for v, s in zip(pair, (1, -1), strict=True)) for name, pair in limits.items()}  # fmt: skip


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize(
    ("T", "H", "inner", "expert"), [(4, 1024, 192, 2), (4, 1024, 192, None), (2, 2048, 768, 1)], ids=str
)
def test_fused(T: int, H: int, inner: int, expert: int | None, lnc: int) -> None:
    case = Fused(T, H, inner, expert)
    got = launch(fused, *case.inputs, False, CLAMPS, ActFnType.Swish, lnc=lnc, target="trn3")
    for core in got:
        check_close(core, case.expected(clipped(CLAMPS), swish), 2e-2)


@pytest.mark.parametrize("options", [(True, False), (False, True)], ids=["alone", "whole hidden state"])
def test_fused_with_all_tiles_on_each_core(options: tuple[bool, bool]) -> None:
    case = Fused(4, 1024, 128, 1)
    alone, whole = options
    got = launch(fused, *case.inputs, alone, NO_CLAMPS, ActFnType.SiLU, whole, lnc=2, target="trn3")
    for core in got:
        check_close(core, case.expected(clipped(NO_CLAMPS), silu), 2e-2)


def test_fused_without_bias() -> None:
    case = Fused(4, 1024, 128, 1)
    case.inputs[4] = None
    got = launch(fused, *case.inputs, False, NO_CLAMPS, ActFnType.SiLU, lnc=2, target="trn3")
    check_close(got[1], case.expected(clipped(NO_CLAMPS), silu, False), 2e-2)


@pytest.mark.parametrize("lower", [False, True])
def test_each_clamp(lower: bool) -> None:
    """Limits that cut, one of each projection at a time."""
    case = Fused(4, 512, 128, None)
    for name in ("gate", "up"):
        limits = dict(NO_CLAMPS) | {name: (None, -0.25) if lower else (0.25, None)}
        got = launch(fused, *case.inputs, False, limits, ActFnType.SiLU, target="trn3")[0]
        check_close(got, case.expected(clipped(limits), silu), 2e-2)
        assert not np.array_equal(got, launch(fused, *case.inputs, False, NO_CLAMPS, ActFnType.SiLU, target="trn3")[0])  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "cut", "text"),
    [
        (2, (slice(None), slice(0, 1)), "gate_up_weights of one expert must be (128, 2, H/512, I)"),
        (4, (slice(0, 24),), "gate_up_bias must have shape (32, 2, 1, 4)"),
        (0, (slice(None), slice(None), slice(0, 3)), "hidden_scale must have shape"),
    ],
)
def test_fused_shapes_that_do_not_fit(changed: int, cut: Any, text: str) -> None:
    case = Fused(4, 1024, 128, None)
    case.inputs[changed] = case.inputs[changed][cut].copy()
    with rejected(text):
        launch(fused, *case.inputs, False, NO_CLAMPS, ActFnType.SiLU, target="trn3")


@pytest.mark.parametrize(
    ("scales", "out", "text"),
    [
        ((128, 2, 1, 128), (128, 1, 4, 4), "gate_up_scale_sb must have shape (128, 2, 2, 128)"),
        ((128, 2, 2, 128), (128, 1, 3, 4), "output must have shape (128, 1, 4, 4)"),
        ((128, 2, 2, 128), (128, 1, 4, 4), "hidden must have shape (128, 2, 4)"),
    ],
)
def test_fused_tiles_that_do_not_fit(scales: Any, out: Any, text: str) -> None:
    def kernel(x: Any, hs: Any, w: Any, ws: Any, b: Any, numbers: Any) -> Any:
        given = in_sbuf(x), scales_in_sbuf(hs), w, ws, b, in_sbuf(numbers)
        tiles = (
            nl.ndarray(scales, dtype=nl.uint8, buffer=nl.sbuf),
            nl.ndarray(out, dtype=nl.bfloat16, buffer=nl.sbuf),
        )
        dims = SimpleNamespace(T=4, I=128, num_shards=1, shard_id=0)
        attrs = SimpleNamespace(shard_on_h_disabled=False)
        process_fused_gate_up_projection_mxfp4(*given, *tiles, attrs, dims, None, None)

    inputs = Fused(4, 1024, 128, None).inputs[:6]
    inputs[0] = inputs[0][..., 1:].copy()
    with rejected(text):
        launch(kernel, *inputs, target="trn3")


def test_the_module_of_plain_tensors_has_the_same_functions() -> None:
    for name in gate_up_mx_shard_H.__all__:
        assert getattr(gate_up_mx_shard_H, name) is getattr(gate_up_projection_mx_shard_H, name)
