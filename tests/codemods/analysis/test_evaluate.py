"""What names denote: every shape of aliasing, one row each."""

from __future__ import annotations

import ast

import pytest

from nkimigrate.codemods.analysis import values as v
from nkimigrate.codemods.analysis.classes import constructor
from nkimigrate.codemods.analysis.context import FileContext
from nkimigrate.codemods.release import Release
from nkimigrate.codemods.source import Source

RELEASE = Release.from_dict(
    {
        "release": {
            "product": "lib",
            "from": "1",
            "to": "2",
            "root": "lib",
            "legacy_roots": ["oldlib.lib"],
        },
        "types": {
            "lib.views.View": {
                "attributes": {"sizes": "shape"},
                "tuples": ["shape", "strides", "trivial"],
                "chain": ["slice", "permute"],
                "static": ["trivial"],
            }
        },
        "throughs": {"lib.a.passed": "lib.b.passed"},
        "stars": {"lib.ops": ["f", "g"]},
    }
)
F = v.Symbol("lib.ops.f")
VIEW = v.Instance("lib.views.View")


def probe(code: str, outside: dict[str, v.Value] | None = None, name: str = "app.mod") -> v.Value:
    """The value of the argument of the last ``PROBE(...)`` in the code."""
    source = Source.decode(code.encode())
    context = FileContext("t.py", source, ast.parse(code), RELEASE, name, False, outside or {})
    use = context.module.by_name["PROBE"][-1]
    call = use.links[1]
    assert isinstance(call, ast.Call)
    return context.evaluator.at(call.args[0], use)


IMPORTS = "from lib.ops import f\n"
V = "from lib.views import View\n"

