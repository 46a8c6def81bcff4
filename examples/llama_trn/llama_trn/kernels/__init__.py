"""The kernels of the model, so that the rest of the package imports them from one place."""

from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel
from nkilib_standalone.nkilib.core.output_projection.output_projection_tkg import output_projection_tkg
from nkilib_standalone.nkilib.core.qkv.qkv import qkv
from nkilib_standalone.nkilib.core.qkv.qkv_tkg import qkv_tkg
from nkilib_standalone.nkilib.core.utils.common_types import (
    ActFnType,
    NormType,
    QKVOutputLayout,  # BSD for prefill, NBSd for decode
)

from .prefill import attention_cte

__all__ = [
    "ActFnType",
    "NormType",
    "QKVOutputLayout",
    "attention_cte",
    "mlp_kernel",
    "output_projection_tkg",
    "qkv",
    "qkv_tkg",
]
