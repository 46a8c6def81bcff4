"""What a dotted path became, on a small table of its own."""

from __future__ import annotations

import pytest

from nkimigrate.codemods.dotted import resolve
from nkimigrate.codemods.release import Release

RELEASE = Release.from_dict(
    {
        "release": {
            "product": "lib",
            "from": "1",
            "to": "2",
            "root": "lib",
            "legacy_roots": ["old.lib"],
            "known": ["lib.a", "lib.b.c", "lib.gone", "lib.new", "lib.split", "lib.split.part"],
        },
        "modules": {"lib.gone": "lib.new"},
        "wrong_modules": {"lib.c": "lib.b.c"},
        "symbols": {
            "lib.a.f": "lib.a.g",
            "lib.a.MAX": "lib.new.MAXIMUM",
            "lib.gone.h": "lib.new.i",
        },
        "throughs": {"lib.b.c.f": "lib.a.f"},
        "removed": {"lib.a.lost": "Do without it.", "lib.a.Class.method": "Call another."},
        "stars": {"lib.split": ["kept", "dropped"]},
        "new_stars": {"lib.split": ["kept"]},
        "types": {"lib.a.View": {"attributes": {"sizes": "shape"}}},
    }
)


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        ("old.lib", "lib", False),
        ("old.lib.a", "lib.a", False),
        ("old.lib.b", "lib.b", False),
        ("old.lib.a.anything", "lib.a.anything", False),
        ("lib.a.f", "lib.a.g", False),
        ("old.lib.a:f", "lib.a:g", False),
        ("lib.a.f.__doc__", "lib.a.g.__doc__", False),
        ("lib.a.MAX", "lib.new.MAXIMUM", True),
        ("lib.a:MAX", "lib.new:MAXIMUM", True),
        ("lib.gone", "lib.new", False),
        ("lib.gone.other", "lib.new.other", False),
        ("lib.gone:h", "lib.new:i", False),
        ("lib.c.f", "lib.b.c.g", False),
        ("lib.b.c.f", "lib.b.c.g", False),
        ("lib.a.View.sizes", "lib.a.View.shape", False),
        ("old.lib.a:View.strides", "lib.a:View.strides", False),
        ("old.lib.split.kept", "lib.split.kept", False),
        ("old.lib.split.part.x", "lib.split.part.x", False),
    ],
)
def test_successors(old: str, new: str, moved: bool) -> None:
    found = resolve(RELEASE, old)
    assert found is not None
    assert (found.new, found.step, found.moved) == (new, "", moved)


@pytest.mark.parametrize(
    "text",
    [
        "lib",
        "lib.a",
        "lib.a.g",
        "lib.a.View.shape",
        "lib.later.module",
        "other.a.f",
        "library.a.f",
        "old",
        "old.other",
    ],
)
def test_nothing_to_say(text: str) -> None:
    assert resolve(RELEASE, text) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lib.a.lost", "Do without it."),
        ("old.lib.a.lost.attribute", "Do without it."),
        ("lib.a:Class.method", "Call another."),
        ("lib.split.dropped", "`lib.split` has no `dropped` in 2"),
        ("old.lib.no.such.module", "No release has `lib.no.such.module`"),
    ],
)
def test_for_a_person(text: str, says: str) -> None:
    found = resolve(RELEASE, text)
    assert found is not None
    assert found.new == ""
    assert says in found.step


def test_without_a_list_of_modules_every_path_is_taken_for_known() -> None:
    head = {"product": "lib", "from": "1", "to": "2", "root": "lib", "legacy_roots": ["old.lib"]}
    found = resolve(Release.from_dict({"release": head}), "old.lib.no.such.module")
    assert found is not None
    assert found.new == "lib.no.such.module"
