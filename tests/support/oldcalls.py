"""Source texts of 2.27 calls, made from the release table: how many arguments stand by position varies.

A subject says how to make the arguments of one callable, and what of its result can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nkimigrate.codemods.release import CallChange, OldForm, Release
from nkimigrate.codemods.signature import first_break

HOST = """\
import ml_dtypes
import numpy as np
import nki
import nki.isa as nisa
import nki.language as nl
from {root}.core.utils.common_types import ActFnType, NormType, QKVOutputLayout, QuantizationType

draw = np.random.default_rng(7)


def bf16(*shape):
    return (draw.normal(size=shape) * 0.25).astype(ml_dtypes.bfloat16)


def tensor(*shape):
    return nl.ndarray(shape, dtype=nl.bfloat16, buffer=nl.hbm)


"""
KERNEL = """\
@nki.jit{target}
def kernel({names}):
    {before}output = {call}
    {after}return output


result = kernel{launch}({names})
"""
# A tensor that a norm left in SBUF goes to HBM.
COPIED = """\
stored = nl.ndarray(output.shape, dtype=output.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=stored, src=output)
    output = stored
    """


@dataclass(frozen=True)
class Subject:
    """How a callable is called.

    Attributes:
        name: its new qualified name. values: parameter → source of its argument, by old or new names.
        setup: source that makes the arguments. shown: how the result becomes comparable, ``{}`` is the call.
        kernel: names of the tensors, when the call stands in a kernel. before: lines of the kernel in front of it.
        launch: subscript of what is called from the host. called: how a kernel that was not jitted then is launched.
        target: the platform of a kernel that holds the call, unless it is trn2.
    """

    name: str
    values: dict[str, str]
    setup: str = ""
    shown: str = "{}"
    kernel: str = ""
    before: str = ""
    launch: str = ""
    called: str = "{}"
    target: str = ""
    id: str = ""


PLAIN = """

def plain(value):
    inner = str(type(value).__module__).startswith("nkilib.core.mlp")
    return {name: plain(part) for name, part in vars(value).items()} if inner else str(value)


"""
MLP = """\
hidden = bf16(1, 4, 256)
gate, up, down = bf16(256, 128), bf16(256, 128), bf16(128, 256)
gamma, gate_bias, up_bias, down_bias = bf16(1, 256), bf16(1, 128), bf16(1, 128), bf16(1, 256)
"""
MLP_VALUES = {
    "hidden_tensor": "hidden",
    "gate_proj_weights_tensor": "gate",
    "up_proj_weights_tensor": "up",
    "down_proj_weights_tensor": "down",
    "normalization_weights_tensor": "gamma",
    "gate_proj_bias_tensor": "gate_bias",
    "up_proj_bias_tensor": "up_bias",
    "down_proj_bias_tensor": "down_bias",
    "normalization_bias_tensor": "None",
    "fused_add_tensor": "hidden",
    "store_fused_add_result": "True",
    "activation_fn": "ActFnType.GELU",
    "normalization_type": "NormType.RMS_NORM",
    "quantization_type": "QuantizationType.NONE",
    "output_dtype": "nl.float32",
    "store_output_in_sbuf": "False",
    "eps": "1e-3",
    "skip_gate_proj": "False",
    "use_tkg_gate_up_proj_column_tiling": "False",
    "use_tkg_down_proj_column_tiling": "False",
    "use_tkg_down_proj_optimized_layout": "False",
    "force_cte_mode": "False",
    "shard_on_k": "False",
}
QKV = """\
hidden, weights = bf16(1, 4, 256), bf16(256, 384)
bias, before, attention, gamma = bf16(1, 384), bf16(1, 4, 256), bf16(1, 4, 256), bf16(1, 256)
"""
NORM = "x, gamma = bf16(1, 4, 256), bf16(1, 256)\n"
RMS = {
    "inp": "x", "input": "x", "gamma": "gamma", "eps": "1e-3", "hidden_actual": "200",
    "output_in_sbuf": "False", "hidden_dim_tp": "True", "use_heap_memory": "True",
}  # fmt: skip
BLOCKS = """\
from {root}.core.moe.moe_cte.moe_cte_utils import SkipMode
from {root}.core.utils.common_types import ExpertAffinityScaleMode

