"""attention_bwd against the float64 reference: shapes, masks, sinks, precision, cores, and checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from blockcheck import BF16, FP32
from kernels import cast, check_close, launch, normal, rejected
from npref_attn import attention_bwd_ref, attention_fwd_for_bwd

import nkisim
from nkilib.core.attention.attention_bwd import attention_bwd, power_of_2
from nkilib.core.attention.attention_bwd_plan import Block, in_order, queries_of_keys, section_of

NAMES = ("dq", "dk", "dv", "dsinks")


def given(
    heads: tuple[int, int],
    queries: int,
    size: int,
    dtype: Any = BF16,
    batch: int = 1,
    keys: int | None = None,
    sinks: tuple[int, ...] | None = None,
    **forward: Any,
) -> dict[str, Any]:
    """Arguments of the kernel; o and lse are those of the reference's forward pass."""
    keys = keys or queries
    q, dy = (normal((batch, heads[0], size, queries), dtype, seed) for seed in (0, 3))
    k, v = (normal((batch, heads[1], size, keys), dtype, seed) for seed in (1, 2))
    logits = None if sinks is None else normal((batch, heads[0], *sinks), FP32, 4)
    o, lse, _ = attention_fwd_for_bwd(q, k, v, sinks=logits, **forward)
    return {
        "q_ref": q, "k_ref": k, "v_ref": v, "o_ref": cast(o, dtype), "dy_ref": dy,
        "lse_ref": lse.astype(FP32), "sinks_ref": logits,
    }  # fmt: skip


def expected(args: dict[str, Any], causal: bool = False, scale: float | None = None, window: int = 0) -> Any:
    q, k, v, o, dy, lse, sinks = (args[f"{name}_ref"] for name in ("q", "k", "v", "o", "dy", "lse", "sinks"))
    return attention_bwd_ref(q, k, v, o, dy, lse, sinks, causal, scale, window)


def check(
    args: dict[str, Any],
    causal: bool = False,
    scale: float | None = None,
    window: int = 0,
    lnc: int = 1,
    mixed: bool = True,
    rtol: float = 2e-2,
) -> None:
    options: dict[str, Any] = {"softmax_scale": scale} if scale is not None else {}
    if window:
        options["sliding_window"] = window
    got = launch(attention_bwd, **args, use_causal_mask=causal, mixed_precision=mixed, lnc=lnc, **options)
    want = expected(args, causal, scale, window)
    assert len(got) == len(want)
    sources = [args[f"{name}_ref"] for name in ("q", "k", "v", "sinks")]
    for name, result, reference, source in zip(NAMES, got, want, sources, strict=False):
        assert result.dtype == source.dtype, name
        check_close(result, reference, rtol, 1e-5, name)


# -- cases --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lnc", [0, 1, 2])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", [BF16, FP32])
def test_one_head(dtype: Any, causal: bool, lnc: int) -> None:
    rtol = 2e-2 if dtype == BF16 else 1e-5
    check(given((1, 1), 512, 128, dtype, causal=causal), causal, lnc=lnc, rtol=rtol)


@pytest.mark.parametrize("heads", [(4, 2), (8, 1), (3, 3)])
@pytest.mark.parametrize("lnc", [1, 2])
def test_heads_that_share_keys(heads: tuple[int, int], lnc: int) -> None:
    check(given(heads, 512, 64, batch=2, causal=True), True, lnc=lnc)


@pytest.mark.parametrize("dtype", [BF16, FP32])
@pytest.mark.parametrize("sinks", [(), (1,), (2,), (5,)])
def test_sinks(sinks: tuple[int, ...], dtype: Any) -> None:
    rtol = 2e-2 if dtype == BF16 else 1e-5
    check(given((4, 2), 256, 64, dtype, sinks=sinks, causal=True), True, rtol=rtol)


@pytest.mark.parametrize("window", [1, 100, 128, 129, 500, 640, 1024, 5000])
@pytest.mark.parametrize("dtype", [BF16, FP32])
def test_windows(window: int, dtype: Any) -> None:
    """Of one key, of parts and multiples of tiles, and one that is larger than the sequence."""
    rtol = 2e-2 if dtype == BF16 else 2e-5
    args = given((1, 1), 1024, 64, dtype, sinks=(1,), causal=True, window=window)
    check(args, True, window=window, rtol=rtol)


@pytest.mark.parametrize("window", [None, 0, -3])
def test_no_window(window: int | None) -> None:
    args = given((1, 1), 256, 64)
    results = launch(attention_bwd, **args, sliding_window=window)
    for got, want in zip(results, expected(args), strict=True):
        check_close(got, want, 2e-2, 1e-5)


