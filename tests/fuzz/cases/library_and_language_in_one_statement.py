# The language was migrated by a second run only, where a call of the library changes in the same statement.
import neuronxcc.nki as nki
from nkilib_standalone.nkilib.core.qkv.qkv_tkg import qkv_tkg
@nki.jit
def norm_and_qkv(hidden, gamma, qkv_weight, d_head, eps=1e-5):
    normed = exp
    heads = qkv_tkg(
        normed,
        False,
        None,
        None,
        d_head,
        QKVOutputLayout.NBSd,
        eps,
        NormType.NO_NORM,
    )
