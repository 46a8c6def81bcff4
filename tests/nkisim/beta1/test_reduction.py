"""Reductions and what is made of them, against NumPy in float64."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import nkisim.beta1.language as nl
from nkisim.core.errors import SimulationError

FUNCTIONS = {"sum": np.sum, "max": np.max, "min": np.min, "prod": np.prod, "mean": np.mean, "var": np.var}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((8, 12), 1),
        ((8, 12), [1]),
        ((8, 12), -1),
        ((8, 3, 5), 2),
        ((8, 3, 5), [1, 2]),
        ((8, 3, 5), 1),
        ((4, 2, 3, 2, 3), [2, 4]),
    ],
)
def test_axes(name, shape, axis, run, rng):
    x = rng.uniform(0.5, 1.5, shape).astype(np.float32)
    axes = tuple(axis) if isinstance(axis, list) else axis
    expected = FUNCTIONS[name](x.astype(np.float64), axis=axes)
    found = run(lambda t: getattr(nl, name)(t, axis=axis), x)
    assert found.shape == (expected.shape if expected.ndim > 1 else (shape[0], 1))
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=2e-6)
    if name != "var":
        kept = run(lambda t: getattr(nl, name)(t, axis=axis, keepdims=True), x)
        assert kept.shape == FUNCTIONS[name](x, axis=axes, keepdims=True).shape
        np.testing.assert_array_equal(kept.reshape(-1), found.reshape(-1))


def test_all(run):
    x = np.array([[1, 2, 3], [1, 0, 3]], np.float32)
    found = run(lambda t: nl.all(t, axis=1), x)
    assert found.dtype == np.bool_
    np.testing.assert_array_equal(found, [[True], [False]])


def test_types(run, rng):
    x = rng.uniform(0, 1, (4, 64)).astype(ml_dtypes.bfloat16)
    found = run(lambda t: nl.sum(t, axis=1), x)
    exact = x.astype(np.float64).sum(axis=1, keepdims=True)
    assert found.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(found, exact.astype(np.float32).astype(ml_dtypes.bfloat16))
    np.testing.assert_allclose(run(lambda t: nl.mean(t, axis=1, dtype=nl.float32), x), exact / 64, rtol=1e-6)


def test_softmax_and_rms_norm(run, rng):
    x = rng.standard_normal((8, 32)).astype(np.float32)
    w = rng.standard_normal((1, 32)).astype(np.float32)
    powers = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        run(lambda t: nl.softmax(t, axis=1), x), powers / powers.sum(axis=1, keepdims=True), rtol=2e-6
    )
    wide = x.astype(np.float64)
    normed = wide / np.sqrt(np.square(wide).mean(axis=1, keepdims=True) + 1e-6) * w
    np.testing.assert_allclose(run(lambda t, u: nl.rms_norm(t, u, axis=1, n=32), x, w), normed, rtol=3e-6)


def test_masked_means(run, rng):
    x = rng.standard_normal((8, 32)).astype(np.float32)
    j = nl.arange(32)[None, :]
    found = run(lambda t: nl.mean(t, axis=1, mask=j < 10), x)
    np.testing.assert_allclose(found, x[:, :10].astype(np.float64).mean(axis=1, keepdims=True), rtol=1e-5)
    found = run(lambda t: nl.var(t, axis=1, mask=j < 10), x)
    np.testing.assert_allclose(found, x[:, :10].astype(np.float64).var(axis=1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("axis", [0, 2, [1, 1], []])
def test_axes_that_cannot_be_reduced(axis, run):
    with pytest.raises(SimulationError, match=r"test_reduction\.py:\d+: nl\.max: axis is .* free dimensions"):
        run(lambda t: nl.max(t, axis=axis), np.zeros((4, 6), np.float32))
