"""attention_cte against its float64 reference: all options, both numbers of cores, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels import cast, check_close, launch, rejected
from npref_attn import attention_cte_ref

from nkilib.core.attention import attention_cte as module
from nkilib.core.attention.attention_cte import attention_cte

RTOL, ATOL = 2e-2, 1e-5
BOTH = pytest.mark.parametrize("lnc", [1, 2])
STRIDED = pytest.mark.parametrize("strided", [False, True], ids=["contiguous", "strided"])


class Case:
    """Inputs of one call, uniform in [0, 1) as given or with another spread, in the call's layouts."""

    def __init__(
        self,
        bs: int,
        sq: int,
        sk: int,
        d: int,
        *,
        bskv: int = 0,
        dtype: str = "bfloat16",
        prior: int = 0,
        used: int = 0,
        sink: Any = None,
        spread: float = 1.0,
        seed: int = 0,
        offset: int | None = None,
        **options: Any,
    ) -> None:
        random = np.random.default_rng(seed)
        kv = bskv or bs

        def values(*shape: int) -> Any:
            return cast(random.uniform(size=shape) * spread, dtype)

        tp_q, tp_k = options.get("tp_q", True), options.get("tp_k", False)
        self.args = {
            "q": values(bs, sq, d) if tp_q else values(bs, d, sq),
            "k": values(kv, sk, d) if tp_k else values(kv, d, sk),
            "v": values(kv, sk, d),
            **options,
        }
        if prior:
            self.args["k_prior"] = values(kv, prior, d) if tp_k else values(kv, d, prior)
            self.args["v_prior"] = values(kv, prior, d)
            self.args["prior_used_len"] = np.array([used], np.int32)
        if sink is not None:
            self.args["sink"] = (
                np.full((bs, 1), sink, np.float32) + np.arange(bs, dtype=np.float32)[:, None] / 4
            )
        if offset is not None:
            self.args["cp_offset"] = np.array([[offset]], np.int32)

    def run(self, lnc: int = 0, **changes: Any) -> Any:
        return launch(attention_cte, lnc=lnc, **{**self.args, **changes})

    def expected(self) -> Any:
        args = {name: value for name, value in self.args.items() if name != "softmax_dtype"}
        return attention_cte_ref(**args)

    def check(self, lnc: int = 0) -> Any:
        """Run and compare; returns (result,) or all three results."""
        got, want = self.run(lnc), self.expected()
        if not self.args.get("cache_softmax"):
            got, want = (got,), (want,)
        assert got[0].dtype == self.args["q"].dtype
        for name, found, wanted in zip(("result", "neg_max", "recip"), got, want, strict=False):
            check_close(found, wanted, RTOL, ATOL, name)
        return got


# -- layouts and lengths --------------------------------------------------------------------------------


@BOTH
def test_one_tile(lnc: int) -> None:
    Case(1, 128, 128, 128, tp_q=False, tp_out=True).check(lnc)


@BOTH
def test_lengths_that_are_no_multiples(lnc: int) -> None:
    Case(2, 577, 577, 88, dtype="float32", causal_mask=False).check(lnc)


@BOTH
def test_more_keys_than_queries(lnc: int) -> None:
    Case(1, 256, 1024, 64, scale=0.125, causal_mask=False).check(lnc)


@BOTH
def test_more_queries_than_keys_see_them_from_the_top_left(lnc: int) -> None:
    Case(1, 1024, 256, 64, spread=4.0).check(lnc)


def test_one_query() -> None:
    Case(3, 1, 200, 32).check(2)


def test_all_layouts_give_the_same() -> None:
    case = Case(2, 384, 384, 64, spread=3.0)
    plain = case.check()[0]
    q, k = case.args["q"], case.args["k"]
    for layout in np.ndindex(2, 2, 2):
        tp_q, tp_k, tp_out = map(bool, layout)
        got = case.run(
            q=q if tp_q else q.swapaxes(1, 2).copy(),
            k=k.swapaxes(1, 2).copy() if tp_k else k,
            tp_q=tp_q,
            tp_k=tp_k,
            tp_out=tp_out,
        )
        assert np.array_equal(got.swapaxes(1, 2) if tp_out else got, plain), (tp_q, tp_k, tp_out)


