"""One BLAS thread while kernels run: handing work as small as a tile to threads costs more than it saves."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any


def one_thread() -> AbstractContextManager[Any]:
    """Within it BLAS has one thread; afterwards what it had."""
    return _controller().limit(limits=1, user_api="blas")


@lru_cache(maxsize=1)
def _controller() -> Any:
    """Finding the libraries takes milliseconds, so it is done once, when the first kernel is launched."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
