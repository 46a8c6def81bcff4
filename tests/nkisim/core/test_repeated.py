"""Launches that come again are replayed only where nobody can see a difference.

A case is a module with a function ``factor``, which a kernel multiplies by, and a function ``change``. What the
kernel must give is what the functions give that are called in a module of its own, without any simulator.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest
from hidden_state import HIDDEN
from replaying import unwatched

import nkisim
import nkisim.isa as nisa
import nkisim.language as nl
from nkisim.core import repeated
from nkisim.core.errors import SimulationError

KERNEL = """
import nkisim, nkisim.isa as nisa, nkisim.language as nl

@nkisim.jit
def kernel(x, *given):
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.multiply, operand0=float(factor(*given)))
    made = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=made, src=tile)
    return made
"""
LAUNCHES = 16
CHANGES = (9, 13)
"""Launches before which the case changes what it reads; the first replayed one is the seventh."""


@pytest.fixture(autouse=True)
def _unwatched(monkeypatch):
    monkeypatch.delenv("NKISIM_REPLAY", raising=False)
    with unwatched():
        yield


def module_of(source: str, name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, f"{name}.py", "exec", dont_inherit=True), vars(module))
    return module


def habit(kernel: Any = None) -> repeated.Habit:
    """What is known of a kernel; without one, of the only one."""
    (only,) = (each for key, each in repeated._HABITS.items() if kernel in (None, key[0]()))
    return only


READ = {
    "a global": """
VALUE = 2
def factor(): return VALUE
def change():
    global VALUE
    VALUE += 1
""",
    "a global under another name of it": """
def factor(): return inner()
def inner(): return VALUE * 2
VALUE = 1.5
def change(): globals()["VALUE"] *= 3
""",
    "a list": """
VALUES = [1, [2, 3]]
def factor(): return VALUES[0] + VALUES[1][1]
def change(): VALUES[1][1] += 5
""",
    "a list that grows": """
VALUES = [1, 2]
def factor(): return len(VALUES)
def change(): VALUES.append(0)
""",
    "a dict in a tuple": """
TABLE = ({"a": 2.0},)
def factor(): return TABLE[0]["a"]
def change(): TABLE[0]["a"] *= 2
""",
    "a set": """
CHOSEN = {1, 2}
def factor(): return sum(CHOSEN)
def change(): CHOSEN.add(max(CHOSEN) + 1)
""",
    "an attribute of a module": """
import types
other = types.ModuleType("other")
other.inner = types.ModuleType("inner")
other.inner.value = 2
def factor(): return other.inner.value
def change(): other.inner.value += 1
""",
    "a function of a module that is replaced": """
import types
other = types.ModuleType("other")
other.value = lambda: 2
def factor(): return other.value()
def change():
    old = other.value()
    other.value = lambda: old + 1
""",
    "a function's defaults": """
def value(x=2, *, y=[1]): return x + y[0]
def factor(): return value()
def change():
    value.__kwdefaults__["y"][0] += 1
    value.__defaults__ = (value.__defaults__[0] + 1,)
""",
    "a function's code": """
def value(): return 2
def more(): return 5
def most(): return 7
def factor(): return value()
def change(): value.__code__, more.__code__ = more.__code__, most.__code__
""",
    "a closure": """
def make():
    value = 2
    def read(): return value
    def more():
        nonlocal value
        value += 1
    return read, more
factor, change = make()
""",
    "a list in a closure of a decorator": """
def scaled(by):
    def decorate(function):
        def inner(): return function() * by[0]
        return inner
    return decorate
BY = [2]
@scaled(BY)
def factor(): return 3
def change(): BY[0] += 1
""",
    "a class": """
class Base:
    scale = 2
class Config(Base):
    @property
    def value(self): return self.scale
def factor(): return Config().value
def change(): Base.scale += 1
""",
    "a method": """
class Config:
    def value(self): return 2
    @staticmethod
    def more(): return 1
def factor(): return Config().value() + Config.more()
def change():
    old = Config().value()
    Config.value = lambda self: old + 1
    Config.more = staticmethod(lambda: 3)
