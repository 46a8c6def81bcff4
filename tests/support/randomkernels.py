"""Kernels of the old language made at random, and what a migration makes of their numbers.

A kernel loads parts of its parameters, in slices, index tiles or under a mask, calculates with the tiles in
loops, branches and functions of the file, and stores what comes out. The same seed gives the same kernel.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
from migrated import breaches, migrated, module

from nkimigrate.verify.compare import tolerance

DTYPES = {"nl.float32": np.float32, "nl.bfloat16": ml_dtypes.bfloat16, "nl.float16": np.float16}
UNARY = ("tanh", "sigmoid", "relu", "abs", "negative", "sin", "silu", "copy")
POSITIVE = ("exp", "square", "sqrt", "rsqrt", "log", "reciprocal")
"""Those of tiles from 0.5 to 2: what makes large numbers of small differences has no place elsewhere."""
BINARY = ("add", "subtract", "multiply", "maximum", "minimum")
SIGNS = ("+", "-", "*")
REDUCTIONS = ("sum", "max", "min", "mean")


@dataclass(frozen=True)
class Tile:
    """A name of the kernel: its shape, and whether all its elements are positive."""

    name: str
    rows: int
    columns: int
    positive: bool = False


@dataclass
class Kernel:
    """A kernel that grows line by line."""

    rng: random.Random
    rows: int
    columns: int
    dtype: str
    lines: list[str] = field(default_factory=list)
    helpers: list[str] = field(default_factory=list)
    tiles: list[Tile] = field(default_factory=list)
    depth: int = 1
    count: int = 0

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def name(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def put(self, code: str, rows: int, columns: int, positive: bool = False) -> Tile:
        """Bind a new name to what ``code`` gives."""
        tile = Tile(self.name(), rows, columns, positive)
        self.line(f"{tile.name} = {code}")
        self.tiles.append(tile)
        return tile

    def any(self, fits: Callable[[Tile], bool] = lambda tile: True) -> Tile:
        """One of the tiles there are, one of the last rather than of the first."""
        found = [tile for tile in self.tiles if fits(tile)]
        return self.rng.choice(found[-4:] or self.tiles[-1:])

    def number(self) -> str:
        return self.rng.choice(["0.5", "2.0", "3", "-1.5", "1.0 / m", "eps"])

    # -- where tiles come from -------------------------------------------------------------------------

    def loaded(self) -> Tile:
        """A part of a parameter."""
        of = self.rng.choice(["x", "y"])
        return self.rng.choice([_whole, _sliced, _by_index, _masked])(self, of)


def _whole(k: Kernel, of: str) -> Tile:
    return k.put(f"nl.load({of})", k.rows, k.columns, True)


def _sliced(k: Kernel, of: str) -> Tile:
    half = k.columns // 2
    part = k.rng.choice(
        [f"0:{half}", f":{half}", f"{half}:", f"nl.ds({half}, {half})", "0:m // 2", "m // 2:m"]
    )
    return k.put(f"nl.load({of}[0:n, {part}])", k.rows, half, True)


def _by_index(k: Kernel, of: str) -> Tile:
    p, f = k.name(), k.name()
    half = k.columns // 2
    if k.rng.random() < 0.5:
        k.line(f"{p}, {f} = nl.mgrid[0:n, 0:{half}]")
    else:
        k.line(f"{p} = nl.arange(n)[:, None]")
        k.line(f"{f} = nl.arange({half})[None, :]")
    place = k.rng.choice([f, f"{f} + {half}", f"2 * {f}", f"2 * {f} + 1", f"{half} + {f}"])
    return k.put(f"nl.load({of}[{p}, {place}])", k.rows, half, True)


def _masked(k: Kernel, of: str) -> Tile:
    """Rows and columns beyond a mask are set before, so that all is defined."""
    tile = Tile(k.name(), k.rows, k.columns, True)
    k.line(f"{tile.name} = nl.full((n, m), {k.rng.choice(['1.0', '2'])}, dtype={of}.dtype, buffer=nl.sbuf)")
    p, f = k.name(), k.name()
    k.line(f"{p} = nl.arange(n)[:, None]")
    k.line(f"{f} = nl.arange(m)[None, :]")
    rows, columns = k.rng.randint(1, k.rows), k.rng.randint(1, k.columns)
    mask = k.rng.choice([f"{p} < {rows}", f"({p} < {rows}) & ({f} < {columns})", f"{f} <= {columns - 1}"])
    k.line(f"{tile.name}[{p}, {f}] = nl.load({of}[{p}, {f}], mask={mask})")
    k.tiles.append(tile)
    return tile


# -- what becomes of them ----------------------------------------------------------------------------------


def _unary(k: Kernel) -> None:
    tile = k.any()
    name = k.rng.choice(UNARY + (POSITIVE if tile.positive else ()))
    positive = (
        name in ("sigmoid", "copy", "sqrt", "rsqrt", "reciprocal") and tile.positive
    )  # roughly from 0.5 to 2
    dtype = f", dtype={k.rng.choice(list(DTYPES))}" if k.rng.random() < 0.2 else ""
    k.put(f"nl.{name}({tile.name}{dtype})", tile.rows, tile.columns, positive)


def _binary(k: Kernel) -> None:
    one = k.any()
    other = k.any(lambda t: t.rows == one.rows and t.columns in (one.columns, 1))
    if other.rows != one.rows or other.columns not in (one.columns, 1):
        return
    pair = [one.name, other.name]
    if other.columns == one.columns or k.rng.random() < 0.5:
        k.rng.shuffle(pair)
    code = f" {k.rng.choice(SIGNS)} ".join(pair)
    if k.rng.random() < 0.5:
        code = f"nl.{k.rng.choice(BINARY)}({', '.join(pair)})"
    elif other.positive and k.rng.random() < 0.3:
        code = f"{one.name} / {other.name}"
    k.put(code, one.rows, one.columns)


def _with_number(k: Kernel) -> None:
    tile, number = k.any(), k.number()
    sign = k.rng.choice(SIGNS)
    forms = [
        f"{tile.name} {sign} {number}",
        f"({number}) {sign} {tile.name}",
        f"nl.{k.rng.choice(BINARY)}({tile.name}, {number})",
        f"{tile.name} / 4.0",
        f"-{tile.name}",
        f"nisa.tensor_scalar({tile.name}, np.multiply, {number}, op1=nl.add, operand1={k.number()})",
        f"nisa.tensor_scalar({tile.name}, op0=nl.subtract, operand0={number}, reverse0=True)",
        f"nisa.activation(op=nl.tanh, data={tile.name}, scale={number})",
    ]
    k.put(k.rng.choice(forms), tile.rows, tile.columns)


def _compound(k: Kernel) -> None:
    tile, sign = k.any(), k.rng.choice(SIGNS)
    own = k.put(f"nl.copy({tile.name})", tile.rows, tile.columns)
    other = k.any(lambda t: (t.rows, t.columns) == (tile.rows, tile.columns))
    same = (other.rows, other.columns) == (tile.rows, tile.columns)
    k.line(f"{own.name} {sign}= {other.name if same else '2.0'}")


def _reduced(k: Kernel) -> None:
    tile = k.any(lambda t: t.columns > 1)
    name = k.rng.choice(REDUCTIONS)
    forms = [f"nl.{name}({tile.name}, axis={k.rng.choice(['1', '[1]', '(1,)', '-1'])}, keepdims=True)"]
    if name != "mean":
        token = {"sum": "add", "max": k.rng.choice(["max", "maximum"]), "min": "minimum"}[name]
        forms.append(f"nisa.tensor_reduce({k.rng.choice(['nl', 'np'])}.{token}, {tile.name}, axis=(1,))")
    k.put(k.rng.choice(forms), tile.rows, 1, tile.positive)


def _part(k: Kernel) -> None:
    tile = k.any(lambda t: t.columns > 3)
    if tile.columns <= 3:
        return
    start, width = k.rng.randint(0, 1), tile.columns // 2
    forms = [f"{tile.name}[:, {start}:{start + width}]", f"{tile.name}[0:n, nl.ds({start}, {width})]"]
    k.put(f"nl.{k.rng.choice(['copy', 'sigmoid'])}({k.rng.choice(forms)})", tile.rows, width)


def _assembled(k: Kernel) -> None:
    """A tile that is filled part by part, by a loop."""
    tile = k.any(lambda t: t.columns == k.columns)
    if tile.columns != k.columns:
        return
    own = Tile(k.name(), tile.rows, tile.columns)
    loop = k.rng.choice(["nl.affine_range", "nl.static_range", "nl.sequential_range", "range"])
    width = tile.columns // 4
    k.line(f"{own.name} = nl.ndarray((n, m), dtype={k.rng.choice(list(DTYPES))}, buffer=nl.sbuf)")
    i = k.name()
    k.line(f"for {i} in {loop}(4):")
    at = k.rng.choice([f"{i} * {width}:({i} + 1) * {width}", f"nl.ds({i} * {width}, {width})"])
    op = k.rng.choice(["nl.tanh({})", "{} * 2.0", "nl.add({}, {})", "nl.copy({})", "{}"])
    k.line(f"    {own.name}[:, {at}] = {op.format(*[f'{tile.name}[:, {at}]'] * 2)}")
    k.tiles.append(own)


def _blocks(k: Kernel) -> None:
    """Tiles behind a block dimension."""
    tile = k.any(lambda t: t.columns == k.columns)
    if tile.columns != k.columns:
        return
    many, own = k.name(), Tile(k.name(), tile.rows, tile.columns)
    k.line(f"{many} = nl.zeros((2, nl.par_dim(n), m), dtype={tile.name}.dtype, buffer=nl.sbuf)")
    i = k.name()
    k.line(f"for {i} in nl.affine_range(2):")
    forms = [f"{many}[{i}] = nl.multiply({tile.name}, {i} + 1)", f"{many}[{i}, :, :] = {tile.name} + {i}"]
    k.line("    " + k.rng.choice(forms))
    k.line(f"{own.name} = {many}[0] {k.rng.choice(SIGNS)} {many}[1]")
    k.tiles.append(own)


def _accumulated(k: Kernel) -> None:
    """A product of matrices, in parts."""
    tile = k.any(lambda t: t.columns <= 128)
    if tile.columns > 128:
        return
    own = k.name()
    k.line(f"{own} = nl.zeros(({tile.columns}, {tile.columns}), dtype=nl.float32, buffer=nl.psum)")
    k.line(f"for {k.name()} in nl.{k.rng.choice(['affine_range', 'static_range'])}(2):")
    forms = ["nisa.nc_matmul({0}, {0})", "nl.matmul({0}, {0}, transpose_x=True)"]
    k.line(f"    {own} += {k.rng.choice(forms).format(tile.name)}")
    code = f"nl.copy({own})" if k.rng.random() < 0.5 else f"nisa.tensor_copy({own}, dtype=nl.float32)"
    k.put(code, tile.columns, tile.columns)


def _transposed(k: Kernel) -> None:
    tile = k.any(lambda t: t.columns <= 128)
    if tile.columns <= 128:
        name = k.rng.choice(["nl.transpose", "nisa.nc_transpose"])
        k.put(f"nl.copy({name}({tile.name}))", tile.columns, tile.rows, tile.positive)


def _chosen(k: Kernel) -> None:
    tile = k.any()
    other = k.any(lambda t: (t.rows, t.columns) == (tile.rows, tile.columns))
    if (other.rows, other.columns) != (tile.rows, tile.columns):
        return
    condition = k.rng.choice(
        [f"{tile.name} > {other.name}", f"nl.greater({tile.name}, 1.0)", f"{tile.name} <= 1.5"]
    )
    k.put(f"nl.where({condition}, {tile.name}, {other.name})", tile.rows, tile.columns)


def _broadcast(k: Kernel) -> None:
    tile = k.any(lambda t: t.columns == 1)
    if tile.columns == 1:
        k.put(f"{tile.name}.broadcast_to((n, m))", tile.rows, k.columns, tile.positive)


def _softmax(k: Kernel) -> None:
    tile = k.any(lambda t: t.columns > 1)
    k.put(f"nl.softmax({tile.name}, axis=1)", tile.rows, tile.columns, True)


def _branch(k: Kernel) -> None:
    tile = k.any()
    own = Tile(k.name(), tile.rows, tile.columns)
    k.line(f"if {k.rng.choice(['m > 16', 'flag', 'n == m', 'not flag and m % 2 == 0'])}:")
    k.line(f"    {own.name} = nl.sigmoid({tile.name})")
    k.line("else:")
    k.line(f"    {own.name} = {tile.name} * 2.0")
    k.tiles.append(own)


def _helped(k: Kernel) -> None:
    tile = k.any()
    name = f"helper{len(k.helpers)}"
    body = k.rng.choice(["nl.sin(a) + b", "nl.multiply(a, b)", "a - b * 2.0", "nl.tanh(a * b)"])
    k.helpers.append(f"def {name}(a, b):\n    c = {body}\n    return c\n")
    k.put(f"{name}({tile.name}, {k.rng.choice([tile.name, k.number()])})", tile.rows, tile.columns)


def _carried(k: Kernel) -> None:
    """A tile that each round of a loop changes."""
    tile = k.any()
    own = k.put(f"nl.copy({tile.name}, dtype=nl.float32)", tile.rows, tile.columns)
    i = k.name()
    k.line(f"for {i} in nl.{k.rng.choice(['sequential_range', 'static_range'])}(3):")
    if k.rng.random() < 0.5:
        k.line(f"    {own.name}[...] = {own.name} * 0.5 + {tile.name}")
    else:
        k.line(f"    {own.name}[:, :] = nl.add({own.name}, {i})")


def _alias(k: Kernel) -> None:
    """Another name for a tile, through which it is changed."""
    tile = k.any()
    own = k.put(f"nl.copy({tile.name})", tile.rows, tile.columns)
    other = k.put(own.name, tile.rows, tile.columns)
    k.line(
        f"{other.name}[{k.rng.choice(['...', ':, 0:1', '0:n, :'])}] = {k.rng.choice(['1.0', '0.5 * 3', '2'])}"
    )


def _again(k: Kernel) -> None:
    """A name that means another tile from now on."""
    tile = k.any()
    k.line(
        f"{tile.name} = {k.rng.choice(['nl.tanh({0})', '{0} * 0.5', 'nl.add({0}, {0})'])}".format(tile.name)
    )
    k.tiles = [Tile(t.name, t.rows, t.columns, t.positive and t.name != tile.name) for t in k.tiles]


def _made(k: Kernel) -> None:
    """A tile of one number."""
    dtype = k.rng.choice(list(DTYPES))
    form = k.rng.choice(["nl.zeros((n, m), {0})", "nl.ones((n, m), dtype={0})", "nl.full((n, m), 1.5, {0})"])
    k.put(form.format(dtype), k.rows, k.columns)


def _reshaped(k: Kernel) -> None:
    """Reduced as a tile with two free dimensions."""
    tile = k.any(lambda t: t.columns % 4 == 0)
    if tile.columns % 4:
        return
    view = k.name()
    width = tile.columns // 4
    k.line(f"{view} = {tile.name}.reshape((n, 4, {width}))")
    axis, columns = k.rng.choice([("[2]", 4), ("2", 4), ("[1, 2]", 1)])
    name = k.rng.choice(["sum", "max"])
    code = f"nl.{name}({view}, axis={axis})"
    if columns == 4 and k.rng.random() < 0.5:
        code = f"nisa.tensor_reduce(nl.{'add' if name == 'sum' else 'max'}, {view}, axis={axis})"
    k.put(f"nl.copy({code}.reshape((n, {columns})))", tile.rows, columns, tile.positive)


def _joined(k: Kernel) -> None:
    """Two instructions in one statement, one of them twice."""
    tile = k.any()
    k.put(
        f"nl.tanh({tile.name} * 0.25) * nl.sigmoid({tile.name}) - nl.tanh({tile.name} * 0.25)",
        tile.rows,
        tile.columns,
    )


def _pair(k: Kernel) -> None:
    """Two names at once."""
    tile = k.any()
    one, two = (Tile(k.name(), tile.rows, tile.columns) for _ in range(2))
    k.line(f"{one.name}, {two.name} = nl.tanh({tile.name}), {tile.name} + 1.0")
    k.tiles += [one, two]


ROWWISE = (
    _unary, _unary, _binary, _binary, _with_number, _with_number, _compound, _reduced, _part, _assembled,
    _blocks, _chosen, _broadcast, _softmax, _branch, _helped, _carried, _alias, _again, _made, _reshaped,
    _joined, _pair, lambda k: k.loaded(),
)  # fmt: skip
STEPS = (*ROWWISE, _accumulated, _transposed)

HEAD = """\
import math

