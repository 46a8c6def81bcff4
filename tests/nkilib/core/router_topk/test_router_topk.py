"""The router: choices, affinities, layouts, places of results, two cores, and checks."""

from __future__ import annotations

from typing import Any

import nki.isa as nisa
import nki.language as nl
import numpy as np
import pytest
from blockcheck import drawn as normals
from blockcheck import in_hbm
from kernels import cast, check_close, launch, rejected
from moe_numpy_cases import CASES
from routers import LAYOUTS, SIGMOID, SOFTMAX, Tokens, check, drawn, run

import nkisim
from nkilib.core.router_topk import router_topk as module
from nkilib.core.router_topk.router_topk import router_topk_input_w_load, router_topk_input_x_load

AFTER: dict[str, bool] = {"router_pre_norm": False}
"""The activation after the choice."""
BEFORE: dict[str, bool] = {"router_pre_norm": True}
NORM: dict[str, bool] = {"router_pre_norm": True, "norm_topk_prob": True}
SCATTER: dict[str, bool] = {"use_indirect_dma_scatter": True}

TABLE: list[tuple[list[int], tuple[int, int, int], Any, dict[str, Any]]] = [
    ([4, 16, 32, 64, 128, 320], (3072, 128, 4), SOFTMAX, AFTER),
    ([4], (3072, 128, 4), SOFTMAX, {**AFTER, "bias": False}),
    ([4], (3072, 128, 4), SOFTMAX, {**AFTER, "use_PE_broadcast_w_bias": True}),
    ([4], (3072, 256, 4), SOFTMAX, AFTER),
    ([48, 80, 96, 160, 192, 320], (3072, 128, 4), SOFTMAX, {**AFTER, "shard_on_tokens": True}),
    ([16], (3072, 128, 4), SOFTMAX, {**AFTER, "use_column_tiling": True}),
    ([4, 640], (3072, 128, 4), SOFTMAX, {**AFTER, **SCATTER}),
    ([8], (8192, 128, 8), SIGMOID, {**AFTER, **SCATTER}),
    ([8], (8192, 128, 8), SOFTMAX, {**BEFORE, **SCATTER}),
    ([8], (8192, 128, 8), SIGMOID, {**BEFORE, **SCATTER}),
    ([8], (8192, 128, 8), SOFTMAX, {**NORM, **SCATTER}),
    ([8], (8192, 128, 8), SIGMOID, {**NORM, **SCATTER}),
    ([8, 32, 64], (3072, 128, 4), SOFTMAX, BEFORE),
    ([8, 32], (3072, 128, 4), SOFTMAX, NORM),
    ([4], (3072, 128, 1), SOFTMAX, {**AFTER, "bias": False}),
    ([32], (3072, 128, 4), SOFTMAX, {**BEFORE, **SCATTER}),
    ([2], (4096, 128, 8), SOFTMAX, {**AFTER, "bias": False}),
    ([2], (4096, 128, 8), SOFTMAX, {**BEFORE, **SCATTER, "bias": False}),
    ([2], (5120, 16, 1), SOFTMAX, {**AFTER, "bias": False}),
    ([2], (5120, 128, 1), SOFTMAX, {**BEFORE, **SCATTER, "bias": False}),
    (
        [2, 4, 5, 8, 32, 64, 128],
        (512, 128, 4),
        SOFTMAX,
        {**AFTER, "bias": False, "shard_on_tokens": True, "output_in_sbuf": True, "expert_affin_in_sb": True},
    ),
]
ROWS = [(tokens, *row[1:]) for row in TABLE for tokens in row[0]]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("tokens", "sizes", "act", "options"), ROWS)
def test_sizes_of_models(tokens: int, sizes: Any, act: Any, options: dict[str, Any], layout: str) -> None:
    check(drawn(tokens, *sizes, act, **options), layout, 2, "bfloat16", 2e-2)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("tokens", "sizes", "options"),
    [
        (640, (3072, 128, 4), AFTER), (1024, (3072, 128, 4), AFTER),
        (640, (3072, 128, 4), {**AFTER, "shard_on_tokens": True}),
        (640, (8192, 128, 8), {**BEFORE, **SCATTER}), (1024, (8192, 128, 8), {**BEFORE, **SCATTER}),
    ],
)  # fmt: skip
def test_many_tokens(tokens: int, sizes: Any, options: dict[str, Any], layout: str) -> None:
    check(drawn(tokens, *sizes, **options), layout, 2, "bfloat16", 2e-2)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("form", [AFTER, BEFORE, NORM])
