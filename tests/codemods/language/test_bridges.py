"""Kernels that JAX's ``nki_call`` launches return their outputs."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from helpers import check_sound, migrate
from migrated import breaches, migrated, module

HEAD = """\
import functools
import jax
import jax.numpy as jnp
import neuronxcc.nki.language as nl
from jax_neuronx import nki_call


"""
KERNEL = """\
def added(x, y, total, difference):
    \"\"\"The sum, and the difference.\"\"\"
    # Both at once.
    a, b = nl.load(x[0:64, 0:32]), nl.load(y[0:64, 0:32])
    nl.store(total[0:64, 0:32], a + b)
    nl.store(difference[0:64, 0:32], a - b)


def run(p, q):
    n = p.shape[1]
    shapes = (jax.ShapeDtypeStruct(p.shape, dtype=q.dtype), jax.ShapeDtypeStruct((64, n), jnp.float32))
    return nki_call(
        added,
        p,
        q,
        out_shape=(jax.ShapeDtypeStruct(p.shape, dtype=q.dtype), jax.ShapeDtypeStruct((64, n), jnp.float32)),
    )
"""
ROWS = """\
def doubled(x, out):
    i = nl.program_id(0)
    nl.store(out[i * 64 : (i + 1) * 64, :], nl.load(x[i * 64 : (i + 1) * 64, :]) * 2.0)


def run(p):
    shape = jax.ShapeDtypeStruct(p.shape, p.dtype)
    return nki_call(doubled, p, grid=(p.shape[0] // 64,), out_shape=shape)
"""


@pytest.fixture
def jax(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of JAX in migrated files: its name, and that of what the host computes with."""
    for name in ("jax", "jax.numpy"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["jax"], "numpy", sys.modules["jax.numpy"], raising=False)
    shape = lambda shape, dtype: (shape, dtype)  # noqa: E731
    monkeypatch.setattr(sys.modules["jax"], "ShapeDtypeStruct", shape, raising=False)
    monkeypatch.setattr(sys.modules["jax.numpy"], "float32", np.float32, raising=False)


@pytest.mark.usefixtures("jax")
def test_outputs_are_allocated_and_returned() -> None:
    new, reasons = migrated(HEAD + KERNEL)
    assert reasons == []
    assert breaches(new) == []
    assert "import nki\n" in new
    assert "jax_neuronx" not in new
    assert "@nki.jit\ndef added(x, y):\n" in new
    assert "    total = nl.ndarray(x.shape, dtype=y.dtype, buffer=nl.shared_hbm)\n" in new
    assert "    difference = nl.ndarray((64, x.shape[1]), dtype=nl.float32, buffer=nl.shared_hbm)\n" in new
    assert "    return total, difference\n" in new
    x, y = (np.random.default_rng(i).normal(size=(64, 32)).astype(np.float32) for i in range(2))
    total, difference = module(new).run(x, y)
    np.testing.assert_array_equal(total, x + y)
    np.testing.assert_array_equal(difference, x - y)


@pytest.mark.usefixtures("jax")
def test_a_grid_becomes_loops() -> None:
    new, reasons = migrated(HEAD + ROWS)
    assert reasons == []
    assert "    for i in nl.affine_range(x.shape[0] // 64):\n" in new
    x = np.random.default_rng(2).normal(size=(128, 32)).astype(np.float32)
    np.testing.assert_array_equal(module(new).run(x), x * np.float32(2))


def test_the_whole_tool_agrees() -> None:
    check_sound(migrate({"app.py": HEAD + KERNEL, "rows.py": HEAD + ROWS}))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("p.shape, p.dtype", "shape_of(p), p.dtype"),
        ("p.shape, p.dtype", "p.shape, kind"),
        ("    return nki_call", "    p = p.T\n    return nki_call"),
        ("doubled, p, grid", "functools.partial(doubled, p), grid"),
        ("doubled(x, out)", "doubled(x, out, scale=1.0)"),
        ("doubled(x, out)", "doubled(x, y, out)"),
        ("def run", "other(doubled)\n\n\ndef run"),
        ("    i = nl", "    return\n    i = nl"),
    ],
)
def test_what_is_not_known_is_reported(old: str, new: str) -> None:
    text = HEAD + ROWS.replace(old, new)
    assert "M-BRIDGE" in migrated(text)[1]
