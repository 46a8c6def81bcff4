"""Kernels that are stored where evaluation does not follow: the calls that may reach them are reported."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, migrate

CALL = "(x, w, None, b, True)"
HEAD = "from nkilib.core.qkv.qkv import qkv\n"

REPORTED = {
    "namespace": "import types\ntypes.SimpleNamespace(k=qkv).k{call}",
    "namespace with a name": "from types import SimpleNamespace\nns = SimpleNamespace(k=qkv)\nns.k[2]{call}",
    "attribute of anything": "ns = make()\nns.k = qkv\nns.k{call}",
    "attribute by its name": "ns = make()\nsetattr(ns, 'k', qkv)\nns.k{call}",
    "attribute of a class": "class C: pass\nC.k = staticmethod(qkv)\nC.k{call}",
    "data class": (
        "import dataclasses\n@dataclasses.dataclass\nclass C:\n    n: int\n    k: object\n"
        "def f(c):\n    return c.k{call}\nf(C(1, qkv))"
    ),
    "default of a field": (
        "import dataclasses\n@dataclasses.dataclass\nclass C:\n    k: object = dataclasses.field(default=qkv)\n"
        "def f(c: C):\n    return c.k{call}"
    ),
    "own constructor": (
        "class C:\n    def __init__(self, n, kernel):\n        self.k = kernel\n"
        "    def f(self):\n        return self.k{call}\nC(1, kernel=qkv).f()"
    ),
    "class of somebody else": "import other\nc = other.Config(k=qkv)\nc.k{call}",
    "copy with another one": "import dataclasses\nd = dataclasses.replace(c, k=qkv)\nd.k{call}",
    "enum": "import enum\nfrom functools import partial\nclass E(enum.Enum):\n    A = partial(qkv)\nE.A.value{call}",
    "list that grows": "ks = []\nks.append(qkv)\nks[0]{call}",
    "loop over one": "ks = []\nks.append(qkv)\nfor k in ks:\n    k{call}",
    "list of an object": "def f(self):\n    self.ks.append(qkv)\n    self.ks[-1]{call}",
    "dict that grows": "table = {{}}\ntable.setdefault('a', qkv)\ntable['a']{call}",
    "dict of an object": "def f(self):\n    self.table['a'] = qkv\n    self.table.get('a'){call}",
    "update": "table = {{}}\ntable.update(a=qkv)\ntable['a']{call}",
    "union of dicts": "one = {{'a': qkv}}\nboth = one | other\nboth['a']{call}",
    "copy of a dict": "one = {{'a': qkv}}\nboth = {{**one, 'b': 1}}\nboth['a']{call}",
    "comprehension": "table = {{n: qkv for n in names}}\ntable['a']{call}",
    "ordered": "from collections import OrderedDict\nt = OrderedDict([('a', qkv)])\nt['a']{call}",
    "read-only": "from types import MappingProxyType\nt = MappingProxyType({{'a': qkv}})\nt['a']{call}",
    "generator": "def ks():\n    yield qkv\nfor k in ks():\n    k{call}",
    "pattern": "match qkv:\n    case k:\n        k{call}",
    "pattern in a pattern": "match {{'k': qkv}}:\n    case {{'k': k}}:\n        k{call}",
    "context": "import contextlib\nwith contextlib.nullcontext(qkv) as k:\n    k{call}",
    "item of an object": (
        "class Table:\n    def __getitem__(self, name):\n        return qkv\ntable = Table()\ntable['q']{call}"
    ),
    "given by a call of an object": (
        "class Maker:\n    def __call__(self):\n        return qkv\nMaker()(){call}"
    ),
    "given by a context of one's own": (
        "import contextlib\n@contextlib.contextmanager\ndef kernel():\n    yield qkv\n"
        "with kernel() as k:\n    k{call}"
    ),
    "registered": (
        "REG = {{}}\ndef register(name):\n    def decorate(f):\n        REG[name] = f\n        return f\n"
        "    return decorate\nregister('q')(qkv)\nREG['q']{call}"
    ),
    "registered by a method": (
        "class R:\n    def add(self, name, k):\n        self.ks[name] = k\n"
        "    def run(self):\n        self.ks['q']{call}\nR().add('q', qkv)"
    ),
}


@pytest.mark.parametrize("body", REPORTED.values(), ids=REPORTED)
def test_a_call_that_may_reach_it_is_reported(body: str) -> None:
    text = HEAD + body.format(call=CALL) + "\n"
    line = next(n for n, each in enumerate(text.splitlines(), start=1) if CALL in each)
    check_reported(text, "NKM207", line, "may be `qkv`, which was stored there")


@pytest.mark.parametrize("body", REPORTED.values(), ids=REPORTED)
def test_a_call_that_is_the_same_in_both_releases_is_not(body: str) -> None:
    check_noop(HEAD + body.format(call="(x, w, None, b, fused_residual_add=True)") + "\n")


FINE = {
    "what it gives": "y = qkv(x, w)\ny.k(x, w, None, b, True)",
    "methods of what was given it": "import other\nt = other.Trainer(qkv)\nt.step(x, w, None, b, True)",
    "another attribute": "import types\nns = types.SimpleNamespace(k=qkv)\nns.other(x, w, None, b, True)",
    "an attribute that is a layer": (
        "import other, types\nns = types.SimpleNamespace(k=qkv)\nclass M:\n    def __init__(self):\n"
        "        self.k = other.Linear(1)\n    def f(self):\n        return self.k(x, w, None, b, True)"
    ),
    "a method of the same name": (
        "import types\nns = types.SimpleNamespace(k=qkv)\nclass M:\n    def k(self, a, b, c, d, e): ...\n"
        "    def f(self):\n        return self.k(x, w, None, b, True)"
    ),
    "a function of a module": "import m, types\nns = types.SimpleNamespace(k=qkv)\nm.k(x, w, None, b, True)",
    "a name of another scope": (
        "def f():\n    ks = []\n    ks.append(qkv)\ndef g(ks):\n    return ks[0](x, w, None, b, True)"
    ),
    "a key": "best = {qkv: other}\nbest[qkv](x, w, None, b, True)",
    "a condition": "k = one if qkv else other\nk(x, w, None, b, True)",
    "compared": "k = qkv is other\nk(x, w, None, b, True)",
    "bound again": "import types\nns = types.SimpleNamespace(k=qkv)\nns = other\nns.f(x, w, None, b, True)",
}


@pytest.mark.parametrize("body", FINE.values(), ids=FINE)
def test_others_are_left_alone(body: str) -> None:
    result = migrate({"app.py": f"{HEAD}{body}\n"})
    assert result.text("app.py") == f"{HEAD}{body}\n"
    assert not [f for f in result.findings if f.outcome.value == "needs-you"]


KEPT = {
    "positional": "import other\nother.Trainer(qkv)",
    "keyword": "import other\nCONFIG = other.Config(kernel=qkv, size=2)",
    "namespace": "from types import SimpleNamespace\nNS = SimpleNamespace(k=qkv)",
    "registry": "import other\nother.register('qkv', qkv)",
    "decorator": "import other\nother.register('qkv')(qkv)",
    "in a list": "import other\nother.register(kernels=[qkv])",
    "method": "def f(self):\n    self.registry.put(qkv)",
}


@pytest.mark.parametrize("body", KEPT.values(), ids=KEPT)
def test_a_kernel_that_something_keeps_is_noted(body: str) -> None:
    text = f"{HEAD}{body}\n"
    check_reported(text, "NKM207", text.count("\n"), "from 4 on", outcome="noted")


NOT_KEPT = {
    "shown": "import rich\nprint(qkv, rich)",
    "looked at": "import inspect\ninspect.getsource(qkv)",
    "called with what stands behind": "import pool\npool.submit(qkv, 1, 2)",
    "called here": "import other\nrun = other.wrap(qkv)\nrun(1, 2)",
    "in a known container": "table = dict(a=qkv)",
    "a class": "import other\nfrom nkilib.core.rmsnorm.rmsnorm_quant import RmsNormQuantKernelArgs as A\nother.register(A)",
    "a kernel that only grew": (
        "import other\nfrom nkilib.core.rmsnorm.rmsnorm_quant import rmsnorm_quant_kernel as k\nother.register(k)"
    ),
}


@pytest.mark.parametrize("body", NOT_KEPT.values(), ids=NOT_KEPT)
def test_other_kernels_are_not_noted(body: str) -> None:
    found = migrate({"app.py": f"{HEAD}{body}\n"}).findings
    assert not [f for f in found if f.code == "NKM207" and f.outcome.value == "noted"]