@BOTH
def test_groups_of_query_heads_share_keys(lnc: int) -> None:
    Case(6, 256, 256, 64, bskv=2, spread=4.0).check(lnc)


@pytest.mark.parametrize(
    ("bs", "bskv"), [(1, 1), (2, 1), (2, 2), (9, 3), (5, 1), (4, 2)], ids=lambda value: str(value)
)
@BOTH
def test_groups_with_prefix(bs: int, bskv: int, lnc: int) -> None:
    Case(bs, 160, 160, 32, bskv=bskv, prior=128, used=70, spread=3.0).check(lnc)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("tp_out", [False, True])
def test_types(dtype: str, tp_out: bool) -> None:
    """Inputs are rounded to bfloat16 first, the result is of their type."""
    case = Case(1, 200, 300, 48, dtype=dtype, tp_out=tp_out, spread=3.0)
    got = case.run()
    assert got.dtype == case.args["q"].dtype
    rounded = {name: cast(case.args[name], "bfloat16") for name in ("q", "k", "v")}
    check_close(got, attention_cte_ref(**{**case.args, **rounded}), 5e-3, ATOL)


# -- scale and sink -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.134, 3.0, -0.5, 0.0])
@pytest.mark.parametrize("causal", [False, True])
def test_scale(scale: float, causal: bool) -> None:
    Case(1, 300, 300, 64, scale=scale, causal_mask=causal, spread=1.5).check()


@BOTH
def test_sink_dominates_the_sum(lnc: int) -> None:
    case = Case(2, 512, 512, 64, sink=20.0)
    case.check(lnc)
    without = attention_cte_ref(**{**case.args, "sink": None})
    assert case.expected()[:, :5].mean() < 0.3 * without[:, :5].mean()


def test_sink_without_mask_over_several_chunks() -> None:
    Case(2, 200, 2500, 64, sink=18.0, causal_mask=False, cache_softmax=False).check()


# -- windows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 2, 23, 128, 129, 1024])
def test_windows(window: int) -> None:
    case = Case(1, 2048, 2048, 32, sliding_window=window, spread=3.0)
    got = case.check()[0]
    if window == 1:
        assert np.array_equal(got, case.args["v"])


@pytest.mark.parametrize("window", [2, 100, 700])
def test_windows_with_sink_on_two_cores(window: int) -> None:
    Case(3, 1100, 1100, 64, sliding_window=window, sink=15.0, spread=2.0, tp_out=True).check(2)


def test_window_of_zero_is_none() -> None:
    case = Case(1, 300, 300, 32)
    assert np.array_equal(case.run(sliding_window=0), case.run())


def test_queries_behind_all_keys_are_finite() -> None:
    """Their values are unspecified; the others must be right."""
    case = Case(1, 600, 200, 32, sliding_window=64)
    got = np.asarray(case.run()).astype(np.float32)
    assert np.isfinite(got).all()
    with np.errstate(invalid="ignore", divide="ignore"):
        want = case.expected()
    check_close(got[:, :263], want[:, :263], RTOL, ATOL)


# -- prefix ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("used", [0, 1, 256, 511, 512])
def test_prefix(used: int, causal: bool) -> None:
    Case(1, 512, 512, 64, prior=512, used=used, causal_mask=causal, spread=2.0).check(1 + used % 2)


def test_what_the_prefix_does_not_use_does_not_matter() -> None:
    case = Case(1, 140, 140, 32, prior=300, used=130, tp_k=True)
    before = case.run()
    case.args["k_prior"][:, 130:] = 50.0
    case.args["v_prior"][:, 130:] = -7.0
    assert np.array_equal(case.run(), before)


@BOTH
def test_prefix_of_odd_sizes_with_window(lnc: int) -> None:
    Case(2, 201, 201, 64, prior=355, used=300, sliding_window=64, spread=3.0).check(lnc)


@pytest.mark.parametrize("window", [1, 130, 350])
def test_prefix_with_windows(window: int) -> None:
    Case(1, 700, 700, 32, prior=400, used=333, sliding_window=window, sink=5.0, spread=2.0).check()


