"""Arguments and options of the backward pass of block-wise experts."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import nki.language as nl

from ....blocks.arguments import assert_integer, assert_layout, assert_object
from ....blocks.dtypes import FLOATS, assert_dtype_parameter, assert_dtypes
from ....core.moe.moe_cte.block_inputs import check_activation, check_layouts
from ....core.moe.moe_cte.moe_cte_utils import SkipMode
from ....core.utils.common_types import ActFnType
from ....core.utils.kernel_assert import kernel_assert
from ....core.utils.kernel_helpers import get_nl_act_fn_from_type

__all__ = [
    "ActFnType",
    "AffinityOption",
    "ClampLimits",
    "DownProjOutputGradBlocking",
    "DownWeightGradBlocking",
    "GateUpOutputGradBlocking",
    "GateUpWeightGradBlocking",
    "HiddenGradBlocking",
    "KernelTypeOption",
    "MOEBwdDroplessBlockingParams",
    "MOEBwdParameters",
    "ShardOption",
    "SkipMode",
]


@dataclass
class ClampLimits(nl.NKIObject):
    """Limits of the forward pass: of the product that is not activated (linear), and of the gate; or None."""

    linear_clamp_upper_limit: float | None = None
    linear_clamp_lower_limit: float | None = None
    non_linear_clamp_upper_limit: float | None = None
    non_linear_clamp_lower_limit: float | None = None

    def __repr__(self) -> str:
        linear = f"linear_{self.linear_clamp_lower_limit}_{self.linear_clamp_upper_limit}"
        gate = f"non_linear_{self.non_linear_clamp_lower_limit}_{self.non_linear_clamp_upper_limit}"
        return f"{linear}_{gate}"


class ShardOption(Enum):
    """What cores divide."""

    AUTO = 0
    SHARD_ON_HIDDEN = 1
    SHARD_ON_INTERMEDIATE = 2
    BASELINE_LNC1 = 3


class AffinityOption(Enum):
    """What the affinity multiplied in the forward pass: the result, or the intermediate."""

    AFFINITY_ON_H = 0
    AFFINITY_ON_I = 1


class KernelTypeOption(Enum):
    """Whether tokens may have been dropped."""

    DROPPING = 0
    DROPLESS = 1


@dataclass
class DownProjOutputGradBlocking(nl.NKIObject):
    """Tiles of H that are processed together in the gradient of what the down projection gave."""

    block_h: int = 8


@dataclass
class GateUpOutputGradBlocking(nl.NKIObject):
    """Tiles of H, of a block's tokens and of I, in the gradients of the first products."""

    block_h: int = 8
    block_b: int = 2
    block_i: int = 2


@dataclass
class DownWeightGradBlocking(nl.NKIObject):
    """Tiles of H, of a block's tokens and of I, in the gradient of the down weights."""

    block_h: int = 2
    block_b: int = 4
    block_i: int = 8


@dataclass
class HiddenGradBlocking(nl.NKIObject):
    """Tiles of H, of a block's tokens and of I, in the gradient of the hidden state."""

    block_h: int = 2
    block_b: int = 4
    block_i: int = 8


@dataclass
class GateUpWeightGradBlocking(nl.NKIObject):
    """Tiles of H, of a block's tokens and of I, in the gradient of the gate and up weights."""

    block_h: int = 4
    block_b: int = 4
    block_i: int = 4


@dataclass
class MOEBwdDroplessBlockingParams(nl.NKIObject):
    """How many tiles the steps process together; the defaults where they are None.

    They change no result, and this library's kernel, which plans its own tiles, does not use them.
    """

    down_proj_output_grad: DownProjOutputGradBlocking | None = None
    gate_up_output_grad: GateUpOutputGradBlocking | None = None
    down_weight_grad: DownWeightGradBlocking | None = None
    hidden_grad: HiddenGradBlocking | None = None
    gate_up_weight_grad: GateUpWeightGradBlocking | None = None

    def __post_init__(self) -> None:
        if self.down_proj_output_grad is None:
            self.down_proj_output_grad = DownProjOutputGradBlocking()
        if self.gate_up_output_grad is None:
            self.gate_up_output_grad = GateUpOutputGradBlocking()
        if self.down_weight_grad is None:
            self.down_weight_grad = DownWeightGradBlocking()
        if self.hidden_grad is None:
            self.hidden_grad = HiddenGradBlocking()
        if self.gate_up_weight_grad is None:
            self.gate_up_weight_grad = GateUpWeightGradBlocking()