""",
    "a class that gets an attribute": """
class Base:
    extra = 1
class Config(Base): pass
def factor(): return Config.extra
def change(): Config.extra = Config.extra + 1
""",
    "an object": """
class Config:
    def __init__(self): self.value, self.inner = 2, [1]
CONFIG = Config()
def factor(): return CONFIG.value + CONFIG.inner[0]
def change():
    CONFIG.value += 1
    CONFIG.inner[0] += 1
""",
    "an object's operator": """
class Number:
    def __init__(self, n): self.n = n
    def __add__(self, other): return self.n + other
    def __float__(self): return float(self.n)
NUMBER = Number(2)
def factor(): return NUMBER + 1
def change(): NUMBER.n += 1
""",
    "an object's attribute that is made up": """
class Config:
    table = {"value": 2}
    def __getattr__(self, name): return self.table[name]
CONFIG = Config()
def factor(): return CONFIG.value
def change(): Config.table["value"] += 1
""",
    "an NKIObject with a default": """
import nkisim.language as nl
class Options(nl.NKIObject):
    value: int = 2
def factor(): return Options().value
def change(): Options.value += 1
""",
    "a dataclass": """
from dataclasses import dataclass, field
LENGTH = 2
@dataclass
class Options:
    values: list = field(default_factory=lambda: [0] * LENGTH)
def factor(): return len(Options().values)
def change():
    global LENGTH
    LENGTH += 1
""",
    "a member of an enum": """
from enum import Enum
class Kind(Enum):
    A = [2]
    def twice(self): return 2 * self.value[0]
def factor(): return Kind.A.twice()
def change(): Kind.A.value[0] += 1
""",
    "a named tuple": """
from collections import namedtuple
Sizes = namedtuple("Sizes", "a b")
SIZES = Sizes(1, [2])
def factor(): return SIZES.a + Sizes(1, 2).b + SIZES.b[0]
def change(): SIZES.b[0] += 1
""",
    "a partial function": """
from functools import partial
def value(x): return x[0]
part = partial(value, [2])
def factor(): return part()
def change(): part.args[0][0] += 1
""",
    "a bound method": """
class Config:
    def __init__(self): self.n = 2
    def value(self): return self.n
CONFIG = Config()
value = CONFIG.value
def factor(): return value()
def change(): CONFIG.n += 1
""",
    "a lambda in a table": """
N = 2
TABLE = {"a": lambda: N}
def factor(): return TABLE["a"]()
def change():
    global N
    N += 1
""",
    "a comprehension and a generator": """
N = 2
def numbers():
    yield from [N for _ in range(2)]
def factor(): return sum(i for i in numbers())
def change():
    global N
    N += 1
""",
    "a builtin that gets a global of its name": """
def factor(): return max(2, 3)
def change():
    global max
    old = factor()
    max = lambda *_: old + 1
""",
    "a name that appears": """
def factor():
    try:
        return later
    except NameError:
        return 1
def change():
    global later
    later = factor() + 1
""",
    "the environment": """
import os
os.environ["NKISIM_TEST_FACTOR"] = "2"
def factor(): return float(os.environ["NKISIM_TEST_FACTOR"])
def change(): os.environ["NKISIM_TEST_FACTOR"] = str(factor() + 1)
""",
    "a kernel inside": """
import nkisim
N = 2
@nkisim.jit
def value(): return N
def factor(): return value()
def change():
    global N
    N += 1
""",
    "a class of another class's making": """
def make(n):
    class Made:
        value = [n]
    return Made
Made = make(2)
def factor(): return Made.value[0]
def change(): Made.value[0] += 1
""",
}
"""What the module reads, and changes in between; it is replayed as long as nothing changes."""

READ["an object's class"] = """
class First:
    def value(self): return 2
class Second:
    def value(self): return 3
class Third:
    def value(self): return 4
