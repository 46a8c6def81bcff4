# The language step put the import in front of the functions, where a second run moved it to the library.
import neuronxcc.nki.language as nl
def kernel(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    scale = 0.5
    def scaled(x):
        return nl.multiply(x, scale)
    from neuronxcc.nki._pre_prod_kernels.util.kernel_helpers import get_program_sharding_info
    def both(x):
        return nl.add(scaled(x), shift)
