"""The MX gate and up projections of :mod:`.gate_up_projection_mx_shard_H`, under their older name."""

from .gate_up_projection_mx_shard_H import (
    gate_up_projection_mx_tp_shard_H,
    process_fused_gate_up_projection_mxfp4,
)

__all__ = ["gate_up_projection_mx_tp_shard_H", "process_fused_gate_up_projection_mxfp4"]
