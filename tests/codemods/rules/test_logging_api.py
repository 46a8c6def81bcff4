"""NKM305: methods of loggers that are gone."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, migrate

LOG = "from nkilib.core.utils.logging import Logger\n\n\n"

REPORTED = {
    "parameter": "def f(log: Logger):\n    return log.create_child('a')\n",
    "attribute": "class A:\n    log = Logger('a')\n    x = log.create_child('a')\n",
    "not called": "def f(log: Logger):\n    return log.create_child\n",
    "only sometimes": "def f(log: Logger, x):\n    return (log if x else x).create_child('a')\n",
    "subclass": "class Mine(Logger): ...\nx = Mine('a').create_child('b')\n",
    "super": "class A(Logger):\n    create_child = lambda self: super().create_child('a')\n",
    "unknown": "def f(log):\n    return log.create_child('a')\n",
    "getattr": "def f(log: Logger):\n    return getattr(log, 'create_child')('a')\n",
    "hasattr": "def f(log):\n    return hasattr(log, 'create_child')\n",
}


@pytest.mark.parametrize("body", REPORTED.values(), ids=REPORTED)
def test_reported(body: str) -> None:
    line = next(n for n, text in enumerate((LOG + body).splitlines(), 1) if "create_child" in text)
    check_reported(LOG + body, "NKM305", line, "get_logger(")


def test_child_of_a_child() -> None:
    result = migrate({"app.py": f"{LOG}x = Logger('a').create_child('b').create_child('c')\n"})
    found = [f for f in result.findings if f.code == "NKM305"]
    assert [f.line for f in found] == [4, 4]
    assert not any("not proven" in f.message for f in found)


UNTOUCHED = {
    "own class": "class A:\n    def create_child(self): ...\n\n\nA().create_child()\n",
    "own method of a subclass": (
        "class A(Logger):\n    def create_child(self): ...\n\n\nA('a').create_child()\n"
    ),
    "other class": "import ast\n\n\ndef f(a: ast.Name):\n    return a.create_child(1)\n",
    "other method": "def f(log: Logger):\n    return log.info('create_child')\n",
    "assigned": "def f(x):\n    x.create_child = Logger\n",
}


@pytest.mark.parametrize("body", UNTOUCHED.values(), ids=UNTOUCHED)
def test_untouched(body: str) -> None:
    check_noop(LOG + body)


def test_without_loggers() -> None:
    check_noop("from nkilib.core.qkv.qkv import qkv\n\n\ndef f(x):\n    return x.create_child(x)\n")
