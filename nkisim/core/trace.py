"""``nkisim.trace()``: what kernels do while it is open.

    with nkisim.trace() as trace:
        kernel(x)
    trace.print()

Times are estimates from documented instruction costs (:mod:`.cost`), never the time the simulation took.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .context import state
from .cost import DMA, ENGINES, Cost, cost, tensors
from .errors import location
from .memory import OFF_CHIP, PSUM, SBUF, Storage
from .tensor import Tensor
from .timeline import Clock, html

_RESULTS = frozenset({"dst", "reduce_res", "dst_scale", "dst_idx"})


@dataclass(frozen=True, slots=True)
class Event:
    """One instruction: core, name, the name the kernel gave it, its line, cost; times in microseconds."""

    core: int
    name: str
    label: str
    file: str
    line: int
    cost: Cost
    start: float
    duration: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON; ``cycles`` of the engine, ``read`` and ``written`` in bytes."""
        spent = self.cost
        return {
            "core": self.core,
            "name": self.name,
            "label": self.label,
            "file": self.file,
            "line": self.line,
            "engine": spent.engine,
            "cycles": spent.cycles,
            "macs": spent.macs,
            "read": spent.read,
            "written": spent.written,
            "start": self.start,
            "duration": self.duration,
        }


@dataclass
class Trace:
    """What was seen: ``events`` in the order of execution, ``high_water`` bytes of a partition by memory."""

    events: list[Event] = field(default_factory=list)
    high_water: dict[str, int] = field(default_factory=lambda: {SBUF: 0, PSUM: 0})
    generation: int = 3
    _clocks: dict[int, Clock] = field(default_factory=dict, repr=False)
    _live: Counter[tuple[int, str]] = field(default_factory=Counter, repr=False)
    _ends: dict[tuple[int, str], int] = field(default_factory=dict, repr=False)

    # -- results ------------------------------------------------------------------------------------

    def instructions(self) -> dict[str, dict[str, int]]:
        """Engine → instruction → how often."""
        found: dict[str, Counter[str]] = {}
        for event in self.events:
            found.setdefault(event.cost.engine, Counter())[event.name] += 1
        return {engine: dict(found[engine].most_common()) for engine in ENGINES if engine in found}

    def dma_bytes(self) -> dict[str, int]:
        """Direction (``hbm→sbuf``) → bytes written."""
        moved: Counter[str] = Counter()
        for event in self.events:
            if event.cost.engine == DMA:
                moved[f"{event.cost.source}→{event.cost.target}"] += event.cost.written
        return dict(moved)

    @property
    def hbm_read(self) -> int:
        """Bytes that DMA read from HBM."""
        return sum(e.cost.read for e in self.events if e.cost.source == "hbm")

    @property
    def hbm_written(self) -> int:
        """Bytes that DMA wrote to HBM."""
        return sum(e.cost.written for e in self.events if e.cost.target == "hbm")

    @property
    def macs(self) -> int:
        """Multiply-adds of matmuls."""
        return sum(event.cost.macs for event in self.events)

    def cycles(self) -> dict[str, float]:
        """Engine → estimated busy cycles, all cores together."""
        return self._sum(lambda event: event.cost.cycles)

    def busy(self) -> dict[str, float]:
        """Engine → estimated busy microseconds, all cores together."""
        return self._sum(lambda event: event.duration)

    def _sum(self, value: Callable[[Event], float]) -> dict[str, float]:
        total: dict[str, float] = {}
        for event in self.events:
            total[event.cost.engine] = total.get(event.cost.engine, 0.0) + value(event)
        return {engine: total[engine] for engine in ENGINES if engine in total}

    @property
    def span(self) -> float:
        """Estimated microseconds from the first instruction's start to the last one's end."""
        return max((event.start + event.duration for event in self.events), default=0.0)

    def to_dict(self, events: bool = False) -> dict[str, Any]:
        """The sums, and every event when asked for."""
        found: dict[str, Any] = {
            "generation": self.generation,
            "cores": len({event.core for event in self.events}),
            "instructions": self.instructions(),
            "dma_bytes": self.dma_bytes(),
            "hbm_read": self.hbm_read,
            "hbm_written": self.hbm_written,
            "macs": self.macs,
            "high_water": dict(self.high_water),
            "estimated_cycles": self.cycles(),
            "estimated_busy_us": self.busy(),
            "estimated_span_us": self.span,
        }
        return {**found, "events": [event.to_dict() for event in self.events]} if events else found

    def to_json(self, path: str | Path | None = None, events: bool = False) -> str:
        """The same as text, written to ``path`` when given."""
        text = json.dumps(self.to_dict(events), indent=2, ensure_ascii=False)
        if path is not None:
            Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def timeline(self, path: str | Path) -> None:
        """Write an HTML page with one row for each engine of each core."""
        Path(path).write_text(html([event.to_dict() for event in self.events], self.span), encoding="utf-8")

    def table(self) -> Any:
        """A rich table of the sums."""
        from rich.table import Table

        table = Table(title="Instructions (estimates from documented costs, not measured)")
        for column in ("Engine", "Instructions", "Cycles", "Busy µs"):
            table.add_column(column, justify="left" if column == "Engine" else "right")
        cycles, busy = self.cycles(), self.busy()
        for engine, counts in self.instructions().items():
            names = ", ".join(f"{name} {count:,}" for name, count in counts.items())
            table.add_row(
                f"{engine}\n  {names}",
                f"{sum(counts.values()):,}",
                f"{cycles[engine]:,.0f}",
                f"{busy[engine]:,.1f}",
            )
        table.caption = (
            f"HBM read {self.hbm_read:,} B, written {self.hbm_written:,} B · {self.macs:,} multiply-adds · "
            f"high water SBUF {self.high_water[SBUF]:,} B, PSUM {self.high_water[PSUM]:,} B a partition · "
            f"span {self.span:,.1f} µs"
        )
        return table

    def print(self) -> None:
        """Show the table on the terminal."""
        from rich.console import Console

        Console().print(self.table())

    # -- collecting ---------------------------------------------------------------------------------

    def heard(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> None:
        """An instruction is about to run."""
        try:
            operands = _signature(function).bind(*args, **kwargs).arguments
        except TypeError:
            return  # the call itself will say what is wrong
        core = state.running().processor
        self.generation = state.generation
        spent = cost(function.__name__, operands)
        duration = spent.microseconds(state.generation)
        clock = self._clocks.setdefault(core, Clock())
        start = clock.issue(spent.engine, duration, *_used(operands))
        label = operands.get("name") or ""
        self.events.append(Event(core, function.__name__, str(label), *location(), spent, start, duration))

    def allocated(self, storage: Storage, address: tuple[int, int] | None) -> None:
        """A tensor was made; on chip its bytes count until it goes."""
        if storage.buffer in OFF_CHIP:
            return
        key = state.running().processor, storage.buffer
        size = storage.size * storage.dtype.itemsize // storage.dtype.stored
        if address is not None:
            self._ends[key] = max(self._ends.get(key, 0), address[1] + size)
        else:
            storage.watch = _Lease(self._live, key, size)
        water = self._live[key] + self._ends.get(key, 0)
        self.high_water[storage.buffer] = max(self.high_water[storage.buffer], water)


class _Lease:
    """Bytes that are live as long as this object."""

    __slots__ = ("key", "live", "size")

    def __init__(self, live: Counter[tuple[int, str]], key: tuple[int, str], size: int) -> None:
        self.live, self.key, self.size = live, key, size
        live[key] += size

    def __del__(self) -> None:
        self.live[self.key] -= self.size


@functools.cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _used(operands: dict[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
    """Tensors that are read, and that are written."""
    read: list[Tensor] = []
    written: list[Tensor] = []
    for name, value in operands.items():
        (written if name in _RESULTS else read).extend(tensors(value))
    return read, written


@contextmanager
def trace() -> Iterator[Trace]:
    """Collect what kernels do in the ``with`` block."""
    found = Trace()
    state.listeners.append(found.heard)
    state.allocations.append(found.allocated)
    try:
        yield found
    finally:
        state.listeners.remove(found.heard)
        state.allocations.remove(found.allocated)