def test_long_keys_behind_a_prefix_of_one() -> None:
    Case(1, 256, 10240, 64, prior=1, used=1).check(2)


def test_all_layouts_with_prefix() -> None:
    for tp_q, tp_k, tp_out in np.ndindex(2, 2, 2):
        Case(
            1, 130, 260, 32, prior=140, used=129, sink=8.0,
            tp_q=bool(tp_q), tp_k=bool(tp_k), tp_out=bool(tp_out), spread=2.0,
        ).check()  # fmt: skip


# -- context parallelism --------------------------------------------------------------------------------


@STRIDED
@pytest.mark.parametrize("window", [0, 100])
def test_ranks_together_give_the_whole(strided: bool, window: int) -> None:
    degree, length = 4, 1024
    whole = Case(1, length, length, 32, sliding_window=window, spread=3.0)
    want = whole.expected()
    got = np.empty((1, length, 32))
    for rank in range(degree):
        part = slice(rank, None, degree) if strided else slice(rank * 256, (rank + 1) * 256)
        got[:, part] = whole.run(
            q=whole.args["q"][:, part].copy(),
            cp_offset=np.array([[rank if strided else rank * 256]], np.int32),
            global_cp_deg=degree,
            cp_strided_q_slicing=strided,
        )
    check_close(got, want, RTOL, ATOL)


CONTEXT = [
    # bs, bskv, sq, sk, d, degree, rank, window, prior, used, sink
    (1, 1, 512, 1024, 64, 2, 1, 0, 0, 0, None),
    (2, 1, 256, 2048, 64, 8, 0, 128, 0, 0, None),
    (2, 1, 256, 2048, 64, 8, 7, 128, 0, 0, 16.0),
    (1, 1, 128, 2048, 127, 16, 13, 128, 2045, 234, 16.0),
    (1, 1, 300, 1500, 64, 5, 4, 121, 450, 0, None),
    (3, 3, 256, 512, 32, 2, 0, 1, 123, 123, 9.0),
    (1, 1, 200, 200, 32, 1, 0, 0, 0, 0, None),
    (1, 1, 130, 2600, 64, 20, 19, 500, 130, 100, None),
    (1, 1, 200, 3000, 64, 15, 7, 2999, 64, 64, None),
]


@STRIDED
@BOTH
@pytest.mark.parametrize("case", CONTEXT, ids=str)
def test_context_parallelism(case: tuple[Any, ...], lnc: int, strided: bool) -> None:
    bs, bskv, sq, sk, d, degree, rank, window, prior, used, sink = case
    Case(
        bs, sq, sk, d, bskv=bskv, prior=prior, used=used, sink=sink, sliding_window=window, spread=2.0,
        offset=rank if strided else rank * sq, global_cp_deg=degree, cp_strided_q_slicing=strided,
    ).check(lnc)  # fmt: skip


@pytest.mark.parametrize("tp_k", [False, True])
@pytest.mark.parametrize("rank", [0, 1, 9])
def test_a_slice_with_a_window_loads_the_keys_it_needs(rank: int, tp_k: bool) -> None:
    case = Case(
        2, 200, 2000, 32, offset=rank * 200, global_cp_deg=10, sliding_window=150, tp_k=tp_k, spread=3.0
    )
    case.check()
    import nkisim

    with nkisim.trace() as trace:
        case.run()
    loaded = sum(event.cost.read for event in trace.events if event.cost.source == "hbm")
    needed = 2 * 2 * (512 + 512 + 200) * 32
    assert needed <= loaded < needed + 4096


def test_offset_alone_does_not_matter() -> None:
    case = Case(1, 200, 200, 32)
    assert np.array_equal(case.run(cp_offset=np.array([[77]], np.int32)), case.run())


def test_long_keys_on_the_last_rank() -> None:
    case = Case(1, 256, 12288, 64, offset=12032, global_cp_deg=32)
    one, two = case.check(1)[0], case.check(2)[0]
    check_close(two, one.astype(np.float32), RTOL, ATOL)


