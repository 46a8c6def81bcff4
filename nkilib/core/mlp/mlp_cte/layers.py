"""The weights of context encoding with their scales and biases."""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ....blocks.memory import PARTITIONS, Scratch
from ....blocks.quantize import invert
from ....blocks.tiles import as_tile, as_view, load_rows, tiles_of
from ...utils.tensor_view import TensorView
from ..mlp_parameters import MLPParameters
from .plan import Plan


class Linear(nl.NKIObject):
    """One projection; what is None does not apply.

    Attributes:
        weight: HBM ``[K, N]``, or SBUF ``[128, ⌈K/128⌉, N]``. rows: K.
        scale: STATIC, of weights times activations, SBUF fp32 ``[128, 1]``.
        row_scale: ROW, of the columns, HBM fp32 ``[1, N]``.
        token_scale: ROW, of the activations, SBUF fp32 ``[128, tiles of a block]``, written for each block.
        bias: HBM ``[1, N]``.
    """

    weight: TensorView
    rows: int
    scale: Any
    row_scale: Any
    token_scale: Any
    bias: Any


class Layers(nl.NKIObject):
    """The three projections, and with STATIC ``1 / down_in_scale``, SBUF fp32 ``[128, 1]``."""

    gate: Linear
    up: Linear
    down: Linear
    inverse: Any


class _Entry(nl.NKIObject):
    """Scales of a projection's activations: STATIC ``[128, 1]``, ROW ``[128, tiles of a block]``, or None."""

    static: Any = None
    tokens: Any = None


def load_layers(params: MLPParameters, plan: Plan, work: Scratch) -> Layers:
    """This core's weights, in SBUF if they are to stay there, and the scales that are in SBUF."""
    quant, bias = params.quant_params, params.bias_params
    start, end = plan.inner_first, plan.inner_first + plan.inner
    source = _entry(quant.gate_up_in_scale, params, plan, work)
    middle = _entry(quant.down_in_scale, params, plan, work)
    gate = as_view(params.gate_proj_weights_tensor).slice(1, start, end)
    up = as_view(params.up_proj_weights_tensor).slice(1, start, end)
    down = as_view(params.down_proj_weights_tensor).slice(0, start, end)
    inverse = None
    if middle.static is not None:
        inverse = work.tile((PARTITIONS, 1), nl.float32)
        invert(inverse, middle.static)
    columns = (start, end)
    return Layers(
        gate=_linear(gate, quant.gate_w_scale, source, bias.gate_proj_bias_tensor, columns, plan, work),
        up=_linear(up, quant.up_w_scale, source, bias.up_proj_bias_tensor, columns, plan, work),
        down=_linear(
            down, quant.down_w_scale, middle, bias.down_proj_bias_tensor, (0, down.shape[1]), plan, work
        ),
        inverse=inverse,
    )


def _entry(scale: Any, params: MLPParameters, plan: Plan, work: Scratch) -> _Entry:
    if params.quant_params.is_quant_static():
        return _Entry(static=_loaded(scale, work), tokens=None)
    if params.quant_params.is_quant_row():
        return _Entry(static=None, tokens=work.tile((PARTITIONS, tiles_of(plan.block)), nl.float32))
    return _Entry(static=None, tokens=None)


def _loaded(scale: Any, work: Scratch) -> nl.ndarray:
    tile = work.tile((PARTITIONS, 1), nl.float32)
    nisa.dma_copy(dst=tile, src=as_tile(scale))
    return tile


def _linear(
    weight: TensorView,
    scale: Any,
    entry: _Entry,
    bias: Any,
    columns: tuple[int, int],
    plan: Plan,
    work: Scratch,
) -> Linear:
    """``columns`` (start, end) are those of scale and bias that belong to the weight."""
    static, row = None, None
    if entry.static is not None:
        static = _loaded(scale, work)
        nisa.tensor_tensor(dst=static, data1=static, data2=entry.static, op=nl.multiply)
    if entry.tokens is not None:
        row = as_view(scale).slice(0, 0, 1).slice(1, columns[0], columns[1])
    return Linear(
        weight=_resident(weight, work) if plan.resident else weight,
        rows=weight.shape[0],
        scale=static,
        row_scale=row,
        token_scale=entry.tokens,
        bias=None if bias is None else as_view(bias).slice(1, columns[0], columns[1]),
    )


def _resident(weight: TensorView, work: Scratch) -> TensorView:
    rows, columns = weight.shape
    tile = work.tile((PARTITIONS, tiles_of(rows), columns), weight.dtype)
    load_rows(tile, weight)
    return as_view(tile)