CONFIG = First()
def factor(): return CONFIG.value()
def change(): CONFIG.__class__ = Third if type(CONFIG) is Second else Second
"""
READ["a class's bases"] = """
class First: value = 2
class Second: value = 3
class Third: value = 4
class Config(First): pass
def factor(): return Config.value
def change(): Config.__bases__ = (Third,) if Config.__bases__ == (Second,) else (Second,)
"""
READ["a list of a class of its own"] = """
class Numbers(list):
    def total(self): return sum(self) + self.more
NUMBERS = Numbers([1])
NUMBERS.more = 1
def factor(): return NUMBERS.total()
def change():
    NUMBERS.more += 1
"""
READ["an attribute of a function that is not called"] = """
def other(): pass
other.value = 2
def factor(): return other.value
def change(): other.value += 1
"""
READ["an attribute of a kernel"] = """
import nkisim
@nkisim.jit
def other(): pass
other.value = 2
def factor(): return other.value
def change(): other.value += 1
"""

REFUSED = {
    "counts in a global": """
N = 0
def factor():
    global N
    N += 1
    return N
""",
    "counts in a list": """
N = [0]
def factor():
    N[0] += 1
    return N[0]
""",
    "counts in a closure": """
def make():
    n = 0
    def factor():
        nonlocal n
        n += 1
        return n
    return factor
factor = make()
""",
    "counts in a class": """
class Counter:
    n = 0
def factor():
    Counter.n += 1
    return Counter.n
""",
    "counts in an object": """
class Counter:
    def __init__(self): self.n = 0
    def __call__(self):
        self.n += 1
        return self.n
counter = Counter()
def factor(): return counter()
""",
    "counts in a function's attribute": """
def factor():
    factor.n = getattr(factor, "n", 0) + 1
    return factor.n
""",
    "counts in a default": """
def factor(n=[0]):
    n.append(0)
    return len(n)
""",
    "counts what it has seen": """
SEEN = set()
def factor():
    SEEN.add(len(SEEN))
    return len(SEEN)
""",
    "takes from an iterator": """
from itertools import count
numbers = count(1)
def factor(): return next(numbers)
""",
    "takes from a generator": """
def numbers():
    n = 0
    while True:
        n += 1
        yield n
NUMBERS = numbers()
def factor(): return next(NUMBERS)
""",
    "takes from a bound method of a list": """
LEFT = list(range(1, 40))
take = LEFT.pop
def factor(): return take()
""",
    "draws a random number": """
import random
random.seed(3)
draw = random.Random(3)
def factor(): return draw.random()
""",
    "draws one of NumPy's": """
import numpy as np
draw = np.random.default_rng(3)
def factor(): return draw.random()
""",
    "uses numpy.random": """
import numpy as np
state = np.random.RandomState(3)
def factor():
    np.random.get_state
    return state.rand()
""",
    "reads an array": """
import numpy as np
values = np.arange(40.0)
def factor():
    values[0] += 1
    return values[0]
""",
    "opens a file": """
import os, tempfile
path = tempfile.mkstemp()[1]
def factor():
    with open(path, "a") as file:
        file.write("x")
    return os.path.getsize(path)
""",
    "imports": """
import sys, types
sys.modules["nkisim_test_count"] = types.ModuleType("nkisim_test_count")
sys.modules["nkisim_test_count"].n = {}
def factor():
    import nkisim_test_count as count
    count.n[__name__] = count.n.get(__name__, 0) + 1
    return count.n[__name__]
""",
    "reads globals by their names": """
N = 1
def factor():
    names = globals()
    names["N"] += 1
    return names["N"]
""",
    "reads a module's names by their names": """
import types
other = types.ModuleType("other")
other.n = 1
def factor():
    other.__dict__["n"] += 1
    return getattr(other, "n")
""",
    "reads a function's globals": """
N = 1
def inner(): pass
def factor():
    inner.__globals__["N"] += 1
    return inner.__globals__["N"]
""",
    "remembers results": """
from functools import lru_cache
N = [0]
@lru_cache(maxsize=1)
def value(i):
    N[0] += 1
    return N[0]
def factor(): return value(1) + value(2)
""",
    "evaluates text": """
N = [0]
def factor(): return eval("N.append(0) or len(N)")
""",
    "waits in a context variable": """
