"""Comprehensions, loops over several things and imports inside of kernels."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import migrate
from migrated import HEAD, check_same, migrated

RNG = np.random.default_rng(5)
HEADER = """\
@nki.jit
def kernel(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    tile = nl.load(a)
"""
END = """\
    nl.store(out, nl.multiply(tile, weight))
    return out
"""

SAME = {
    "a list": (
        "    weights = [i * 0.5 for i in range(1, 6) if i % 2 == 1]\n    weight = weights[1] + len(weights)\n",
        "    weights = []\n    for i in range(1, 6):\n        if i % 2 == 1:\n            weights.append(i * 0.5)\n",
    ),
    "a list in an expression": (
        "    weight = 2.0 + max([size * 0.5 for size in a.shape])\n",
        "    items = []\n    for size in a.shape:\n        items.append(size * 0.5)\n"
        "    weight = 2.0 + max(items)\n",
    ),
    "two loops in one": (
        "    weights = [i + j for i in range(2) for j in range(3)]\n    weight = weights[5] * 0.5\n",
        "    for i in range(2):\n        for j in range(3):\n            weights.append(i + j)\n",
    ),
    "a list of lists": (
        "    rows = [[i * j for j in range(3)] for i in range(4)]\n    weight = rows[3][2] * 0.5\n",
        "    rows = []\n    for i in range(4):\n        items = []\n        for j in range(3):\n"
        "            items.append(i * j)\n        rows.append(items)\n",
    ),
    "a variable with another meaning": (
        "    i = 3.0\n    weights = [i * 2 for i in range(4)]\n    weight = i + weights[2]\n",
        "    for i_2 in range(4):\n        weights.append(i_2 * 2)\n",
    ),
    "a comment": (
        "    weights = [\n        1.0 * i  # scaled\n        for i in range(3)\n    ]\n    weight = weights[2]\n",
        "    # scaled\n    weights = []\n",
    ),
    "all in an assertion": (
        '    assert all(size > 1 for size in a.shape), "too small"\n    weight = 2.0\n',
        '    for size in a.shape:\n        assert size > 1, "too small"\n',
    ),
    "any": (
        "    weight = 2.0 if any(size == 32 for size in a.shape) else 3.0\n",
        "    some = False\n    for size in a.shape:\n        if size == 32:\n            some = True\n",
    ),
    "sum": (
        "    weight = sum(size for size in a.shape) * 0.5\n",
        "    total = 0\n    for size in a.shape:\n        total = total + size\n    weight = total * 0.5\n",
    ),
    "products": (
        "    weight = np.prod(a.shape[1:]) * 0.5\n",
        "    product = 1\n    for each in a.shape[1:]:\n        product = product * each\n    weight = product * 0.5\n",
    ),
    "the sum of a list": (
        "    sizes = [3, 4]\n    weight = sum(sizes) * 0.5\n",
        "    total = 0\n    for each in sizes:\n        total = total + each\n",
    ),
    "a name for the items that is taken": (
        "    each = 2.0\n    weight = sum([1, 2]) * each\n",
        "    for each_2 in [1, 2]:\n        total = total + each_2\n",
    ),
    "a name for the items that a loop around it has": (
        "    weight = 0.0\n    sizes = [1.0, 2.0]\n    for each in range(3):\n        weight = sum(sizes) + each\n",
        "        for each_2 in sizes:\n            total = total + each_2\n        weight = total + each\n",
    ),
    "a variable with the name of what it loops over": (
        "    i = [1.0, 2.0]\n    weights = [i * 2 for i in i]\n    weight = i[0] + weights[1]\n",
        "    for i_2 in i:\n        weights.append(i_2 * 2)\n",
    ),
    "two in a statement": (
        "    sizes = a.shape\n    weight = max([i * 2 for i in sizes]) - sum([i for i in sizes])\n",
        "        items.append(i * 2)\n    total = 0\n    for i in sizes:\n        total = total + i\n"
        "    weight = max(items) - total\n",
    ),
    "zip": (
        "    ones, twos = [1.0, 2.0], [3.0, 5.0, 7.0]\n    weight = 0.0\n"
        "    for one, two in zip(ones, twos):\n        weight = weight + one * two\n",
        "    for index in range(min(len(ones), len(twos))):\n        one = ones[index]\n        two = twos[index]\n",
    ),
    "enumerate": (
        "    ones = [1.0, 2.0]\n    weight = 0.0\n"
        "    for i, one in enumerate(ones):\n        weight = weight + one * i\n",
        "    for i in range(len(ones)):\n        one = ones[i]\n",
    ),
    "enumerate of zip": (
        "    ones, twos = [1.0, 2.0], [3.0, 5.0]\n    weight = 0.0\n"
        "    for i, (one, two) in enumerate(zip(ones, twos)):\n        weight = weight + one * two + i\n",
        "    for i in range(min(len(ones), len(twos))):\n        one = ones[i]\n        two = twos[i]\n",
    ),
    "reversed": (
        "    ones = [1.0, 2.0, 5.0]\n    weight = 0.0\n"
        "    for one in reversed(ones):\n        weight = weight * 2.0 + one\n",
        "        one = ones[len(ones) - 1 - index]\n",
    ),
    "pairs": (
        "    pairs = [(1.0, 2.0), (3.0, 4.0)]\n    weight = 0.0\n"
        "    for one, two in pairs:\n        weight = weight + one * two\n",
        "    for item in pairs:\n        one, two = item\n",
    ),
    "a dictionary": (
        '    weights = {f"w{i}": i * 0.5 for i in range(3)}\n    weight = weights["w2"] + len(weights)\n',
        '    weights = {}\n    for i in range(3):\n        weights[f"w{i}"] = i * 0.5\n',
    ),
    "an assignment in a condition": (
        "    weight = 1.0\n    if (n := a.shape[0] // 2) > 3:\n        weight = n * 0.5\n",
        "    n = a.shape[0] // 2\n    if n > 3:\n",
    ),
    "an assignment among arguments": (
        "    weight = max(2.0, (n := a.shape[0]) * 0.5) + n\n",
        "    n = a.shape[0]\n    weight = max(2.0, n * 0.5) + n\n",
    ),
    "a function without a name": (
        "    scale = 2.0\n    twice = lambda n, more=1.0: n * scale + more\n"
        "    weight = twice(a.shape[1]) + twice(3, more=0.5)\n",
        "def twice(n, scale, more=1.0):\n    return n * scale + more\n",
    ),
    "a function of tiles without a name": (
        "    double = lambda t: nl.multiply(t, 2.0)\n    tile = double(tile)\n    weight = 1.5\n",
        "def double(t):\n",
    ),
    "a fold": (
        "    import functools\n    weight = functools.reduce(lambda x, y: x * 2 + y, a.shape, 1) * 0.01\n",
        "    folded = 1\n    for each in a.shape:\n        folded = folded * 2 + each\n    weight = folded * 0.01\n",
    ),
    "a fold without a start": (
        "    from functools import reduce\n    import operator\n    sizes = [3, 4, 5]\n"
        "    weight = reduce(operator.mul, sizes) * 0.5\n",
        "    folded = sizes[0]\n    for each_index in range(1, len(sizes)):\n        each = sizes[each_index]\n"
        "        folded = folded * each\n",
    ),
    "a fold of an expression": (
        "    from functools import reduce\n    weight = reduce(lambda x, y: x - y, a.shape[:2]) * 0.5\n",
        "    each_items = a.shape[:2]\n    folded = each_items[0]\n",
    ),
    "items that change places": (
        "    sizes = [2.0, 3.0]\n    sizes[0], sizes[1] = sizes[1], sizes[0]  # swapped\n    weight = sizes[0] * 4 + sizes[1]\n",
        "    value = sizes[1]\n    value_2 = sizes[0]\n    sizes[0] = value\n    sizes[1] = value_2\n",
    ),
    "arguments from displays": (
        "    weight = max(*(2.0, 3.0), *[1.0]) * 0.5\n",
        "    weight = max(2.0, 3.0, 1.0) * 0.5\n",
    ),
    "arguments from a tuple and a mapping": (
        "    pair = (tile, 2.0)\n    tile = nl.add(*pair, **{'dtype': nl.float32})\n    weight = 1.5\n",
        "nisa.tensor_scalar(dst=",
    ),
    "an import that the file has": (
        "    import neuronxcc.nki.isa as nisa\n    weight = 2.0\n    tile = nisa.tensor_copy(tile)\n",
        "nisa.dma_copy(dst=tile, src=a)\n    weight = 2.0\n",
    ),
    "an import": ("    import math\n\n    weight = math.sqrt(a.shape[1])\n", "import math\n"),
}


@pytest.mark.parametrize(("body", "wanted"), SAME.values(), ids=SAME)
def test_what_is_said_more_plainly(body, wanted):
    text = HEADER + body + END
    new = check_same(text, "kernel", RNG.standard_normal((64, 32)).astype(np.float32))
    assert wanted in new


def test_as_many_as_there_are():
    """There is no number from which on they stay."""
    rows = "".join(f"    row_{n} = [i * {n} for i in range(3)]\n" for n in range(60))
    new = check_same(
        f"{HEADER}{rows}    weight = row_59[2] * 0.5\n{END}",
        "kernel",
        RNG.standard_normal((64, 32)).astype(np.float32),
    )
    assert new.count("for i in range(3):") == 60


REFUSED = {
    "arguments from a list that changes": "    pair = [tile]\n    pair.append(2.0)\n    tile = nl.add(*pair)\n    weight = 1.0\n",
    "a dictionary by numbers": "    weights = {0: 1.0, 1: 2.0}\n    weight = weights[1]\n",
    "a dictionary by pairs": "    weights = {}\n    weights[1, 2] = 2.0\n    weight = weights[1, 2]\n",
    "an assignment that may not happen": "    weight = 1.0\n    if a.shape[0] > 3 and (n := 2) > 1:\n        weight = n\n",
    "an assignment of what was read": "    n = 1.0\n    weight = n + (n := 2.0)\n",
    "an assignment in a loop's condition": "    weight = 9\n    while (n := weight // 2) > 3:\n        weight = n\n",
    "a function that is handed on": "    twice = lambda n: n * 2\n    weight = list(map(twice, [1, 2]))[0]\n",
    "a fold by another function": "    from functools import reduce\n    weight = reduce(max, [1, 2])\n",
    "an import of another module by a name of the file": "    import math as np\n    weight = np.sqrt(4.0)\n",
    "a traced loop": "    weights = [i for i in nl.affine_range(4)]\n    weight = 1.0\n",
    "not always evaluated": "    weight = 2.0 if a.shape[0] == 1 else max([s for s in a.shape])\n",
    "a list that grows": "    ones = [1.0]\n    weight = 0.0\n    for i, one in enumerate(ones):\n"
    "        weight = one\n        if i < 3:\n            ones.append(2.0)\n",
    "a generator for later": "    weights = (i for i in range(3))\n    weight = 1.0\n",
    "a set": "    weights = {i for i in range(3)}\n    weight = 1.0\n",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_stays_and_is_reported(body):
    text = HEAD + HEADER + body + END
    assert migrated(text)[1] != []


def test_an_import_moves_past_other_functions():
    """Those above it are said more plainly in the same run."""
    check_same(
        """\
@nki.jit
def other(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)

    def twice(x):
        return nl.multiply(x, 2.0)

    nl.store(out, twice(nl.load(a)))
    return out


@nki.jit
def kernel(a):
    from math import sqrt

    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.multiply(nl.load(a), sqrt(a.shape[1])))
    return out
