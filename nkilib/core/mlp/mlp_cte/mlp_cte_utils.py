"""The launch grids that the MLP takes, and the shape of a vector that is spread over the partitions."""

import nki.language as nl

from .... import insides
from ....blocks.tiles import tiles_of

__getattr__ = insides.named(__name__)


def is_launch_grid_valid_for_mlp() -> bool:
    """Whether the launch has no grid, or one of one dimension."""
    return (nl.program_ndim() or 0) <= 1


def calc_vec_crossload_free_dim_len(vector_tensor_hbm: nl.ndarray) -> int:
    """How many elements of a vector ``[1, N]`` are on each of 128 partitions: ⌈N / 128⌉."""
    return tiles_of(vector_tensor_hbm.shape[1])
