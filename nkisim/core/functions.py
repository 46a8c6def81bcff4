"""Functions of one float32 array, as exact as float32 allows; the hardware has polynomials near them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .dtypes import Array
from .scratch import scratch

F32 = np.float32
_ONE, _HALF = F32(1), F32(0.5)
_SQRT_HALF = 0.5**0.5
_PDF = (2 * np.pi) ** -0.5
_ERF_SLOPE = F32(2 / np.pi**0.5)
_TANH_SCALE = F32((2 / np.pi) ** 0.5)
_SIGMOID_SCALE = F32(1.702)

# erf(x) = x P(x²) / Q(x²) on [0, 4.3], fitted by weighted least squares to math.erf; the error is below 2e-9.
# Highest power first.
_ERF_LIMIT = 4.3
_ERF_P = (
    -1.3990940646679e-08,
    4.8433609643821e-06,
    3.8500548531611e-04,
    3.8451138112181e-03,
    5.4381919862585e-02,
    1.8467735046313e-01,
    1.1283791836086e00,
)
_ERF_Q = (
    6.4603376930308e-05,
    1.3138165328833e-03,
    1.5472841152104e-02,
    1.1386019645934e-01,
    4.9699960554344e-01,
    1.0000000000000e00,
)


# Elements worked on at a time in float64: what the processor's cache holds.
_BLOCK = 8192


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Any:
    total = x * coefficients[0]
    total += coefficients[1]
    for coefficient in coefficients[2:]:
        total *= x
        total += coefficient
    return total


def _erf(x: Array) -> Any:
    limited = np.minimum(x, _ERF_LIMIT)
    np.maximum(limited, -_ERF_LIMIT, out=limited)
    square = limited * limited
    limited *= _polynomial(_ERF_P, square)
    limited /= _polynomial(_ERF_Q, square)
    beyond = np.abs(x) >= _ERF_LIMIT
    if beyond.any():  # the fit's error would come out times x, which may be large
        limited[beyond] = np.sign(x[beyond])
    return limited


def _in_blocks(function: Callable[[Array], Array], x: Array) -> Any:
    """A function of float64 numbers, on float32 ones."""
    flat = x.reshape(-1)
    result = np.empty(flat.shape, F32)
    for start in range(0, flat.size, _BLOCK):
        result[start : start + _BLOCK] = function(flat[start : start + _BLOCK].astype(np.float64))
    return result.reshape(x.shape)


def _gelu(x: Array) -> Any:
    total = _erf(x * _SQRT_HALF)
    total += 1.0
    total *= x
    total *= 0.5
    return total


def _gelu_dx(x: Array) -> Any:
    x = np.clip(x, -1e3, 1e3)
    return 0.5 * (1.0 + _erf(x * _SQRT_HALF)) + x * (_PDF * np.exp(-0.5 * x * x))


def erf(x: Array) -> Any:
    """2/√π ∫₀ˣ exp(-t²) dt, computed in float64."""
    return _in_blocks(_erf, x)


def erf_dx(x: Array) -> Any:
    """2/√π exp(-x²)."""
    return _ERF_SLOPE * np.exp(-x * x)


def gelu(x: Array) -> Any:
    """x Φ(x) with the normal distribution Φ."""
    return _in_blocks(_gelu, x)


def gelu_dx(x: Array) -> Any:
    """Φ(x) + x Φ'(x)."""
    return _in_blocks(_gelu_dx, x)


def gelu_apprx_tanh(x: Array) -> Any:
    """x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))."""
    return _HALF * x * (_ONE + np.tanh(_TANH_SCALE * (x + F32(0.044715) * x * x * x)))


def gelu_apprx_sigmoid(x: Array) -> Any:
    """x σ(1.702 x)."""
    return x * sigmoid(_SIGMOID_SCALE * x)


def gelu_apprx_sigmoid_dx(x: Array) -> Any:
    """The derivative of x σ(1.702 x)."""
    gate = sigmoid(_SIGMOID_SCALE * x)
    return gate * (_ONE + _SIGMOID_SCALE * x * (_ONE - gate))


def sigmoid(x: Array, out: Array | None = None) -> Any:
    """σ(x) = 1 / (1 + exp(-x))."""
    falling = np.negative(x, out=out)
    np.exp(falling, out=falling)
    falling += _ONE
    return np.divide(_ONE, falling, out=falling)


def silu(x: Array, out: Array | None = None) -> Any:
    """x σ(x)."""
    return np.multiply(x, sigmoid(x, scratch.take(x.shape)), out=out)


def silu_dx(x: Array) -> Any:
    """σ(x) (1 + x (1 - σ(x)))."""
    gate = sigmoid(x)
    return gate * (_ONE + x * (_ONE - gate))


def softplus(x: Array) -> Any:
    """log(1 + exp(x)), without overflow."""
    return np.maximum(x, F32(0)) + np.log1p(np.exp(-np.abs(x)))


def mish(x: Array) -> Any:
    """x tanh(log(1 + exp(x)))."""
    return x * np.tanh(softplus(x))


def relu(x: Array, out: Array | None = None) -> Any:
    """max(x, 0)."""
    return np.maximum(x, F32(0), out=out)


def rsqrt(x: Array, out: Array | None = None) -> Any:
    """1 / √x."""
    root = np.sqrt(x, out=out)
    return np.divide(_ONE, root, out=root)


def reciprocal(x: Array, out: Array | None = None) -> Any:
    """1 / x."""
    return np.divide(_ONE, x, out=out)


def copy(x: Array) -> Any:
    """x itself."""
    return x


def logical_not(x: Array) -> Any:
    """1 where x is 0, else 0."""
    return np.equal(x, F32(0)).astype(F32)


def left_shift(x: Array, by: Array) -> Any:
    """Zeros come in from the right; shifting by the width or more gives zero."""
    bits = _unsigned(x)
    return np.left_shift(bits, _unsigned(by)).view(x.dtype)


def right_shift(x: Array, by: Array) -> Any:
    """A logical shift: zeros come in from the left, for signed types too."""
    return np.right_shift(_unsigned(x), _unsigned(by)).view(x.dtype)


def _unsigned(x: Array) -> Any:
    x = np.asarray(x)
    return x.view(f"u{x.dtype.itemsize}")


INTO = (relu, rsqrt, reciprocal, sigmoid, silu)
"""Functions that take the array for their result, which may be the argument itself."""