@pytest.mark.parametrize("size", [32, 64, 96, 192, 256, 384, 640])
@pytest.mark.parametrize("causal", [False, True])
def test_head_sizes(size: int, causal: bool) -> None:
    check(given((1, 1), 512, size, causal=causal), causal)


@pytest.mark.parametrize("length", [128, 256, 512, 1536])
def test_lengths(length: int) -> None:
    check(given((1, 1), length, 64, causal=True), True)


@pytest.mark.parametrize(("queries", "keys"), [(256, 1024), (1024, 256), (640, 128), (128, 2560)])
def test_other_numbers_of_queries_than_keys(queries: int, keys: int) -> None:
    check(given((2, 1), queries, 64, keys=keys))


@pytest.mark.parametrize("window", [0, 300])
def test_sections_of_keys(window: int) -> None:
    """512 keys of a head of 1024 in fp32 are on chip at a time: dq of earlier ones is read back."""
    assert section_of(FP32, 8) == 512
    args = given((1, 1), 1024, 1024, FP32, causal=True, window=window)
    check(args, True, window=window, rtol=1e-5)


def test_sections_of_keys_that_all_are_seen() -> None:
    """Each section's part of dq is rounded to bf16."""
    check(given((1, 1), 128, 1024, keys=2048))


def in_pieces(args: dict[str, Any], window: int) -> Any:
    """The reference for a long sequence and a short window: pieces of two windows, from the later half of each."""
    names = ("q", "k", "v", "o", "dy")
    length = args["q_ref"].shape[3]
    lse = args["lse_ref"].swapaxes(2, 3).reshape(1, 1, length)
    sums = [np.zeros(args["q_ref"].shape) for _ in range(3)]
    for start in range(0, length, window):
        first = max(0, start - window)
        piece = [args[f"{name}_ref"][..., first : start + window].astype(np.float64) for name in names]
        piece[4][..., : start - first] = 0
        packed = lse[..., first : start + window].reshape(1, 1, -1, 128).swapaxes(2, 3)
        found = attention_bwd_ref(*piece, packed, causal=True, window=window)
        for total, part in zip(sums, found, strict=True):
            total[..., first : start + window] += part
    return sums


def piecewise_forward(args: dict[str, Any], window: int) -> None:
    """o and lse of the same pieces."""
    length = args["q_ref"].shape[3]
    o, lse = np.zeros(args["q_ref"].shape), np.zeros((1, 1, length))
    for start in range(0, length, window):
        first = max(0, start - window)
        piece = [args[f"{name}_ref"][..., first : start + window] for name in ("q", "k", "v")]
        found, packed, _ = attention_fwd_for_bwd(*piece, causal=True, window=window)
        o[..., start : start + window] = found[..., start - first :]
        lse[..., start : start + window] = packed.swapaxes(2, 3).reshape(1, 1, -1)[..., start - first :]
    args["o_ref"] = cast(o, BF16)
    args["lse_ref"] = lse.reshape(1, 1, -1, 128).swapaxes(2, 3).astype(FP32)


@pytest.mark.slow
def test_two_sections_of_a_head_of_128() -> None:
    window, shape = 512, (1, 1, 128, 16384)
    args = {f"{name}_ref": normal(shape, BF16, seed) for seed, name in enumerate(("q", "k", "v", "dy"))}
    piecewise_forward(args, window)
    got = launch(attention_bwd, **args, use_causal_mask=True, mixed_precision=True, sliding_window=window)
    for name, result, want in zip(NAMES, got, in_pieces(args, window), strict=False):
        check_close(result, want, 2e-2, 1e-5, name)


def test_sections_are_as_long_as_the_release_says() -> None:
    assert [section_of(BF16, parts) for parts in (1, 2, 3, 4, 5)] == [8192, 4096, 2048, 2048, 1024]


@pytest.mark.parametrize(("batch", "lnc"), [(3, 2), (1, 2), (2, 2), (3, 1)])
def test_division_among_cores(batch: int, lnc: int) -> None:
    check(given((1, 1), 256, 64, batch=batch, causal=True), True, lnc=lnc)


def test_the_first_core_takes_what_is_left_over() -> None:
    """Two of three samples and one: what is written by which core, and by whom when there is only one."""
    for batch, wanted in ((3, [2, 1]), (1, [1, 0])):
        args = given((1, 1), 128, 64, batch=batch)
        with nkisim.trace() as trace:
            launch(attention_bwd, **args, lnc=2)
        written = [0, 0]
        for event in trace.events:
            if event.cost.target == "hbm":
                written[event.core] += event.cost.written
        assert written == [count * 3 * 64 * 128 * 2 for count in wanted]


