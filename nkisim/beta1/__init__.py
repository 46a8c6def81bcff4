"""The legacy NKI API, ``neuronxcc.nki`` (Beta 1, Neuron 2.26 and 2.27), over nkisim: unmigrated kernels run.

Served as ``neuronxcc.nki`` by ``nkisim.install()``, and usable as ``nkisim.beta1``::

    import nkisim.beta1 as nki
    import nkisim.beta1.language as nl

Loops are ordinary Python loops; :mod:`.launch` says where that differs from the legacy tracer.
"""

from . import compiler as compiler
from . import isa as isa
from . import language as language
from . import typing as typing
from .launch import FrameworkKernel as FrameworkKernel
from .launch import baremetal as baremetal
from .launch import benchmark as benchmark
from .launch import jit as jit
from .launch import profile as profile
from .launch import simulate_kernel as simulate_kernel
from .launch import trace as trace
from .tile import Tile

tensor = Tile
"""The class of tiles and tensors, for annotations and ``isinstance``."""