# -- statistics -----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_statistics(scale: float, lnc: int) -> None:
    case = Case(2, 384, 384, 64, sink=20.0, cache_softmax=True, scale=scale)
    _, neg_max, recip = case.check(lnc)
    assert neg_max.dtype == recip.dtype == np.float32
    q, k = cast(case.args["q"], "float32"), cast(case.args["k"], "float32")
    for batch, t in ((0, 0), (0, 130), (1, 383)):
        scores = scale * (q[batch, t].astype(np.float64) @ k[batch, :, : t + 1])
        sink = case.args["sink"][batch, 0]
        total = np.exp(scores).sum() + np.exp(np.float64(sink))
        at = batch, t % 128, t // 128
        assert np.exp(-np.float64(neg_max[at])) / recip[at] == pytest.approx(total, rel=1e-3)


def test_statistics_in_another_type() -> None:
    case = Case(
        3, 1024, 1024, 32, cache_softmax=True, softmax_dtype="bfloat16", sliding_window=100, spread=2.0
    )
    _, neg_max, recip = case.check(2)
    assert str(neg_max.dtype) == str(recip.dtype) == "bfloat16"


@STRIDED
def test_statistics_with_everything(strided: bool) -> None:
    Case(
        4, 256, 1024, 63, bskv=2, prior=300, used=270, sink=16.0, sliding_window=200, cache_softmax=True,
        offset=3 if strided else 768, global_cp_deg=4, cp_strided_q_slicing=strided, tp_out=True, tp_k=True,
    ).check(2)  # fmt: skip


# -- cores ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("queries", [pytest.param(2048, marks=pytest.mark.slow), 1100, 512])
def test_an_odd_batch_row_is_split_or_left_to_the_first_core(queries: int) -> None:
    case = Case(3, queries, queries, 32, spread=3.0)
    check_close(case.check(2)[0], cast(case.run(1), "float32"), 1e-2, ATOL)


@pytest.mark.parametrize(
    ("options", "first"),
    [({}, 10), ({"sliding_window": 200}, 8), ({"causal_mask": False}, 8), ({"prior": 2048, "used": 9}, 9)],
)
def test_the_first_core_takes_more_of_causal_rows(options: dict[str, Any], first: int) -> None:
    """65 % of 16 tiles, half of them, or something between; counted in the queries that it stores."""
    import nkisim

    case = Case(1, 2048, 2048, 32, **options)
    with nkisim.trace() as trace:
        case.run(2)
    stored = [0, 0]
    for event in trace.events:
        if event.cost.target == "hbm":
            stored[event.core] += event.cost.written
    assert stored == [first * 128 * 32 * 2, (16 - first) * 128 * 32 * 2]


def test_two_runs_are_bit_identical() -> None:
    case = Case(3, 1100, 1100, 64, prior=200, used=150, sink=3.0, spread=3.0)
    assert np.array_equal(case.run(2), case.run(2))


@pytest.mark.parametrize("keys", [128, 129, 2048, 2049, 4100])
def test_chunks_of_keys(keys: int) -> None:
    Case(1, 140, keys, 16, causal_mask=False, spread=3.0).check()


def test_an_earlier_chunk_may_have_the_maximum_or_a_later_one() -> None:
    case = Case(2, 128, 4096, 16, causal_mask=False)
    case.args["k"][0, :, :2048] *= cast(9.0, "bfloat16")
    case.args["k"][1, :, 2048:] *= cast(9.0, "bfloat16")
    case.check()


@pytest.mark.parametrize(
    ("queries", "keys"), [(1, 300), (1, 9000), (128, 300), (128, 2500), (128, 4500), (256, 2500)]
)
def test_many_small_rows_follow_each_other(queries: int, keys: int) -> None:
    """Work on several rows overlaps; each must keep its own sums."""
    options: dict[str, Any] = {"cache_softmax": True} if queries % 128 == 0 else {}
    case = Case(7, queries, keys, 16, sink=4.0, causal_mask=False, spread=3.0, **options)
    for row in range(7):
        case.args["k"][row] *= cast(0.2 + row / 7, "bfloat16")
    case.check(1)


