"""Random numbers: their range, their distribution, and that seeds and states repeat them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from isatiles import target
from tiles import got, psum, raw, sbuf, tile

from nkisim import isa as nisa
from nkisim.core.context import state
from nkisim.core.errors import SimulationError
from nkisim.isa.constants import engine


@pytest.fixture(autouse=True)
def _fresh_core() -> Any:
    before, state.running().random = state.running().random, np.random.default_rng(3)
    yield
    state.running().random = before


def drawn(*shape: int, dtype: str = "uint32") -> Any:
    dst = sbuf(shape, dtype)
    nisa.rng(dst)
    return raw(dst)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32"])
def test_rng_covers_its_type(dtype: str) -> None:
    info = np.iinfo(dtype)
    share = (drawn(128, 200, dtype=dtype).astype(np.float64) - info.min) / (float(info.max) - info.min)
    assert abs(share.mean() - 0.5) < 0.01
    assert abs(share.var() - 1 / 12) < 0.005
    assert share.min() < 0.01
    assert share.max() > 0.99


def test_a_seed_repeats() -> None:
    nisa.set_rng_seed(tile([[5]], "uint32"))
    first = drawn(4, 6)
    nisa.set_rng_seed(tile([[6]], "uint32"))
    other = drawn(4, 6)
    nisa.set_rng_seed(tile([[5]], "int32"))
    np.testing.assert_array_equal(drawn(4, 6), first)
    assert (other != first).any()


@pytest.mark.parametrize("words", [6, 24])
def test_a_saved_state_goes_on(words: int) -> None:
    nisa.set_rng_seed(tile([[41]], "uint32"))
    drawn(3, 5)
    saved = sbuf((128, words), "uint32")
    with target(4):
        nisa.rand_get_state(saved)
        want = drawn(3, 7)
        drawn(9, 9)
        nisa.rand_set_state(saved)
        np.testing.assert_array_equal(drawn(3, 7), want)


def test_every_seed_counts() -> None:
    seeds = np.zeros((128, 6), np.uint32)
    nisa.rand_set_state(tile(seeds))
    first = drawn(2, 8)
    seeds[100, 3] = 1
    nisa.rand_set_state(tile(seeds))
    assert (drawn(2, 8) != first).any()


def test_rand2_is_uniform_between_its_bounds() -> None:
    low, high = np.linspace(-3, 3, 128).astype(np.float32)[:, None], np.full((128, 1), 5, np.float32)
    dst = sbuf((128, 400))
    with target(4):
        nisa.rand2(dst, tile(low), tile(high))
    share = (got(dst) - low) / (high - low)
    assert share.min() >= 0
    assert share.max() <= 1
    assert abs(share.mean() - 0.5) < 0.01
    with target(4), pytest.raises(SimulationError, match="min must be less"):
        nisa.rand2(dst, 1.0, 1.0)
    with pytest.raises(SimulationError, match="needs gen4"):
        nisa.rand2(dst, 0.0, 1.0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32"])
def test_dropout(dtype: str) -> None:
    a = np.arange(1, 128 * 200 + 1).reshape(128, 200) % 97 + 1
    chance = np.full((128, 1), 0.25, np.float32)
    chance[0], chance[1] = 0, 1
    dst = sbuf((128, 200), dtype)
    nisa.dropout(dst, tile(a, dtype), tile(chance))
    result = got(dst)
    assert (result[0] == a[0]).all()
    assert (result[1] == 0).all()
    assert ((result == 0) | (result == a)).all()
    assert abs((result[2:] == 0).mean() - 0.25) < 0.02


def test_dropout_of_a_number_and_types() -> None:
    dst = sbuf((4, 4))
    nisa.dropout(dst, tile(np.ones((4, 4), np.float32)), 1.0)
    assert (got(dst) == 0).all()
    with pytest.raises(SimulationError, match="data is float32, dst is bfloat16; they must be the same"):
        nisa.dropout(sbuf((4, 4), "bfloat16"), dst, 0.5)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: nisa.rng(sbuf((4, 4))), "must be an integer type"),
    (lambda: nisa.rng(psum((4, 4), "int32"), engine.gpsimd), "cannot access PSUM"),
    (lambda: nisa.set_rng_seed(sbuf((1, 2), "uint32")), "one 32-bit value"),
    (lambda: nisa.rand_get_state(sbuf((4, 6), "int32")), "dst is a"),
    (lambda: nisa.rand_get_state(sbuf((4, 24), "uint32")), "must be one of"),
    (lambda: nisa.rand_set_state(sbuf((4, 24), "uint32"), engine.vector), "on gen3; these do: gpsimd"),
    (lambda: nisa.rand_set_state(psum((4, 6), "uint32")), "allowed: sbuf"),
])  # fmt: skip
def test_checks(call: Any, message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        call()


def test_gen2_has_one_engine_for_rng_and_no_states() -> None:
    with target(2):
        with pytest.raises(SimulationError, match="on gen2; these do: vector"):
            nisa.rng(sbuf((4, 4), "int32"), engine.gpsimd)
        with pytest.raises(SimulationError, match="needs gen3"):
            nisa.rand_get_state(sbuf((4, 6), "uint32"))
