"""Heads of queries and keys of :mod:`.attention_block_tkg`, between projection and attention.

Heads lie on the partitions, ``[d, heads, T]`` with T = B·S tokens: norms are sums over the partitions.
"""

from typing import Any

import nki.isa as nisa
import nki.language as nl

from ...blocks.memory import Scratch, scratch
from ...blocks.norm import rms_norm_spread
from ...blocks.tiles import as_view, load_column
from ...core.embeddings.rope import RoPE_sbuf
from ...core.utils.allocator import SbufManager
from ...core.utils.tensor_view import TensorView


class Rotation(nl.NKIObject):
    """Cosines and sines SBUF ``[d/2, 1, T]``; ``interleaved``: pairs are neighbouring rows."""

    cosine: nl.ndarray
    sine: nl.ndarray
    interleaved: bool


class HeadSteps(nl.NKIObject):
    """What is done to heads; None: it is not.

    Attributes:
        before, after: what RMSNorms of each head add to the mean square, before and after the rotation.
        queries, keys: factors of the second norm, HBM ``[1, d]``.
    """

    before: Any = None
    rotation: Any = None
    after: Any = None
    queries: Any = None
    keys: Any = None


def load_rotation(cos: nl.ndarray, sin: nl.ndarray, interleaved: bool, dtype: Any, work: Scratch) -> Rotation:
    """Of HBM ``[d/2, B, S]``, in ``dtype``."""
    half, batch, sequence = cos.shape
    held = []
    for table in (cos, sin):
        tile = work.tile((half, 1, batch * sequence), dtype)
        nisa.dma_copy(
            dst=as_view(tile).select(1, 0).get_view(), src=as_view(table).flatten_dims(1, 2).get_view()
        )
        held.append(tile)
    return Rotation(cosine=held[0], sine=held[1], interleaved=interleaved)


def process(heads: nl.ndarray, steps: HeadSteps, factors: Any, work: Scratch, sbm: SbufManager) -> nl.ndarray:
    """The steps on SBUF ``[d, n, T]``; returns where the result is. factors: of the second norm, or None."""
    if steps.before is not None:
        _normalize(heads, steps.before, None, sbm)
    rotation = steps.rotation
    if rotation is not None:
        size, count, tokens = heads.shape
        turned = work.tile((size, count, tokens), heads.dtype)
        RoPE_sbuf(
            heads.reshape((size, 1, count, tokens)),
            rotation.cosine,
            rotation.sine,
            turned.reshape((size, 1, count, tokens)),
            convert_from_interleaved=rotation.interleaved,
        )
        heads = turned
    if steps.after is not None:
        _normalize(heads, steps.after, factors, sbm)
    return heads


def _normalize(heads: nl.ndarray, eps: float, factors: Any, sbm: SbufManager) -> None:
    """``z / √(mean_d z² + eps)``, times the factors, in place; d is 128."""
    work = scratch(sbm, name="head_norm")
    size = heads.shape[0]
    column = None
    if factors is not None:
        column = work.tile((size, 1), factors.dtype)
        load_column(column, factors)
    values = as_view(heads).flatten_dims(1, 2).expand_dim(2)
    rms_norm_spread(values, values, column, eps, size, sbm)
    work.close()


def by_sequence(tile: nl.ndarray, batch: int, heads: int, sequence: int) -> TensorView:
    """SBUF ``[d, B·heads·S]`` as ``[d, heads, B, S]``."""
    return as_view(tile).reshape_dim(1, (batch, heads, sequence)).permute((0, 2, 1, 3))