@pytest.mark.parametrize("act", [SOFTMAX, SIGMOID])
@pytest.mark.parametrize("lnc", [0, 1, 2])
def test_forms(lnc: int, act: Any, form: dict[str, bool], layout: str) -> None:
    """Scattered or by a mask, in float32."""
    given = drawn(5, 256, 16, 4, act, **form, **SCATTER)
    check(given, layout, lnc)
    if act == SOFTMAX:
        check(drawn(5, 256, 16, 4, act, **form), layout, lnc)


def test_layouts_give_the_same() -> None:
    given = drawn(4, 256, 16, **AFTER)
    first = run(given, LAYOUTS[0])
    for layout in LAYOUTS[1:]:
        for name, result in run(given, layout).items():
            check_close(result, first[name], 1e-6, 0, name)


def test_k_experts_share_a_sum_of_one() -> None:
    got = run(drawn(4, 256, 16, bias=False, **AFTER), dtype="bfloat16")
    affinities = np.asarray(got["expert_affinities"], np.float32)
    assert np.abs(affinities.sum(1) - 1).max() < 1e-2
    for row in range(4):
        assert sorted(np.flatnonzero(affinities[row])) == sorted(got["expert_index"][row])


@pytest.mark.parametrize("by_product", [False, True])
def test_shapes_of_the_bias(by_product: bool) -> None:
    """Fixed in 2.28, the router bias shape: ``[E]`` and ``[1, E]`` are the same.

    A large bias makes every token choose its expert first.
    """
    given = drawn(4, 256, 16, use_PE_broadcast_w_bias=by_product, **AFTER)
    given.bias[7] = 100
    flat = run(given)
    row = run(Tokens(given.x, given.w, given.bias[None], options=given.options))
    for name, result in flat.items():
        assert np.array_equal(result, row[name])
    assert (flat["expert_index"][:, 0] == 7).all()
    assert np.abs(flat["expert_affinities"][:, 7] - 1).max() < 1e-6
    check(given)


def test_who_spreads_the_bias() -> None:
    products = {}
    for by_product in (False, True):
        with nkisim.trace() as trace:
            check(drawn(4, 256, 16, use_PE_broadcast_w_bias=by_product))
        products[by_product] = trace.instructions()["tensor"]["nc_matmul"]
    assert products == {False: 2, True: 3}


@pytest.mark.parametrize("form", [AFTER, NORM])
def test_one_expert_has_all(form: dict[str, bool]) -> None:
    got = run(drawn(4, 256, 16, 1, **form))
    assert np.array_equal(got["expert_affinities"].max(1), np.ones(4)) or form is NORM
    assert ((got["expert_affinities"] != 0).sum(1) == 1).all()
    assert np.abs(got["expert_affinities"].sum(1) - 1).max() < 1e-6


def test_normalised_before_or_activated_after_is_the_same() -> None:
    before, after = run(drawn(4, 256, 16, **NORM)), run(drawn(4, 256, 16, **AFTER))
    check_close(before["expert_affinities"], after["expert_affinities"], 1e-5)


@pytest.mark.parametrize("act", [SOFTMAX, SIGMOID])
def test_normalisation_is_for_activations_before_the_choice(act: Any) -> None:
    """Which sums of sigmoids show; those of the chosen softmax are 1 in any case."""
    alone = run(drawn(4, 256, 16, act=act, **AFTER, **SCATTER))
    both = run(drawn(4, 256, 16, act=act, **AFTER, **SCATTER, norm_topk_prob=True))
    assert np.array_equal(alone["expert_affinities"], both["expert_affinities"])


@pytest.mark.parametrize("k", range(1, 9))
@pytest.mark.parametrize("options", [AFTER, {**NORM, **SCATTER}])
def test_k(k: int, options: dict[str, bool]) -> None:
    check(drawn(9, 256, 24, k, **options), "sbuf 2")


@pytest.mark.parametrize("experts", [8, 100, 512])
def test_numbers_of_experts(experts: int) -> None:
    check(drawn(9, 256, experts, **AFTER), lnc=2)


@pytest.mark.parametrize("tokens", [1, 127, 129, 130, 255, 300])
@pytest.mark.parametrize("lnc", [1, 2])
def test_ragged_tiles(tokens: int, lnc: int) -> None:
    check(drawn(tokens, 128, 32, **AFTER), lnc=lnc)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_types(dtype: str, layout: str) -> None:
    check(drawn(9, 256, 32, dtype=dtype, **AFTER), layout, 2)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(("tokens", "groups"), [(1, 4), (16, 4), (32, 4), (33, 2), (64, 2), (65, 1)])
