"""One BLAS thread while kernels run: handing work as small as a tile to threads costs more than it saves.

threadpoolctl sets it, where that is installed. Otherwise set ``OPENBLAS_NUM_THREADS=1`` (or
``MKL_NUM_THREADS``, ``VECLIB_MAXIMUM_THREADS``: whatever NumPy was built with) before NumPy is imported.
"""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from functools import lru_cache
from importlib import import_module
from typing import Any


def one_thread() -> AbstractContextManager[Any]:
    """Within it BLAS has one thread; afterwards what it had. Does nothing without threadpoolctl."""
    controller = _controller()
    return contextlib.nullcontext() if controller is None else controller.limit(limits=1, user_api="blas")


@lru_cache(maxsize=1)
def _controller() -> Any:
    """Finding the libraries takes milliseconds, so it is done once."""
    try:
        return import_module("threadpoolctl").ThreadpoolController()
    except ImportError:
        return None
