"""Pieces of Python as one module."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nkimigrate.codemods.embedded.joined import Joined, Torn

PIECES = st.lists(st.text(alphabet="ab#\n ", max_size=12), max_size=6)


@given(PIECES)
def test_pieces_come_back(pieces: list[str]) -> None:
    joined = Joined(pieces)
    assert joined.split(joined.text) == pieces


@given(PIECES.filter(bool), st.data())
def test_lines_are_found_in_their_pieces(pieces: list[str], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(pieces) - 1))
    lines = pieces[index].split("\n")
    at = data.draw(st.integers(1, len(lines)))
    pieces[index] = "\n".join([*lines[: at - 1], "here", *lines[at:]])
    joined = Joined(pieces)
    assert joined.place(joined.text.split("\n").index("here") + 1) == (index, at)


@pytest.mark.parametrize("cut", ["# nkimigrate piece 2 of 2\n", "# nkimigrate piece 1 of 2\n"])
def test_a_border_that_is_gone_or_doubled_tears_the_module(cut: str) -> None:
    joined = Joined(["a", "b"])
    with pytest.raises(Torn):
        joined.split(joined.text.replace(cut, ""))
    with pytest.raises(Torn):
        joined.split(joined.text.replace(cut, cut + cut))


def test_what_is_put_before_everything_goes_into_the_first_piece() -> None:
    joined = Joined(["a", "b"])
    assert joined.split("import x\n" + joined.text) == ["import x\na", "b"]
