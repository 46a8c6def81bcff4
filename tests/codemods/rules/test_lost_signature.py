"""NKM207: changed parameters behind something that hides the arguments."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed

QKV = "from nkilib.core.qkv.qkv import qkv\n"

HIDDEN = {
    "stars in a closure": "def wrap(k):\n    return lambda *a: k(*a)\n\n\np = wrap(qkv)\n",
    "positions inside": "def run(k, x):\n    return k(x, x, None, x, True)\n\n\nrun(qkv, 1)\n",
    "launched inside": "def run(x, *, k):\n    return k[2](x, x, None, x, True)\n\n\nrun(1, k=qkv)\n",
    "handed through": "def run(k, *a):\n    return k(*a)\n\n\nrun(qkv, 1, 2, None, 3, True)\n",
    "method": (
        "class R:\n    def run(self, k, *a):\n        return k(*a)\n\n"
        "    def all(self):\n        self.run(qkv, 1, 2, None, 3, True)\n"
    ),
    "called at once": "import bench\n\nbench.wrap(qkv)(1, 2, None, 3, True)\n",
    "called later": "import bench\n\np = bench.wrap(qkv)\np(1, 2, None, 3, True)\n",
    "launched later": "import bench\n\np = bench.wrap(kernel=qkv)\np[2](*bench.args)\n",
    "submitted": "import pool\n\npool.submit(qkv, 1, 2, None, 3, True)\n",
    "thread": "import pool\n\npool.Thread(target=qkv, args=(1, 2, None, 3, True))\n",
    "each row": "import itertools\n\nitertools.starmap(qkv, rows)\n",
    "each row of a list": "import pool\n\npool.starmap_async(qkv, [(1, 2), (1, 2, None, 3, True)])\n",
    "rows of five": "import itertools\n\nitertools.starmap(qkv, ((x, w, None, b, True) for x in xs))\n",
    "applied": "import pool\n\npool.apply(qkv, (1, 2, None, 3, True))\n",
    "signature": "import inspect\n\nprint(inspect.signature(qkv))\n",
    "autospec": "from unittest import mock\n\nfake = mock.create_autospec(qkv)\n",
    "code": "print(qkv.__defaults__)\n",
}


@pytest.mark.parametrize("body", HIDDEN.values(), ids=HIDDEN)
def test_reported(body: str) -> None:
    text = f"{QKV}\n\n{body}"
    check_reported(text, "NKM207", text.count("\n"), "from 4 on")


FINE = {
    "few positions inside": "def run(k, x):\n    return k(x, x, None, x)\n\n\nrun(qkv, 1)\n",
    "few handed through": "def run(k, *a):\n    return k(*a)\n\n\nrun(qkv, 1, 2, None, 3)\n",
    "keywords handed through": (
        "def run(k, *a, **kw):\n    return k(*a, **kw)\n\n\nrun(qkv, 1, 2, fused_residual_add=True)\n"
    ),
    "not called": "def show(k):\n    print(k)\n\n\nshow(qkv)\n",
    "few later": "import bench\n\np = bench.wrap(qkv)\np(1, 2, None, 3)\n",
    "few at once": "import bench\n\nbench.wrap(qkv)(1, 2)\n",
    "submitted": "import pool\n\npool.submit(qkv, 1, 2, None, 3)\n",
    "rows of two": "import itertools\n\nitertools.starmap(qkv, [(1, 2), (3, 4)])\n",
    "rows of two names": "import itertools\n\nitertools.starmap(qkv, zip(xs, ws))\n",
    "applied to two": "import pool\n\npool.apply(qkv, (1, 2))\n",
    "printed": "print(qkv, 1, 2, 3, 4, 5, 6)\n",
    "signature of something else": "import inspect\n\nprint(inspect.signature(print), qkv)\n",
}


@pytest.mark.parametrize("body", FINE.values(), ids=FINE)
def test_untouched(body: str) -> None:
    check_noop(f"{QKV}\n\n{body}")


def test_a_name_that_is_bound_again_is_another_one() -> None:
    text = f"import bench\n{QKV}\n\np = bench.wrap(qkv)\np = bench.other\np(1, 2, None, 3, True)\n"
    check_reported(text, "NKM207", 5, "is given to `bench.wrap`", outcome="noted")


def test_what_a_module_gives_by_getattr_is_noted() -> None:
    text = f"{QKV}\n\ndef __getattr__(name):\n    return qkv\n"
    check_reported(text, "NKM207", 5, "`__getattr__` returns `qkv`", outcome="noted")


def test_a_wrapper_that_is_seen_through_is_no_wrapper() -> None:
    before = f"import nki\n{QKV}\np = nki.jit(qkv)\np(1, 2, None, 3, True)\n"
    check_transformed(before, before.replace("True", "fused_residual_add=True"), code="NKM201")


def test_a_fixture_that_gives_a_kernel_is_noted() -> None:
    text = f"import pytest\n{QKV}\n\n@pytest.fixture\ndef kernel():\n    return qkv\n"
    check_reported(text, "NKM207", 7, "`kernel` returns `qkv`", outcome="noted")


def test_a_property_that_gives_a_kernel_is_not() -> None:
    check_noop(f"{QKV}\n\nclass A:\n    @property\n    def kernel(self):\n        return qkv\n")


PATCHED = {
    "decorator": "@mock.patch('nkilib.core.qkv.qkv.qkv')\ndef test(m):\n    m.assert_called_with(1, 2, 3, 4, True)",
    "object": (
        "def test(mocker):\n    m = mocker.patch.object(module, 'qkv')\n    m.assert_called_once_with(1, 2, 3, 4, True)"
    ),
    "monkeypatch": (
        "def test(monkeypatch):\n    monkeypatch.setattr(module, 'qkv', m)\n    m.assert_any_call(1, 2, 3, 4, True)"
    ),
    "call": (
        "@mock.patch('nkilib.core.qkv.qkv.qkv')\ndef test(m):\n    assert m.call_args == mock.call(1, 2, 3, 4, True)"
    ),
    "calls": (
        "@mock.patch('nkilib.core.qkv.qkv.qkv')\ndef test(m):\n    m.assert_has_calls([call(1, 2, 3, 4, True)])"
    ),
}
MOCKS = "from unittest import mock\nfrom unittest.mock import call\nimport nkilib.core.qkv.qkv as module\n"


@pytest.mark.parametrize("body", PATCHED.values(), ids=PATCHED)
def test_what_a_mock_is_expected_to_be_called_with_is_reported(body: str) -> None:
    text = f"{MOCKS}\n\n{body}\n"
    check_reported(text, "NKM207", text.count("\n"), "may expect a call of `qkv`, which is patched here")


@pytest.mark.parametrize("body", PATCHED.values(), ids=PATCHED)
def test_what_both_releases_are_called_with_is_not(body: str) -> None:
    check_noop(f"{MOCKS}\n\n{body.replace(', True', '')}\n")
    check_noop(f"{MOCKS}\n\n{body.replace('True', 'fused_residual_add=True')}\n")


def test_mocks_and_calls_of_something_else_are_not() -> None:
    body = "@mock.patch('mine.qkv')\ndef test(m):\n    m.assert_called_with(1, 2, 3, 4, True)"
    check_noop(f"{MOCKS}\n\n{body}\n")
    body = "@mock.patch('nkilib.core.qkv.qkv.qkv')\ndef test(m):\n    mine.call(1, 2, 3, 4, True)"
    check_noop(f"{MOCKS}\n\n{body}\n")
