"""What a launch did, to do it again on other arrays: the instructions that ran, in the order in which they
ended, with their operands.

A recording is spoilt by what another launch may do differently: registers, values that the kernel's Python
looks at, printing. So it is by more instructions or memory than are worth keeping.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .access import Dynamic
from .context import Core, state
from .dtypes import Array
from .lending import Use, loans
from .memory import Storage
from .scratch import scratch
from .tensor import Tensor

MOST_STEPS = 20_000
MOST_BYTES, MOST_TIMES = 256 << 20, 2
"""Of all tiles that a launch makes, which stay alive while it is recorded. A launch that moves large weights
through SBUF may have so many times its arguments' bytes, if that is more. Afterwards tiles share memory."""

Step = Callable[[], Any]
_NO_MEMORY = np.empty(0, np.uint8)


class Recorder:
    """Listens to one launch.

    Attributes:
        spoilt: why the launch cannot be replayed, or "".
    """

    def __init__(self, given: int = 0) -> None:
        """``given``: bytes of the launch's arguments."""
        self.spoilt = ""
        self._most = max(MOST_BYTES, MOST_TIMES * given)
        self._steps: list[tuple[Core, Step]] = []
        self._chip: list[tuple[Storage, bool]] = []
        self._tiles: dict[int, _Tile] = {}
        self._memory: list[Storage] = []
        self._views: dict[int, dict[int, Tensor]] = {}
        self._bytes = 0
        self._parcels: dict[Any, deque[_Parcel]] = {}
        self._written: set[int] = set()

    def spoil(self, why: str) -> None:
        """Forget the launch."""
        self.spoilt = self.spoilt or why
        for kept in (self._steps, self._chip, self._tiles, self._memory, self._views, self._parcels):
            kept.clear()

    def allocated(self, storage: Storage, address: tuple[int, int] | None) -> None:
        """A tensor was made."""
        if storage.pitch is None:
            if all(storage is not known for known in self._memory):
                self._memory.append(storage)
            return
        self._bytes += storage.raw.nbytes if address is None else 0
        if self._bytes > self._most:
            self.spoil(f"its tiles take more than {self._most >> 20} MB")
        elif not self.spoilt:
            self._chip.append((storage, storage.fresh and address is None))
            if address is None:
                self._tiles[id(storage)] = _Tile(storage)

    def heard(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> None:
        """An instruction is about to run. What ``sendrecv`` sends leaves now."""
        if function.__name__ != "sendrecv" or self.spoilt:
            return
        given = _signature(function).bind(*args, **kwargs).arguments
        parcel = _Parcel(given["src"])
        queue = self._parcels.setdefault((int(given["send_to_rank"]), int(given["pipe_id"])), deque())
        queue.append(parcel)
        self._add(parcel.pack, {"src": given["src"]})

    def done(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> None:
        """An instruction has run."""
        name = function.__name__
        if self.spoilt or name == "core_barrier":
            return
        if name.startswith("register_"):
            self.spoil("it has registers")
        elif name == "sendrecv":
            given = _signature(function).bind(*args, **kwargs).arguments
            parcel = self._parcels[state.running().index, int(given["pipe_id"])].popleft()
            self._add(functools.partial(parcel.unpack, given["dst"]), {"dst": given["dst"]})
        else:
            args, kwargs = _kept(args), _kept(kwargs)
            given = _signature(function).bind(*args, **kwargs).arguments
            self._add(functools.partial(function, *args, **kwargs), given, name)
            self._note_written(given)

    def _note_written(self, given: dict[str, Any]) -> None:
        """Note which storages in HBM an instruction may write: operands that are no sources of a DMA."""
        places = [value for name, value in given.items() if not name.startswith("src")]
        self._written.update(
            id(tensor.storage) for tensor in _tensors(places) if tensor.storage.pitch is None
        )

    def wrote(self, tensor: Tensor, values: Array) -> None:
        """Something other than an instruction has given a tensor its contents."""
        if not self.spoilt:
            self._add(functools.partial(tensor.write, values), {"dst": tensor})

    def _add(self, step: Step, given: dict[str, Any], name: str = "") -> None:
        """``name``: the instruction's, if it is one with operands that are ``given``."""
        self._steps.append((state.running(), step))
        if len(self._steps) > MOST_STEPS:
            self.spoil(f"it has more than {MOST_STEPS:,} instructions")
            return
        for what, value in given.items():
            for tensor in _tensors(value):
                self._see(tensor, Use(len(self._steps), name, what, tensor, given))

    def _see(self, tensor: Tensor, use: Use) -> None:
        if tensor.storage.pitch is None:
            self._views.setdefault(id(tensor.storage), {})[id(tensor)] = tensor
        elif id(tensor.storage) in self._tiles:
            self._tiles[id(tensor.storage)].uses.append(use)

    def plan(self, cores: list[Core], inputs: Sequence[Storage], results: list[Any]) -> Plan | None:
        """The launch, to be done again; None when it cannot be."""
        if self.spoilt or not all(map(_plain, results)):
            return None
        for tensor in _tensors(results):  # their bytes are still to be read
            self._see(tensor, Use(len(self._steps), "", "result", tensor, {}))
        results_in = {id(tensor.storage) for tensor in _tensors(results)}
        given = {id(storage) for storage in inputs}
        views = {key: [_View(view) for view in each.values()] for key, each in self._views.items()}
        lent = self._lend(given - self._written, views)
        nbytes = _packed([tile for key, tile in self._tiles.items() if tile.uses and key not in results_in])
        nbytes += sum(self._tiles[key].storage.raw.nbytes for key in results_in & self._tiles.keys())
        nbytes += sum(memory.raw.nbytes for core in cores for memory in core.physical.values())
        made = [storage for storage in self._memory if id(storage) not in given]
        changed = [id(storage) in self._written for storage in inputs]
        lent_of = [id(storage) in lent for storage in inputs]
        return Plan(cores, inputs, changed, made, self._chip, views, self._steps, results, nbytes, lent_of)

    def _lend(self, unchanged: set[int], views: dict[int, list[_View]]) -> set[int]:
        """Leave out copies that need not be made; the arguments that are read where they are."""
        lent: dict[int, tuple[Tensor, list[_View]]] = {}
        for key, tile in list(self._tiles.items()):
            found = loans(tile.uses, unchanged)
            if not found:
                continue
            lent.update({use.step: (use.given["src"], []) for use in tile.uses if use.what == "dst"})
            for loan in found:
                lent[loan.step][1].append(_View(loan.view, loan.start, loan.strides))
            tile.storage.move(_NO_MEMORY)
            del self._tiles[key]
        for src, lenders in lent.values():
            views[id(src.storage)].extend(lenders)
        self._steps = [
            (core, functools.partial(_follow, *lent[at]) if at in lent else step)
            for at, (core, step) in enumerate(self._steps, 1)
            if at not in lent or lent[at][0].dynamic is not None
        ]
        return {id(src.storage) for src, _ in lent.values()}


def _follow(src: Tensor, views: list[_View]) -> None:
    """In place of a copy from an address that is known now: let what reads the copy read it there."""
    src.read_raw()  # which checks the address
    assert isinstance(src.dynamic, Dynamic)
    shift = src.dynamic.moved()
    for view in views:
        view.move(src.storage.raw, shift)


class _Tile:
    """A tile that was recorded, and what instructions use it for, in their order."""

    __slots__ = ("storage", "uses")

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.uses: list[Use] = []

    @property
    def first(self) -> int:
        return self.uses[0].step

    @property
    def last(self) -> int:
        return self.uses[-1].step


def _packed(tiles: list[_Tile]) -> int:
    """Let tiles that are not used at the same time share memory; the bytes that they need together.

    As memory is handed out while a kernel runs: what was given back last is taken first.
    """
    free: dict[int, list[Array]] = {}
    ending = sorted(tiles, key=lambda tile: tile.last)
    ended = total = 0
    for tile in sorted(tiles, key=lambda tile: tile.first):
        while ending[ended].last < tile.first:
            free.setdefault(ending[ended].storage.raw.nbytes, []).append(ending[ended].storage.raw)
            ended += 1
        size = tile.storage.raw.nbytes
        blocks = free.get(size)
        total += 0 if blocks else size
        views = [_View(view) for view in {id(use.tensor): use.tensor for use in tile.uses}.values()]
        tile.storage.move(blocks.pop() if blocks else np.empty(size, np.uint8))
        for view in views:
            view.move(tile.storage.raw)
    return total


class _View:
    """A view of a storage, and where it is there."""

    __slots__ = ("_dtype", "_shape", "_start", "_strides", "_tensor")

    def __init__(
        self, tensor: Tensor, start: int | None = None, strides: tuple[int, ...] | None = None
    ) -> None:
        """``start``, ``strides``: where it is to be instead."""
        array, own = tensor.array, tensor.start_byte()
        self._tensor, self._start = tensor, own if start is None else start
        self._shape, self._dtype, self._strides = array.shape, array.dtype, strides or array.strides

    def move(self, raw: Array, shift: int = 0) -> None:
        """Show other memory, that many bytes further on."""
        self._tensor.array = np.ndarray(self._shape, self._dtype, raw, self._start + shift, self._strides)

    def rest(self) -> None:
        """Show none."""
        self._tensor.array = _NO_MEMORY


class Plan:
    """A launch that can be done again.

    Attributes:
        nbytes: what it keeps for its tiles. Between launches it keeps neither arguments nor results.
        printed: what the kernel's Python does with the standard output.
    """

    printed: Sequence[tuple[str, tuple[Any, ...]]] = ()

    def __init__(
        self,
        cores: list[Core],
        inputs: Sequence[Storage],
        changed: Sequence[bool],
        made: list[Storage],
        chip: list[tuple[Storage, bool]],
        views: dict[int, list[_View]],
        steps: list[tuple[Core, Step]],
        results: list[Any],
        nbytes: int,
        lent: Sequence[bool],
    ) -> None:
        self.nbytes = nbytes
        self._lent = lent
        self._cores, self._inputs, self._made, self._chip = cores, inputs, made, chip
        self._changed = changed
        self._views, self._results = views, results
        self._turns: list[tuple[Core, list[Step]]] = []
        for core, step in steps:
            if not self._turns or self._turns[-1][0] is not core:
                self._turns.append((core, []))
            self._turns[-1][1].append(step)

    def run(self, arrays: Sequence[Array]) -> list[Any]:
        """Each core's result for other inputs, which have the layout of the first ones.

        When an instruction fails, the inputs are what they were.
        """
        self._check_apart(arrays)
        pairs = zip(arrays, self._changed, strict=True)
        before = [(array, array.copy()) for array, changed in pairs if changed]
        self._begin(arrays)
        try:
            for core, steps in self._turns:
                state.core = core
                for step in steps:
                    scratch.top = 0
                    step()
        except Exception:
            for array, values in before:
                array.reshape(-1).view(np.uint8)[...] = values.reshape(-1).view(np.uint8)
            raise
        finally:
            scratch.top = -1
        if sys.stdout is not None:
            for method, given in self.printed:
                getattr(sys.stdout, method)(*given)
        return self._results

    def _check_apart(self, arrays: Sequence[Array]) -> None:
        """What is read where it is, and not copied at first, may be nothing that the launch writes."""
        lent = [array for array, is_lent in zip(arrays, self._lent, strict=True) if is_lent]
        changed = [array for array, is_changed in zip(arrays, self._changed, strict=True) if is_changed]
        if any(np.may_share_memory(one, other) for one in lent for other in changed):
            raise ValueError("arguments share memory")

    def _begin(self, arrays: Sequence[Array]) -> None:
        """Everything as it is at the start of a launch."""
        for storage, array in zip(self._inputs, arrays, strict=True):
            self._move(storage, array.reshape(-1).view(np.uint8))
        for storage in self._made:
            self._move(storage, np.zeros(storage.size, np.uint8))
        for storage, fresh in self._chip:
            storage.fresh, storage.regions, storage.written = fresh, None, None
        for core in self._cores:
            core.restart()

    def _move(self, storage: Storage, raw: Array) -> None:
        """Let a storage and all views of it be in other memory."""
        storage.move(raw)
        for view in self._views.get(id(storage), ()):
            view.move(raw)

    def rest(self) -> None:
        """Let go of the arguments and results of a launch that has ended."""
        for storage in (*self._inputs, *self._made):
            storage.move(_NO_MEMORY)
            for view in self._views.get(id(storage), ()):
                view.rest()


class _Parcel:
    """What ``sendrecv`` has under way."""

    __slots__ = ("_src", "_values")

    def __init__(self, src: Tensor) -> None:
        self._src = src
        self._values: Any = None

    def pack(self) -> None:
        self._values = self._src.read_raw().copy()

    def unpack(self, dst: Tensor) -> None:
        dst.write(self._values)
        self._values = None


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors of operands, and those that dynamic addresses of them refer to."""
    if isinstance(value, Tensor):
        yield value
        if isinstance(value.dynamic, Dynamic):
            yield from _tensors((value.dynamic.tensor, value.dynamic.scalar, value.dynamic.vector))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _kept(value: Any) -> Any:
    """Operands that stay what they are: kernels may go on to change lists and arrays."""
    if isinstance(value, list | tuple):
        items = [_kept(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        return {key: _kept(item) for key, item in value.items()}
    return value.copy() if isinstance(value, np.ndarray) else value


def _plain(result: Any) -> bool:
    """Whether a result consists of tensors, and of what cannot change."""
    if isinstance(result, list | tuple):
        return all(map(_plain, result))
    return isinstance(result, Tensor) or type(result) in (bool, int, float, str, type(None))


@functools.cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)
