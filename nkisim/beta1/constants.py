"""``neuronxcc.nki.language.constants``."""

from __future__ import annotations

from typing import Any

from ..core.dtypes import dtype_of


def sizeinbytes(dtype: Any) -> int:
    """Bytes of one element of a type, which may be NumPy's."""
    return dtype_of(dtype).itemsize
