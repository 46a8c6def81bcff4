"""A layer that uses kernels of the NKI Library, as of Neuron 2.27."""

from nkilib.core.qkv.qkv import qkv
from nkilib.core.utils.common_types import NormType, QKVOutputLayout

from norms import rms_norm


class Layer:
    def __init__(self, weights, cores):
        self.weights = weights
        self.cores = cores

    def project(self, hidden, mlp, attention):
        """Queries, keys and values of hidden plus both residuals."""
        w = self.weights
        return qkv[self.cores](
            hidden, w.qkv, QKVOutputLayout.BSD, w.bias, True, mlp, attention, NormType.RMS_NORM, w.gain
        )

    def sweep(self, hidden, *options):
        return qkv(hidden, self.weights.qkv, *options)

    def finish(self, hidden):
        return rms_norm(hidden, self.weights.last)
