"""IPython's syntax: hidden so that Python parses, and back as it was."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nkimigrate.codemods.embedded.magics import hide

CELLS = {
    "!pip install nki-library\nimport os": ["import os"],
    "%matplotlib inline\nx = 1\n": ["x = 1"],
    "%time y = f(x)": ["y = f(x)"],
    "%timeit -n 10 -r 3 f(x)": ["f(x)"],
    "%%time\nf(x)\n": ["f(x)"],
    "y = %time f(x)\nz = %timeit -o -n 3 g(y)\n": ["or f(x)", "or g(y)"],
    "files = !ls *.py\nprint(files)": ["print(files)"],
    "if a:\n    %run other.py\nelse:\n    !ls\n": ["if a:"],
    "!echo one \\\n  two\nx = 1": ["x = 1"],
    "f?\nf??\n?f\nx = 1": ["x = 1"],
    'text = """\n%not a magic\n!neither\n"""\n': ["%not a magic", "!neither"],
    "z = (a\n  % b)\n": ["% b"],
    "z = a \\\n  % b\n": ["% b"],
    "s = 'what?'\n": ["what?"],
    "def f():\n    x = %env HOME\n    return x\n": ["return x"],
    "s = 'one\x0c%two \u2028!three'\n\x0c%cd x\n": ["one\x0c%two \u2028!three"],
}


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_left_is_python_and_the_rest_comes_back(cell: str) -> None:
    hidden = hide(cell)
    ast.parse(hidden.text)
    assert hidden.text.count("\n") == cell.count("\n")
    for kept in CELLS[cell]:
        assert kept in hidden.text
    assert hidden.reveal(hidden.text) == cell


@pytest.mark.parametrize("cell", ["%%bash\nls", "%%writefile a.py\nimport nkilib", "  %%html\n<b>"])
def test_cells_in_other_languages(cell: str) -> None:
    assert hide(cell).opaque


@given(st.text(alphabet="ab=(%!?\\\n\"' #", max_size=60))
def test_every_cell_comes_back(cell: str) -> None:
    hidden = hide(cell)
    assert hidden.opaque or hidden.reveal(hidden.text) == cell


def test_a_magic_that_is_gone_or_doubled_is_noticed() -> None:
    hidden = hide("!ls\nx = 1\n")
    assert hidden.reveal("x = 1\n") is None
    assert hidden.reveal(hidden.text * 2) is None