def test_column_tiling(tokens: int, groups: int, grouped: bool) -> None:
    """Groups are summed by Vector Engine afterwards."""
    with nkisim.trace() as trace:
        check(drawn(tokens, 1024, 32, use_column_tiling=grouped, **AFTER))
    with nkisim.trace() as other:
        check(drawn(tokens, 1024, 32, **AFTER))
    sums = [each.instructions()["vector"]["tensor_tensor"] for each in (trace, other)]
    assert sums[0] - sums[1] == (groups - 1 if grouped else 0)


def test_column_tiling_of_fewer_tiles_than_groups() -> None:
    check(drawn(16, 256, 32, use_column_tiling=True, **AFTER))


def test_rows_are_cleared_before_they_are_scattered_to() -> None:
    """By one DMA for each of the k, not by a mask."""
    moved = {}
    for indirect in (False, True):
        with nkisim.trace() as trace:
            check(drawn(4, 256, 16, use_indirect_dma_scatter=indirect, **AFTER))
        moved[indirect] = trace.instructions()["dma"]["dma_copy"]
    assert moved[True] - moved[False] == 4


@pytest.mark.parametrize("tokens", [2, 5, 33, 64, 255])
@pytest.mark.parametrize("form", [AFTER, BEFORE, {**NORM, **SCATTER}])
def test_cores_share_tokens(tokens: int, form: dict[str, bool]) -> None:
    given = drawn(tokens, 256, 32, shard_on_tokens=True, **form)
    with nkisim.races():
        check(given, lnc=2)


def test_sharing_halves_what_is_written() -> None:
    written = {}
    for shard in (False, True):
        with nkisim.trace() as trace:
            check(drawn(8, 256, 16, shard_on_tokens=shard, **AFTER), lnc=2)
        written[shard] = trace.hbm_written
    assert written[False] == 2 * written[True]


@pytest.mark.parametrize("shard", [False, True])
@pytest.mark.parametrize("form", [AFTER, BEFORE, NORM])
@pytest.mark.parametrize("tokens", [5, 32, 34, 64, 100, 128])
def test_results_in_sbuf(tokens: int, form: dict[str, bool], shard: bool) -> None:
    """Both cores have all rows, in the tensors that were given."""
    places = {"output_in_sbuf": True, "expert_affin_in_sb": True}
    for names in (["output_in_sbuf"], ["expert_affin_in_sb"], list(places)):
        options = {name: places[name] for name in names}
        check(drawn(tokens, 256, 32, shard_on_tokens=shard, **options, **form), "sbuf 1", 2)


@pytest.mark.parametrize("shard", [False, True])
@pytest.mark.parametrize("tokens", [129, 300])
def test_indices_of_many_tokens_are_folded(tokens: int, shard: bool) -> None:
    """Fixed in 2.28, expert_index of more than 128 tokens: in SBUF it is ``[128, ⌈T/128⌉, k]``."""
    check(drawn(tokens, 128, 32, output_in_sbuf=True, shard_on_tokens=shard, **AFTER), lnc=2)


@pytest.mark.parametrize("form", [AFTER, BEFORE, NORM, {**AFTER, **SCATTER}])
@pytest.mark.parametrize("act", [SOFTMAX, SIGMOID])
def test_eager_affinities(act: Any, form: dict[str, bool]) -> None:
    if act == SIGMOID:
        form = {**form, **SCATTER}
    given = drawn(16, 256, 32, 4, act, return_eager_affi=True, **form)
    got = check(given)
    assert got["eager"].dtype == np.float32
    found = np.take_along_axis(got["expert_affinities"], got["expert_index"].astype(np.int64), 1)
    check_close(got["eager"], found, 1e-6)
    assert (np.diff(got["eager"], axis=1) <= 0).all()


def test_eager_affinities_of_many_tokens() -> None:
    got = run(drawn(130, 256, 32, return_eager_affi=True, **NORM))
    found = np.take_along_axis(got["expert_affinities"], got["expert_index"].astype(np.int64), 1)
    assert got["eager"].shape == (128, 8)
    check_close(got["eager"][:, :4], found[:128], 1e-6)
    check_close(got["eager"][:2, 4:], found[128:], 1e-6)


def test_eager_affinities_are_of_the_cores_own_tokens() -> None:
    got = run(drawn(8, 256, 32, return_eager_affi=True, shard_on_tokens=True, **AFTER), lnc=2)
    found = np.take_along_axis(got["expert_affinities"], got["expert_index"].astype(np.int64), 1)
    check_close(got["eager"].reshape(8, 4), found, 1e-6)