def test_each_input_is_read_once_and_few_instructions_do_it() -> None:
    import nkisim

    case = Case(4, 1024, 1024, 128, bskv=2)
    with nkisim.trace() as trace:
        case.run()
    loaded = sum(event.cost.read for event in trace.events if event.cost.source == "hbm")
    assert loaded == sum(case.args[name].nbytes for name in ("q", "k", "v"))
    assert (
        sum(event.cost.written for event in trace.events if event.cost.target == "hbm") == 4 * 1024 * 128 * 2
    )
    blocks = 8 * 9 // 2  # of 128 keys and 128 queries, on the diagonal and below
    assert sum(event.cost.macs for event in trace.events) == 4 * 2 * blocks * 128**3
    assert len(trace.events) < 4 * 80


# -- upstream-like configurations, small ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("bs", "sq", "sk", "d", "options"),
    [
        (1, 1100, 400, 64, {"scale": 0.5, "dtype": "float32", "causal_mask": False}),
        (3, 256, 256, 128, {"dtype": "float16", "tp_q": True}),
        (3, 128, 384, 128, {"dtype": "float16", "causal_mask": False, "tp_q": False, "tp_out": True}),
        (1, 640, 640, 8, {"dtype": "float32", "tp_q": False}),
        (3, 512, 1024, 128, {"scale": 0.125, "causal_mask": False, "tp_q": False}),
        (3, 729, 729, 128, {"tp_out": True, "causal_mask": False}),
        (2, 1234, 1234, 127, {"prior": 123, "used": 41, "tp_out": True, "tp_k": True}),
        (4, 640, 640, 64, {"bskv": 1, "sink": 15.0, "sliding_window": 128}),
    ],
    ids=str,
)
@BOTH
def test_more(bs: int, sq: int, sk: int, d: int, options: dict[str, Any], lnc: int) -> None:
    Case(bs, sq, sk, d, **options).check(lnc)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bs", "sq", "sk", "d", "options"),
    [
        (2, 2048, 2048, 64, {"prior": 4096, "used": 2048, "sink": 15.0}),
        (1, 4096, 9216, 64, {"scale": 0.5, "dtype": "float32", "causal_mask": False}),
        (1, 10240, 10240, 64, {"prior": 1, "used": 1}),
        (3, 8192, 8192, 64, {"dtype": "float32", "sink": 15.0}),
        (1, 4096, 4096, 128, {"tp_out": True, "tp_q": False}),
        (2, 8192, 8192, 64, {"sliding_window": 128, "sink": 15.0}),
    ],
    ids=str,
)
def test_long(bs: int, sq: int, sk: int, d: int, options: dict[str, Any]) -> None:
    Case(bs, sq, sk, d, **options).check(2)


# -- what it refuses ------------------------------------------------------------------------------------


def shaped(**changes: Any) -> dict[str, Any]:
    """Arguments of small shapes; only shapes matter."""
    args: dict[str, Any] = {
        "q": np.zeros((2, 128, 16), np.float32),
        "k": np.zeros((2, 16, 128), np.float32),
        "v": np.zeros((2, 128, 16), np.float32),
    }
    return {**args, **changes}


