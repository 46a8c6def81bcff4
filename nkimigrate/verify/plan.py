"""From two trees and a spec file to the cases to run: which kernel with which, and with what."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from .harness import UNKNOWN, Called
from .harness_calls import with_calls
from .model import CURRENT, LEGACY, Case
from .pairs import Pair, Side, compares, is_same, pairs
from .spec import NAME, Entry, Spec
from .trees import Tree

DEFAULT_TIMEOUT = 120.0
"""Seconds for a run when neither the command line nor the spec file says."""


@dataclass
class Plan:
    """The cases; and what is not compared, with the reason."""

    cases: list[Case] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def plan(old: Tree, new: Tree, spec: Spec, timeout: float | None = None) -> Plan:
    """What to run.

    Kernels in both trees that the spec file does not name get their inputs from a harness; those of files
    that are the same on both sides are left out. ``timeout``: seconds for each run, from the command line.
    """
    made = Plan()
    sides = Side(old), Side(new)
    found = list(pairs(*sides, made.left_out, {entry.name for entry in spec.entries}))
    cases = _Cases(sides, spec, timeout)
    named = set()
    for entry in spec.entries:
        named |= {(p.old_file, p.old.name) for p in _fitting(entry, found)}
        pair = _pair_of(entry, found, sides)
        if isinstance(pair, str):
            made.left_out.append((f"{entry.file}::{entry.name}" if entry.file else entry.name, pair))
        else:
            named.add((pair.old_file, pair.old.name))
            made.cases.append(cases.of_entry(entry, pair))
    unnamed = [p for p in found if compares(p) and (p.old_file, p.old.name) not in named]
    for pair in with_calls(unnamed, sides[0]):
        if is_same(pair, sides):
            made.left_out.append((f"{pair.old_file}::{pair.old.name}", "the file is unchanged"))
        else:
            made.cases.append(cases.of_harness(pair))
    return made


@dataclass(frozen=True)
class _Cases:
    """Makes cases; ``spec`` and ``timeout`` say what holds for all of them."""

    sides: tuple[Side, Side]
    spec: Spec
    timeout: float | None

    def of_entry(self, entry: Entry, pair: Pair) -> Case:
        """The case that an entry of the spec file describes."""
        case = self._common(pair, pair.old.jit or pair.new.jit if entry.jit is None else entry.jit)
        grid = entry.grid or ()
        return replace(
            case,
            label=entry.case,
            inputs=entry.inputs,
            grid=grid,
            lnc=entry.lnc or _cores(grid, pair, case),
            tolerance=case.tolerance if entry.tolerance is None else entry.tolerance,
            timeout=entry.timeout or case.timeout,
            seed=case.seed if entry.seed is None else entry.seed,
            target=entry.target or case.target,
            source=os.path.basename(self.spec.path),
        )

    def of_harness(self, pair: Pair) -> Case:
        """A case with the inputs of the kernel's own harness, or with the reason why there are none."""
        case = self._common(pair, jit=True)
        complete = [(file, call) for file, call in pair.called if call.complete]
        if not complete:
            return replace(case, lnc=_cores((), pair, case), why_not=_no_inputs(pair))
        file, call = complete[0]
        return replace(
            case,
            inputs=call.inputs,
            grid=call.grid if case.old.language == LEGACY else (),
            lnc=_cores(call.grid, pair, case),
            source=_source(file, call, pair),
        )

    def _common(self, pair: Pair, jit: bool) -> Case:
        """The case of a pair without inputs; ``jit``: whether it is launched as a kernel."""
        old, new = self.sides
        place = old.place(pair.old_file, pair.old, jit)
        return Case(
            place,
            new.place(pair.new_file, pair.new, jit),
            tolerance=self.spec.tolerance,
            timeout=self.timeout or self.spec.timeout or DEFAULT_TIMEOUT,
            seed=self.spec.seed,
            target=self.spec.target or place.target,
            paths=self.spec.paths,
        )


# -- what an entry of the spec file means -------------------------------------------------------------


def _pair_of(entry: Entry, found: list[Pair], sides: tuple[Side, Side]) -> Pair | str:
    """The functions that an entry names, or why they are not compared."""
    if entry.skip:
        return f"{NAME}: {entry.skip}"
    fitting = _fitting(entry, found)
    if not fitting and (entry.new_name or entry.new_file):
        fitting = list(_renamed(entry, sides))
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        return f"{NAME}: {len(fitting)} files have one; say which with `file`"
    return f"{NAME}: not found on both sides"


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
            same_place = entry.new_file or os.path.basename(old_file) == os.path.basename(new_file)
            if before and after and same_place:
                yield Pair(old_file, old_file, new_file, before, after)


def _files(side: Side, wanted: str) -> list[str]:
    files = side.tree.files.items()
    return [f for key, f in files if not wanted or wanted in (key, f) or f.endswith(f"/{wanted}")]


# -- what a case is run with --------------------------------------------------------------------------


def _cores(grid: tuple[Any, ...], pair: Pair, case: Case) -> tuple[int, ...]:
    """On how many cores the launch is compared when nobody says so."""
    text = " ".join(map(str, grid))
    if "lnc" in text:
        return (1, 2)
    if "nc(2)" in text:
        return (2,)
    both = all(place.language == CURRENT for place in (case.old, case.new))
    return (1, 2) if both and pair.old.programs and pair.new.programs else (1,)


def _source(file: str, call: Called, pair: Pair) -> str:
    """Where inputs come from: the call, and whose it is when it is another kernel's."""
    kernel = call.kernel.rpartition("::")[2]
    return f"{file}:{call.line}" + (f" (the call of {kernel})" if kernel != pair.old.name else "")


def _no_inputs(pair: Pair) -> str:
    ready = f"no inputs: write them into {NAME} (`--template` prints one)"
    if not pair.called:
        return ready
    file, call = pair.called[0]
    unclear = ", ".join(n for n, v in call.inputs.items() if v is UNKNOWN) or "the launch grid"
    return f"{ready}; of the call at {file}:{call.line}, {unclear} cannot be read"
