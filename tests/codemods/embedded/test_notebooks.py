"""Notebooks: only the source of changed cells changes; expected documents are made with :mod:`json`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from helpers import migrate
from hypothesis import given
from hypothesis import strategies as st

from nkimigrate.codemods.embedded.notebooks import Notebook
from nkimigrate.codemods.model import Outcome

OLD = "from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel"
NEW = "from nkilib.core.mlp.mlp import mlp"
NAMES = ("nkilib", "nkilib_standalone")


def document(*sources: Any, **more: Any) -> dict[str, Any]:
    cells = [{"cell_type": "code", "outputs": [{"text": "é"}], "source": source} for source in sources]
    return {"cells": cells, "metadata": {"a": [1.50, 1e3]}, "nbformat": 4, **more}


def migrated(content: dict[str, Any], indent: int | None = 1) -> tuple[str, str, Any]:
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    result = migrate({"a.ipynb": text})
    return text, result.text("a.ipynb"), result


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_names_are_followed_from_cell_to_cell_and_outputs_stay(indent: int | None) -> None:
    content = document(["!pip install x\n", OLD], "print('other')", ["y = mlp_kernel[2](x, g, u, d)\n", "y"])
    _, after, result = migrated(content, indent)
    content["cells"][0]["source"][1] = NEW
    content["cells"][2]["source"][0] = "y = mlp[2](x, g, u, d)\n"
    assert after == json.dumps(content, indent=indent, ensure_ascii=False)
    assert {(f.cell, f.line) for f in result.findings if f.edits} == {(1, 2), (3, 1)}
    assert migrate({"a.ipynb": after}).text("a.ipynb") == after


def test_a_name_that_a_magic_uses_stays_bound() -> None:
    _, after, _ = migrated(document([OLD], ["%run -i uses.py mlp_kernel"]))
    assert json.loads(after)["cells"][0]["source"] == [f"{NEW} as mlp_kernel"]


def test_format_3_and_text_that_is_no_list() -> None:
    cells = [{"cell_type": "code", "input": OLD + "\nmlp_kernel(x, g, u, d)\n"}]
    _, after, _ = migrated({"worksheets": [{"cells": cells}], "nbformat": 3})
    assert json.loads(after)["worksheets"][0]["cells"][0]["input"] == NEW + "\nmlp(x, g, u, d)\n"


@pytest.mark.parametrize("indent", [None, 1])
def test_a_text_of_one_line_that_becomes_two_stays_a_text(indent: int | None) -> None:
    """The second line became an entry of the object around the text, and the file was given up."""
    line = "from nkilib_standalone.nkilib.core.qkv.qkv import qkv, Logger"
    _, after, result = migrated(document(line), indent)
    new = "from nkilib.core.qkv.qkv import qkv\nfrom nkilib.core.utils.logging import Logger"
    assert after == json.dumps(document(new), indent=indent, ensure_ascii=False)
    assert not result.problems


def test_cells_that_are_not_python_are_reported_if_they_name_the_library() -> None:
    cells = ["%%bash\npip show nkilib", "print nkilib", "%%bash\nls", "print 1", ["x = 1"]]
    _, _, result = migrated(document(*cells))
    assert [(f.code, f.cell, f.outcome) for f in result.findings] == [
        ("NKM905", 1, Outcome.NEEDS_YOU),
        ("NKM905", 2, Outcome.NEEDS_YOU),
    ]
    assert not result.changed


def test_suppression_comments_work_in_cells() -> None:
    text, after, _ = migrated(document([OLD + "  # nkimigrate: skip"]))
    assert after == text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("nkilib", "Expecting value"),
        ('["nkilib"]', "it is no JSON object"),
        ('{"nkilib": 1}', "it has no list of cells"),
        ('{"cells": "nkilib"}', "entry 1 of its cells is no cell"),
        ('{"cells": {}, "a": "nkilib", "worksheets": 3}', "it has no list of cells"),
        ('{"cells": [{}, 1], "a": "nkilib"}', "entry 2 of its cells is no cell"),
        (
            '{"cells": [{"cell_type": "code", "source": null, "a": "nkilib"}]}',
            "the source of its cell 1 is neither",
        ),
        (
            '{"cells": [{"cell_type": "code", "source": ["nkilib", 1]}]}',
            "the source of its cell 1 is neither",
        ),
    ],
)
def test_what_is_no_notebook_is_a_problem(content: str, says: str) -> None:
    (problem,) = migrate({"a.ipynb": content}).problems
    assert problem.code == "NKM901"
    assert problem.message.startswith(f"does not parse: not a notebook: {says}")


def test_a_byte_order_mark_moves_nothing() -> None:
    """The document was written one character too far to the left."""
    text = "\ufeff" + json.dumps(document(f"{OLD}\n"))
    after = migrate({"a.ipynb": text.encode()}).after["a.ipynb"].decode()
    assert after == text.replace(OLD, NEW)


SOURCES = st.lists(st.sampled_from(["a = 1\n", "\n", "# é\n", 'b = "x"\n', "\t\n"]), min_size=1, max_size=5)


@given(SOURCES, SOURCES, st.sampled_from([None, 1, 4]), st.booleans(), st.booleans(), st.booleans())
def test_any_source_can_be_put_in_place(
    old: list[str], new: list[str], indent: int | None, ascii_only: bool, joined: bool, bare: bool
) -> None:
    if bare:  # no newline at the end, as in most cells
        old, new = [*old[:-1], "b = 2"], [*new[:-1], "b = 3"]
    content = document("".join(old) if joined else old, ["z = 1\n", "y = 2"])
    text = json.dumps(content, indent=indent, ensure_ascii=ascii_only)
    container = Notebook(text.encode(), "a.ipynb", NAMES)
    pieces = container.joined.split(container.joined.text)
    pieces[0] = "".join(new)
    restored = container.restored(pieces).decode()
    found = json.loads(restored)
    assert "".join(found["cells"][0].pop("source")) == "".join(new)
    del content["cells"][0]["source"]
    assert found == content
    assert container.restored(container.joined.split(container.joined.text)).decode() == text