import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
import numpy as np
"""


def kernel(seed: int) -> tuple[str, list[Any]]:
    """The text of a file with a kernel ``k``, and arguments for it."""
    rng = random.Random(seed)
    k = Kernel(rng, rng.choice([4, 32, 128]), rng.choice([8, 32, 64]), rng.choice(list(DTYPES)))
    shape = rng.choice([_flat, _flat, _tiled, _batched])(k)
    k.line("return out")
    head = f"\n\n@nki.jit\ndef k(x, y, eps=0.25, flag={rng.random() < 0.5}):\n"
    text = HEAD + "".join(f"\n\n{helper}" for helper in k.helpers) + head + "\n".join(k.lines) + "\n"
    numbers = np.random.default_rng(seed)
    dtype = DTYPES[rng.choice(list(DTYPES))]
    return text, [numbers.uniform(0.5, 2.0, shape).astype(dtype) for _ in range(2)]


def _flat(k: Kernel) -> tuple[int, ...]:
    """One tile of the parameters is all there is."""
    k.line("n, m = x.shape")
    k.loaded()
    for _ in range(k.rng.randint(1, 7)):
        k.rng.choice(STEPS)(k)
    last = k.tiles[-1]
    k.line(f"out = nl.ndarray(({last.rows}, {last.columns}), dtype={k.dtype}, buffer=nl.shared_hbm)")
    forms = ["nl.store(out, {})", "nl.store(out[...], value={})", "nl.store(out[:, :], {})"]
    k.line(k.rng.choice(forms).format(last.name))
    return k.rows, k.columns


def _tiled(k: Kernel) -> tuple[int, ...]:
    """Rows in tiles, the last of which may be shorter."""
    whole = k.rng.randint(1, 3) * k.rows
    rows = whole - k.rng.choice([0, 0, 1, 3])
    i, p, f = k.name(), k.name(), k.name()
    k.line(
        f"m, n = x.shape[1], {k.rng.choice([str(k.rows), 'nl.tile_size.pmax' if k.rows == 128 else str(k.rows)])}"
    )
    k.line(f"out = nl.ndarray(x.shape, dtype={k.dtype}, buffer=nl.shared_hbm)")
    count = k.rng.choice([f"{whole // k.rows}", "(x.shape[0] + n - 1) // n", "math.ceil(x.shape[0] / n)"])
    k.line(f"for {i} in nl.{k.rng.choice(['affine_range', 'sequential_range', 'static_range'])}({count}):")
    k.depth += 1
    k.line(f"{p} = nl.arange(n)[:, None]")
    k.line(f"{f} = nl.arange(m)[None, :]")
    row = k.rng.choice([f"{i} * n + {p}", f"n * {i} + {p}", f"{p} + {i} * n"])
    mask = f", mask={row} < x.shape[0]" if rows != whole or k.rng.random() < 0.3 else ""
    for of in "xy":
        k.put(f"nl.load({of}[{row}, {f}]{mask})", k.rows, k.columns, True)
    _row_by_row(k)
    k.line(f"nl.store(out[{row}, {f}], value={_fitting(k).name}{mask})")
    k.depth -= 1
    return rows, k.columns


def _batched(k: Kernel) -> tuple[int, ...]:
    """Three dimensions, the first of which a loop runs over."""
    i = k.name()
    k.line("b, n, m = x.shape")
    k.line(f"out = nl.ndarray((b, n, m), dtype={k.dtype}, buffer=nl.shared_hbm)")
    k.line(f"for {i} in nl.{k.rng.choice(['affine_range', 'static_range'])}(b):")
    k.depth += 1
    place = k.rng.choice(
        ["{}[{}]", "{}[{}, :, :]", "{}[{}, 0:n, 0:m]", "{}[{}, nl.arange(n)[:, None], nl.arange(m)[None, :]]"]
    )
    for of in "xy":
        k.put(f"nl.load({place.format(of, i)})", k.rows, k.columns, True)
    _row_by_row(k)
    k.line(f"nl.store({place.format('out', i)}, {_fitting(k).name})")
    k.depth -= 1
    return 2, k.rows, k.columns


def _row_by_row(k: Kernel) -> None:
    for _ in range(k.rng.randint(1, 6)):
        k.rng.choice(ROWWISE[:-1])(k)


def _fitting(k: Kernel) -> Tile:
    """The last tile that is as large as the first."""
    first = k.tiles[0]
    return next(t for t in reversed(k.tiles) if (t.rows, t.columns) == (first.rows, first.columns))


# -- what becomes of the numbers ----------------------------------------------------------------------------


def tried(seed: int) -> tuple[str, str]:
    """``(what became of it, what is wrong)``: a kernel is *invalid* in the old language, *refused* by the
    migration, or *migrated*; then the second says how the new one differs, or nothing.
    """
    text, arguments = kernel(seed)
    with np.errstate(all="ignore"):
        try:
            was = np.asarray(module(text).k(*[a.copy() for a in arguments]))
        except Exception:
            return "invalid", ""
        new, reasons = migrated(text)
        if reasons:
            return f"refused: {reasons[0]}", ""
        if breaches(new):
            return "migrated", f"{breaches(new)}\n{new}"
        try:
            now = np.asarray(module(new).k(*[a.copy() for a in arguments]))
        except Exception as error:
            return "migrated", f"{error}\n{new}"
        used = {name for name, kind in DTYPES.items() if name in text or kind == arguments[0].dtype}
        return "migrated", _difference(was, now, used)


def _difference(was: np.ndarray, now: np.ndarray, used: set[str]) -> str:
    if (was.shape, was.dtype) != (now.shape, now.dtype):
        return f"{now.dtype} {now.shape} instead of {was.dtype} {was.shape}"
    old, new = was.astype(np.float64), now.astype(np.float64)
    finite = np.isfinite(old)
    if not np.array_equal(finite, np.isfinite(new)):
        return "other elements are finite"
    error, largest = (float(np.abs(x[finite]).max(initial=0.0)) for x in (new - old, old))
    allowed = tolerance(name.removeprefix("nl.") for name in used).largest * largest
    return "" if error <= allowed else f"off by {error}, allowed are {allowed}"
