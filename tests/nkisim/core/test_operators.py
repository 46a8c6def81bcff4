"""The tokens against Python's own mathematics."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

from nkisim.core import operators as nl

X = np.concatenate([np.linspace(-9, 9, 1801), [-80.0, -30.0, 1e-6, -1e-6, 30.0, 80.0]]).astype(np.float32)


def phi(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def softplus(x: float) -> float:
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


EXPECTED = {
    "erf": math.erf,
    "erf_dx": lambda x: 2 / math.sqrt(math.pi) * math.exp(-x * x),
    "gelu": lambda x: x * phi(x),
    "gelu_dx": lambda x: phi(x) + x * density(x),
    "gelu_apprx_tanh": lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "gelu_apprx_sigmoid": lambda x: x * sigma(1.702 * x),
    "gelu_apprx_sigmoid_dx": lambda x: (
        sigma(1.702 * x) + 1.702 * x * sigma(1.702 * x) * (1 - sigma(1.702 * x))
    ),
    "sigmoid": sigma,
    "silu": lambda x: x * sigma(x),
    "silu_dx": lambda x: sigma(x) + x * sigma(x) * (1 - sigma(x)),
    "softplus": softplus,
    "mish": lambda x: x * math.tanh(softplus(x)),
    "relu": lambda x: max(x, 0.0),
    "tanh": math.tanh,
    "sin": math.sin,
    "arctan": math.atan,
    "exp": math.exp,
    "square": lambda x: x * x,
    "copy": float,
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "logical_not": lambda x: x == 0,
}
POSITIVE = {
    "log": math.log,
    "sqrt": math.sqrt,
    "rsqrt": lambda x: 1 / math.sqrt(x),
    "reciprocal": lambda x: 1 / x,
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_functions(name: str) -> None:
    with np.errstate(all="ignore"):
        got = nl.TOKENS[name].function(X)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, [EXPECTED[name](float(x)) for x in X], rtol=4e-6, atol=2e-7)


@pytest.mark.parametrize("name", sorted(POSITIVE))
def test_functions_of_positive_numbers(name: str) -> None:
    x = np.geomspace(1e-6, 1e6, 500).astype(np.float32)
    np.testing.assert_allclose(
        nl.TOKENS[name].function(x), [POSITIVE[name](float(v)) for v in x], rtol=3e-7, atol=1e-6
    )


def test_erf_is_good_to_1e_7() -> None:
    got = nl.erf.function(X)
    assert max(abs(float(g) - math.erf(float(x))) for g, x in zip(got, X, strict=True)) < 1e-7


@pytest.mark.parametrize(("name", "holds"), [
    ("equal", lambda a, b: a == b),
    ("not_equal", lambda a, b: a != b),
    ("less", lambda a, b: a < b),
    ("less_equal", lambda a, b: a <= b),
    ("greater", lambda a, b: a > b),
    ("greater_equal", lambda a, b: a >= b),
    ("logical_and", lambda a, b: bool(a) and bool(b)),
    ("logical_or", lambda a, b: bool(a) or bool(b)),
    ("logical_xor", lambda a, b: bool(a) != bool(b)),
])  # fmt: skip
def test_truth_is_one_or_zero(name: str, holds) -> None:
    a, b = np.meshgrid(np.float32([0, 1, 2, -1]), np.float32([0, 1, 2, -1]))
    got = nl.TOKENS[name].function(a, b)
    assert got.dtype == np.float32
    assert got.tolist() == [
        [float(holds(x, y)) for x, y in zip(p, q, strict=True)] for p, q in zip(a, b, strict=True)
    ]


def test_shifts_are_logical() -> None:
    x = np.int32([-1, -8, 5])
    assert nl.right_shift.function(x, np.int32(1)).tolist() == [0x7FFFFFFF, 0x7FFFFFFC, 2]
    assert nl.left_shift.function(x, np.int32(31)).tolist() == [-(2**31), 0, -(2**31)]
    assert nl.right_shift.function(np.uint8([200]), np.uint8(9)).tolist() == [0]


def test_tokens_stay_the_same_object() -> None:
    assert copy.deepcopy([nl.add])[0] is nl.add
    assert copy.copy(nl.exp) is nl.exp
    assert pickle.loads(pickle.dumps(nl.silu)) is nl.silu


def test_calling_a_token_explains() -> None:
    with pytest.raises(TypeError, match=r"nl\.add is a token"):
        nl.add(1, 2)


NAMES = """
    abs add arctan bitwise_and bitwise_or bitwise_xor copy divide equal erf erf_dx exp gelu gelu_apprx_sigmoid
    gelu_apprx_sigmoid_dx gelu_apprx_tanh gelu_dx greater greater_equal invert left_shift less less_equal log
    logical_and logical_not logical_or logical_xor maximum minimum mish multiply not_equal power reciprocal
    relu right_shift rsqrt sigmoid sign silu silu_dx sin softplus sqrt square subtract tanh
"""


def test_the_table_is_that_of_the_release() -> None:
    assert sorted(nl.TOKENS) == NAMES.split()


@pytest.mark.parametrize("x", [-6.5, -100.0, -1e10, -3e38])
def test_gelu_of_what_is_far_below_zero_is_zero(x: float) -> None:
    with np.errstate(all="ignore"):
        assert nl.gelu.function(np.float32([x])).tolist() == [0.0]
        assert nl.gelu_dx.function(np.float32([x])).tolist() == pytest.approx([0.0], abs=1e-8)
        assert nl.erf.function(np.float32([x, -x, np.inf])).tolist() == [-1.0, 1.0, 1.0]
    assert np.isnan(nl.erf.function(np.float32([np.nan]))).all()
