"""Addresses, pointers, statistics and messages of the SBUF manager."""

from __future__ import annotations

import nki.language as nl
import pytest
from kernels import rejected

from nkilib.core.utils.allocator import (
    SbufManager,
    Scope,
    align_to,
    create_auto_alloc_manager,
    num_elts,
    sizeinbytes,
)
from nkilib.core.utils.logging import Logger, LogLevel

BF16, F32, U8 = nl.bfloat16, nl.float32, nl.uint8
pytestmark = pytest.mark.usefixtures("core")


def manager(lower: int, upper: int, **options) -> SbufManager:
    return SbufManager(lower, upper, Logger("SBM", LogLevel.OFF), **options)


def stack(sbm, shape, dtype, **options) -> int:
    """The address of a new tensor on the stack."""
    tensor = sbm.alloc_stack(shape, dtype, **options)
    assert (tensor.shape, tensor.dtype, tensor.buffer) == (shape, dtype, nl.sbuf)
    return tensor.address[1]


def heap(sbm, shape, dtype, **options) -> int:
    return sbm.alloc_heap(shape, dtype, **options).address[1]


@pytest.mark.parametrize(
    ("size", "dtypes"),
    [
        (4, [nl.float32, nl.int32, nl.uint32, nl.float8_e4m3fn_x4, nl.float8_e5m2_x4, nl.tfloat32]),
        (2, [nl.bfloat16, nl.float16, nl.uint16, nl.int16, nl.float4_e2m1fn_x4]),
        (1, [nl.uint8, nl.int8, nl.float8_e4m3, nl.float8_e5m2, nl.bool_, "float8e4", "float8_e4m3"]),
    ],
)
def test_17_sizes(size, dtypes) -> None:
    assert [sizeinbytes(dtype) for dtype in dtypes] == [size] * len(dtypes)


@pytest.mark.parametrize("dtype", ["float64", "", None, "nothing"])
def test_17_unknown(dtype) -> None:
    with rejected(f"unknown dtype {dtype}"):
        sizeinbytes(dtype)


def test_arithmetic() -> None:
    assert [align_to(value, 32) for value in (0, 1, 32, 33)] == [0, 32, 32, 64]
    assert [num_elts(shape) for shape in ((), (3,), (2, 3, 4), [5, 0])] == [1, 3, 24, 0]


def test_scope_fields() -> None:
    scope = Scope(16, 2, "a")
    assert (scope.starting_addr, scope.num_sections, scope.name, scope.cur_section_id) == (16, 2, "a", 0)
    assert Scope(0, 1, "", 3).cur_section_id == 3


def test_1_2_3_and_19() -> None:
    sbm = manager(0, 262144)
    assert sbm.alloc_heap((128, 256), BF16).address == (0, 261632)
    sbm.open_scope()
    assert stack(sbm, (128, 512), BF16) == 0
    sbm.open_scope()
    assert [stack(sbm, (128, 256), BF16) for _ in range(2)] == [1024, 1536]
    sbm.close_scope()
    assert stack(sbm, (128, 512), BF16) == 1024
    assert (sbm.get_total_space(), sbm.get_free_space(), sbm.get_used_space()) == (262144, 259584, 2560)
    sbm.close_scope()
    sbm.pop_heap()
    assert (sbm.get_heap_curr_addr(), sbm.get_stack_curr_addr()) == (262144, 0)
    assert (sbm.max_stack_usage, sbm.max_heap_usage, sbm.max_combined_usage) == (2048, 512, 2560)
    assert (sbm.total_stack_allocs, sbm.total_heap_allocs) == (4, 1)


def test_4_sections_take_turns() -> None:
    sbm = manager(0, 131072)
    sbm.open_scope(2)
    seen = []
    for _ in range(4):
        seen.append(stack(sbm, (128, 128), BF16))
        sbm.increment_section()
    assert seen == [0, 256, 0, 256]
    sbm.close_scope()
    assert sbm.get_stack_curr_addr() == 0


def test_5_three_sections() -> None:
    sbm = manager(0, 1000)
    sbm.open_scope(3)
    seen = []
    for _ in range(4):
        seen.append(stack(sbm, (128, 100), U8))
        sbm.increment_section()
    assert seen == [0, 100, 200, 0]


def test_6_and_7_alignment_and_end() -> None:
    sbm = manager(0, 100)
    sbm.open_scope()
    assert stack(sbm, (128, 3), U8) == 0
    assert stack(sbm, (128, 1), F32) == 4
    assert stack(sbm, (128, 2), U8, align=32) == 32
    assert sbm.get_stack_curr_addr() == 34
    assert stack(sbm, (128, 64), U8) == 34
    with rejected("Stack out of memory"):
        sbm.alloc_stack((128, 67), U8)


