"""Kernels with numbers of ``math``, NumPy and ``nl.finfo``: what the language has, under its names."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from helpers import check_reported
from migrated import HEAD, check_same, check_same_strictly, migrated

RNG = np.random.default_rng(3)
KERNEL = """\
@nki.jit
def k(x):
    n, m = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    number = {code}
    nl.store(out, nl.multiply(nl.load(x), number))
    return out
"""
X = RNG.uniform(1, 2, (32, 24)).astype(np.float32)

SAME = {
    "np.pi": "math.pi",
    "2 * np.e + math.pi": "2 * math.e + math.pi",
    "np.sqrt(m)": "math.sqrt(m)",
    "np.ceil(m / 5)": "math.ceil(m / 5)",
    "math.floor(m / 5) * 0.5": "math.floor(m / 5) * 0.5",
    "np.abs(n - m * 2)": "abs(n - m * 2)",
    "np.maximum(n, m) - np.minimum(n, m)": "max(n, m) - min(n, m)",
    "np.float32(0.5)": "float(0.5)",
    "np.float32(1 / m)": "float(1 / m)",
    "np.dtype(np.float32).type(0.1)": "float(0.1)",
    "np.float64(0.1) * m": "float(0.1) * m",
    "np.int32(m) * 2": "int(m) * 2",
    "np.finfo(np.float16).max": "65504.0",
    "nl.bfloat16.itemsize * m": "2 * m",
    "nl.finfo(nl.bfloat16).eps": "0.0078125",
    "nl.finfo(x.dtype).eps": "step_above_one(x.dtype)",
}


@pytest.mark.parametrize("code", SAME)
def test_numbers_of_libraries(code):
    text = ("import math\n\n\n" if "math." in code else "\n\n") + KERNEL.format(code=code)
    new = check_same(text, "k", X)
    assert f"    number = {SAME[code]}\n" in new
    assert ("import math\n" in new) == ("math." in SAME[code])
    assert "np." not in new


@pytest.mark.parametrize(
    "code",
    [
        "np.exp(2.0)",
        "np.float32(0.1) * n",
        "np.float16(0.1)",
        "x.dtype.type(0.5)",
        "np.dtype(np.float32).name",
        "nl.load(x).nbytes",
        "x.strides[0]",
        "np.power(n, 2)",
        "math.exp(1.0)",
        "math.log(m)",
        "round(m / 5)",
        "len(sorted([n, m]))",
        "len(set([n, m]))",
    ],
)
def test_functions_that_kernels_do_not_have(code):
    assert migrated(HEAD + "import math\n\n\n" + KERNEL.format(code=code))[1] == ["M-PY"]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_an_instruction_rounds_need_not_be_rounded_before(dtype):
    new = check_same_strictly(HEAD + KERNEL.format(code="np.float32(0.1)"), X.astype(dtype))
    assert "    number = float(0.1)\n" in new
    directly = KERNEL.replace("    number = {code}\n", "").replace("number", "np.float32(0.1)")
    assert "operand0=float(0.1)" in check_same_strictly(HEAD + directly, X.astype(dtype))


@pytest.mark.parametrize("use", ["number * 2.0", "max(number, 0.0)", "helper(number)"])
def test_what_is_calculated_with_is_rounded_before(use):
    text = KERNEL.format(code="np.float32(0.1)").replace("(x), number)", f"(x), {use})")
    assert "M-PY" in migrated(HEAD + "\ndef helper(n):\n    return n\n\n\n" + text)[1]


FILLED = """\
@nki.jit
def k(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    lowest = nl.full(x.shape, fill_value=nl.finfo(x.dtype).min, dtype=x.dtype, buffer=nl.sbuf)
    nl.store(out, nl.maximum(lowest, nl.minimum(nl.load(x), 0.0)))
    return out
"""


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_lowest_number_of_a_dtype_that_is_known_when_the_kernel_is_traced(dtype):
    x = np.linspace(-5, 5, 48).reshape(8, 6).astype(dtype)
    new = check_same_strictly(HEAD + FILLED, x)
    assert "nisa.memset(dst=lowest, value=-largest_number(x.dtype))" in new


def test_masks_that_are_joined_by_and():
    text = """\
@nki.jit
def k(x):
    i, j = nl.mgrid[0:128, 0:32]
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out[i, j], nl.load(x[i, j], mask=(i < x.shape[0] and j < 8)))
    return out
"""
    assert migrated(HEAD + text)[1] == ["M-JOINED"]


@pytest.mark.parametrize("code", ["nl.program_ndim()", "nl.num_programs()", "nl.num_programs(0)"])
def test_how_many_programs_there_are(code):
    text = KERNEL.format(code=code)
    check_same(text, "k", X)
    assert migrated(HEAD + text.replace("()", "(0, 1)").replace("(0)", "(0, 1)"))[1] == ["M-ARGUMENT"]


def test_which_memory_a_tile_is_in():
    check_same(KERNEL.format(code="2.0 if x.buffer == nl.sbuf else 3.0"), "k", X)


ROUNDED = """\
import math


@nki.jit
def k(x):
    n, m = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    number = {code}
    tile = nisa.activation(op=nl.copy, data=nl.load(x), scale={scale})
    nl.store(out, nisa.tensor_scalar(tile, nl.multiply, number, op1=nl.add, operand1=np.float32(0.1)))
    return out
"""


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("scale", ["2.0", "-number"])
def test_a_number_that_float32_does_not_hold_is_rounded_by_the_instructions_that_get_it(scale, dtype):
    text = ROUNDED.format(code="np.float32(1.0 / np.sqrt(m))", scale=scale)
    x = X.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    new = check_same(text, "k", x)
    assert "    number = float(1.0 / math.sqrt(m))\n" in new
    assert "operand1=float(0.1)" in new
    third = np.float32(1 / np.sqrt(24))
    assert np.float64(third) != 1 / np.sqrt(24), "the rounding makes no difference"


@pytest.mark.parametrize(
    ("scale", "more"),
    [
        ("number * 3", ""),  # Python computes with what float32 holds
        ("max(number, 0.1)", ""),
        ("2.0", "    number *= 3\n"),
        ("2.0", "    other = number\n"),
        ("2.0", "    assert number == np.float32(0.1)\n"),
    ],
)
def test_a_rounded_number_that_python_computes_with_stays(scale, more):
    text = ROUNDED.format(code=f"np.float32(0.1)\n{more}".rstrip(), scale=scale)
    assert "M-PY" in migrated(HEAD + text)[1]


def test_a_rounded_number_is_named_as_it_was_written():
    text = HEAD + KERNEL.format(code="np.float32(0.1) * n")
    check_reported(
        text, "NKL402", line=text.count("\n", 0, text.index("number =")) + 1, contains="`np.float32`"
    )
