"""Registers: what they load, hold and store."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiles import got, hbm, psum, raw, sbuf, tile

from nkisim import isa as nisa
from nkisim.core.errors import SimulationError
from nkisim.core.tensor import ds


def test_alloc() -> None:
    assert int(nisa.register_alloc()) == 0
    assert int(nisa.register_alloc(12)) == 12
    assert int(nisa.register_alloc(np.int32(-3))) == -3
    assert int(nisa.register_alloc(tile([[41]], "int32"))) == 41


@pytest.mark.parametrize("make", [tile, hbm])
@pytest.mark.parametrize(("kind", "value"), [("int32", -7), ("uint8", 200), ("float32", 9), ("uint32", 5)])
def test_load(make: Any, kind: str, value: int) -> None:
    register = nisa.register_alloc(1)
    nisa.register_load(register, make([[value]], kind))
    assert int(register) == value
    nisa.register_load(register, make([[3, value]], kind)[0:1, 1:2])
    assert int(register) == value


def test_registers_hold_32_bits() -> None:
    register = nisa.register_alloc()
    nisa.register_move(register, 2**31)
    assert int(register) == -(2**31)


@pytest.mark.parametrize("make", [tile, hbm])
def test_store(make: Any) -> None:
    dst = make(np.zeros((1, 4)), "int32")
    nisa.register_store(dst[0:1, 2:3], nisa.register_alloc(123456789))
    assert raw(dst).tolist() == [[0, 0, 123456789, 0]]


def test_a_register_names_a_place() -> None:
    data, register = tile(np.arange(12, dtype=np.float32).reshape(2, 6)), nisa.register_alloc()
    nisa.register_load(register, tile([[4]], "int32"))
    assert got(data[:, ds(register, 2)]).tolist() == [[4, 5], [10, 11]]


def test_checks() -> None:
    register = nisa.register_alloc()
    with pytest.raises(SimulationError, match=r"register_load: src is a .* it must have one element"):
        nisa.register_load(register, sbuf((1, 2)))
    with pytest.raises(SimulationError, match=r"register_load: src is a psum"):
        nisa.register_load(register, psum((1, 1)))
    with pytest.raises(SimulationError, match=r"register_load: dst must be a register, it is a int"):
        nisa.register_load(3, tile([[1]], "int32"))  # type: ignore[arg-type]
    with pytest.raises(SimulationError, match=r"register_move: imm must be an integer, it is a float"):
        nisa.register_move(register, 1.5)  # type: ignore[arg-type]
    with pytest.raises(SimulationError, match=r"register_store: dst is a .* it must have one element"):
        nisa.register_store(sbuf((2, 1), "int32"), register)
    with pytest.raises(SimulationError, match=r"register_alloc: x must be an integer, it is a str"):
        nisa.register_alloc("1")
