"""Random kernels that load, compute and store under masks: the same numbers before and after the step."""

import random

import numpy as np
import pytest
from migrated import HEAD, check_same, migrated


class Kernel:
    """A random kernel over tiles of a matrix whose sizes need not fit the tiles; its text and its inputs."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.height, self.width = self.random.choice([8, 16, 128]), self.random.choice([4, 7, 16])
        self.ragged = self.random.random() < 0.5
        columns = self.random.randint(1, 2 * self.width) if self.ragged else self.width
        self.shape = (self.random.randint(1, 3 * self.height), columns)
        self.tiles = -(-self.shape[0] // self.height) + self.random.choice([0, 0, 1])
        self.low = self.random.choice([0, 0, 3])
        self.lines: list[str] = []
        self.names: list[str] = []
        self.text = "\n".join(["", "@nki.jit", "def k(x, y):", *self.body(), "    return out", ""])

    def inputs(self) -> list[np.ndarray]:
        x = np.random.default_rng(sum(self.shape)).uniform(-2, 2, self.shape).astype(np.float32)
        return [x, x[::-1].copy()]

    def body(self):
        yield "    rows, columns = x.shape"
        yield "    out = nl.zeros(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)"
        yield f"    ip, iy = nl.mgrid[0:{self.height}, 0:{self.width}]"
        rounded = f"nl.affine_range((rows + {self.height - 1}) // {self.height})"
        yield f"    for i in {self.random.choice([rounded, f'nl.affine_range({self.tiles})'])}:"
        indent = " " * 8
        if self.ragged:
            yield f"        for j in nl.affine_range({-(-self.shape[1] // self.width)}):"
            indent = " " * 12
        place = f"[{self.row}, {self.column}]"
        for name, source in zip("ab", "xy", strict=True):
            self.names.append(name)
            yield f"{indent}{name} = nl.load({source}{place}, mask={self.mask()})"
        for number in range(self.random.randint(1, 5)):
            for line in self.operation(f"v{number}"):
                yield indent + line
            self.names.append(f"v{number}")
        yield f"{indent}nl.store(out{place}, {self.names[-1]}, mask={self.mask()})"

    @property
    def row(self) -> str:
        return f"i * {self.height} + ip"

    @property
    def column(self) -> str:
        return f"j * {self.width} + iy" if self.ragged else "iy"

    def mask(self) -> str:
        """Always the same elements, in one of many spellings."""
        rows = [f"({self.row} < rows)", f"(rows > {self.row})", f"({self.row} <= rows - 1)"]
        columns = [f"({self.column} < columns)", f"(columns - 1 >= {self.column})"]
        parts = [self.random.choice(rows)] + ([self.random.choice(columns)] if self.ragged else [])
        parts += [f"({self.row} >= {self.low})"] if self.low else []
        self.random.shuffle(parts)
        return " & ".join(parts)

    def operation(self, name: str) -> list[str]:
        one, two = (self.operand() for _ in range(2))
        mask = f", mask={self.mask()}" if self.low or self.random.random() < 0.6 else ""
        return self.random.choice(
            [
                [f"{name} = nl.exp({one}{mask})"],
                [f"{name} = nl.add({one}, {two}{mask})"],
                [f"{name} = nl.maximum(nl.multiply({one}, 0.5{mask}), {two}{mask})"],
                [f"{name} = nisa.tensor_scalar({one}, np.multiply, 2.0, op1=np.add, operand1=1.0{mask})"],
                [
                    f"{name}c = nl.max({one}, axis=[1], keepdims=True{mask})",
                    f"{name} = nl.subtract({two}, {name}c{mask})",
                ],
                [
                    f"{name} = nl.ndarray(({self.height}, {self.width}), dtype=x.dtype, buffer=nl.sbuf)",
                    f"{name}{self.random.choice(['[...]', '[ip, iy]'])} = nl.copy({one}{mask})",
                ],
            ]
        )

    def operand(self) -> str:
        return self.random.choice(self.names) + self.random.choice(["", "", "[ip, iy]"])


@pytest.mark.parametrize("seed", range(30))
def test_a_random_kernel_computes_the_same(seed):
    kernel = Kernel(seed)
    check_same(kernel.text, "k", *kernel.inputs())


MASK_OF_NAMES = """
@nki.jit
def k(x, n, last):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    ip, iy = nl.mgrid[0:64, 0:32]
    mask = {mask}
{change}    nl.store(out[ip, iy], nl.load(x[ip, iy], mask=mask), mask=mask)
    return out
