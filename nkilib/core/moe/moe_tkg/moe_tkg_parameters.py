"""What :func:`.moe_tkg.moe_tkg` is asked to do, in groups, and the MLP that one expert is."""

from typing import Any

import nki.language as nl

from ....blocks.lnc import Cores, cores, split
from ....blocks.memory import PARTITIONS
from ....blocks.tiles import as_view
from ...mlp.mlp_parameters import MLPParameters, get_T_from_hidden_input
from ...utils.allocator import sizeinbytes
from ...utils.common_types import ExpertAffinityScaleMode, GateUpDim, QuantizationType
from ...utils.tensor_view import TensorView
from ..experts import Experts, hidden_size, inner_size

LARGE_EXPERT = 3072 * 1536
"""From so many elements of ``H·I`` on, cores divide H, not the tokens that select their experts."""


class Routing(nl.NKIObject):
    """Which experts a token has, and their weights.

    Attributes:
        affinities: ``[T, E]``. index: ``[T, K]``. eager: ``[T, K]`` or None. rank: ``[1, 1]`` or None.
        masked: whether affinities of experts that the index does not name count as 0. mode: POST_SCALE, or
            NO_SCALE.
    """

    affinities: Any
    index: Any
    eager: Any
    rank: Any
    masked: bool
    mode: ExpertAffinityScaleMode


class Request(nl.NKIObject):
    """Everything. ``hidden_scale`` is None unless ``hidden`` is quantised."""

    hidden: Any
    hidden_scale: Any
    experts: Experts
    routing: Routing
    output_dtype: Any
    output_in_sbuf: bool


def token_count(request: Request) -> int:
    return get_T_from_hidden_input(request.hidden, request.hidden_scale)


def is_scaled(routing: Routing) -> bool:
    return routing.mode == ExpertAffinityScaleMode.POST_SCALE


def shares_tokens(request: Request) -> bool:
    """Whether each core takes some of the tokens that select their experts, with all of H."""
    large = hidden_size(request.experts) * inner_size(request.experts) >= LARGE_EXPERT
    return token_count(request) > 1 and not large


def moves_weights(experts: Experts) -> bool:
    """Whether the weights move through TensorE, up to 512 columns in an instruction, and sums are ``[T, H]``.

    16-bit weights pass it faster than DMA brings them. Those of 8 bits do not: there up to 64 tokens move, in
    half the time but with four times as many instructions.
    """
    return bool(sizeinbytes(experts.down.dtype) > 1)


def expert_mlp(request: Request, index: Any) -> MLPParameters:
    """One expert as an MLP; ``index`` is a number, or an int32 ``[1, 1]`` in SBUF."""
    experts = request.experts
    gate, up = GateUpDim.GATE.value, GateUpDim.UP.value
    weights, gating = as_view(experts.gate_up).select(0, index), experts.gating
    row, moving = experts.kind == QuantizationType.ROW, moves_weights(experts)
    scales = experts.gate_up_scale if row else None
    return MLPParameters(
        hidden_tensor=request.hidden,
        gate_proj_weights_tensor=weights.select(1, gate),
        up_proj_weights_tensor=weights.select(1, up),
        down_proj_weights_tensor=as_view(experts.down).select(0, index),
        gate_proj_bias_tensor=_row(experts.gate_up_bias, index, gate),
        up_proj_bias_tensor=_row(experts.gate_up_bias, index, up),
        down_proj_bias_tensor=_hidden_row(experts.down_bias, index),
        activation_fn=gating.function,
        quantization_type=experts.kind,
        gate_w_scale=_row(scales, index, gate),
        up_w_scale=_row(scales, index, up),
        down_w_scale=_hidden_row(experts.down_scale if row else None, index),
        gate_clamp_upper_limit=gating.gate[0],
        gate_clamp_lower_limit=gating.gate[1],
        up_clamp_upper_limit=gating.up[0],
        up_clamp_lower_limit=gating.up[1],
        use_tkg_gate_up_proj_column_tiling=moving,
        use_tkg_down_proj_column_tiling=moving,
    )


def _row(tensor: Any, index: Any, which: int) -> Any:
    """``[1, I]`` of ``[E, 2, I]``; None stays None."""
    if tensor is None:
        return None
    return as_view(tensor).select(0, index).slice(0, which, which + 1)


def _hidden_row(tensor: Any, index: Any) -> Any:
    """``[1, H]`` of ``[E, H]``; None stays None."""
    if tensor is None:
        return None
    return as_view(tensor).select(0, index).expand_dim(0)


class Share(nl.NKIObject):
    """A core's part: ``here`` are the cores that divide H, tokens ``first`` to ``first + count - 1``."""

    here: Cores
    first: int
    count: int


def share_of(request: Request, by_tokens: bool) -> Share:
    """This core's part, of the tokens or of H."""
    tokens = token_count(request)
    if not by_tokens:
        return Share(here=cores(), first=0, count=tokens)
    first, count = split(tokens, cores())
    return Share(here=cores(alone=True), first=first, count=count)


def own_columns(rows: TensorView, here: Cores) -> TensorView:
    """This core's columns of ``[T, H]``."""
    start, size = split(rows.shape[1], here, PARTITIONS)
    return rows.slice(1, start, start + size)
