"""attention_block_tkg against its float64 reference: layouts, options, caches, cores, and checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from blockcases import STATIC, Block
from blockcheck import BF16, FP8, FP32
from kernels import cast, check_close, normal, rejected

import nkisim
from nkilib.experimental.transformer import attention_block_tkg_checks as checks

TOLERANCE = (0.015, 1e-5)
NAMES = ("out", "keys", "values")
NEVER = np.uint32(2**32 - 1)


def check(case: Block, rtol: float = TOLERANCE[0], atol: float = TOLERANCE[1]) -> Any:
    got, want = case.run(), case.expected()
    for name, found, wanted in zip(NAMES, got, want, strict=True):
        check_close(found, wanted, rtol, atol, name)
    assert got[0].dtype == case.x.dtype
    return got


def small(**options: Any) -> Block:
    """Two sequences of two new tokens, four heads of 64."""
    return Block(2, 4, 64, 512, 256, 2, **options)


# -- forms of the result and of X -------------------------------------------------------------------------


@pytest.mark.parametrize("lnc", [0, 1, 2])
def test_all_at_once(lnc: int) -> None:
    case = Block(4, 8, 64, 768, 512, lnc=lnc)
    check(case.add_norm().add_rotation().add_projection().add_update())


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("in_sbuf", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("out_in_sb", [False, True])
def test_projected(lnc: int, in_sbuf: bool, transposed: bool, out_in_sb: bool) -> None:
    case = small(lnc=lnc, in_sbuf=in_sbuf, transposed_out=transposed, out_in_sb=out_in_sb)
    check(case.add_projection(bias=True))


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("out_in_sb", [False, True])
@pytest.mark.parametrize("skip", [False, True])
def test_not_projected(lnc: int, out_in_sb: bool, skip: bool) -> None:
    got = check(small(lnc=lnc, out_in_sb=out_in_sb, skip_attention=skip).add_rotation())
    if out_in_sb:
        assert all(copy.tobytes() == got[0][0].tobytes() for copy in got[0])


def test_queries_in_place_of_attention_are_projected_unscaled() -> None:
    case = small(skip_attention=True, softmax_scale=0.1).add_projection()
    check(case)
    other = small(skip_attention=True, softmax_scale=0.7).add_projection()
    assert other.run()[0].tobytes() == case.run()[0].tobytes()


# -- what happens to X and to heads -------------------------------------------------------------------------


@pytest.mark.parametrize("actual", [None, 400])
@pytest.mark.parametrize("in_sbuf", [False, True])
def test_norm_of_padded_hidden_states(actual: int | None, in_sbuf: bool) -> None:
    check(small(in_sbuf=in_sbuf).add_norm(actual))


def test_norm_s_eps() -> None:
    """1e-3 unless another one is given, which has to count: hidden states are small."""
    results = []
    for eps in (None, 1e-3, 0.5):
        case = small().add_norm()
        case.x = cast(case.x.astype(FP32) * 0.05, BF16)
        case.given(rmsnorm_X_eps=eps)
        results.append(check(case)[1])
    assert results[0].tobytes() == results[1].tobytes()
    assert np.abs(results[2].astype(FP32)).max() < 0.5 * np.abs(results[0].astype(FP32)).max()


def test_gamma_without_norm_is_not_read() -> None:
    case = small().given(rmsnorm_X_gamma=np.full((1, 512), np.nan, BF16))
    check(case)


def test_bias() -> None:
    check(small(bias_qkv=normal((1, 6 * 64), "bfloat16", 9)))


HEAD_NORMS = {
    "before": {"rmsnorm_QK_pre_rope_enabled": True, "rmsnorm_QK_pre_rope_eps": 0.5},
    "after": {"rmsnorm_QK_post_rope_enabled": True, "rmsnorm_QK_post_rope_eps": 0.5},
    "both": {"rmsnorm_QK_pre_rope_enabled": True, "rmsnorm_QK_post_rope_enabled": True},
}


@pytest.mark.parametrize("norms", HEAD_NORMS.values(), ids=HEAD_NORMS)
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("rotated", [False, True])
def test_norms_of_heads(norms: dict[str, Any], weights: bool, rotated: bool) -> None:
    case = Block(2, 3, 128, 512, 256, 2, **norms)
    if weights:
        queries, keys = (normal((1, 128), "bfloat16", seed) for seed in (9, 10))
        case.given(rmsnorm_QK_post_rope_W_Q=queries, rmsnorm_QK_post_rope_W_K=keys)
    check(case.add_rotation() if rotated else case)


def test_weights_of_one_norm_only() -> None:
    weights = normal((1, 128), "bfloat16", 9)
    for name in ("W_Q", "W_K"):
        check(Block(2, 3, 128, 512, 256, **HEAD_NORMS["after"], **{f"rmsnorm_QK_post_rope_{name}": weights}))


@pytest.mark.parametrize("depth", [64, 128])
@pytest.mark.parametrize("contiguous", [True, False])
def test_rotations(depth: int, contiguous: bool) -> None:
    check(Block(3, 4, depth, 512, 256, 3).add_rotation(contiguous))


@pytest.mark.parametrize("missing", ["cos", "sin"])
def test_no_rotation_without_both_tables(missing: str) -> None:
    case = small().add_rotation().given(**{missing: None})
    check(case)


# -- attention and caches ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.05, 0.21])
def test_scales_of_the_softmax(scale: float) -> None:
    check(small(softmax_scale=scale))


def test_sink() -> None:
    case = small(sink=np.array([[3.0], [-1.0], [20.0], [0.5]], FP32))
    got = check(case)
    assert not np.array_equal(got[0], small().run()[0])


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("sequence", [1, 5])
def test_flat_caches(lnc: int, transposed: bool, sequence: int) -> None:
    """More room than context, and rows that must stay as they are."""
    case = Block(3, 2, 64, 512, 256, sequence, cache=384, lnc=lnc, K_cache_transposed=transposed)
    _, keys, values = check(case.add_update())
    before = [case.options[name].swapaxes(1, 2) if name == "K_cache" and transposed else case.options[name]
              for name in ("K_cache", "V_cache")]  # fmt: skip
    kept = np.ones((3, 384), bool)
    for b, start in enumerate(case.positions):
        kept[b, start : start + sequence] = False
    after = [keys.swapaxes(1, 2) if transposed else keys, values]
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old[kept], new[kept])
        assert (old[~kept] != new[~kept]).any()


def test_both_layouts_of_keys_agree() -> None:
    plain, turned = (small(K_cache_transposed=way).add_update().run() for way in (False, True))
    assert np.array_equal(plain[1], turned[1].swapaxes(1, 2))
    assert plain[0].tobytes() == turned[0].tobytes()


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("depth", [64, 128])
def test_blocks(lnc: int, depth: int) -> None:
    check(Block(4, 2, depth, 512, 1024, 5, block=16, lnc=lnc).add_update())


@pytest.mark.parametrize("sequence", [1, 3])
def test_a_sequence_of_blocks_can_be_left_out(sequence: int) -> None:
    case = Block(4, 2, 64, 512, 512, sequence, block=16).add_update()
    with_all = case.run()
    case.options["kv_cache_update_idx"][3] = NEVER
    got = check(case)
    assert got[0].tobytes() == with_all[0].tobytes()
    for cache, name in ((got[1], "K_cache"), (got[2], "V_cache")):
        changed = (cache != case.options[name]).any((1, 2))
        assert changed.sum() == 3


def test_the_caches_are_read_before_they_are_written() -> None:
    """New tokens go to rows of the context that the mask shows."""
    case = small().add_update()
    case.options["attention_mask"][:] = 1
    case.given(kv_cache_update_idx=np.array([[3], [100]], np.uint32))
    check(case)


@pytest.mark.parametrize("block", [0, 16])
@pytest.mark.parametrize("update", [False, True])
def test_caches_with_an_axis_of_heads(block: int, update: bool) -> None:
    case = Block(2, 4, 64, 512, 256, 2, block=block)
    for name in ("K_cache", "V_cache"):
        case.options[name] = np.expand_dims(case.options[name], 2 if block else 1)
    got = check(case.add_update() if update else case)
    if update:
        assert got[1].shape == case.options["K_cache"].shape
        assert got[2].shape == case.options["V_cache"].shape


def test_new_keys_and_values_without_an_update() -> None:
    _, keys, values = check(small())
    assert keys.shape == (64, 2, 2)
    assert values.shape == (2, 1, 2, 64)
    assert (keys.dtype, values.dtype) == (BF16, BF16)


# -- quantisation -----------------------------------------------------------------------------------------


def quantized_projections(rows: int) -> Block:
    """Scales that differ for queries, keys and values."""
    case = Block(4, 2, 128, 512, 256, quantization_type_qkv=STATIC, quantization_type_out=STATIC)
    case.add_projection()
    weights = np.array([[0.004, 0.002, 0.001]], FP32)
    case.options["W_qkv"] = cast(normal((512, 512), "float32", 1) * 20, FP8)
    case.options["W_out"] = cast(normal((256, 512), "float32", 7) * 20, FP8)
    return case.given(
        weight_dequant_scale_qkv=np.repeat(weights, rows, 0),
        input_dequant_scale_qkv=np.full((rows, 1), 0.02, FP32),
        weight_dequant_scale_out=np.full((128, 1), 0.003, FP32),
        input_dequant_scale_out=np.full((128, 1), 0.01, FP32),
    )


@pytest.mark.parametrize("rows", [1, 128])
def test_static_quantisation(rows: int) -> None:
    check(quantized_projections(rows), 0.05, 1e-3)


@pytest.mark.parametrize("layout", [{}, {"K_cache_transposed": True}, {"block": 16}], ids=str)
@pytest.mark.parametrize("rows", [1, 128])
@pytest.mark.parametrize("update", [False, True])
def test_quantised_caches(layout: dict[str, Any], rows: int, update: bool) -> None:
    """Some keys and values go beyond ±240 and are clipped."""
    case = Block(2, 2, 64, 512, 256, 3, **layout)
    for name in ("K_cache", "V_cache"):
        case.options[name] = cast(np.clip(case.options[name].astype(FP32) * 80, -240, 240), FP8)
    case.given(
        k_scale=np.full((rows, 1), 100.0, FP32),
        v_scale=cast(np.full((rows, 1), 50.0), BF16),
        softmax_scale=0.00125,
    )
    got = check(case.add_update() if update else case, 0.07, 0.1)
    assert (got[1].dtype, got[2].dtype) == (FP8, FP8)
    assert np.abs(got[1].astype(FP32)).max() == 240


def test_one_scale_quantises_nothing() -> None:
    for name in ("k_scale", "v_scale"):
        check(small(**{name: np.full((1, 1), 100.0, FP32)}))


# -- sizes, cores, runs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch", "heads", "depth", "hidden", "context", "sequence"),
    [
        (1, 1, 128, 1024, 256, 1),
        (128, 1, 64, 256, 256, 1),  # batch shared
        (16, 16, 64, 512, 256, 8),  # all limits of attention, 2048 queries
        (1, 2, 32, 512, 512, 7),
        (4, 1, 96, 256, 8448, 5),
    ],
)
def test_sizes(batch: int, heads: int, depth: int, hidden: int, context: int, sequence: int) -> None:
    check(Block(batch, heads, depth, hidden, context, sequence).add_projection().add_update(), 0.02)


@pytest.mark.parametrize("lnc", [1, 2])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_types(dtype: str, lnc: int) -> None:
    case = small(dtype=dtype, lnc=lnc, K_cache_transposed=True)
    check(case.add_norm().add_rotation().add_projection().add_update(), 2e-3)


@pytest.mark.parametrize("block", [0, 16])
def test_runs_agree_bit_by_bit_and_cores_do_not_race(block: int) -> None:
    case = small(block=block).add_norm().add_rotation().add_projection().add_update()
    with nkisim.races():
        first = [each.tobytes() for each in case.run()]
    for seed in range(3):
        with nkisim.interleave(seed):
            assert [each.tobytes() for each in case.run()] == first


def test_nothing_between_the_kernels_goes_to_hbm() -> None:
    case = small().add_projection()
    with nkisim.trace() as trace:
        out, keys, values = case.run()
    staged = 2 * values.nbytes  # each core's values, which attention reads from HBM
    assert trace.hbm_written == out.nbytes + keys.nbytes + values.nbytes + staged


# -- checks -----------------------------------------------------------------------------------------------


def zeros(*shape: int, dtype: Any = BF16) -> Any:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"attention_mask": zeros(256, 2, 4, 3, dtype=np.uint8)}, "attention_mask"),
        ({"attention_mask": zeros(256, 2, 3, 2, dtype=np.uint8)}, "attention_mask"),
        ({"attention_mask": zeros(256, 8, dtype=np.uint8)}, "attention_mask"),
        ({"attention_mask": zeros(512, 2, 4, 2, dtype=np.uint8)}, "more than the cache"),
        ({"W_qkv": zeros(512, 385)}, "whole heads of 64"),
        ({"W_qkv": zeros(512, 128)}, "at least 3 heads"),
        ({"W_qkv": zeros(640, 384)}, "qkv_w"),
        ({"bias_qkv": zeros(1, 383)}, "qkv_bias"),
        ({"V_cache": zeros(2, 256, 65)}, "even"),
        ({"V_cache": zeros(2, 1, 256, 64)}, "3 or 4 dimensions"),
        ({"V_cache": zeros(2, 2, 256, 64), "K_cache": zeros(2, 2, 256, 64)}, "one head"),
        ({"V_cache": zeros(3, 256, 64)}, "B = 2 sequences"),
        ({"K_cache": zeros(2, 64, 256)}, "K_cache_transposed is False"),
        ({"K_cache": zeros(2, 128, 64)}, "K_cache must be"),
        ({"rmsnorm_X_gamma": zeros(1, 256)}, "rmsnorm_X_gamma"),
        ({"rmsnorm_X_enabled": True}, "needs norm_w"),
        ({"cos": zeros(32, 2, 3), "sin": zeros(32, 2, 2)}, "cos"),
        ({"cos": zeros(32, 2, 2), "sin": zeros(64, 2, 2)}, "sin"),
        ({"rmsnorm_QK_pre_rope_enabled": True}, "d = 128"),
        ({"rmsnorm_QK_post_rope_enabled": True}, "d = 128"),
        ({"rmsnorm_QK_post_rope_W_Q": zeros(1, 65)}, "rmsnorm_QK_post_rope"),
        ({"k_scale": zeros(1, 1), "v_scale": zeros(1, 1)}, "float8_e4m3"),
        (
            {"K_cache": zeros(2, 256, 64, dtype=FP8), "V_cache": zeros(2, 256, 64, dtype=FP8)},
            "all float8_e4m3",
        ),
        ({"update_cache": True}, "kv_cache_update_idx"),
        ({"update_cache": True, "kv_cache_update_idx": zeros(2, dtype=np.uint32)}, "kv_cache_update_idx"),
        ({"transposed_out": True}, "transposed_out needs W_out"),
        ({"W_out": zeros(255, 512)}, "weight"),
        ({"active_blocks_table": zeros(2, 16, dtype=np.uint32), "K_cache_transposed": True}, "blocks"),
        ({"quantization_type_qkv": STATIC}, "scale"),
    ],
)
def test_what_is_rejected(options: dict[str, Any], words: str) -> None:
    with rejected(words):
        small().given(**options).run()


def test_scales_of_another_shape_are_rejected() -> None:
    case = small()
    for name in ("K_cache", "V_cache"):
        case.options[name] = case.options[name].astype(FP8)
    with rejected("(1, 1) or (128, 1)"):
        case.given(k_scale=zeros(64, 1, dtype=FP32), v_scale=zeros(1, 1, dtype=FP32)).run()


def test_blocks_of_two_shapes_are_rejected() -> None:
    case = small(block=16)
    case.options["K_cache"] = case.options["K_cache"][1:]
    with rejected("one shape"):
        case.run()


def test_masks_that_do_not_have_a_row_for_each_token_of_the_blocks_are_rejected() -> None:
    case = small(block=16)
    case.options["active_blocks_table"] = case.options["active_blocks_table"][:, 1:]
    with rejected("row for each token"):
        case.run()


@pytest.mark.parametrize(
    ("sizes", "words"),
    [((129, 1, 64, 256, 256, 1), "128"), ((43, 1, 64, 256, 256, 3), "128"), ((2, 4, 96, 256, 256, 1), "64 or 128"),
     ((8, 16, 64, 256, 256, 5), "512")],
)  # fmt: skip
def test_sizes_are_checked(sizes: Any, words: str) -> None:
    with rejected(words):
        Block(*sizes).add_rotation(contiguous=False).run()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("block", [0, 16])
def test_keys_that_must_be_turned_are_bfloat16(dtype: str, block: int) -> None:
    with rejected("transposed K_cache"):
        small(dtype=dtype, block=block).add_update().run()


def test_x_in_sbuf_has_128_partitions_and_whole_sequences() -> None:
    case = small(in_sbuf=True)
    case.options["attention_mask"] = zeros(256, 3, 4, 2, dtype=np.uint8)
    with rejected("multiple of B = 3"):
        case.run()


def test_rows_of_a_cache_are_counted_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.MOST_ROWS == 2**24
    monkeypatch.setattr(checks, "MOST_ROWS", 511)
    with rejected("a cache has at most 511 rows, this one has 512"):
        small().add_update().run()


def test_the_first_generations_are_rejected() -> None:
    with rejected("trn2"):
        small().run(target="trn1")


def test_hidden_sizes_that_cores_do_not_divide() -> None:
    with rejected("divide by the 2 cores"):
        Block(2, 4, 64, 384, 256).run()
