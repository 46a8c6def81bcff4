"""What came of a verification, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .. import __version__
from ..report.text import plural
from ..terminal import clean, clean_line, painter
from .model import CLOSE, DIFFERENT, IDENTICAL, NOT_RUN, VERDICTS, Output, Result

SCHEMA_VERSION = 1
CLEAN, DIFFERENCE, NOT_COMPARED = 0, 1, 3
"""Exit codes: nothing is different; something is; nothing is, but not everything could be compared."""

_LABELS = {
    IDENTICAL: "equal bit by bit",
    CLOSE: "equal within tolerance",
    DIFFERENT: "different",
    NOT_RUN: "could not run",
}
_COLOURS = {IDENTICAL: "green", CLOSE: "green", DIFFERENT: "red", NOT_RUN: "yellow"}


class Verification:
    """All results, and what was left out with its reason."""

    def __init__(self, results: list[Result], left_out: list[tuple[str, str]]) -> None:
        self.results = results
        self.left_out = left_out

    @property
    def exit_code(self) -> int:
        """One difference decides; without any, a kernel that could not be run does."""
        verdicts = {result.verdict for result in self.results}
        if DIFFERENT in verdicts:
            return DIFFERENCE
        return NOT_COMPARED if NOT_RUN in verdicts or not verdicts else CLEAN

    def counts(self) -> dict[str, int]:
        """How many results there are of each verdict."""
        return {verdict: sum(r.verdict == verdict for r in self.results) for verdict in VERDICTS}


def text(found: Verification, *, colour: bool, quiet: bool, verbose: bool) -> Iterator[str]:
    """The report, line by line."""
    paint = painter(colour)
    for result in found.results:
        if quiet and result.verdict in (IDENTICAL, CLOSE):
            continue
        label = paint(_COLOURS[result.verdict], _LABELS[result.verdict])
        yield f"{paint('bold', clean(_title(result)))}: {label}{_error(result)}"
        yield from _details(result, verbose)
    if verbose or not found.results:
        yield from (f"{clean(name)}: left out, {clean(reason)}" for name, reason in found.left_out)
    if not quiet:
        yield from _summary(found, verbose)


def _title(result: Result) -> str:
    cores = f", LNC {result.lnc}" if result.case.lnc != (1,) else ""
    return f"{result.case.title}{cores}"


def _error(result: Result) -> str:
    close = [output for output in result.outputs if output.verdict == CLOSE]
    if result.verdict != CLOSE:
        return ""
    largest = max(close, key=lambda output: output.relative)
    return f", largest error {largest.largest:.2e} ({_relative(largest)})"


def _relative(output: Output) -> str:
    of = f"{output.relative:.1e} of the largest value"
    return f"{of}, {output.allowed:.1e} allowed" if output.allowed is not None else of


def _details(result: Result, verbose: bool) -> Iterator[str]:
    yield from (f"    {clean(reason)}" for reason in result.reason.splitlines())
    for output in result.outputs:
        if output.verdict == DIFFERENT:
            size = f" [largest error {output.largest:.2e}, {_relative(output)}]" if output.largest else ""
            yield f"    {clean(output.name)}: {clean(output.reason)}{size}"
        elif verbose:
            yield f"    {clean(output.name)} {output.dtype} {list(output.shape)}: {_LABELS[output.verdict]}"
        yield from (f"    {clean(output.name)}: {clean(note)}" for note in output.notes)
    if result.weak and result.verdict != NOT_RUN:
        yield f"    {result.weak}"
    if verbose or result.verdict == NOT_RUN:
        yield from (f"    {clean(note)}" for note in result.notes)
    if verbose and result.case.source:
        yield f"    inputs from {clean(result.case.source)}"
    yield from _trace(result)
    if verbose or result.verdict == NOT_RUN:
        yield from _printed(result)


def _printed(result: Result) -> Iterator[str]:
    """The last of what the code printed."""
    for side, printed in result.printed.items():
        for line in printed.strip().splitlines()[-5:]:
            yield f"    {side} printed: {clean_line(line)}"


def _trace(result: Result) -> Iterator[str]:
    """Work before and after, where both were traced."""
    if result.traces.keys() != {"old", "new"}:
        return
    old, new = work(result.traces["old"]), work(result.traces["new"])
    changed = [name for name in old if old[name] or new[name]]
    width = max(map(len, changed), default=0)
    for name in changed:
        ratio = f"{new[name] / old[name]:.2f}×" if old[name] else "new"
        yield f"    {name:<{width}}  {old[name]:>14,.0f} → {new[name]:>14,.0f}  {ratio}"


def work(trace: dict[str, Any]) -> dict[str, float]:
    """What is compared of a trace: counts, bytes, multiply-adds, and estimated microseconds × 1000."""
    found: dict[str, float] = {
        f"{engine} instructions": sum(counts.values()) for engine, counts in trace["instructions"].items()
    }
    return _Zeros(
        {
            "instructions": sum(found.values()),
            **found,
            "HBM bytes read": trace["hbm_read"],
            "HBM bytes written": trace["hbm_written"],
            "matmul multiply-adds": trace["macs"],
            "SBUF bytes a partition": trace["high_water"]["sbuf"],
            "PSUM bytes a partition": trace["high_water"]["psum"],
            "estimated busiest engine, ns": 1000 * max(trace["estimated_busy_us"].values(), default=0.0),
        }
    )


class _Zeros(dict[str, float]):
    """An engine that did nothing is not in a trace."""

    def __missing__(self, _key: str) -> float:
        return 0.0


def _summary(found: Verification, verbose: bool) -> Iterator[str]:
    counts = found.counts()
    said = ", ".join(f"{counts[verdict]} {_LABELS[verdict]}" for verdict in VERDICTS if counts[verdict])
    yield f"{plural(len(found.results), 'run')}: {said}" if said else "No kernels to compare."
    if found.left_out and found.results and not verbose:
        yield f"{len(found.left_out)} left out (--verbose says why)"


def as_json(found: Verification) -> Iterator[str]:
    """The report as a JSON document, line by line."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "exit_code": found.exit_code,
        "summary": found.counts(),
        "results": [_result(result) for result in found.results],
        "left_out": [{"name": name, "reason": reason} for name, reason in found.left_out],
    }
    return iter(json.dumps(document, indent=2, ensure_ascii=True).split("\n"))


def _result(result: Result) -> dict[str, Any]:
    case = result.case
    return {
        "kernel": case.new.name,
        "file": case.new.file,
        "old": {"file": case.old.file, "name": case.old.name, "language": case.old.language},
        "case": case.label,
        "lnc": result.lnc,
        "verdict": result.verdict,
        "reason": result.reason,
        "side": result.side,
        "inputs_from": case.source,
        "outputs": [_output(output) for output in result.outputs],
        "traces": result.traces,
        "printed": result.printed,
        "seconds": result.seconds,
        "notes": [*result.notes, *filter(None, [result.weak])],
    }


def _output(output: Output) -> dict[str, Any]:
    """An output; errors that are no finite number are null."""
    finite = {name: _finite(getattr(output, name)) for name in ("largest", "relative")}
    return {
        "name": output.name,
        "verdict": output.verdict,
        "dtype": output.dtype,
        "shape": list(output.shape),
        "largest_error": finite["largest"],
        "relative_error": finite["relative"],
        "allowed": output.allowed,
        "reason": output.reason,
        "notes": list(output.notes),
    }


def _finite(number: float) -> float | None:
    return number if number == number and abs(number) != float("inf") else None


def summary(found: Verification) -> Iterator[str]:
    """The last lines of the text report alone."""
    return _summary(found, verbose=False)
