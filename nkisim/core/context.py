"""The core that is running, and what belongs to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

GENERATIONS = {
    "trn1": 2,
    "inf2": 2,
    "gen2": 2,
    "trn2": 3,
    "gen3": 3,
    "trn3": 4,
    "trn3_a0": 4,
    "gen4": 4,
}


class Core:
    """One NeuronCore while it runs a kernel.

    Attributes:
        index, count: which of how many. grid: the launch grid; ndim is 0 without one.
        processor: the NeuronCore that it is, where several run on one after the other; else its index.
        activation_accumulators, vector_accumulators: float32 ``[128, 1]``, they live across instructions.
        physical: the memories that addressed tensors share, by buffer and widening (see :mod:`.precision`).
        sites: allocations so far by call site.
        busy: inside an instruction that listeners were told of.
        copies: how many it made into HBM.
    """

    def __init__(self, index: int, count: int, grid: tuple[int, ...], processor: int | None = None) -> None:
        self.index = index
        self.processor = index if processor is None else processor
        self.count = count
        self.grid = grid
        self.activation_accumulators = np.zeros((128, 1), np.float32)
        self.vector_accumulators = np.zeros((128, 1), np.float32)
        self.physical: dict[str, Any] = {}
        self.sites: dict[Any, int] = {}
        self.busy = False
        self.copies = 0
        self.done = False
        self.waits_for: Callable[[], bool] | None = None
        self.waits_at = ""

    def restart(self) -> None:
        """The core as it is at the start of a launch, for one that is replayed."""
        self.activation_accumulators[...] = 0
        self.vector_accumulators[...] = 0
        self.__dict__.pop("random", None)
        for memory in self.physical.values():
            memory.clear()

    @cached_property
    def random(self) -> np.random.Generator:
        """The core's random numbers; most kernels need none."""
        return np.random.default_rng(self.index)


class State:
    """What is global to a simulation: the running core, the target's generation, and who listens.

    ``listeners`` are told of each instruction before it runs (function, positional, keyword arguments), and
    ``allocations`` of each new storage with its address on chip. ``modes`` are those of :mod:`.watch`;
    ``thread`` is the one that launches, ``strict`` tells whether the running launch is a strict one,
    ``recorder`` records it (:mod:`.replay`).
    """

    def __init__(self) -> None:
        self.core: Core | None = None
        self.launch: Any = None
        self.thread = 0
        self.shared: dict[Any, Any] = {}
        self.generation = 3
        self.listeners: list[Callable[[Callable[..., Any], Any, dict[str, Any]], None]] = []
        self.allocations: list[Callable[[Any, tuple[int, int] | None], None]] = []
        self.modes: dict[str, Any] = {}
        self.strict = False
        self.recorder: Any = None
        self._standby = Core(0, 1, ())

    def running(self) -> Core:
        """The running core; one that stands by when code makes tensors outside a kernel."""
        return self.core or self._standby


state = State()


def target_generation(platform: str = "") -> int:
    """Generation of a platform name, else of ``NEURON_PLATFORM_TARGET_OVERRIDE``, else trn2's.

    Raises ValueError for a name nobody knows.
    """
    name = (platform or os.environ.get("NEURON_PLATFORM_TARGET_OVERRIDE", "") or "trn2").lower()
    if name not in GENERATIONS:
        raise ValueError(f"unknown platform target {name!r}; known: {', '.join(sorted(GENERATIONS))}")
    return GENERATIONS[name]
