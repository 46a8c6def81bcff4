"""Reference functions in the call form of kernels. Each case is a module of its own."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path
from types import ModuleType

import pytest
from kernels import rejected

MODULE = '''
from typing import Any, Protocol
from nkilib.core.utils.lnc_subscriptable import LncSubscriptable

class Reference(Protocol):
    def __call__(self, x: int, y: str = "a") -> tuple:
        """What it does.

        In detail.
        """

def function(x: int, y: str = "b") -> tuple:
    return x, y, reference.lnc

reference: Reference = LncSubscriptable(function, Reference)
"""What it does.

In detail.
"""
'''
COUNTER = itertools.count()


@pytest.fixture
def load(tmp_path: Path):
    """Import the module above after replacing text in it."""

    def loaded(*replacements: tuple[str, str]) -> ModuleType:
        text = MODULE
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / f"reference_{next(COUNTER)}.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return loaded


def test_1_2_and_12_calls(load) -> None:
    reference = load().reference
    assert reference.lnc == 0
    launched = reference[2]
    assert reference.lnc == 0  # set by the call
    assert launched(5) == (5, "b", 2)
    assert reference.lnc == 2
    assert reference[1](5, y="c") == (5, "c", 1)
    assert launched(6) == (6, "b", 2)


def test_3_without_a_subscript(load) -> None:
    with pytest.raises(TypeError, match="function must be subscripted with an LNC value"):
        load().reference(5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param('(x: int, y: str = "b")', "(x: int)", "parameters ['x'] differ", id="4"),
        pytest.param('y: str = "b"', 'z: str = "b"', "parameters ['x', 'z'] differ", id="5"),
        pytest.param('y: str = "b"', "y: int = 1", "annotation <class 'int'> of y differs", id="6"),
        pytest.param('"b") -> tuple', '"b") -> list', "return annotation <class 'list'> differs", id="7"),
        pytest.param('\nIn detail.\n"""\n', '\nIn short.\n"""\n', "docstring differs", id="8"),
    ],
)
def test_what_must_agree(load, old, new, message) -> None:
    with rejected(message):
        load((old, new))


def test_8_shows_the_difference(load) -> None:
    with rejected() as caught:
        load(('\nIn detail.\n"""\n', '\nIn short.\n"""\n'))
    assert "-In detail." in str(caught.value)
    assert "+In short." in str(caught.value)


def test_9_indentation_does_not_matter(load) -> None:
    indented = '"""What it does.\n\n    In detail.\n    """\n'
    assert load(('"""What it does.\n\nIn detail.\n"""\n', indented)).reference[1](1) == (1, "b", 1)
    below = '"""\n  What it does.\n\n  In detail.\n"""\n'
    assert load(('"""What it does.\n\nIn detail.\n"""\n', below)).reference[1](1) == (1, "b", 1)


def test_a_call_on_several_lines(load) -> None:
    spread = "LncSubscriptable(\n    function,\n    Reference,\n)\n"
    assert load(("LncSubscriptable(function, Reference)\n", spread)).reference[1](1) == (1, "b", 1)


def test_the_annotation_may_stand_before_the_assignment(load) -> None:
    below = (
        'reference: Reference = LncSubscriptable(function, Reference)\n"""What it does.\n\nIn detail.\n"""\n'
    )
    apart = (
        'reference: Reference\n"""What it does.\n\nIn detail.\n"""\n\n'
        "reference = LncSubscriptable(function, Reference)\n"
    )
    assert load((below, apart)).reference[2](1) == (1, "b", 2)
    with rejected("docstring differs"):
        load((below, apart.replace("detail", "short")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param('\n"""What it does.\n\nIn detail.\n"""\n', "\n", id="10"),
        pytest.param('\n"""What it does.\n\nIn detail.\n"""\n', "\n3\n", id="10 no string"),
        pytest.param("reference: Reference =", "reference =", id="11"),
    ],
)
def test_no_docstring(load, old, new) -> None:
    with pytest.raises(RuntimeError, match="needs an annotation, and a docstring below it"):
        load((old, new))


def test_not_at_the_top_level(load) -> None:
    with pytest.raises(RuntimeError, match="at the top level of a module"):
        load(
            (
                "reference: Reference = LncSubscriptable(function, Reference)",
                "print(LncSubscriptable(function, Reference))",
            )
        )


def test_defaults_may_differ(load) -> None:
    assert load(('y: str = "b"', "y: str = None")).reference[1](1) == (1, None, 1)
