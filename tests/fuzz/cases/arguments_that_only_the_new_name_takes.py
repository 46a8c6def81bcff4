from nkilib_standalone.nkilib.core.utils.common_types import ActFnType, NormType
from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel
import nki.language as nl


def run(x, g, u, d, norm, bg, bu, bd, bn, resid):
    return mlp_kernel(x, d, g, u, d, norm, bg, bu, bd, bn, resid, True, ActFnType.SiLU, NormType.LAYER_NORM,
                      nl.float16, False, 1e-5, True, True, False, True)
