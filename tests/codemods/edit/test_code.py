"""ReplaceCode: parts of statements that no other edit names."""

from __future__ import annotations

import pytest
from marked import KINDS, Edits, edited

from nkimigrate.codemods.edit import EditRefused
from nkimigrate.codemods.model import Rename, ReplaceCode


def code(old: str, new: str) -> Edits:
    return lambda span: [ReplaceCode(span, old, new)]


REPLACED = {
    "annotation": ("def f(a«: int», b): ...\n", ": int", "", "def f(a, b): ...\n"),
    "star": ("def f(a, «*, »b): ...\n", "*, ", "", "def f(a, b): ...\n"),
    "in a block": (
        "if x:\n    def f(é«: ü» = 1): pass  # ä\n",
        ": ü",
        ": ö",
        "if x:\n    def f(é: ö = 1): pass  # ä\n",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", REPLACED)
def test_the_code_is_replaced_and_nothing_else(case: str, kind: str) -> None:
    before, old, new, after = REPLACED[case]
    assert edited(before, code(old, new), kind) == KINDS[kind](after)


def test_other_code_is_not_replaced() -> None:
    with pytest.raises(EditRefused, match="the code there is ': int', not ': str'"):
        edited("def f(a«: int»): ...\n", code(": str", ""))


def test_an_edit_of_the_replaced_code_is_refused() -> None:
    with pytest.raises(EditRefused, match="overlaps"):
        edited(
            "def f(a: «int») -> None: ...\n",
            lambda span: [Rename(span, "int", "str"), ReplaceCode((span[0] - 2, span[1]), ": int", "")],
        )
