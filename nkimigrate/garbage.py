"""Garbage collection paused while a syntax tree grows: the collector would walk it again and again.

Measured on 100 kernel files: parsing takes half the time, and the language step a tenth less. Trees, scopes
and bindings of a file are freed without the collector; what else may refer to itself is collected after a few
files, so that memory stays bounded. What was there before the first file, such as modules and tables, stays,
and is not looked at again. A whole run is one pause, as else a collection would follow each file.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

COLLECT_AFTER_BYTES = 1 << 22
"""Source analysed between two collections."""
_AT_LEAST = 1 << 13
"""What a small file counts as."""

_analysed = 0
_frozen = False


@contextmanager
def paused(size: int) -> Iterator[None]:
    """No collection inside, for a piece of work on ``size`` bytes of source."""
    global _analysed, _frozen
    if not _frozen:
        _frozen = True
        gc.freeze()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        _analysed += max(size, _AT_LEAST) if size else 0
        if _analysed > COLLECT_AFTER_BYTES:
            _analysed = 0
            gc.collect()
        if enabled:
            gc.enable()
