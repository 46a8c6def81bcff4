"""MX operands for tests: packed arrays and scales as HBM has them, and the values that they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import nki.isa as nisa
import nki.language as nl
import numpy as np
from numpy_ref import mx_dequant

from nkisim.core.dtypes import dtype_of

E4M3, E5M2, E2M1 = "float8_e4m3fn_x4", "float8_e5m2_x4", "float4_e2m1fn_x4"
NARROW = {E4M3: ml_dtypes.float8_e4m3fn, E5M2: ml_dtypes.float8_e5m2, E2M1: ml_dtypes.float4_e2m1fn}
LARGEST = {E4M3: 448.0, E5M2: 57344.0, E2M1: 6.0}


def packed(values: Any, dtype: str = E4M3) -> Any:
    """Values that an MX type can hold as packed elements, a quarter as many columns; the first lowest."""
    raw = np.ascontiguousarray(values.astype(NARROW[dtype])).view(np.uint8)
    if dtype == E2M1:
        raw = np.ascontiguousarray(raw[..., 0::2] | raw[..., 1::2] << 4)
    return raw.view(dtype_of(dtype).numpy)


@dataclass
class Operand:
    """values: float64 ``[P, tiles, N, 4]``; raw: packed ``[P, tiles, N]``; scales: uint8 ``[P/8, tiles, N]``."""

    values: Any
    raw: Any
    scales: Any


def drawn_mx(partitions: int, tiles: int, columns: int, dtype: str, seed: int = 0) -> Operand:
    """Values of about 1 with scales of each group's own."""
    random = np.random.default_rng(seed)
    shape = (partitions, tiles * columns * 4)
    elements = random.uniform(-1, 1, shape) * LARGEST[dtype]
    elements = elements.astype(np.float32).astype(NARROW[dtype]).astype(np.float32)
    largest = int(np.log2(LARGEST[dtype]))
    scales = random.integers(124 - largest, 128 - largest, (partitions // 8, tiles * columns)).astype(
        np.uint8
    )
    return Operand(
        values=mx_dequant(elements, scales).reshape(partitions, tiles, columns, 4),
        raw=packed(elements, dtype).reshape(partitions, tiles, columns),
        scales=scales.reshape(-1, tiles, columns),
    )


def decoded(codes: Any) -> Any:
    """float32 of e4m3fn bytes: sign, 4 bits of exponent (bias 7), 3 of mantissa."""
    exponent, mantissa = codes >> 3 & 15, (codes & 7).astype(np.float32)
    normal = (1 + mantissa / 8) * 2.0 ** (exponent.astype(int) - 7)
    size = np.where(exponent == 0, mantissa / 8 * 2.0**-6, normal)
    return np.where(codes >> 7 == 1, -size, size).astype(np.float32)


def placed(scales: Any, tile: Any) -> Any:
    """Scales of HBM ``[P / 8, …]`` in a tile: row r on partition 32·(r // 4) + r % 4."""
    for row in range(scales.shape[0]):
        partition = 32 * (row // 4) + row % 4
        nisa.dma_copy(dst=tile[partition : partition + 1], src=scales[row : row + 1])
    return tile


def scales_in_sbuf(scales: Any) -> Any:
    """The same in a new tile of 128 partitions; the others stay undefined."""
    return placed(scales, nl.ndarray((128, *scales.shape[1:]), dtype=nl.uint8, buffer=nl.sbuf))


def columns_of(inner: int) -> list[Any]:
    """Which columns of I lie where: for each tile of 512, ``[c/4, 4]`` with c columns."""
    result = []
    for start in range(0, inner, 512):
        rows = min(512, inner - start) // 4
        result.append(start + np.arange(4)[None, :] * rows + np.arange(rows)[:, None])
    return result


def on_partitions(y: Any, fill: float = 0.0) -> Any:
    """``[T, I]`` as ``[128, ⌈I/512⌉, T, 4]``, ``fill`` where no column is."""
    places = columns_of(y.shape[1])
    out = np.full((128, len(places), y.shape[0], 4), fill, y.dtype)
    for tile, columns in enumerate(places):
        out[: len(columns), tile] = y[:, columns].transpose(1, 0, 2)
    return out


def cores() -> tuple[int, int]:
    return (nl.num_programs(0), nl.program_id(0)) if nl.program_ndim() else (1, 0)


def own(x: Any, dim: int) -> Any:
    """A core's part of a dimension; None stays None."""
    if x is None:
        return None
    count, index = cores()
    size = x.shape[dim] // count
    return x[(slice(None),) * dim + (slice(index * size, (index + 1) * size),)]
