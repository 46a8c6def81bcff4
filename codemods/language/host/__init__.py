"""What surrounds kernels: imports, decorators, launches, parameters and harnesses.

:func:`before` runs ahead of the walker and sets the functions' plans; :func:`after` gets all the work on the
file, also the walker's, and settles the imports.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...elsewhere import Seen
from ..reasons import Work
from ..translate.plan import LanguageModule
from . import others
from .classes import classes
from .decorators import decorators
from .harness import levels, simulations
from .imports import both, imports
from .kernels import Kernels
from .launches import launches
from .operations import operations
from .parameters import parameters
from .placers import placers
from .revived import PREFIX, clean
from .strings import strings

__all__ = ["PREFIX", "after", "before", "both", "forget", "kernels_of", "launched", "with_others"]


def before(module: LanguageModule) -> Work:
    """What becomes of the host's code, other than imports; sets the plans of the file's functions."""
    kernels = kernels_of(module)
    work = decorators(kernels) + launches(kernels) + parameters(kernels) + operations(kernels)
    work += simulations(kernels) + levels(kernels) + strings(kernels) + placers(kernels) + classes(kernels)
    return work + Work(kernels=others.told(module))


def after(module: LanguageModule, work: Work) -> Work:
    """The work with what becomes of the imports, given all that is to be done to the rest of the file."""
    return clean(kernels_of(module), work + imports(kernels_of(module), module.step, work))


def launched(module: LanguageModule) -> Mapping[str, frozenset[Seen]]:
    """Every kernel of another file → how this one launches it."""
    return others.launched(kernels_of(module)) if module.elsewhere else {}


def with_others(module: LanguageModule) -> Work:
    """What becomes of launches of other files' kernels, whatever else there is in the file."""
    return others.changes(kernels_of(module)) if module.elsewhere else Work()


def kernels_of(module: LanguageModule) -> Kernels:
    """The kernels of a file, as its host's code sees them."""
    found = module.ctx.memory.get("kernels") or Kernels(module, frozenset(module.elsewhere))
    module.ctx.memory["kernels"] = found
    assert isinstance(found, Kernels)
    return found


def forget(module: LanguageModule) -> None:
    """Let go of what :func:`kernels_of` keeps with a file: the two refer to each other, and would wait for
    the garbage collector.
    """
    module.ctx.memory.pop("kernels", None)