def test_logits_may_be_skipped() -> None:
    given = drawn(4, 256, 16, skip_store_router_logits=True, **AFTER)
    check(given)
    kept = run(given, keep=True)
    assert (kept["router_logits"] == -5).all()


def test_indices_may_be_skipped() -> None:
    given = drawn(4, 256, 16, skip_store_expert_index=True, **AFTER)
    got = run(given)
    assert (got["expert_index"] == 9999).all()
    check_close(got["expert_affinities"], given.expected()["expert_affinities"], 1e-5)
    check(drawn(4, 256, 16, skip_store_expert_index=True, output_in_sbuf=True, **AFTER), lnc=2)


def test_the_first_of_equal_experts_is_chosen_first() -> None:
    x, w = np.zeros((6, 128), np.float32), np.zeros((128, 16), np.float32)
    logits = np.random.default_rng(3).integers(0, 3, (6, 16))
    for token in range(6):
        x[token, token] = 1
        w[token] = logits[token]
    for options in (AFTER, NORM, {**AFTER, **SCATTER}):
        given = Tokens(cast(x, "bfloat16"), cast(w, "bfloat16"), None, 6, SOFTMAX, dict(options))
        got = run(given)
        assert np.array_equal(got["expert_index"], np.argsort(-logits, 1, kind="stable")[:, :6])
        assert ((got["expert_affinities"] != 0).sum(1) == 6).all()


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("RT")])
def test_cases(name: str) -> None:
    inputs, expected, rtol = CASES[name]()
    options = {key: value for key, value in inputs.items() if isinstance(value, bool)}
    values = [None if inputs[key] is None else cast(inputs[key], "bfloat16") for key in ("x", "w", "w_bias")]
    act = SIGMOID if inputs["act_fn"] == "sigmoid" else SOFTMAX
    got = run(Tokens(*values, inputs["k"], act, options), lnc=1)
    for key, want in expected.items():
        if key in got:
            check_close(got[key], want, rtol, 1e-5, key)


def test_runs_agree_bit_by_bit() -> None:
    given = drawn(34, 256, 32, shard_on_tokens=True, output_in_sbuf=True, **AFTER)
    first, second = (run(given, lnc=2) for _ in range(2))
    for name, result in first.items():
        assert result.tobytes() == second[name].tobytes()


def replaced(given: Tokens, **changes: Any) -> Tokens:
    return Tokens(**{**vars(given), **changes})


SMALL = drawn(4, 256, 16, **AFTER)
CHECKS: list[tuple[Tokens, dict[str, Any], str]] = [
    (SMALL, {"x_hbm_layout": 2}, "x_hbm_layout must be 0 or 1, got 2"),
    (SMALL, {"x_sb_layout": 3}, "x_sb_layout must be 0, 1 or 2, got 3"),
    (SMALL, {"x_sb_layout": -1}, "x_sb_layout must be 0, 1 or 2, got -1"),
    (replaced(SMALL, x=normals((4, 1, 256))), {}, "Expect the input 'x' HBM tensor to be 2-D"),
    (replaced(SMALL, x=normals((4, 128))), {}, "mismatches w's H 256"),
    (SMALL, {"x_input_in_sbuf": True}, "Expect the input 'x' SBUF tensor to be 3-D"),
    (SMALL, {"shard_on_tokens": True}, "LNC sharding only supported with n_prgs>1, got 1"),
    (replaced(SMALL, act=SIGMOID), {}, "SIGMOID activation requires use_indirect_dma_scatter=True, got False"),
    (replaced(SMALL, act=SIGMOID), BEFORE, "SIGMOID activation requires"),
    (replaced(SMALL, act=None), {}, "Unsupported activation function: None"),
    (drawn(130, 256, 16, **AFTER, **SCATTER), {}, "T_local (130) must be <= 128 or a multiple of 128"),
    (drawn(4, 256, 513, **AFTER), {}, "E (513) must be <= gemm_moving_fmax (512)"),
    (drawn(4, 256, 7, **AFTER), {}, "E (7) must be >= 8"),
    (drawn(4, 200, 16, **AFTER), {}, "H (200) must be a multiple of pmax (128)"),
    (replaced(SMALL, w=normals((256, 16), "float32")), {}, "must match w dtype"),
    (SMALL, {"router_logits": None}, "router_logits must be provided"),
    (SMALL, {"k": 0}, "K (0) must be >= 1"),
    (SMALL, {"k": 9}, "K (9) must be <= 8"),
    (drawn(129, 256, 16, **AFTER), {"return_eager_affi": True}, "If return_eager_affi, then T must be <=128"),
    (drawn(129, 256, 16, **AFTER), {"expert_affin_in_sb": True}, "If expert_affin_in_sb, then T must be <=128"),
    (SMALL, {"expert_affin_in_sb": True, **SCATTER}, "cannot be a SBUF tensor"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "changes", "words"), CHECKS)
