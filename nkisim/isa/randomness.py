"""Random numbers. Each core has one seeded generator; its numbers are not those of the hardware's
generators."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.context import state
from ..core.dtypes import INTEGER, Array, float32, int64, uint32
from ..core.memory import SBUF
from ..core.tensor import Tensor
from . import rules
from .common import F32, instruction, operand, operand_limit, put, vector
from .constants import engine

_UNKNOWN = engine.unknown
_WORDS = {engine.gpsimd: 6, engine.vector: 24}
_SAVED = 0x53494D31
_MASK = 0xFFFFFFFF


def _bits(shape: tuple[int, ...]) -> Array:
    """32 random bits for each element. Always whole 64-bit draws, so that a saved state is the generator's
    state."""
    count = int(np.prod(shape, dtype=np.int64))
    drawn = state.running().random.bit_generator.random_raw(count)
    return np.asarray(drawn & np.uint64(_MASK), dtype=np.uint32).reshape(shape)


def _uniform(shape: tuple[int, ...]) -> Array:
    """Numbers in [0, 1), float32."""
    numbers: Array = (_bits(shape) >> np.uint32(8)).astype(F32) * F32(2.0**-24)
    return numbers


def _shape(dst: Tensor) -> tuple[int, ...]:
    return dst.shape if dst.partitioned else (1, *dst.shape)


@instruction
def rng(dst: Any, engine: engine = _UNKNOWN, name: Any = None) -> None:
    """32 random bits for each element, of which an integer type keeps the lowest.

    Buffers: SBUF or PSUM (not on gpsimd). Engines: vector; gpsimd from gen3 on. Raises SimulationError.
    """
    operand(dst, "rng", "dst")
    operand_limit(
        dst.dtype.kind == INTEGER and dst.dtype is not int64,
        "rng",
        f"dst is a {dst!r}; it must be an integer type",
    )
    if engine is not _UNKNOWN:
        rules.check_engine("rng", engine, dst)
    bits = _bits(_shape(dst)).astype(f"u{dst.dtype.itemsize}")
    put(dst, bits.view(dst.dtype.numpy) if dst.dtype.numpy != np.bool_ else bits & 1, "rng")


@instruction
def rand2(dst: Any, min: Any, max: Any, name: Any = None) -> None:
    """Uniform numbers from min to max (scalars or ``[P, 1]`` tiles, min < max), converted to dst.

    From gen4 on. Buffers: SBUF or PSUM. Raises SimulationError.
    """
    rules.needs_generation("rand2")
    operand(dst, "rand2", "dst")
    values = _uniform(_shape(dst))
    low, high = vector(min, values, "rand2", "min"), vector(max, values, "rand2", "max")
    operand_limit(bool(np.all(low < high)), "rand2", "min must be less than max")
    put(dst, low + values * (high - low), "rand2")


@instruction
def dropout(dst: Any, data: Any, prob: Any, name: Any = None) -> None:
    """data with each element replaced by 0 with probability prob, a scalar or a ``[P, 1]`` tile.

    dst has data's element type; a tile of probabilities is float32, or any float for data of floats.
    Buffers: SBUF or PSUM. Raises SimulationError.
    """
    operand(dst, "dropout", "dst")
    operand(data, "dropout", "data")
    rules.same_type("dropout", data, dst, ("data", "dst"))
    if isinstance(prob, Tensor):
        of_integers = data.dtype.kind == INTEGER
        rules.dtype_in("dropout", prob, "prob", (float32,) if of_integers else rules.FLOATS)
    values = data.read_raw()
    drops = _uniform(values.shape) < vector(prob, values, "dropout", "prob")
    put(dst, np.where(drops, np.zeros((), values.dtype), values), "dropout")


@instruction
def set_rng_seed(src_seeds: Any, name: Any = None) -> None:
    """Seed the generator with one 32-bit value, a ``[1, 1]`` tile in SBUF or PSUM. Raises SimulationError."""
    operand(src_seeds, "set_rng_seed", "src_seeds")
    operand_limit(
        src_seeds.size == 1 and src_seeds.dtype.itemsize == 4,
        "set_rng_seed",
        f"src_seeds is a {src_seeds!r}; it must be one 32-bit value",
    )
    seed = int(np.ascontiguousarray(src_seeds.read_raw()).view(np.uint32).reshape(-1)[0])
    _restart(_position(np.random.PCG64(seed)))


def _position(generator: Any) -> int:
    return int(generator.state["state"]["state"])


def _restart(position: int) -> None:
    """Put the core's generator at a position of its stream; which stream it is never changes."""
    generator: Any = state.running().random.bit_generator
    inner = dict(generator.state)
    generator.state = {**inner, "state": {**inner["state"], "state": position}}


@instruction
def rand_set_state(src_seeds: Any, engine: engine = _UNKNOWN, name: Any = None) -> None:
    """Set the generator's state from uint32 seeds: 6 in a partition (gpsimd) or 24 (vector, from gen4 on).

    What :func:`rand_get_state` gave goes on from there; other seeds start a sequence of their own. From gen3
    on. Buffers: SBUF; PSUM for vector. Raises SimulationError.
    """
    _state_words("rand_set_state", src_seeds, "src_seeds", engine)
    seeds = [int(word) for word in src_seeds.read_raw().reshape(-1)]
    if seeds[4] == _SAVED:
        _restart(sum(word << (32 * i) for i, word in enumerate(seeds[:4])))
    else:
        _restart(_position(np.random.PCG64(seeds)))


@instruction
def rand_get_state(dst: Any, engine: engine = _UNKNOWN, name: Any = None) -> None:
    """The generator's state, as uint32: 6 in a partition (gpsimd) or 24 (vector, from gen4 on).

    From gen3 on. Buffers: SBUF; PSUM for vector. Raises SimulationError.
    """
    words = _state_words("rand_get_state", dst, "dst", engine)
    position = _position(state.running().random.bit_generator)
    row = np.zeros((_shape(dst)[0], words), np.uint32)
    row[:, :4] = [position >> (32 * i) & _MASK for i in range(4)]
    row[:, 4] = _SAVED
    put(dst, row, "rand_get_state")


def _state_words(name: str, tensor: Any, what: str, chosen: engine) -> int:
    rules.needs_generation(name)
    operand(tensor, name, what)
    rules.dtype_in(name, tensor, what, (uint32,))
    if chosen is not engine.unknown:
        rules.check_engine(name, chosen, tensor)
    elif state.generation == 3:
        operand(tensor, name, what, (SBUF,))
    words = int(tensor.size // _shape(tensor)[0])
    known = (
        (_WORDS[chosen],) if chosen in _WORDS else tuple(_WORDS.values()) if state.generation > 3 else (6,)
    )
    operand_limit(
        words in known, name, f"{what} is a {tensor!r}; elements in a partition must be one of {known}"
    )
    return words
