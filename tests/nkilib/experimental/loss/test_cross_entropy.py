"""Cross entropy and its gradient: sizes, chunks, types, extremes, two cores, finite differences, and checks."""

from __future__ import annotations

from typing import Any

import nki.language as nl
import numpy as np
import pytest
from blockcheck import drawn
from kernels import cast, check_close, launch, rejected
from npref_attn import cross_entropy_bwd_ref, cross_entropy_fwd_online, cross_entropy_fwd_ref

import nkisim
from nkilib.core.loss import cross_entropy_forward as core_forward
from nkilib.core.loss.cross_entropy_torch import cross_entropy_forward_torch_ref as core_reference
from nkilib.experimental.loss import cross_entropy_backward, cross_entropy_forward
from nkilib.experimental.loss.cross_entropy_torch import (
    cross_entropy_backward_torch_ref,
    cross_entropy_forward_torch_ref,
)

F32, BF16 = nl.float32, nl.bfloat16
ROUNDING = {F32: 1e-6, BF16: 4e-3}
"""Relative to the largest value: 2⁻⁸ is one rounding to bfloat16 at most."""


def inputs(positions: int, vocabulary: int, dtype: str = "float32", scale: float = 1.0) -> tuple[Any, Any]:
    targets = np.random.default_rng(1).integers(0, vocabulary, positions).astype(np.int32)
    return drawn((positions, vocabulary), dtype, scale=scale), targets


def forward(x: Any, targets: Any, lnc: int = 2, dtype: Any = F32, **options: Any) -> tuple[Any, Any]:
    """Loss and log-sum-exp, compared with those of float64."""
    options = {"positions_per_batch": 32, "chunk_size": x.shape[1], **options}
    loss, lse = launch(cross_entropy_forward, x, targets, lnc=lnc, dtype=dtype, **options)
    want = cross_entropy_fwd_ref(cast(x, dtype), targets)
    assert loss.dtype == lse.dtype == cast(0, dtype).dtype
    check_close(loss, want[0], ROUNDING[dtype], 1e-6, "loss")
    check_close(lse, want[1], ROUNDING[dtype], 1e-6, "lse")
    return loss, lse


def backward(x: Any, targets: Any, lse: Any, lnc: int = 2, dtype: Any = F32, **options: Any) -> Any:
    """The gradient, compared with that of float64; largest values are those at targets."""
    options = {"positions_per_batch": 32, "chunk_size": x.shape[1], "reduction": "mean", **options}
    want = cross_entropy_bwd_ref(cast(x, dtype), targets, lse, options["reduction"])
    given = x.copy()
    got = launch(cross_entropy_backward, given, targets, lse, lnc=lnc, dtype=dtype, **options)
    check_close(got, want, 2 * ROUNDING[dtype], 0, "gradient")
    changed = options.get("inplace", True)
    assert got.dtype == (x.dtype if changed else cast(0, dtype).dtype)
    assert np.array_equal(given.view(np.uint8), got.view(np.uint8) if changed else x.view(np.uint8))
    return got


SIZES = [
    (1, 2048, 32, 2048), (2, 300, 32, 300), (33, 5000, 8, 2048), (130, 260, 128, 100), (7, 77, 3, 1), (5, 9000, 2, 9000),
]  # fmt: skip
"""Positions, vocabulary, positions at a time, chunk."""


@pytest.mark.parametrize("lnc", [0, 1, 2])
@pytest.mark.parametrize("dtype", [F32, BF16])
@pytest.mark.parametrize("sizes", SIZES)
def test_forward(sizes: tuple[int, int, int, int], dtype: Any, lnc: int) -> None:
    x, targets = inputs(*sizes[:2], str(dtype))
    forward(x, targets, lnc, dtype, positions_per_batch=sizes[2], chunk_size=sizes[3])


@pytest.mark.parametrize("lnc", [0, 1, 2])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", [F32, BF16])
@pytest.mark.parametrize("sizes", SIZES)
def test_backward(sizes: tuple[int, int, int, int], dtype: Any, reduction: str, lnc: int) -> None:
    x, targets = inputs(*sizes[:2], str(dtype))
    lse = cast(cross_entropy_fwd_ref(x, targets)[1], "float32")
    backward(
        x, targets, lse, lnc, dtype, positions_per_batch=sizes[2], chunk_size=sizes[3], reduction=reduction
    )


@pytest.mark.parametrize("dtype", [F32, BF16])
def test_vocabulary_of_a_model(dtype: Any) -> None:
    x, targets = inputs(5, 32128, str(dtype))
    _, lse = forward(x, targets, 2, dtype, chunk_size=16384)
    backward(x, targets, lse, 2, dtype, chunk_size=16384)


