"""Pieces of 2.27 code beyond plain calls; ``{root}`` is the import root."""

from __future__ import annotations

from oldcalls import MLP, NORM

TEXTS = {
    "a launched partial": f"""import functools
from {{root}}.core.mlp.mlp import mlp_kernel
{MLP}run = functools.partial(mlp_kernel[2], hidden, gate)
result = run(up, down, None, None, None, None, None, None, False, ActFnType.SiLU, NormType.NO_NORM, nl.float32)
""",
    "a name of an activation": f"""from {{root}}.core.mlp.mlp import mlp_kernel
{MLP}result = mlp_kernel(hidden, gate, up, down, activation_fn="gelu")
""",
    "a kernel that is jitted again": """from {root}.core.attention.attention_cte import attention_cte
q, k, v = bf16(1, 128, 64), bf16(1, 64, 128), bf16(1, 128, 64)
result = nki.jit(attention_cte)(q, k, v, 0.125)
""",
    "sizes of a view": """from {root}.core.utils.tensor_view import TensorView
view = TensorView(tensor(4, 16)).slice(1, 0, 8)
result = [view.sizes[1], view.reshape_dim(dim=1, sizes=[2, 4]).sizes[2], list(view.sizes) + [1]]
""",
    "an index of NumPy": """from {root}.core.utils.tensor_view import TensorView
view = TensorView(tensor(4, 16))
result = [view.select(1, i).offset for i in np.arange(3)]
""",
    "strides": """from {root}.core.utils.tensor_view import TensorView
result = TensorView.get_trivial_strides(sizes=(2, 3, 4), base_stride=2)
""",
    "a reshape that no release had": """from {root}.core.utils.tensor_view import TensorView
view = TensorView(tensor(4, 16))
try:
    view.reshape(new_sizes=(2, 32))
except AssertionError as error:
    result = str(error)
""",
    "packing of heads": """from {root}.core.output_projection.output_projection_utils import calculate_head_packing
calls = [calculate_head_packing(4, 64, 128), calculate_head_packing(4, 64, 128, None)]
result = [*calls, calculate_head_packing(4, 64, 128, quant_config=None), calculate_head_packing(4, 64, partition_size=128)]
""",
    "the body of a norm": f"""from {{root}}.core.subkernels.layernorm_tkg import layernorm_tkg_llama_impl
from {{root}}.core.utils.allocator import SbufManager
{NORM}

@nki.jit
def kernel(x, gamma):
    manager = SbufManager(0, 128 * 1024)
    manager.open_scope()
    made = manager.alloc_stack((128, 4, 2), dtype=x.dtype, buffer=nl.sbuf)
    layernorm_tkg_llama_impl(inp=x, gamma=gamma, beta=None, result=made, bs_lb=0, bs_count=4, lnc=1, eps=1e-3,
                             use_heap_memory=False, sbm=manager)
    stored = nl.ndarray(made.shape, dtype=made.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=stored, src=made)
    manager.close_scope()
    return stored


result = kernel(x, gamma)
""",
    "a lookup of an activation": """from {root}.core.utils.kernel_helpers import get_nl_act_fn_from_type_hack
result = str(get_nl_act_fn_from_type_hack(ActFnType.GELU))
""",
    "constants that moved": """from {root}.core.output_projection.output_projection_cte import F_MAX, P_MAX
from {root}.core.qkv.qkv_cte import PSUM_BANK_SIZE
result = [F_MAX, P_MAX, PSUM_BANK_SIZE]
""",
    "a module by its name": """import importlib
module = importlib.import_module("{root}.core.utils.allocator")
result = [module._num_elts((2, 3)), getattr(module, "_num_elts")((4,))]
""",
    "a printed path": """from nkilib.core.rmsnorm_quant.rmsnorm_quant import RmsNormQuantKernelArgs, rmsnorm_quant_kernel
result = rmsnorm_quant_kernel(bf16(1, 4, 256), bf16(1, 256), RmsNormQuantKernelArgs(0.0, NormType.RMS_NORM, 1e-3))
""",
    "a module that is gone": f"""import {{root}}.core.qkv.qkv_tkg_rmsnorm as norms
from {{root}}.core.qkv.qkv_tkg_rmsnorm import rmsnorm_tkg
{NORM}

@nki.jit
def kernel(x, gamma):
    output = rmsnorm_tkg(x, gamma)
    return output


result = [kernel(x, gamma), norms.SHARDING_THRESHOLD]
""",
}