from contextvars import ContextVar
n = ContextVar("n", default=0)
def factor():
    n.set(n.get() + 1)
    return n.get()
""",
    "keeps a number for each thread": """
import threading
local = threading.local()
local.n = 0
def factor():
    local.n += 1
    return local.n
""",
    "has a metaclass that counts": """
class Meta(type):
    n = 0
    @property
    def value(cls):
        Meta.n += 1
        return Meta.n
class Counter(metaclass=Meta): pass
def factor(): return Counter.value
""",
    "has slots": """
class Counter:
    __slots__ = ("n",)
    def __init__(self): self.n = 0
counter = Counter()
def factor():
    counter.n += 1
    return counter.n
""",
    "looks at its callers": """
import sys
N = [0]
def factor():
    numbers = sys._getframe().f_globals["N"]
    numbers.append(0)
    return len(numbers)
""",
    "has a module that makes names": """
import types
N = [0]
other = types.ModuleType("other")
def make(name):
    N.append(0)
    return len(N)
other.__getattr__ = make
def factor(): return other.n
""",
}
"""What the module reads or does that is different at each launch, and nobody may replay."""


HEAD = """
import nkisim, nkisim.isa as nisa, nkisim.language as nl, numpy as np

def loaded(x):
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    return tile

@nkisim.jit
"""
KERNELS = {
    "returns tiles": """
def kernel(x):
    made = []
    for factor in range(3):
        tile = loaded(x)
        summed = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.psum)
        nisa.tensor_scalar(dst=summed, data=tile, op0=nl.multiply, operand0=float(factor))
        made.append((summed, tile[0:2]))
    return made, x, 5, None, made[0][0]
def launch(n): return kernel(np.full((64, 33), n, np.float32))
""",
    "changes a list of operands": """
def kernel(x):
    made = nl.ndarray((4, 3), dtype=x.dtype, buffer=nl.shared_hbm)
    operands = []
    for i in range(2):
        operands.clear()
        operands += [x[2 * i : 2 * i + 2], x[0:2]]
        nisa.dma_compute(dst=made[2 * i : 2 * i + 2], srcs=operands)
    return made
def launch(n): return kernel(np.arange(12, dtype=np.float32).reshape(4, 3) + n)
""",
    "changes a pattern": """
def kernel(x):
    made = nl.ndarray((2, 8), dtype=nl.int32, buffer=nl.shared_hbm)
    pattern = [[1, 8]]
    for i in range(2):
        tile = nl.ndarray((1, 8), dtype=nl.int32, buffer=nl.sbuf)
        pattern[0][0] = i + 1
        nisa.iota(dst=tile, pattern=pattern, offset=0, channel_multiplier=0)
        nisa.dma_copy(dst=made[i : i + 1], src=tile)
    return made
def launch(n): return kernel(np.zeros((2, 2), np.float32))
""",
    "changes a dynamic pattern": """
def kernel(x, index):
    rows = loaded(index)
    made = nl.ndarray((4, 3), dtype=x.dtype, buffer=nl.shared_hbm)
    pattern = [[3, 2], [1, 3]]
    for i in range(2):
        pattern[1][0] = i
        found = x.ap(pattern=pattern, offset=0, vector_offset=rows, indirect_dim=0)
        nisa.dma_copy(dst=made[2 * i : 2 * i + 2], src=found)
    return made
def launch(n): return kernel(np.arange(12, dtype=np.float32).reshape(4, 3) + n, np.array([[1], [2]], np.int32))
""",
    "prints on two cores": """
def kernel(x):
    core = nl.program_id(0)
    print("core", core, flush=True)
    tile, other = loaded(x[8 * core : 8 * core + 4]), nl.ndarray((4, 8), dtype=nl.float32, buffer=nl.sbuf)
    made = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    for k in range(3):
        nisa.sendrecv(src=tile, dst=other, send_to_rank=1 - core, recv_from_rank=1 - core, pipe_id=0)
        nisa.tensor_tensor(dst=tile, data1=tile, data2=other, op=nl.add)
        nisa.dma_copy(dst=made[8 * core + 4 * (k % 2) : 8 * core + 4 * (k % 2) + 4], src=tile)
    nisa.dropout(dst=other, data=tile, prob=0.5)
    nisa.dma_copy(dst=made[8 * core : 8 * core + 4], src=other)
    return made
