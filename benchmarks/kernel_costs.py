"""What kernels cost a device: ``kernel_costs.py [--upstream CHECKOUT] [--only TEXT]``.

Prints a Markdown table: for each kernel at one shape the bytes that move between HBM and the chip, the
multiply-adds of its matmuls, its instructions, and the estimated time of its busiest engine, traced on
nkisim, beside a lower bound (each input and output moves once; the multiply-adds of the mathematics alone)
and, with a checkout of the NKI Library at its 2.28 release (a folder, or ``CLONE@REVISION``), beside the same
figures of its kernel. All cores of a launch count together. Nothing of the checkout is changed or kept.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import kernel_cost_cases
import kernel_cost_moe
import kernel_cost_others
import kernel_cost_shapes
import kernel_cost_subkernels
from simulator import laid_out, provide

CASES = [
    *kernel_cost_cases.CASES,
    *kernel_cost_subkernels.CASES,
    *kernel_cost_others.CASES,
    *kernel_cost_moe.CASES,
    *kernel_cost_shapes.CASES,
]
FIGURES = {
    "bytes": (1e6, ".2f"),
    "macs": (1e9, ".3f"),
    "instructions": (1, ".0f"),
    "microseconds": (1, ".0f"),
}
"""Figure → unit and format."""


def arguments() -> argparse.Namespace:
    """The command line; ``--worker`` is for the processes that this one starts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--upstream", default="", help="checkout of the NKI Library at its 2.28 release")
    parser.add_argument("--only", default="", help="rows whose name has this text")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def work(checkout: str, only: str) -> None:
    """Trace the kernels of one library; prints a line of JSON for each row."""
    import nkisim

    nkisim.install()
    if checkout:
        provide(Path(checkout))
    os.environ["NKILIB_LOG_LEVEL"] = "OFF"
    for case in CASES:
        for cores in case.cores if only in case.name else ():
            print(json.dumps([case.name, cores, traced(case, cores)]), flush=True)


def traced(case: kernel_cost_cases.Case, cores: int) -> dict[str, float] | str:
    """The figures of one launch, or why there are none."""
    import nkisim

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), nkisim.trace() as trace:
        try:
            case.run(cores)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return {
        "bytes": trace.hbm_read + trace.hbm_written,
        "macs": trace.macs,
        "instructions": sum(sum(each.values()) for each in trace.instructions().values()),
        "microseconds": max(trace.busy().values()) / cores,
    }


def figures(checkout: str, only: str) -> dict[tuple[str, int], Any]:
    """What :func:`work` prints, from a process in which ``nkilib`` is this library."""
    command = [sys.executable, __file__, "--worker", checkout or "here", "--only", only]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    return {(name, cores): found for name, cores, found in rows}


def cells(bound: dict[str, float], ours: dict[str, float], theirs: Any) -> list[str]:
    """Ours, and in brackets how many times the bound and the other library's kernel it is."""
    made = []
    for name, (unit, form) in FIGURES.items():
        parts = [format(ours[name] / unit, form)]
        if bound.get(name):
            parts.append(f"{ours[name] / bound[name]:.2f}× bound")
        if isinstance(theirs, dict) and theirs[name]:
            parts.append(f"{ours[name] / theirs[name]:.2f}× theirs")
        made.append(", ".join(parts))
    return made


def main() -> None:
    given = arguments()
    if given.worker:
        work("" if given.worker == "here" else given.worker, given.only)
        return
    with tempfile.TemporaryDirectory() as folder:
        theirs = {}
        if given.upstream:
            theirs = figures(str(laid_out(given.upstream, Path(folder))), given.only)
        ours = figures("", given.only)
    print("| kernel | cores | HBM MB | multiply-adds, 10⁹ | instructions | busiest engine, µs |")
    print("|---|---|---|---|---|---|")
    for case in CASES:
        for cores in case.cores:
            found = ours.get((case.name, cores))
            if found is None:
                continue
            peer = theirs.get((case.name, cores))
            row = [found] if isinstance(found, str) else cells(case.bound(), found, peer)
            print(f"| {case.name} | {cores} | {' | '.join(row)} |")
            if isinstance(peer, str):
                print(f"{case.name} on {cores}: their kernel did not run: {peer}", file=sys.stderr)


if __name__ == "__main__":
    main()
