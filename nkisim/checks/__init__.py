"""Strict mode: what the simulator would run although the NKI language or the hardware does not have it.

    with nkisim.strict():
        kernel(x)

``NKISIM_STRICT=1`` and ``python -m nkisim --strict`` turn it on for all launches. At a launch the source of
the kernel, and of what it calls, is checked against the language (:mod:`.language`). While it runs, reads of
memory that nothing wrote, activations outside their documented range, and matmuls that add to what another
instruction left in PSUM are errors.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from ..core.watch import mode


class StrictWarning(UserWarning):
    """Something that may not be in the language, or that could not be checked."""


def races() -> AbstractContextManager[None]:
    """Launches in the ``with`` block are searched for races between their cores; see :mod:`.sharing`."""
    return mode("races")


def interleave(seed: int) -> AbstractContextManager[None]:
    """The cores of launches in the ``with`` block take turns at random; see :mod:`.turns`."""
    return mode("interleave", (seed,))


def strict() -> AbstractContextManager[None]:
    """Launches in the ``with`` block are checked strictly."""
    return mode("strict")