def test_defaults() -> None:
    """32 positions, chunks of 32768, bfloat16, the mean, and in place."""
    x, targets = inputs(3, 40000, "bfloat16")
    loss, lse = launch(cross_entropy_forward, x, targets, lnc=2)
    want = cross_entropy_fwd_ref(x, targets)
    check_close(loss, want[0], 4e-3)
    check_close(lse, want[1], 4e-3)
    given = x.copy()
    launch(cross_entropy_backward, given, targets, lse, lnc=2)
    check_close(given, cross_entropy_bwd_ref(x, targets, lse), 1e-2)
    with rejected("chunk_size must be at most V = 300"):
        launch(cross_entropy_forward, *inputs(3, 300))


def test_both_forwards_are_one() -> None:
    x, targets = inputs(5, 300)
    for kernel in (core_forward, cross_entropy_forward):
        loss, _ = launch(kernel, x, targets, chunk_size=300, dtype=F32, lnc=2)
        check_close(loss, cross_entropy_fwd_ref(x, targets)[0], 1e-6)


def test_at_least_as_exact_as_states_in_bfloat16() -> None:
    x, targets = inputs(40, 6000, "bfloat16")
    loss, lse = forward(x, targets, 2, BF16, chunk_size=1000)
    exact, modelled = cross_entropy_fwd_ref(x, targets), cross_entropy_fwd_online(x, targets, 1000)
    for got, want, model in zip((loss, lse), exact, modelled, strict=True):
        assert np.abs(cast(got, "float32") - want).max() <= np.abs(model - want).max()


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("dtype", [F32, BF16])
@pytest.mark.parametrize("masked", [(0, 100), (0, 130), (100, 200), (60, 300)])
def test_logits_that_are_masked(masked: tuple[int, int], dtype: Any, lnc: int) -> None:
    """Minus infinity counts for nothing, also where whole chunks are, the first among them."""
    x, _ = inputs(5, 300, str(dtype))
    x[1:4, slice(*masked)] = -np.inf
    targets = np.array([0, *[(masked[1] + 5) % 300] * 3, 299], np.int32)
    _, lse = forward(x, targets, lnc, dtype, chunk_size=100)
    got = backward(x, targets, lse, lnc, dtype, chunk_size=100, reduction="sum")
    assert not np.any(got[1:4, slice(*masked)])


def test_logits_are_rounded_first() -> None:
    x, targets = inputs(9, 400)
    _, lse = forward(x, targets, dtype=BF16)
    backward(x, targets, lse, dtype=BF16, inplace=False)
    backward(x, targets, lse, dtype=BF16, inplace=True)


def test_gradient_of_logits_in_bfloat16_may_be_float32() -> None:
    x, targets = inputs(9, 400, "bfloat16")
    _, lse = forward(x, targets, dtype=F32)
    backward(x, targets, lse, dtype=F32, inplace=False)


@pytest.mark.parametrize("scale", [80.0, 1e-3])
def test_large_and_small_logits(scale: float) -> None:
    x, targets = inputs(6, 500, scale=scale)
    x[0, 17] = 5 * scale
    targets[0] = 17
    _, lse = forward(x, targets, chunk_size=100)
    backward(x, targets, lse, chunk_size=100)


def test_equal_logits() -> None:
    x, targets = np.full((4, 1000), 3.0, np.float32), np.arange(4, dtype=np.int32)
    loss, lse = forward(x, targets, chunk_size=300)
    check_close(lse, np.full(4, 3 + np.log(1000)), 1e-6)
    check_close(loss, np.full(4, np.log(1000)), 1e-6)


@pytest.mark.parametrize("target", [0, 1, 99, 100, 199, 200, 249])
def test_where_the_target_is(target: int) -> None:
    """At the edges of chunks; the others' targets are elsewhere."""
    x, targets = inputs(5, 250)
    targets[2] = target
    _, lse = forward(x, targets, chunk_size=100)
    backward(x, targets, lse, chunk_size=100)


def test_gradients_of_a_position_add_up_to_nothing() -> None:
    x, targets = inputs(6, 500)
    _, lse = forward(x, targets)
    assert np.abs(backward(x, targets, lse, reduction="sum").sum(1)).max() < 1e-5


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_finite_differences(reduction: str) -> None:
    """Of the forward kernel in float32: a step of 1/8 leaves an error of its square."""
    x, targets = inputs(3, 6)
    _, lse = forward(x, targets)
    grad = backward(x, targets, lse, reduction=reduction)
    step = 0.125
    for place in np.ndindex(3, 6):
        losses = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * step
            losses.append(forward(moved, targets)[0])
        change = (losses[0] - losses[1]) / (2 * step)
        total = change.mean() if reduction == "mean" else change.sum()
        assert abs(total - grad[place]) < step**2 / 10


