"""FP8 activations for the quantised checkpoints."""

from nkilib_standalone.nkilib.core.rmsnorm.rmsnorm_quant import RmsNormQuantKernelArgs, rmsnorm_quant_kernel
from nkilib_standalone.nkilib.core.utils.common_types import NormType
from nkilib_standalone.nkilib.core.utils.kernel_helpers import get_nl_act_fn_from_type_hack as activation_of

PLAIN = RmsNormQuantKernelArgs(0.0, NormType.RMS_NORM, 1e-5)
CLIPPED = RmsNormQuantKernelArgs(lower_bound=1200.0)


def quantize(hidden, gamma, clip=False):
    """Rows of FP8 with their scale in the last four bytes."""
    return rmsnorm_quant_kernel[2](hidden, gamma, CLIPPED if clip else PLAIN)


def activation_name(kind):
    return activation_of(kind).__name__
