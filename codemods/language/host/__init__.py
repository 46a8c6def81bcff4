"""What surrounds kernels: imports, decorators, launches, parameters and harnesses.

:func:`before` runs ahead of the walker and sets the functions' plans; :func:`after` gets all the work on the
file, also the walker's, and settles the imports.
"""

from __future__ import annotations

from ..reasons import Work
from ..translate.plan import LanguageModule
from .decorators import decorators
from .harness import simulations
from .imports import imports
from .kernels import Kernels
from .launches import launches
from .parameters import parameters


def before(module: LanguageModule) -> Work:
    """What becomes of the host's code, other than imports; sets the plans of the file's functions."""
    kernels = Kernels(module)
    return decorators(kernels) + launches(kernels) + parameters(kernels) + simulations(kernels)


def after(module: LanguageModule, work: Work) -> Work:
    """What becomes of the imports, given all that is to be done to the rest of the file."""
    return imports(Kernels(module), module.step, work)
