"""Views and tiles over the key/value cache."""

from __future__ import annotations

from dataclasses import dataclass, field

from nkilib_standalone.nkilib.core.utils.tensor_view import TensorView
from nkilib_standalone.nkilib.core.utils.tiled_range import TiledRange, TiledRangeIterator


@dataclass
class CachePlan:
    """How a request's cache is cut into blocks; ``sizes`` are bytes."""

    sizes: list[int] = field(default_factory=list)

    def total(self) -> int:
        return sum(self.sizes)


def head_view(cache, head: int) -> TensorView:
    """One head of ``[B, N, S, d]`` as ``[B, S, d]``."""
    return TensorView(cache).slice(1, head, head + 1).squeeze_dim(1)


def split_heads(view: TensorView, heads: int, d_head: int) -> TensorView:
    return view.reshape_dim(dim=2, sizes=[heads, d_head])


def sequence_length(view: TensorView) -> int:
    return view.sizes[1]


def padded(view: TensorView) -> list[int]:
    return view.sizes + [1]


def swapped_length(cache) -> int:
    return TensorView(cache).permute([0, 2, 1, 3]).sizes[1]


def bytes_of(views: list[TensorView], plan: CachePlan, itemsize: int = 2) -> int:
    count = 0
    for view in views:
        elements = 1
        for size in view.sizes:
            elements *= size
        count += elements
    return count * itemsize + sum(plan.sizes)


def transposed(cache, rows: int, columns: int) -> TensorView:
    return TensorView(cache, [columns, rows], [1, columns], 0)


def describe(buffer) -> str:
    # Called with views, plain tensors and cache plans alike.
    return "x".join(str(size) for size in buffer.sizes)


def tail_tile(length: int, tile: int) -> TiledRangeIterator:
    """The last, possibly short, tile of a sequence."""
    tiles = TiledRange(length, tile)
    start = (len(tiles) - 1) * tile
    size = length - start
    return TiledRangeIterator(size, len(tiles) - 1, start)


def first_tile(length: int, tile: int) -> TiledRangeIterator:
    return TiledRangeIterator(min(length, tile), 0, 0)