tokens, affinities = bf16(151, 512), draw.random((151 * 2, 1), dtype=np.float32)
"""
# Each token in a block of each expert; the place behind the last token is padding, then a block without tokens.
SHARDED_INNER = f"""{BLOCKS}
gate_up, down = bf16(2, 512, 2, 32), bf16(2, 32, 512)
gate_up_bias, down_bias = bf16(2, 2, 32), bf16(2, 512)
places = np.concatenate([draw.permutation(256), draw.permutation(256), np.full(256, 150)])
places, owners = np.minimum(places, 150).astype(np.int32), np.array([0, 1, 1], np.int32)
active = np.array([1, 1, 0, 0], np.int32)
"""
SHARDED_BLOCKS = f"""{BLOCKS}
gate_up = draw.integers(0, 2**16, (2, 128, 2, 1, 64), dtype=np.uint16)
down = draw.integers(0, 2**16, (2, 16, 1, 512), dtype=np.uint16)
gate_up_scale = draw.integers(116, 120, (2, 16, 2, 1, 64), dtype=np.uint8)
down_scale = draw.integers(116, 120, (2, 2, 1, 512), dtype=np.uint8)
gate_up_bias, down_bias = bf16(2, 16, 2, 1, 4), bf16(2, 512)
places = np.concatenate([draw.permutation(151)[:128], draw.permutation(151)[:128], np.full(128, 150)])
places, owners = places.astype(np.int32), np.array([0, 1, 1], np.int32)
active = np.array([1, 1, 0, 0, 0], np.int32)
"""
BLOCK_VALUES = {
    "hidden_states": "tokens", "expert_affinities_masked": "affinities", "gate_up_proj_weight": "gate_up",
    "down_proj_weight": "down", "token_position_to_id": "places", "block_to_expert": "owners",
    "conditions": "active", "gate_and_up_proj_bias": "gate_up_bias", "down_proj_bias": "down_bias",
    "gate_up_activations_T": "None", "down_activations": "None",
    "activation_function": "ActFnType.Swish", "skip_dma": "SkipMode(True, False)", "compute_dtype": "nl.bfloat16",
    "is_tensor_update_accumulating": "True",
    "expert_affinities_scaling_mode": "ExpertAffinityScaleMode.POST_SCALE", "n_block_per_iter": "1",
    "gate_clamp_upper_limit": "0.3", "gate_clamp_lower_limit": "-0.4", "up_clamp_lower_limit": "-0.5",
    "up_clamp_upper_limit": "0.6",
}  # fmt: skip
ATTENTION_BLOCK = """\
x, gamma, w_qkv, w_out = bf16(2, 2, 512), bf16(1, 512), bf16(512, 256), bf16(128, 512)
bias_qkv, bias_out, sink = bf16(1, 256), bf16(1, 512), bf16(2, 1).astype(np.float32)
angles = draw.uniform(-3, 3, (32, 2, 2))
cos, sin = np.cos(angles).astype(ml_dtypes.bfloat16), np.sin(angles).astype(ml_dtypes.bfloat16)
keys, values, mask = bf16(2, 256, 64), bf16(2, 256, 64), draw.integers(0, 2, (256, 2, 2, 2), dtype=np.uint8)
mask[254:] = np.tri(2, dtype=np.uint8).T[:, None, None]
slots = np.array([[5], [90]], np.uint32)
"""
ATTENTION_BLOCK_VALUES = {
    "X": "x", "X_hidden_dim_actual": "400", "rmsnorm_X_enabled": "True", "rmsnorm_X_eps": "1e-2",
    "rmsnorm_X_gamma": "gamma", "W_qkv": "w_qkv", "bias_qkv": "bias_qkv",
    "quantization_type_qkv": "QuantizationType.NONE", "weight_dequant_scale_qkv": "None",
    "input_dequant_scale_qkv": "None", "rmsnorm_QK_pre_rope_enabled": "False",
    "rmsnorm_QK_pre_rope_eps": "1e-3", "cos": "cos", "sin": "sin", "rope_contiguous_layout": "False",
    "rmsnorm_QK_post_rope_enabled": "False", "rmsnorm_QK_post_rope_eps": "1e-4",
    "rmsnorm_QK_post_rope_W_Q": "None", "rmsnorm_QK_post_rope_W_K": "None", "K_cache_transposed": "False",
    "active_blocks_table": "None", "K_cache": "keys", "V_cache": "values", "attention_mask": "mask",
    "sink": "sink", "update_cache": "True", "kv_cache_update_idx": "slots", "W_out": "w_out",
    "bias_out": "bias_out", "quantization_type_out": "QuantizationType.NONE",
    "weight_dequant_scale_out": "None", "input_dequant_scale_out": "None", "transposed_out": "False",
    "out_in_sb": "False", "sbm": "None", "skip_attention": "False",
}  # fmt: skip
SUBJECTS = (
    Subject("nkilib.core.mlp.mlp.mlp", MLP_VALUES, MLP, "list({})", launch="[2]"),
    Subject(
        "nkilib.core.mlp.mlp_parameters.MLPParameters",
        MLP_VALUES,
        MLP.replace("bf16", "tensor") + PLAIN,
        "plain({})",
    ),
    Subject(
        "nkilib.core.mlp.mlp_parameters.MLPQuantizationParameters",
        {"quantization_type": "QuantizationType.ROW", **{f"{n}_w_scale": f"'{n}'" for n in ("gate", "up", "down")},
         "gate_up_in_scale": "'in'", "down_in_scale": "'down in'"},
        shown="vars({})",
    ),
    Subject(
        "nkilib.core.qkv.qkv.qkv",
        {"input": "hidden", "fused_qkv_weights": "weights", "output_layout": "QKVOutputLayout.BSD", "bias": "bias",
         "fused_residual_add": "True", "mlp_prev": "before", "attention_prev": "attention",
         "fused_norm_type": "NormType.RMS_NORM", "gamma_norm_weights": "gamma", "norm_eps": "1e-3",
         "d_head": "128", "num_q_heads": "1", "num_kv_heads": "1", "store_output_in_sbuf": "False"},
        QKV,
        "list({})",
    ),
    Subject(
        "nkilib.core.qkv.qkv_tkg.qkv_tkg",
        {"hidden": "hidden", "qkv_w": "weights", "norm_w": "gamma", "fused_add": "False", "d_head": "128",
         "output_layout": "QKVOutputLayout.NBSd", "eps": "1e-3", "norm_type": "NormType.RMS_NORM",
         "output_in_sbuf": "False", "qkv_bias": "bias"},
        QKV,
        kernel="hidden, weights, gamma, bias",
    ),
    Subject(
        "nkilib.core.qkv.qkv_cte.qkv_cte",
        {"input": "hidden", "fused_qkv_weights": "weights", "output_layout": "QKVOutputLayout.BSD", "bias": "bias",
         "fused_residual_add": "False", "fused_norm_type": "NormType.RMS_NORM", "gamma_norm_weights": "gamma",
         "norm_eps": "1e-3", "fused_rope": "False", "d_head": "128", "num_q_heads": "1", "num_kv_heads": "1",
         "store_output_in_sbuf": "False", "use_auto_allocation": "True", "load_input_with_DMA_transpose": "False"},
        QKV.replace("1, 4, 256", "1, 128, 256"),
        kernel="hidden, weights, gamma, bias",
    ),
    Subject(
        "nkilib.core.output_projection.output_projection_tkg.output_projection_tkg",
        {"attention": "attention", "weight": "weight", "bias": "bias", "TRANSPOSE_OUT": "True", "OUT_IN_SB": "False"},
        "attention, weight, bias = bf16(128, 1, 2, 4), bf16(256, 512), bf16(1, 512)\n",
        launch="[2]",
    ),
    Subject(
        "nkilib.core.output_projection.output_projection_cte.output_projection_cte",
        {"attention": "attention", "weight": "weight", "bias": "bias", "out_proj_is_static_quantized": "True",
         "static_quant_input_scale_hbm": "in_scale", "static_quant_weight_scale_hbm": "weight_scale"},
        "attention, weight, bias = bf16(1, 2, 128, 128), bf16(256, 512), bf16(1, 512)\n"
        "weight = weight.astype(ml_dtypes.float8_e4m3)\n"
        "in_scale, weight_scale = np.full((128, 1), 0.02, np.float32), np.full((128, 1), 0.5, np.float32)\n",
    ),
    Subject(
        "nkilib.core.subkernels.rmsnorm_tkg.rmsnorm_tkg",
        {**RMS, "output": "made"},
        NORM,
        kernel="x, gamma",
        before="made = nl.ndarray((128, 4, 2), dtype=x.dtype, buffer=nl.shared_hbm)\n    ",
    ),
    Subject(
        "nkilib.core.subkernels.rmsnorm_tkg.rmsnorm_tkg",
        {**RMS, "output_in_sbuf": "True"},
        NORM,
        kernel="x, gamma",
        id="in_sbuf",
    ),
    Subject(
        "nkilib.core.subkernels.rmsnorm_tkg.rmsnorm_tkg",
        {**RMS, "output_in_sbuf": "True", "sbm": "manager"},
        f"from {{root}}.core.utils.allocator import SbufManager\n\n{NORM}",
        kernel="x, gamma",
        before="manager = SbufManager(0, 128 * 1024)\n    manager.open_scope()\n    ",
        id="managed",
    ),
    Subject(
        "nkilib.core.subkernels.layernorm_tkg.layernorm_tkg",
        {"inp": "x", "gamma": "gamma", "beta": "beta", "eps": "1e-3", "output_in_sbuf": "True", "use_heap_memory": "False"},
        "x, gamma, beta = bf16(1, 4, 256), bf16(1, 256), bf16(1, 256)\n",
        kernel="x, gamma, beta",
    ),
    Subject(
        "nkilib.core.rmsnorm.rmsnorm_quant.RmsNormQuantKernelArgs",
        {"lower_bound": "2.0", "norm_type": "NormType.NO_NORM", "eps": "1e-3"},
        shown="vars({})",
    ),
    Subject(
        "nkilib.core.attention.attention_cte.AttnConfig",
        {"seqlen_q": "4", "d": "64", "scale": "0.5", "cache_softmax": "True", "softmax_dtype": "np.float32"},
        shown="vars({})",
    ),
    Subject(
        "nkilib.core.utils.allocator.Scope",
        {"starting_addr": "64", "num_sections": "3", "cur_section_id": "2", "name": "'norm'"},
        shown="vars({})",
    ),
    Subject(
        "nkilib.core.utils.logging.Logger", {"name": "'qkv'", "level": "None"}, shown="vars({})",
    ),
    Subject(
        "nkilib.core.utils.tiled_range.TiledRangeIterator",
        {"tile_size": "128", "tile_index": "2", "start_offset": "256"},
        shown="vars({})",
    ),
    Subject(
        "nkilib.core.utils.tensor_view.TensorView",
        {"base_tensor": "x", "sizes": "[4, 8]", "shape": "[4, 8]", "strides": "[16, 2]", "offset": "3"},
        "x = nl.ndarray((4, 16), dtype=nl.float32, buffer=nl.hbm)\n",
        shown="[str(part) for part in vars({}).values()]",
    ),
    Subject(
        "nkilib.core.moe.moe_tkg.moe_tkg.moe_tkg",
        {"hidden_input": "tokens", "expert_gate_up_weights": "gate_up", "expert_down_weights": "down",
         "expert_affinities": "affinities", "expert_index": "chosen", "is_all_expert": "True", "rank_id": "rank",
         "expert_gate_up_bias": "gate_up_bias", "expert_down_bias": "down_bias", "mask_unselected_experts": "True",
         "expert_affinities_scaling_mode": "ExpertAffinityScaleMode.POST_SCALE", "activation_fn": "ActFnType.GELU",
         "output_dtype": "nl.float32", "gate_clamp_upper_limit": "0.3", "gate_clamp_lower_limit": "-0.4",
         "up_clamp_upper_limit": "0.6", "up_clamp_lower_limit": "-0.5", "output_in_sbuf": "False"},
        "from {root}.core.utils.common_types import ExpertAffinityScaleMode\n\n"
        "tokens, gate_up, down = bf16(4, 512), bf16(2, 512, 2, 32), bf16(2, 32, 512)\n"
        "gate_up_bias, down_bias = bf16(2, 2, 32), bf16(2, 512)\n"
        "affinities, rank = draw.random((4, 4), dtype=np.float32), np.array([[1]], np.uint32)\n"
        "chosen = np.array([[0, 3], [2, 3], [2, 1], [0, 1]], np.int32)\n",
        kernel="tokens, gate_up, down, affinities, chosen, rank, gate_up_bias, down_bias",
        launch="[2]",
    ),
    Subject(
        "nkilib.core.moe.moe_cte.bwmm_shard_on_I.blockwise_mm_baseline_shard_intermediate_hybrid",
        {**BLOCK_VALUES, "block_size": "256", "num_static_block": "1", "gate_up_proj_scale": "None",
         "down_proj_scale": "None"},
        SHARDED_INNER,
        launch="[2]",
    ),
    Subject(
        "nkilib.core.moe.moe_cte.bwmm_shard_on_block_mx.bwmm_shard_on_block_mx",
        {**BLOCK_VALUES, "block_size": "128", "n_static_blocks": "-1", "n_dynamic_blocks": "2",
         "gate_up_proj_scale": "gate_up_scale", "down_proj_scale": "down_scale"},
        SHARDED_BLOCKS,
        kernel="tokens, affinities, gate_up, down, places, owners, active, gate_up_bias, down_bias, gate_up_scale, "
        "down_scale",
        launch="[2]",
        target="trn3",
    ),
    Subject(
        "nkilib.experimental.transformer.attention_block_tkg.attention_block_tkg",
        ATTENTION_BLOCK_VALUES,
        ATTENTION_BLOCK,
        "list({})",
        launch="[2]",
        called="nki.jit({})",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class OldCall:
    """A call in one dialect, with its first ``positional`` arguments by position and the others by keyword."""

    subject: Subject
    change: CallChange
    form: OldForm
    positional: int
    root: str

    @property
    def id(self) -> str:
        name = self.form.name.removeprefix("nkilib.core.")
        return "-".join(
            part for part in (name, self.subject.id, self.form.dialect, str(self.positional)) if part
        )

    @property
    def source(self) -> str:
        module, _, name = self.form.name.rpartition(".")
        launch = "" if self.subject.kernel else self.subject.launch
        call = f"{self.subject.called.format(name)}{launch}({self._arguments()})"
        head = (
            HOST.replace("{root}", self.root)
            + f"from {module.replace('nkilib', self.root, 1)} import {name}\n"
        )
        setup = self.subject.setup.replace("{root}", self.root)
        if not self.subject.kernel:
            return f"{head}\n{setup}result = {self.subject.shown.format(call)}\n"
        after = COPIED if self.subject.values.get("output_in_sbuf") == "True" else ""
        target = f'(platform_target="{self.subject.target}")' if self.subject.target else ""
        text = KERNEL.format(
            names=self.subject.kernel, before=self.subject.before, call=call, after=after,
            launch=self.subject.launch, target=target,
        )  # fmt: skip
        return f"{head}\n{setup}\n\n{text}"

    def _arguments(self) -> str:
        signature, values = self.form.signature, self.subject.values
        placed = signature.positional[: self.positional]
        texts = [values.get(name) or signature.defaults[name] for name in placed]
        rest = [name for name in signature.names if name not in placed and name in values]
        return ", ".join([*texts, *(f"{name}={values[name]}" for name in rest)])


def old_calls(release: Release) -> Iterator[OldCall]:
    """For each form of each subject: one argument short of its first break, at it, behind it, and all."""
    changes = {change.name: change for change in release.calls}
    for subject in SUBJECTS:
        change = changes[subject.name]
        for form in change.old:
            known = {*form.signature.names} & {*subject.values}
            if form.signature.required and not {*form.signature.required} <= known:
                continue
            for positional in _counts(change, form):
                yield OldCall(subject, change, form, positional, _root(release, form))


def _counts(change: CallChange, form: OldForm) -> list[int]:
    most = len(form.signature.positional)
    start = first_break(form.signature, change.signature, form.renamed)
    return sorted({most} if start is None else {min(n, most) for n in (start, start + 1, start + 2, most)})


def _root(release: Release, form: OldForm) -> str:
    """The import root that the dialect was spelled with."""
    tied = [root for root, dialects in release.root_dialects.items() if form.dialect in dialects]
    return tied[0]