"""


@pytest.mark.parametrize(
    ("mask", "change"),
    [("ip < n", "    n = n // 2\n"), ("(ip < 64) & (last == 1)", "    last = last - 1\n")],
)
def test_a_mask_whose_names_have_other_values_by_now(mask, change):
    assert migrated(HEAD + MASK_OF_NAMES.format(mask=mask, change=change))[1] == ["M-MASK"]
    assert migrated(HEAD + MASK_OF_NAMES.format(mask=mask, change=""))[1] == []


VIEWED = """
@nki.jit
def k(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    i_p, i_f = nl.mgrid[0:128, 0:16]
    for i in nl.affine_range((x.shape[0] + 127) // 128):
        for j in nl.affine_range((x.shape[1] + 15) // 16):
            a = nl.load(x[i * 128 + i_p, j * 16 + i_f], mask={mask})
            b = {view}
            nl.store(out[i * 128 + i_p, j * 16 + i_f], {value}, mask={mask})
    return out
"""
ROWS, COLUMNS = "i * 128 + i_p < x.shape[0]", "j * 16 + i_f < x.shape[1]"


@pytest.mark.parametrize(
    ("view", "value", "new"),
    [
        ("nl.exp(a.reshape((128, 4, 4)))", "b.reshape((128, 16))", "a.reshape((rows, 4, 4))"),
        ("a.reshape((128, 16))", "b * 2.0", "a.reshape((rows, 16))"),
        ("nl.exp(a).expand_dims(1)", "b.reshape((128, 16))", ".reshape((rows, 1, 16))"),
    ],
)
def test_views_of_the_partitions_that_a_mask_leaves(view, value, new):
    x = np.random.default_rng(5).uniform(-2, 2, (100, 16)).astype(np.float32)
    assert new in check_same(VIEWED.format(mask=ROWS, view=view, value=value), "k", x)


@pytest.mark.parametrize(
    ("mask", "view"),
    [
        (ROWS, "a.reshape((64, 32))"),
        (COLUMNS, "a.reshape((128, 4, 4))"),
        (COLUMNS, "a.view(nl.int8)"),
        (f"({ROWS}) & ({COLUMNS})", "a.reshape((128, 16))"),
    ],
)
def test_views_of_more_than_a_mask_leaves(mask, view):
    assert "M-CUT" in migrated(HEAD + VIEWED.format(mask=mask, view=view, value="a"))[1]


@pytest.mark.parametrize(
    ("mask", "shape", "size"),
    [(ROWS, (100, 16), "rows = min(128, "), (COLUMNS, (128, 10), "columns = min(16, ")],
)
def test_what_a_mask_leaves_is_called_after_the_dimension(mask, shape, size):
    x = np.random.default_rng(5).uniform(-2, 2, shape).astype(np.float32)
    assert size in check_same(VIEWED.format(mask=mask, view="nl.exp(a)", value="b"), "k", x)


GUARDED = """\
@nki.jit
def k(x, height):
    n, m = x.shape
    out = nl.ndarray((2, n, m), dtype=x.dtype, buffer=nl.shared_hbm)
    i, j = nl.mgrid[0:128, 0:m]
    s = nl.zeros((128, m), dtype=nl.float32, buffer=nl.sbuf)
    s[...] = nl.load(x[i, j], mask=i < height)
    s[i, j] = nl.exp(s[i, j], mask=i < height)
    # both are the same
    nl.store(out[0, i, j], s)
    nl.store(out[1, i, j], nl.zeros((128, m), dtype=nl.float32, buffer=nl.sbuf))
    nl.store(out[1, i, j], s, mask=i < height)

    s[i, j] = nl.multiply(s[i, j], 2.0, mask=i < height)
    if height > 8:
        nl.store(out[0, i, j], s, mask=i < height)
    nl.store(out[1, i, j], s, mask=i < height)
    return out
"""


@pytest.mark.parametrize("height", [0, 1, 8, 9, 128])
def test_statements_below_each_other_stand_under_one_condition(height):
    x = np.random.default_rng(5).uniform(-2, 2, (128, 16)).astype(np.float32)
    new = check_same(GUARDED, "k", x, height)
    load, exp = "nisa.dma_copy(dst=s[0:rows]", "nisa.activation(dst=s[0:rows]"
    assert new.index(load) < new.index(exp)
    assert "if rows > 0:" not in new[new.index(load) : new.index(exp)]
    assert (
        new.count("    if rows > 0:\n") == 5
    )  # a comment, a blank line or other code end what stands under one
