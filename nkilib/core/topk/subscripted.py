"""Functions of the host that take the cores of a launch as a subscript."""

import functools
from typing import Any


class Subscripted:
    """``f[lnc](…)`` for a function with a parameter ``lnc``."""

    def __init__(self, function: Any) -> None:
        functools.update_wrapper(self, function)
        self._function = function

    def __getitem__(self, lnc: int) -> Any:
        return functools.partial(self._function, lnc=lnc)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises TypeError: a launch needs its number of cores."""
        raise TypeError(f"write {self._function.__name__}[lnc](…)")
