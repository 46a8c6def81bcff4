"""Kernels that were in the compiler before the library existed; still the fallback on old images."""

import torch
from neuronxcc.nki._pre_prod_kernels import NormType as LegacyNormType
from neuronxcc.nki._pre_prod_kernels.util.kernel_helpers import get_program_sharding_info
from neuronxcc.nki._private_kernels.cumsum import cumsum
from neuronxcc.nki._private_kernels.mlp import mlp_isa_kernel
from neuronxcc.nki.language import nc
from torch_neuronx.xla_impl.ops import nki_jit

_cumsum = nki_jit()(cumsum)


def cumulative_probabilities(probabilities):
    out = torch.zeros_like(probabilities)
    _cumsum(probabilities, out, axis=1)
    return out


def mlp(hidden, gamma, gate, up, down, out, *, lnc=2):
    """The MLP block with its norm fused; writes to ``out``."""
    grid = (nc(lnc),)
    mlp_isa_kernel[grid](hidden, gamma, gate, up, down, out, kernel_name="MLP")
    return out


def has_norm(kind: LegacyNormType) -> bool:
    return kind != LegacyNormType.NO_NORM


def rows_of_this_core(rows: int) -> range:
    """Inside a kernel: the share of the rows that the running core works on."""
    _, cores, core = get_program_sharding_info()
    return range(core * rows // cores, (core + 1) * rows // cores)
