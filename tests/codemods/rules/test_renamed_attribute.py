"""NKM301: attributes with another name, where the object's type is proven."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed, migrate

VIEW = "from nkilib.core.utils.tensor_view import TensorView\n\n\n"

PROVEN = {
    "call result": "def f(t):\n    return TensorView(t).sizes\n",
    "parenthesised": "def f(t):\n    return (TensorView(t)).sizes\n",
    "walrus": "def f(t):\n    return (v := TensorView(t)).sizes, v.sizes\n",
    "either view": "def f(t, c):\n    v = TensorView(t) if c else TensorView(t).permute(c)\n    v.sizes\n",
    "enumerate": "def f(vs: list[TensorView]):\n    for i, v in enumerate(vs):\n        print(i, v.sizes)\n",
    "zip": "def f(vs: list[TensorView], ts):\n    for t, v in zip(ts, vs):\n        print(t, v.sizes)\n",
    "dict items": "def f(vs: dict[str, TensorView]):\n    for k, v in vs.items():\n        v.sizes\n",
    "dict filled": "def f(t):\n    vs = {}\n    vs['a'] = TensorView(t)\n    return vs['a'].sizes\n",
    "with": "def f(t):\n    with TensorView(t) as v:\n        return v.sizes\n",
    "property": (
        "class A:\n    @property\n    def v(self) -> TensorView:\n        ...\n\n"
        "    def f(self):\n        return self.v.sizes\n"
    ),
    "method": (
        "class A:\n    def v(self, t):\n        return TensorView(t)\n\n"
        "    def f(self, t):\n        return self.v(t).sizes\n"
    ),
    "pair": "def f(t):\n    return TensorView(t), 1\n\n\nv, n = f(None)\nprint(v.sizes, n)\n",
    "f-string": "def f(v: TensorView):\n    return f'{v.sizes}'\n",
    "nested function": "def f(t):\n    v = TensorView(t)\n\n    def g():\n        return v.sizes\n",
    "getattr": "def f(v: TensorView):\n    return getattr(v, 'sizes'), hasattr(v, 'sizes')\n",
}


@pytest.mark.parametrize("body", PROVEN.values(), ids=PROVEN)
def test_proven(body: str) -> None:
    check_transformed(VIEW + body, (VIEW + body).replace("sizes", "shape"), code="NKM301")


def test_the_type_under_its_other_paths() -> None:
    before = (
        "import nkilib_standalone.nkilib.core.utils.tensor_view as tv\n\n\n"
        "def f(v: tv.TensorView, w: 'tv.TensorView'):\n    return v.sizes, w.sizes\n"
    )
    after = before.replace("nkilib_standalone.", "").replace("sizes", "shape")
    check_transformed(before, after, code="NKM301")


def test_through_another_module() -> None:
    others = {
        "app/__init__.py": "",
        "app/views.py": VIEW + "def make(t):\n    return TensorView(t)\n\n\nALL: list[TensorView] = []\n",
        "app/mine.py": VIEW + "class Mine(TensorView):  # nkimigrate: skip\n    pass\n",
    }
    before = (
        "from app.mine import Mine\nfrom app.views import ALL, make\n\n\n"
        "def f(t, m: Mine):\n    return make(t).sizes, ALL[0].sizes, m.sizes\n"
    )
    result = migrate({**others, "app/use.py": before})
    assert result.text("app/use.py") == before.replace("sizes", "shape")


SWITCHES = {
    "old or new": ("x.sizes if hasattr(x, 'sizes') else x.shape", "x.shape"),
    "new or old": ("x.shape if hasattr(x, 'shape') else x.sizes", "x.shape"),
    "default": ("getattr(x, 'sizes', x.shape)", "x.shape"),
    "of an attribute": ("x.t.sizes if hasattr(x.t, 'sizes') else x.t.shape", "x.t.shape"),
}


@pytest.mark.parametrize(("old", "new"), SWITCHES.values(), ids=SWITCHES)
def test_switches_become_simple(old: str, new: str) -> None:
    text = VIEW + "def f(x, t):\n    return {}, TensorView(t)\n"
    check_transformed(text.replace("{}", old), text.replace("{}", new), code="NKM301")


REPORTED = {
    "unknown parameter": "plan.sizes[0]",
    "unknown result": "plan().sizes[0]",
    "attribute of the unknown": "plan.a.b.sizes",
    "getattr": "getattr(plan, 'sizes')",
    "getattr with a default": "getattr(plan, 'sizes', None)",
    "hasattr": "hasattr(plan, 'sizes')",
    "hasattr of the new name": "hasattr(plan, 'shape')",
    "other switch": "plan.sizes if hasattr(plan, 'dims') else 1",
    "attrgetter": "sorted(plan, key=__import__('operator').attrgetter('sizes'))",
    "only sometimes": "(TensorView(t) if plan else plan).sizes",
}


@pytest.mark.parametrize("expression", REPORTED.values(), ids=REPORTED)
def test_reported(expression: str) -> None:
    check_reported(
        f"{VIEW}def f(t, plan):\n    return TensorView(t).get_dim(), {expression}\n",
        "NKM301",
        5,
        "TensorView",
    )


def test_assignment_is_reported() -> None:
    check_reported(f"{VIEW}def f(v: TensorView):\n    v.sizes = (1, 2)\n", "NKM303", 5, "tuple")


def test_a_pattern_is_reported() -> None:
    text = f"{VIEW}def f(x):\n    match x:\n        case TensorView(sizes=[a, b]):\n            return a, b\n"
    check_reported(text, "NKM301", 6, "`shape`")


UNTOUCHED = {
    "own class": (
        "class Plan:\n    def __init__(self):\n        self.sizes = []\n\n\n"
        "def f(t, p: Plan):\n    return TensorView(t), p.sizes, Plan().sizes\n"
    ),
    "imported class": (
        "import pandas as pd\n\n\ndef f(t, d: pd.DataFrame):\n    return TensorView(t), d.sizes, pd.sizes\n"
    ),
    "parsed arguments": (
        "import argparse\n\n\ndef f(t):\n    p = argparse.ArgumentParser()\n    TensorView(t), p.sizes\n"
    ),
    "set on the unknown": "def f(t, plan):\n    plan.sizes = [TensorView(t)]\n",
    "a variable, a keyword": "def f(t, sizes):\n    return TensorView(t), dict(sizes=sizes)\n",
    "new name": "def f(v: TensorView):\n    return v.shape\n",
}


@pytest.mark.parametrize("body", UNTOUCHED.values(), ids=UNTOUCHED)
def test_untouched(body: str) -> None:
    check_noop(VIEW + body)


def test_a_file_without_views_is_left_alone() -> None:
    check_noop(
        "from nkilib.core.qkv.qkv import qkv\n\n\n"
        "def f(x, w):\n    return qkv(x, w).sizes, hasattr(x, 'shape')\n"
    )
