"""The two modes: legacy spellings as errors, and behaviour of the old release where it is known exactly."""

from __future__ import annotations

from . import sites
from .sites import Switch

_legacy = False


class strict(Switch):
    """Make every use of a legacy spelling an error: a DeprecationWarning that is raised.

    ``nkilib.compat.strict()`` holds from then on, ``with nkilib.compat.strict():`` inside the block. Modules
    imported under a legacy root before are forgotten, so that importing them again is an error as well.
    """

    def __init__(self) -> None:
        from .finders import forget_aliases

        forget_aliases()
        super().__init__()

    @staticmethod
    def turn(on: bool) -> bool:
        return sites.turn_strict(on)


class legacy_behaviour(Switch):
    """Give calls from outside the library the old release's behaviour, for the rows of ``docs/compat.md``.

    A call or a ``with`` statement, like :class:`strict`; kernels have to be traced while it holds.
    """

    @staticmethod
    def turn(on: bool) -> bool:
        global _legacy
        from .methods import set_legacy_methods

        if on != _legacy:
            set_legacy_methods(on)
        before, _legacy = _legacy, on
        return before


def is_legacy() -> bool:
    return _legacy
