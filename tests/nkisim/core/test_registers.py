"""Registers are 32-bit integers known when the program runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nkisim.core.registers import Register

INT = st.integers(-(1 << 31), (1 << 31) - 1)


def wrapped(value):
    """Two's complement of 32 bits, by masks."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value


@given(INT, INT)
def test_arithmetic_wraps_at_32_bits(a, b):
    assert int(Register(a) + b) == wrapped(a + b)
    assert int(a - Register(b)) == wrapped(a - b)
    assert int(Register(a) - Register(b)) == wrapped(a - b)
    assert int(a * Register(b)) == wrapped(a * b)
    if b:
        assert int(Register(a) // b) == wrapped(a // b)
        assert int(Register(a) % b) == wrapped(a % b)


@given(INT, INT)
def test_comparisons_look_at_the_value(a, b):
    one, other = Register(a), Register(b)
    assert (one < other, one <= b, one > b, one >= other) == (a < b, a <= b, a > b, a >= b)
    assert (one == b) == (a == b)
    assert (one != other) == (a != b)


def test_a_register_is_no_int_but_counts_as_index():
    register = Register(3)
    assert not isinstance(register, int)
    assert [10, 20, 30, 40][register] == 40
    assert list(range(register)) == [0, 1, 2]
    assert register
    assert not Register(0)
    assert repr(register) == "Register(3)"
    assert register != "3"


def test_registers_change_so_they_cannot_be_keys():
    with pytest.raises(TypeError):
        hash(Register(1))


def test_numpys_integers_are_integers():
    assert Register(3) == np.int64(3)
    assert Register(3) != np.uint8(4)
    assert (Register(3) + np.int32(4)).value == 7


@pytest.mark.parametrize("wrong", [1.5, np.float32(2), "1"])
def test_other_numbers_are_not_cut(wrong):
    with pytest.raises(TypeError):
        Register(6) + wrong
    with pytest.raises(TypeError):
        Register(6) < wrong  # noqa: B015
    assert Register(1) != wrong
