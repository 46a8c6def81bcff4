"""From two trees and a spec file to the cases to run: which kernel with which, and with what."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from . import harness
from .discover import Kernel, SourceFile
from .harness import Called
from .model import CURRENT, LEGACY, Case, Place
from .spec import NAME, Entry, Spec
from .trees import Tree

DEFAULT_TIMEOUT = 120.0


class Side:
    """A tree with its files, parsed when asked for."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._data: dict[str, bytes] = {}
        self._parsed: dict[str, SourceFile] = {}

    def data(self, file: str) -> bytes:
        """A file's content; nothing when it cannot be read. ``file``: relative to the root."""
        if file not in self._data:
            try:
                with open(os.path.join(self.tree.root, file), "rb") as opened:
                    self._data[file] = opened.read()
            except OSError:
                self._data[file] = b""
        return self._data[file]

    def source(self, file: str) -> SourceFile:
        """The same, parsed when it is asked for the first time."""
        if file not in self._parsed:
            self._parsed[file] = SourceFile.parsed(self.data(file))
        return self._parsed[file]

    def place(self, file: str, kernel: Kernel, jit: bool) -> Place:
        """Where a function of a file is; ``jit``: whether it is launched as a kernel."""
        language = self.source(file).language_of(kernel.name)
        return Place(self.tree.root, file, kernel.name, language, jit, kernel.target, not kernel.jit)


@dataclass(frozen=True)
class Pair:
    """A function on both sides; ``called``: what harnesses call it with, the best first."""

    key: str
    old_file: str
    new_file: str
    old: Kernel
    new: Kernel
    called: tuple[tuple[str, Called], ...] = ()


@dataclass
class Plan:
    """The cases; and what is not compared, with the reason."""

    cases: list[Case] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def plan(old: Tree, new: Tree, spec: Spec, timeout: float | None = None) -> Plan:
    """What to run.

    Kernels in both trees that the spec file does not name get their inputs from a harness; those of files
    that are the same on both sides are left out.
    """
    made = Plan()
    sides = Side(old), Side(new)
    found = list(pairs(*sides, made, {entry.name for entry in spec.entries}))
    named = set()
    for entry in spec.entries:
        named |= {(p.old_file, p.old.name) for p in _fitting(entry, found)}
        case = _named(entry, spec, found, sides, timeout, made)
        if case is not None:
            named.add((case.old.file, case.old.name))
            made.cases.append(case)
    unnamed = [p for p in found if compares(p) and (p.old_file, p.old.name) not in named]
    for pair in with_harness(unnamed, sides[0]):
        if _is_same(pair, sides):
            made.left_out.append((f"{pair.old_file}::{pair.old.name}", "the file is unchanged"))
        else:
            made.cases.append(_harnessed(pair, spec, sides, timeout))
    return made


def pairs(old: Side, new: Side, made: Plan, named: Iterable[str] = ()) -> Iterator[Pair]:
    """The functions that both sides have; kernels that only the old one has are left out with a reason.

    Only files that can have a kernel in them are parsed, and those with one of the ``named`` functions.
    """
    marks = (b"nki", *(name.encode() for name in named))
    for key, old_file in old.tree.files.items():
        new_file = new.tree.files.get(key)
        if new_file is None or not any(mark in old.data(old_file) for mark in marks):
            continue
        before, after = old.source(old_file), new.source(new_file)
        for which, source, file in (("old", before, old_file), ("new", after, new_file)):
            if source.error and (which == "new" or not after.error):
                made.left_out.append((file, f"{which}: {source.error}"))
        for name, kernel in before.kernels.items():
            if name in after.kernels:
                yield Pair(key, old_file, new_file, kernel, after.kernels[name])
            elif kernel.jit and not kernel.inner and not after.error:
                made.left_out.append((f"{old_file}::{name}", "the new file has no such function"))


def _is_same(pair: Pair, sides: tuple[Side, Side]) -> bool:
    return sides[0].data(pair.old_file) == sides[1].data(pair.new_file)


def compares(pair: Pair) -> bool:
    """Whether it is a kernel that is launched by itself."""
    return (pair.old.jit or pair.new.jit) and not (pair.old.inner and (pair.new.inner or not pair.new.jit))


