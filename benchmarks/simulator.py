"""Speed of nkisim: ``simulator.py [--upstream CHECKOUT] [--triton-viz CHECKOUT] [--seconds N]``.

Prints Markdown tables: kernels of the NKI Library (2.28) beside plain NumPy float32 of the same mathematics,
triton-viz's NKI interpreter beside nkisim on triton-viz's examples, and what each instruction costs at least.
Times are CPU seconds, the least of several runs that take turns; both sides have one BLAS thread. A checkout
is a folder, or ``CLONE@REVISION``. Nothing of it is changed or kept.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import corpus
import numpy as np
import simulator_floor
import simulator_kernels
import simulator_triton_viz
from threadpoolctl import threadpool_info, threadpool_limits
from timing import compared, wall

MEAN_TARGET, WORST_TARGET, PEER_TARGET = 1.5, 3.0, 2.0
WARM, WARM_SECONDS = 8, 20
"""Launches before those that are measured, at most: the seventh of a kind is the first to be replayed."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--upstream", default="", help="checkout of the NKI Library at its 2.28 release")
    parser.add_argument("--triton-viz", default="", help="checkout of triton-viz")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each row, at least")
    parser.add_argument("--only", default="", help="rows whose name has this text")
    return parser.parse_args()


def laid_out(given: str, folder: Path) -> Path:
    """The folder of a checkout."""
    if "@" not in given:
        return Path(given).resolve()
    _, repository, revision = corpus.parse_spec(given)
    return corpus.checkout(repository, revision, folder)


def table(headings: str, *rows: str) -> None:
    """Print the beginning of a table."""
    names = headings.split(" | ")
    print(f"\n| {headings} |\n|{'---|' * len(names)}", *rows, sep="\n", flush=True)


def geometric_mean(ratios: list[float]) -> float:
    return float(np.exp(np.mean(np.log(ratios))))


def verdict(met: bool) -> str:
    return "met" if met else "**not met**"


def provide(checkout: Path) -> None:
    """Let ``nkilib`` and ``nkilib_src`` be the checkout's, with the name of the compiler that it imports."""
    sys.path[:0] = [str(checkout / "src" / "nkilib_src"), str(checkout / "src")]
    os.environ["NKILIB_LOG_LEVEL"] = "OFF"
    for name in ("neuronxcc", "neuronxcc.nki"):
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = []
    sys.modules["neuronxcc.nki.typing"] = importlib.import_module("nkisim.typing")


def kernels(seconds: float, only: str) -> None:
    """Kernels beside NumPy."""
    table(
        "kernel | cores | nkisim | NumPy, same arrays | ratio | NumPy, all float32 | ratio | "
        "nkisim, traced each time | ratio to same arrays | float32, all threads (wall) | largest difference"
    )
    found = []
    for make in simulator_kernels.cases():
        case = make()
        for cores in case.cores if only in case.name else ():
            found.append(_kernel(case, cores, seconds))
    if found:
        conclude(found)
        conclude([replace(times, ours=times.traced) for times in found], "Traced each time, beside")


@dataclass(frozen=True)
class Times:
    """CPU seconds of a kernel, then traced each time, of NumPy from its arrays, and of NumPy in float32.

    ``plain`` runs the last one; ``difference`` is the largest one, relative to the largest value.
    """

    ours: float
    traced: float
    same: float
    bare: float
    difference: float
    plain: Callable[[], Any]

    @property
    def ratios(self) -> tuple[float, float]:
        return self.ours / self.same, self.ours / self.bare


def traced(run: Callable[[], Any]) -> Callable[[], Any]:
    """A launch whose Python runs, however often it has run before."""

    def anew() -> Any:
        os.environ["NKISIM_REPLAY"] = "0"
        try:
            return run()
        finally:
            del os.environ["NKISIM_REPLAY"]

    return anew


def warmed(run: Callable[[], Any]) -> Callable[[], Any]:
    """A launch that has come so often that it is replayed, if it ever is; it may take some seconds."""
    start = time.process_time()
    for _ in range(WARM):
        run()
        if time.process_time() - start > WARM_SECONDS:
            break
    return run


def measured(
    case: simulator_kernels.Case, cores: int, seconds: float, rounds: int = 5, both: bool = False
) -> Times:
    """Compare a kernel with NumPy, at least ``rounds`` times; ends the program when results differ."""
    run, same, plain = case.kernel(cores), case.from_same(), case.from_float32()
    with threadpool_limits(1), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        difference = _difference(case.result(run()), plain())
        ours, like, bare, *anew = compared(
            (warmed(run), same, plain, *([traced(run)] if both else [])), seconds, rounds
        )
    if difference > case.tolerance:
        sys.exit(f"{case.name}: differs by {difference:.1e} of the largest value, at most {case.tolerance:g}")
    return Times(ours, anew[0] if anew else ours, like, bare, difference, plain)


def cells(times: Times) -> tuple[str, ...]:
    """A kernel's time, and those of NumPy with their ratios."""
    like, bare = times.ratios
    return (
        f"{times.ours * 1e3:.1f} ms", f"{times.same * 1e3:.1f} ms", f"{like:.2f}",
        f"{times.bare * 1e3:.1f} ms", f"{bare:.2f}",
    )  # fmt: skip