def zeros(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


PRIOR = {"k_prior": zeros(2, 16, 64), "v_prior": zeros(2, 64, 16), "prior_used_len": np.zeros(1, np.int32)}
OFFSET = np.zeros((1, 1), np.int32)

REFUSED = {
    "batch": (shaped(q=zeros(33, 4, 16), k=zeros(33, 16, 4), v=zeros(33, 4, 16)), "batch of q is 33"),
    "keys": (shaped(k=zeros(2, 16, 36865), v=zeros(2, 36865, 16)), "36865 tokens"),
    "keys and prior": (
        shaped(**PRIOR, k=zeros(2, 16, 36802), v=zeros(2, 36802, 16)),
        "k and k_prior have 36866 tokens",
    ),
    "queries": (shaped(q=zeros(2, 36865, 16)), "q has 36865 tokens"),
    "d": (shaped(q=zeros(2, 8, 129), k=zeros(2, 129, 8), v=zeros(2, 8, 129)), "d is 129"),
    "no depth": (shaped(q=zeros(2, 8, 0), k=zeros(2, 0, 8), v=zeros(2, 8, 0)), "d is 0"),
    "no batch": (shaped(q=zeros(0, 8, 16)), "batch of q is 0"),
    "no keys' batch": (shaped(k=zeros(0, 16, 128), v=zeros(0, 128, 16)), "must be a multiple"),
    "no multiple": (shaped(q=zeros(3, 128, 16)), "must be a multiple"),
    "window and scale": (shaped(sliding_window=8, scale=0.5), "scale is 0.5"),
    "prefix and scale": (shaped(**PRIOR, scale=0.5), "scale is 0.5"),
    "slices and scale": (shaped(cp_offset=OFFSET, global_cp_deg=2, scale=0.5), "scale is 0.5"),
    "slices without mask": (shaped(cp_offset=OFFSET, global_cp_deg=2, causal_mask=False), "causal_mask=True"),
    "window without mask": (shaped(sliding_window=8, causal_mask=False), "causal_mask=True"),
    "negative window": (shaped(sliding_window=-1), "sliding_window is -1"),
    "large window": (shaped(sliding_window=36865), "sliding_window is 36865"),
    "no v_prior": (shaped(**{**PRIOR, "v_prior": None}), "v_prior must be"),
    "no length": (shaped(**{**PRIOR, "prior_used_len": None}), "prior_used_len must be"),
    "no k_prior": (shaped(v_prior=PRIOR["v_prior"]), "v_prior is given without"),
    "length alone": (shaped(prior_used_len=PRIOR["prior_used_len"]), "prior_used_len is given without"),
    "two lengths": (shaped(**{**PRIOR, "prior_used_len": np.zeros(2, np.int32)}), "must have shape (1,)"),
    "odd statistics": (
        shaped(q=zeros(2, 123, 16), cache_softmax=True),
        "cache_softmax needs a multiple of 128 queries",
    ),
    "no offset": (shaped(global_cp_deg=2), "cp_offset must be"),
    "offset's shape": (shaped(global_cp_deg=2, cp_offset=np.zeros(1, np.int32)), "must have shape (1, 1)"),
    "degree": (shaped(global_cp_deg=33, cp_offset=OFFSET), "global_cp_deg is 33"),
    "negative degree": (shaped(global_cp_deg=-1, cp_offset=OFFSET), "global_cp_deg is -1"),
    "strided without degree": (shaped(cp_strided_q_slicing=True), "needs global_cp_deg"),
    "layout of k": (shaped(tp_k=True), "k must have shape (2, 16, 16)"),
    "values": (shaped(v=zeros(2, 64, 16)), "v must have shape (2, 128, 16)"),
    "prior's rows": (
        shaped(**{**PRIOR, "k_prior": zeros(1, 16, 64)}), "k_prior must have shape (2, 16, 64)"
    ),
    "prior's values": (
        shaped(**{**PRIOR, "v_prior": zeros(2, 64, 8)}), "v_prior must have shape (2, 64, 16)"
    ),
}  # fmt: skip


@pytest.mark.parametrize("args,text", REFUSED.values(), ids=REFUSED)  # noqa: PT006
def test_refused(args: dict[str, Any], text: str) -> None:
    with rejected(text):
        launch(attention_cte, **args)


def test_products_beyond_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit itself is that of the largest batch, queries and keys; a smaller one shows the check."""
    assert module._MAX_BS_TIMES_SEQLEN_QK == 32.0 * 36864 * 36864
    monkeypatch.setattr(module, "_MAX_BS_TIMES_SEQLEN_QK", 2.0 * 128 * 127)
    with rejected("batch·queries·keys is 2·128·128"):
        launch(attention_cte, **shaped())


def test_limits_are_named() -> None:
    assert (module._MAX_BS, module._MAX_SEQLEN, module._MAX_HEAD_DIM) == (32, 36864, 128)
    assert (module._MIN_GLOBAL_CP_DEGREE, module._MAX_GLOBAL_CP_DEGREE) == (1, 32)