# -- what the spec file says --------------------------------------------------------------------------


def _named(
    entry: Entry, spec: Spec, found: list[Pair], sides: tuple[Side, Side], timeout: float | None, made: Plan
) -> Case | None:
    """The case of an entry; None, and a reason in the plan, when there is no such function."""
    fitting = _fitting(entry, found)
    title = f"{entry.file}::{entry.name}" if entry.file else entry.name
    if entry.skip:
        made.left_out.append((title, f"{NAME}: {entry.skip}"))
        return None
    if not fitting and (entry.new_name or entry.new_file):
        fitting = list(_renamed(entry, sides))
    if len(fitting) != 1:
        many = (
            f"{len(fitting)} files have one; say which with `file`" if fitting else "not found on both sides"
        )
        made.left_out.append((title, f"{NAME}: {many}"))
        return None
    pair = fitting[0]
    old, new = sides
    jit = pair.old.jit or pair.new.jit if entry.jit is None else entry.jit
    places = (
        old.place(pair.old_file, pair.old, jit),
        new.place(pair.new_file, pair.new, jit),
    )
    grid = entry.grid or ()
    return Case(
        *places,
        entry.case,
        entry.inputs,
        grid,
        entry.lnc or _cores(grid, pair, places),
        spec.tolerance if entry.tolerance is None else entry.tolerance,
        entry.timeout or timeout or spec.timeout or DEFAULT_TIMEOUT,
        spec.seed if entry.seed is None else entry.seed,
        entry.target or spec.target or places[0].target,
        spec.paths,
        os.path.basename(spec.path),
    )


def _fitting(entry: Entry, found: list[Pair]) -> list[Pair]:
    return [p for p in found if p.old.name == entry.name and _file_fits(entry.file, p)]


def _file_fits(wanted: str, pair: Pair) -> bool:
    return not wanted or wanted in (pair.key, pair.old_file) or pair.old_file.endswith(f"/{wanted}")


def _renamed(entry: Entry, sides: tuple[Side, Side]) -> Iterator[Pair]:
    """Functions that have another name or file on the new side."""
    old, new = sides
    for old_file in _files(old, entry.file):
        for new_file in _files(new, entry.new_file or entry.file):
            before = old.source(old_file).kernels.get(entry.name)
            after = new.source(new_file).kernels.get(entry.new_name or entry.name)
            if (
                before
                and after
                and (entry.new_file or os.path.basename(old_file) == os.path.basename(new_file))
            ):
                yield Pair(old_file, old_file, new_file, before, after)


def _files(side: Side, wanted: str) -> list[str]:
    files = side.tree.files.items()
    return [f for key, f in files if not wanted or wanted in (key, f) or f.endswith(f"/{wanted}")]


def _cores(grid: tuple[Any, ...], pair: Pair, places: tuple[Place, Place]) -> tuple[int, ...]:
    """On how many cores the launch is compared when nobody says so."""
    text = " ".join(map(str, grid))
    if "lnc" in text:
        return (1, 2)
    if "nc(2)" in text:
        return (2,)
    both = all(place.language == CURRENT for place in places)
    return (1, 2) if both and pair.old.programs and pair.new.programs else (1,)


# -- what harnesses say -------------------------------------------------------------------------------


def _harnessed(pair: Pair, spec: Spec, sides: tuple[Side, Side], timeout: float | None) -> Case:
    """A case with the inputs of the kernel's own harness, or with the reason why there are none."""
    old, new = sides
    complete = [(file, call) for file, call in pair.called if call.complete]
    call = complete[0][1] if complete else None
    grid = call.grid if call else ()
    places = (
        old.place(pair.old_file, pair.old, True),
        new.place(pair.new_file, pair.new, True),
    )
    return Case(
        *places,
        inputs=call.inputs if call else {},
        grid=grid if places[0].language == LEGACY else (),
        lnc=_cores(grid, pair, places),
        tolerance=spec.tolerance,
        timeout=timeout or spec.timeout or DEFAULT_TIMEOUT,
        seed=spec.seed,
        target=spec.target or places[0].target,
        paths=spec.paths,
        source=_source(complete[0][0], call, pair) if call else "",
        why_not="" if call else _no_inputs(pair),
    )


