"""What tests of instructions share: how values round, and which generation is the target."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nkisim.core.context import state
from nkisim.core.dtypes import dtype_of


def rounded(values: Any, dtype: str) -> Any:
    """Values as an element type keeps them (by NumPy and ml_dtypes), in float64."""
    return np.asarray(values).astype(np.float32).astype(dtype_of(dtype).numpy).astype(np.float64)


@contextmanager
def target(generation: int) -> Iterator[None]:
    """The generation that instructions find."""
    before, state.generation = state.generation, generation
    try:
        yield
    finally:
        state.generation = before