""",
        "kernel",
        RNG.standard_normal((64, 32)).astype(np.float32),
    )


def test_many_imports():
    """Each once, also one that is there two times."""
    lines = "".join(f"    from math import sqrt as root_{n}\n" for n in range(60))
    again = "    if a.shape[0] > 1:\n        from math import sqrt as root_7\n"
    new = check_same(
        f"{HEADER}{lines}{again}    weight = root_59(4.0) + root_7(9.0)\n{END}",
        "kernel",
        RNG.standard_normal((64, 32)).astype(np.float32),
    )
    assert new.count("from math import sqrt as ") == 60
    assert new.index("from math import sqrt as root_59") < new.index("def kernel")


KERNEL_WITH_A_SUM = """\
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl


@nki.jit
def kernel(x):
    out = nl.ndarray((128, 1), dtype=nl.float32, buffer=nl.shared_hbm)
    nl.store(out, nl.sum(nl.load(x[0:128, 0:64]), axis=1, keepdims=True))
    return out
"""


def test_sums_of_the_language_are_no_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without anything to be said more plainly is not cut into its parts."""
    cut: list[object] = []
    monkeypatch.setattr(
        "nkimigrate.codemods.language.plain.rewrite.File.of", lambda *given: cut.append(given)
    )
    assert migrate({"a.py": KERNEL_WITH_A_SUM}).changed
    assert not cut