def _kernel(case: simulator_kernels.Case, cores: int, seconds: float) -> Times:
    times = measured(case, cores, seconds, both=True)
    row = (
        case.name, str(cores), *cells(times), f"{times.traced * 1e3:.1f} ms",
        f"{times.traced / times.same:.2f}", f"{wall(times.plain) * 1e3:.1f} ms", f"{times.difference:.0e}",
    )  # fmt: skip
    print(f"| {' | '.join(row)} |", flush=True)
    return times


def conclude(found: list[Times], beside: str = "Beside") -> None:
    """Print how the ratios stand to the targets."""
    for position, what in enumerate(("from the kernel's arrays", "from float32 to float32")):
        each = [times.ratios[position] for times in found]
        mean, worst = geometric_mean(each), max(each)
        print(f"\n{beside} NumPy {what}: geometric mean {mean:.2f} (at most {MEAN_TARGET}: ", end="")
        print(f"{verdict(mean <= MEAN_TARGET)}), largest {worst:.2f} (at most {WORST_TARGET:g}: ", end="")
        print(f"{verdict(worst <= WORST_TARGET)}).")


def _difference(found: simulator_kernels.Array, wanted: simulator_kernels.Array) -> float:
    """The largest one, relative to the largest value; infinite when something is not finite."""
    wanted = wanted.astype(np.float32)
    difference = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    return difference if np.isfinite(difference) else np.inf


def examples(checkout: Path, seconds: float, only: str) -> None:
    """triton-viz's examples on both."""
    peer = simulator_triton_viz.Peer(checkout)
    table(
        "example (float32) | nkisim | nkisim, traced each time | triton-viz | times faster | "
        "traced each time | largest difference"
    )
    ratios: list[tuple[float, float]] = []
    for name, example in simulator_triton_viz.EXAMPLES.items():
        if only not in name:
            continue
        with threadpool_limits(1):
            *times, difference = _example(peer, example, seconds)
        ratios.append((times[2] / times[0], times[2] / times[1]))
        columns = [f"{each * 1e3:.2f} ms" for each in times] + [f"{ratio:.2f}" for ratio in ratios[-1]]
        print(f"| {name} | {' | '.join(columns)} | {difference:.0e} |", flush=True)
    for what, each in zip(("nkisim", "Traced each time"), zip(*ratios, strict=True), strict=False):
        mean, least = geometric_mean(list(each)), min(each)
        print(f"\n{what}: geometric mean {mean:.2f} (at least {PEER_TARGET:g}: ", end="")
        print(f"{verdict(mean >= PEER_TARGET)}), least {least:.2f}.")


def _example(
    peer: simulator_triton_viz.Peer, example: simulator_triton_viz.Example, seconds: float
) -> tuple[float, float, float, float]:
    """Seconds of nkisim, of nkisim traced each time, and of triton-viz, and the largest difference."""
    file, function, make, results = example
    given = make()
    runs = [side(file, function, given) for side in (peer.ours, peer.theirs)]
    found = []
    for run in runs:
        for index in results:
            given[index][...] = 0
        run()
        found.append(np.concatenate([given[index].reshape(-1) for index in results]))
    difference = _difference(*found)
    if difference > 1e-5:
        sys.exit(f"{function}: nkisim and triton-viz differ by {difference:.1e} of the largest value")
    ours, anew, theirs = compared((warmed(runs[0]), traced(runs[0]), runs[1]), seconds)
    return ours, anew, theirs, difference


def floors() -> None:
    """What each instruction costs at least."""
    table("instruction, [128, 1] or the least it takes | float32 | bfloat16")
    wide, narrow = simulator_floor.floors("float32"), simulator_floor.floors("bfloat16")
    for name, cost in wide.items():
        print(f"| {name} | {cost:.1f} µs | {narrow[name]:.1f} µs |")
    above = [name for name, cost in wide.items() if cost > simulator_floor.TARGET]
    met = verdict(not above)
    print(
        f"\nAt most {simulator_floor.TARGET:g} µs in float32: {met}, {len(wide) - len(above)} of {len(wide)}."
    )


def machine() -> str:
    """What the numbers depend on, in one line."""
    blas = ", ".join(
        f"{found['internal_api']} {found['version']}"
        for found in threadpool_info()
        if found["user_api"] == "blas"
    )
    python = platform.python_version()
    return f"{os.cpu_count()} CPUs, Python {python}, NumPy {np.__version__}, {blas}, one BLAS thread"


def main() -> None:
    options = arguments()
    import nkisim

    nkisim.install(always=True)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        if options.upstream:
            provide(laid_out(options.upstream, Path(folder) / "upstream"))
            kernels(options.seconds, options.only)
        if options.triton_viz:
            peer = laid_out(options.triton_viz, Path(folder) / "triton-viz")
            examples(peer, options.seconds, options.only)
    with threadpool_limits(1):
        floors()


if __name__ == "__main__":
    main()
