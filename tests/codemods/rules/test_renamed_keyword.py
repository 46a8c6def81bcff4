"""NKM202: renamed keywords; with NKM207, those that reach a call in a dict."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed, migrate

KERNEL = "from nkilib.core.mlp.mlp_tkg.mlp_tkg_utils import input_fused_add\n"
REST = "fused_output=o, normtype=n, store_fused_add_result=True, sbm=s, dims=d"
RUN = "\n\ndef run(x, r, o, n, s, d, flag, opts):\n"

RENAMED = {
    "in the call": "    input_fused_add(**{'input_hbm': x, 'fused_add_tensor': r}, REST)\n",
    "dict in the call": "    input_fused_add(fused_add_tensor=r, **dict(input_hbm=x), REST)\n",
    "read as well": (
        "    kw = {'input_hbm': x}\n    print(kw['input_hbm'].shape)\n"
        "    input_fused_add(fused_add_tensor=r, REST, **kw)\n"
    ),
    "two calls": (
        "    kw = {'input_hbm': x, 'fused_add_tensor': r}\n    input_fused_add(**kw, REST)\n"
        "    input_fused_add[2](**kw, REST)\n"
    ),
    "annotated": "    kw: dict = {'input_hbm': x}\n    input_fused_add(fused_add_tensor=r, REST, **kw)\n",
    "stored in a branch": (
        "    kw = {'input_hbm': x}\n    if flag:\n        kw['input_hbm'] = o\n"
        "    input_fused_add(fused_add_tensor=r, REST, **kw)\n"
    ),
    "in a closure": (
        "    kw = dict(input_hbm=x)\n\n    def later():\n"
        "        return input_fused_add(fused_add_tensor=r, REST, **kw)\n"
    ),
}


@pytest.mark.parametrize("body", RENAMED.values(), ids=RENAMED)
def test_keys_are_renamed(body: str) -> None:
    before = KERNEL + RUN + body.replace("REST", REST)
    check_transformed(before, before.replace("input_hbm", "input"), code="NKM202")


DIALECT = "from nkilib_src.nkilib.core.mlp.mlp_parameters import MLPParameters\n\n\ndef f(h, g, u, d, kw):\n"


def test_keys_tell_the_form() -> None:
    before = f"{DIALECT}    return MLPParameters(h, g, u, d, **dict(shard_on_k=True))\n"
    after = before.replace("nkilib_src.", "").replace("shard_on_k", "shard_on_h_disabled")
    check_transformed(before, after, code="NKM202")


def test_a_known_key_beside_an_unknown_mapping() -> None:
    text = f"{DIALECT}    return MLPParameters(h, g, u, d, **dict(shard_on_k=True), **kw)\n"
    found = migrate({"app.py": text}).at("app.py", 5)
    assert [(f.code, f.outcome.value, "shard_on_k" in f.message) for f in found] == [
        ("NKM207", "needs-you", True)
    ]


OPEN = {
    "parameter": "    input_fused_add(**opts)\n",
    "beside others": "    input_fused_add(fused_add_tensor=r, REST, **opts)\n",
    "field": "    input_fused_add(fused_add_tensor=r, REST, **opts.add)\n",
    "handed on": "    kw = {'input_hbm': x}\n    print(kw)\n    input_fused_add(REST, **kw)\n",
    "second name": "    kw = other = {'input_hbm': x}\n    input_fused_add(REST, **kw)\n",
    "bound twice": "    kw = {'input_hbm': x}\n    kw = kw or {}\n    input_fused_add(REST, **kw)\n",
    "taken out": "    kw = {'input_hbm': x}\n    kw.pop(flag)\n    input_fused_add(REST, **kw)\n",
    "computed key": "    kw = {'input_hbm': x}\n    kw[flag] = r\n    input_fused_add(REST, **kw)\n",
    "spread": "    kw = {'input_hbm': x, **opts}\n    input_fused_add(REST, **kw)\n",
    "another callable": "    kw = {'input_hbm': x}\n    opts(**kw)\n    input_fused_add(REST, **kw)\n",
}


@pytest.mark.parametrize("body", OPEN.values(), ids=OPEN)
def test_what_may_hold_anything_is_reported(body: str) -> None:
    text = KERNEL + RUN + body.replace("REST", REST)
    check_reported(text, "NKM207", text.count("\n"), "input_hbm")


FINE = {
    "given by position": "    input_fused_add(x, r, **opts)\n",
    "given by its new name": "    input_fused_add(input=x, **opts)\n",
    "known keys without it": "    kw = dict(fused_add_tensor=r)\n    input_fused_add(x, **kw, REST)\n",
    "new keys": "    kw = dict(input=x, fused_add_tensor=r)\n    input_fused_add(**kw, REST)\n",
    "something else": "    kw = dict(input_hbm=x)\n    opts(**kw)\n",
}


@pytest.mark.parametrize("body", FINE.values(), ids=FINE)
def test_untouched(body: str) -> None:
    check_noop(KERNEL + RUN + body.replace("REST", REST))


MODULE = f"{KERNEL}NAME = dict(input_hbm=1)\n{RUN}    input_fused_add(**NAME, fused_add_tensor=r, {REST})\n"


def test_a_variable_of_the_module_that_other_files_may_use_is_reported() -> None:
    check_reported(MODULE.replace("NAME", "KW"), "NKM207", 6, "input_hbm")


def test_a_private_variable_of_the_module() -> None:
    before = MODULE.replace("NAME", "_KW")
    check_transformed(before, before.replace("input_hbm", "input"), code="NKM202")


VIEW = "from nkilib.core.utils.tensor_view import TensorView\n\n\ndef run(x, n, view: TensorView):\n    "

IN_THE_CALL = {
    "annotated": "return view.reshape_dim(dim=2, sizes=[n])\n",
    "constructed": "return TensorView(x).reshape_dim(2, sizes=[n])\n",
    "chain": "return view.reshape_dim(2, sizes=[n]).slice(0, 1, 2).reshape_dim(sizes=[n], dim=1)\n",
    "subclass": "class Tile(TensorView):\n        pass\n\n    return Tile(x).reshape_dim(2, sizes=[n])\n",
    "static": "return TensorView.get_trivial_strides(sizes=n)\n",
    "static on an object": "return view.get_trivial_strides(sizes=n)\n",
    "unbound": "return TensorView.reshape_dim(view, 2, sizes=[n])\n",
    "method taken from the object": "reshape = view.reshape_dim\n    return reshape(2, sizes=[n])\n",
    "layout": "return view.reshape_dim(\n        dim=2,\n        sizes = [  # two\n            n,\n        ],\n    )\n",
    "f-string": "return f'{view.reshape_dim(2, sizes=[n])}'\n",
}


@pytest.mark.parametrize("body", IN_THE_CALL.values(), ids=IN_THE_CALL)
def test_keywords_are_renamed(body: str) -> None:
    check_transformed(VIEW + body, VIEW + body.replace("sizes", "shape"), code="NKM202")


def test_a_keyword_of_one_dialect() -> None:
    before = f"{DIALECT}    return MLPParameters(h, g, u, d, shard_on_k=kw)\n"
    after = before.replace("nkilib_src.", "").replace("shard_on_k", "shard_on_h_disabled")
    check_transformed(before, after, code="NKM202")


OTHERS = {
    "positional": "return view.reshape_dim(2, [n])\n",
    "new": "return view.reshape_dim(dim=2, shape=[n])\n",
    "another method": "return view.slice(dim=0, start=n, end=2)\n",
    "another type's method": "import torch\n\n    return torch.nn.Fold(x).reshape_dim(dim=2, sizes=[n])\n",
    "own class": (
        "class Mine:\n        def reshape_dim(self, dim, sizes): ...\n\n    return Mine().reshape_dim(0, sizes=[n])\n"
    ),
}


@pytest.mark.parametrize("body", OTHERS.values(), ids=OTHERS)
def test_other_keywords_stay(body: str) -> None:
    check_noop(VIEW + body)


SOME = (
    "from nkilib.core.utils.tensor_view import TensorView\n\n\ndef f(v, n):\n    TensorView(n)\n    return "
)


def test_a_method_of_an_object_of_unknown_type() -> None:
    rebound = "view = n(view)\n    view.reshape_dim(dim=2, sizes=[n])\n"
    check_reported(VIEW + rebound, "NKM202", 6, "`view` is not proven to be a TensorView")
    check_reported(
        f"{SOME}v.reshape_dim(dim=0, sizes=n)\n", "NKM202", 6, "`v` is not proven to be a TensorView"
    )
    check_reported(f"{SOME}v.g().reshape_dim(0, sizes=n).h\n", "NKM202", 6, "`v.g()` is not proven")


@pytest.mark.parametrize(
    "call", ["v.reshape_dim(0, n)", "v.reshape_dim(dim=0, shape=n)", "v.reshaped(sizes=n)", "max(v, key=n)"]
)
def test_such_methods_without_the_keyword(call: str) -> None:
    check_noop(f"{SOME}{call}\n")


def test_such_a_method_where_the_type_is_not_used() -> None:
    check_noop("def f(v, n):\n    return v.reshape_dim(dim=0, sizes=n)\n")
    check_noop(
        SOME.replace("TensorView(n)", "import numpy as v").replace("(v, n)", "(n)")
        + "v.reshape(new_sizes=n)\n"
    )