def test_room_is_looked_for_behind_the_padding() -> None:
    sbm = manager(0, 100)
    sbm.open_scope()
    stack(sbm, (128, 65), U8)
    with rejected("Stack out of memory"):
        sbm.alloc_stack((128, 5), U8, align=32)  # 65 + 5 fit, 96 + 5 do not
    assert stack(sbm, (128, 4), U8, align=32) == 96


def test_stack_and_heap_do_not_meet() -> None:
    sbm = manager(0, 100)
    sbm.open_scope()
    stack(sbm, (128, 40), U8)
    assert heap(sbm, (128, 40), U8) == 60
    with rejected("Stack out of memory"):
        sbm.alloc_stack((128, 21), U8)
    with rejected("Heap out of memory"):
        sbm.alloc_heap((128, 21), U8)
    assert stack(sbm, (128, 20), U8) == 40


@pytest.mark.parametrize("auto", [False, True])
def test_8_no_scope(auto) -> None:
    with rejected("no open scope"):
        manager(0, 100, use_auto_alloc=auto).alloc_stack((128, 1), U8)


def test_9_sizes_that_are_no_multiple_of_four() -> None:
    sbm = manager(0, 1000)
    assert heap(sbm, (128, 3), U8) == 997
    assert sbm.get_heap_curr_addr() == 996
    assert heap(sbm, (128, 5), U8) == 991
    assert sbm.get_heap_curr_addr() == 988
    sbm.pop_heap()
    assert sbm.get_heap_curr_addr() == 992
    sbm.pop_heap()
    assert sbm.get_heap_curr_addr() == 992


def test_10_and_11_ends_of_the_heap() -> None:
    sbm = manager(0, 1000)
    with rejected("Heap out of memory"):
        sbm.alloc_heap((128, 1001), U8)
    with rejected("heap underflow"):
        sbm.pop_heap()
    assert heap(sbm, (128, 1000), U8) == 0


def test_heap_alignment_goes_down_and_comes_back() -> None:
    sbm = manager(0, 1000)
    assert heap(sbm, (128, 8), U8, align=64) == 960
    assert sbm.get_heap_curr_addr() == 960
    assert heap(sbm, (128, 8), U8) == 952
    sbm.pop_heap()
    sbm.pop_heap()
    assert sbm.get_heap_curr_addr() == 1000


@pytest.mark.parametrize("method", ["alloc", "alloc_stack", "alloc_heap"])
def test_12_other_buffers(method) -> None:
    sbm = manager(0, 1000)
    sbm.open_scope()
    with rejected("not psum"):
        getattr(sbm, method)((128, 4), F32, buffer=nl.psum)


def test_13_default_side() -> None:
    on_heap = manager(0, 1 << 17, default_stack_alloc=False)
    assert on_heap.alloc((128, 4), F32).address == (0, (1 << 17) - 16)
    assert (on_heap.is_default_heap_alloc(), on_heap.is_default_stack_alloc()) == (True, False)
    on_stack = manager(64, 1 << 17)
    on_stack.open_scope()
    assert on_stack.alloc((64, 4), F32, nl.sbuf, "w", 32, 256).address == (32, 256)
    assert (on_stack.is_default_heap_alloc(), on_stack.is_default_stack_alloc()) == (False, True)


def test_14_what_the_compiler_decides() -> None:
    sbm = manager(0, 1000, use_auto_alloc=True)
    for question in (sbm.get_stack_curr_addr, sbm.get_heap_curr_addr, sbm.align_stack_curr_addr):
        with rejected("not available"):
            question()
    assert sbm.is_auto_alloc()
    assert not manager(0, 1).is_auto_alloc()
    sbm.open_scope()
    assert sbm.alloc_stack((128, 600), U8).address is None
    assert sbm.get_free_space() == 400
    assert sbm.alloc_heap((128, 600), U8).address is None  # there is no end
    assert (sbm.get_free_space(), sbm.max_combined_usage) == (-200, 1200)


def test_15_names() -> None:
    sbm = manager(0, 1000)
    sbm.open_scope()
    sbm.set_name_prefix("L0_")
    assert sbm.get_name_prefix() == "L0_"
    assert sbm.alloc_stack((128, 4), F32, name="w").name == "L0_w"
    assert sbm.alloc_heap((128, 4), F32, name="h").name == "L0_h"
    assert sbm.alloc_stack((128, 4), F32).name is None
    assert sbm.heap_names == ["L0_h"]
    sbm.set_name_prefix("")
    assert sbm.alloc_stack((128, 4), F32, name="w").name == "w"


