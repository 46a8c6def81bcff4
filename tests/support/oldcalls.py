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
@nki.jit
def kernel({names}):
    {before}output = {call}
    {after}return output


result = kernel({names})
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
        launch: subscript of a kernel that is called from the host.
    """

    name: str
    values: dict[str, str]
    setup: str = ""
    shown: str = "{}"
    kernel: str = ""
    before: str = ""
    launch: str = ""
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
        call = f"{name}{self.subject.launch}({self._arguments()})"
        head = (
            HOST.replace("{root}", self.root)
            + f"from {module.replace('nkilib', self.root, 1)} import {name}\n"
        )
        setup = self.subject.setup.replace("{root}", self.root)
        if not self.subject.kernel:
            return f"{head}\n{setup}result = {self.subject.shown.format(call)}\n"
        after = COPIED if self.subject.values.get("output_in_sbuf") == "True" else ""
        parts = {"names": self.subject.kernel, "before": self.subject.before, "call": call, "after": after}
        return f"{head}\n{setup}\n\n{KERNEL.format(**parts)}"

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
