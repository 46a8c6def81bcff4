"""What each instruction costs at least: one element in each of 128 partitions, or the least that it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

TARGET = 2.0
"""Microseconds."""


def floors(dtype: str, repeats: int = 400, rounds: int = 15) -> dict[str, float]:
    """Instruction → CPU microseconds of a call, the least of several rounds, inside a kernel."""
    import nkisim

    found: dict[str, float] = {}

    def kernel() -> None:
        for name, call in _calls(dtype).items():
            call()
            found[name] = min(_round(call, repeats) for _ in range(rounds))

    nkisim.simulate(kernel, platform_target="trn3")()
    return found


def _round(call: Callable[[], Any], repeats: int) -> float:
    start = time.thread_time()
    for _ in range(repeats):
        call()
    return (time.thread_time() - start) / repeats * 1e6


def _calls(dtype: str) -> dict[str, Callable[[], Any]]:
    """A call of every instruction that works on tiles."""
    return {**_elementwise(dtype), **_reductions(dtype), **_searches(dtype), **_movements(dtype)}


def _tile(shape: tuple[int, ...], dtype: str, buffer: Any = None, value: float = 1.0) -> Any:
    import nki.isa as nisa
    import nki.language as nl

    made = nl.ndarray(shape, getattr(nl, dtype), buffer or nl.sbuf)
    nisa.memset(made, value)
    return made


def _elementwise(dtype: str) -> dict[str, Callable[[], Any]]:
    import nki.isa as nisa
    import nki.language as nl

    a, b, c = (_tile((128, 1), dtype) for _ in range(3))
    scalar, sums, flags = _tile((128, 1), "float32"), _tile((128, 1), "float32"), _tile((128, 1), "uint8")
    return {
        "tensor_tensor": lambda: nisa.tensor_tensor(c, a, b, nl.add),
        "tensor_scalar": lambda: nisa.tensor_scalar(c, a, nl.multiply, scalar),
        "tensor_scalar, two operators": lambda: nisa.tensor_scalar(
            c, a, nl.multiply, scalar, False, nl.add, 1.0
        ),
        "scalar_tensor_tensor": lambda: nisa.scalar_tensor_tensor(c, a, nl.multiply, scalar, nl.add, b),
        "tensor_copy": lambda: nisa.tensor_copy(c, a),
        "tensor_copy_predicated": lambda: nisa.tensor_copy_predicated(c, a, flags),
        "memset": lambda: nisa.memset(c, 1.0),
        "reciprocal": lambda: nisa.reciprocal(c, a),
        "activation": lambda: nisa.activation(c, nl.exp, a),
        "activation with scale and bias": lambda: nisa.activation(c, nl.exp, a, bias=scalar, scale=scalar),
        "activation_reduce": lambda: nisa.activation_reduce(c, nl.exp, a, nl.add, sums),
        "exponential": lambda: nisa.exponential(c, a, scalar),
        "dropout": lambda: nisa.dropout(c, a, 0.5),
        "iota": lambda: nisa.iota(flags, [[1, 1]], 0, 1),
        "affine_select": lambda: nisa.affine_select(c, [[1, 1]], 0, 1, a, 0.0, nl.greater_equal),
        "range_select": lambda: nisa.range_select(
            c, a, nl.greater_equal, nl.less, scalar, scalar, reduce_res=sums
        ),
        "select_reduce": lambda: nisa.select_reduce(c, flags, a, 0.0),
    }


def _reductions(dtype: str) -> dict[str, Callable[[], Any]]:
    import nki.isa as nisa
    import nki.language as nl

    a, c, row = _tile((128, 1), dtype), _tile((128, 1), dtype), _tile((1, 1), dtype)
    sums, statistics, moments = (_tile((128, n), "float32") for n in (1, 6, 2))
    return {
        "tensor_reduce": lambda: nisa.tensor_reduce(c, nl.add, a, 1),
        "tensor_scalar_reduce": lambda: nisa.tensor_scalar_reduce(c, a, nl.multiply, 2.0, nl.add, sums),
        "tensor_partition_reduce": lambda: nisa.tensor_partition_reduce(row, nl.add, a),
        "tensor_tensor_scan": lambda: nisa.tensor_tensor_scan(c, a, a, 0.0, nl.multiply, nl.add),
        "tensor_scalar_cumulative": lambda: nisa.tensor_scalar_cumulative(c, a, nl.multiply, nl.add, 2.0),
        "bn_stats": lambda: nisa.bn_stats(statistics, a),
        "bn_aggr": lambda: nisa.bn_aggr(moments, statistics),
    }


def _searches(dtype: str) -> dict[str, Callable[[], Any]]:
    import nki.isa as nisa

    data, top, index = _tile((128, 8), dtype), _tile((128, 8), "float32"), _tile((128, 8), "uint32")
    whole, count = _tile((128, 1), "int32"), _tile((128, 2), "int32")
    ids, bounds, first = _tile((1, 1), "int32"), _tile((1, 2), "int32"), _tile((128, 1), "uint32", value=0)
    near, one = _tile((128, 1), "uint16", value=0), _tile((128, 16), dtype)
    return {
        "max8": lambda: nisa.max8(top, data),
        "nc_find_index8": lambda: nisa.nc_find_index8(index, data, top),
        "nc_match_replace8": lambda: nisa.nc_match_replace8(data, data, top, 1.0),
        "nonzero_with_count": lambda: nisa.nonzero_with_count(count, whole),
        "sequence_bounds": lambda: nisa.sequence_bounds(bounds, ids),
        "nc_n_gather": lambda: nisa.nc_n_gather(whole, whole, first),
        "local_gather": lambda: nisa.local_gather(one, data, near),
    }


def _movements(dtype: str) -> dict[str, Callable[[], Any]]:
    import nki.isa as nisa
    import nki.language as nl

    a, c, row = _tile((128, 1), dtype), _tile((128, 1), dtype), _tile((1, 128), dtype, nl.psum)
    product, memory = _tile((1, 1), "float32", nl.psum), nl.ndarray((128, 1), a.dtype, nl.shared_hbm)
    flat = nl.ndarray((1, 128), a.dtype, nl.shared_hbm)
    nisa.dma_copy(memory, a)
    register = nisa.register_alloc(0)
    number = _tile((1, 1), "int32")
    return {
        "dma_copy": lambda: nisa.dma_copy(c, memory),
        "dma_copy to HBM": lambda: nisa.dma_copy(memory, a),
        "dma_compute": lambda: nisa.dma_compute(memory, [a, c]),
        "dma_transpose": lambda: nisa.dma_transpose(flat, memory),
        "nc_transpose": lambda: nisa.nc_transpose(row, a),
        "nc_matmul": lambda: nisa.nc_matmul(product, a, c),
        "nc_stream_shuffle": lambda: nisa.nc_stream_shuffle(c, a, list(range(32))),
        "register_load": lambda: nisa.register_load(register, number),
        "register_store": lambda: nisa.register_store(number, register),
    }