def launch(n): return kernel[2](np.arange(128, dtype=np.float32).reshape(16, 8) + n)
""",
    "has arguments that overlap": """
def kernel(x, y):
    for i in range(2):
        nisa.dma_copy(dst=y, src=loaded(x))
    return y
def launch(n):
    memory = np.arange(40, dtype=np.float32).reshape(5, 8) + n
    return kernel(memory[:4], memory[1:] if n % 2 else np.zeros((4, 8), np.float32)), memory
""",
}  # fmt: skip
"""Kernels that are replayed, but must not give away what another launch needs."""
FAILING = """
def kernel(x, index, out):
    print("begins")
    tile = loaded(out)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.add, operand0=1.0)
    nisa.dma_copy(dst=out, src=tile)
    rows, found = loaded(index), nl.ndarray((4, 8), dtype=nl.float32, buffer=nl.sbuf)
    FIND
    print("ends")
    nisa.dma_copy(dst=out, src=found)
    return out
OUT = np.zeros((4, 8), np.float32)
def launch(n):
    index = np.full((4, 1), 16 if WRONG else 3, np.int32)
    try:
        return kernel(np.ones((16, 8), np.float32), index, OUT), OUT.copy()
    except AssertionError as error:
        return str(error), OUT.copy()
"""
FIND = "nisa.dma_copy(dst=found, src=x.ap(pattern=[[8, 4], [1, 8]], vector_offset=rows))"
CAUGHT = f"""try:
        {FIND}
    except AssertionError:
        nisa.memset(dst=found, value=9.0)"""
KERNELS["fails after it has changed an argument"] = FAILING.replace("FIND", FIND).replace("WRONG", "n == 14")
KERNELS["catches an error"] = FAILING.replace("FIND", CAUGHT).replace("WRONG", "n == 14")
USUAL = {
    "caught an error at first": FAILING.replace("FIND", CAUGHT).replace("WRONG", "n < 12"),
    "reads a file": """
def kernel(x):
    made = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=made, src=loaded(nl.shared_constant(PATH)))
    return made
import tempfile
PATH = tempfile.mkdtemp() + "/constant.npy"
def launch(n):
    np.save(PATH, np.full((2, 3), n, np.float32))
    return kernel(np.zeros((2, 3), np.float32))
""",
    "makes names": """
def kernel(x):
    tile = loaded(x)
    nl.unique_name("tile")
    return tile
