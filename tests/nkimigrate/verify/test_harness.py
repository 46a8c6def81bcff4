"""What is read from harnesses; nothing runs here."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from nkimigrate.verify import harness
from nkimigrate.verify.discover import SourceFile
from nkimigrate.verify.harness import UNKNOWN

KERNEL = """
import numpy as np
import torch
import jax
import jax.numpy as jnp
import pytest
import argparse
from torch_xla.core import xla_model as xm
from neuronxcc import nki
import neuronxcc.nki.language as nl
import neuronxcc.nki.typing as nt
from neuronxcc.nki import baremetal, benchmark, simulate_kernel
from numpy.random import randint

@nki.jit
def kernel(a, b=None, c=None):
    pass
"""


def called(body: str) -> list[harness.Called]:
    text = KERNEL + body
    file = SourceFile(text, ast.parse(text))
    return harness.calls(file, file.kernels, {"kernel": "kernel"})


def first(expression: str, before: str = "") -> Any:
    (call,) = called(f"{before}\nkernel({expression})\n")
    return call.inputs["a"]


def array(*shape: int, dtype: str = "float32", **values: Any) -> dict[str, Any]:
    return {"shape": list(shape), "dtype": dtype, **values}


ARRAYS = {
    "np.zeros((128, 64))": array(128, 64, values="zeros"),
    "np.ones([128, 64], dtype=np.float16)": array(128, 64, dtype="float16", values="ones"),
    "np.random.rand(2, 3).astype(np.float32)": array(2, 3, values="uniform"),
    "np.random.randn(2, 3).astype(nl.bfloat16)": array(2, 3, dtype="bfloat16"),
    "(np.random.random_sample([2, 3]) - 0.5) * 2": array(2, 3, values="uniform", low=-1.0, high=1.0),
    "np.random.uniform(-1, 3, size=(4,))": array(4, values="uniform", low=-1, high=3),
    "np.random.normal(0, 0.02, (4, 4))": array(4, 4, scale=0.02),
    "np.random.randn(4) * 3": array(4, scale=3.0),
    "randint(0, 10, size=(5,), dtype=np.int32)": array(5, dtype="int32", values="integers", low=0, high=10),
    "np.arange(12, dtype=np.int8).reshape(3, 4)": array(3, 4, dtype="int8", values="arange"),
    "np.full((2, 2), 7.0)": array(2, 2, values="constant", value=7.0),
    "np.eye(8)": array(8, 8, values="identity"),
    "np.tril(np.ones((8, 8)))": array(8, 8, values="causal"),
    "nl.static_cast(np.random.rand(2, 3), nl.bfloat16)": array(2, 3, dtype="bfloat16", values="uniform"),
    "nt.tensor[[128, 64], nl.bfloat16]": array(128, 64, dtype="bfloat16"),
    "torch.rand((2, 3), dtype=torch.bfloat16).to(device='xla')": array(
        2, 3, dtype="bfloat16", values="uniform"
    ),
    "torch.randn(2, 3).to(torch.float16).T": array(3, 2, dtype="float16"),
    "torch.ones((4, 3), device=xm.xla_device())": array(4, 3, values="ones"),
    "jnp.ones((4, 3), dtype=jnp.bfloat16)": array(4, 3, dtype="bfloat16", values="ones"),
    "jax.random.normal(jax.random.PRNGKey(0), (4, 3))": array(4, 3),
    "np.zeros_like(np.ones((4, 3), np.int32))": array(4, 3, dtype="int32", values="zeros"),
    "np.ones((2, 3, 4)).transpose(2, 0, 1)": array(4, 2, 3, values="ones"),
    "3": 3,
    "(1, 2)": [1, 2],
    "None": {"python": "None"},
    "nl.bfloat16": {"python": "nl.bfloat16"},
    "np.add": {"python": "np.add"},
    "unknown()": UNKNOWN,
    "np.ones(unknown())": UNKNOWN,
    "np.load('x.npy')": UNKNOWN,
    "np.ones((4, 3)).reshape(5, 5)": UNKNOWN,
}


@pytest.mark.parametrize("expression", ARRAYS)
def test_values(expression: str) -> None:
    assert first(expression) == ARRAYS[expression]


CALLS = {
    "jitted in place": "nki.baremetal(kernel)(np.ones(3))",
    "with options": "nki.benchmark(warmup=5)(kernel)(np.ones(3))",
    "kept in a name": "f = benchmark(kernel)\nf(np.ones(3))",
    "simulated": "simulate_kernel(kernel, np.ones(3))",
    "by keyword": "kernel(a=np.ones(3))",
    "in a main block": "if __name__ == '__main__':\n    kernel(np.ones(3))",
    "in a function that is called": "def main(f, n=3):\n    f(np.ones(n))\nmain(kernel)",
    "through a lambda": "run = lambda x: kernel(x)\nrun(np.ones(3))",
    "in a test": "def test_it():\n    kernel(np.ones(3))",
    "in a method": "class TestIt:\n    def test_it(self):\n        kernel(np.ones(3))",
    "parametrised": "@pytest.mark.parametrize('n, m', [(3, 4)])\ndef test_it(n, m):\n    kernel(np.ones(n))",
    "with marks": "@pytest.mark.parametrize('n', [pytest.param(3, marks=pytest.mark.x)])\ndef test_it(n):\n    kernel(np.ones(n))",
    "in a loop": "for n in [3]:\n    kernel(np.ones(n))",
    "on a branch": "n = 3\nif n > 2:\n    kernel(np.ones(3))\nelse:\n    kernel(np.ones(4))",
    "with a helper's result": "def make(n):\n    if n > 1:\n        return np.ones(n)\nkernel(make(3))",
    "with an option's default": "p = argparse.ArgumentParser()\np.add_argument('--n-rows', type=int, default=3)\nkernel(np.ones(p.parse_args().n_rows))",
}


@pytest.mark.parametrize("kind", CALLS)
def test_ways_to_call(kind: str) -> None:
    (call,) = called(CALLS[kind])
    assert call.inputs == {"a": array(3, values="ones")}


def test_grids() -> None:
    (call,) = called("m = 2\nkernel[m, 4 // 2](np.ones(3))\n")
    assert call.grid == (2, 2)
    (call,) = called("kernel[nl.nc(2)](np.ones(3))\n")
    assert call.grid == ("nc(2)",)
    (call,) = called("kernel[unknown()](np.ones(3))\n")
    assert not call.complete


def test_both_arms_where_the_test_is_unknown() -> None:
    calls = called("if unknown():\n    kernel(np.ones(3))\nelse:\n    kernel(np.ones(4))\n")
    assert [call.inputs["a"]["shape"] for call in calls] == [[3], [4]]


def test_every_turn_of_a_loop() -> None:
    calls = called("for n, m in [(1, 2), (3, 4)]:\n    kernel(np.ones(n), np.ones(m))\n")
    assert [(c.inputs["a"]["shape"], c.inputs["b"]["shape"]) for c in calls] == [([1], [2]), ([3], [4])]


def test_lines_are_those_of_the_calls() -> None:
    (call,) = called("x = np.ones(3)\n\nkernel(x)\n")
    assert call.line == KERNEL.count("\n") + 3


@pytest.mark.parametrize(
    "body",
    [
        "def f():\n    f()\nf()\nkernel(np.ones(3))",
        "while True:\n    x = 1\nkernel(np.ones(3))",
        "x = [i for i in range(10 ** 9)]\nkernel(np.ones(3))",
        "x = 10 ** 10 ** 10\nkernel(np.ones(3))",
        "x = 'a' * 10 ** 12\nkernel(np.ones(3))",
        "a, *b = 1, 2, 3\nkernel(np.ones(3))",
        "x.y = 3\nx[2] += 1\nkernel(np.ones(3))",
        "1 < 2 < 3\nkernel(np.ones(3))",
    ],
)
def test_odd_harnesses_do_no_harm(body: str) -> None:
    calls = called(body)
    assert [call.inputs for call in calls] == [{"a": array(3, values="ones")}]