SHAPES = {
    "from import": (IMPORTS + "PROBE(f)", F),
    "alias": ("from lib.ops import f as g\nPROBE(g)", F),
    "legacy root": ("from oldlib.lib.ops import f\nPROBE(f)", F),
    "module alias": ("import lib.ops as m\nPROBE(m.f)", F),
    "dotted import": ("import lib.ops\nPROBE(lib.ops.f)", F),
    "module by from": ("from lib import ops\nPROBE(ops.f)", F),
    "import through": ("from lib.a import passed\nPROBE(passed)", v.Symbol("lib.b.passed")),
    "two dotted imports of one root": ("import lib.ops\nimport lib.views\nPROBE(lib.ops.f)", F),
    "star import": ("from lib.ops import *\nPROBE(f)", F),
    "launch": (IMPORTS + "PROBE(f[2])", v.Launched(F)),
    "launch kept": (IMPORTS + "k = f[2]\nPROBE(k)", v.Launched(F)),
    "assignment": (IMPORTS + "k = f\nPROBE(k)", F),
    "walrus": (IMPORTS + "(k := f)\nPROBE(k)", F),
    "tuple unpacking": (IMPORTS + "a, k = 1, f\nPROBE(k)", F),
    "conditional": (IMPORTS + "PROBE(f if c else f)", F),
    "or": (IMPORTS + "PROBE(None or f)", F),
    "jit": (IMPORTS + "import nki\nPROBE(nki.jit(f))", v.Jitted(F)),
    "jit with options": (IMPORTS + "import nki\nPROBE(nki.jit(mode='x')(f))", v.Jitted(F)),
    "partial": (IMPORTS + "from functools import partial\nPROBE(partial(f, 1, *(2, 3), k=1))", v.Partial(F, 3, ("k",))),
    "partial of unknown length": (IMPORTS + "from functools import partial\nPROBE(partial(f, *x))", v.Partial(F, None, ())),
    "dict": (IMPORTS + "t = {'a': f}\nPROBE(t['a'])", F),
    "dict filled later": (IMPORTS + "t = {}\nt['a'] = f\nPROBE(t['a'])", F),
    "dict filled by an unknown key": (IMPORTS + "t = {}\nfor k in ks:\n    t[k] = f\nPROBE(t['a'])", F),
    "dict filled elsewhere": (IMPORTS + "t = {}\ndef g(t):\n    t['a'] = f\nPROBE(t['a'])", None),
    "unwrapped": (IMPORTS + "PROBE(f.__wrapped__)", v.Launched(F)),
    "dict get": (IMPORTS + "t = {'a': f}\nPROBE(t.get(n, f))", F),
    "getattr": ("import lib.ops as m\nPROBE(getattr(m, 'f'))", F),
    "import_module": ("import importlib\nPROBE(importlib.import_module('lib.ops').f)", F),
    "f-string path": ("import importlib\nR = 'lib'\nPROBE(importlib.import_module(f'{R}.ops').f)", F),
    "function that returns it": (IMPORTS + "def get():\n    return f\nPROBE(get())", F),
    "attribute of self": (IMPORTS + "class A:\n    def __init__(self):\n        self.k = f\n    def go(self):\n        PROBE(self.k)", F),
    "class attribute": (IMPORTS + "class A:\n    k = f\n    def go(self):\n        PROBE(self.k)", F),
    "attribute of an instance": (IMPORTS + "class A:\n    def __init__(self):\n        self.k = f\na = A()\nPROBE(a.k)", F),
    "inherited attribute": (IMPORTS + "class A:\n    k = f\nclass B(A):\n    def go(self):\n        PROBE(self.k)", F),
    "nested function": (IMPORTS + "def outer():\n    def inner():\n        PROBE(f)", F),
    "ladder with None": ("try:\n    from lib.ops import f\nexcept ImportError:\n    f = None\nPROBE(f)", F),
    "ladder of two roots": ("try:\n    from lib.ops import f\nexcept ImportError:\n    from oldlib.lib.ops import f\nPROBE(f)", F),
    "rebound straight": (IMPORTS + "f = 1\nPROBE(f)", v.Constant(1)),
    "used before it is rebound": (IMPORTS + "PROBE(f)\nf = 1", F),
    "rebound in a branch": (IMPORTS + "if c:\n    f = 1\nPROBE(f)", v.one_of([F, v.Constant(1)])),
    "other arm of an if": (IMPORTS + "if c:\n    f = 1\nelse:\n    PROBE(f)", F),
    "carried by a loop": (IMPORTS + "while c:\n    PROBE(f)\n    f = 1", v.one_of([F, v.Constant(1)])),
    "view": ("from lib.views import View\nPROBE(View(t))", VIEW),
    "view chain": ("from lib.views import View\nPROBE(View(t).slice(0, 1).permute(p))", VIEW),
    "view through unknown method": ("from lib.views import View\nPROBE(View(t).numpy())", None),
    "annotated parameter": ("from lib.views import View\ndef g(x: View):\n    PROBE(x)", VIEW),
    "string annotation": ("from lib.views import View\ndef g(x: 'View'):\n    PROBE(x)", VIEW),
    "optional annotation": ("from lib.views import View\ndef g(x: View | None):\n    PROBE(x)", VIEW),
    "container annotation": ("from lib.views import View\ndef g(xs: list[View]):\n    for x in xs:\n        PROBE(x)", VIEW),
    "indexed container": ("from lib.views import View\ndef g(xs: list[View]):\n    PROBE(xs[0])", VIEW),
    "list display": ("from lib.views import View\nxs = [View(a), View(b)]\nPROBE(xs[1])", VIEW),
    "comprehension": ("from lib.views import View\nxs = [View(a) for a in ts]\nPROBE(xs[1])", VIEW),
    "return annotation": ("from lib.views import View\ndef g() -> View: ...\nPROBE(g())", VIEW),
    "cast": ("from typing import cast\nfrom lib.views import View\nPROBE(cast('View', x))", VIEW),
    "rebound view": ("from lib.views import View\nx = View(t)\nx = x.slice(0, 1)\nPROBE(x)", VIEW),
    "checked in an if": (V + "def g(x):\n    if isinstance(x, View) and x:\n        PROBE(x)", VIEW),
    "checked before and": (V + "def g(x):\n    isinstance(x, View) and PROBE(x)", VIEW),
    "checked in an expression": (V + "def g(x):\n    y = h(PROBE(x)) if isinstance(x, View) else 1", VIEW),
    "asserted": (V + "def g(x):\n    assert isinstance(x, View), 'no'\n    PROBE(x)", VIEW),
    "checked elsewhere": (V + "def g(x):\n    if isinstance(x, View):\n        y()\n    PROBE(x)", None),
    "checked, then bound again": (V + "def g(x):\n    assert isinstance(x, View)\n    x = h()\n    PROBE(x)", None),
    "checked for something else": (V + "def g(x):\n    if isinstance(y, View):\n        PROBE(x)", None),
    "enumerate": (V + "def g(xs: list[View]):\n    for i, x in enumerate(xs):\n        PROBE(x)", VIEW),
    "enumerate's number": (V + "def g(xs: list[View]):\n    for i, x in enumerate(xs):\n        PROBE(i)", None),
    "zip": (V + "def g(a, xs: list[View]):\n    for y, x in zip(a, xs):\n        PROBE(x)", VIEW),
    "dict annotation": (V + "def g(xs: dict[str, View]):\n    PROBE(xs['a'])", VIEW),
    "dict values": (V + "def g(xs: dict[str, View]):\n    for x in xs.values():\n        PROBE(x)", VIEW),
    "dict items": (V + "def g(xs: dict[str, View]):\n    for k, x in xs.items():\n        PROBE(x)", VIEW),
    "dict call": (IMPORTS + "t = dict(a=f)\nPROBE(t['a'])", F),
    "returned pair": (V + "def g():\n    return 1, View(t)\nn, x = g()\nPROBE(x)", VIEW),
    "the other one of a pair": (V + "def g():\n    return 1, View(t)\nn, x = g()\nPROBE(n)", v.Constant(1)),
    "pair annotation": (V + "def g() -> tuple[int, View]: ...\nn, x = g()\nPROBE(x)", VIEW),
    "with": (V + "with View(t) as x:\n    PROBE(x)", VIEW),
    "property": (V + "class A:\n    @property\n    def x(self):\n        return View(t)\nPROBE(A().x)", VIEW),
    "super": (V + "class A(View):\n    def g(self):\n        PROBE(super())", VIEW),
    "method of a base": (V + "class A(View):\n    def g(self):\n        PROBE(self.slice(0, 1))", VIEW),
    "former list": (V + "PROBE(View(t).sizes)", v.FormerList(True, "old")),
    "former list by its new name": (V + "PROBE(View(t).shape)", v.FormerList(True, "new")),
    "former list, sliced": (V + "PROBE(View(t).strides[1:])", v.FormerList(False)),
    "former list, sum": (V + "x = View(t)\nPROBE(x.sizes + x.strides * 2)", v.FormerList(False, "old")),
    "former list that a method returns": (V + "PROBE(View.trivial(s))", v.FormerList(False)),
    "former list, made a list": (V + "PROBE(list(View(t).sizes))", None),
    "item of a former list": (V + "PROBE(View(t).sizes[0])", None),
    "global": (IMPORTS + "def g():\n    global f\n    f = 1\nPROBE(f)", v.one_of([F, v.Constant(1)])),
}  # fmt: skip

