"""State that kernels may read, or change, which is easily missed when they are to be replayed.

A case has what a case of ``test_repeated`` has; ``launch(n)`` instead of a launch with ones, ``after()`` for what can be
seen after a launch, and ``undo()`` where it changes what is not its own.
"""

HIDDEN = {
    "an attribute of a module that format reads": """
import types
other = types.ModuleType('other'); other.VALUE = 2
def change(): other.VALUE += 1
def factor(): return '{0.VALUE}'.format(other)
""",
    "one that format_map reads": """
import types
other = types.ModuleType('other'); other.VALUE = 2
def change(): other.VALUE += 1
def factor(): return '{o.VALUE}'.format_map({'o': other})
""",
    "one that an attrgetter reads": """
import types
other = types.ModuleType('other'); other.VALUE = 2
def change(): other.VALUE += 1
from operator import attrgetter
def factor(): return attrgetter('VALUE')(other)
""",
    "one that operator.attrgetter reads": """
import types
other = types.ModuleType('other'); other.VALUE = 2
def change(): other.VALUE += 1
import operator
def factor(): return operator.attrgetter('VALUE')(other)
""",
    "one that a function reads that gets the module": """
import types
other = types.ModuleType('other'); other.VALUE = 2
def change(): other.VALUE += 1
def read(m): return m.VALUE
def factor(): return read(other)
""",
    "one that a function reads by its name": """
import types
other = types.ModuleType('other'); other.VALUE = 2
def change(): other.VALUE += 1
def read(m, n): return getattr(m, n)
def factor(): return read(other, 'VALUE')
""",
    "one of a module that is an argument": """
import types
other = types.ModuleType('other'); other.VALUE = 2
def change(): other.VALUE += 1
def factor(m): return m.VALUE
def launch(n): return kernel(np.full((2,3), n+1, np.float32), other)
import numpy as np
""",
    "one that object reads": """
import types
other = types.ModuleType('other'); other.VALUE = 2
def change(): other.VALUE += 1
def factor(): return object.__getattribute__(other, 'VALUE')
""",
    "one that appears": """
import types
other = types.ModuleType('o')
def factor():
    try: return other.later
    except AttributeError: return 1
def change(): other.later = 4 if not hasattr(other,'later') else 7
""",
    "a name in a module of the simulator": """
import nkisim.language as nl
def factor(): return getattr(nl, 'made_up', 1)
def change(): nl.made_up = factor() + 1
def undo(): del nl.made_up
""",
    "an instruction that is replaced": """
import nkisim.isa as nisa
BEFORE, MORE = nisa.tensor_scalar, [0]
def factor(): return 2
def change():
    MORE[0] += 1
    def changed(dst, data, op0, operand0): BEFORE(dst=dst, data=data, op0=op0, operand0=operand0 + MORE[0])
    nisa.tensor_scalar = changed
def undo(): nisa.tensor_scalar = BEFORE
""",
    "a function of math that is replaced": """
import math
BEFORE = math.floor
def factor(): return math.floor(2.5)
def change():
    old = factor()
    math.floor = lambda _: old + 1
def undo(): math.floor = BEFORE
""",
    "an attribute of a member of an enum": """
from enum import Enum
class K(Enum):
    A = 1
    def __init__(self, v): self.scale = 2
def factor(): return K.A.scale
def change(): K.A.scale += 1
""",
    "one of a member that is an argument": """
from enum import Enum
class K(Enum):
    A = 1
    def __init__(self, v): self.scale = 2
def factor(k): return k.scale
def change(): K.A.scale += 1
import numpy as np
def launch(n): return kernel(np.full((2,3), n+1, np.float32), K.A)
""",
    "an attribute of an integer": """
class N(int): pass
v = N(2); v.s = 2
def factor(n): return n.s
def change(): v.s += 1
import numpy as np
def launch(n): return kernel(np.full((2,3), n+1, np.float32), v)
""",
    "an attribute of a float": """
class N(float): pass
v = N(2); v.s = 2
def factor(n): return n.s
def change(): v.s += 1
import numpy as np
def launch(n): return kernel(np.full((2,3), n+1, np.float32), v)
""",
    "the class of a float": """
class A(float):
    def f(self): return 2
class B(float):
    def f(self): return 3
def factor(n): return n.f()
import numpy as np
def launch(n): return kernel(np.full((2,3), n+1, np.float32), (A if n % 2 else B)(1))
""",
    "the sign of NumPy's zero": """
import numpy as np, math
def factor(n): return math.copysign(2, n)
def launch(n): return kernel(np.full((2,3), n+1, np.float32), np.float32(-0.0 if n > 9 else 0.0))
""",
    "a record that is an argument": """
import numpy as np
V = np.zeros(1, 'i4,f4')[0]
V[0]=2
def factor(v): return v[0]
def change(): V[0] += 1
def launch(n): return kernel(np.full((2,3), n+1, np.float32), V)
""",
    "a record": """
import numpy as np
R = np.zeros(1, 'i4,f4')
V = R[0]
V[0]=2
def factor(): return V[0]
def change(): R[0][0] += 1
""",
    "an attribute of a scalar of NumPy": """
import numpy as np
class F(np.float32): pass
V = F(2); V.s = 2
def factor(): return V.s
def change(): V.s += 1
""",
    "whether two arguments are one": """
import numpy as np
def factor(a, b): return 2 if a is b else 3
def launch(n):
    a = [1]
    return kernel(np.full((2,3), n+1, np.float32), a, a if n < 9 else [1])
""",
    "members that say they are equal": """
import numpy as np
from enum import Enum
class K(Enum):
    A = 1; B = 2
    def __eq__(self, o): return True
    def __hash__(self): return 0
def factor(k): return k._value_
def launch(n): return kernel(np.full((2,3), n+1, np.float32), K.A if n < 9 else K.B)
""",
    "an object that is an operator": """
class F:
    def __init__(self): self.n = 2
    def __call__(self, *a): return float(self.n)
F1 = F()
class C:
    __float__ = F1
    __abs__ = F1
c = C()
def factor(): return abs(c)
def change(): F1.n += 1
""",
    "a class's documentation": """
class C:
    'xx'
def factor(): return len(C.__doc__)
def change(): C.__doc__ += 'x'
""",
    "a class's name": """
class C: pass
def factor(): return len(C.__name__)
def change(): C.__name__ += 'x'
""",
    "a function's name": """
def f(): pass
def factor(): return len(f.__name__)
def change(): f.__name__ += 'x'
""",
    "defaults of a function that is not called": """
def f(x=2): pass
def factor(): return f.__defaults__[0]
def change(): f.__defaults__ = (f.__defaults__[0]+1,)
""",
    "a function's annotations": """
def f(x: 2): pass
def factor(): return f.__annotations__['x']
def change(): f.__annotations__['x'] += 1
""",
    "a class's annotations": """
class C:
    x: 2
def factor(): return C.__annotations__['x']
def change(): C.__annotations__['x'] += 1
""",
    "a logger's level": """
import logging
L = logging.getLogger('attack'); L.setLevel(30)
def factor(): return L.level
def change(): L.setLevel(L.level + 1)
""",
    "what a logger lets through": """
import logging
L = logging.getLogger('attack'); L.setLevel(30)
def factor(): return 2 + L.isEnabledFor(20)
def change(): L.setLevel(10)
""",
    "a logger's attribute": """
import logging
L = logging.getLogger('attack'); L.v = 2
def factor(): return L.v
def change(): L.v += 1
""",
    "what is logged": """
import io, logging
LOGGER, TEXT = logging.getLogger(__name__), io.StringIO()
LOGGER.handlers[:] = [logging.StreamHandler(TEXT)]
LOGGER.propagate = False
def factor(): return LOGGER.warning('here') or 2
def after(): return TEXT.getvalue()
""",
    "unique names": """
import itertools, nkisim.language as nl
nl._names = itertools.count()
def factor(): return int(nl.unique_name('a')[2:]) + 1
""",
    "numpy.random under another name": """
import numpy.random as npr
npr.seed(0)
def factor(): return npr.rand()
""",
    "numpy.random as random": """
from numpy import random
random.seed(0)
def factor(): return random.rand()
""",
    "a field's factory in C": """
import itertools, dataclasses, nkisim.language as nl
class O(nl.NKIObject):
    v: int = dataclasses.field(default_factory=itertools.count(1).__next__)
def factor(): return O().v
""",
    "a field's metadata": """
import dataclasses
M = {'s': 2}
@dataclasses.dataclass
class O:
    v: int = dataclasses.field(default=1, metadata=M)
def factor(): return dataclasses.fields(O)[0].metadata['s']
def change(): M['s'] += 1
""",
    "a defaultdict's factory in C": """
import itertools, collections
D = collections.defaultdict(itertools.count(1).__next__)
def factor():
    v = D['x']; del D['x']; return v
""",
    "a defaultdict's factory": """
import collections
D = collections.defaultdict(int)
def factor():
    v = len(str(D['x'])); del D['x']; return v
def change(): D.default_factory = list if D.default_factory is int else float
""",
    "a slot of a list": """
class L(list):
    __slots__ = ('n',)
l = L(); l.n = 2
def factor(): return l.n
def change(): l.n += 1
""",
    "a slot of a dict": """
class L(dict):
    __slots__ = ('n',)
l = L(); l.n = 2
def factor(): return l.n
def change(): l.n += 1
""",
    "a partial function's attribute": """
import functools
p = functools.partial(abs, 2); p.s = 2
def factor(): return p.s
def change(): p.s += 1
""",
    "a partial function's state": """
import functools
p = functools.partial(abs, 2)
def factor(): return p()
def change(): p.__setstate__((abs, (p.args[0]+1,), {}, {}))
""",
    "a property's attribute": """
class P(property): pass
p = P(lambda s: 1); p.s = 2
class C: v = p
def factor(): return C.v.s
def change(): p.s += 1
""",
    "a static method's attribute": """
def f(): return 1
s = staticmethod(f)
s.s = 2
def factor(): return s.s
def change(): s.s += 1
""",
    "a function in C as a ufunc": """
import numpy as np, itertools
u = np.frompyfunc(itertools.count(1).__next__, 0, 1)
def factor(): return u()
""",
    "a class that is registered": """
import abc
class B(abc.ABC): pass
class X: pass
class Y(X): pass
x = X()
T = []
def factor(): return 2 + isinstance(x, B)
def change(): B.register(X)
""",
    "a class that is registered as a sequence": """
import collections.abc as ca
class X: pass
x = X()
def factor(): return 2 + isinstance(x, ca.Sequence)
def change(): ca.Sequence.register(X)
""",
    "what happens when an object is gone": """
N = [0]
class A:
    def __del__(self): N[0] += 1
def factor():
    a = A(); a.me = a
    return 2
import gc
def after(): gc.collect(); return N[0]
""",
    "what happens when an object of a class of the kernel's is gone": """
N = [0]
def factor():
    class A:
        def __del__(self): N[0] += 1
    a = A(); a.me = a
    return 2
import gc
def after(): gc.collect(); return N[0]
""",
    "an object's dictionary": """
class C:
    def __init__(self): self.v = 2
c = C()
def factor(): return c.v
def change(): c.__dict__ = {'v': c.v + 1}
""",
    "a function's dictionary": """
def f(): pass
f.v = 2
def factor(): return f.v
def change(): f.__dict__ = {'v': f.v + 1}
""",
    "what is set in a module": """
import types
other = types.ModuleType('o'); other.flag = False
def factor(): other.flag = True; return 2
def after():
    r = other.flag; other.flag = False; return r
""",
    "a frame's globals": """
N = 0
def factor():
    try: raise ValueError
    except ValueError as e:
        g = e.__traceback__.tb_frame.f_globals
        g['N'] = g['N'] + 1
        return g['N']
""",
    "the module of builtins": """
N = 0
def factor():
    g = len.__self__.globals()
    g['N'] += 1
    return g['N']
""",
    "a class behind an alias": """
import types
class C:
    s = 2
    __class_getitem__ = classmethod(types.GenericAlias)
A = C[int]
def factor(): return A.s
def change(): C.s += 1
""",
    "a class behind an alias of typing": """
from typing import Generic, TypeVar
T = TypeVar('T')
class C(Generic[T]):
    s = 2
A = C[int]
def factor(): return A.s
def change(): C.s += 1
""",
    "what a type is annotated with": """
from typing import Annotated
M = {'s': 2}
A = Annotated[int, M]
A.__metadata__
def factor(): return A.__metadata__[0]['s']
def change(): M['s'] += 1
""",
    "a dataclass made by a call": """
import dataclasses
C = dataclasses.make_dataclass('C', [('v', int, 2)])
def factor(): return C.v
def change(): C.v += 1
""",
    "a class made by a call": """
import types
C = types.new_class('C', (), {}, lambda ns: ns.update(v=2))
def factor(): return C.v
def change(): C.v += 1
""",
    "a text file": """
import numpy as np, tempfile
PATH = tempfile.mkstemp()[1]
def factor(): return np.loadtxt(PATH)
def change(n=[2]):
    n[0] += 1
    with open(PATH, 'w') as file: file.write(str(n[0]))
change()
""",
    "a file that is written": """
import numpy as np, os, tempfile
PATH = tempfile.mkdtemp() + '/written.npy'
def factor(): return np.save(PATH, np.zeros(2)) or 2
def after():
    found = os.path.exists(PATH)
    os.remove(PATH)
    return found
""",
    "a file that an array writes": """
import numpy as np, os, tempfile
PATH = tempfile.mkdtemp() + '/written'
def factor(): return np.zeros(2).tofile(PATH) or 2
def after():
    found = os.path.exists(PATH)
    os.remove(PATH)
    return found
""",
    "how NumPy prints": """
import numpy as np
DIGITS = [8]
def factor(): return print(np.arange(3) / 7) or 2
def change():
    DIGITS[0] -= 3
    np.set_printoptions(precision=DIGITS[0])
def undo(): np.set_printoptions(precision=8)
""",
    "how NumPy writes arrays as text": """
import numpy as np
DIGITS = [8]
def factor(): return len(str(np.arange(3) / 7))
def change():
    DIGITS[0] -= 3
    np.set_printoptions(precision=DIGITS[0])
def undo(): np.set_printoptions(precision=8)
""",
    "lookups of attributes": """
LOG = []
class C:
    def __getattribute__(self, n): LOG.append(n); return object.__getattribute__(self, n)
c = C(); object.__setattr__(c, 'v', 2)
def factor(): return c.v
def after(): return list(LOG)
""",
    "iterations over a list": """
LOG = []
class C(list):
    def __iter__(self): LOG.append(1); return list.__iter__(self)
c = C([2])
def factor(): return c[0]
def after(): return list(LOG)
""",
    "questions for an object's class": """
LOG = []
class C:
    v = 2
    @property
    def __class__(self): LOG.append(1); return C
c = C()
def factor(): return c.v
def after(): return list(LOG)
""",
    "lookups in an argument": """
import numpy as np
LOG = []
class C:
    v = 2
    def __getattr__(self, n): LOG.append(n); raise AttributeError(n)
c = C()
def factor(c): return c.v
def launch(n): return kernel(np.full((2,3), n+1, np.float32), c)
def after(): return len(LOG)
""",
    "what a tile holds": """
import nkisim, nkisim.isa as nisa, nkisim.language as nl, numpy as np
@nkisim.jit
def kernel(x):
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.add, operand0=float(tile.array[0, 0]))
    return tile
def launch(n): return kernel(np.full((2, 3), n, np.float32))
""",
    "what a tile holds, printed": """
import nkisim, nkisim.isa as nisa, nkisim.language as nl, numpy as np
@nkisim.jit
def kernel(x):
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    print(tile.read())
    return tile
def launch(n): return kernel(np.full((2, 3), n, np.float32))
""",
    "code with a frozen module's filename": """
import nkisim, nkisim.isa as nisa, nkisim.language as nl
N = [2]
exec(compile('''
@nkisim.jit
def kernel(x):
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    N[0] += 1
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.multiply, operand0=float(N[0]))
    return tile
''', '<frozen mine>', 'exec'))
""",
    "a limit of tiles": """
import nkisim.language as nl
def factor(): return nl.tile_size.pmax
def change(): nl.tile_size.pmax -= 1
def undo(): del nl.tile_size.pmax
""",
    "an attribute of a module under a local name": """
import types
other = types.ModuleType('other'); other.VALUE = 2
def factor():
    module = other
    return module.VALUE
def change(): other.VALUE += 1
""",
    "one of a module in an argument": """
import types, numpy as np
class Options: pass
OPTIONS = Options()
OPTIONS.module = types.ModuleType('other')
OPTIONS.module.VALUE = 2
def factor(options): return options.module.VALUE
def change(): OPTIONS.module.VALUE += 1
def launch(n): return kernel(np.full((2, 3), n + 1, np.float32), OPTIONS)
""",
    "a method of tensors that is replaced": """
import nkisim.language as nl
BEFORE, CALLS = nl.ndarray.reshape, [0]
def factor(): return nl.ndarray((2, 2), nl.float32, nl.sbuf).reshape((2, 2)).shape[0]
def change():
    def spy(tensor, shape):
        CALLS[0] += 1
        return BEFORE(tensor, shape)
    nl.ndarray.reshape = spy
def undo(): nl.ndarray.reshape = BEFORE
def after(): return CALLS[0]
""",
    "a result that the caller changes": """
import nkisim, numpy as np
class Number(int): pass
@nkisim.jit
def kernel(x):
    number = Number(2)
    number.uses = 0
    return number
def launch(n):
    result = kernel(np.zeros((2, 3), np.float32))
    result.uses += 1
    return result.uses, n
""",
    "what happens when an object of a class made by a call is gone": """
import gc
N = [0]
def gone(self): N[0] += 1
def factor():
    made = type('Made', (), {'__del__': gone, 'x': 1})()
    made.me = made
    return 2
def after():
    gc.collect()
    return N[0]
""",
}
