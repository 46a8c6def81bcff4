"""Every name of the legacy API, by module, as its documentation lists them; and that masks can be passed."""

from __future__ import annotations

import inspect
import operator

import pytest

import nkisim.beta1 as nki
import nkisim.beta1.compiler as ncc
import nkisim.beta1.isa as nisa
import nkisim.beta1.language as nl
import nkisim.beta1.typing as nt

NAMES = {
    "nki": (
        nki,
        """
        FrameworkKernel baremetal benchmark jit profile simulate_kernel tensor
        """,
    ),
    "nl": (
        nl,
        """
        abs add affine_range all all_reduce arange arctan atomic_rmw bfloat16 bfp16 bitwise_and
        bitwise_or bitwise_xor bool_ broadcast_to ceil copy cos device_print divide dropout ds
        empty_like equal erf erf_dx exp expand_dims finfo float16 float32 float8_e4m3 float8_e5m2 floor
        fmod fp32 full gather_flattened gelu gelu_apprx_sigmoid gelu_apprx_tanh gelu_dx gemm_grid
        gemm_stationary_grid greater greater_equal hbm int16 int32 int8 invert left_shift less
        less_equal load load_transpose2d log logical_and logical_not logical_or logical_xor loop_reduce
        matmul max maximum mean mgrid min minimum mish mod multiply nc ndarray negative not_equal
        num_programs ones par_dim power private_hbm prod program_id program_ndim psum rand random_seed
        reciprocal relu right_shift rms_norm rsqrt sbuf sequential_range shared_constant shared_hbm
        shared_identity_matrix sigmoid sign silu silu_dx sin softmax softplus spmd_dim sqrt square
        static_cast static_range store subtract sum tan tanh tfloat32 tile_size transpose trunc uint16
        uint32 uint8 var where zeros zeros_like
        """,
    ),
    "nisa": (
        nisa,
        """
        activation activation_reduce affine_select bn_aggr bn_stats builtin_custom_op dge_mode dma_copy
        dma_engine dma_transpose dropout engine fp32 get_nc_version gpsimd_engine iota local_gather max8
        memset nc_find_index8 nc_match_replace8 nc_matmul nc_stream_shuffle nc_transpose nc_version
        oob_mode range_select reciprocal reduce_cmd scalar_engine scalar_tensor_tensor select_reduce
        sequence_bounds tensor_copy tensor_copy_dynamic_dst tensor_copy_dynamic_src
        tensor_copy_predicated tensor_engine tensor_partition_reduce tensor_reduce tensor_scalar
        tensor_scalar_reduce tensor_tensor tensor_tensor_scan unknown_engine vector_engine
        """,
    ),
    "ncc": (
        ncc,
        """
        allocation_scope enable_stack_allocator force_auto_alloc multi_buffer no_reorder psum psum.alloc
        psum.auto_alloc psum.mod_alloc sbuf sbuf.alloc sbuf.auto_alloc sbuf.mod_alloc
        skip_middle_end_transformations
        """,
    ),
    "nt": (
        nt,
        """
        mutable mutable_tensor tensor
        """,
    ),
    "tensor": (
        nki.tensor,
        """
        assert_shape astype broadcast_to dtype expand_dims itemsize ndim reshape shape view
        """,
    ),
}


@pytest.mark.parametrize("module", NAMES)
def test_every_name_is_there(module):
    found, names = NAMES[module]
    for name in names.split():
        assert operator.attrgetter(name)(found) is not None, name


@pytest.mark.parametrize("module", [nl, nisa], ids=["nl", "nisa"])
def test_functions_of_tiles_take_a_mask_by_keyword(module):
    names = NAMES["nl" if module is nl else "nisa"][1].split()
    unmasked = [
        "affine_range",
        "all_reduce",
        "arange",
        "broadcast_to",
        "builtin_custom_op",
        "ds",
        "empty_like",
        "expand_dims",
        "finfo",
        "full",
        "gemm_grid",
        "gemm_stationary_grid",
        "get_nc_version",
        "nc",
        "ndarray",
        "num_programs",
        "ones",
        "par_dim",
        "program_id",
        "program_ndim",
        "rand",
        "sequence_bounds",
        "sequential_range",
        "shared_constant",
        "shared_identity_matrix",
        "spmd_dim",
        "static_cast",
        "static_range",
        "zeros",
        "zeros_like",
    ]
    for name in set(names) - set(unmasked):
        function = getattr(module, name)
        if (
            not callable(function)
            or inspect.isclass(function)
            or name.startswith(("float", "int", "uint", "bool", "bfloat", "tfloat"))
        ):
            continue
        called = function if inspect.isfunction(function) else function.__call__
        assert "mask" in inspect.signature(called).parameters, name
