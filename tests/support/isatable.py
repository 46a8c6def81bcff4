"""Every instruction that takes tensors on one core, with values and a NumPy formula: :data:`CASES`.

Formulas follow the documented pseudo code, in float64 and with loops where that is what the documents have.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from isacases import DMA, FLOATS, INTEGERS, PSUM_ONLY, SBUF_ONLY, Case

from nkisim.core import operators as nl
from nkisim.isa.constants import engine, reduce_cmd

RNG = np.random.default_rng(101)
F32, BF16 = np.float32, ml_dtypes.bfloat16
X4 = np.dtype([("float8_e4m3fn_x4", "u1", (4,))])
NARROW = "bfloat16 float16 float8_e4m3 float8_e4m3fn float8_e5m2"
NO_32_BITS = f"{FLOATS} int8 uint8 int16 uint16"
LOWEST = -3.4028234663852886e38


def floats(*shape: int, low: float = -2, high: float = 2) -> Any:
    return RNG.uniform(low, high, shape).astype(F32)


def ints(low: int, high: int, shape: tuple[int, ...], kind: Any) -> Any:
    return RNG.integers(low, high, shape).astype(kind)


def rows(values: Any) -> Any:
    return values.max(axis=1, keepdims=True)


ELEMENTWISE = (
    Case(
        "tensor_tensor", {"data1": floats(9, 12), "data2": floats(9, 12).astype(BF16)},
        {"dst": ((9, 12), F32, lambda x: x["data1"] - x["data2"])}, {"op": nl.subtract},
    ),
    Case(
        "tensor_tensor", {"data1": ints(0, 2**16, (6, 10), "u2"), "data2": ints(0, 2**16, (6, 10), "u2")},
        {"dst": ((6, 10), np.uint16, lambda x: x["data1"].astype(int) ^ x["data2"].astype(int))},
        {"op": nl.bitwise_xor}, label="-bits", typed=dict.fromkeys(("data1", "data2", "dst"), INTEGERS),
    ),
    Case(
        "tensor_scalar", {"data": floats(10, 6), "operand0": floats(10, 1), "operand1": floats(10, 1)},
        {"dst": ((10, 6), F32, lambda x: (x["operand0"] - x["data"]) * x["operand1"])},
        {"op0": nl.subtract, "reverse0": True, "op1": nl.multiply},
        vectors=("operand0", "operand1"), taller=("operand0", "operand1"),
    ),
    Case(
        "tensor_scalar", {"data": ints(0, 2**31, (5, 4), "i4"), "operand0": ints(0, 2**31, (5, 1), "i4")},
        {"dst": ((5, 4), np.int32, lambda x: x["data"].astype(int) & x["operand0"].astype(int))},
        {"op0": nl.bitwise_and}, vectors=("operand0",), taller=("operand0",), label="-bits", typed=dict.fromkeys(("data", "operand0", "dst"), INTEGERS),
    ),
    Case(
        "scalar_tensor_tensor", {"data": floats(8, 6), "operand0": floats(8, 1), "operand1": floats(8, 6)},
        {"dst": ((8, 6), F32, lambda x: x["data"] * x["operand0"] + x["operand1"])},
        {"op0": nl.multiply, "op1": nl.add}, vectors=("operand0",), taller=("operand0",),
    ),
    Case("tensor_copy", {"src": floats(12, 8)}, {"dst": ((12, 8), BF16, lambda x: x["src"])}),
    Case(
        "tensor_copy_predicated", {"src": floats(7, 6), "predicate": ints(0, 3, (7, 6), "u1")},
        {"dst": ((7, 6), F32, lambda x: np.where(x["predicate"], x["src"], 7))}, typed={"src": "float32", "dst": "float32", "predicate": "uint8 uint16 uint32"},
    ),
    Case(
        "memset", {}, {"dst": ((5, 8), BF16, lambda x: np.full((5, 8), 2.5))}, {"value": 2.5}, taller=("dst",),
        shorter=("dst",), wider=("dst",),
    ),
    Case("reciprocal", {"data": floats(6, 8, low=0.5)}, {"dst": ((6, 8), F32, lambda x: 1 / x["data"])}),
    Case(
        "activation", {"data": floats(9, 8), "bias": floats(9, 1), "scale": floats(9, 1)},
        {
            "dst": ((9, 8), F32, lambda x: (x["data"] * x["scale"] + x["bias"]) ** 2),
            "reduce_res": ((9, 1), F32, lambda x: (
                ((x["data"] * x["scale"] + x["bias"]) ** 2).sum(1, keepdims=True))),
        },
        {"op": nl.square, "reduce_op": nl.add, "reduce_cmd": reduce_cmd.reset_reduce},
        vectors=("bias", "scale"), taller=("bias", "scale", "reduce_res"),
    ),
    Case(
        "activation_reduce", {"data": floats(5, 6)},
        {
            "dst": ((5, 6), F32, lambda x: np.exp(x["data"])),
            "reduce_res": ((5, 1), F32, lambda x: np.exp(x["data"]).sum(1, keepdims=True)),
        },
        {"op": nl.exp, "reduce_op": nl.add}, taller=("reduce_res",),
    ),
    Case(
        "exponential", {"src": floats(6, 10), "max_value": floats(6, 1)},
        {
            "dst": ((6, 10), F32, lambda x: np.exp(x["src"] - x["max_value"])),
            "reduce_res": ((6, 1), F32, lambda x: np.exp(x["src"] - x["max_value"]).sum(1, keepdims=True)),
        },
        {"reduce_cmd": reduce_cmd.reset_reduce}, generation=4,
        vectors=("max_value",), taller=("max_value", "reduce_res"),
    ),
)  # fmt: skip


def scanned(x: dict[str, Any]) -> Any:
    state, result = x["initial"][:, 0], np.empty(x["data0"].shape)
    for i in range(result.shape[1]):
        state = x["data0"][:, i] * state + x["data1"][:, i]
        result[:, i] = state
    return result


def statistics(x: dict[str, Any]) -> Any:
    halves = (x["data"][:, ::2], x["data"][:, 1::2])
    columns = [f for h in halves for f in (np.full(len(h), h.shape[1]), h.mean(1), h.var(1) * h.shape[1])]
    return np.stack(columns, axis=1)


def joined(x: dict[str, Any]) -> Any:
    """Mean and variance from count, mean, variance·count: by the moments around 0."""
    count, mean, spread = (x["data"][:, i::3] for i in range(3))
    total = count.sum(1)
    middle = (count * mean).sum(1) / total
    return np.stack([middle, (spread + count * mean**2).sum(1) / total - middle**2], axis=1)


REDUCTIONS = (
    Case(
        "tensor_reduce", {"data": floats(8, 10)}, {"dst": ((8, 1), F32, lambda x: -x["data"].sum(1, keepdims=True))},
        {"op": nl.add, "axis": 1, "negate": True}, wider=("data",), flat=("data",),
    ),
    Case(
        "tensor_scalar_reduce", {"data": floats(8, 6), "operand0": floats(8, 1)},
        {
            "dst": ((8, 6), F32, lambda x: x["data"] + x["operand0"]),
            "reduce_res": ((8, 1), F32, lambda x: rows(x["data"] + x["operand0"])),
        },
        {"op0": nl.add, "reduce_op": nl.maximum}, vectors=("operand0",), taller=("operand0", "reduce_res"),
    ),
    Case(
        "tensor_partition_reduce", {"data": floats(20, 6)},
        {"dst": ((1, 6), F32, lambda x: x["data"].sum(0, keepdims=True))}, {"op": nl.add},
        {"data": SBUF_ONLY, "dst": SBUF_ONLY}, taller=("data",), shorter=("data",),
    ),
    Case(
        "tensor_tensor_scan", {"data0": floats(6, 8), "data1": floats(6, 8), "initial": floats(6, 1)},
        {"dst": ((6, 8), F32, scanned)}, {"op0": nl.multiply, "op1": nl.add},
        vectors=("initial",), taller=("initial",),
    ),
    Case(
        "tensor_scalar_cumulative", {"src": floats(6, 8), "imm0": floats(6, 1)},
        {"dst": ((6, 8), F32, lambda x: (x["src"] * x["imm0"]).cumsum(1))},
        {"op0": nl.multiply, "op1": nl.add}, vectors=("imm0",), taller=("imm0",), typed={"src": NO_32_BITS, "dst": NO_32_BITS},
    ),
    Case("bn_stats", {"data": floats(6, 9)}, {"dst": ((6, 6), F32, statistics)}, wider=("data",)),
    Case("bn_aggr", {"data": floats(5, 12, low=1)}, {"dst": ((5, 2), F32, joined)}),
)  # fmt: skip


def between(x: dict[str, Any]) -> Any:
    place = 3 + np.arange(12)
    return np.where((place >= x["bound0"]) & (place < x["bound1"]), x["on_true_tile"], LOWEST)


def largest(x: dict[str, Any]) -> Any:
    return -np.sort(-x["src"], axis=1)[:, :8]


def found(x: dict[str, Any]) -> Any:
    """The k-th time that a value is wanted: its k-th place."""
    result = np.empty(x["vals"].shape, int)
    for row, wanted in enumerate(x["vals"].tolist()):
        for k, value in enumerate(wanted):
            places = np.flatnonzero(x["data"][row] == value)
            result[row, k] = places[min(wanted[:k].count(value), len(places) - 1)]
    return result


def replaced(x: dict[str, Any]) -> tuple[Any, Any]:
    data, places = x["data"].copy(), np.zeros(x["vals"].shape, int)
    for row, wanted in enumerate(x["vals"]):
        for k, value in enumerate(wanted):
            matches = np.where(data[row] == value)[0]
            if matches.size:
                places[row, k] = matches[0]
                data[row, matches[0]] = -9.0
    return data, places


def listed(x: dict[str, Any]) -> Any:
    result = np.full((20, 9), 7)
    for row in (0, 16):
        indices = [i + 2 for i in range(8) if x["src"][row, i]]
        result[row] = [*indices, *[-1] * (8 - len(indices)), len(indices)]
    return result


def bounded(x: dict[str, Any]) -> Any:
    ids = x["segment_ids"][0].tolist()
    first = [ids.index(i) if i else len(ids) for i in ids]
    end = [len(ids) - ids[::-1].index(i) if i else -1 for i in ids]
    return np.array([first + end])


_DATA8 = np.stack([RNG.permutation(20) for _ in range(6)]).astype(F32)
_VALS8 = np.stack([RNG.permutation(20)[:8] for _ in range(6)]).astype(F32)

SELECTIONS = (
    Case(
        "iota", {}, {"dst": ((10, 12), np.int32, lambda x: (
            5 + 3 * np.arange(10)[:, None] + np.add.outer([0, 100, 200], [0, -1, -2, -3]).reshape(1, 12)))},
        {"pattern": [[100, 3], [-1, 4]], "offset": 5, "channel_multiplier": 3}, {"dst": SBUF_ONLY},
        taller=("dst",), shorter=("dst",),
    ),
    Case(
        "affine_select", {"on_true_tile": floats(10, 12)},
        {"dst": ((10, 12), F32, lambda x: np.where(
            np.arange(10)[:, None] - np.arange(12) >= 0, x["on_true_tile"], -5.0))},
        {"pattern": [[-1, 12]], "offset": 0, "channel_multiplier": 1, "on_false_value": -5.0,
         "cmp_op": nl.greater_equal}, {"dst": SBUF_ONLY, "on_true_tile": SBUF_ONLY},
    ),
    Case(
        "range_select", {
            "on_true_tile": floats(9, 12), "bound0": ints(0, 9, (9, 1), F32), "bound1": ints(5, 14, (9, 1), F32)},
        {"dst": ((9, 12), F32, between), "reduce_res": ((9, 1), F32, lambda x: rows(between(x)))},
        {"comp_op0": nl.greater_equal, "comp_op1": nl.less, "range_start": 3}, generation=3,
        taller=("bound0", "bound1", "reduce_res"), typed={"on_true_tile": FLOATS, "bound0": "float32", "bound1": "float32"},
    ),
    Case(
        "select_reduce", {
            "predicate": ints(0, 2, (8, 6), "i2"), "on_true": floats(8, 6), "on_false": floats(8, 1)},
        {
            "dst": ((8, 6), F32, lambda x: np.where(x["predicate"], x["on_true"], x["on_false"])),
            "reduce_res": ((8, 1), F32, lambda x: rows(np.where(x["predicate"], x["on_true"], x["on_false"]))),
        },
        {"reduce_cmd": reduce_cmd.reset_reduce}, vectors=("on_false",), taller=("on_false", "reduce_res"), typed={"predicate": "int8 uint8 int16 uint16", "on_true": NO_32_BITS.replace("tfloat32", ""), "reduce_res": FLOATS},
    ),
    Case("max8", {"src": floats(6, 14)}, {"dst": ((6, 8), F32, largest)}, wider=("src",)),
    Case(
        "nc_find_index8", {"data": _DATA8, "vals": _VALS8}, {"dst": ((6, 8), np.uint32, found)}, wider=("data",),
        fixed=("data", "vals"), typed={"dst": "uint16 uint32"},
    ),
    Case(
        "nc_match_replace8", {"data": _DATA8, "vals": _VALS8},
        {
            "dst": ((6, 20), F32, lambda x: replaced(x)[0]),
            "dst_idx": ((6, 8), np.uint16, lambda x: replaced(x)[1]),
        },
        {"imm": -9.0}, typed={"dst_idx": "uint16 uint32"},
    ),
    Case(
        "nonzero_with_count", {"src": ints(0, 2, (20, 8), F32)}, {"dst": ((20, 9), np.int32, listed)},
        {"index_offset": 2}, {"src": SBUF_ONLY, "dst": SBUF_ONLY}, generation=3, typed={"src": "float32 int32", "dst": "int32"},
    ),
    Case(
        "sequence_bounds", {"segment_ids": np.array([[1, 1, 4, 4, 4, 2, 0, 0]], np.int32)},
        {"dst": ((1, 16), np.int32, bounded)}, {}, {"segment_ids": SBUF_ONLY, "dst": SBUF_ONLY},
        flat=("segment_ids",), typed={"segment_ids": "float32 int32", "dst": "float32 int32"},
    ),
)  # fmt: skip


def shuffled(x: dict[str, Any]) -> Any:
    mask = [(5 * i) % 32 if i % 4 else 255 for i in range(32)]
    return np.stack([x["src"][mask[i]] if mask[i] < 255 else np.full(6, 7) for i in range(32)])


def gathered(x: dict[str, Any]) -> Any:
    """``local_gather`` of pairs: cores have 16 partitions, indices go down the partitions first."""
    result = np.empty((32, 96))
    for core in (0, 16):
        flat = [int(x["index"][core + p, c]) for c in range(3) for p in range(16)]
        for p in range(core, core + 16):
            result[p] = [x["src_buffer"][p, i + e] for i in flat for e in range(2)]
    return result


def scaled(name: str, x: dict[str, Any]) -> Any:
    """MX values ``[K, F, 4]`` in float64; K of 32 partitions has scales in rows 0..3."""
    raw = np.ascontiguousarray(x[name])
    values = raw.view(np.uint8).reshape(*raw.shape, 4).view(ml_dtypes.float8_e4m3fn).astype(np.float64)
    return values * 2.0 ** (x[f"{name}_scale"].repeat(8, axis=0) - 127)[:, :, None]


def packed(rows: int, columns: int) -> Any:
    values = RNG.normal(size=(rows, columns, 4)).astype(ml_dtypes.float8_e4m3fn)
    return values.view(np.uint8).reshape(rows, columns * 4).view(X4)


MOVEMENT = (
    Case(
        "nc_stream_shuffle", {"src": floats(32, 6)}, {"dst": ((32, 6), F32, shuffled)},
        {"shuffle_mask": [(5 * i) % 32 if i % 4 else 255 for i in range(32)]}, taller=("src", "dst"), shorter=("dst",), typed={"src": "float32", "dst": "float32"},
    ),
    Case(
        "nc_n_gather", {"data": floats(6, 12), "indices": ints(0, 12, (6, 4), "u4")},
        {"dst": ((6, 4), F32, lambda x: np.take_along_axis(x["data"], x["indices"].astype(int), 1))}, {},
        {"data": SBUF_ONLY, "indices": SBUF_ONLY, "dst": SBUF_ONLY}, wider=("data",), typed={"data": "float32", "dst": "float32", "indices": "uint32"},
    ),
    Case(
        "local_gather", {"src_buffer": floats(32, 20), "index": ints(0, 19, (32, 3), "u2")},
        {"dst": ((32, 96), F32, gathered)}, {"num_elem_per_idx": 2},
        {"src_buffer": SBUF_ONLY, "index": SBUF_ONLY, "dst": SBUF_ONLY}, wider=("src_buffer",), typed={"src_buffer": "float32", "dst": "float32", "index": "uint16"},
    ),
    Case(
        "nc_transpose", {"data": floats(12, 20)}, {"dst": ((20, 12), F32, lambda x: x["data"].T)},
        {"engine": engine.vector}, label="-vector", typed={"data": "float32", "dst": "float32"},
    ),
    Case(
        "nc_transpose", {"data": floats(40, 70).astype(BF16)}, {"dst": ((70, 40), BF16, lambda x: x["data"].T)},
        {}, {"data": SBUF_ONLY, "dst": PSUM_ONLY}, label="-tensor", typed={"data": "bfloat16", "dst": "bfloat16"},
    ),
    Case(
        "dma_transpose", {"src": floats(12, 20)}, {"dst": ((20, 12), F32, lambda x: x["src"].T)}, {},
        {"src": DMA, "dst": DMA}, flat=("src",),
    ),
    Case(
        "dma_copy", {"src": floats(12, 6)}, {"dst": ((12, 6), BF16, lambda x: x["src"])}, {},
        {"src": DMA, "dst": DMA},
    ),
    Case(
        "dma_compute", {"srcs[0]": floats(6, 8), "srcs[1]": floats(6, 8)},
        {"dst": ((6, 8), F32, lambda x: x["srcs[0]"] + x["srcs[1]"])}, {"scales": [1.0, 1.0], "reduce_op": nl.add},
        {"srcs[0]": DMA, "srcs[1]": DMA, "dst": DMA},
    ),
    Case(
        "nc_matmul", {"stationary": floats(24, 10).astype(BF16), "moving": floats(24, 16).astype(BF16)},
        {"dst": ((10, 16), F32, lambda x: x["stationary"].T @ x["moving"])}, {},
        {"stationary": SBUF_ONLY, "moving": SBUF_ONLY, "dst": PSUM_ONLY}, typed={"stationary": NARROW, "moving": NARROW, "dst": "float32 bfloat16"},
    ),
    Case(
        "nc_matmul_mx", {
            "stationary": packed(32, 6), "moving": packed(32, 10),
            "stationary_scale": ints(124, 131, (4, 6), "u1"), "moving_scale": ints(124, 131, (4, 10), "u1")},
        {"dst": ((6, 10), F32, lambda x: np.einsum("kiq,kjq->ij", scaled("stationary", x), scaled("moving", x)))},
        {}, {"dst": PSUM_ONLY, **dict.fromkeys(
            ("stationary", "moving", "stationary_scale", "moving_scale"), SBUF_ONLY)}, generation=4,
        taller=("stationary_scale", "moving_scale"), wider=("stationary_scale", "moving_scale"), typed={**dict.fromkeys(("stationary", "moving"), ""), **dict.fromkeys(("stationary_scale", "moving_scale"), "uint8"), "dst": "float32 bfloat16"},
    ),
    Case(
        "quantize_mx", {"src": floats(32, 16).astype(BF16)},
        {"dst": ((32, 4), X4, None), "dst_scale": ((4, 4), np.uint8, None)}, {},
        {"src": SBUF_ONLY, "dst": SBUF_ONLY, "dst_scale": SBUF_ONLY}, generation=4, taller=("dst_scale",), typed={"src": "bfloat16 float16", "dst": "", "dst_scale": "uint8"},
    ),
)  # fmt: skip

RANDOM = (
    Case("rng", {}, {"dst": ((6, 8), np.uint16, None)}, taller=("dst",), shorter=("dst",), wider=("dst",), typed={"dst": INTEGERS},
    ),
    Case(
        "rand2", {"min": floats(6, 1, low=-3, high=-1), "max": floats(6, 1, low=1, high=3)},
        {"dst": ((6, 8), F32, None)}, generation=4, vectors=("min", "max"), fixed=("min", "max"), taller=("min", "max"),
        shorter=("dst",), wider=("dst",),
    ),
    Case(
        "dropout", {"data": floats(6, 8), "prob": floats(6, 1, low=0, high=1)}, {"dst": ((6, 8), F32, None)},
        vectors=("prob",), taller=("prob",), typed={"data": "float32", "dst": "float32", "prob": FLOATS},
    ),
    Case(
        "rand_get_state", {}, {"dst": ((1, 24), np.uint32, None)}, {"engine": engine.vector}, generation=3,
        taller=("dst",), typed={"dst": "uint32"},
    ),
    Case("rand_set_state", {"src_seeds": ints(0, 99, (1, 24), "u4")}, {}, {}, generation=3, taller=("src_seeds",), typed={"src_seeds": "uint32"},
    ),
    Case("set_rng_seed", {"src_seeds": ints(0, 99, (1, 1), "u4")}, {}, typed={"src_seeds": "float32 tfloat32 int32 uint32"},
    ),
    Case("register_store", {}, {"dst": ((1, 1), np.int32, lambda x: np.array([[5]]))}, {}, {"dst": DMA}),
)  # fmt: skip

CASES = ELEMENTWISE + REDUCTIONS + SELECTIONS + MOVEMENT + RANDOM
