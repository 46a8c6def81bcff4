"""Launches that may be replayed, also where coverage is measured."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nkisim.core import repeated


@contextmanager
def unwatched() -> Iterator[None]:
    """Forget earlier launches, and let no trace function keep launches as usual, in the ``with`` block."""
    repeated.forget()
    before = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
        repeated.forget()
