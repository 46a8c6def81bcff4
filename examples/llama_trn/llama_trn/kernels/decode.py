"""One kernel for the front half of a decoding step: norm, QKV, all in SBUF."""

import neuronxcc.nki as nki

from nkilib_standalone.nkilib.core.qkv.qkv_tkg import qkv_tkg
from nkilib_standalone.nkilib.core.subkernels.layernorm_tkg import layernorm_tkg
from nkilib_standalone.nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg
from nkilib_standalone.nkilib.core.utils.allocator import SbufManager
from nkilib_standalone.nkilib.core.utils.common_types import NormType, QKVOutputLayout

SBUF_BYTES = 192 * 1024


@nki.jit
def norm_and_qkv(hidden, gamma, qkv_weight, d_head, eps=1e-5):
    """Normalise ``[B, S, H]`` and project it to heads, ``[B, S, I]``."""
    sbm = SbufManager(0, SBUF_BYTES)
    sbm.open_scope()
    normed = rmsnorm_tkg(inp=hidden, gamma=gamma, eps=eps, output_in_sbuf=True, sbm=sbm)
    heads = qkv_tkg(
        normed,
        qkv_weight,
        None,  # the norm is done already
        False,
        None,
        None,
        d_head,
        QKVOutputLayout.NBSd,
        eps,
        NormType.NO_NORM,
        sbm=sbm,
    )
    sbm.close_scope()
    return heads


@nki.jit
def final_norm(hidden, gamma, beta=None, eps=1e-5):
    """The norm before the language-model head; older checkpoints have a bias."""
    if beta is None:
        return rmsnorm_tkg(hidden, gamma, eps)
    out = layernorm_tkg(hidden, gamma, beta, eps)
    return out


def traced_norm(hidden, gamma, in_sbuf):
    """For the profiler, which wants both placements."""
    return rmsnorm_tkg(inp=hidden, gamma=gamma, output_in_sbuf=in_sbuf)