def test_how_much_is_done_at_a_time() -> None:
    x, targets = inputs(16, 600)
    loads = {}
    for batch, chunk in ((16, 600), (4, 600), (16, 200)):
        with nkisim.trace() as trace:
            forward(x, targets, 1, positions_per_batch=batch, chunk_size=chunk)
        with nkisim.trace() as other:
            backward(x, targets, np.zeros(16, np.float32) + 7, 1, positions_per_batch=batch, chunk_size=chunk)
        loads[batch, chunk] = tuple(each.instructions()["scalar"]["activation"] for each in (trace, other))
    assert loads == {(16, 600): (2, 2), (4, 600): (8, 8), (16, 200): (4 + 2, 6)}


@pytest.mark.parametrize("positions", [1, 2, 33])
def test_cores_share_positions(positions: int) -> None:
    x, targets = inputs(positions, 200)
    with nkisim.races():
        _, lse = forward(x, targets)
        backward(x, targets, lse)
        backward(x, targets, lse, inplace=False)


def test_runs_agree_bit_by_bit() -> None:
    x, targets = inputs(9, 300, "bfloat16")
    first, second = (forward(x, targets, dtype=BF16, chunk_size=100)[0].tobytes() for _ in range(2))
    assert first == second


CHECKS: list[tuple[dict[str, Any], str]] = [
    ({"x": (3, 4, 5)}, "logits must be [N, V]"),
    ({"targets": (3, 1)}, "targets must be [N]"),
    ({"targets": (4,)}, "there are 3 rows of logits and 4 targets"),
    ({"kind": np.uint32}, "targets must be int32"),
    ({"type": "float16"}, "logits must be bfloat16 or float32"),
    ({"chunk_size": 0}, "chunk_size must be positive"),
    ({"chunk_size": 301}, "chunk_size must be at most V = 300"),
    ({"x": (3, 70000), "chunk_size": 65537}, "chunk_size must be at most 65536"),
    ({"positions_per_batch": 0}, "positions_per_batch must be 1 to 128"),
    ({"positions_per_batch": 129}, "positions_per_batch must be 1 to 128"),
    (
        {"x": (3, 65536), "chunk_size": 65536, "positions_per_batch": 128},
        "positions_per_batch times chunk_size takes 33554432 bytes",
    ),
]


def rejecting(change: dict[str, Any], words: str, function: str, **more: Any) -> None:
    given = {"chunk_size": 300, "positions_per_batch": 32, **change, **more}
    x = drawn(given.pop("x", (3, 300)), given.pop("type", "float32"))
    targets = np.zeros(given.pop("targets", (3,)), given.pop("kind", np.int32))
    kernel = cross_entropy_forward if function == "cross_entropy_forward" else cross_entropy_backward
    lse = [] if kernel is cross_entropy_forward else [np.zeros(*given.pop("lse", (3, np.float32)))]
    with rejected(f"{function}: {words}"):
        launch(kernel, x, targets, *lse, dtype=F32, **given)


@pytest.mark.parametrize("function", ["cross_entropy_forward", "cross_entropy_backward"])
@pytest.mark.parametrize(("change", "words"), CHECKS)
def test_checks(change: dict[str, Any], words: str, function: str) -> None:
    rejecting(change, words, function)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reduction": "none"}, "reduction must be 'mean' or 'sum', it is 'none'"),
        ({"lse": ((3, 1), np.float32)}, "lse_state must be [N]"),
        ({"lse": (4, np.float32)}, "there are 3 rows of logits and 4 entries of lse_state"),
        ({"lse": (3, np.float16)}, "lse_state must be bfloat16 or float32"),
    ],
)
def test_checks_of_the_gradient(change: dict[str, Any], words: str) -> None:
    rejecting(change, words, "cross_entropy_backward")


def test_the_most_that_may_be_held() -> None:
    """128 rows of 65536 elements in bfloat16 are 16 of 24 MiB."""
    x, targets = inputs(3, 65536, "bfloat16")
    forward(x, targets, dtype=BF16, chunk_size=65536, positions_per_batch=128)


@pytest.mark.parametrize("function", ["cross_entropy_forward", "cross_entropy_backward"])
def test_empty_logits(function: str) -> None:
    rejecting({"x": (0, 300), "targets": (0,)}, "logits must not be empty", function)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_torch_references(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    x, targets = inputs(5, 300)
    wide = torch.from_numpy(x).to(getattr(torch, dtype))
    exact = wide.float().numpy()
    rtol = 1e-6 if dtype == "float32" else 4e-3
    for function in (core_reference, cross_entropy_forward_torch_ref):
        got = function(wide, torch.from_numpy(targets))
        for each, want in zip(got, cross_entropy_fwd_ref(exact, targets), strict=True):
            assert each.dtype == wide.dtype
            check_close(each.float().numpy(), want, rtol)
    lse = cross_entropy_fwd_ref(exact, targets)[1]
    for reduction in ("mean", "sum"):
        grad = cross_entropy_backward_torch_ref(wide, torch.from_numpy(targets), reduction)
        assert grad.dtype == wide.dtype
        check_close(grad.float().numpy(), cross_entropy_bwd_ref(exact, targets, lse, reduction), rtol)
