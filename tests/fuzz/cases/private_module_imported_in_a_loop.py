import neuronxcc.nki as nki
from neuronxcc.nki._pre_prod_kernels.util.kernel_helpers import get_program_sharding_info
import neuronxcc.nki.language as nl


@nki.jit
def kernel(x, first):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    for i in range(3):
        from neuronxcc.nki.compiler.backends.neuron.dimensions import VNC
    nl.store(out, nl.load(x))
    return out
