"""Functions of one and two tiles, and operators, against NumPy in float64."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest

import nkisim.beta1 as nki
import nkisim.beta1.isa as nisa
import nkisim.beta1.language as nl
from nkisim.beta1.elementwise import FUNCTIONS
from nkisim.core.errors import SimulationError


def erf(x):
    return np.vectorize(math.erf)(x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return x * 0.5 * (1 + erf(x / math.sqrt(2)))


def gelu_dx(x):
    return 0.5 * (1 + erf(x / math.sqrt(2))) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def silu_dx(x):
    return sigmoid(x) * (1 + x * (1 - sigmoid(x)))


UNARY = {
    "abs": np.abs,
    "arctan": np.arctan,
    "ceil": np.ceil,
    "cos": np.cos,
    "erf": erf,
    "erf_dx": lambda x: 2 / math.sqrt(math.pi) * np.exp(-x * x),
    "exp": np.exp,
    "floor": np.floor,
    "gelu": gelu,
    "gelu_apprx_sigmoid": lambda x: x * sigmoid(1.702 * x),
    "gelu_apprx_tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "gelu_dx": gelu_dx,
    "log": lambda x: np.log(np.abs(x)),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "negative": lambda x: -x,
    "reciprocal": lambda x: 1 / x,
    "relu": lambda x: np.maximum(x, 0),
    "rsqrt": lambda x: 1 / np.sqrt(np.abs(x)),
    "sigmoid": sigmoid,
    "sign": np.sign,
    "silu": lambda x: x * sigmoid(x),
    "silu_dx": silu_dx,
    "sin": np.sin,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "sqrt": lambda x: np.sqrt(np.abs(x)),
    "square": np.square,
    "tan": np.tan,
    "tanh": np.tanh,
    "trunc": np.trunc,
}
POSITIVE = ("log", "rsqrt", "sqrt")
BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "mod": np.mod,
    "fmod": np.fmod,
}
COMPARISONS = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}
BITS = {
    "bitwise_and": np.bitwise_and,
    "bitwise_or": np.bitwise_or,
    "bitwise_xor": np.bitwise_xor,
    "left_shift": np.left_shift,
    "right_shift": np.right_shift,
}


def test_every_function_is_here():
    others = {"invert", "power", "logical_not"}
    assert set(FUNCTIONS) == set(UNARY) | set(BINARY) | set(COMPARISONS) | set(BITS) | others


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_tile(name, run, rng):
    x = rng.uniform(-3, 3, (16, 24)).astype(np.float32)
    x = np.abs(x) + np.float32(0.1) if name in POSITIVE else x
    found = run(getattr(nl, name), x)
    np.testing.assert_allclose(found, UNARY[name](x.astype(np.float64)), rtol=3e-6, atol=1e-6)
    low = x.astype(ml_dtypes.bfloat16)
    found = run(lambda t: getattr(nl, name)(t, dtype=nl.float32), low)
    np.testing.assert_allclose(found, UNARY[name](low.astype(np.float64)), rtol=3e-6, atol=1e-6)
    assert run(getattr(nl, name), low).dtype == ml_dtypes.bfloat16


SHAPES = [
    ((16, 24), (16, 24)),
    ((16, 24), (16, 1)),
    ((16, 1), (16, 24)),
    ((16, 24), (1, 24)),
    ((1, 1), (16, 24)),
    ((16, 1), (1, 24)),
    ((4, 3, 5), (4, 1, 5)),
    ((4, 3, 5), (4, 1, 1)),
]


@pytest.mark.parametrize(("first", "second"), SHAPES)
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_tiles(name, first, second, run, rng):
    x = rng.uniform(-3, 3, first).astype(np.float32)
    y = rng.uniform(0.5, 3, second).astype(np.float32)
    found = run(getattr(nl, name), x, y)
    expected = BINARY[name](x.astype(np.float64), y)
    if name in ("mod", "fmod"):
        expected = BINARY[name](x, y)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons(name, run, rng):
    x, y = (rng.integers(-2, 3, (8, 12)).astype(np.float32) for _ in range(2))
    found = run(getattr(nl, name), x, y)
    assert found.dtype == np.bool_
    np.testing.assert_array_equal(found, COMPARISONS[name](x, y))
    found = run(lambda a, b: getattr(nl, name)(a, b, dtype=nl.float32), x, y)
    np.testing.assert_array_equal(found, COMPARISONS[name](x, y).astype(np.float32))
    np.testing.assert_array_equal(run(lambda a: getattr(nl, name)(a, 1.0), x), COMPARISONS[name](x, 1.0))


@pytest.mark.parametrize("name", BITS)
@pytest.mark.parametrize("kind", ["int32", "uint8"])
def test_bits(name, kind, run, rng):
    x, y = rng.integers(0, 100, (8, 12)).astype(kind), rng.integers(0, 4, (8, 12)).astype(kind)
    np.testing.assert_array_equal(run(getattr(nl, name), x, y), BITS[name](x, y))
    np.testing.assert_array_equal(
        run(lambda a: getattr(nl, name)(a, 3, dtype=kind), x), BITS[name](x.astype(np.int32), 3).astype(kind)
    )


def test_bits_of_different_integers(run):
    x, y = np.array([[3, 5, 250]], np.uint8), np.array([[257, 4, 1023]], np.uint16)
    np.testing.assert_array_equal(run(nl.bitwise_and, x, y), x & y)
    np.testing.assert_array_equal(run(nl.invert, x), ~x)


def test_the_rest(run, rng):
    x = rng.uniform(0.5, 3, (8, 12)).astype(np.float32)
    y = rng.uniform(-2, 2, (8, 12)).astype(np.float32)
    np.testing.assert_allclose(run(nl.power, x, y), np.power(x.astype(np.float64), y), rtol=1e-6)
    np.testing.assert_array_equal(run(nl.logical_not, np.float32([[0, 1, -2]])), [[True, False, False]])


OPERATORS = {
    "+": (lambda a, b: a + b, np.add),
    "-": (lambda a, b: a - b, np.subtract),
    "*": (lambda a, b: a * b, np.multiply),
    "/": (lambda a, b: a / b, np.divide),
    "**": (lambda a, b: a**b, np.power),
    "%": (lambda a, b: a % b, np.mod),
    "<": (lambda a, b: a < b, np.less),
    "<=": (lambda a, b: a <= b, np.less_equal),
    ">": (lambda a, b: a > b, np.greater),
    ">=": (lambda a, b: a >= b, np.greater_equal),
    "==": (lambda a, b: a == b, np.equal),
    "!=": (lambda a, b: a != b, np.not_equal),
}


@pytest.mark.parametrize("symbol", OPERATORS)
def test_operators(symbol, run, rng):
    mine, theirs = OPERATORS[symbol]
    x, y = (rng.uniform(0.5, 3, (8, 12)).astype(np.float32) for _ in range(2))
    for found, expected in (
        (run(mine, x, y), theirs(x, y)),
        (run(lambda t: mine(t, 1.5), x), theirs(x, np.float32(1.5))),
        (run(lambda t: mine(1.5, t), x), theirs(np.float32(1.5), x)),
        (run(lambda t, u: mine(t[:, 2:6], u[:, 0:1]), x, y), theirs(x[:, 2:6], y[:, :1])),
    ):
        np.testing.assert_allclose(found, expected, rtol=2e-6)


def test_unary_operators_and_bits(run):
    x = np.array([[3, -5, 7]], np.int32)
    np.testing.assert_array_equal(run(lambda t: -t, x), -x)
    np.testing.assert_array_equal(run(abs, x), np.abs(x))
    np.testing.assert_array_equal(run(lambda t: ~t, x), ~x)
    np.testing.assert_array_equal(run(lambda t: (t & 6) | (t ^ 1), x), (x & 6) | (x ^ 1))
    np.testing.assert_array_equal(run(lambda t: (t << 2) + (abs(t) >> 1), x), (x << 2) + (np.abs(x) >> 1))


IN_PLACE = {
    "+=": "__iadd__",
    "-=": "__isub__",
    "*=": "__imul__",
    "/=": "__itruediv__",
    "**=": "__ipow__",
    "%=": "__imod__",
}


@pytest.mark.parametrize("symbol", IN_PLACE)
def test_in_place_operators_keep_type_and_tile(symbol, run, rng):
    x = rng.uniform(0.5, 3, (8, 12)).astype(ml_dtypes.bfloat16)
    y = rng.uniform(0.5, 3, (8, 1)).astype(np.float32)
    function = OPERATORS[symbol[:-1]][1]

    def body(t, u):
        other = t
        t = getattr(t, IN_PLACE[symbol])(u)
        assert t is other
        return other

    expected = function(x.astype(np.float32), y).astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(run(body, x, y), expected)


def test_in_place_on_parts(run, rng):
    x = rng.standard_normal((8, 12)).astype(np.float32)

    def body(t):
        i, j = nl.mgrid[0:4, 0:3]
        t[2:4] += 1.0
        t[i, 2 * j] *= 2.0
        part = t[0:2]
        part -= 5.0
        t[4:6] = part
        return t

    expected = x.copy()
    expected[2:4] += 1
    expected[:4, 0:6:2] *= 2
    expected[0:2] -= 5
    expected[4:6] = expected[0:2]
    np.testing.assert_array_equal(run(body, x), expected)


@pytest.mark.parametrize("sizes", [(3, 5), (8, 2), (2, 3, 4)])
def test_a_column_is_repeated_along_all_dimensions_of_a_tile(sizes, run, rng):
    x, y = (rng.standard_normal((8, *each)).astype(np.float32) for each in (sizes, (1,)))

    def body(t, u):
        return nisa.tensor_tensor(nl.multiply(u, t), u, nl.add)

    column = y.reshape(8, *[1] * len(sizes))
    np.testing.assert_array_equal(run(body, x, y), x * column + column)


def test_psum_operands_are_copied_where_two_cannot_be_read(run, rng):
    x = rng.standard_normal((32, 32)).astype(np.float32)

    def body(t):
        product = nl.matmul(t, t, transpose_x=True)
        return nl.copy(product * product + product)

    product = x.T.astype(np.float64) @ x
    np.testing.assert_allclose(run(body, x), product * product + product, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (lambda t: nl.add(t, t[:, 0:5]), r"do not broadcast to one shape"),
        (lambda t: nl.exp(3.0), r"nl\.exp: x must be a tile, it is a float"),
        (lambda t: nl.add(2, 3), r"neither x nor y is a tile"),
        (lambda t: nl.add(t, ["a", "b"]), r"nl\.add: y must be a tile, it is a list"),
        (lambda t: nl.bitwise_and(t, t), r"a bitvec operator needs integers"),
        (lambda t: t if t else None, r"has no truth value"),
    ],
)
def test_errors_name_line_function_and_operand(body, text, run):
    with pytest.raises(SimulationError, match=rf"test_elementwise\.py:\d+: .*{text}"):
        run(body, np.zeros((4, 6), np.float32))


def test_operands_in_hbm_are_an_error():
    @nki.jit
    def kernel(x):
        return nl.exp(x)

    with pytest.raises(
        SimulationError, match=r"nl\.exp: x is a hbm tensor \[4, 6\] float32; .*nl\.load it first"
    ):
        kernel(np.zeros((4, 6), np.float32))


@pytest.mark.parametrize("other", [38, np.int32(38), "tile"])
def test_the_quotient_of_integers_is_a_fraction(other, run):
    x = np.arange(2176, 2304, dtype=np.int32).reshape(128, 1)

    def divided(t):
        return t / (nl.full((128, 1), 38, nl.int32) if isinstance(other, str) else other)

    found = run(divided, x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, x / 38, rtol=1e-6)
    np.testing.assert_array_equal(run(lambda t: nl.floor(divided(t), dtype=nl.int32), x), x // 38)
    assert run(lambda t: nl.divide(t, 38, dtype=nl.int32), x).dtype == np.int32