@dataclass
class MOEBwdParameters(nl.NKIObject):
    """A backward pass: tensors in HBM, the gradients that it fills among them, and options.

    Attributes:
        hidden_states … output_hidden_states_grad, down_proj_act_checkpoint, block_size … activation_type: see
            :func:`.blockwise_mm_backward.blockwise_mm_bwd`.
        hidden_states_grad, expert_affinities_masked_grad, gate_up_proj_weight_grad, down_proj_weight_grad:
            results, shaped like what they are the gradients of.
        gate_and_up_proj_bias_grad, down_proj_bias_grad: ``[E, 2, I]``, ``[E, H]``, both or neither.
        skip_dma, clamp_limits, blocking_params: SkipMode, ClampLimits, MOEBwdDroplessBlockingParams; their
            defaults where they are None.
        T, H, I_TP, E, N: rows and columns of the hidden state, columns of the gate, experts, blocks; taken
            from the tensors, whatever is given.

    Raises AssertionError for weights whose shapes do not fit each other.
    """

    hidden_states: nl.ndarray
    expert_affinities_masked: nl.ndarray
    gate_up_proj_weight: nl.ndarray
    gate_up_proj_act_checkpoint_T: nl.ndarray
    down_proj_weight: nl.ndarray
    token_position_to_id: nl.ndarray
    block_to_expert: nl.ndarray
    output_hidden_states_grad: nl.ndarray
    hidden_states_grad: nl.ndarray
    expert_affinities_masked_grad: nl.ndarray
    gate_up_proj_weight_grad: nl.ndarray
    down_proj_weight_grad: nl.ndarray
    gate_and_up_proj_bias_grad: nl.ndarray | None = None
    down_proj_bias_grad: nl.ndarray | None = None
    down_proj_act_checkpoint: nl.ndarray | None = None
    block_size: int = 512
    skip_dma: Any = None
    compute_dtype: Any = nl.bfloat16
    is_tensor_update_accumulating: bool = True
    clamp_limits: Any = None
    activation_type: ActFnType = ActFnType.SiLU
    blocking_params: Any = None
    T: Any = None
    H: Any = None
    I_TP: Any = None
    E: Any = None
    N: Any = None

    def __post_init__(self) -> None:
        check_layouts(self.gate_up_proj_weight, self.down_proj_weight)
        assert_dtype_parameter(self.compute_dtype, FLOATS, "compute_dtype")
        assert_integer(self.block_size, "block_size", 1)
        assert_layout(self.token_position_to_id, 1, "[N·B]", "token_position_to_id")
        assert_layout(self.hidden_states, 2, "[R, H]", "hidden_states")
        self.T, self.H = self.hidden_states.shape
        self.E, self.I_TP = self.gate_up_proj_weight.shape[0], self.gate_up_proj_weight.shape[3]
        self.N = self.token_position_to_id.shape[0] // self.block_size
        if self.skip_dma is None:
            self.skip_dma = SkipMode()
        if self.clamp_limits is None:
            self.clamp_limits = ClampLimits()
        if self.blocking_params is None:
            self.blocking_params = MOEBwdDroplessBlockingParams()
        assert_object(self.skip_dma, SkipMode, "skip_dma")
        assert_object(self.clamp_limits, ClampLimits, "clamp_limits")

    def validate(self) -> None:
        """Raise AssertionError for sizes, activations and element types that the kernel does not take."""
        block, inner, hidden = self.block_size, self.I_TP, self.H
        known = block == 128 or block == 256 or block == 512 or block == 1024
        kernel_assert(known, f"block_size must be 128, 256, 512, or 1024, got {block}")
        kernel_assert(inner % 2 == 0, f"I_TP must be divisible by 2, got {inner}")
        kernel_assert(hidden % 2 == 0, f"H must be divisible by 2, got {hidden}")
        check_activation(self.activation_type)
        self._validate_types()

    def _validate_types(self) -> None:
        """Gradients have the types of what they belong to, and add up in them."""
        tensors = (
            (self.hidden_states, "hidden_states"),
            (self.expert_affinities_masked, "expert_affinities_masked"),
            (self.gate_up_proj_weight, "gate_up_proj_weight"),
            (self.down_proj_weight, "down_proj_weight"),
            (self.output_hidden_states_grad, "output_hidden_states_grad"),
            (self.gate_up_proj_act_checkpoint_T, "gate_up_proj_act_checkpoint_T"),
            (self.down_proj_act_checkpoint, "down_proj_act_checkpoint"),
        )
        assert_dtypes(tensors, FLOATS)

    def validate_sharding(self, num_shards: int) -> None:
        """Raise AssertionError unless so many cores can divide H and I."""
        inner, hidden = self.I_TP, self.H
        kernel_assert(
            hidden % num_shards == 0,
            f"Hidden dim H={hidden} must be divisible by num_shards={num_shards} to initialize the gradients",
        )
        kernel_assert(
            hidden // num_shards % 32 == 0,
            f"H dim when sharded by num_shards={num_shards} must be divisible by 32 for DMA transpose, "
            f"got sharded H as {hidden // num_shards}",
        )
        kernel_assert(
            inner % num_shards == 0 and inner // num_shards % 32 == 0,
            f"I_TP dim when sharded by num_shards={num_shards} must be divisible by 32 for DMA transpose, "
            f"got sharded I_TP as {inner // num_shards}",
        )

    def get_activation_ops(self) -> tuple[Any, Any]:
        """The activation, and its derivative."""
        check_activation(self.activation_type)
        return get_nl_act_fn_from_type(self.activation_type), derivative_of(self.activation_type)


def derivative_of(function: ActFnType) -> Any:
    """Of SiLU or Swish, as ``nki.language`` has it."""
    return nl.silu_dx if function == ActFnType.SiLU else nl.gelu_apprx_sigmoid_dx
