"""Classes whose objects kernels make or get."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest
from hosted import HEAD, NEW_HEAD, check, hosted, silent
from migrated import HEAD as WHOLE
from migrated import breaches, migrated, module

KERNEL = """

@nki.jit
def k(x, tiling: Tiling):
    return tiling.count(x.shape[0])
"""


def text(code: str) -> str:
    return textwrap.dedent(code).strip("\n") + "\n"


SAME = {
    "plain": ("class Tiling:\n    pass\n", "class Tiling(nl.NKIObject):\n    pass\n"),
    "object": ("class Tiling(object):\n    size = 3\n", "class Tiling(nl.NKIObject):\n    size = 3\n"),
    "empty parentheses": ("class Tiling():\n    size = 3\n", "class Tiling(nl.NKIObject):\n    size = 3\n"),
    "a frozen dataclass": (
        "@dataclass(frozen=True)\nclass Tiling:\n    size: int = 3\n",
        "@dataclass\nclass Tiling(nl.NKIObject):\n    size: int = 3\n",
    ),
    "a dataclass by its path": (
        "@dataclasses.dataclass(frozen=True, order=False)\nclass Tiling:\n    size: int = 3\n",
        "@dataclasses.dataclass\nclass Tiling(nl.NKIObject):\n    size: int = 3\n",
    ),
    "a static method": (
        "class Tiling:\n    @staticmethod\n    def of(n):\n        return n\n",
        "class Tiling(nl.NKIObject):\n    @staticmethod\n    def of(n):\n        return n\n",
    ),
    "exceptions": (
        'class Tiling:\n    """Tiles."""\n\n    def check(self, n):\n        raise ValueError(f"{n} rows")\n',
        'class Tiling(nl.NKIObject):\n    """Tiles."""\n\n    def check(self, n):\n'
        '        assert False, f"{n} rows"\n',
    ),
}
IMPORTS = "import dataclasses\nfrom dataclasses import dataclass\n"


@pytest.mark.parametrize(("before", "after"), SAME.values(), ids=SAME)
def test_classes_of_the_language(before: str, after: str) -> None:
    check(IMPORTS + HEAD + "\n\n" + before + KERNEL, IMPORTS + NEW_HEAD + "\n\n" + after + KERNEL)


REFUSED = {
    "another base": "class Tiling(Base):\n    pass\n",
    "a tuple": "class Tiling(NamedTuple):\n    size: int\n",
    "a metaclass": "class Tiling(metaclass=Meta):\n    pass\n",
    "a decorator": "@register\nclass Tiling:\n    pass\n",
    "an option": "@dataclass(init=False)\nclass Tiling:\n    size: int\n",
    "a property": "class Tiling:\n    @property\n    def size(self):\n        return 3\n",
    "a class method": "class Tiling:\n    @classmethod\n    def of(cls):\n        return cls()\n",
    "a factory": "@dataclass\nclass Tiling:\n    sizes: list = field(default_factory=list)\n",
    "a statement": "class Tiling:\n    if True:\n        size = 3\n",
    "Python": "class Tiling:\n    def count(self, n):\n        return sum(n)\n",
    "an exception of nothing": "class Tiling:\n    def count(self, n):\n        raise ValueError\n",
}


@pytest.mark.parametrize("before", REFUSED.values(), ids=REFUSED)
def test_what_such_classes_do_not_have(before: str) -> None:
    names = "from typing import NamedTuple\nfrom dataclasses import dataclass, field\n"
    found = hosted(names + HEAD + "from app import Base, Meta, register\n\n\n" + before + KERNEL)
    assert [message for _, message in found.reasons] == ["M-PY"]


def test_a_default_must_be_frozen() -> None:
    inner = "@dataclass(frozen=True)\nclass Inner:\n    n: int = 1\n"
    outer = "@dataclass\nclass Tiling:\n    inner: Inner = Inner()\n"
    found = hosted(IMPORTS + HEAD + "\n\n" + inner + "\n\n" + outer + KERNEL)
    assert {message for _, message in found.reasons} == {"M-PY"}


@pytest.mark.parametrize(
    "code",
    [
        "class Host:\n    def run(self, x):\n        return sum(x)\n",
        "class Kind(Enum):\n    A = 1\n\n\ndef k(x, kind: Kind):\n    return x\n",
    ],
)
def test_classes_that_stay(code: str) -> None:
    silent("from enum import Enum\n\n\n" + code)


def test_classes_whose_objects_stay_with_the_host() -> None:
    code = "from app import Base\n\n\nclass Net(Base):\n    pass\n\n\n@nki.jit\ndef k(x):\n    return x\n\n\n"
    found = check(f"{HEAD}{code}k(Net().weight)\n", f"{NEW_HEAD}{code}k(Net().weight)\n")
    assert found.reasons == []


WHOLE_FILE = text("""
    from dataclasses import dataclass


    @dataclass(frozen=True)
    class Inner:
        scale: float


    @dataclass(frozen=True)
    class Config:
        inner: Inner
        size: int = 16

        def __post_init__(self):
            if self.size < 1:
                raise ValueError("no rows")

        def tiles(self, rows):
            return (rows + self.size - 1) // self.size


    class Place:
        def __init__(self, tile, size):
            self.start = tile * size
            self.stop = self.start + size


    @nki.jit
    def k(x, config: Config):
        out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        for i in range(config.tiles(x.shape[0])):
            place = Place(i, config.size)
            tile = nl.load(x[place.start:place.stop, :])
            nl.store(out[place.start:place.stop, :], nl.multiply(tile, config.inner.scale))
        return out


    def run(x):
        config = Config(Inner(2.5))
        return k(x, config)
""")


def test_objects_cross_into_a_kernel() -> None:
    old = WHOLE + WHOLE_FILE
    new, reasons = migrated(old)
    assert reasons == []
    assert breaches(new) == []
    for name in ("Inner", "Config", "Place"):
        assert f"class {name}(nl.NKIObject):" in new
    x = np.random.default_rng(1).normal(size=(64, 8)).astype(np.float32)
    was, now = (np.asarray(module(each).run(x)) for each in (old, new))
    np.testing.assert_array_equal(was, x * np.float32(2.5))
    np.testing.assert_array_equal(now, was)
    with pytest.raises(AssertionError, match="no rows"):
        module(new).Config(module(new).Inner(1.0), 0)
