"""Strided views of tensors: reshape, permute, broadcast and select without moving anything.

A view names the elements ``offset + Σ strides[i]·index[i]`` of the row-major elements of a whole tensor. In
SBUF dimension 0 is the partition, whose stride is the number of elements of one; it must stay first.
"""

from typing import Any

import nki.language as nl

from .allocator import num_elts
from .kernel_assert import kernel_assert
from .kernel_helpers import get_ceil_quotient
from .logging import Logger

logger = Logger("TensorView")


class TensorView(nl.NKIObject):
    """A view of a tensor; operations give new views. Steps and offsets count elements.

    Attributes:
        base_tensor: the whole tensor. dtype: its type.
        shape, strides, offset: what is viewed.
        scalar_offset, indirect_dim: an index in SBUF, read when the access runs, and the base's dimension
            that it selects in; None without.
    """

    base_tensor: nl.ndarray
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    dtype: Any
    scalar_offset: nl.ndarray | None = None
    indirect_dim: int | None = None

    def __init__(self, base_tensor: nl.ndarray) -> None:
        kernel_assert(base_tensor is not None, "TensorView needs a tensor, it got None")
        self.base_tensor = base_tensor
        self.shape = tuple(base_tensor.shape)
        self.strides = TensorView.get_trivial_strides(self.shape)
        self.offset = 0
        self.dtype = base_tensor.dtype
        self.scalar_offset = None
        self.indirect_dim = None

    # -- what it is ---------------------------------------------------------------------------------

    def get_dim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def is_sbuf(self) -> bool:
        return bool(self.base_tensor.buffer == nl.sbuf)

    def has_dynamic_access(self) -> bool:
        """Whether an index that is known only when the access runs selects in it."""
        return self.scalar_offset is not None and self.indirect_dim is not None

    @staticmethod
    def get_trivial_strides(shape: tuple[int, ...], base_stride: int = 1) -> tuple[int, ...]:
        """Row-major strides; the innermost is ``base_stride``."""
        strides = []
        step = num_elts(shape) * base_stride
        for size in shape:
            step = step // size if size > 0 else 0
            strides.append(step)
        return tuple(strides)

    def _get_pattern_and_offset(self) -> tuple[list[tuple[int, int]], int]:
        pattern = []
        for dim in range(self.get_dim()):
            pattern.append((self.strides[dim], self.shape[dim]))
        return pattern, self.offset

    def get_view(self) -> nl.ndarray:
        """The elements as a tensor that instructions take."""
        pattern, offset = self._get_pattern_and_offset()
        if self.has_dynamic_access():
            return self.base_tensor.ap(
                pattern=pattern,
                offset=offset,
                scalar_offset=self.scalar_offset,
                indirect_dim=self.indirect_dim,
            )
        return self.base_tensor.ap(pattern=pattern, offset=offset)

    # -- operations on one dimension ----------------------------------------------------------------

    def slice(self, dim: int, start: int, end: int, step: int = 1) -> "TensorView":
        """Elements ``start, start + step, …`` before ``end`` of a dimension; ``end`` may be too large."""
        self._check_dim(dim, "slice")
        size = self.shape[dim]
        kernel_assert(start >= 0, f"slice: start is {start}, it must not be negative")
        kernel_assert(end > start, f"slice: end {end} must be greater than start {start}")
        kernel_assert(step > 0, f"slice: step is {step}, it must be positive")
        kernel_assert(start < size, f"slice: start {start} is outside dimension {dim} of size {size}")
        count = get_ceil_quotient(min(end, size) - start, step)
        return self._replaced(
            dim, dim + 1, (count,), (self.strides[dim] * step,), self.offset + self.strides[dim] * start
        )

    def broadcast(self, dim: int, size: int) -> "TensorView":
        """Repeat the one element of a dimension ``size`` times."""
        self._check_dim(dim, "broadcast")
        self._check_free(dim, "broadcast")
        kernel_assert(self.shape[dim] == 1, f"broadcast: dimension {dim} has size {self.shape[dim]}, not 1")
        return self._replaced(dim, dim + 1, (size,), (0,), self.offset)

    def expand_dim(self, dim: int) -> "TensorView":
        """Insert a dimension of size 1 before ``dim``, or at the end."""
        count = self.get_dim()
        kernel_assert(0 <= dim <= count, f"expand_dim: dim is {dim}, allowed: 0 to {count}")
        self._check_free(dim, "expand_dim")
        stride = self.strides[dim] * self.shape[dim] if dim < count else 1
        return self._replaced(dim, dim, (1,), (stride,), self.offset)

    def squeeze_dim(self, dim: int) -> "TensorView":
        """Remove a dimension of size 1."""
        self._check_dim(dim, "squeeze_dim")
        self._check_free(dim, "squeeze_dim")
        kernel_assert(self.shape[dim] == 1, f"squeeze_dim: dimension {dim} has size {self.shape[dim]}, not 1")
        return self._replaced(dim, dim + 1, (), (), self.offset)

    def select(self, dim: int, index: int | nl.ndarray) -> "TensorView":
        """Take one index of a dimension, which goes: an int, or an integer tensor of one element in SBUF."""
        if not isinstance(index, int):
            return self._dynamic_select(dim, index)
        self._check_dim(dim, "select")
        self._check_free(dim, "select")
        size = self.shape[dim]
        kernel_assert(0 <= index < size, f"select: index {index} is outside dimension {dim} of size {size}")
        return self._replaced(dim, dim + 1, (), (), self.offset + self.strides[dim] * index)

    def _dynamic_select(self, dim: int, index: nl.ndarray) -> "TensorView":
        """Leave the index to the access: it selects in the base's first dimension of this stride."""
        self._check_dim(dim, "select")
        self._check_free(dim, "select")
        kernel_assert(not self.has_dynamic_access(), "select: the view has a dynamic index already")
        stride = self.strides[dim]
        kernel_assert(
            stride != 0, f"select: dimension {dim} is a broadcast, an index in SBUF cannot select in it"
        )
        strides = TensorView.get_trivial_strides(tuple(self.base_tensor.shape))
        found = -1
        for base in range(len(strides)):
            if found < 0 and strides[base] == stride:
                found = base
        kernel_assert(
            found >= 0,
            f"select: an index in SBUF cannot select in dimension {dim}, whose stride {stride} is that of no "
            f"dimension of the tensor, {strides}",
        )
        view = self._replaced(dim, dim + 1, (), (), self.offset)
        view.scalar_offset = index
        view.indirect_dim = found
        return view

    # -- operations on several dimensions -----------------------------------------------------------

    @staticmethod
    def validate_permutation(permutation: tuple[int, ...], dim: int, is_sbuf: bool) -> None:
        """Raise AssertionError unless it permutes ``dim`` dimensions, and leaves SBUF's partition first."""
        kernel_assert(len(permutation) == dim, f"permute: {permutation} must name {dim} dimensions")
        for position in range(dim):
            entry = permutation[position]
            kernel_assert(0 <= entry < dim, f"permute: {entry} in {permutation} is no dimension")
            for other in range(position):
                kernel_assert(permutation[other] != entry, f"permute: {permutation} names {entry} twice")
        moved = is_sbuf and permutation[0] != 0
        kernel_assert(not moved, f"permute: {permutation} moves the partition dimension of SBUF")

    def permute(self, dims: tuple[int, ...]) -> "TensorView":
        """Reorder: dimension ``i`` of the result is ``dims[i]``."""
        TensorView.validate_permutation(dims, self.get_dim(), self.is_sbuf())
        shape = []
        strides = []
        for dim in dims:
            shape.append(self.shape[dim])
            strides.append(self.strides[dim])
        return self._copy(tuple(shape), tuple(strides))

    def reshape_dim(self, dim: int, shape: tuple[int, ...]) -> "TensorView":
        """Split a dimension, row-major; one entry may be -1, for what the others leave."""
        self._check_dim(dim, "reshape_dim")
        if len(shape) != 1:
            self._check_free(dim, "reshape_dim")
        sizes = self._inferred(dim, shape)
        kernel_assert(
            num_elts(sizes) == self.shape[dim],
            f"reshape_dim: {shape} does not hold the {self.shape[dim]} elements of dimension {dim}",
        )
        return self._replaced(
            dim, dim + 1, sizes, TensorView.get_trivial_strides(sizes, self.strides[dim]), self.offset
        )

    def _inferred(self, dim: int, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The sizes with -1 filled in."""
        unknown = 0
        known = 1
        for size in shape:
            if size == -1:
                unknown += 1
            else:
                kernel_assert(size > 0, f"reshape_dim: {shape} has a size below 1")
                known *= size
        kernel_assert(unknown <= 1, f"reshape_dim: {shape} has more than one -1")
        kernel_assert(
            self.shape[dim] % known == 0,
            f"reshape_dim: {shape} does not divide the {self.shape[dim]} elements of dimension {dim}",
        )
        sizes = []
        for size in shape:
            sizes.append(self.shape[dim] // known if size == -1 else size)
        return tuple(sizes)

    def flatten_dims(self, start_dim: int, end_dim: int) -> "TensorView":
        """Merge dimensions, from the first to the last one named; they must follow each other in memory."""
        count = self.get_dim()
        kernel_assert(
            0 <= start_dim < end_dim < count,
            f"flatten_dims: {start_dim} to {end_dim} is no range of several of {count} dimensions",
        )
        self._check_free(start_dim, "flatten_dims")
        for dim in range(start_dim, end_dim):
            kernel_assert(
                self.strides[dim] == self.shape[dim + 1] * self.strides[dim + 1],
                f"flatten_dims: dimensions {dim} and {dim + 1} of {self.shape} with strides {self.strides} "
                "do not follow each other in memory",
            )
        size = num_elts(self.shape[start_dim : end_dim + 1])
        return self._replaced(start_dim, end_dim + 1, (size,), (self.strides[end_dim],), self.offset)

    def rearrange(
        self,
        src_pattern: tuple[str | tuple[str, ...], ...],
        dst_pattern: tuple[str | tuple[str, ...], ...],
        fixed_sizes: dict[str, int] | None = None,
    ) -> "TensorView":
        """Split, reorder and merge dimensions by name, as einops does.

        Args:
            src_pattern: names of the dimensions; a tuple of names splits one.
            dst_pattern: the same names in their new order; a tuple merges several.
            fixed_sizes: sizes of names in tuples; in each tuple one may be missing.

        Raises AssertionError as the operations do that it is made of.
        """
        sizes = fixed_sizes if fixed_sizes is not None else {}
        kernel_assert(
            len(src_pattern) == self.get_dim(),
            f"rearrange: {src_pattern} must name {self.get_dim()} dimensions",
        )
        view = self
        position = 0
        for item in src_pattern:
            if isinstance(item, str):
                position += 1
            else:
                view = view.reshape_dim(position, TensorView._sizes_of(item, sizes))
                position += len(item)
        view = view.permute(TensorView._positions(_flat(src_pattern), _flat(dst_pattern)))
        for index in range(len(dst_pattern)):
            if not isinstance(dst_pattern[index], str):
                view = view.flatten_dims(index, index + len(dst_pattern[index]) - 1)
        return view

    @staticmethod
    def _sizes_of(names: tuple[str, ...], sizes: dict[str, int]) -> tuple[int, ...]:
        """Sizes of a group; -1 for a name without one."""
        found = []
        for name in names:
            found.append(sizes[name] if TensorView.key_in_dict(name, sizes) else -1)
        return tuple(found)

    @staticmethod
    def _positions(source: list[str], wanted: list[str]) -> tuple[int, ...]:
        """Where each wanted name stands in the source."""
        positions = []
        for name in wanted:
            found = -1
            for index in range(len(source)):
                if source[index] == name:
                    found = index
            kernel_assert(found >= 0, f"rearrange: {name} is not among the source's {source}")
            positions.append(found)
        return tuple(positions)

    def reshape(self, new_shape: tuple[int, ...]) -> "TensorView":
        """Not available: raises AssertionError."""
        kernel_assert(False, f"reshape to {new_shape}: use reshape_dim and flatten_dims")
        return self

    @staticmethod
    def key_in_dict(key: Any, dicti: dict[Any, Any]) -> bool:
        """Whether a dictionary has a key, without ``in``, which kernels cannot use for that."""
        for known in dicti:
            if known == key:
                return True
        return False

    # -- making views -------------------------------------------------------------------------------

    def _check_dim(self, dim: int, what: str) -> None:
        count = self.get_dim()
        kernel_assert(0 <= dim < count, f"{what}: dim is {dim}, the view has dimensions 0 to {count - 1}")

    def _check_free(self, dim: int, what: str) -> None:
        partition = dim == 0 and self.is_sbuf()
        kernel_assert(
            not partition, f"{what}: dimension 0 of a tensor in SBUF is the partition, it must stay"
        )

    def _replaced(
        self, start: int, end: int, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
    ) -> "TensorView":
        """A view with others in place of dimensions ``start`` to ``end - 1``."""
        return self._copy(
            _spliced(self.shape, start, end, shape), _spliced(self.strides, start, end, strides), offset
        )

    def _copy(
        self,
        shape: tuple[int, ...] | None = None,
        strides: tuple[int, ...] | None = None,
        offset: int | None = None,
        scalar_offset: nl.ndarray | None = None,
        indirect_dim: int | None = None,
    ) -> "TensorView":
        """A view of the same tensor; what is not given stays."""
        view = TensorView(self.base_tensor)
        view.shape = self.shape if shape is None else shape
        view.strides = self.strides if strides is None else strides
        view.offset = self.offset if offset is None else offset
        view.scalar_offset = self.scalar_offset if scalar_offset is None else scalar_offset
        view.indirect_dim = self.indirect_dim if indirect_dim is None else indirect_dim
        return view


def _spliced(values: tuple[int, ...], start: int, end: int, middle: tuple[int, ...]) -> tuple[int, ...]:
    """``values`` with others in place of ``start`` to ``end - 1``; NKI cannot add tuples."""
    result = []
    for index in range(start):
        result.append(values[index])
    for value in middle:
        result.append(value)
    for index in range(end, len(values)):
        result.append(values[index])
    return tuple(result)


def _flat(pattern: tuple[str | tuple[str, ...], ...]) -> list[str]:
    """The names of a pattern, groups dissolved."""
    names = []
    for item in pattern:
        if isinstance(item, str):
            names.append(item)
        else:
            for name in item:
                names.append(name)
    return names
