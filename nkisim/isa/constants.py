"""``nki.isa.constants``: the enumerations of instructions, spelled as the API does, and the generation."""

from __future__ import annotations

from enum import Enum

from ..core.context import state


class dge_mode(Enum):
    """Who makes the descriptors of a DMA; changes nothing about the values moved."""

    unknown = 0
    swdge = 1
    hwdge = 2
    none = 3

    @classmethod
    def of(cls, mode: dge_mode | int | None) -> dge_mode:
        """The member; kernels in use also pass its number. ValueError for others."""
        return mode if isinstance(mode, cls) else cls(mode or 0)


class engine(Enum):
    """Engines of a NeuronCore; ``unknown`` leaves the choice to the compiler."""

    unknown = 0
    tensor = 1
    scalar = 2
    gpsimd = 3
    dma = 4
    vector = 5
    sync = 6


class oob_mode(Enum):
    """What an indirect access does with an index out of range: raise, or leave that row alone."""

    error = 0
    skip = 1


class reduce_cmd(Enum):
    """What an instruction does with its engine's accumulators."""

    idle = 0
    reset = 1
    reduce = 2
    reset_reduce = 3
    load_reduce = 4


class matmul_perf_mode(Enum):
    """How ``nc_matmul`` reads its operands; ``double_row`` takes two FP8 rows for each partition."""

    none = "none"
    double_row = "double_row"


class nc_version(Enum):
    """Generations of the NeuronCore, ordered: ``get_nc_version() >= nc_version.gen3``."""

    gen2 = 2
    gen3 = 3
    gen4 = 4

    def __lt__(self, other: object) -> bool:
        return self.value < other.value if isinstance(other, nc_version) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self.value <= other.value if isinstance(other, nc_version) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self.value > other.value if isinstance(other, nc_version) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self.value >= other.value if isinstance(other, nc_version) else NotImplemented


tensor_engine = engine.tensor
vector_engine = engine.vector
scalar_engine = engine.scalar
gpsimd_engine = engine.gpsimd
dma_engine = engine.dma
unknown_engine = engine.unknown


def get_nc_version() -> nc_version:
    """The generation that the running kernel (or ``NEURON_PLATFORM_TARGET_OVERRIDE``) targets."""
    return nc_version(state.generation)