def launch(n): return kernel(np.ones((2, 3), np.float32)), int(nl.unique_name("tile")[5:]) - FIRST
FIRST = int(nl.unique_name("tile")[5:])
""",
}
"""Kernels that are never replayed."""


def launched(source: str, name: str, changes: tuple[int, ...]) -> tuple[list[float], list[float], list[bool]]:
    """Factors that launches used, those that they should have, and whether each was to be replayed."""
    twin, module = module_of(source, f"{name}_twin"), module_of(source + KERNEL, name)
    found, wanted, replayed = [], [], []
    for launch in range(LAUNCHES):
        if launch in changes:
            module.change()
            twin.change()
        x = np.full((2, 3), launch + 1, np.float32)
        wanted.append(np.float32(twin.factor()) * np.float32(launch + 1))
        result = module.kernel(x)
        assert (result == result[0, 0]).all()
        found.append(result[0, 0])
        replayed.append(habit(module.kernel.function).plan is not None)
    return found, wanted, replayed


def _whys() -> list[str]:
    return [each.why_not for each in repeated._HABITS.values()]


def name_of(case: str) -> str:
    return "repeated_" + "".join(c if c.isalnum() else "_" for c in case)


@pytest.mark.parametrize("case", READ)
def test_what_changed_is_seen(case):
    found, wanted, replayed = launched(READ[case], name_of(case), CHANGES)
    assert found == wanted
    assert replayed[CHANGES[0] - 2 : CHANGES[0]] == [True, True], _whys()
    assert len(set(np.array(wanted) / (1 + np.arange(LAUNCHES)))) == 3


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_never_the_same_runs_each_time(case):
    found, wanted, replayed = launched(REFUSED[case], name_of(case), ())
    assert found == wanted
    assert not any(replayed)
    assert any(_whys())


def same(value: Any) -> Any:
    """Something that is equal for the same bits."""
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype, value.tobytes()
    return [same(item) for item in value] if isinstance(value, list | tuple) else value


def observed(source: str, name: str, capsys: Any) -> list[Any]:
    """What each launch gives, prints and leaves behind."""
    module, seen = module_of(source, name), []
    launch = getattr(module, "launch", lambda n: module.kernel(np.full((2, 3), n + 1, np.float32)))
    after = getattr(module, "after", lambda: None)
    try:
        for n in range(LAUNCHES):
            if n in CHANGES and hasattr(module, "change"):
                module.change()
            seen.append((same(launch(n)), after(), capsys.readouterr()))
    finally:
        getattr(module, "undo", lambda: None)()
    return seen


def without_and_with(source: str, case: str, monkeypatch: Any, capsys: Any) -> list[Any]:
    """What is observed when nothing is replayed, and when replaying is left to the simulator."""
    with monkeypatch.context() as patch:
        patch.setenv("NKISIM_REPLAY", "0")
        wanted = observed(source, name_of(case), capsys)
    return [wanted, observed(source, name_of(case), capsys)]


@pytest.mark.parametrize("case", [*KERNELS, *USUAL])
def test_every_launch_is_what_it_is_without_replaying(case, monkeypatch, capsys):
    kept: list[bool] = []
    monkeypatch.setattr(repeated.Habit, "confirmed", _noting(repeated.Habit.confirmed, kept))
    wanted, found = without_and_with(HEAD + {**KERNELS, **USUAL}[case], case, monkeypatch, capsys)
    assert found == wanted
    assert any(kept) == (case in KERNELS), _whys()


@pytest.mark.parametrize("case", HIDDEN)
def test_hidden_state_is_seen(case, monkeypatch, capsys):
    source = HIDDEN[case]
    wanted, found = without_and_with(
        source if "def kernel" in source else source + KERNEL, case, monkeypatch, capsys
    )
    assert found == wanted
    assert len({str(each) for each in wanted}) > 1


def _noting(confirmed: Any, kept: list[bool]) -> Any:
    def noting(self: Any, *given: Any) -> None:
        confirmed(self, *given)
        kept.append(self.plan is not None)

    return noting


def test_output_that_there_is_not(monkeypatch):
    module = module_of("def factor(): return print('here') or 2\n" + KERNEL, "repeated_silent")
    monkeypatch.setattr(sys, "stdout", None)
    _ten(lambda: module.kernel(np.ones((2, 3), np.float32)))
    assert habit().plan is not None


@nkisim.jit
def moved(x, index, out):
    tile = nl.ndarray((4, 1), dtype=nl.int32, buffer=nl.sbuf)
    rows = nl.ndarray((4, 8), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=index)
    nisa.dma_copy(dst=rows, src=x.ap(pattern=[[8, 4], [1, 8]], offset=0, vector_offset=tile, indirect_dim=0))
    nisa.dma_copy(dst=out, src=rows)
    return out


def test_errors_of_a_replayed_launch_name_the_kernels_line():
    x = np.arange(128, dtype=np.float32).reshape(16, 8)
    for launch in range(LAUNCHES):
        index, out = np.full((4, 1), launch, np.int32), np.zeros((4, 8), np.float32)
        moved(x, index, out)
        assert np.array_equal(out, x[[launch] * 4])
    assert habit().plan is not None
    with pytest.raises(SimulationError, match=r"test_repeated\.py:\d+: .*vector offset 16 is outside"):
        moved(x, index + 1, out)
    moved(x, index, out)
    assert np.array_equal(out, x[[LAUNCHES - 1] * 4])


def test_recordings_keep_neither_arguments_nor_results():
    import weakref

    class Array(np.ndarray):
        """An array that can be referred to weakly."""

    kept: list[Any] = []
    for _ in range(LAUNCHES):
        x = np.ones((16, 8), np.float32)
        out = np.zeros((4, 8), np.float32)
        kept += [weakref.ref(x), weakref.ref(out)]
        result = moved(x, np.zeros((4, 1), np.int32), out)
        kept.append(weakref.ref(result))
        del x, out, result
    assert habit().plan is not None
    assert [each() for each in kept] == [None] * len(kept)


def _ten(run: Any) -> None:
    for _ in range(LAUNCHES):
        run()


def test_nothing_is_replayed_that_others_watch(monkeypatch):
    module = module_of(READ["a global"] + KERNEL, "repeated_watched")
    x = np.ones((2, 3), np.float32)
    with monkeypatch.context() as patch:
        patch.setenv("NKISIM_REPLAY", "0")
        _ten(lambda: module.kernel(x))
    for start, end in ((sys.settrace, sys.gettrace), (sys.setprofile, sys.getprofile)):
        start(lambda *_: None)
        try:
            _ten(lambda: module.kernel(x))
            assert end() is not None
        finally:
            start(None)
    with nkisim.trace():
        _ten(lambda: module.kernel(x))
    with nkisim.strict():
        _ten(
            lambda: moved(
                np.ones((16, 8), np.float32), np.zeros((4, 1), np.int32), np.zeros((4, 8), np.float32)
            )
        )
    assert not repeated._HABITS


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in Python 3.12")
def test_nothing_is_replayed_under_a_debugger_that_uses_monitoring():
    module = module_of(READ["a global"] + KERNEL, "repeated_monitored")
    sys.monitoring.use_tool_id(sys.monitoring.DEBUGGER_ID, "a debugger")
    try:
        _ten(lambda: module.kernel(np.ones((2, 3), np.float32)))
    finally:
        sys.monitoring.free_tool_id(sys.monitoring.DEBUGGER_ID)
    assert not repeated._HABITS


def test_watching_leaves_no_trace():
    import threading

    module = module_of(READ["a global"] + KERNEL, "repeated_traced")
    output = sys.stdout
    _ten(lambda: module.kernel[2](np.ones((2, 3), np.float32)))
    assert habit().plan is not None
    assert sys.gettrace() is None
    assert threading.gettrace() is None
    assert sys.stdout is output


def test_what_prints_prints_each_time(capsys):
    module = module_of("def factor(): return print('here', end='!') or 2\n" + KERNEL, "repeated_prints")
    _ten(lambda: module.kernel(np.ones((2, 3), np.float32)))
    assert capsys.readouterr().out == "here!" * LAUNCHES
    assert habit().plan is not None


def test_kernels_that_are_made_anew_are_not_kept():
    import gc
    import weakref

    x = np.ones((2, 3), np.float32)
    made = []
    for n in range(5):
        module = module_of(f"def factor(): return {n}\n" + KERNEL, "repeated_made")
        assert (module.kernel(x) == n).all()
        made.append(weakref.ref(module.kernel.function))
    del module, sys.modules["repeated_made"]
    gc.collect()
    assert [each() for each in made] == [None] * 5


def test_recordings_do_not_grow_without_end(monkeypatch):
    modules = [module_of(f"def factor(): return {n}\n" + KERNEL, f"repeated_many_{n}") for n in range(4)]
    x = np.ones((128, 1024), np.float32)
    monkeypatch.setattr(repeated, "MOST_BYTES", x.nbytes * 2)
    monkeypatch.setattr(repeated, "MOST_LAUNCHES", 3)
    for _ in range(2):
        for n, module in enumerate(modules):
            for _ in range(LAUNCHES):
                assert (module.kernel(x) == n).all()
            held = [each.plan.nbytes for each in repeated._HABITS.values() if each.plan]
            assert sum(held) <= x.nbytes * 2
            assert len(repeated._HABITS) <= 3
    assert held
