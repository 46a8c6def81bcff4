"""The kernel of :mod:`.find_nonzero_indices_with_count` under its other name."""

from .find_nonzero_indices_with_count import SUPPORTED_INPUT_DTYPES, find_nonzero_indices_with_count

__all__ = ["SUPPORTED_INPUT_DTYPES", "find_nonzero_indices_with_count"]
