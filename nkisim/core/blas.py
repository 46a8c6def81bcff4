"""One BLAS thread while kernels run: handing work as small as a tile to threads costs more than it saves."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


class OneThread:
    """Within it BLAS has one thread; afterwards what it had."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = [(library, library.get_num_threads()) for library in _libraries()]
        self._set((library, 1) for library, count in self._before if count != 1)

    def __exit__(self, *_: object) -> None:
        self._set((library, count) for library, count in self._before if count != 1)

    @staticmethod
    def _set(counts: Any) -> None:
        for library, count in counts:
            library.set_num_threads(count)


@lru_cache(maxsize=1)
def _libraries() -> list[Any]:
    """Finding the libraries takes milliseconds, so it is done once, when the first kernel is launched."""
    from threadpoolctl import ThreadpoolController

    return [each for each in ThreadpoolController().lib_controllers if each.user_api == "blas"]
