"""Addresses of tiles that take turns."""

from __future__ import annotations

import nki.language as nl
import pytest
from kernels import rejected

from nkilib.core.utils.modular_allocator import ModularAllocator

BF16, F32, FP8 = nl.bfloat16, nl.float32, nl.float8_e4m3
pytestmark = pytest.mark.usefixtures("core")


def addresses(made):
    """Addresses (or positions of nested ones) in lists as deep as what was made."""
    return [addresses(part) for part in made] if isinstance(made, list) else made.address


# Number, first address, shape, element type, options, expected byte addresses, and the address afterwards.
CASES = [
    (1, 0, (128, 512), BF16, {}, 0, 1024),
    (2, 0, (128, 512), BF16, {"block_dim": [16], "num_free_tiles": [4]}, [1024 * (i % 4) for i in range(16)], 4096),
    (3, 0, (128, 512), BF16, {"block_dim": [3]}, [0, 1024, 2048], 3072),
    (4, 0, (128, 64), F32, {"block_dim": [3, 2], "num_free_tiles": [2, 2]}, [[0, 256], [512, 768], [0, 256]], 1024),
    (5, 0, (128, 64), F32, {"block_dim": [4, 3], "num_free_tiles": [2, 3]}, [[256 * (i % 2 * 3 + j) for j in range(3)] for i in range(4)], 1536),
    (6, 10, (128, 1), F32, {"align_to": 32}, 32, 36),
    (7, 10, (128, 1), F32, {}, 10, 14),
    (9, 0, (128, 4), BF16, {"block_dim": [2, 2, 2], "num_free_tiles": [1, 2, 1]}, [[[0, 0], [8, 8]]] * 2, 16),
    (12, 0, (128, 512), BF16, {"block_dim": []}, 0, 1024),
    (13, 0, (128, 256), FP8, {"block_dim": [2], "num_free_tiles": [4]}, [0, 256], 1024),
    (14, 0, (128, 4, 8), BF16, {}, 0, 64),
    ("none", 8, (128, 4), BF16, {"block_dim": [0]}, [], 8),
]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "shape", "dtype", "options", "expected", "after"),
    [pytest.param(*c[1:], id=str(c[0])) for c in CASES],
)
def test_addresses(first, shape, dtype, options, expected, after) -> None:
    allocator = ModularAllocator(first)
    made = allocator.alloc_sbuf_tensor(shape, dtype, **options)

    def with_partition(wanted):
        return [with_partition(part) for part in wanted] if isinstance(wanted, list) else (0, wanted)

    assert addresses(made) == with_partition(expected)
    assert allocator.get_current_address() == after


def test_8_base_partition() -> None:
    made = ModularAllocator().alloc_sbuf_tensor((64, 8), BF16, base_partition=64)
    assert (made.address, made.shape, made.dtype) == ((64, 0), (64, 8), BF16)


def test_10_lengths() -> None:
    with rejected("block_dim has 1 entries and num_free_tiles 2"):
        ModularAllocator().alloc_sbuf_tensor((128, 4), BF16, [2], [1, 1])


def test_unknown_type() -> None:
    with rejected("unknown dtype float64"):
        ModularAllocator().alloc_sbuf_tensor((128, 4), "float64")


def test_11_the_address_can_be_set() -> None:
    allocator = ModularAllocator()
    assert allocator.get_current_address() == 0
    allocator.set_current_address(4096)
    assert allocator.get_current_address() == 4096
    assert allocator.alloc_sbuf_tensor((128, 1), F32).address == (0, 4096)


def test_one_after_the_other() -> None:
    allocator = ModularAllocator()
    made = [allocator.alloc_sbuf_tensor((128, 3), BF16, [2]) for _ in range(2)]
    assert addresses(made) == [[(0, 0), (0, 6)], [(0, 12), (0, 18)]]


def test_each_tensor_is_its_own_object() -> None:
    first, second = ModularAllocator().alloc_sbuf_tensor((128, 4), BF16, [2], [1])
    assert first is not second
