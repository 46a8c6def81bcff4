"""NKM201: positional arguments from where positions mean something else."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_sound, check_transformed, migrate

QKV = "from nkilib.core.qkv.qkv import qkv\n\n"
KEYED = "fused_residual_add=True, mlp_prev=m, attention_prev=a"

CALLS = {
    "all": ("qkv(x, w, L, b, True, m, a)", f"qkv(x, w, L, b, {KEYED})"),
    "launched": ("y = qkv[2](x, w, L, b, True, m, a)", f"y = qkv[2](x, w, L, b, {KEYED})"),
    "some by keyword": (
        "qkv(x, w, L, b, True, m, norm_eps=1e-5, attention_prev=a)",
        "qkv(x, w, L, b, fused_residual_add=True, mlp_prev=m, norm_eps=1e-5, attention_prev=a)",
    ),
    "mapping behind": ("qkv(x, w, L, b, True, **kw)", "qkv(x, w, L, b, fused_residual_add=True, **kw)"),
    "None at the break": ("qkv(x, w, L, b, None)", "qkv(x, w, L, b, fused_residual_add=None)"),
    "star of known length in front": (
        "args = (x, w, L, b)\nqkv(*args, True, m, a)",
        f"args = (x, w, L, b)\nqkv(*args, {KEYED})",
    ),
    "walrus, lambda, ternary": (
        "qkv(x, w, L, b, (f := True), lambda: m, a if f else m)",
        "qkv(x, w, L, b, fused_residual_add=(f := True), mlp_prev=lambda: m, attention_prev=a if f else m)",
    ),
    "generator": (
        "qkv(x, w, L, b, True, (i for i in x))",
        "qkv(x, w, L, b, fused_residual_add=True, mlp_prev=(i for i in x))",
    ),
    "nested": (
        "qkv(qkv(x, w, L, b, True, m, a), w, L, b, True, m, a)",
        f"qkv(qkv(x, w, L, b, {KEYED}), w, L, b, {KEYED})",
    ),
    "comprehension": ("[qkv(i, w, L, b, True, m, a) for i in x]", f"[qkv(i, w, L, b, {KEYED}) for i in x]"),
    "layout": (
        "qkv[2](\n    x,  # in\n    w,\n    L, b,\n    # residual\n    True,\n    m, a,  # prev\n)",
        "qkv[2](\n    x,  # in\n    w,\n    L, b,\n    # residual\n    fused_residual_add=True,\n"
        "    mlp_prev=m, attention_prev=a,  # prev\n)",
    ),
    "another name": ("k = qkv\nk(x, w, L, b, True, m, a)", f"k = qkv\nk(x, w, L, b, {KEYED})"),
    "attribute": (
        "class A:\n    def __init__(self):\n        self.k = qkv\n\n    def f(self):\n"
        "        return self.k(x, w, L, b, True, m, a)",
        "class A:\n    def __init__(self):\n        self.k = qkv\n\n    def f(self):\n"
        f"        return self.k(x, w, L, b, {KEYED})",
    ),
    "partial": (
        "from functools import partial\nf = partial(qkv, x, w, L, b, True)\nf(m, a)",
        "from functools import partial\nf = partial(qkv, x, w, L, b, fused_residual_add=True)\n"
        "f(mlp_prev=m, attention_prev=a)",
    ),
    "partial that ends before": (
        "from functools import partial\nf = partial(qkv, x)\nf(w, L, b, True)",
        "from functools import partial\nf = partial(qkv, x)\nf(w, L, b, fused_residual_add=True)",
    ),
    "f-string": ("f'{qkv(x, w, L, b, True, m, a)}'", f"f'{{qkv(x, w, L, b, {KEYED})}}'"),
}


@pytest.mark.parametrize(("before", "after"), CALLS.values(), ids=CALLS)
def test_keywords_from_the_first_changed_position_on(before: str, after: str) -> None:
    check_transformed(f"{QKV}{before}\n", f"{QKV}{after}\n", code="NKM201")


OTHER_CALLABLES = {
    "class": (
        "rmsnorm.rmsnorm_quant import RmsNormQuantKernelArgs as A",
        "A(0.1, norm, 1e-6)",
        "A(0.1, norm, eps=1e-6)",
    ),
    "class of your own without a body": (
        "rmsnorm.rmsnorm_quant import RmsNormQuantKernelArgs",
        "class A(RmsNormQuantKernelArgs):\n    pass\n\n\nA(0.1, norm, 1e-6)",
        "class A(RmsNormQuantKernelArgs):\n    pass\n\n\nA(0.1, norm, eps=1e-6)",
    ),
    "with a new argument": (
        "utils.allocator import Scope",
        "Scope(1, 2, 3)",
        'Scope(1, 2, cur_section_id=3, name="")',
    ),
    "early": (
        "output_projection.output_projection_tkg import output_projection_tkg as o",
        "o(a, w, b, True, OUT_IN_SB=x)",
        "o(a, w, b, TRANSPOSE_OUT=True, OUT_IN_SB=x)",
    ),
}


@pytest.mark.parametrize(("name", "before", "after"), OTHER_CALLABLES.values(), ids=OTHER_CALLABLES)
def test_other_callables(name: str, before: str, after: str) -> None:
    line = f"from nkilib.core.{name}\n\n"
    check_transformed(f"{line}{before}\n", f"{line}{after}\n", code="NKM201")


OPEN = {
    "star": ("qkv(x, w, *rest)", "starred"),
    "only a star": ("qkv(*args)", "starred"),
    "star of known length across the break": ("t = (True, m)\nqkv(x, w, L, b, *t)", "starred"),
    "given twice": ("qkv(x, w, L, b, True, fused_residual_add=False)", "given twice"),
    "no such parameter": ("qkv(x, w, L, b, True, nope=3)", "nope"),
    "too many": (f"qkv({', '.join(map(str, range(40)))})", "more positional arguments"),
    "perhaps another function": ("k = qkv if x else mine\nk(x, w, L, b, True, m, a)", "cannot be proven"),
}


@pytest.mark.parametrize(("call", "contains"), OPEN.values(), ids=OPEN)
def test_what_cannot_be_proven_is_reported(call: str, contains: str) -> None:
    text = f"{QKV}{call}\n"
    check_reported(text, "NKM201", text.count("\n"), contains)


NOOP = {
    "before the break": "qkv(x, w, L, b)",
    "keywords": f"qkv(x, w, L, b, {KEYED})",
    "new keyword": "qkv(x, w, L, b, qkv_w_scale=x)",
    "evidently new": "qkv(x, w, L, b, QuantizationType.ROW, x, x)",
    "a parameter": "def f(qkv):\n    return qkv(x, w, L, b, True, m, a)",
    "a method of that name": "def f(self):\n    return self.qkv(x, w, L, b, True, m, a)",
    "an attribute of another class": (
        "class B:\n    def __init__(self):\n        self.qkv = Linear()\n\n    def f(self):\n"
        "        return self.qkv(x, w, L, b, True, m, a)"
    ),
}


@pytest.mark.parametrize("call", NOOP.values(), ids=NOOP)
def test_left_alone(call: str) -> None:
    check_noop(f"{QKV}{call}\n")


def test_a_function_of_your_own() -> None:
    check_noop("from mine import qkv  # nkilib\n\nqkv(x, w, L, b, True, m, a)\n")


# Only later main had `nkilib_src`. Rewritten, the root tells no more; keywords do.
WHEEL = {
    "new parameters": (
        "qkv.qkv import qkv",
        "qkv(x, w, L, b, qt, s, i, flag)",
        "qkv(x, w, L, b, quantization_type=qt, qkv_w_scale=s, qkv_in_scale=i, fused_residual_add=flag)",
    ),
    "evidently older": ("qkv.qkv import qkv", "qkv(x, w, L, b, True, m, a)", f"qkv(x, w, L, b, {KEYED})"),
    "no changes since": (
        "output_projection.output_projection_tkg import output_projection_tkg as o",
        "o(a, w, b, q)",
        "o(a, w, b, quantization_type=q)",
    ),
    "a norm with its output": (
        "subkernels.rmsnorm_tkg import rmsnorm_tkg",
        "rmsnorm_tkg(x, g, o)",
        "rmsnorm_tkg(x, g, output=o)",
    ),
    "a name that only 2.27 had": (
        "mlp.mlp import mlp_kernel as k",
        "k(1, 2, 3, 4, n, b1, b2, b3, b4, f, s, a, t, dt, o)",
        "k(1, 2, 3, 4, n, b1, b2, b3, b4, f, s, a, t, output_dtype=dt, store_output_in_sbuf=o)",
    ),
    "required since": (
        "utils.tiled_range import TiledRangeIterator as T",
        "T(t, i, s)",
        "T(t, i, s, end_offset=s + t)",
    ),
}


@pytest.mark.parametrize(("name", "before", "after"), WHEEL.values(), ids=WHEEL)
def test_the_root_says_which_form_a_call_has(name: str, before: str, after: str) -> None:
    new = name.replace("mlp_kernel as", "mlp as")
    check_transformed(
        f"from nkilib_src.nkilib.core.{name}\n\n{before}\n",
        f"from nkilib.core.{new}\n\n{after}\n",
        code="NKM",
    )


def test_a_position_that_two_dialects_read_alike_speaks_for_neither_release() -> None:
    """Of MLPParameters, position 13 is the quantization type in 2.28 as well as in main of December."""
    head = "from nkilib_standalone.nkilib.core.mlp.mlp_parameters import MLPParameters\n\n"
    first = ", ".join("abcdefghijklm") + ", QuantizationType.NONE, n, o, p, q, r"
    check_transformed(
        f"{head}MLPParameters({first}, nl.float32, False)\n",
        f"{head.replace('nkilib_standalone.', '')}"
        f"MLPParameters({first}, output_dtype=nl.float32, store_output_in_sbuf=False)\n",
        code="NKM",
    )


@pytest.mark.parametrize(
    "call", ["qkv(x, w, L, b)", "qkv(x, w, L, b, QuantizationType.ROW, s)", "qkv(x, w, bias=b)"]
)
def test_under_that_root_other_calls_stay(call: str) -> None:
    before = f"from nkilib_src.nkilib.core.qkv.qkv import qkv\n\n{call}\n"
    check_transformed(before, before.replace("nkilib_src.", ""), code="NKM101")


def test_all_keywords() -> None:
    result = migrate({"app.py": f"{QKV}qkv(x, w, L, b, True)\nqkv(x, w)\n"}, all_keywords=True)
    given = "input=x, fused_qkv_weights=w"
    assert result.text("app.py") == (
        f"{QKV}qkv({given}, output_layout=L, bias=b, fused_residual_add=True)\nqkv({given})\n"
    )


IMPOSSIBLE = {
    "too few": ("mlp_kernel(x)", "it misses gate_proj_weights_tensor"),
    "given twice": ("mlp_kernel(x, g, u, d, hidden_tensor=x)", "'hidden_tensor' is given twice"),
    "starred": ("mlp_kernel(*(x, g, u), d, gate_proj_weights_tensor=g)", "is given twice"),
}


@pytest.mark.parametrize(("call", "why"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_call_that_no_release_takes_is_reported(call: str, why: str) -> None:
    """It failed before and fails afterwards; the name alone is the new one."""
    result = migrate({"a.py": f"from nkilib.core.mlp.mlp import mlp_kernel\n\n{call}\n"})
    [found] = [f for f in result.findings if f.code == "NKM201"]
    assert why in found.message
    assert result.text("a.py").splitlines()[-1] == call.replace("mlp_kernel", "mlp")


def test_a_keyword_of_a_later_release_is_left_alone() -> None:
    check_noop("from nkilib.core.mlp.mlp import mlp\n\nmlp(x, g, u, d, brand_new=1)\n")


POSSIBLY = {
    "lambda": "f = lambda k=qkv: k(x, w, L, b, True)\n",
    "parameter": "def f(k=qkv):\n    return k(x, w, L, b, True)\n",
    "keyword-only": "def f(y, *, k=qkv):\n    return k[2](x, w, L, b, True)\n",
    "annotated parameter": "def f(k: Callable = qkv):\n    return k(x, w, L, b, True)\n",
    "set in a constructor": (
        "class A:\n    def __init__(self, k=qkv):\n        self.k = k\n\n"
        "    def run(self):\n        return self.k(x, w, L, b, True)\n"
    ),
    "field of a data class": (
        "@dataclass\nclass A:\n    k: Callable = qkv\n\n"
        "    def run(self):\n        return self.k(x, w, L, b, True)\n"
    ),
    "field of a module": "class A(nn.Module):\n    k: Any = qkv\n\n\ndef f(a: A):\n    a.k(x, w, L, b, True)\n",
    "a name that a parameter has, too": (
        "@dataclass\nclass A:\n    k: Any = qkv\n\n    def run(self):\n        return self.k(x, w, L, b, True)\n"
        "\n\ndef g(k=qkv):\n    return k(x, w)\n"
    ),
}
TYPING = "from dataclasses import dataclass\nfrom typing import Any, Callable\n"


@pytest.mark.parametrize("code", POSSIBLY.values(), ids=POSSIBLY)
def test_a_default_that_callers_may_replace_is_reported(code: str) -> None:
    text = f"{TYPING}{QKV}{code}"
    line = text.splitlines().index(next(each for each in text.splitlines() if "True)" in each)) + 1
    check_reported(text, "NKM201", line, "may also be something else")


SURE = {
    "annotated": "k: Callable = qkv\nk(x, w, L, b, True)\n",
    "static method": "class A:\n    k = staticmethod(qkv)\n\n    def f(self):\n        self.k(x, w, L, b, True)\n",
    "imported by a class": (
        "class A:\n    from nkilib.core.qkv.qkv import qkv as k\n\n"
        "    def f(self):\n        self.k(x, w, L, b, True)\n"
    ),
    "attribute and local name": "class A:\n    k = qkv\n\n\ndef f(a: A, k=qkv):\n    a.k(x, w, L, b, True)\n",
}


@pytest.mark.parametrize("code", SURE.values(), ids=SURE)
def test_what_has_one_value_is_rewritten(code: str) -> None:
    before = f"{TYPING}{QKV}{code}"
    check_transformed(before, before.replace("True)", "fused_residual_add=True)"), code="NKM201")


@pytest.mark.parametrize(
    "module",
    ['".qkv.qkv", "nkilib.core"', '".qkv.qkv", package="nkilib.core"', '"..qkv.qkv", "nkilib.core.mlp"'],
)
def test_modules_imported_relative_to_a_package(module: str) -> None:
    before = f"from importlib import import_module\n\nimport_module({module}).qkv(x, w, L, b, True)\n"
    check_transformed(before, before.replace("True", "fused_residual_add=True"), code="NKM201")


THIRTEEN = "x, g, u, d, None, None, None, None, None, None, False, act, norm"
FORMER = f"from nkilib.core.mlp.mlp import mlp as mlp_kernel\n\nmlp_kernel({THIRTEEN}{{}})\n"


def test_a_former_name_with_what_may_be_former_positions() -> None:
    text = FORMER.format(", nl.bfloat16")
    check_reported(text, "NKM201", 3, "its former name")
    under_condition = (
        "if new:\n    from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel\n"
        "else:\n    from mine import mlp_kernel\n\n"
        f"mlp_kernel({THIRTEEN}, dtype)\n"
    )
    result = migrate({"app.py": under_condition})
    assert [f.outcome.value for f in result.at("app.py", 6) if f.code == "NKM201"] == ["needs-you"]
    check_sound(result)


@pytest.mark.parametrize("rest", ["", ", QuantizationType.NONE", ", q, gate_w_scale=s", ", output_dtype=t"])
def test_a_former_name_with_new_arguments(rest: str) -> None:
    check_noop(FORMER.format(rest))
