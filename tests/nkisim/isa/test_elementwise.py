"""Element-wise instructions against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from isatiles import rounded, target
from tiles import got, hbm, psum, raw, sbuf, tile

from nkisim.core import operators as nl
from nkisim.core.errors import SimulationError
from nkisim.core.registers import Register
from nkisim.isa import elementwise as nisa
from nkisim.isa.constants import engine

RANDOM = np.random.default_rng(7)
TYPES = ("float32", "bfloat16", "float16", "float8_e4m3", "int32", "uint8")


@pytest.fixture(autouse=True)
def _as_in_a_launch() -> Any:
    with np.errstate(all="ignore"):
        yield


def values(*shape: int, low: float = -5, high: float = 5) -> Any:
    return RANDOM.uniform(low, high, shape).astype(np.float32)


def as_stored(array: Any, dtype: str) -> Any:
    return np.rint(np.abs(array)) if "int" in dtype else rounded(array, dtype)


@pytest.mark.parametrize("out", TYPES)
@pytest.mark.parametrize("shape", [(1, 1), (128, 1), (7, 33), (128, 4, 8)])
@pytest.mark.parametrize("dtype", TYPES)
def test_tensor_tensor_converts_on_both_sides(shape: tuple[int, ...], dtype: str, out: str) -> None:
    a, b = as_stored(values(*shape), dtype), as_stored(values(*shape), dtype)
    dst = sbuf(shape, out)
    nisa.tensor_tensor(dst, tile(a, dtype), tile(b, dtype), nl.add)
    want = np.rint(a + b) if "int" in out else rounded(a + b, out)
    if out == "uint8":
        want = np.clip(want, 0, 255)
    np.testing.assert_allclose(got(dst), want, rtol=1e-6)


def test_tensor_tensor_matches_by_elements_not_shape() -> None:
    a, b = values(4, 6), values(4, 2, 3)
    dst = sbuf((4, 3, 2))
    nisa.tensor_tensor(dst, tile(a), tile(b), nl.subtract)
    np.testing.assert_array_equal(got(dst).reshape(4, 6), a - b.reshape(4, 6))


def test_tensor_tensor_on_views() -> None:
    a, b = values(8, 6), values(8, 2)
    dst = sbuf((8, 6))
    nisa.tensor_tensor(
        dst[0:4, 0:6:2], tile(a)[4:8, 1:4], tile(b).ap([[2, 4], [0, 3]], offset=1), nl.multiply
    )
    np.testing.assert_array_equal(got(dst)[:4, ::2], a[4:, 1:4] * b[:4, 1:2])


def test_an_index_on_the_partition_is_one_partition() -> None:
    a = values(8, 6)
    dst = sbuf((1, 6))
    nisa.tensor_tensor(dst, tile(a)[3], tile(a)[5], nl.maximum)
    np.testing.assert_array_equal(got(dst), np.maximum(a[3:4], a[5:6]))


def test_integers_lose_what_float32_cannot_hold() -> None:
    dst = sbuf((1, 1), "int32")
    nisa.tensor_tensor(dst, tile([[2**24]], "int32"), tile([[1]], "int32"), nl.add)
    assert raw(dst).item() == 2**24


@pytest.mark.parametrize(
    ("op", "function"), [(nl.bitwise_and, np.bitwise_and), (nl.bitwise_xor, np.bitwise_xor)]
)
def test_bitvec_works_on_bits(op: Any, function: Any) -> None:
    a = RANDOM.integers(0, 2**31, (5, 9), np.int32)
    b = RANDOM.integers(0, 2**31, (5, 9), np.int32)
    dst = sbuf((5, 9), "int32")
    nisa.tensor_tensor(dst, tile(a), tile(b), op)
    np.testing.assert_array_equal(raw(dst), function(a, b))


@pytest.mark.parametrize(("make", "message"), [
    (lambda: (sbuf((4, 4)), sbuf((4, 4)), np.ones((4, 4)), nl.add), "data2 must be a tensor"),
    (lambda: (sbuf((4, 4)), hbm(np.ones((4, 4)), "float32"), sbuf((4, 4)), nl.add), "data1 is a hbm tensor"),
    (lambda: (sbuf((4, 4)), sbuf((4, 4)), sbuf((4, 5)), nl.add), "both must match"),
    (lambda: (sbuf((4, 4)), sbuf((4, 4)), sbuf((3, 4)), nl.add), "both must match"),
    (lambda: (sbuf((4, 5)), sbuf((4, 4)), sbuf((4, 4)), nl.add), "partitions and elements"),
    (lambda: (sbuf((4, 4)), psum((4, 4)), psum((4, 4)), nl.add), "both in PSUM"),
    (lambda: (sbuf((4, 4)), sbuf((4, 4)), psum((4, 4)), nl.power), "GpSimd Engine cannot access PSUM"),
    (lambda: (sbuf((4, 4)), sbuf((4, 4)), sbuf((4, 4)), nl.bitwise_or), "needs integers"),
    (lambda: (sbuf((4, 4)), sbuf((4, 4)), sbuf((4, 4)), nl.exp), "activation function"),
    (lambda: (sbuf((4, 4)), sbuf((4, 4)), sbuf((4, 4)), nl.abs), "2 operands"),
    (lambda: (sbuf((4, 4)), sbuf((4, 4)), sbuf((4, 4)), np.add), "must be an operator"),
    (lambda: (sbuf((4, 4)), sbuf((4, 4)), sbuf((4, 4)), nl.add, engine.scalar), "these do: vector, gpsimd"),
    (lambda: (psum((4, 4)), sbuf((4, 4)), sbuf((4, 4)), nl.add, engine.gpsimd), "cannot access PSUM"),
])  # fmt: skip
def test_tensor_tensor_checks(make: Any, message: str) -> None:
    arguments = make()
    with pytest.raises(SimulationError, match=message) as caught:
        nisa.tensor_tensor(*arguments)
    assert "nisa.tensor_tensor" in str(caught.value)


@pytest.mark.parametrize("shape", [(128, 1), (5, 7), (16, 3, 4)])
def test_tensor_scalar_with_vector_and_scalar(shape: tuple[int, ...]) -> None:
    a, v = values(*shape), values(shape[0], 1)
    dst = sbuf(shape)
    nisa.tensor_scalar(dst, tile(a), nl.subtract, tile(v), True, nl.multiply, 2.5)
    column = v.reshape(-1, *(1,) * (len(shape) - 1))
    np.testing.assert_array_equal(got(dst), (column - a) * np.float32(2.5))


def test_tensor_scalar_takes_a_taller_vector() -> None:
    a, v = values(5, 4), values(128, 1)
    dst = sbuf((5, 4))
    nisa.tensor_scalar(dst, tile(a), nl.add, tile(v))
    np.testing.assert_array_equal(got(dst), a + v[:5])


def test_tensor_scalar_second_reversed_and_unary() -> None:
    a = values(6, 5, low=0.5)
    dst = sbuf((6, 5))
    nisa.tensor_scalar(dst, tile(a), nl.rsqrt, None, op1=nl.divide, operand1=3.0, reverse1=True)
    np.testing.assert_allclose(got(dst), 3 * np.sqrt(a.astype(np.float64)), rtol=1e-6)


def test_tensor_scalar_comparison_into_integers() -> None:
    a = values(6, 5)
    dst = sbuf((6, 5), "uint8")
    nisa.tensor_scalar(dst, tile(a), nl.greater_equal, 0.0)
    np.testing.assert_array_equal(raw(dst), (a >= 0).astype(np.uint8))


def test_tensor_scalar_bits() -> None:
    a = RANDOM.integers(0, 2**32, (4, 5), np.uint32)
    masks = tile([[3], [5], [7], [255]], "int32")
    dst = sbuf((4, 5), "uint32")
    nisa.tensor_scalar(dst, tile(a), nl.right_shift, 7, op1=nl.bitwise_and, operand1=masks)
    np.testing.assert_array_equal(raw(dst), (a >> 7) & np.uint32([[3], [5], [7], [255]]))
    nisa.tensor_scalar(dst, tile(a), nl.invert, None)
    np.testing.assert_array_equal(raw(dst), ~a)


@pytest.mark.parametrize(("change", "message"), [
    ({"op1": nl.bitwise_and, "operand1": 1}, "must be an arithmetic operator"),
    ({"op0": nl.bitwise_and, "operand0": 1}, "needs integers"),
    ({"operand0": np.ones(4)}, "must be a number or a tensor"),
    ({"operand0": "vector"}, "one element in"),
    ({"engine": engine.scalar, "op0": nl.maximum}, "multiply then add"),
    ({"engine": engine.tensor}, "these do"),
    ({"op0": nl.gelu}, "nisa.activation"),
])  # fmt: skip
def test_tensor_scalar_checks(change: dict[str, Any], message: str) -> None:
    arguments = {"op0": nl.add, "operand0": 1.0, **change}
    if isinstance(arguments["operand0"], str):
        arguments["operand0"] = sbuf((4, 2))
    with pytest.raises(SimulationError, match=message):
        nisa.tensor_scalar(sbuf((4, 4)), sbuf((4, 4)), **arguments)


def test_bitvec_runs_on_vector_engine_only() -> None:
    with pytest.raises(SimulationError, match="Vector Engine only"):
        nisa.tensor_scalar(
            sbuf((4, 4), "int32"), sbuf((4, 4), "int32"), nl.bitwise_and, 1, engine=engine.gpsimd
        )


@pytest.mark.parametrize("reverse", [False, True])
def test_scalar_tensor_tensor(reverse: bool) -> None:
    a, b, v = values(9, 6), values(9, 2, 3), values(9, 1)
    dst = sbuf((9, 6), "bfloat16")
    nisa.scalar_tensor_tensor(
        dst, tile(a), nl.multiply, tile(v), nl.subtract, tile(b), reverse1=reverse, dtype="bfloat16"
    )
    want = a * v - b.reshape(9, 6)
    np.testing.assert_array_equal(got(dst), rounded(-want if reverse else want, "bfloat16"))


def test_scalar_tensor_tensor_checks() -> None:
    with pytest.raises(SimulationError, match="data and operand1 are both in PSUM"):
        nisa.scalar_tensor_tensor(sbuf((4, 4)), psum((4, 4)), nl.add, 1.0, nl.add, psum((4, 4)))
    with pytest.raises(SimulationError, match=r"op0 is nl\.bitwise_or"):
        nisa.scalar_tensor_tensor(sbuf((4, 4)), sbuf((4, 4)), nl.bitwise_or, 1, nl.add, sbuf((4, 4)))
    with pytest.raises(SimulationError, match=r"op1 is nl\.bitwise_or; it must be an arithmetic operator"):
        nisa.scalar_tensor_tensor(sbuf((4, 4)), sbuf((4, 4)), nl.add, 1, nl.bitwise_or, sbuf((4, 4)))
    with pytest.raises(SimulationError, match=r"op1 is nl\.abs; it must take 2 operands"):
        nisa.scalar_tensor_tensor(sbuf((4, 4)), sbuf((4, 4)), nl.add, 1, nl.abs, sbuf((4, 4)))
    with pytest.raises(SimulationError, match="operand1 must be a tensor"):
        nisa.scalar_tensor_tensor(sbuf((4, 4)), sbuf((4, 4)), nl.add, 1, nl.add, 2.0)


def test_tensor_copy_keeps_bits() -> None:
    bits = RANDOM.integers(0, 2**32, (3, 8), np.uint32)
    src, dst = sbuf((3, 8)), sbuf((3, 8))
    src.view("uint32").write(bits)
    nisa.tensor_copy(dst, src)
    np.testing.assert_array_equal(raw(dst.view("uint32")), bits)


@pytest.mark.parametrize(("value", "dtype", "want"), [
    (2.5, "int32", 2), (3.5, "int32", 4), (-2.5, "int8", -2), (300.0, "uint8", 255), (-1.0, "uint8", 0),
    (1e30, "int32", 2**31 - 1), (1 + 2**-8, "bfloat16", 1.0), (1 + 3 * 2**-8, "bfloat16", 1 + 2**-6),
    (500.0, "float8_e4m3", np.inf), (1e6, "float16", np.inf),
])  # fmt: skip
def test_tensor_copy_converts(value: float, dtype: str, want: float) -> None:
    dst = sbuf((2, 1), dtype)
    nisa.tensor_copy(dst, tile(np.full((2, 1), value), "float32"))
    assert raw(dst).astype(np.float64).tolist() == [[want], [want]]


def test_tensor_copy_engines() -> None:
    a = tile(values(4, 4))
    nisa.tensor_copy(sbuf((4, 4)), a, engine=engine.scalar)
    with target(2), pytest.raises(SimulationError, match="on gen2; these do: vector, gpsimd"):
        nisa.tensor_copy(sbuf((4, 4)), a, engine=engine.scalar)
    with pytest.raises(SimulationError, match="cannot access PSUM"):
        nisa.tensor_copy(sbuf((4, 4)), psum((4, 4)), engine=engine.gpsimd)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("scalar", [False, True])
def test_tensor_copy_predicated(scalar: bool, reverse: bool) -> None:
    a, old = rounded(values(6, 8), "bfloat16"), rounded(values(6, 8), "bfloat16")
    p = RANDOM.integers(0, 3, (6, 8)).astype(np.uint8)
    dst = tile(old, "bfloat16")
    nisa.tensor_copy_predicated(dst, 1.5 if scalar else tile(a, "bfloat16"), tile(p), reverse)
    take = p == 0 if reverse else p != 0
    np.testing.assert_array_equal(got(dst), np.where(take, 1.5 if scalar else a, old))


def test_tensor_copy_predicated_checks() -> None:
    p = tile(np.ones((4, 4), np.uint8))
    with pytest.raises(SimulationError, match="predicate is a"):
        nisa.tensor_copy_predicated(sbuf((4, 4)), sbuf((4, 4)), sbuf((4, 4)))
    with pytest.raises(SimulationError, match="src is bfloat16, dst is float32; they must be the same"):
        nisa.tensor_copy_predicated(sbuf((4, 4)), sbuf((4, 4), "bfloat16"), p)
    with pytest.raises(SimulationError, match="dst has 4 partitions of 8"):
        nisa.tensor_copy_predicated(sbuf((4, 8)), 0.0, p)
    with pytest.raises(SimulationError, match="both in PSUM"):
        nisa.tensor_copy_predicated(sbuf((4, 4)), psum((4, 4)), psum((4, 4), "uint8"))


@pytest.mark.parametrize(("value", "dtype", "want"), [
    (1.5, "float32", 1.5), (16777217, "int32", 16777217), (-1, "uint32", 2**32 - 1), (2.5, "int16", 2),
    (0.1, "bfloat16", 0.10009765625), (float("-inf"), "float32", -np.inf), (1e9, "int8", 127),
])  # fmt: skip
@pytest.mark.parametrize("shape", [(128, 1), (3, 2, 5)])
def test_memset(shape: tuple[int, ...], value: Any, dtype: str, want: Any) -> None:
    dst = sbuf(shape, dtype)
    nisa.memset(dst, value)
    assert (raw(dst).astype(np.float64) == want).all()


def test_memset_of_a_part_and_of_packed_bytes() -> None:
    dst = tile(np.zeros((4, 4)), "float32")
    nisa.memset(dst[1:3, 2:4], 7.0)
    assert got(dst).sum() == 28.0
    packed = sbuf((4, 4), "float8_e4m3fn_x4")
    nisa.memset(packed, 3)
    assert raw(packed).view(np.uint8).tolist() == [[3] * 16] * 4
    with pytest.raises(SimulationError, match="cannot access PSUM"):
        nisa.memset(psum((4, 4)), 0.0, engine=engine.gpsimd)


def test_reciprocal() -> None:
    a = values(128, 5, low=0.1)
    dst = sbuf((128, 5))
    nisa.reciprocal(dst, tile(a))
    np.testing.assert_allclose(got(dst), 1 / a.astype(np.float64), rtol=1e-7)
    with pytest.raises(SimulationError, match="data is a hbm"):
        nisa.reciprocal(dst, hbm(a))


def test_writing_over_an_operand() -> None:
    a = values(4, 8)
    t = tile(a)
    nisa.tensor_tensor(t[:, 1:8], t[:, 0:7], t[:, 1:8], nl.add)
    np.testing.assert_array_equal(got(t)[:, 1:], a[:, :7] + a[:, 1:])


def test_poison_shows_in_the_result() -> None:
    dst = sbuf((4, 4))
    nisa.tensor_scalar(dst, sbuf((4, 4)), nl.add, 1.0)
    assert np.isnan(got(dst)).all()


def test_operands_whose_place_a_register_gives() -> None:
    a = values(4, 12)
    src, dst = tile(a), tile(np.zeros((4, 12), np.float32))
    window = [[12, 4], [1, 3]]
    nisa.tensor_copy(dst.ap(window, scalar_offset=Register(5), indirect_dim=1), src[:, 0:3])
    nisa.tensor_scalar(
        dst[:, 0:3], src.ap(window, scalar_offset=Register(7), indirect_dim=1), nl.multiply, -1.0
    )
    np.testing.assert_array_equal(got(dst)[:, 5:8], a[:, :3])
    np.testing.assert_array_equal(got(dst)[:, :3], -a[:, 7:10])
    assert (got(dst)[:, 8:] == 0).all()


def test_the_error_names_the_kernels_line() -> None:
    with pytest.raises(
        SimulationError, match=r"test_elementwise\.py:\d+: nisa\.memset: dst must be a tensor"
    ):
        nisa.memset(3, 0.0)


@pytest.mark.parametrize("wrong", [None, "2", np.ones(3), [1, 2]])
def test_what_is_no_number(wrong: Any) -> None:
    with pytest.raises(SimulationError, match="operand0 must be a number or a tensor, not"):
        nisa.tensor_scalar(sbuf((4, 4)), tile(values(4, 4)), nl.add, wrong)


def test_registers_as_numbers() -> None:
    a = values(4, 4)
    dst = sbuf((4, 4))
    nisa.tensor_scalar(dst, tile(a), nl.multiply, Register(-3))
    np.testing.assert_array_equal(got(dst), a * np.float32(-3))


PACKED = ("float8_e4m3fn_x4", "float8_e5m2_x4", "float4_e2m1fn_x4")


@pytest.mark.parametrize("packed", PACKED)
def test_packed_values_are_no_numbers(packed: str) -> None:
    four, numbers = sbuf((4, 6), packed), tile(values(4, 6))
    nisa.memset(four, 1)
    uses = [
        lambda: nisa.tensor_tensor(sbuf((4, 6)), four, numbers, nl.add),
        lambda: nisa.tensor_scalar(sbuf((4, 6)), four, nl.multiply, 2.0),
        lambda: nisa.tensor_copy(sbuf((4, 6)), four),
        lambda: nisa.tensor_copy(four, numbers),
        lambda: nisa.reciprocal(four, numbers),
    ]
    for use in uses:
        with pytest.raises(SimulationError, match=f"nisa.*: {packed} packs four values in an element"):
            use()
    other = sbuf((4, 6), packed)
    nisa.tensor_copy(other, four)
    assert raw(other).tobytes() == raw(four).tobytes()


@pytest.mark.parametrize(
    ("dtype", "value", "held"),
    [("int32", 2**64 + 5, 5), ("uint8", -1, 255), ("int8", 2**70 + 200, -56), ("bool", 256, 1)],
)
def test_integers_of_any_size_wrap(dtype: str, value: int, held: int) -> None:
    dst = sbuf((2, 2), dtype)
    nisa.memset(dst, value)
    assert (raw(dst) == held).all()
    if dtype != "bool":
        nisa.tensor_scalar(dst, tile(np.full((2, 2), -1).astype(dtype)), nl.bitwise_and, value)
        assert (raw(dst) == held).all()


def test_a_number_that_float32_cannot_hold_is_an_error_of_the_instruction() -> None:
    with pytest.raises(SimulationError, match=r"test_elementwise\.py:\d+: nisa\.tensor_scalar: "):
        nisa.tensor_scalar(sbuf((4, 4)), tile(values(4, 4)), nl.add, 10**400)


@pytest.mark.parametrize("value", [None, "1"])
def test_memset_takes_numbers(value: Any) -> None:
    with pytest.raises(SimulationError, match=r"nisa\.memset: value must be a number"):
        nisa.memset(sbuf((4, 4)), value)


def test_an_operand_without_its_operator() -> None:
    with pytest.raises(SimulationError, match="operand1 is given, but no op1"):
        nisa.tensor_scalar(sbuf((4, 4)), tile(values(4, 4)), nl.add, 1.0, operand1=2.0)
