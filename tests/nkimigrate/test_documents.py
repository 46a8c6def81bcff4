"""JSON that is written line by line is spelled as the standard library spells it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nkimigrate.report.documents import Each, lines

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=15,
)


@given(VALUES)
def test_as_the_standard_library_does(value: object) -> None:
    assert "\n".join(lines(value)) == json.dumps(value, indent=2)


@pytest.mark.parametrize("items", [[], [{}], [1, {"a": [None]}], [[], "x\ny"]])
def test_items_that_are_made_one_by_one(items: list[object]) -> None:
    made = {"before": [], "items": Each(lambda: iter(items)), "after": {}}
    expected = json.dumps({**made, "items": items}, indent=2)
    assert "\n".join(lines(made)) == expected == "\n".join(lines(made))


def test_only_one_item_is_made_ahead() -> None:
    made = []

    def items() -> object:
        for number in range(100):
            made.append(number)
            yield number

    written = lines(Each(items))  # type: ignore[arg-type]
    assert [next(written) for _ in range(3)] == ["[", "  0,", "  1,"]
    assert len(made) <= 4
