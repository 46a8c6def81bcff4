"""NKM208: kernels that are jitted by the library now, jitted or called by jitted kernels of the user."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed

CTE = "import functools\n\nimport nki\nfrom nkilib.core.attention.attention_cte import attention_cte\n\n"

UNWRAPPED = {
    "name": ("k = nki.jit(attention_cte)", "k = attention_cte"),
    "launched": ("k = nki.jit(attention_cte)[2](1).x", "k = attention_cte[2](1).x"),
    "empty options": ("k = nki.jit()(attention_cte)", "k = attention_cte"),
    "next to a word": ("k = not(nki.jit(attention_cte))", "k = not(attention_cte)"),
    "attribute": ("class A:\n    k = nki.jit(attention_cte)", "class A:\n    k = attention_cte"),
    "alias of the jit": ("j = nki.jit\nk = j(attention_cte)", "j = nki.jit\nk = attention_cte"),
}


@pytest.mark.parametrize(("old", "new"), UNWRAPPED.values(), ids=UNWRAPPED)
def test_plain_jit_goes(old: str, new: str) -> None:
    check_transformed(f"{CTE}{old}\n", f"{CTE}{new}\n", code="NKM208")


PEELED = {
    "option": "nki.jit({}, mode='torchxla')",
    "keyword": "nki.jit(func={})",
    "options first": "nki.jit(mode='torchxla')({})",
    "comment": "nki.jit(\n    {},  # the tuned one\n)",
    "partial of the jit": "functools.partial(nki.jit, mode='torchxla')({})",
}


@pytest.mark.parametrize("template", PEELED.values(), ids=PEELED)
def test_jit_with_options_keeps_them(template: str) -> None:
    old, new = template.format("attention_cte"), template.format("attention_cte.__wrapped__")
    result = check_transformed(f"{CTE}k = {old}\n", f"{CTE}k = {new}\n", code="NKM208")
    assert [f.outcome.value for f in result.findings if f.code == "NKM208"] == ["noted"]


def test_dotted_path_that_changes() -> None:
    path = "nkilib_standalone.nkilib.core.attention.attention_cte"
    before = f"import nki\nimport {path}\n\nk = nki.jit({path}.attention_cte)\n"
    after = before.replace("nkilib_standalone.", "").replace("attention_cte)", "attention_cte.__wrapped__)")
    check_transformed(before, after, code="NKM208")


REPORTED = {
    "one of two": "k = nki.jit(attention_cte if nki else other)\n",
    "partly called": "k = nki.jit(functools.partial(attention_cte, tp_out=True))\n",
    "decorated": "@nki.jit\ndef k(q):\n    return attention_cte(q, q, q)\n",
    "nested function": (
        "@nki.jit\ndef k(q):\n    def f():\n        return attention_cte(q, q, q)\n    return f()\n"
    ),
    "launched inside": "@nki.jit(mode='torchxla')\ndef k(q):\n    return attention_cte[2](q, q, q)\n",
    "jitted later": "def k(q):\n    return attention_cte(q, q, q)\n\n\nkernel = nki.jit(k)\n",
    "called by a kernel": (
        "def k(q):\n    return attention_cte(q, q, q)\n\n\n@nki.jit\ndef outer(q):\n    return k(q)\n"
    ),
    "method": "class A:\n    @nki.jit\n    def k(self, q):\n        return attention_cte(q, q, q)\n",
}


@pytest.mark.parametrize("body", REPORTED.values(), ids=REPORTED)
def test_reported(body: str) -> None:
    text = CTE + body
    line = next(n for n, t in enumerate(text.splitlines(), 1) if n > 4 and "attention_cte" in t)
    check_reported(text, "NKM208", line, "__wrapped__")


def test_both_in_one_kernel() -> None:
    before = f"{CTE}@nki.jit\ndef k(q):\n    return nki.jit(attention_cte)(q, q, q)\n"
    result = check_transformed(
        before, before.replace("nki.jit(attention_cte)", "attention_cte"), code="NKM208"
    )
    outcomes = [f.outcome.value for f in result.findings if f.code == "NKM208"]
    assert sorted(outcomes) == ["needs-you", "rewritten"]


UNTOUCHED = {
    "undecorated function": "k = nki.jit(attention_cte.__wrapped__)\n",
    "peeled": "from m import peel_decorations\n\nf = peel_decorations(attention_cte)\nk = nki.jit(f, mode='jax')\n",
    "undecorated inside": "@nki.jit\ndef k(q):\n    return attention_cte.__wrapped__(q, q, q)\n",
    "host": "def k(q):\n    return attention_cte(q, q, q)\n\n\ndef main(q):\n    return k(q)\n",
    "own decorator": "@functools.cache\ndef k(q):\n    return attention_cte(q, q, q)\n",
    "own kernel": "def k(q):\n    return q\n\n\nkernel, other = nki.jit(k), attention_cte\n",
    "other function of that name": (
        "def k(q):\n    return attention_cte(q, q, q)\n\n\n@nki.jit\ndef outer(q, k):\n    return k(q)\n"
    ),
}


@pytest.mark.parametrize("body", UNTOUCHED.values(), ids=UNTOUCHED)
def test_untouched(body: str) -> None:
    check_noop(CTE + body)
