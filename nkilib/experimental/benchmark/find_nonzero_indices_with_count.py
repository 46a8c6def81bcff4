"""One row through the instruction that finds what is not 0."""

import nki
import nki.isa as nisa
import nki.language as nl

from ...blocks.arguments import assert_classes
from ...blocks.memory import manager, scratch
from ...core.utils.kernel_assert import kernel_assert

SUPPORTED_INPUT_DTYPES = [nl.float32, nl.int32]
PADDING_VALUE = -1


@nki.jit
def find_nonzero_indices_with_count(input_tensor: nl.ndarray) -> nl.ndarray:
    """Indices of the elements that are not 0, then -1, and last how many there are.

    Args:
        input_tensor: HBM ``[1, T]``, float32 or int32.

    Returns:
        HBM int32 ``[1, T + 1]``.

    Raises AssertionError for another shape or type.
    """
    assert_classes(tensors=((input_tensor, "input_tensor"),))
    shape = tuple(input_tensor.shape)
    fits = len(shape) == 2 and shape[0] == 1 and shape[1] > 0
    kernel_assert(fits, f"input_tensor must be [1, T], its shape is {shape}")
    known = input_tensor.dtype == nl.float32 or input_tensor.dtype == nl.int32
    kernel_assert(known, f"input_tensor must be float32 or int32, it is {input_tensor.dtype}")
    length = shape[1]
    out = nl.ndarray((1, length + 1), dtype=nl.int32, buffer=nl.shared_hbm)
    work = scratch(manager(), name="find_nonzero_indices_with_count")
    row = work.tile((1, length), input_tensor.dtype)
    found = work.tile((1, length + 1), nl.int32)
    nisa.dma_copy(dst=row, src=input_tensor)
    nisa.nonzero_with_count(dst=found, src=row, index_offset=0, padding_val=PADDING_VALUE)
    nisa.dma_copy(dst=out, src=found)
    work.close()
    return out