def test_16_alignment_by_hand() -> None:
    sbm = manager(0, 1000)
    sbm.open_scope()
    stack(sbm, (128, 5), U8)
    sbm.align_stack_curr_addr()
    assert sbm.get_stack_curr_addr() == 32
    sbm.align_stack_curr_addr(100)
    assert sbm.get_stack_curr_addr() == 100


def test_18_base_partition() -> None:
    sbm = manager(8, 1000)
    sbm.open_scope()
    assert sbm.alloc_stack((64, 4), F32, base_partition=64).address == (64, 8)
    assert sbm.alloc_heap((64, 4), F32, base_partition=32).address == (32, 984)


def test_scopes_must_be_open() -> None:
    sbm = manager(0, 1000)
    with pytest.raises(IndexError):
        sbm.increment_section()
    with pytest.raises(IndexError):
        sbm.close_scope()


def test_automatic_manager(capsys) -> None:
    sbm = create_auto_alloc_manager()
    assert (sbm.lower_bound, sbm.upper_bound) == (0, nl.tile_size.total_available_sbuf_size)
    assert (sbm.use_auto_alloc, sbm.default_stack_alloc, sbm.prefix) == (True, True, "")
    assert sbm.logger.name == "SBM"
    assert capsys.readouterr().out.startswith("[INFO] [SBM] ")
    own = Logger("mine", LogLevel.OFF)
    assert create_auto_alloc_manager(own).logger is own
    assert capsys.readouterr().out == ""


def messages(sbm) -> list[tuple[int, str, bool]]:
    return [(entry.depth, entry.msg, entry.is_scope_boundary) for entry in sbm.tree_logger.stack_logs]


def test_messages_of_the_tree() -> None:
    sbm = manager(0, 1000)
    sbm.open_scope()
    sbm.open_scope(2, "inner")
    sbm.alloc_stack((128, 4), F32, name="w")
    sbm.increment_section()
    sbm.alloc_stack((128, 2), BF16)
    sbm.increment_section()
    sbm.alloc_heap((128, 3), U8, name="h")
    sbm.pop_heap()
    sbm.close_scope()
    assert messages(sbm) == [
        (0, "▶ SCOPE (unnamed) [interleave=1] @ 0", True),
        (1, "▶ SCOPE 'inner' [interleave=2] @ 0", True),
        (2, "w: 16 B @ 0 (128, 4) float32", False),
        (2, "↳ section: 1/2 @ 16", False),
        (2, "(unnamed): 4 B @ 16 (128, 2) bfloat16", False),
        (2, "↻ section: 0/2 @ 0", False),
        (2, "[HEAP+] h: 3 B @ 996 (128, 3) uint8", False),
        (2, "[HEAP-] FREE h: 3 B, remaining=0", False),
        (1, "◀ END 'inner' freed=0 B", True),
    ]
    sbm.close_scope()
    assert messages(sbm) == []


def test_what_is_printed(capsys) -> None:
    sbm = SbufManager(0, 1000)
    sbm.open_scope(name="a")
    sbm.alloc_stack((128, 250), U8)
    sbm.alloc_heap((128, 252), U8)
    assert capsys.readouterr().out.count("\n") == 1  # the range
    sbm.close_scope()
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "[INFO] [SBM] [SBM] Allocations:"
    assert printed[-2] == "    ◀ END 'a' freed=250 B"
    assert printed[-1].startswith("[INFO] [SBM] ")
    assert all(figure in printed[-1] for figure in ("502", "50%", "498", "250", "252"))


def test_7_what_is_printed_without_room(capsys) -> None:
    sbm = SbufManager(0, 1000)
    sbm.open_scope(name="a")
    with rejected("Stack out of memory"):
        sbm.alloc_stack((128, 1001), U8, name="w")
    printed = capsys.readouterr().out
    assert "[ERROR] [SBM] Stack out of memory: w needs 1001 bytes, 1000 are free" in printed
    assert "▶ SCOPE 'a'" in printed
    assert "in 0 allocations" in printed


def test_flush(capsys) -> None:
    sbm = SbufManager(0, 1000)
    sbm.open_scope(name="a")
    capsys.readouterr()
    sbm.flush_logs()
    assert capsys.readouterr().out == "[INFO] [SBM] [SBM] Allocations:\n    ▶ SCOPE 'a' [interleave=1] @ 0\n"
