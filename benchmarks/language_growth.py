"""How the language step's time grows with one thing in its input at a time.

``language_growth.py [NAME …]`` prints a Markdown table, of all rows or those named: CPU seconds for an input
of three sizes, each four times the one before (in one process, the least of several runs that take turns;
nothing is written). The last columns are how many times as long each size takes as the one before: 4 is
linear, 16 is quadratic. ``make bench-language-growth`` runs it.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from timing import compared

from nkimigrate import engine
from nkimigrate.config import Options
from nkimigrate.report.result import Report

HEAD = """\
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl


"""
START = """\
@nki.jit
def kernel_{number}(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tile = nl.load(x)
"""
END = """\
    nl.store(out, value=tile)
    return out


"""
LIBRARY = """\
from nkilib.core.mlp.mlp import mlp_kernel
from nkilib.core.qkv.qkv import qkv
from nkilib.core.utils.common_types import QKVOutputLayout


"""
QKV = "qkv(x, w, QKVOutputLayout.BSD, None, True, x, x)"
Files = Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """What grows, the smallest size, how files of a size are made, and whether marks are written in them."""

    what: str
    size: int
    files: Callable[[int], Files]
    partial: bool = False

    @property
    def sizes(self) -> list[int]:
        """The sizes that are compared."""
        return [self.size, 4 * self.size, 16 * self.size]


def kernel(body: str = "", number: int = 0) -> str:
    """A kernel with statements between loading a tile and storing it."""
    return START.format(number=number) + body + END


def helper(number: int, first: str = "") -> str:
    """A function that kernels call."""
    root = f"    root = nl.rsqrt(tile)\n{first}"
    return f"def step_{number}(tile, scale):\n{root}    return nl.multiply(root, tile) * scale\n\n\n"


def one(body: Callable[[int], str], size: int) -> Files:
    """A file with a kernel in which something stands so many times."""
    return {"app.py": HEAD + kernel("".join(body(number) for number in range(size)))}


def helpers(size: int) -> Files:
    """Functions that a kernel calls one after the other."""
    functions = "".join(helper(number) for number in range(size))
    calls = "".join(f"    tile = step_{number}(tile, {number}.0)\n" for number in range(size))
    return {"app.py": HEAD + functions + kernel(calls)}


def chain(size: int) -> Files:
    """Functions of which each calls the next one."""
    call = "    root = step_{}(root, 2.0)\n"
    inner = "".join(helper(number, call.format(number + 1)) for number in range(size - 1))
    return {"app.py": HEAD + inner + helper(size - 1) + kernel("    tile = step_0(tile, 2.0)\n")}


def twice(size: int) -> Files:
    """Functions of which each calls the next one two times."""
    call = "    root = step_{0}(root, 2.0)\n    root = step_{0}(root, 3.0)\n"
    inner = "".join(helper(number, call.format(number + 1)) for number in range(size - 1))
    return {"app.py": HEAD + inner + helper(size - 1) + kernel("    tile = step_0(tile, 2.0)\n")}


def calls(size: int) -> Files:
    """Calls of one function with tiles of different shapes."""
    tile = "    part_{0} = nl.ndarray((128, {0} + 1), dtype=nl.float32, buffer=nl.sbuf)\n"
    each = "".join(f"{tile}    done_{{0}} = step_0(part_{{0}}, 2.0)\n".format(n) for n in range(size))
    return {"app.py": HEAD + helper(0) + kernel(each)}


def masked(number: int) -> str:
    """Index tiles of their own for a masked load and a masked store."""
    i, j, part, mask = (
        f"i{number}",
        f"j{number}",
        f"part_{number}",
        f"mask=(i{number} < x.shape[0] - {number})",
    )
    return (
        f"    {i} = nl.arange(128)[:, None]\n    {j} = nl.arange(512)[None, :]\n"
        f"    {part} = nl.load(x[{i}, {j}], {mask})\n    nl.store(out[{i}, {j}], {part}, {mask})\n"
    )


def parts(size: int) -> Files:
    """Writes to parts of one tile."""
    tile = "    whole = nl.ndarray((128, 512), dtype=x.dtype, buffer=nl.sbuf)\n"
    return {
        "app.py": HEAD + kernel(tile + "".join(f"    whole[:, {n}] = nl.exp(tile)\n" for n in range(size)))
    }


def branch(number: int) -> str:
    """A branch that may change a tile."""
    return f"    if x.shape[0] > {number}:\n        tile = nl.multiply(tile, {number}.0)\n"


def block(number: int) -> str:
    """A tile with a block dimension, and the loop that fills it."""
    shape = "(4, nl.par_dim(128), 64)"
    return (
        f"    blocks_{number} = nl.ndarray({shape}, dtype=x.dtype, buffer=nl.sbuf)\n"
        f"    for i{number} in nl.affine_range(4):\n        blocks_{number}[i{number}] = nl.exp(tile)\n"
    )


def inside_loop(size: int) -> Files:
    """Statements of one loop."""
    body = "".join(f"        tile = nl.multiply(tile, {n}.0)\n" for n in range(size))
    return {"app.py": HEAD + kernel("    for i in range(4):\n" + body)}


def wide(size: int) -> Files:
    """Calls in one line."""
    calls = ", ".join(f"nl.multiply(tile, {number}.0)" for number in range(size))
    return {"app.py": HEAD + kernel(f"    parts = [{calls}]\n")}


def imports(size: int) -> Files:
    """Imports of functions of the language, each used once."""
    own = "".join(f"from neuronxcc.nki.language import load as load_{number}\n" for number in range(size))
    return {"app.py": own + HEAD + kernel("".join(f"    part_{n} = load_{n}(x)\n" for n in range(size)))}


def classes(size: int) -> Files:
    """Classes with a method that launches a kernel of its own."""
    method = "class Layer{0}:\n    def run(self, x):\n        return kernel_{0}(x)\n\n\n"
    return {"app.py": HEAD + "".join(method.format(number) + kernel("", number) for number in range(size))}


def library(size: int) -> Files:
    """Calls of the library's kernels in one function."""
    body = "".join(f"    y{n} = mlp_kernel(x, w, w, w)\n    z{n} = {QKV}\n" for n in range(size))
    return {"app.py": f"{LIBRARY}def run(x, w):\n{body}"}


def scopes(size: int) -> Files:
    """Functions with calls of the library's kernels."""
    body = f"(x, w):\n    x = mlp_kernel(x, w, w, w)\n    return {QKV}\n\n\n"
    return {"app.py": LIBRARY + "".join(f"def run_{number}{body}" for number in range(size))}


def nested(header: str, size: int) -> Files:
    """Loops or branches inside each other."""
    lines = [f"{'    ' * (depth + 1)}{header.format(depth)}\n" for depth in range(size)]
    return {"app.py": HEAD + kernel("".join(lines) + f"{'    ' * (size + 1)}tile = nl.multiply(tile, 2.0)\n")}


def inside(number: int) -> str:
    """A function inside of a kernel, and a call of it."""
    name = f"step_{number}"
    return f"\n    def {name}(a):\n        return nl.multiply(a, {number}.0)\n\n    tile = {name}(tile)\n"


def kernels(size: int) -> Files:
    """Kernels with a launch of each; every second one cannot be migrated."""
    stays = ("", "    tile = nl.gather_flattened(tile, tile)\n")
    launch = "def run_{0}(x):\n    return kernel_{0}(x)\n\n\n"
    each = (kernel(stays[number % 2], number) + launch.format(number) for number in range(size))
    return {"app.py": HEAD + "".join(each)}


def launches(size: int) -> Files:
    """Kernels that one function launches on cores."""
    body = "".join(f"    y{number} = kernel_{number}[nl.nc(2)](x)\n" for number in range(size))
    return {"app.py": HEAD + "".join(kernel("", number) for number in range(size)) + f"def run(x):\n{body}"}


def captured(size: int) -> Files:
    """What a kernel takes from the function that defines it."""
    values = "".join(f"    c{number} = {number}.0\n" for number in range(size))
    uses = "".join(f"    tile = nl.multiply(tile, c{number})\n" for number in range(size))
    inner = "".join(f"    {line}\n" for line in kernel(uses).splitlines())
    return {"app.py": f"{HEAD}def host(x):\n{values}{inner}\n    return kernel_0(x)\n"}


def captured_kernels(size: int) -> Files:
    """Kernels inside of a function that all take something from it."""
    use = "    tile = nl.multiply(tile, size)\n"
    inner = "".join(f"    {line}\n" for n in range(size) for line in kernel(use, n).splitlines())
    results = "".join(f"    y{number} = kernel_{number}(x)\n" for number in range(size))
    return {"app.py": f"{HEAD}def host(x):\n    size = x.shape[0] * 1.0\n{inner}{results}"}


def exporting(size: int) -> Files:
    """Files of which each exports what the one before exports."""
    first = {"m0.py": "from nkilib.core.qkv.qkv import qkv\n"}
    return first | {f"m{n}.py": f"from m{n - 1} import qkv\n\n{QKV}\n" for n in range(1, size)}


def ring(size: int) -> Files:
    """Files of which each launches the kernel of the next one, and the last that of the first."""
    return {
        f"m{number}.py": f"{HEAD}from m{(number + 1) % size} import kernel_0 as other\n\n\n{kernel()}"
        "def run(x):\n    return other(x)\n"
        for number in range(size)
    }


def calling(size: int) -> Files:
    """Files of which each calls a function of the one before."""
    last = "def step(tile):\n    return nl.rsqrt(tile)\n\n\n"
    found = {"m0.py": HEAD + last + kernel("    tile = step(tile)\n")}
    for number in range(1, size):
        imported = f"from m{number - 1} import step as other\n\n\n"
        own = "def step(tile):\n    return other(tile)\n\n\n"
        found[f"m{number}.py"] = HEAD + imported + own + kernel("    tile = step(tile)\n")
    return found


ROWS = {
    "statements": Row(
        "statements of a kernel", 50, partial(one, lambda n: f"    tile = nl.multiply(tile, {n}.0)\n")
    ),
    "loops": Row(
        "loops of a kernel, one after the other",
        25,
        partial(one, lambda n: f"    for i{n} in range(2):\n        tile = nl.multiply(tile, {n}.0)\n"),
    ),
    "loops-alike": Row(
        "loops over one variable",
        25,
        partial(one, lambda n: f"    for i in range(2):\n        tile = nl.multiply(tile, {n}.0)\n"),
    ),
    "loop-long": Row("statements of a loop", 50, inside_loop),
    "loops-inside": Row("loops inside each other", 1, partial(nested, "for i{} in range(2):")),
    "branches": Row("branches, one after the other", 25, partial(one, branch)),
    "branches-inside": Row("branches inside each other", 5, partial(nested, "if x.shape[0] > {}:")),
    "masks": Row("masked loads and stores with index tiles of their own", 10, partial(one, masked)),
    "parts": Row("writes to parts of a tile", 25, parts),
    "blocks": Row("tiles with a block dimension", 10, partial(one, block)),
    "wide": Row("calls in one line", 50, wide),
    "calls": Row("calls of one function with other shapes", 10, calls),
    "helpers": Row("functions that a kernel calls", 25, helpers),
    "helpers-chain": Row("functions of which each calls the next", 10, chain),
    "helpers-twice": Row("functions of which each calls the next twice", 10, twice),
    "inner": Row("functions inside of a kernel", 25, partial(one, inside)),
    "comprehensions": Row(
        "comprehensions of a kernel",
        10,
        partial(one, lambda n: f"    tiles_{n} = [nl.multiply(tile, float(i)) for i in range(4)]\n"),
    ),
    "kernels": Row("kernels of which every second stays", 25, kernels),
    "classes": Row("classes that launch kernels", 25, classes),
    "imports": Row("imports of the language's functions", 25, imports),
    "reasons": Row(
        "places that a person must see to, marked",
        25,
        partial(one, lambda n: f"    part_{n} = nl.gather_flattened(tile, tile)\n"),
        partial=True,
    ),
    "launches": Row("kernels that one function launches", 25, launches),
    "captured": Row("what a kernel takes from around it", 10, captured),
    "captured-kernels": Row("kernels that take something from around them", 10, captured_kernels),
    "exports": Row("files of which each exports what the one before does", 25, exporting),
    "files": Row("files that launch each other's kernels, in a ring", 25, ring),
    "files-chain": Row("files of which each calls the one before", 25, calling),
    "library": Row("calls of the library in one function", 25, library),
    "scopes": Row("functions that call the library", 25, scopes),
}


def migrating(folder: Path, marked: bool) -> Callable[[], Report]:
    """Migrating a folder in memory."""
    options = Options(paths=(str(folder),), mode="diff", jobs=1, cache=False, partial=marked)
    return lambda: engine.run(options)


def written(files: Files, folder: Path) -> Path:
    """The folder, with these files in it."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def line(row: Row, rounds: int) -> str:
    """One line of the table."""
    gc.freeze()  # what is left of other rows is not looked through in the runs of this one
    with tempfile.TemporaryDirectory() as place:
        folders = [written(row.files(size), Path(place, str(size))) for size in row.sizes]
        times = compared([migrating(folder, row.partial) for folder in folders], 0.5, rounds)
    cells = (f"{time:.3f} s" for time in times)
    sized = ", ".join(map(str, row.sizes))
    growth = f"{times[1] / times[0]:.1f} | {times[2] / times[1]:.1f}"
    return f"| {row.what} | {sized} | {' | '.join(cells)} | {growth} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("| what grows | sizes | time | four times | 16 times | growth | growth |")
    print("|---|---|---|---|---|---|---|")
    for name in options.rows or ROWS:
        print(line(ROWS[name], options.rounds), flush=True)


if __name__ == "__main__":
    main()
