"""Kernels that were in the compiler before the library existed; still the fallback on old images."""

from neuronxcc.nki._private_kernels.cumsum import cumsum
from neuronxcc.nki._private_kernels.mlp import mlp_isa_kernel
from neuronxcc.nki._pre_prod_kernels import NormType as LegacyNormType
from neuronxcc.nki.language import nc


def cumulative_probabilities(probabilities):
    return cumsum(probabilities, axis=1)


def mlp(hidden, gamma, gate, up, down, out, *, lnc=2):
    """The MLP block with its norm fused; writes to ``out``."""
    grid = (nc(lnc),)
    mlp_isa_kernel[grid](hidden, gamma, gate, up, down, out, kernel_name="MLP")
    return out


def has_norm(kind: LegacyNormType) -> bool:
    return kind != LegacyNormType.NO_NORM
