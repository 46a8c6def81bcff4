"""SBUF, given out by hand from a stack and a heap, or by the compiler through the same calls.

Sizes and addresses are bytes in one partition; dimension 0 of a shape is the partition and does not count.
"""

from dataclasses import dataclass
from typing import Any

import nki.language as nl

from .kernel_assert import kernel_assert
from .logging import Logger, get_logger
from .tree_logger import TreeLogger

_SIZES = (
    (4, ("float32", "tfloat32", "int32", "uint32", "float8_e4m3fn_x4", "float8_e5m2_x4")),
    (2, ("bfloat16", "float16", "int16", "uint16", "float4_e2m1fn_x4")),
    (1, ("int8", "uint8", "bool_", "bool")),
    (1, ("float8_e4m3", "float8e4", "float8_e5m2", "float8e5", "float8_e4m3fn", "float8_e8m0fnu")),
)
"""Bytes of an element, and the names of the types that have so many."""

_HEAP_ALIGNMENT = 4
"""The heap pointer stays on such a multiple."""


def sizeinbytes(dtype: Any) -> int:
    """Bytes of one element. Raises AssertionError for a type that NKI has not."""
    for size in _SIZES:
        for name in size[1]:
            if name == str(dtype):
                return size[0]
    kernel_assert(False, f"unknown dtype {dtype}")
    return 0


def align_to(value: int, alignment: int) -> int:
    """The smallest multiple of ``alignment`` that is not below ``value``."""
    return (value + alignment - 1) // alignment * alignment


def num_elts(shape: Any) -> int:
    """The product of the sizes, 1 for none."""
    count = 1
    for size in shape:
        count *= size
    return count


def _bytes(shape: Any, dtype: Any) -> int:
    """What a tensor takes in one partition."""
    return num_elts(shape[1:]) * sizeinbytes(dtype)


def _down(value: int, alignment: int) -> int:
    return value // alignment * alignment


def _quoted(name: str | None) -> str:
    return f"'{name}'" if name else "(unnamed)"


@dataclass
class Scope(nl.NKIObject):
    """A part of the stack that is freed at once; its sections take turns in the same place."""

    starting_addr: int
    num_sections: int
    name: str
    cur_section_id: int = 0