SHADOWED = {
    "parameter": IMPORTS + "def g(f):\n    PROBE(f)",
    "loop variable": IMPORTS + "for f in fs:\n    PROBE(f)",
    "comprehension variable": IMPORTS + "[PROBE(f) for f in fs]",
    "lambda parameter": IMPORTS + "h = lambda f: PROBE(f)",
    "except name": IMPORTS + "try:\n    pass\nexcept E as f:\n    PROBE(f)",
    "match capture": IMPORTS + "match x:\n    case [f]:\n        PROBE(f)",
    "own function": "def f(): ...\nPROBE(f())",
}


@pytest.mark.parametrize("name", SHAPES)
def test_resolves(name: str) -> None:
    code, expected = SHAPES[name]
    assert probe(code) == expected


@pytest.mark.parametrize("name", SHADOWED)
def test_shadowing_is_unknown(name: str) -> None:
    assert probe(SHADOWED[name]) is None


def test_an_import_in_a_class_body_is_not_seen_in_its_methods() -> None:
    code = "class A:\n    from lib.ops import f\n    def go(self):\n        PROBE(f)"
    assert probe(code) == v.Symbol("builtins.f")


@pytest.mark.parametrize("line", ["from app.kernels import k", "from .kernels import k"])
def test_names_that_other_modules_export(line: str) -> None:
    assert probe(f"{line}\nPROBE(k)", {"app.kernels.k": F}) == F


def test_relative_imports_beyond_the_top_are_unknown() -> None:
    assert probe("from ....kernels import k\nPROBE(k)", {"app.kernels.k": F}) is None


def test_a_class_body_sees_the_outer_name_until_it_binds_its_own() -> None:
    assert probe(IMPORTS + "class A:\n    PROBE(f)\n    f = 1") == F
    assert probe(IMPORTS + "class A:\n    f = f\n    PROBE(f)") == F
    assert probe(IMPORTS + "class A:\n    f = 1\n    PROBE(f)") == v.Constant(1)


def test_a_binding_through_global_may_always_be_seen() -> None:
    code = IMPORTS + "def install():\n    global k\n    k = 1\nk = f\ninstall()\nPROBE(k)"
    assert probe(code) == v.one_of([F, v.Constant(1)])


def test_a_subclass_without_a_constructor_runs_its_base() -> None:
    code = "from lib.views import View\nclass A(View): ...\nclass B(A):\n    def __init__(self): ...\n"
    source = Source.decode(code.encode())
    evaluator = FileContext("t.py", source, ast.parse(code), RELEASE, "app.mod").evaluator
    assert constructor(evaluator, "app.mod.A") == "lib.views.View"
    assert constructor(evaluator, "app.mod.B") == "app.mod.B"
