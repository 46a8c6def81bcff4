"""The tests' own work in less time: random numbers that are drawn one after another, sums without BLAS.

Inputs for MX weights are drawn with four calls of ``np.random`` for each group of 32 elements, of which the
larger cases have twenty million: minutes, before a kernel runs. Here such numbers come from words that were
drawn together: the same numbers, after which the generator is in the same state.

Their goldens take products of MX tiles with ``np.einsum``, which sums float32 in its own loops. Here BLAS
does, in float32 as well: the golden is the same but for the order of its sums.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from operator import length_hint
from types import SimpleNamespace
from typing import Any

import numpy as np

FUNCTION = "generate_stabilized_mx_data"
"""The tests' function that draws like this."""
GOLDENS = "test.utils.mx_utils"
"""The tests' module that sums like this."""
WORDS = 1 << 20
"""Words that are drawn together."""
LARGEST = 0xFFFFFFFF


class OneByOne:
    """``np.random``; single integers and floats are made here, of the words that it would make them of."""

    def __init__(self) -> None:
        self._start: Any = None
        self._drawn = 0
        self._words: Iterator[int] = iter(())

    def __getattr__(self, name: str) -> Any:
        self.settle()
        return getattr(np.random, name)

    def settle(self) -> None:
        """Let the generator stand behind the words that were used."""
        if self._drawn:
            np.random.set_state(self._start)
            _draw(self._drawn - length_hint(self._words))
        self._drawn, self._words = 0, iter(())

    def _more(self) -> None:
        """Draw words; none are left."""
        self.settle()
        self._start, self._drawn = np.random.get_state(legacy=False), WORDS
        self._words = iter(_draw(WORDS).tolist())

    def _next(self) -> int:
        for word in self._words:
            return word
        self._more()
        return next(self._words)

    def randint(self, low: int, high: int | None = None, size: Any = None, dtype: Any = int) -> Any:
        """The lowest bits that the range needs, of the first word where they lie in it."""
        if high is None or size is not None or dtype is not int or not 1 < high - low <= LARGEST:
            self.settle()
            return np.random.randint(low, high, size, dtype)
        most = high - low - 1
        mask = (1 << most.bit_length()) - 1
        while True:
            for word in self._words:
                if word & mask <= most:
                    return low + (word & mask)
            self._more()

    def choice(self, a: Any, *rest: Any, **options: Any) -> Any:
        """One of a list, each as likely."""
        if rest or options or not isinstance(a, list):
            self.settle()
            return np.random.choice(a, *rest, **options)
        return a[self.randint(0, len(a))]

    def random(self, size: Any = None) -> Any:
        """53 bits: 27 of one word and 26 of the next."""
        if size is not None:
            self.settle()
            return np.random.random(size)
        return ((self._next() >> 5) * (1 << 26) + (self._next() >> 6)) / (1 << 53)


def _draw(count: int) -> Any:
    return np.random.randint(0, LARGEST + 1, count, np.uint32)


def hastened(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with another ``np.random`` in its module while it runs."""
    scope = function.__globals__

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        random = OneByOne()
        scope["np"] = _numpy(random=random)
        try:
            return function(*arguments, **options)
        finally:
            random.settle()
            scope["np"] = np

    return run


def _numpy(**names: Any) -> SimpleNamespace:
    """NumPy with these names."""
    return SimpleNamespace(**{**vars(np), **names})


def hasten() -> None:
    """Both, in all modules of the tests that have been imported."""
    if GOLDENS in sys.modules:
        vars(sys.modules[GOLDENS])["np"] = _numpy(einsum=functools.partial(np.einsum, optimize=True))
    homes = [module for name, module in sys.modules.items() if name.partition(".")[0] == "test"]
    for home in homes:
        function = vars(home).get(FUNCTION)
        if function is not None:
            setattr(home, FUNCTION, hastened(function))
