"""Instructions that returned a tile, against the same calls in the legacy language."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from lowered import Source, Tile, check_equal, launched, new_text, run_lowered, uniform

from nkimigrate.codemods.language.analysis.values import Scalar, Space, Token, Unknown
from nkimigrate.codemods.language.lowering.emitter import Refused

FLOATS = [np.float32, np.float16, ml_dtypes.bfloat16]
ADD, MULTIPLY, MAXIMUM = Token("nl.add"), Token("nl.multiply"), Token("nl.maximum")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("known", [True, False])
def test_activation(dtype, known):
    x, column = uniform((64, 32), dtype), uniform((64, 1), np.float32, seed=1)
    plain = {"op": Token("nl.exp"), "data": Tile(0, known=known)}
    check_equal("nisa.activation", plain, x)
    check_equal("nisa.activation", {**plain, "scale": 0.5, "dtype": Token("nl.float32")}, x)
    check_equal("nisa.activation", {**plain, "bias": Tile(1), "scale": Tile(1)}, x, column)


def test_a_number_as_bias_becomes_a_tile():
    x = uniform((64, 32), np.float32)
    arguments = {"op": Token("nl.tanh"), "data": Tile(0), "bias": 0.25}
    ran = check_equal("nisa.activation", arguments, x, former={"bias": 0.25})
    assert "bias_1 = nl.ndarray((64, 1,), dtype=nl.float32, buffer=nl.sbuf)" in ran.text
    assert "nisa.memset(dst=bias_1, value=0.25)" in ran.text


def test_no_bias_stays_none():
    x = uniform((64, 32), np.float32)
    arguments = {"op": Token("nl.tanh"), "data": Tile(0), "bias": 0.0}
    assert "bias" not in check_equal("nisa.activation", arguments, x).text


def test_a_scale_of_two_bytes_becomes_float32():
    x, column = uniform((64, 32), np.float32), uniform((64, 1), ml_dtypes.bfloat16, seed=1)
    arguments = {"op": Token("nl.tanh"), "data": Tile(0), "scale": Tile(1)}
    assert "scale=scale_1" in check_equal("nisa.activation", arguments, x, column).text


@pytest.mark.parametrize("name", ["activation", "activation_reduce"])
def test_a_second_result(name):
    x, sums = uniform((64, 32), np.float32), np.zeros((64, 1), np.float32)
    arguments = {"op": Token("nl.exp"), "data": Tile(0), "reduce_op": ADD, "reduce_res": Tile(1)}
    if name == "activation":
        arguments["reduce_cmd"] = Token("nisa.reduce_cmd.reset_reduce")
    former = {"reduce_cmd": reset()} if name == "activation" else {}
    check_equal(f"nisa.{name}", arguments, x, sums, former=former)
    got = check_second(f"nisa.{name}", arguments, 1, x, sums)
    np.testing.assert_allclose(got[:, 0], np.exp(x).sum(axis=1), rtol=1e-6)


def reset():
    import nkisim.beta1.isa as isa

    return isa.reduce_cmd.reset_reduce


def check_second(name, arguments, index, *arrays):
    """What the call leaves in the tile that receives its second result."""
    text, _ = new_text(name, arguments, arrays)
    text = text.replace("whole = dst_1", f"whole = tile{index}")
    return launched(text, *arrays)


@pytest.mark.parametrize("dtype", FLOATS)
def test_tensor_scalar(dtype):
    x, column = uniform((64, 32), dtype), uniform((64, 1), np.float32, seed=1)
    base = {"data": Tile(0), "op0": Token("nl.subtract")}
    check_equal("nisa.tensor_scalar", {**base, "operand0": 1.5}, x)
    check_equal("nisa.tensor_scalar", {**base, "operand0": 1.5, "reverse0": True}, x)
    check_equal(
        "nisa.tensor_scalar", {**base, "operand0": Tile(1), "op1": MULTIPLY, "operand1": 2.0}, x, column
    )
    arguments = {**base, "operand0": 2, "engine": Token("nisa.vector_engine")}
    assert "engine=nisa.vector_engine" in check_equal("nisa.tensor_scalar", arguments, x).text
    narrow = column.astype(ml_dtypes.bfloat16)
    check_equal("nisa.tensor_scalar", {**base, "operand0": Tile(1)}, x, narrow)


@pytest.mark.parametrize("first", FLOATS)
@pytest.mark.parametrize("second", FLOATS)
def test_tensor_tensor(first, second):
    x, y = uniform((64, 32), first), uniform((64, 32), second, seed=1)
    for known in (True, False):
        arguments = {"data1": Tile(0, known=known), "data2": Tile(1, known=known), "op": MULTIPLY}
        check_equal("nisa.tensor_tensor", arguments, x, y)
        check_equal("nisa.tensor_tensor", {**arguments, "dtype": Token("nl.bfloat16")}, x, y)


def test_tensor_tensor_of_two_tiles_in_psum():
    x, y = uniform((64, 32), np.float32), uniform((64, 32), np.float32, seed=1)
    arguments = {"data1": Tile(0, Space.PSUM), "data2": Tile(1, Space.PSUM), "op": ADD}
    sbuf = {"data1": Tile(0), "data2": Tile(1)}
    check_equal("nisa.tensor_tensor", arguments, x, y, former=sbuf)


def test_scalar_tensor_tensor():
    x, y = uniform((64, 32), np.float32), uniform((64, 32), np.float32, seed=1)
    column = uniform((64, 1), np.float32, seed=2)
    for operand in (Tile(2), 1.5):
        arguments = {"data": Tile(0), "op0": Token("nl.subtract"), "operand0": operand, "op1": MULTIPLY}
        check_equal("nisa.scalar_tensor_tensor", {**arguments, "operand1": Tile(1)}, x, y, column)
        turned = {**arguments, "operand1": Tile(1), "reverse0": True}
        check_equal("nisa.scalar_tensor_tensor", turned, x, y, column)


def test_tensor_scalar_reduce():
    x, sums = uniform((64, 32), np.float32), np.zeros((64, 1), np.float32)
    arguments = {
        "data": Tile(0),
        "op0": MULTIPLY,
        "operand0": 2.0,
        "reduce_op": ADD,
        "reduce_res": Tile(1),
    }
    check_equal("nisa.tensor_scalar_reduce", arguments, x, sums)
    got = check_second("nisa.tensor_scalar_reduce", arguments, 1, x, sums)
    np.testing.assert_allclose(got[:, 0], 2 * x.sum(axis=1, dtype=np.float64), rtol=1e-5)


@pytest.mark.parametrize("first", FLOATS)
@pytest.mark.parametrize("initial", [0, 1.5, "column"])
def test_tensor_tensor_scan(first, initial):
    x, y = uniform((64, 32), first), uniform((64, 32), np.float32, seed=1)
    column = uniform((64, 1), np.float32, seed=2)
    arguments = {
        "data0": Tile(0),
        "data1": Tile(1),
        "initial": Tile(2) if initial == "column" else initial,
        "op0": MULTIPLY,
        "op1": ADD,
    }
    check_equal("nisa.tensor_tensor_scan", arguments, x, y, column)


@pytest.mark.parametrize("dtype", FLOATS)
def test_statistics(dtype):
    x = uniform((64, 100), dtype)
    check_equal("nisa.bn_stats", {"data": Tile(0), "dtype": Token("nl.float32")}, x)
    check_equal("nisa.bn_stats", {"data": Tile(0)}, x)
    stats = np.tile(np.array([50, 0.5, 2.0], np.float32), (64, 4))
    check_equal("nisa.bn_aggr", {"data": Tile(0)}, stats)


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_the_largest_eight(dtype):
    x = np.stack([np.random.default_rng(i).permutation(100) for i in range(16)]).astype(dtype)
    eight = np.sort(x.astype(np.float32), axis=1)[:, :-9:-1].astype(dtype)
    assert (check_equal("nisa.max8", {"src": Tile(0)}, x).got == eight).all()
    places = check_equal("nisa.nc_find_index8", {"data": Tile(0), "vals": Tile(1)}, x, eight).got
    assert (np.take_along_axis(x, places.astype(np.int64), axis=1) == eight).all()
    assert places.dtype == np.uint32
    arguments = {"data": Tile(0), "vals": Tile(1), "imm": -1.0}
    check_equal("nisa.nc_match_replace8", arguments, x, eight)
    indexed = {**arguments, "dst_idx": Tile(2)}
    where = check_second("nisa.nc_match_replace8", indexed, 2, x, eight, np.zeros((16, 8), np.uint32))
    assert (where == places).all()


def test_dropout_keeps_everything_or_nothing():
    x = uniform((64, 32), ml_dtypes.bfloat16)
    for probability in (0.0, 1.0):
        for dtype in ({}, {"dtype": Token("nl.float32")}):
            check_equal("nisa.dropout", {"data": Tile(0), "prob": probability, **dtype}, x)
            check_equal("nl.dropout", {"x": Tile(0), "rate": probability, **dtype}, x)


@pytest.mark.parametrize("shape", [(48, 32), (16, 4, 8)])
def test_iota(shape):
    """The walker turns the index expression into the pattern; here it stands beside the former one."""
    import nkisim.beta1.language as old

    free = shape[1:]
    axes = [
        old.arange(n)[tuple(slice(None) if i == axis else None for i in range(len(shape)))]
        for axis, n in enumerate(shape)
    ]
    steps = [3, 2, 5][: len(free)]
    expression = axes[0] * 7 + 11
    for axis, step in zip(axes[1:], steps, strict=True):
        expression = expression + axis * step
    arguments = {
        "pattern": Unknown(str([list(pair) for pair in zip(steps, free, strict=True)])),
        "offset": Unknown("11"),
        "channel_multiplier": Unknown("7"),
        "shape": shape,
        "dtype": Token("nl.int32"),
    }
    unneeded = {"pattern": None, "offset": None, "channel_multiplier": None, "shape": None}
    check_equal("nisa.iota", arguments, np.zeros((1, 1), np.float32), former={**unneeded, "expr": expression})


@pytest.mark.parametrize("space", [Space.SBUF, Space.PSUM])
@pytest.mark.parametrize("dtype", FLOATS)
def test_affine_select(space, dtype):
    import nkisim.beta1.language as old

    x = uniform((64, 48), dtype)
    rows, columns = old.arange(64)[:, None], old.arange(48)[None, :]
    arguments = {
        "pattern": Unknown("[[-1, 48]]"),
        "offset": Unknown("3"),
        "channel_multiplier": Unknown("1"),
        "on_true_tile": Tile(0, space),
        "on_false_value": -9984.0,
        "cmp_op": Token("nl.greater_equal"),
    }
    unneeded = {"pattern": None, "offset": None, "channel_multiplier": None, "cmp_op": None}
    former = {**unneeded, "pred": rows + 3 >= columns}
    got = check_equal("nisa.affine_select", arguments, x, former=former).got
    assert (got == np.where(np.tri(64, 48, 3, dtype=bool), x, np.array(-9984.0, dtype))).all()


def test_range_select():
    x, low, high = (
        uniform((64, 48), np.float32),
        np.full((64, 1), 3.0, np.float32),
        np.full((64, 1), 20.0, np.float32),
    )
    arguments = {
        "on_true_tile": Tile(0),
        "comp_op0": Token("nl.greater_equal"),
        "comp_op1": Token("nl.less"),
        "bound0": Tile(1),
        "bound1": Tile(2),
        "on_false_value": -3.4028235e38,
        "range_start": 1,
    }
    former = {"on_false_value": float(np.finfo(np.float32).min)}
    text = check_equal("nisa.range_select", arguments, x, low, high, former=former).text
    assert "on_false_value" not in text
    with pytest.raises(Refused, match="M-ARGUMENT"):
        run_lowered("nisa.range_select", {**arguments, "on_false_value": 0.0}, x, low, high)
    carried = {**arguments, "reduce_cmd": Token("nisa.reduce_cmd.reduce")}
    with pytest.raises(Refused, match="M-ARGUMENT"):
        run_lowered("nisa.range_select", carried, x, low, high)


@pytest.mark.parametrize("each", [1, 4])
def test_local_gather(each):
    x = uniform((32, 64), np.float32)
    index = np.random.default_rng(0).integers(0, 60, (32, 3)).astype(np.uint16)
    arguments = {"src_buffer": Tile(0), "index": Tile(1)}
    if each > 1:
        arguments["num_elem_per_idx"] = each
    check_equal("nisa.local_gather", arguments, x, index)
    check_equal("nisa.local_gather", {**arguments, "num_valid_indices": 20}, x, index)


def test_sequence_bounds():
    ids = np.array([[0, 0, 1, 1, 1, 2, 3, 3]], np.float32)
    check_equal("nisa.sequence_bounds", {"segment_ids": Tile(0)}, ids)


@pytest.mark.parametrize("shape", [(64, 32), (200, 32), (32, 4, 16), (16, 2, 3, 8)])
def test_dma_transpose(shape):
    x = uniform(shape, np.float32)
    text = check_equal("nisa.dma_transpose", {"src": Source(0)}, x).text
    assert ("nisa.dma_transpose" in text) is (len(shape) > 2)
    if len(shape) > 2:
        axes = (2, 1, 0) if len(shape) == 3 else (3, 1, 2, 0)
        check_equal("nisa.dma_transpose", {"src": Source(0), "axes": axes}, x)
        check_equal("nisa.dma_transpose", {"src": Source(0, ranked=False), "axes": axes}, x)


def test_instructions_that_had_a_destination():
    x, y = uniform((32, 16), np.float32), uniform((32, 16), np.float32, seed=1)
    flags = (np.arange(32 * 16).reshape(32, 16) % 3 == 0).astype(np.uint8)
    copied = {"src": Tile(0), "dst": Tile(1), "predicate": Tile(2)}
    check_equal("nisa.tensor_copy_predicated", copied, x, y, flags, modified=1)
    check_equal("nisa.tensor_copy_predicated", {**copied, "reverse_pred": True}, x, y, flags, modified=1)
    shuffled = {"src": Tile(0), "dst": Tile(1), "shuffle_mask": [*range(31, -1, -1)]}
    check_equal("nisa.nc_stream_shuffle", shuffled, x, y, modified=1)
    selected = {"dst": Tile(1), "predicate": Tile(2), "on_true": Tile(0), "on_false": 0.5}
    check_equal("nisa.select_reduce", selected, x, y, flags, modified=1)
    check_equal("nisa.tensor_copy_dynamic_dst", {"dst": Tile(1), "src": Tile(0)}, x, y, modified=1)


def test_the_maximum_of_a_selection():
    x, y = uniform((32, 16), np.float32), uniform((32, 16), np.float32, seed=1)
    flags = np.ones((32, 16), np.uint8)
    arguments = {
        "dst": Tile(1),
        "predicate": Tile(2),
        "on_true": Tile(0),
        "on_false": 0.5,
        "reduce_res": Tile(3),
        "reduce_op": MAXIMUM,
        "reduce_cmd": Token("nisa.reduce_cmd.reset_reduce"),
    }
    text, _ = new_text("nisa.select_reduce", arguments, [x, y, flags, x[:, :1]], modified=3)
    got = launched(text, x, y, flags, np.ascontiguousarray(x[:, :1]))
    assert (got[:, 0] == x.max(axis=1)).all()


def test_a_dma_keeps_its_keywords():
    x, y = uniform((32, 16), np.float32), uniform((32, 16), np.float32, seed=1)
    arguments = {"dst": Tile(1), "src": Source(0)}
    check_equal("nisa.dma_copy", arguments, x, y, modified=1)
    added = {**arguments, "dst_rmw_op": ADD, "oob_mode": Token("nisa.oob_mode.error")}
    text, _ = new_text("nisa.dma_copy", added, [x, y], modified=1)
    assert "nisa.dma_copy(dst=tile1, src=in0, dst_rmw_op=nl.add, oob_mode=nisa.oob_mode.error)" in text
    assert (launched(text, x, y) == x + y).all()


@pytest.mark.parametrize("value", [Token("nl.divide"), Token("nl.logical_not"), Unknown("op"), Scalar("1")])
def test_operations_that_instructions_do_not_take(value):
    x = uniform((32, 16), np.float32)
    with pytest.raises(Refused, match="M-OP"):
        run_lowered("nisa.tensor_scalar", {"data": Tile(0), "op0": value, "operand0": 2.0}, x)
