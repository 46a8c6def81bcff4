from neuronxcc.nki._pre_prod_kernels.util.kernel_helpers import get_program_sharding_info
import neuronxcc.nki as nki