class SbufManager(nl.NKIObject):
    """Gives out ``[sb_lower_bound, sb_upper_bound)``: a stack grows up from below, a heap down from above.

    With ``use_auto_alloc`` the compiler places the tensors; pointers and statistics are kept all the same.

    Attributes:
        lower_bound, upper_bound, stack_curr_addr, heap_curr_addr: the range, and the two pointers.
        use_auto_alloc, default_stack_alloc: as given; the second says what :meth:`alloc` does.
        scopes: open ones. heap, heap_names: tensors on the heap with their names.
        logger, tree_logger: where messages go; the tree is printed when the last scope closes.
        max_stack_usage, max_heap_usage, max_combined_usage: most bytes at any time.
        total_stack_allocs, total_heap_allocs: how often something was allocated.
        prefix: put in front of the names of tensors.
    """

    def __init__(
        self,
        sb_lower_bound: int,
        sb_upper_bound: int,
        logger: Logger | None = None,
        use_auto_alloc: bool = False,
        default_stack_alloc: bool = True,
    ) -> None:
        self.lower_bound = sb_lower_bound
        self.upper_bound = sb_upper_bound
        self.stack_curr_addr = sb_lower_bound
        self.heap_curr_addr = sb_upper_bound
        self.use_auto_alloc = use_auto_alloc
        self.default_stack_alloc = default_stack_alloc
        self.logger = logger if logger is not None else get_logger("SBM")
        self.scopes: list[Scope] = []
        self.heap: list[nl.ndarray] = []
        self.heap_names: list[str | None] = []
        self._heap_paddings: list[int] = []
        self.tree_logger = TreeLogger("SBM", self.logger)
        self.max_stack_usage = 0
        self.max_heap_usage = 0
        self.max_combined_usage = 0
        self.total_stack_allocs = 0
        self.total_heap_allocs = 0
        self.prefix = ""
        self.logger.info(
            f"SBUF {sb_lower_bound}..{sb_upper_bound}: {self.get_total_space()} bytes a partition"
        )
        self.logger.debug(
            f"auto={use_auto_alloc}, default stack={default_stack_alloc}, "
            f"stack at {self.stack_curr_addr}, heap at {self.heap_curr_addr}"
        )

    def is_auto_alloc(self) -> bool:
        return self.use_auto_alloc

    def is_default_stack_alloc(self) -> bool:
        return self.default_stack_alloc

    def is_default_heap_alloc(self) -> bool:
        return not self.default_stack_alloc

    # -- scopes of the stack ------------------------------------------------------------------------

    def open_scope(self, interleave_degree: int = 1, name: str = "") -> None:
        """Begin a scope of ``interleave_degree`` sections, see :meth:`increment_section`."""
        self._log(
            f"▶ SCOPE {_quoted(name)} [interleave={interleave_degree}] @ {self.stack_curr_addr}",
            boundary=True,
        )
        self.scopes.append(Scope(self.stack_curr_addr, interleave_degree, name))

    def increment_section(self) -> None:
        """Go on to the next section; after the last one to the first, in the same memory as before."""
        scope = self.scopes[len(self.scopes) - 1]
        scope.cur_section_id += 1
        wraps = scope.cur_section_id == scope.num_sections
        if wraps:
            scope.cur_section_id = 0
            self.stack_curr_addr = scope.starting_addr
        self._log(
            f"{'↻' if wraps else '↳'} section: {scope.cur_section_id}/{scope.num_sections} "
            f"@ {self.stack_curr_addr}"
        )

    def close_scope(self) -> None:
        """Free what the stack got since the scope was opened; the heap stays."""
        scope = self.scopes.pop()
        freed = self.stack_curr_addr - scope.starting_addr
        self.stack_curr_addr = scope.starting_addr
        self._log(f"◀ END {_quoted(scope.name)} freed={freed} B", boundary=True)
        if len(self.scopes) == 0:
            self.flush_logs()
            self._print_stats()

    # -- allocation ---------------------------------------------------------------------------------

    def alloc(
        self,
        shape: Any,
        dtype: Any,
        buffer: Any = nl.sbuf,
        name: str | None = None,
        base_partition: int = 0,
        align: int | None = None,
    ) -> nl.ndarray:
        """A new tensor on the stack or on the heap, as ``default_stack_alloc`` says."""
        if self.default_stack_alloc:
            return self.alloc_stack(shape, dtype, buffer, name, base_partition, align)
        return self.alloc_heap(shape, dtype, buffer, name, base_partition, align)

    def alloc_stack(
        self,
        shape: Any,
        dtype: Any,
        buffer: Any = nl.sbuf,
        name: str | None = None,
        base_partition: int = 0,
        align: int | None = None,
    ) -> nl.ndarray:
        """A new tensor that lives until its scope closes; ``align`` is a multiple for its address.

        Raises AssertionError for another buffer, without room, or without an open scope.
        """
        kernel_assert(buffer == nl.sbuf, f"SbufManager gives out SBUF, not {buffer}")
        size = _bytes(shape, dtype)
        address = align_to(self.stack_curr_addr, sizeinbytes(dtype) if align is None else align)
        self._check_room(address + size <= self.heap_curr_addr, "Stack", name, size)
        kernel_assert(len(self.scopes) > 0, f"no open scope for {name}: call open_scope() first")
        self.stack_curr_addr = address + size
        self.total_stack_allocs += 1
        self._update_stats()
        self._log(f"{self._shown(name)}: {size} B @ {address} {shape} {dtype}")
        return self._tensor(shape, dtype, buffer, name, base_partition, address)

    def alloc_heap(
        self,
        shape: Any,
        dtype: Any,
        buffer: Any = nl.sbuf,
        name: str | None = None,
        base_partition: int = 0,
        align: int | None = None,
    ) -> nl.ndarray:
        """A new tensor that lives until :meth:`pop_heap`; ``align`` is a multiple for its address.

        Raises AssertionError for another buffer, or without room.
        """
        kernel_assert(buffer == nl.sbuf, f"SbufManager gives out SBUF, not {buffer}")
        size = _bytes(shape, dtype)
        address = _down(self.heap_curr_addr - size, 1 if align is None else align)
        self._check_room(address >= self.stack_curr_addr, "Heap", name, size)
        self._heap_paddings.append(self.heap_curr_addr - size - address)
        self.heap_curr_addr = _down(address, _HEAP_ALIGNMENT)
        self.total_heap_allocs += 1
        self._update_stats()
        self._log(f"[HEAP+] {self._shown(name)}: {size} B @ {self.heap_curr_addr} {shape} {dtype}")
        tensor = self._tensor(shape, dtype, buffer, name, base_partition, address)
        self.heap.append(tensor)
        self.heap_names.append(self._named(name))
        return tensor

    def pop_heap(self) -> None:
        """Free the tensor that :meth:`alloc_heap` gave last. Raises AssertionError when there is none."""
        if len(self.heap) == 0:
            self.logger.error("pop_heap on an empty heap")
        kernel_assert(len(self.heap) > 0, "heap underflow: pop_heap without a tensor on the heap")
        tensor = self.heap.pop()
        name = self.heap_names.pop()
        size = _bytes(tensor.shape, tensor.dtype)
        self.heap_curr_addr = _down(self.heap_curr_addr + size + self._heap_paddings.pop(), _HEAP_ALIGNMENT)
        self._log(f"[HEAP-] FREE {name or '(unnamed)'}: {size} B, remaining={len(self.heap)}")

    # -- space --------------------------------------------------------------------------------------

    def get_total_space(self) -> int:
        return self.upper_bound - self.lower_bound

    def get_free_space(self) -> int:
        return self.heap_curr_addr - self.stack_curr_addr

    def get_used_space(self) -> int:
        return self.get_total_space() - self.get_free_space()

    def get_stack_curr_addr(self) -> int:
        """The stack pointer. Raises AssertionError when the compiler places the tensors."""
        self._check_manual("get_stack_curr_addr")
        return self.stack_curr_addr

    def get_heap_curr_addr(self) -> int:
        """The heap pointer. Raises AssertionError when the compiler places the tensors."""
        self._check_manual("get_heap_curr_addr")
        return self.heap_curr_addr

    def align_stack_curr_addr(self, align: int = 32) -> None:
        """Round the stack pointer up. Raises AssertionError when the compiler places the tensors."""
        self._check_manual("align_stack_curr_addr")
        self.stack_curr_addr = align_to(self.stack_curr_addr, align)

    # -- names and messages -------------------------------------------------------------------------

    def set_name_prefix(self, prefix: str) -> None:
        """Put ``prefix`` in front of the names of tensors from here on."""
        self.prefix = prefix

    def get_name_prefix(self) -> str:
        return self.prefix

    def flush_logs(self) -> None:
        """Print the tree of allocations now."""
        self.tree_logger.flush()

    def _log(self, msg: str, boundary: bool = False) -> None:
        self.tree_logger.log(msg, len(self.scopes), boundary)

    def _named(self, name: str | None) -> str | None:
        return f"{self.prefix}{name}" if name else None

    def _shown(self, name: str | None) -> str:
        return self._named(name) or "(unnamed)"

    def _tensor(
        self, shape: Any, dtype: Any, buffer: Any, name: str | None, base_partition: int, address: int
    ) -> nl.ndarray:
        if self.use_auto_alloc:
            return nl.ndarray(shape, dtype, buffer=buffer, name=self._named(name))
        return nl.ndarray(
            shape, dtype, buffer=buffer, name=self._named(name), address=(base_partition, address)
        )

    def _check_room(self, fits: bool, where: str, name: str | None, size: int) -> None:
        if self.use_auto_alloc or fits:
            return
        text = f"{where} out of memory: {name} needs {size} bytes, {self.get_free_space()} are free"
        self.logger.error(text)
        self.flush_logs()
        self._print_stats()
        kernel_assert(False, text)

    def _check_manual(self, what: str) -> None:
        if self.use_auto_alloc:
            self.logger.error(f"{what} is not available while the compiler allocates")
        kernel_assert(not self.use_auto_alloc, f"{what} is not available while the compiler allocates")

    def _update_stats(self) -> None:
        stack = self.stack_curr_addr - self.lower_bound
        heap = self.upper_bound - self.heap_curr_addr
        self.max_stack_usage = max(self.max_stack_usage, stack)
        self.max_heap_usage = max(self.max_heap_usage, heap)
        self.max_combined_usage = max(self.max_combined_usage, stack + heap)

    def _print_stats(self) -> None:
        total = self.get_total_space()
        most = self.max_combined_usage
        self.logger.info(
            f"at most in use: {most} of {total} B ({100 * most // max(total, 1)}%), free: {total - most} B, "
            f"stack {self.max_stack_usage} B in {self.total_stack_allocs} allocations, "
            f"heap {self.max_heap_usage} B in {self.total_heap_allocs}"
        )


def create_auto_alloc_manager(logger: Logger | None = None) -> SbufManager:
    """A manager for all of SBUF that leaves the places of tensors to the compiler."""
    return SbufManager(0, nl.tile_size.total_available_sbuf_size, logger, use_auto_alloc=True)
