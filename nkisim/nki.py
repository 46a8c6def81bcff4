"""What ``import nki`` gives while nkisim is installed as ``nki``."""

from __future__ import annotations

from . import collectives as collectives
from . import compiler as compiler
from . import dtype as dtype
from . import isa as isa
from . import language as language
from . import tensor as tensor
from . import typing as typing
from .kernel import jit as jit
from .kernel import simulate as simulate

__path__: list[str] = []
"""``nki`` counts as a package; :mod:`.install` serves its modules."""

__version__ = "0.2.0+nkisim"
cpu_simulate = simulate
