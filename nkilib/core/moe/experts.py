"""The weights of a mixture's experts."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.activation import Gating
from ...blocks.matmul import add_row
from ...blocks.memory import PARTITIONS, PSUM_COLUMNS, Scratch
from ..utils.common_types import QuantizationType
from ..utils.tensor_view import TensorView


class Experts(nl.NKIObject):
    """The experts that are here, ``E_L`` of them; tensors of HBM, None where there is none.

    Attributes:
        gate_up, down: ``[E_L, H, 2, I]``, ``[E_L, I, H]``, or MX (see :mod:`.mx_expert`).
        gate_up_bias, down_bias: ``[E_L, 2, I]`` (or MX), ``[E_L, H]``.
        gate_up_scale, down_scale: fp32 ``[E_L, 2, I]``, ``[E_L, H]``, or MX.
        kind: NONE, ROW (the products times the scales) or MX. gating: the activation with its limits.
    """

    gate_up: Any
    down: Any
    gate_up_bias: Any
    down_bias: Any
    gate_up_scale: Any
    down_scale: Any
    kind: QuantizationType
    gating: Gating


def expert_count(experts: Experts) -> int:
    return int(experts.down.shape[0])


def hidden_size(experts: Experts) -> int:
    shape = experts.down.shape
    return int(shape[len(shape) - 1])


def inner_size(experts: Experts) -> int:
    shape = experts.gate_up.shape
    return int(shape[len(shape) - 1])


def load_bias_row(bias: TensorView, work: Scratch) -> tuple[nl.ndarray, nl.ndarray]:
    """A bias ``[1, N]`` of HBM in SBUF, and ones ``[1, 128]`` of its dtype, for :func:`add_bias_row`."""
    row = work.tile(tuple(bias.shape), bias.dtype)
    nisa.dma_copy(dst=row, src=bias.get_view())
    ones = work.tile((1, PARTITIONS), bias.dtype)
    nisa.memset(dst=ones, value=1.0, engine=nisa.gpsimd_engine)
    return row, ones


def add_bias_row(sums: nl.ndarray, row: nl.ndarray, ones: nl.ndarray) -> None:
    """Add a bias to sums in PSUM, ``[T ≤ 128, N]`` of several banks; TensorE has time for it."""
    tokens, width = sums.shape
    for start in range(0, width, PSUM_COLUMNS):
        end = min(start + PSUM_COLUMNS, width)
        add_row(sums[:, start:end], row[:, start:end], ones[:, 0:tokens])
