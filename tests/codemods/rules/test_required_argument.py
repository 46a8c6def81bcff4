"""NKM203: parameters that are required now."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed

TILE = "from nkilib.core.utils.tiled_range import TiledRangeIterator as T\n\n"

ADDED = {
    "names": ("T(t, i, s)", "T(t, i, s, end_offset=s + t)"),
    "keywords": (
        "T(start_offset=s, tile_size=t, tile_index=i)",
        "T(start_offset=s, tile_size=t, tile_index=i, end_offset=s + t)",
    ),
    "dotted": ("T(a.t, i, a.b.s)", "T(a.t, i, a.b.s, end_offset=a.b.s + a.t)"),
    "numbers": ("T(128, i, 0)", "T(128, i, 0, end_offset=0 + 128)"),
    "product": ("T(t, i, i * t)", "T(t, i, i * t, end_offset=i * t + t)"),
    "weaker operator": ("T(t & 1, i, s | 1)", "T(t & 1, i, s | 1, end_offset=(s | 1) + (t & 1))"),
    "negative": ("T(-t, i, -s)", "T(-t, i, -s, end_offset=-s + -t)"),
    "layout": (
        "T(\n    t,\n    i,\n    s,  # start\n)",
        "T(\n    t,\n    i,\n    s,  # start\n    end_offset=s + t,\n)",
    ),
    "several lines": (
        "T(t, i, (a +\n    b))",
        "T(t, i, (a +\n    b), end_offset=(a +\n    b) + t)",
    ),
    "subclass without a constructor": (
        "class U(T):\n    pass\n\n\nU(t, i, s)",
        "class U(T):\n    pass\n\n\nU(t, i, s, end_offset=s + t)",
    ),
}


@pytest.mark.parametrize(("before", "after"), ADDED.values(), ids=ADDED)
def test_added_where_it_follows_from_the_others(before: str, after: str) -> None:
    check_transformed(f"{TILE}{before}\n", f"{TILE}{after}\n", code="NKM203")


OPEN = {
    "call": "T(tile(), i, s)",
    "subscript": "T(t, i, starts[0])",
    "walrus": "T(t, i, (s := 3))",
    "choice": "T(t, i, s if t else 0)",
    "condition": "T(t, i, s or 0)",
    "await": "async def f():\n    return T(t, i, await s)",
    "mapping": "T(**kw)",
    "mapping behind": "T(t, i, **kw)",
}


@pytest.mark.parametrize("call", OPEN.values(), ids=OPEN)
def test_what_would_be_computed_twice_or_is_not_there_is_reported(call: str) -> None:
    text = f"{TILE}{call}\n"
    check_reported(text, "NKM203", text.count("\n"), "end_offset")


NOOP = {
    "by position": "T(t, i, s, e)",
    "by keyword": "T(t, i, s, end_offset=e)",
    "another class": "class TiledRangeIterator:\n    pass\n\n\nTiledRangeIterator(t, i, s)",
}


@pytest.mark.parametrize("call", NOOP.values(), ids=NOOP)
def test_left_alone(call: str) -> None:
    check_noop(f"{TILE}{call}\n")