def test_checks(given: Tokens, changes: dict[str, Any], words: str) -> None:
    with rejected(words):
        run(given, **changes)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((64, 4, 2), "partition-dim max 128 but got 64"),
        ((128, 4, 3), "x.shape[2] to be H/pmax (2) but got 3"),
    ],
)
def test_checks_of_x_in_sbuf(shape: tuple[int, ...], words: str) -> None:
    from nkilib.core.router_topk.router_topk import router_topk

    def kernel(x: Any, w: Any, affinities: Any, index: Any) -> None:
        tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
        nisa.dma_copy(dst=tile, src=x)
        router_topk(
            tile, w, None, None, affinities, index, SOFTMAX, 4, 0, 0,
            x_input_in_sbuf=True, skip_store_router_logits=True,
        )  # fmt: skip

    with rejected(words):
        launch(kernel, normals(shape), SMALL.w, np.zeros((4, 16), np.float32), np.zeros((4, 4), np.uint32))


def test_halves_in_sbuf_must_be_equal() -> None:
    with rejected("T must be even"):
        run(drawn(33, 256, 16, shard_on_tokens=True, output_in_sbuf=True, **AFTER), lnc=2)


@pytest.mark.parametrize("form", [AFTER, NORM, BEFORE])
def test_affinities_that_are_scattered_are_counted_exactly(
    form: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes to its row as a whole is not counted."""
    assert module.EXACT == 2**24
    monkeypatch.setattr(module, "EXACT", 4 * 16 - 1)
    check(drawn(4, 256, 16, **form))
    given = drawn(4, 256, 16, **form, **SCATTER)
    if form == BEFORE:
        check(given)
        return
    with rejected("use_indirect_dma_scatter counts up to 63 affinities, T times E is 64"):
        run(given)


def in_layout(x: Any, layout: int) -> Any:
    """``[T, H]`` as the specification says it lies in SBUF."""
    tokens, width = x.shape[0], x.shape[1] // 128
    if layout == 0:
        return x.reshape(tokens, 128, width).transpose(1, 0, 2)
    if layout == 1:
        return x.reshape(tokens, 2, 128, width // 2).transpose(2, 0, 1, 3).reshape(128, tokens, width)
    return x.reshape(tokens, width, 128).transpose((2, 0, 1) if layout == 2 else (2, 1, 0))


@pytest.mark.parametrize("layout", range(4))
def test_loading_tokens_and_weights(layout: int) -> None:
    x, w = normals((5, 512)), normals((512, 16), seed=1)

    def kernel(x: Any, w: Any) -> Any:
        return (
            in_hbm(router_topk_input_x_load(x, 0 if layout == 3 else 1, layout)),
            in_hbm(router_topk_input_w_load(w, layout, name="w")),
        )

    tokens, weights = launch(kernel, x.T.copy() if layout == 3 else x, w)
    assert np.array_equal(tokens, in_layout(x, layout))
    order = in_layout(np.ascontiguousarray(w.T), 2 if layout == 3 else layout)
    assert np.array_equal(weights, order.transpose(0, 2, 1))


@pytest.mark.parametrize(
    ("hbm", "sbuf", "hidden", "words"),
    [
        (2, 0, 256, "only hbm_layout=0,1 are supported"),
        (1, 4, 256, "only sb_layout=0,1,2,3 are supported"),
        (0, 1, 256, "hbm_layout=0 only supports sb_layout=3, got 1"),
        (1, 3, 256, "hbm_layout=1 only supports sb_layout=0,1,2 got 3"),
        (1, 0, 200, "Hidden dimension must be multiples of 128"),
        (1, 1, 384, "Hidden dimension must be multiples of 256"),
    ],
)
def test_checks_of_loading(hbm: int, sbuf: int, hidden: int, words: str) -> None:
    with rejected(words):
        launch(lambda x: in_hbm(router_topk_input_x_load(x, hbm, sbuf)), normals((4, hidden)))
    if sbuf == 4:
        with rejected("only x_sb_layout=0,1,2,3"):
            launch(lambda w: in_hbm(router_topk_input_w_load(w, 4)), normals((256, 16)))
