"""Activations against Python's mathematics and NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from isatiles import rounded, target
from tiles import got, hbm, psum, sbuf, tile

from nkisim import isa as nisa
from nkisim import language
from nkisim.core import operators as nl
from nkisim.core.context import state
from nkisim.core.errors import SimulationError
from nkisim.isa.constants import reduce_cmd
from nkisim.kernel import jit

RANDOM = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def _fresh_core() -> Any:
    state.running().activation_accumulators[...] = 0
    state.running().vector_accumulators[...] = 0
    with np.errstate(all="ignore"):
        yield


def values(*shape: int) -> Any:
    return RANDOM.uniform(-3, 3, shape).astype(np.float32)


@pytest.mark.parametrize("buffer", ["sbuf", "psum"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(128, 1), (5, 12), (16, 3, 4)])
def test_scale_then_bias_then_function(shape: tuple[int, ...], dtype: str, buffer: str) -> None:
    a, s, b = rounded(values(*shape), dtype), values(shape[0], 1), values(shape[0], 1)
    dst = sbuf(shape, dtype)
    nisa.activation(dst, nl.exp, tile(a, dtype, buffer), bias=tile(b), scale=tile(s))
    column = (-1, *(1,) * (len(shape) - 1))
    want = np.exp(a * s.reshape(column).astype(np.float64) + b.reshape(column))
    np.testing.assert_allclose(got(dst), want, rtol=1e-2 if dtype == "bfloat16" else 3e-6)


def test_numbers_for_scale_and_bias() -> None:
    a = values(6, 7)
    dst = sbuf((6, 7))
    nisa.activation(dst, nl.square, tile(a), bias=0.5, scale=-2.0)
    np.testing.assert_allclose(got(dst), (0.5 - 2.0 * a) ** 2, rtol=1e-6)


def test_an_integer_input() -> None:
    dst = sbuf((2, 3))
    nisa.activation(dst, nl.copy, tile(np.int32([[1, -2, 3], [4, 5, 6]])), scale=0.5)
    assert got(dst).tolist() == [[0.5, -1.0, 1.5], [2.0, 2.5, 3.0]]


def test_sums_live_across_instructions() -> None:
    a, b = values(4, 10), values(4, 3, 2)
    sums = sbuf((4, 1))
    nisa.activation(sbuf((4, 10)), nl.exp, tile(a), reduce_op=nl.add, reduce_cmd=reduce_cmd.reset_reduce)
    nisa.activation(sbuf((4, 10)), nl.copy, tile(a))
    nisa.activation(
        sbuf((4, 3, 2)), nl.square, tile(b), reduce_op=nl.add, reduce_cmd=reduce_cmd.reduce, reduce_res=sums
    )
    want = np.exp(a.astype(np.float64)).sum(1) + np.square(b.astype(np.float64)).sum((1, 2))
    np.testing.assert_allclose(got(sums)[:, 0], want, rtol=1e-6)


def test_the_sum_is_taken_before_conversion() -> None:
    a = np.full((2, 256), 1.001, np.float32)
    sums = sbuf((2, 1))
    nisa.activation_reduce(sbuf((2, 256), "bfloat16"), nl.copy, tile(a), nl.add, sums)
    np.testing.assert_allclose(got(sums), 256 * 1.001, rtol=1e-6)


def test_reset_clears_and_idle_only_reads() -> None:
    a, sums = values(4, 4), sbuf((4, 1))
    nisa.activation_reduce(sbuf((4, 4)), nl.copy, tile(a), nl.add, sums)
    again = sbuf((4, 1))
    nisa.activation(sbuf((4, 4)), nl.copy, tile(a), reduce_res=again)
    np.testing.assert_array_equal(got(again), got(sums))
    nisa.activation(sbuf((4, 4)), nl.copy, tile(a), reduce_cmd=reduce_cmd.reset, reduce_res=again)
    assert got(again).tolist() == [[0.0]] * 4


def test_activation_reduce_starts_from_zero_and_fills_the_first_rows() -> None:
    a = values(5, 8)
    sums = tile(np.full((128, 1), 9.0, np.float32))
    for _ in range(2):
        nisa.activation_reduce(sbuf((5, 8)), nl.relu, tile(a), nl.add, sums, bias=1.0)
    want = np.maximum(a.astype(np.float64) + 1, 0).sum(1)
    np.testing.assert_allclose(got(sums)[:5, 0], want, rtol=1e-6)
    assert (got(sums)[5:] == 9.0).all()


@pytest.mark.parametrize(("change", "message"), [
    ({"op": nl.add}, "op is nl.add; it must be an activation function"),
    ({"op": np.exp}, "it must be an activation function"),
    ({"data": hbm(np.ones((4, 4), np.float32))}, "data is a hbm tensor"),
    ({"reduce_op": nl.maximum, "reduce_cmd": reduce_cmd.reduce}, "allowed: nl.add"),
    ({"reduce_cmd": reduce_cmd.load_reduce}, "load_reduce is not for Scalar Engine"),
    ({"bias": sbuf((4, 4))}, "one element in"),
    ({"scale": sbuf((2, 1))}, "data's 4 partitions"),
])  # fmt: skip
def test_checks(change: dict[str, Any], message: str) -> None:
    arguments = {"op": nl.exp, "data": sbuf((4, 4)), **change}
    with pytest.raises(SimulationError, match=message):
        nisa.activation(sbuf((4, 4)), **arguments)


def test_a_bias_on_gen2_is_a_tile() -> None:
    with target(2):
        nisa.activation(sbuf((4, 4)), nl.exp, tile(values(4, 4)), bias=tile(values(4, 1)))
        with pytest.raises(SimulationError, match="on gen2 it must be a"):
            nisa.activation(sbuf((4, 4)), nl.exp, tile(values(4, 4)), bias=1.0)


def test_exponential_and_its_running_sum() -> None:
    a, b, m = values(4, 6), values(4, 2, 3), values(4, 1)
    dst, sums = sbuf((4, 6)), psum((4, 1))
    with target(4):
        nisa.exponential(dst, tile(a), tile(m), reduce_cmd=reduce_cmd.reset_reduce)
        nisa.exponential(sbuf((4, 6)), tile(b), 1.0, sums, reduce_cmd.reduce)
    first = np.exp(a.astype(np.float64) - m)
    np.testing.assert_allclose(got(dst), first, rtol=2e-6)
    np.testing.assert_allclose(
        got(sums)[:, 0], first.sum(1) + np.exp(b.astype(np.float64) - 1).sum((1, 2)), rtol=2e-6
    )


def test_exponential_loads_its_sum() -> None:
    a, sums = values(4, 6), sbuf((4, 1))
    start = values(4, 1)
    with target(4):
        nisa.exponential(sbuf((4, 6)), tile(a), 0.0, sums, reduce_cmd.load_reduce, tile(start))
    np.testing.assert_allclose(got(sums)[:, 0], start[:, 0] + np.exp(a.astype(np.float64)).sum(1), rtol=2e-6)


def test_exponential_checks() -> None:
    with pytest.raises(SimulationError, match="needs gen4 or newer, the target is gen3"):
        nisa.exponential(sbuf((4, 4)), sbuf((4, 4)))
    with target(4), pytest.raises(SimulationError, match=r"belongs to reduce_cmd\.load_reduce"):
        nisa.exponential(sbuf((4, 4)), sbuf((4, 4)), reduce_cmd=reduce_cmd.reduce, reduce_init=1.0)
    with target(4), pytest.raises(SimulationError, match="not for exponential"):
        nisa.exponential(sbuf((4, 4)), sbuf((4, 4)), reduce_cmd=reduce_cmd.reset)


def test_exponential_without_a_sum_leaves_the_sums() -> None:
    a, sums = values(4, 6), sbuf((4, 1))
    with target(4):
        nisa.exponential(sbuf((4, 6)), tile(a), reduce_cmd=reduce_cmd.reset_reduce)
        nisa.exponential(sbuf((4, 6)), tile(a), 3.0, sums)
    np.testing.assert_allclose(got(sums)[:, 0], np.exp(a.astype(np.float64)).sum(1), rtol=2e-6)


def test_sums_are_each_cores_own() -> None:
    """Accumulators live in a core, and its first instruction finds them empty."""

    def kernel(x: Any) -> Any:
        me = language.program_id(0)
        out = language.ndarray((2, 1), dtype=language.float32, buffer=language.shared_hbm, name="out")
        tile_ = language.full((1, 4), me + 1.0, dtype=language.float32, buffer=language.sbuf)
        sums = language.ndarray((1, 1), dtype=language.float32, buffer=language.sbuf)
        for _ in range(3):
            nisa.core_barrier(data=out, cores=(0, 1))
            nisa.activation(
                dst=tile_,
                op=nl.copy,
                data=tile_,
                reduce_op=nl.add,
                reduce_cmd=reduce_cmd.reduce,
                reduce_res=sums,
            )
        nisa.dma_copy(dst=out[me : me + 1], src=sums)
        return out

    before, state.core = state.core, None
    try:
        assert jit(kernel)[2](np.zeros(1, np.float32)).tolist() == [[12.0], [24.0]]
    finally:
        state.core = before


def test_what_is_no_command() -> None:
    a = tile(values(4, 4))
    with pytest.raises(SimulationError, match="None is not for Scalar Engine"):
        nisa.activation(sbuf((4, 4)), nl.exp, a, reduce_cmd=None)
    with target(4), pytest.raises(SimulationError, match="None is not for exponential"):
        nisa.exponential(sbuf((4, 4)), a, reduce_cmd=None)