def _source(file: str, call: Called, pair: Pair) -> str:
    """Where inputs come from: the call, and whose it is when it is another kernel's."""
    kernel = call.kernel.rpartition("::")[2]
    return f"{file}:{call.line}" + (f" (the call of {kernel})" if kernel != pair.old.name else "")


def _no_inputs(pair: Pair) -> str:
    ready = f"no inputs: write them into {NAME} (`--template` prints one)"
    if not pair.called:
        return ready
    file, call = pair.called[0]
    unclear = ", ".join(n for n, v in call.inputs.items() if v is harness.UNKNOWN) or "the launch grid"
    return f"{ready}; of the call at {file}:{call.line}, {unclear} cannot be read"


def with_harness(found: Iterable[Pair], side: Side) -> list[Pair]:
    """The pairs with what the old side's harnesses call them with: their own file's, then those of tests."""
    every = list(found)
    wanted = {(p.old_file, p.old.name) for p in every if p.old.jit or p.new.jit}
    calls: dict[tuple[str, str], list[tuple[str, Called]]] = {}
    for file in _harness_files(side, {file for file, _ in wanted}):
        for where, call in _calls(side, file, wanted):
            calls.setdefault(where, []).append((file, call))
    every = [replace(p, called=_best(calls.get((p.old_file, p.old.name), []))) for p in every]
    return [replace(p, called=p.called or _sibling(p, every)) for p in every]


def _sibling(pair: Pair, pairs: list[Pair]) -> tuple[tuple[str, Called], ...]:
    """What another kernel of the file with the same parameters is called with: versions of one kernel."""
    for other in pairs:
        if other.old_file == pair.old_file and other.old.parameters == pair.old.parameters:
            complete = [(file, call) for file, call in other.called if call.complete]
            if complete and other.old.programs == pair.old.programs:
                return tuple(complete[:1])
    return ()


def _best(calls: list[tuple[str, Called]]) -> tuple[tuple[str, Called], ...]:
    """Complete ones first, of these the smallest."""
    return tuple(sorted(calls, key=lambda item: (not item[1].complete, item[1].elements)))


def _harness_files(side: Side, kernels: set[str]) -> list[str]:
    """The kernels' own files, then all others that are known."""
    others = dict.fromkeys((*side.tree.files.values(), *side.tree.beside))
    return [*sorted(kernels), *(file for file in others if file not in kernels)]


def _calls(side: Side, file: str, wanted: set[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], Called]]:
    """The calls of wanted kernels that one file makes."""
    data = side.data(file)
    if not any(name.encode() in data for _, name in wanted):
        return
    source = side.source(file)
    local = dict(_local_names(source, file, wanted))
    if source.error or not local:
        return
    kernels = {f"{f}::{n}": side.source(f).kernels[n] for f, n in set(local.values())}
    names = {name: f"{f}::{n}" for name, (f, n) in local.items()}
    for call in harness.calls(source, kernels, names):
        place, _, name = call.kernel.rpartition("::")
        yield (place, name), call


def _local_names(
    source: SourceFile, file: str, wanted: set[tuple[str, str]]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Name in a file → the wanted kernel that it stands for."""
    stars = _star_modules(source)
    for kernel_file, name in wanted:
        module = kernel_file.removesuffix(".py").replace("/", ".")
        if kernel_file == file or any(_same_module(module, star) for star in stars):
            yield name, (kernel_file, name)
            continue
        for local, path in source.imports.items():
            package, _, last = path.rpartition(".")
            if last == name and _same_module(module, package):
                yield local, (kernel_file, name)


def _same_module(module: str, imported: str) -> bool:
    """Whether an import can mean a module of the tree: the shorter path is the other one's end."""
    imported = imported.lstrip(".")
    return bool(imported) and (f".{module}".endswith(f".{imported}") or f".{imported}".endswith(f".{module}"))


def _star_modules(source: SourceFile) -> list[str]:
    import ast

    nodes = [n for n in ast.walk(source.tree) if isinstance(n, ast.ImportFrom)]
    return [n.module or "" for n in nodes if any(alias.name == "*" for alias in n.names)]
