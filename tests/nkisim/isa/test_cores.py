"""Two cores: exchanges, barriers, and the errors that name both cores' lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tiles import hbm, sbuf

from nkisim import isa as nisa
from nkisim import language as nl
from nkisim.core.errors import SimulationError
from nkisim.kernel import jit

X = np.arange(24, dtype=np.float32).reshape(4, 6)


def here(function: Callable[..., Any], text: str) -> str:
    """``file:line`` of the line of this file, at or after a function, that ends with a comment."""
    first = function.__code__.co_firstlineno
    with open(__file__, encoding="utf-8") as lines:
        found = next(
            n for n, line in enumerate(lines, 1) if n >= first and line.rstrip().endswith(f"# {text}")
        )
    return f"{__file__}:{found}"


def exchange(x: Any) -> Any:
    """Each core writes what the other one loaded."""
    me = nl.program_id(0)
    mine = nl.ndarray((2, 6), x.dtype, buffer=nl.sbuf)
    other = nl.ndarray((2, 6), x.dtype, buffer=nl.sbuf)
    out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(mine, x[me * 2 : me * 2 + 2])
    nisa.sendrecv(mine, other, send_to_rank=1 - me, recv_from_rank=1 - me, pipe_id=0)
    nisa.dma_copy(out[me * 2 : me * 2 + 2], other)
    return out


def test_exchange() -> None:
    assert np.array_equal(jit(exchange)[2](X), np.concatenate([X[2:], X[:2]]))


def test_what_was_sent_is_what_it_was_then() -> None:
    def kernel(x: Any) -> Any:
        me = nl.program_id(0)
        mine, other = nl.full((1, 2), me + 1, nl.float32), nl.zeros((1, 2), nl.float32)
        nisa.sendrecv(mine, other, 1 - me, 1 - me, 0)
        mine.write(np.full((1, 2), 9, np.float32))
        out = nl.ndarray((2, 2), nl.float32, buffer=nl.shared_hbm)
        nisa.dma_copy(out[me : me + 1], other)
        return out

    assert jit(kernel)[2](X).tolist() == [[2, 2], [1, 1]]


def test_pipes_are_apart_and_each_in_order() -> None:
    def kernel(x: Any) -> Any:
        me = nl.program_id(0)
        out = nl.ndarray((2, 6), nl.float32, buffer=nl.shared_hbm)
        for step, pipe in enumerate([0, 1, 0, 0, 1, 1]):
            mine, other = nl.full((1, 1), 10 * me + step, nl.float32), nl.zeros((1, 1), nl.float32)
            nisa.sendrecv(mine, other, 1 - me, 1 - me, pipe)
            nisa.dma_copy(out[me : me + 1, step : step + 1], other)
        return out

    assert jit(kernel)[2](X).tolist() == [[10, 11, 12, 13, 14, 15], [0, 1, 2, 3, 4, 5]]


def test_barrier_lets_each_read_what_the_other_wrote() -> None:
    def kernel(x: Any) -> Any:
        me = nl.program_id(0)
        shared = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm, name="shared")
        out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm, name="out")
        nisa.dma_copy(shared[me * 2 : me * 2 + 2], x[me * 2 : me * 2 + 2])
        nisa.core_barrier(shared, (0, 1))
        nisa.dma_copy(out[2 - me * 2 : 4 - me * 2], shared[2 - me * 2 : 4 - me * 2])
        nisa.core_barrier(out, cores=[0, 1])
        return out

    assert np.array_equal(jit(kernel)[2](X), X)


def test_barrier_on_one_core_is_none() -> None:
    def kernel(x: Any) -> Any:
        nisa.core_barrier(x, (0))
        nisa.core_barrier(x, (0, 1))
        return x

    assert np.array_equal(jit(kernel)(X), X)


def test_launches_are_deterministic() -> None:
    first = jit(exchange)[2](X)
    assert all(np.array_equal(jit(exchange)[2](X), first) for _ in range(20))


def send_to_nobody(x: Any) -> Any:
    a, b = nl.zeros((1, 1), nl.float32), nl.zeros((1, 1), nl.float32)
    if nl.program_id(0) == 0:
        nisa.sendrecv(a, b, 1, 1, 0)  # never answered
    return x


def test_deadlock_with_a_core_that_returned() -> None:
    with pytest.raises(SimulationError) as caught:
        jit(send_to_nobody)[2](X)
    text = str(caught.value)
    assert text.startswith("deadlock: ")
    assert here(send_to_nobody, "never answered") in text
    assert "core 1 has returned" in text


def wait_crosswise(x: Any) -> Any:
    a, b = nl.zeros((1, 1), nl.float32), nl.zeros((1, 1), nl.float32)
    if nl.program_id(0) == 0:
        nisa.sendrecv(a, b, 1, 1, pipe_id=4)  # core 0 is here
    else:
        nisa.core_barrier(x, (0, 1))  # core 1 is here
    return x


def test_deadlock_names_where_each_core_waits() -> None:
    with pytest.raises(SimulationError) as caught:
        jit(wait_crosswise)[2](X)
    text = str(caught.value)
    assert (
        f"core 0 waits for sendrecv (from core 1, pipe 4) at {here(wait_crosswise, 'core 0 is here')}" in text
    )
    assert f"core 1 waits for core_barrier of [0, 1] at {here(wait_crosswise, 'core 1 is here')}" in text


def other_shapes(x: Any) -> Any:
    if nl.program_id(0) == 0:
        a, b = nl.zeros((2, 3), nl.float32), nl.zeros((2, 3), nl.float32)
        nisa.sendrecv(a, b, 1, 1, 0)  # smaller
    else:
        a, b = nl.zeros((2, 4), nl.float32), nl.zeros((2, 4), nl.float32)
        nisa.sendrecv(a, b, 0, 0, 0)  # larger
    return x


def other_types(x: Any) -> Any:
    if nl.program_id(0) == 0:
        a, b = nl.zeros((2, 3), nl.float32), nl.zeros((2, 3), nl.float32)
        nisa.sendrecv(a, b, 1, 1, 0)  # smaller
    else:
        a, b = nl.zeros((2, 3), nl.int32), nl.zeros((2, 3), nl.int32)
        nisa.sendrecv(a, b, 0, 0, 0)  # larger
    return x


def other_ranks(x: Any) -> Any:
    a, b = nl.zeros((2, 3), nl.float32), nl.zeros((2, 3), nl.float32)
    if nl.program_id(0) == 0:
        nisa.sendrecv(a, b, 1, 1, 0)  # smaller
    else:
        nisa.sendrecv(a, b, 1, 0, 0)  # larger
    return x


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (other_shapes, "sends [2, 3] float32"),
        (other_types, "receives [2, 3] int32"),
        (other_ranks, "core 0 sends to 1 and receives from 1"),
    ],
)
def test_mismatch_names_both_lines(kernel: Callable[..., Any], message: str) -> None:
    with pytest.raises(SimulationError) as caught:
        jit(kernel)[2](X)
    text = str(caught.value)
    assert message in text
    assert here(kernel, "smaller") in text
    assert here(kernel, "larger") in text


def send(src: Any, dst: Any, to: int, sender: int) -> Callable[..., Any]:
    def kernel(x: Any) -> Any:
        nisa.sendrecv(src(), dst(), to, sender, 0)
        return x

    return kernel


def tile22() -> Any:
    return sbuf((2, 2))


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (send(tile22, tile22, 2, 0), "send_to_rank is 2; the launch has cores 0..1"),
        (send(tile22, tile22, 1, -1), "recv_from_rank is -1"),
        (send(tile22, lambda: sbuf((2, 3)), 1, 1), "shape and type must be the same"),
        (send(tile22, lambda: sbuf((2, 2), "bfloat16"), 1, 1), "shape and type must be the same"),
        (send(tile22, lambda: sbuf((4, 1)), 1, 1), "shape and type must be the same"),
        (send(lambda: hbm(X), lambda: hbm(X), 1, 1), "src is a hbm tensor"),
    ],
)
def test_refused_exchanges(kernel: Callable[..., Any], message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        jit(kernel)[2](X)


def test_exchange_needs_two_cores() -> None:
    with pytest.raises(SimulationError, match="needs a launch on two cores"):
        jit(send(tile22, tile22, 1, 1))(X)


def test_exchange_needs_gen3() -> None:
    with pytest.raises(SimulationError, match="needs gen3"):
        jit(send(tile22, tile22, 1, 1), platform_target="trn1")[2](X)


def test_barrier_with_cores_that_are_not_there() -> None:
    def kernel(x: Any) -> Any:
        nisa.core_barrier(x, (0, 1, 2))
        return x

    with pytest.raises(SimulationError, match=r"cores are \(0, 1, 2\)"):
        jit(kernel)[2](X)


def test_error_on_one_core_ends_the_launch() -> None:
    def kernel(x: Any) -> Any:
        if nl.program_id(0) == 1:
            raise KeyError("mine")
        nisa.core_barrier(x, (0, 1))
        return x

    with pytest.raises(KeyError, match="mine"):
        jit(kernel)[2](X)


def test_barrier_of_two_cores_needs_gen3() -> None:
    def kernel(x: Any) -> Any:
        nisa.core_barrier(x, (0, 1))
        return x

    with pytest.raises(SimulationError, match=r"nisa\.core_barrier needs gen3 or newer, the target is gen2"):
        jit(kernel, platform_target="trn1")[2](X)