@pytest.mark.parametrize("scale", [0.3, 0.0, 0.02])
def test_scales(scale: float) -> None:
    args = given((1, 1), 512, 64, FP32, causal=True, scale=scale)
    check(args, True, scale=scale, rtol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_of_values_sum_to_those_of_the_output(causal: bool) -> None:
    """The weights of a query sum to 1."""
    args = given((2, 1), 512, 64, FP32, causal=causal)
    _, _, dv = launch(attention_bwd, **args, use_causal_mask=causal, mixed_precision=True)
    total = args["dy_ref"].astype(np.float64).sum((1, 3))
    check_close(dv.sum((1, 3)), total, 1e-4)


def test_nothing_comes_of_nothing() -> None:
    args = given((1, 1), 256, 64, sinks=(1,), causal=True)
    args["dy_ref"] = np.zeros_like(args["dy_ref"])
    for got in launch(attention_bwd, **args, use_causal_mask=True, mixed_precision=True):
        assert not got.astype(FP32).any()


def test_finite_differences() -> None:
    """Of Σ dy·o, o from the reference's forward pass."""
    args = given((2, 1), 256, 64, FP32, sinks=(2,), causal=True, window=90)
    got = launch(attention_bwd, **args, use_causal_mask=True, sliding_window=90, mixed_precision=True)
    inputs = [args[f"{name}_ref"].astype(np.float64) for name in ("q", "k", "v", "sinks")]
    dy, step = args["dy_ref"].astype(np.float64), 1e-4
    random = np.random.default_rng(7)
    for number in range(4):
        direction = random.normal(size=inputs[number].shape)
        ends = []
        for sign in (1, -1):
            moved = [*inputs]
            moved[number] = inputs[number] + sign * step * direction
            o, _, _ = attention_fwd_for_bwd(*moved[:3], causal=True, window=90, sinks=moved[3])
            ends.append((dy * o).sum())
        slope = (ends[0] - ends[1]) / (2 * step)
        along = (got[number].astype(np.float64) * direction).sum()
        assert abs(along - slope) <= 1e-4 * np.abs(got[number] * direction).sum(), NAMES[number]


# -- precision ------------------------------------------------------------------------------------------


def test_precision_of_fp32_is_always_the_same() -> None:
    args = given((2, 1), 512, 64, FP32, sinks=(1,), causal=True)
    one, two = (
        launch(attention_bwd, **args, use_causal_mask=True, mixed_precision=mixed) for mixed in (True, False)
    )
    for first, second in zip(one, two, strict=True):
        assert first.tobytes() == second.tobytes()


def test_sums_of_bf16_are_exact_only_with_mixed_precision() -> None:
    """dK and dV are sums over eight heads and two groups of queries; -lse and D are rounded, too."""
    args = given((8, 1), 1024, 32, sinks=(1,), causal=True)
    want = expected(args, True)
    errors = {}
    for mixed in (True, False):
        got = launch(attention_bwd, **args, use_causal_mask=True, mixed_precision=mixed)
        errors[mixed] = [np.abs(g.astype(FP32) - w).mean() for g, w in zip(got, want, strict=True)]
    assert all(rough > 1.15 * fine for rough, fine in zip(errors[False], errors[True], strict=True)), errors
    assert errors[False][3] > 3 * errors[True][3]


def test_lse_decides() -> None:
    """Nothing is normalised again: half of each weight."""
    args = given((1, 1), 256, 64, FP32)
    args["lse_ref"] = args["lse_ref"] + np.float32(np.log(2))
    check(args, rtol=1e-5)


def test_runs_agree_bit_by_bit() -> None:
    args = given((2, 1), 512, 64, causal=True)
    one, two = (
        [r.tobytes() for r in launch(attention_bwd, **args, use_causal_mask=True, lnc=lnc)] for lnc in (1, 2)
    )
    assert one == two


@pytest.mark.parametrize(("size", "dtype"), [(128, BF16), (256, BF16), (512, BF16), (256, FP32)])
def test_what_is_on_chip_fits(size: int, dtype: Any) -> None:
    """A section of keys as long as there are, in 192 KiB of SBUF and 16 KiB of PSUM a partition."""
    length = section_of(dtype, size // 128)
    args = all_of((1, 1, size, length), (1, 1, 128, length // 128))
    made = {name: np.zeros(shape, FP32 if name == "lse_ref" else dtype) for name, shape in args.items()}
    with nkisim.trace() as trace:
        launch(attention_bwd, **made, use_causal_mask=True, sliding_window=128, mixed_precision=True)
    assert trace.high_water["sbuf"] <= 192 * 1024
    assert trace.high_water["psum"] <= 16 * 1024


# -- work that is left out --------------------------------------------------------------------------------


def macs(window: int) -> float:
    args = given((1, 1), 2048, 64, causal=True, window=window)
    with nkisim.trace() as trace:
        launch(attention_bwd, **args, use_causal_mask=True, sliding_window=window)
    return float(trace.macs)


def test_keys_that_no_query_sees_cost_nothing() -> None:
    pairs = 2048 * 2049 / 2
    assert macs(0) < 1.15 * 5 * pairs * 64
    assert macs(128) < 0.3 * macs(0)


def test_in_what_order_products_are_summed() -> None:
    """The widest first, over all columns; tiles that see nothing are left out."""
    spans = [(0, 128), (0, 0), (128, 512), (256, 384)]
    assert in_order(spans, 512) == [(2, 0, 512), (0, 0, 128), (3, 256, 384)]
    assert in_order(spans) == [(2, 128, 512), (0, 0, 128), (3, 256, 384)]
    block = Block(first=0, tiles=4, start=0, spans=spans)
    assert queries_of_keys(block, 512) == [(0, 128), (256, 384), (256, 512), (256, 384)]


# -- checks -----------------------------------------------------------------------------------------------


def shapes(**changes: Any) -> dict[str, Any]:
    """Zeros of the kernel's shapes: 2 heads of 64, 512 tokens."""
    found: dict[str, Any] = {f"{n}_ref": (1, 2, 64, 512) for n in ("q", "k", "v", "o", "dy")}
    found["lse_ref"] = (1, 2, 128, 4)
    found |= changes
    return {
        name: np.zeros(shape, FP32 if name in ("lse_ref", "sinks_ref") else BF16)
        for name, shape in found.items()
    }


def all_of(shape: tuple[int, ...], lse: tuple[int, ...]) -> dict[str, Any]:
    return {**{f"{n}_ref": shape for n in ("q", "k", "v", "o", "dy")}, "lse_ref": lse}


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({"q_ref": (1, 3, 64, 512)}, {}, "multiple of the 2"),
        ({"q_ref": (2, 64, 512)}, {}, "q_ref must be [b, h, d, queries]"),
        ({"k_ref": (2, 64, 512)}, {}, "k_ref must be"),
        ({"k_ref": (1, 2, 32, 512)}, {}, "k_ref"),
        ({"v_ref": (1, 2, 64, 256)}, {}, "v_ref"),
        ({"o_ref": (1, 2, 64, 256)}, {}, "o_ref"),
        ({"dy_ref": (1, 1, 64, 512)}, {}, "dy_ref"),
        ({"lse_ref": (1, 2, 512, 1)}, {}, "lse_ref"),
        ({"sinks_ref": (1, 3)}, {}, "sinks_ref"),
        ({"sinks_ref": (2,)}, {}, "sinks_ref"),
        ({"sinks_ref": (1, 2, 1, 1)}, {}, "sinks_ref"),
        (
            {"k_ref": (1, 2, 64, 1024), "v_ref": (1, 2, 64, 1024)},
            {"use_causal_mask": True},
            "as many queries",
        ),
        ({}, {"sliding_window": 128}, "use_causal_mask=True"),
        (all_of((1, 1, 129, 512), (1, 1, 128, 4)), {}, "2 equal tiles"),
        (all_of((1, 1, 260, 512), (1, 1, 128, 4)), {}, "3 equal tiles"),
        (all_of((1, 1, 4096, 128), (1, 1, 128, 1)), {}, "2048"),
        (all_of((1, 1, 64, 2040), (1, 1, 128, 15)), {}, "2040 queries"),
        ({"k_ref": (1, 2, 64, 640), "v_ref": (1, 2, 64, 640)}, {}, "640 keys"),
        ({"k_ref": (1, 2, 64, 200), "v_ref": (1, 2, 64, 200)}, {}, "200 keys"),
    ],
)
def test_what_is_rejected(changes: Any, options: Any, words: str) -> None:
    with rejected(words):
        launch(attention_bwd, **shapes(**changes), **options)


def test_tensors_of_other_types_are_rejected() -> None:
    for name in ("k_ref", "v_ref", "o_ref", "dy_ref"):
        args = shapes()
        args[name] = args[name].astype(FP32)
        with rejected(f"{name} is float32"):
            launch(attention_bwd, **args)


def test_power_of_2() -> None:
    assert [power_of_2(n) for n in (0, 1, 2, 3, 8, 9, 1000)] == [1, 1, 2, 4, 8, 16, 1024]
